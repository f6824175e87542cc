"""What a layer heard of an answer, folded in batches."""

from __future__ import annotations

from beluga_llm._call import SETTLE_EVERY
from beluga_llm._chunks import StreamChunk
from beluga_llm._fold import Fold
from beluga_llm._messages import AIMessage


class Transcript:
    """An answer as a layer hears it; hearing is cheap, and asking folds."""

    __slots__ = ("_any", "_fold", "_pending")

    def __init__(self) -> None:
        self._pending: list[StreamChunk] = []
        self._fold = Fold()
        self._any = False

    def hear(self, chunk: StreamChunk) -> None:
        """Takes the next chunk."""
        self._pending.append(chunk)
        if len(self._pending) >= SETTLE_EVERY:
            self._settle()

    def message(self) -> AIMessage:
        """The answer so far."""
        self._settle()
        return self._fold.message()

    def partial(self) -> AIMessage | None:
        """The answer so far, None where nothing was heard."""
        return self.message() if self._pending or self._any else None

    def _settle(self) -> None:
        self._fold.extend(self._pending)
        self._any = self._any or bool(self._pending)
        self._pending.clear()

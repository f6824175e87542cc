"""What a layer heard of an answer, folded in batches."""

from __future__ import annotations

from beluga_llm._call import SETTLE_EVERY
from beluga_llm._chunks import StreamChunk
from beluga_llm._fold import Fold
from beluga_llm._messages import AIMessage


class Transcript:
    """An answer as a layer hears it; hearing is cheap, and asking folds.

    Attributes:
        pending: the latest chunks; who is in a hurry appends to it, and settles it at times.
    """

    __slots__ = ("_any", "_fold", "pending")

    def __init__(self) -> None:
        self.pending: list[StreamChunk] = []
        self._fold = Fold()
        self._any = False

    def hear(self, chunk: StreamChunk) -> None:
        """Takes the next chunk."""
        self.pending.append(chunk)
        if len(self.pending) >= SETTLE_EVERY:
            self.settle()

    def message(self) -> AIMessage:
        """The answer so far."""
        self.settle()
        return self._fold.message()

    def partial(self) -> AIMessage | None:
        """The answer so far, None where nothing was heard."""
        return self.message() if self.pending or self._any else None

    def settle(self) -> None:
        """Takes in what is pending."""
        self._fold.extend(self.pending)
        self._any = self._any or bool(self.pending)
        self.pending.clear()

"""What is known of an answer beside what it says: for spans, measurements and log records.

It agrees with the fold of the same chunks (a property holds that), and builds nothing: a chunk that
brings only more text costs it a look at seven fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from beluga_llm._chunks import StreamChunk
from beluga_llm._frozen import EMPTY
from beluga_llm._tool_merge import CallSorter, CallState
from beluga_llm._usage import NO_USAGE, FinishReason


class AnswerFacts:
    """The facts of an answer that grows by chunks.

    Attributes:
        usage: tokens reported so far.
        model_id: the model that answers, as the provider names it.
        response_id: the provider's id of the answer.
        metadata: the extras that its chunks brought.
    """

    __slots__ = ("_calls", "_finish", "metadata", "model_id", "response_id", "usage")

    def __init__(self) -> None:
        self.usage = NO_USAGE
        self.model_id: str | None = None
        self.response_id: str | None = None
        self.metadata: dict[str, Any] = {}
        self._finish: dict[int, FinishReason] = {}
        self._calls: dict[int, CallSorter[CallState]] = {}

    def extend(self, chunks: Iterable[StreamChunk]) -> None:
        """Takes the next chunks."""
        for chunk in chunks:
            if (
                chunk.finish_reason is not None
                or chunk.usage is not None
                or chunk.model_id is not None
                or chunk.response_id is not None
                or chunk.tool_calls
                or chunk.metadata is not EMPTY
                or chunk.reset
            ):
                self._take(chunk)

    def _take(self, chunk: StreamChunk) -> None:
        if chunk.reset:
            self.__init__()  # type: ignore[misc]  # as if nothing had been heard
        choice = chunk.choice
        if chunk.finish_reason is not None:
            self._finish[choice] = chunk.finish_reason
        for delta in chunk.tool_calls:
            calls = self._calls.get(choice)
            if calls is None:
                calls = self._calls[choice] = CallSorter(CallState)
            calls.take(delta.index, delta.id or "", delta.name or "", delta.arguments)
        if choice != 0:
            return
        if chunk.usage is not None:
            self.usage = self.usage.merged(chunk.usage)
        if chunk.model_id is not None:
            self.model_id = chunk.model_id
        if chunk.response_id is not None:
            self.response_id = chunk.response_id
        if chunk.metadata:
            self.metadata.update(chunk.metadata)

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended, if it has."""
        return self._finish_of(0)

    @property
    def finish_reasons(self) -> list[FinishReason]:
        """Why each choice that has ended did so."""
        return [why for choice in sorted(self._finish) if (why := self._finish_of(choice))]

    @property
    def tool_names(self) -> list[str]:
        """The tools that are called."""
        return [call.name for call in self._calls[0].calls] if 0 in self._calls else []

    def _finish_of(self, choice: int) -> FinishReason | None:
        why = self._finish.get(choice)
        called = why is FinishReason.STOP and choice in self._calls
        return FinishReason.TOOL_CALLS if called else why

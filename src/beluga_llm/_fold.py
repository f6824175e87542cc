"""The fold: the one place where an answer is built from its chunks.

`generate`, `stream.message` and every middleware use it, so that the two kinds of call cannot
drift. It is pure, total (any sequence of chunks gives a message) and linear in the chunks.

`_answer_so_far.py` says how the chunks of one answer belong together.
"""

from __future__ import annotations

import operator
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Sequence
from functools import partial

from beluga_llm._answer_so_far import AnswerSoFar
from beluga_llm._chunks import StreamChunk, ToolCallDelta
from beluga_llm._json import mend_surrogates
from beluga_llm._messages import AIMessage
from beluga_llm._parts import TextPart
from beluga_llm._usage import NO_USAGE, FinishReason, Usage

_text = operator.attrgetter("delta")
_thought = operator.attrgetter("reasoning_delta")


def _arguments(chunk: StreamChunk) -> str:
    return chunk.tool_calls[0].arguments if chunk.tool_calls else ""


def _fragment(number: int | None, place: int | None, arguments: str) -> StreamChunk:
    """A chunk that brings more arguments of a call, and nothing else."""
    return StreamChunk(tool_calls=(ToolCallDelta(number, arguments=arguments),), part_index=place)


def _is_plain(chunk: StreamChunk) -> bool:
    """Whether a chunk brings one text, and facts of the whole answer at most."""
    return bool(chunk.delta) and not (
        chunk.reasoning_delta
        or chunk.tool_calls
        or chunk.refusal_delta
        or chunk.parts
        or chunk.choice
        or chunk.logprobs is not None
    )


def _message_of(chunk: StreamChunk) -> AIMessage:
    """The answer of one plain chunk: what building it would come to."""
    return AIMessage(
        (TextPart(mend_surrogates(chunk.delta), chunk.signature, chunk.provider),),
        usage=chunk.usage or NO_USAGE,
        finish_reason=chunk.finish_reason,
        raw_finish_reason=chunk.raw_finish_reason,
        model_id=chunk.model_id,
        response_id=chunk.response_id,
        provider_metadata=chunk.metadata,
    )


class Fold:
    """An answer that grows by chunks; `message()` may be asked at any time.

    Nothing is built before the second chunk: most answers that are not streamed have only one.
    """

    __slots__ = ("_building", "_first")

    def __init__(self) -> None:
        self._building: dict[int, AnswerSoFar] | None = None
        self._first: StreamChunk | None = None

    @property
    def _answers(self) -> dict[int, AnswerSoFar]:
        """The choices under construction; there is always a first one."""
        if self._building is None:
            self._building = {0: AnswerSoFar()}
            if (first := self._first) is not None:
                self._first = None
                self._take(first)
        return self._building

    def add(self, chunk: StreamChunk) -> None:
        """Takes the next chunk."""
        if self._building is None and self._first is None:
            self._first = chunk
        else:
            self._take(chunk)

    def _take(self, chunk: StreamChunk) -> None:
        answers = self._answers
        if chunk.reset:
            answers.clear()
            answers[0] = AnswerSoFar()
        answer = answers.get(chunk.choice)
        if answer is None:
            answer = answers[chunk.choice] = AnswerSoFar()
        answer.add(chunk)

    def extend(self, chunks: Sequence[StreamChunk]) -> None:
        """Takes chunks; runs that only go on with one text, thought or call are joined first."""
        if len(chunks) == 1:
            self.add(chunks[0])
            return
        left = iter(chunks)
        chunk = next(left, None)
        while chunk is not None:
            self.add(chunk)
            place = chunk.part_index
            if chunk.delta:
                chunk = self._add_run(left, _text, partial(StreamChunk, part_index=place))
            elif chunk.reasoning_delta:
                chunk = self._add_run(left, _thought, partial(StreamChunk, "", part_index=place))
            elif chunk.tool_calls:
                alike = partial(_fragment, chunk.tool_calls[0].index, place)
                chunk = self._add_run(left, _arguments, alike)
            else:
                chunk = next(left, None)

    def _add_run(
        self,
        left: Iterator[StreamChunk],
        piece_of: Callable[[StreamChunk], str],
        alike: Callable[[str], StreamChunk],
    ) -> StreamChunk | None:
        """Takes chunks that bring only a piece as one: any re-chunking folds to the same answer.

        Gives the chunk at which the run ends.
        """
        pieces: list[str] = []
        other = None
        for chunk in left:
            piece = piece_of(chunk)
            if not piece or chunk != alike(piece):
                other = chunk
                break
            pieces.append(piece)
        if pieces:
            self.add(alike("".join(pieces)))
        return other

    def message(self) -> AIMessage:
        """The answer so far."""
        if self._first is not None and _is_plain(self._first):
            return _message_of(self._first)
        others = (self._answers[choice] for choice in sorted(self._answers) if choice != 0)
        return self._answers[0].message(tuple(other.message() for other in others))

    @property
    def usage(self) -> Usage:
        """Tokens reported so far."""
        return self._answers[0].usage

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended, if it has."""
        return self._finish(0)

    def _finish(self, choice: int) -> FinishReason | None:
        answer = self._answers[choice]
        called = answer.finish is FinishReason.STOP and len(answer.calls)
        return FinishReason.TOOL_CALLS if called else answer.finish

    @property
    def finish_reasons(self) -> list[FinishReason]:
        """Why each choice that has ended did so."""
        return [why for choice in sorted(self._answers) if (why := self._finish(choice))]

    @property
    def tool_names(self) -> list[str]:
        """The tools that are called."""
        return [call.name for call in self._answers[0].calls.calls()]

    @property
    def model_id(self) -> str | None:
        """The model that answers, as the provider names it."""
        return self._answers[0].model_id

    @property
    def response_id(self) -> str | None:
        """The provider's id of the answer."""
        return self._answers[0].response_id


def fold(chunks: Iterable[StreamChunk]) -> AIMessage:
    """The message that chunks add up to; the empty message for none."""
    state = Fold()
    for chunk in chunks:
        state.add(chunk)
    return state.message()


async def collect(stream: AsyncIterable[StreamChunk]) -> AIMessage:
    """The message that a ChatStream, or any async iterable of chunks, adds up to."""
    state = Fold()
    async for chunk in stream:
        state.add(chunk)
    return state.message()

"""Deltas that only go on with the block before them: the same bytes around another text.

The first delta of a block is read strictly and makes the template of those that follow, which are
read by it until another event comes. It is given up where it was tried a few times in vain, as
within Bedrock's events, which hold no two alike.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

from beluga_llm import StreamChunk
from beluga_llm.plugin import Frame, Template, ToolCallDelta

_TRIES = 8
"""How many templates are made without a frame that is like one."""


class GoingOn:
    """What the deltas that follow may be like."""

    __slots__ = ("_alike", "_pieces", "_template", "_tries")

    def __init__(self) -> None:
        self._template: Template | None = None
        self._alike: Callable[[str], StreamChunk] = StreamChunk
        self._pieces: list[str] | None = None
        self._tries = _TRIES

    def forget(self) -> None:
        """Another event came, after which the same bytes may mean something else."""
        self._template = None

    def read_on(self, frames: Iterator[Frame]) -> tuple[Frame | None, Sequence[StreamChunk]]:
        """The first frame that is not like the template, and the chunks of those before it."""
        if self._template is None:
            return next(frames, None), ()
        texts: list[str] = []
        other = self._template.take(frames, texts)
        if not texts:
            return other, ()
        self._tries = _TRIES
        said = [*filter(None, texts)]
        if self._pieces is not None:
            self._pieces += said
        return other, [*map(self._alike, said)]

    def expect(
        self, frame: Frame, field: str, chunk: StreamChunk, *, pieces: list[str] | None = None
    ) -> None:
        """Takes a delta that was read strictly as the template of those that follow.

        Args:
            frame: the delta's event.
            field: what its text is called.
            chunk: what it was read to be.
            pieces: takes the texts too.
        """
        if not self._tries:
            return
        self._tries -= 1
        self._pieces = pieces
        event, data = frame
        if chunk.tool_calls:
            call = chunk.tool_calls[0]
            text = call.arguments
            self._alike = functools.partial(_of_arguments, call.index, chunk.part_index)
        elif chunk.reasoning_delta:
            text = chunk.reasoning_delta
            self._alike = functools.partial(StreamChunk, "", part_index=chunk.part_index)
        else:
            text = chunk.delta
            self._alike = functools.partial(StreamChunk, part_index=chunk.part_index)
        self._template = Template.of(data, field, text, event=event)


def _of_arguments(number: int | None, place: int | None, text: str) -> StreamChunk:
    return StreamChunk(tool_calls=(ToolCallDelta(number, arguments=text),), part_index=place)

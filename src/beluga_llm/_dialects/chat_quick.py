"""Frames of a chat-completions stream that only go on with the one choice there is.

Most frames differ from the one before only in their delta. Read strictly, such a frame is the same
value as the one before with another delta: then nothing else in it is new. The frames after one
that brought one text are mostly the same bytes with another text, and read by a template.

Each of the two ways is given up where it was tried a few times in vain.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

from beluga_llm._chunks import StreamChunk, ToolCallDelta
from beluga_llm._dialects.chat_choice import Choice
from beluga_llm._dialects.chat_frame import Frame, FrameDelta, read_strictly
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._http.dialect import Frame as Event
from beluga_llm._http.template import Template
from beluga_llm._json import REFUSED

_THOUGHTS = frozenset(("reasoning_content", "reasoning"))
_MISSES = 4
"""After how many frames in a row that it cannot read it is given up."""
_TRIES = 4
"""How many templates are made without a frame that is like one."""


class QuickWay:
    """Reads what it can of a stream.

    Attributes:
        state: the choice that goes on; None where only the patient way may read.
    """

    __slots__ = ("_alike", "_misses", "_other_thoughts", "_quirks", "_template", "_tries",
                 "_usual", "state")  # fmt: skip

    def __init__(self, quirks: ChatQuirks) -> None:
        self.state: Choice | None = None
        self._quirks = quirks
        self._other_thoughts = _THOUGHTS.difference(quirks.reasoning_fields)
        self._usual: Frame | None = None
        self._template: Template | None = None
        self._alike: Callable[[str], StreamChunk] = StreamChunk
        self._misses = 0
        self._tries = _TRIES

    @property
    def is_given_up(self) -> bool:
        """Whether too many frames were none that it can read."""
        return self._misses >= _MISSES

    def forget(self) -> None:
        """A frame is read in another way: the next one is not compared with one before it."""
        self._usual = self._template = None

    def read_on(self, frames: Iterator[Event]) -> tuple[Event | None, Sequence[StreamChunk]]:
        """The first frame that is not like the template, and the chunks of those before it."""
        if self._template is None:
            return next(frames, None), ()
        texts: list[str] = []
        other = self._template.take(frames, texts)
        if texts:
            self._tries = _TRIES
        return other, [*map(self._alike, filter(None, texts))]

    def read_first(self, data: bytes) -> Frame | None:
        """The first frame of a stream, if it is of the usual kind: only text or a role."""
        frame = self._strictly(data)
        if frame is None:
            return None
        choice, delta = frame.choices[0], frame.choices[0].delta
        thinks = delta.reasoning_content or delta.reasoning
        if choice.index or choice.finish_reason or thinks or delta.tool_calls:
            return None
        if bytes(choice.content_filter_results) or frame.object == "error":
            return None
        self._usual = frame
        return frame

    def read(self, data: bytes) -> Sequence[StreamChunk] | None:
        """The chunks of a frame that goes on, or ends the choice; else None."""
        if self._template is not None:
            if (text := self._template.text(data)) is not None:
                self._tries = _TRIES
                return (self._alike(text),) if text else ()
            self._template = None
        state = self.state
        frame = None if state is None else self._strictly(data)
        if frame is None or state is None:
            self._usual = None
            return None
        found = self._going_on(frame, state)
        if found is None:
            self._misses += 1
            self._usual = frame
            return None
        self._misses = 0
        if state.finished:
            self.state = self._usual = None
        elif self._tries and len(found) == 1:
            self._expect(frame.choices[0].delta, found[0], data)
        return found

    def _strictly(self, data: bytes) -> Frame | None:
        try:
            return read_strictly(data)
        except REFUSED:
            self._misses += 1
            return None

    def _going_on(self, frame: Frame, state: Choice) -> Sequence[StreamChunk] | None:
        """The chunks of a frame that differs from the one before it only in its delta, else None.

        So nothing else is new in it, and it is of the same choice.
        """
        usual, choice = self._usual, frame.choices[0]
        if usual is None:
            return None
        delta, word = choice.delta, choice.finish_reason
        usual.choices[0].delta, usual.choices[0].finish_reason = delta, word
        usual.obfuscation, usual.p = frame.obfuscation, frame.p
        if frame != usual:
            return None
        text, thought = delta.content or "", ""
        if delta.reasoning_content or delta.reasoning:
            thoughts = {name: getattr(delta, name) for name in _THOUGHTS}
            if any(thoughts[name] for name in self._other_thoughts):
                return None
            thought = next(filter(None, map(thoughts.get, self._quirks.reasoning_fields)), "")
        if word:
            says_more = text or thought or delta.tool_calls
            return None if says_more else tuple(state.finish(word))
        calls = state.calls.of_frame(delta.tool_calls) if delta.tool_calls else ()
        if not (text or calls or thought):
            return ()
        state.began = True
        chunk = StreamChunk(text, tool_calls=calls, choice=state.index)
        if not thought:
            return (chunk,)
        return (state.thought(thought), chunk) if text or calls else (state.thought(thought),)

    def _expect(self, delta: FrameDelta, chunk: StreamChunk, data: bytes) -> None:
        """Takes a frame with one text as the template of those that follow."""
        state = self.state
        self._tries -= 1
        if chunk.delta and not chunk.tool_calls:
            self._template = Template.of(data, "content", chunk.delta)
            self._alike = functools.partial(StreamChunk, choice=chunk.choice)
        elif chunk.reasoning_delta and state is not None:
            names = [name for name in _THOUGHTS if getattr(delta, name)]
            if len(names) == 1:
                self._template = Template.of(data, names[0], chunk.reasoning_delta)
                self._alike = state.thought
        else:
            call = chunk.tool_calls[0]
            if len(chunk.tool_calls) == 1 and not (chunk.delta or call.id or call.name):
                self._template = Template.of(data, "arguments", call.arguments)
                self._alike = functools.partial(_of_arguments, call.index, chunk.choice)


def _of_arguments(index: int | None, choice: int, text: str) -> StreamChunk:
    return StreamChunk(tool_calls=(ToolCallDelta(index, arguments=text),), choice=choice)

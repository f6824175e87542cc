"""Chat-completions answers into chunks, streamed or whole.

There are two ways through. Most frames of a stream say one thing, more text, and the same few
fields around it: a strict typed decoder reads these, and refuses what holds anything else;
`chat_answer` does the same for whole answers. What is refused is read as plain JSON, where each
value may be missing, null, or of another type than documented; so is a frame of a stream that says
anything but its delta otherwise than the one before it. A stream whose frames are always refused
is no longer tried the fast way, and neither is one of several choices.

`delta` and `message` are read by the same code. Where a choice has both, `delta` counts, as some
servers repeat the answer so far in `message`; a `message` after deltas is a repetition too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from beluga_llm._chunks import StreamChunk
from beluga_llm._dialects.chat_answer import read_tokens
from beluga_llm._dialects.chat_choice import Choice, content_keys
from beluga_llm._dialects.chat_frame import Frame as FirstFrame
from beluga_llm._dialects.chat_frame import read_usage_strictly
from beluga_llm._dialects.chat_quick import QuickWay
from beluga_llm._dialects.chat_reading import (
    JsonObject,
    is_error,
    object_of,
    objects_of,
    read_usage,
    says_error,
    says_something,
    text_of,
    usage_at,
    usage_extras,
)
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._errors import EmptyResponseError
from beluga_llm._http.dialect import PING, Decoder, Frame, InBandError
from beluga_llm._http.encoding import provider_options
from beluga_llm._json import REFUSED, JsonError, dumps, loads
from beluga_llm._request import ChatRequest
from beluga_llm._usage import NO_USAGE, Usage

_NO_EXTRAS = frozenset(("id", "object", "model", "choices", "usage", "error", "obfuscation", "p"))
_PINGS = frozenset(("ping", "keepalive", "keep-alive", "heartbeat"))
_DATA_EVENTS = frozenset(("", "message"))


class ChatDecoder(Decoder):
    """Reads one answer.

    Args:
        request: what was asked.
        quirks: how the server differs.
        provider: whose signatures these are.
        new_id: makes ids for tool calls that come without one.
    """

    def __init__(
        self,
        request: ChatRequest,
        *,
        quirks: ChatQuirks,
        provider: str,
        new_id: Callable[[], str],
    ) -> None:
        self.ended = not quirks.end_marker
        self._request = request
        self._quirks = quirks
        self._provider = provider
        self._new_id = new_id
        self._choices: dict[int, Choice] = {}
        self._done = False
        self._model = ""
        self._id = ""
        self._told: JsonObject = {}
        self._quick = QuickWay(quirks)

    def feed(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        """The chunks of one frame; see Decoder."""
        chunks = self._feed_quickly(event, data)
        return self._feed(event, data.strip()) if chunks is None else chunks

    def feed_on(self, frames: Iterator[Frame]) -> tuple[Frame | None, Sequence[StreamChunk]]:
        """The chunks of frames that are alike; see Decoder."""
        return self._quick.read_on(frames)

    def _feed_quickly(self, event: str, data: bytes) -> Sequence[StreamChunk] | None:
        quick = self._quick
        if quick.state is not None and not event:
            chunks = quick.read(data)
            self.complete = self.complete or quick.state is None
            return chunks
        quick.forget()
        if event or not self._request.streaming or quick.is_given_up:
            return None
        if not self._choices:
            first = quick.read_first(data)
            return None if first is None else self._begin(first)
        return self._count(data) if self.complete else None

    def _begin(self, frame: FirstFrame) -> Sequence[StreamChunk]:
        """The chunks of a first frame that brings text, or nothing."""
        state = self._quick.state = self._choice(0)
        text = frame.choices[0].delta.content
        chunks = [state.begin(text)] if text else []
        chunks += self._news(NO_USAGE, frame.extras(), (frame.model or "", frame.id or ""))
        return chunks

    def _count(self, data: bytes) -> Sequence[StreamChunk] | None:
        """The chunk of a frame that only brings the tokens spent."""
        if "usage" not in self._quirks.usage_path:
            return None
        try:
            frame = read_usage_strictly(data)
        except REFUSED:
            return None
        usage = read_tokens(bytes(frame.usage))
        if usage is None or frame.object == "error" or len(self._choices) > 1:
            return None
        return self._news(usage, frame.extras(), (frame.model or "", frame.id or ""))

    def _feed(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        if data == b"[DONE]":
            return self._end()
        if event == "error":
            raise InBandError(data)
        if event in _PINGS or (not data and self._request.streaming):
            return PING
        try:
            value = loads(data)
            if isinstance(value, list) and len(value) == 1:
                value = value[0]
            if value is None and self._request.streaming:
                return ()
            if not isinstance(value, dict):
                raise JsonError("not a JSON object")
        except JsonError:
            if event in _DATA_EVENTS or not self._request.streaming:
                raise
            return ()
        self._raise_error(value, data)
        return self._read(value)

    def _raise_error(self, value: JsonObject, data: bytes) -> None:
        if says_error(value):
            raise InBandError(data)
        for choice in objects_of(value.get("choices")):
            if is_error(choice.get("error")):
                raise InBandError(dumps({"error": choice["error"]}))

    def _read(self, value: JsonObject) -> Sequence[StreamChunk]:
        chunks: list[StreamChunk] = []
        items = objects_of(value.get("choices"))
        whole = not self._request.streaming or (not self._choices and _is_whole(value, items))
        for position, item in enumerate(items):
            self._read_choice(item, position, chunks)
        chunks.extend(self._facts(value))
        chunks.extend(self._name_others(self._model))
        if whole:
            if not items:
                raise EmptyResponseError("the answer holds no choices", provider=self._provider)
            chunks.extend(self._end())
        elif self._choices:
            self.complete = self._done or all(state.finished for state in self._choices.values())
            first, *others = self._choices.values()
            slow = others or first.in_lists or first.finished or self._quick.is_given_up
            self._quick.state = None if slow else first
        return chunks

    def _read_choice(self, item: JsonObject, position: int, chunks: list[StreamChunk]) -> None:
        index = item.get("index")
        if not isinstance(index, int):
            index = position
        state = self._choices.get(index) or self._choice(index)
        word = text_of(item.get("finish_reason"))
        delta, message = object_of(item.get("delta")), object_of(item.get("message"))
        if delta and not (word and message and not state.began and not content_keys(delta)):
            state.read(delta, chunks, whole=False)
        elif message and not state.began:
            state.read(message, chunks, whole=True)
        state.read_beside(item, chunks)
        if word:
            chunks.extend(state.finish(word))

    def _choice(self, index: int) -> Choice:
        """A choice that begins."""
        state = self._choices[index] = Choice(
            index,
            quirks=self._quirks,
            provider=self._provider,
            new_id=self._new_id,
            logprobs=_wants_logprobs(self._request, self._provider),
        )
        return state

    def _facts(self, value: JsonObject) -> Sequence[StreamChunk]:
        """What a frame says beside its choices, where it is new."""
        extras = {
            key: item
            for key, item in value.items()
            if key not in _NO_EXTRAS and says_something(item)
        }
        usage = NO_USAGE
        for path in self._quirks.usage_path:
            counts = usage_at(value, path)
            if counts and (found := read_usage(counts)) is not None:
                usage = usage.merged(found)
                extras.update(usage_extras(counts))
        return self._news(usage, extras, (text_of(value.get("model")), text_of(value.get("id"))))

    def _news(
        self, usage: Usage, extras: JsonObject, names: tuple[str, str]
    ) -> Sequence[StreamChunk]:
        """The chunk of what is new of usage, extras, and the names of the model and the answer."""
        fresh = {key: item for key, item in extras.items() if self._told.get(key) != item}
        named = names[0] or self._model, names[1] or self._id
        if not fresh and usage is NO_USAGE and named == (self._model, self._id):
            return ()
        self._told.update(fresh)
        self._model, self._id = named
        return (
            StreamChunk(
                usage=None if usage is NO_USAGE else usage,
                model_id=self._model or None,
                response_id=self._id or None,
                metadata=fresh,
            ),
        )

    def _name_others(self, model: str) -> Iterator[StreamChunk]:
        """The model and the answer's id for all choices but the first, which `_facts` tells."""
        if len(self._choices) == 1 and 0 in self._choices:
            return
        for state in self._choices.values():
            if state.index != 0 and state.named != (model, self._id):
                state.named = model, self._id
                yield StreamChunk(
                    model_id=model or None, response_id=self._id or None, choice=state.index
                )

    def _end(self) -> Sequence[StreamChunk]:
        """The end marker, or the end of a whole body."""
        self._done = self.complete = self.ended = True
        chunks: list[StreamChunk] = []
        for state in self._choices.values():
            if not state.finished:
                chunks.extend(state.finish(""))
        return chunks

    def finish(self) -> Sequence[StreamChunk]:
        """Late ids, and the model that was asked where the server names none."""
        chunks: list[StreamChunk] = []
        if self.complete and not self._choices:
            raise EmptyResponseError("the answer holds no choices", provider=self._provider)
        for state in self._choices.values():
            chunks.extend(state.rest())
        if not self._model:
            model = self._request.options.model
            chunks.append(StreamChunk(model_id=model))
            chunks.extend(self._name_others(model or ""))
        return chunks


def _wants_logprobs(request: ChatRequest, provider: str) -> bool:
    options = request.options
    return bool(
        options.logprobs
        or options.top_logprobs is not None
        or provider_options(request, provider).get("logprobs")
        or options.extra_body.get("logprobs")
    )


def _is_whole(value: JsonObject, items: Sequence[JsonObject]) -> bool:
    """Whether a frame of a stream is in truth a whole body."""
    kind = value.get("object")
    messages = items and all(
        object_of(item.get("message")) and not object_of(item.get("delta")) for item in items
    )
    return bool(messages and kind != "chat.completion.chunk") or (
        kind == "chat.completion" and not items
    )

"""Frames of the Chat API into chunks: a stream's events, or the one message of a whole body.

A whole body takes the same steps as a stream, so that both give one answer. `tool_plan` and
`citations` have no field of ours and go to the metadata; the plan is told once, when it is whole.

Sources: "Streaming Responses" and "Chat API" of https://docs.cohere.com.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from beluga_llm import ChatRequest, EmptyResponseError, FinishReason, StreamChunk
from beluga_llm.plugin import (
    PING,
    Decoder,
    InBandError,
    JsonError,
    ToolCallDelta,
    dumps,
    loads,
    provider_options,
)
from beluga_llm_cohere._finish import FAILURES, finish_reason
from beluga_llm_cohere._messages import TOOL_PLAN
from beluga_llm_cohere._wire import (
    arguments_text,
    as_object,
    as_objects,
    as_text,
    extras,
    read_content_delta,
    read_usage,
)

_PINGS = ("ping", "keepalive", "keep-alive", "heartbeat")
_UNNAMED = ("", "message")  # "message" is the standard's name for an event without one
_DELTA_START = b'{"type":"content-delta"'
_MESSAGE_FIELDS = ("role", "content", "tool_calls", TOOL_PLAN, "citations")
_NOTHING: Sequence[StreamChunk] = ()
JsonObject = dict[str, Any]


class CohereDecoder(Decoder):
    """Decodes one answer.

    Args:
        request: what was asked.
        provider: the entry name, for errors.
        new_id: makes the id of a call that came without one.
    """

    def __init__(self, request: ChatRequest, *, provider: str, new_id: Callable[[], str]) -> None:
        self._provider = provider
        self._model = request.options.model
        self._streaming = request.streaming
        self._logprobs = _wants_logprobs(request, provider)
        self._new_id = new_id
        self._id = ""
        self._plan: list[str] = []
        self._plan_told = True
        self._citations: list[JsonObject] = []
        self._calls: dict[Any, int] = {}
        self._count = 0
        self._handlers: dict[str, Callable[[JsonObject], Sequence[StreamChunk]]] = {
            "message-start": self._on_start,
            "content-start": self._on_content,
            "content-delta": self._on_content,
            "content-end": lambda event: _NOTHING,
            "tool-plan-delta": self._on_plan,
            "tool-call-start": self._on_call_start,
            "tool-call-delta": self._on_call_delta,
            "tool-call-end": lambda event: _NOTHING,
            "citation-start": self._on_citation,
            "citation-end": lambda event: _NOTHING,
            "message-end": self._on_end,
            **dict.fromkeys(_PINGS, lambda event: PING),
        }

    def feed(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        """The chunks of one event, or of a whole body."""
        if event == "content-delta" or data.startswith(_DELTA_START):
            chunks = self._feed_delta(data)
            if chunks is not None:
                return chunks
        elif event == "error":
            raise InBandError(data)
        elif event in _PINGS or (self._streaming and not data.strip()):
            return PING
        elif data.strip() == b"[DONE]":
            return _NOTHING
        known = event in self._handlers or event in _UNNAMED
        try:
            value = loads(data)
        except JsonError:
            if known:
                raise
            return _NOTHING
        return self._feed_any(event, as_object(value), data)

    def finish(self) -> Sequence[StreamChunk]:
        """A plan that was cut off, and the model that was asked: the API names none."""
        return (*self._tell_plan(), StreamChunk(model_id=self._model))

    def _feed_delta(self, data: bytes) -> Sequence[StreamChunk] | None:
        """The chunks of a `content-delta` of the usual shape; None for any other."""
        try:
            event = read_content_delta(data)
        except JsonError:
            return None
        content = event.delta.message.content
        return _said(content.text, content.thinking, event.index)

    def _feed_any(self, name: str, event: JsonObject, data: bytes) -> Sequence[StreamChunk]:
        kind = as_text(event.get("type"))
        if handler := self._handlers.get(kind) or (not kind and self._handlers.get(name)) or None:
            return handler(event)
        if isinstance(event.get("message"), dict):
            return self._on_whole(event)
        if event.get("error") or (event.get("message") and isinstance(event["message"], str)):
            raise InBandError(data)
        if not self._streaming:
            raise EmptyResponseError("the answer is no message", provider=self._provider)
        return _NOTHING

    # --- the events of a stream -----------------------------------------------------------------

    def _on_start(self, event: JsonObject) -> Sequence[StreamChunk]:
        self._id = as_text(event.get("id"))
        message = as_object(as_object(event.get("delta")).get("message"))
        head = StreamChunk(response_id=self._id or None, metadata=extras(message, *_MESSAGE_FIELDS))
        return (head, *self._read_message(message))

    def _on_content(self, event: JsonObject) -> Sequence[StreamChunk]:
        content = _in_delta(event, "content")
        if isinstance(content, str):
            content = {"text": content}
        content = as_object(content)
        chunks = _said(
            as_text(content.get("text")), as_text(content.get("thinking")), event.get("index")
        )
        if self._logprobs and event.get("logprobs"):
            return (*chunks, StreamChunk(logprobs=as_objects(event["logprobs"])))
        return chunks

    def _on_plan(self, event: JsonObject) -> Sequence[StreamChunk]:
        self._add_plan(_in_delta(event, TOOL_PLAN))
        return _NOTHING

    def _on_call_start(self, event: JsonObject) -> Sequence[StreamChunk]:
        calls = as_objects(_in_delta(event, "tool_calls"))
        begun = (self._begin_call(call, event.get("index")) for call in calls)
        return (*self._tell_plan(), *begun)

    def _on_call_delta(self, event: JsonObject) -> Sequence[StreamChunk]:
        number = self._calls.get(_hashable(event.get("index")), self._count - 1)
        calls = as_objects(_in_delta(event, "tool_calls"))
        texts = [arguments_text(as_object(c.get("function")).get("arguments")) for c in calls]
        if number < 0 or not any(texts):
            return _NOTHING
        return (StreamChunk(tool_calls=(ToolCallDelta(number, arguments="".join(texts)),)),)

    def _on_citation(self, event: JsonObject) -> Sequence[StreamChunk]:
        return self._cite(_in_delta(event, "citations"))

    def _on_end(self, event: JsonObject) -> Sequence[StreamChunk]:
        end = as_object(event.get("delta"))
        known = ("finish_reason", "usage", "error")
        last = self._last(end, extras(end, *known))
        self._raise_failure(end, last)
        self.complete = self.ended = True
        return last

    # --- a whole body ---------------------------------------------------------------------------

    def _on_whole(self, body: JsonObject) -> Sequence[StreamChunk]:
        message = body["message"]
        self._id = as_text(body.get("id"))
        chunks = [StreamChunk(response_id=self._id or None)]
        chunks.extend(self._read_message(message))
        if self._logprobs and body.get("logprobs"):
            chunks.append(StreamChunk(logprobs=as_objects(body["logprobs"])))
        known = ("id", "message", "finish_reason", "usage", "logprobs", "error")
        more = {**extras(message, *_MESSAGE_FIELDS), **extras(body, *known)}
        chunks.extend(self._last(body, more))
        self._raise_failure(body, chunks)
        self.complete = self.ended = True
        return chunks

    def _read_message(self, message: JsonObject) -> Iterator[StreamChunk]:
        content = message.get("content")
        items = [{"text": content}] if isinstance(content, str) else content
        for index, item in enumerate(items if isinstance(items, list) else ()):
            block = as_object(item)
            yield from _said(as_text(block.get("text")), as_text(block.get("thinking")), index)
        self._add_plan(message.get(TOOL_PLAN))
        yield from self._tell_plan()
        for index, call in enumerate(as_objects(message.get("tool_calls"))):
            yield self._begin_call(call, index)
        yield from self._cite(message.get("citations"))

    # --- what both have -------------------------------------------------------------------------

    def _begin_call(self, call: JsonObject, index: Any) -> StreamChunk:
        number = self._calls[_hashable(index)] = self._count
        self._count += 1
        function = as_object(call.get("function"))
        delta = ToolCallDelta(
            number,
            as_text(call.get("id")) or self._new_id(),
            as_text(function.get("name")),
            arguments_text(function.get("arguments")),
        )
        return StreamChunk(tool_calls=(delta,))

    def _add_plan(self, text: Any) -> None:
        if as_text(text):
            self._plan.append(text)
            self._plan_told = False

    def _tell_plan(self) -> Sequence[StreamChunk]:
        if self._plan_told:
            return _NOTHING
        self._plan_told = True
        return (StreamChunk(metadata={TOOL_PLAN: "".join(self._plan)}),)

    def _cite(self, citations: Any) -> Sequence[StreamChunk]:
        found = as_objects(citations)
        if not found:
            return _NOTHING
        self._citations += found
        return (StreamChunk(metadata={"citations": list(self._citations)}),)

    def _last(self, fields: JsonObject, metadata: JsonObject) -> Sequence[StreamChunk]:
        """The plan if it was not told, and why and at what cost the answer ended."""
        word, report = as_text(fields.get("finish_reason")), as_object(fields.get("usage"))
        reason = finish_reason(word) if word else FinishReason.STOP
        if word in FAILURES:
            reason = FinishReason.ERROR
        elif reason is FinishReason.STOP and self._count:
            reason = FinishReason.TOOL_CALLS
        return (
            *self._tell_plan(),
            StreamChunk(
                finish_reason=reason,
                raw_finish_reason=word or None,
                usage=read_usage(report),
                metadata={**metadata, **({"usage": report} if report else {})},
            ),
        )

    def _raise_failure(self, fields: JsonObject, chunks: Sequence[StreamChunk]) -> None:
        """Raises for an answer that ended in an error, which the API says in its finish reason."""
        word, said = as_text(fields.get("finish_reason")), fields.get("error")
        if word not in FAILURES and not said:
            return
        text = as_text(said) or as_text(as_object(said).get("message"))
        message = text or f"the answer ended with {word or 'an error'}"
        code = word if word in FAILURES else "ERROR"
        failure = {"message": message, "code": code, "id": self._id}
        raise InBandError(dumps(failure), chunks)


def _said(text: str, thinking: str, index: Any) -> Sequence[StreamChunk]:
    """Text and thinking of the block with a number."""
    number = index if isinstance(index, int) else 0
    if text and not thinking:
        return (StreamChunk(text, part_index=number),)
    if thinking:
        thought = StreamChunk(reasoning_delta=thinking, part_index=number)
        return (thought, StreamChunk(text, part_index=number)) if text else (thought,)
    return _NOTHING


def _in_delta(event: JsonObject, name: str) -> Any:
    """What an event says of the message, or what its delta says itself."""
    delta = as_object(event.get("delta"))
    found = as_object(delta.get("message")).get(name)
    return delta.get(name) if found is None else found


def _hashable(index: Any) -> Any:
    return index if isinstance(index, int | str) else None


def _wants_logprobs(request: ChatRequest, provider: str) -> bool:
    options = request.options
    return bool(
        options.logprobs
        or options.top_logprobs is not None
        or provider_options(request, provider).get("logprobs")
        or options.extra_body.get("logprobs")
    )

"""The decoder of the Responses API, for streams and whole bodies.

Events are known by `type` in their data; an `event:` line is not needed. What they add up to is
kept in `Output`; this file says what each event means, and what the end of an answer tells.

Sources: https://platform.openai.com/docs/api-reference/responses-streaming and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from beluga_llm import _json
from beluga_llm._chunks import StreamChunk
from beluga_llm._dialects.openai_responses_facts import (
    extras_of,
    failure_of,
    finish_of,
    usage_of,
)
from beluga_llm._dialects.openai_responses_items import REMEMBERED, entries, name_of, text_of
from beluga_llm._dialects.openai_responses_output import Output, OutputItem
from beluga_llm._errors import EmptyResponseError
from beluga_llm._http.dialect import PING, Decoder, InBandError
from beluga_llm._usage import FinishReason


class _Event(msgspec.Struct):
    """An event; fields are of any type, because servers send null where OpenAI sends a string."""

    type: Any = None
    delta: Any = None
    output_index: Any = None
    content_index: Any = None
    summary_index: Any = None
    item_id: Any = None
    item: Any = None
    response: Any = None


_decode = _json.typed(_Event)

_PINGS = frozenset(("keepalive", "keep-alive", "ping", "heartbeat"))
_ENDS = ("completed", "incomplete", "failed", "cancelled")


class ResponsesDecoder(Decoder):
    """Reads one answer.

    Args:
        provider: whose reasoning it is.
        model: the model id where the answer names none.
        new_id: makes the id of a call that came without one.
        logprobs: whether log-probabilities were asked for; some servers always send them.
        streaming: whether events come, and not one whole body.
    """

    def __init__(
        self,
        provider: str,
        *,
        model: str | None,
        new_id: Callable[[], str],
        logprobs: bool,
        streaming: bool,
    ) -> None:
        self._output = Output(provider, logprobs=logprobs)
        self._model = model
        self._new_id = new_id
        self._streaming = streaming
        self._begun = False
        self._item: OutputItem | None = None
        self._place: tuple[Any, Any, Any] | None = None
        self._number: int | None = None

    def feed(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        """The chunks of one event, or of a whole body."""
        if data == b"[DONE]":  # OpenRouter sends it; it proves nothing here
            return ()
        try:
            frame = _decode(data)
        except _json.JsonError:
            return self._on_other_data(event, data)
        kind = frame.type or event
        if kind == "response.output_text.delta":
            return self._on_text(frame)
        self._item = None
        handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is not None:
            return handler(self, frame, data)
        return () if kind and self._streaming else self._on_body(data)

    def _on_other_data(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        """Data that are no object: how some servers and proxies say that they are alive."""
        if event == "error":
            raise InBandError(data)
        if self._streaming:
            if event in _PINGS or not data.strip():
                return PING
            if event and event not in _HANDLERS:
                return ()
        value = _json.loads(data)
        if self._streaming and value is None:
            return ()
        raise _json.JsonError("not a JSON object")

    # --- pieces of items -------------------------------------------------------------------------

    def _on_text(self, frame: _Event) -> Sequence[StreamChunk]:
        """A delta of the text that the last event was about, which is nearly all, goes fast."""
        if not (delta := text_of(frame.delta)):
            return ()
        place = (frame.output_index, frame.item_id, frame.content_index)
        if self._item is not None and place == self._place:
            self._item.said += len(delta)
            return (StreamChunk(delta, part_index=self._number),)
        item = self._output.item("message", frame.output_index, frame.item_id)
        chunk = self._output.text(item, frame.content_index, delta)
        self._item, self._place, self._number = item, place, chunk.part_index
        return (chunk,)

    def _on_refusal(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        if not (delta := text_of(frame.delta)):
            return ()
        item = self._output.item("message", frame.output_index, frame.item_id)
        return (self._output.refusal(item, delta),)

    def _on_summary(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        return self._on_reasoning(frame, "summary", frame.summary_index)

    def _on_reasoning_text(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        return self._on_reasoning(frame, "content", frame.content_index)

    def _on_reasoning(self, frame: _Event, kind: str, place: Any) -> Sequence[StreamChunk]:
        if not (delta := text_of(frame.delta)):
            return ()
        item = self._output.item("reasoning", frame.output_index, frame.item_id)
        return (self._output.reasoning(item, kind, place, delta),)

    def _on_arguments(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        if not (delta := text_of(frame.delta)):
            return ()
        item = self._output.item("function_call", frame.output_index, frame.item_id)
        return (self._output.arguments(item, delta),)

    # --- entries of items, whole -----------------------------------------------------------------

    def _on_text_done(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        return self._on_entry(frame, data, "text", frame.content_index)

    def _on_summary_done(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        return self._on_entry(frame, data, "summary", frame.summary_index)

    def _on_reasoning_text_done(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        return self._on_entry(frame, data, "content", frame.content_index)

    def _on_entry(self, frame: _Event, data: bytes, kind: str, place: Any) -> Sequence[StreamChunk]:
        if not (text := text_of(_json.loads(data).get("text"))):
            return ()
        owner = "message" if kind == "text" else "reasoning"
        item = self._output.item(owner, frame.output_index, frame.item_id)
        return self._output.entry(item, kind, place, text)

    def _on_refusal_done(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        if not (text := text_of(_json.loads(data).get("refusal"))):
            return ()
        item = self._output.item("message", frame.output_index, frame.item_id)
        return () if item.refused else (self._output.refusal(item, text),)

    def _on_arguments_done(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        raw = _json.loads(data)
        if not raw.get("arguments"):
            return ()
        item = self._output.item("function_call", frame.output_index, frame.item_id)
        return self._output.fill_call(item, raw)

    # --- items -----------------------------------------------------------------------------------

    def _on_item_added(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        raw = frame.item
        if not isinstance(raw, dict):
            return ()
        item = self._output.open(text_of(raw.get("type")), frame.output_index, raw.get("id"))
        return (self._output.call(item, raw),) if item.kind == "function_call" else ()

    def _on_item_done(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        raw = frame.item
        if not isinstance(raw, dict):
            return ()
        name, kind = name_of(raw, "id"), text_of(raw.get("type"))
        item = self._output.find(frame.output_index, name)
        if item is not None and item.done and item.id == name:
            return ()
        if item is None or item.done or item.kind != kind:
            item = self._output.open(kind, frame.output_index, name)
        item.done = True
        return self._output.complete(item, raw)

    # --- the answer ------------------------------------------------------------------------------

    def _on_begin(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        response = frame.response
        if self._begun or not isinstance(response, dict):
            return ()
        self._begun = True
        model = name_of(response, "model")
        self._model = model or self._model
        return (StreamChunk(model_id=model, response_id=name_of(response, "id")),)

    def _on_end(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        return self._conclude(frame.response if isinstance(frame.response, dict) else {})

    def _on_failed(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        raise failure_of(frame.response if isinstance(frame.response, dict) else {})

    def _on_error(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        raise InBandError(data)

    def _on_ping(self, frame: _Event, data: bytes) -> Sequence[StreamChunk]:
        return PING

    def _on_body(self, data: bytes) -> Sequence[StreamChunk]:
        body = _json.loads(data)
        if self._streaming and not _is_answer(body):
            return ()
        if body.get("error") and "output" not in body:
            raise InBandError(data)
        return self._conclude(body)

    def _conclude(self, response: Mapping[str, Any]) -> Sequence[StreamChunk]:
        if response.get("error") or response.get("status") == "failed":
            raise failure_of(response)
        output = self._output
        chunks = output.complete_all(entries(response.get("output")))
        raw_finish, finish = finish_of(response)
        if not output.items and finish is FinishReason.STOP:
            raise EmptyResponseError("the answer has no output", body=dict(response) or None)
        chunks += output.conclude(self._new_id)
        if finish is FinishReason.STOP and any(item.refused for item in output.items):
            finish = FinishReason.CONTENT_FILTER
        elif finish is FinishReason.STOP and output.calls:
            finish = FinishReason.TOOL_CALLS
        metadata = extras_of(response)
        if memory := output.remembered():
            metadata[REMEMBERED] = memory
        chunks.append(
            StreamChunk(
                finish_reason=finish,
                raw_finish_reason=raw_finish,
                usage=usage_of(response.get("usage")),
                model_id=name_of(response, "model") or self._model,
                response_id=name_of(response, "id"),
                metadata=metadata,
            )
        )
        self.complete = self.ended = True
        return chunks


def _is_answer(body: Mapping[str, Any]) -> bool:
    """Whether an object without a type, among events, is the answer or an error."""
    return "output" in body or bool(body.get("error")) or body.get("status") in _ENDS


_HANDLERS: Mapping[str, Callable[[ResponsesDecoder, _Event, bytes], Sequence[StreamChunk]]] = {
    "response.refusal.delta": ResponsesDecoder._on_refusal,
    "response.reasoning_summary_text.delta": ResponsesDecoder._on_summary,
    "response.reasoning_text.delta": ResponsesDecoder._on_reasoning_text,
    "response.function_call_arguments.delta": ResponsesDecoder._on_arguments,
    "response.output_text.done": ResponsesDecoder._on_text_done,
    "response.refusal.done": ResponsesDecoder._on_refusal_done,
    "response.reasoning_summary_text.done": ResponsesDecoder._on_summary_done,
    "response.reasoning_text.done": ResponsesDecoder._on_reasoning_text_done,
    "response.function_call_arguments.done": ResponsesDecoder._on_arguments_done,
    "response.output_item.added": ResponsesDecoder._on_item_added,
    "response.output_item.done": ResponsesDecoder._on_item_done,
    "response.created": ResponsesDecoder._on_begin,
    "response.queued": ResponsesDecoder._on_begin,
    "response.in_progress": ResponsesDecoder._on_begin,
    "response.completed": ResponsesDecoder._on_end,
    "response.incomplete": ResponsesDecoder._on_end,
    "response.failed": ResponsesDecoder._on_failed,
    "error": ResponsesDecoder._on_error,
    **dict.fromkeys(_PINGS, ResponsesDecoder._on_ping),
}

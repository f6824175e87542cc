"""Frames of the Messages API into chunks: a stream's events, or the one message of a whole body.

A whole body takes the same steps as a stream, block by block, so that both give one answer.

Blocks are numbered on the wire. Chunks carry another number, the block's place among those that
become a part or a call: blocks that stay empty have none, so that an answer goes back in the order
in which it came. What has no field of ours is kept (`_kept.py`).

Sources: "Streaming messages" and "Citations" of the Claude Platform docs. Also read: blocks that
start with content, and events of other names, as some compatible servers send them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from beluga_llm import EmptyResponseError, FinishReason, StreamChunk
from beluga_llm.plugin import (
    PING,
    REFUSED,
    Decoder,
    InBandError,
    JsonError,
    ToolCallDelta,
    loads,
)
from beluga_llm_anthropic._finish import finish_reason
from beluga_llm_anthropic._kept import KeptBlocks
from beluga_llm_anthropic._usage import UsageCounter, usage_extras
from beluga_llm_anthropic._wire import (
    TextAnswer,
    TextDelta,
    ThinkingDelta,
    as_object,
    as_text,
    extras,
    index_of,
    initial_input,
    read_answer,
    read_delta,
    whole_inputs,
)

_PINGS = ("ping", "keepalive", "keep-alive", "heartbeat")
_UNNAMED = ("", "message")  # "message" is the standard's name for an event without one
_DELTA_START = b'{"type":"content_block_delta"'
_MESSAGE_FIELDS = ("id", "type", "role", "model", "content", "stop_reason", "usage")
_NOTHING: Sequence[StreamChunk] = ()


class _Call:
    """A call whose arguments are coming; `input` is what its block started with."""

    __slots__ = ("input", "number", "place")

    def __init__(self, number: int, place: int, input: str) -> None:
        self.number = number
        self.place = place
        self.input = input


class AnthropicDecoder(Decoder):
    """Decodes one answer."""

    def __init__(
        self, provider: str, *, model: str | None, streaming: bool, new_id: Callable[[], str]
    ) -> None:
        """A decoder.

        Args:
            provider: whose signatures these are.
            model: the model that was asked, for answers that name none.
            streaming: whether a stream was asked for.
            new_id: makes the id of a call that came without one.
        """
        self._provider = provider
        self._model = model
        self._streaming = streaming
        self._new_id = new_id
        self._places: dict[int, int] = {}
        self._calls: dict[int, _Call] = {}
        self._call_count = 0
        self._kept = KeptBlocks(provider)
        self._texts: dict[int, tuple[int, list[str]]] = {}
        self._usage = UsageCounter()
        self._handlers: dict[str, Callable[[dict[str, Any]], Sequence[StreamChunk]]] = {
            "message_start": self._on_start,
            "content_block_start": self._on_block_start,
            "content_block_delta": self._on_block_delta,
            "content_block_stop": self._on_block_stop,
            "message_delta": self._on_message_delta,
            "message_stop": self._on_stop,
            **dict.fromkeys(_PINGS, lambda event: PING),
        }

    def feed(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        """The chunks of one event, or of a whole body."""
        if event == "content_block_delta" or data.startswith(_DELTA_START):
            try:
                read = read_delta(data)
            except REFUSED:
                pass
            else:
                index, delta = read.index, read.delta
                if index in self._kept.open:
                    pass
                elif isinstance(delta, TextDelta):
                    return self._text(index, delta.text)
                elif isinstance(delta, ThinkingDelta):
                    return self._thought(index, delta.thinking)
                else:
                    return self._arguments(index, delta.partial_json)
        elif event == "error":
            raise InBandError(data)
        elif not (self._streaming or event) and (answer := read_answer(data)) is not None:
            return self._on_text(answer)
        elif event in _PINGS or (self._streaming and not data.strip()):
            return PING
        known = event in self._handlers or event in _UNNAMED
        try:
            value = loads(data)
        except JsonError:
            if known:
                raise
            return _NOTHING
        return self._feed_any(value, event, data, known=known)

    def finish(self) -> Sequence[StreamChunk]:
        """The model that was asked, where the answer names none."""
        return (StreamChunk(model_id=self._model),) if self._model is not None else _NOTHING

    # --- deltas, the hot path ---------------------------------------------------------------

    def _text(self, index: int, text: str) -> Sequence[StreamChunk]:
        if not text:
            return _NOTHING
        place, pieces = self._texts.get(index) or self._begin_pieces(index)
        pieces.append(text)
        return (StreamChunk(text, part_index=place),)

    def _thought(self, index: int, text: str) -> Sequence[StreamChunk]:
        if not text:
            return _NOTHING
        return (StreamChunk("", text, part_index=self._place(index)),)

    def _place(self, index: int) -> int:
        place = self._places.get(index)
        if place is None:
            place = self._places[index] = len(self._places)
        return place

    def _begin_pieces(self, index: int) -> tuple[int, list[str]]:
        found = self._texts[index] = (self._place(index), self._kept.texts[index])
        return found

    def _opaque(
        self, index: int, *, signature: str | None = None, redacted_data: str | None = None
    ) -> Sequence[StreamChunk]:
        if not (signature or redacted_data):
            return _NOTHING
        return (
            StreamChunk(
                part_index=self._place(index),
                signature=signature,
                redacted_data=redacted_data,
                provider=self._provider,
            ),
        )

    def _arguments(self, index: int, text: str) -> Sequence[StreamChunk]:
        call = self._calls.get(index)
        if call is None or not text:
            return _NOTHING
        call.input = ""
        delta = ToolCallDelta(call.number, arguments=text)
        return (StreamChunk(tool_calls=(delta,), part_index=call.place),)

    # --- all other events -------------------------------------------------------------------

    def _feed_any(
        self, value: Any, name: str, data: bytes, *, known: bool
    ) -> Sequence[StreamChunk]:
        event = as_object(value)
        kind = as_text(event.get("type"))
        if not kind and "delta" in event:
            kind = name
        if handler := self._handlers.get(kind):
            return handler(event)
        if kind == "error" or event.get("error"):
            raise InBandError(data)
        if kind == "message" or (known and not kind and "content" in event):
            return self._on_whole(event, data)
        if not self._streaming:
            raise EmptyResponseError("the answer is no message", provider=self._provider)
        return _NOTHING

    def _on_start(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        message = as_object(event.get("message"))
        usage = as_object(message.get("usage"))
        model = as_text(message.get("model"))
        if model:
            self._model = None
        return (
            StreamChunk(
                model_id=model or None,
                response_id=as_text(message.get("id")) or None,
                usage=self._usage.add(usage),
                metadata={**extras(message, *_MESSAGE_FIELDS), **usage_extras(usage)},
            ),
        )

    def _on_block_start(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        block = as_object(event.get("content_block"))
        return self._begin(index_of(event), block, initial_input(block))

    def _begin(self, index: int, block: dict[str, Any], input: str) -> Sequence[StreamChunk]:
        kind = block.get("type")
        if kind == "text":
            return self._begin_text(index, block)
        if kind == "thinking":
            thought = self._thought(index, as_text(block.get("thinking")))
            return (*thought, *self._opaque(index, signature=as_text(block.get("signature"))))
        if kind == "redacted_thinking":
            return self._opaque(index, redacted_data=as_text(block.get("data")))
        if kind == "tool_use":
            return self._begin_call(index, block, input)
        self._kept.begin(index, block, len(self._places))
        return _NOTHING

    def _begin_text(self, index: int, block: dict[str, Any]) -> Sequence[StreamChunk]:
        chunks = self._text(index, as_text(block.get("text")))
        citations = block.get("citations")
        for citation in citations if isinstance(citations, list) else ():
            self._kept.cite(citation, index, self._place(index))
        return chunks

    def _begin_call(self, index: int, block: dict[str, Any], input: str) -> Sequence[StreamChunk]:
        call = self._calls[index] = _Call(self._call_count, self._place(index), input)
        self._call_count += 1
        call_id = as_text(block.get("id")) or self._new_id()
        delta = ToolCallDelta(call.number, call_id, as_text(block.get("name")))
        return (StreamChunk(tool_calls=(delta,), part_index=call.place),)

    def _on_block_delta(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        index, delta = index_of(event), as_object(event.get("delta"))
        if index in self._kept.open:
            self._kept.grow(index, delta)
            return _NOTHING
        kind = delta.get("type")
        if kind == "citations_delta":
            self._kept.cite(delta.get("citation"), index, self._place(index))
        elif kind == "text_delta":
            return self._text(index, as_text(delta.get("text")))
        elif kind == "thinking_delta":
            return self._thought(index, as_text(delta.get("thinking")))
        elif kind == "input_json_delta":
            return self._arguments(index, as_text(delta.get("partial_json")))
        elif kind == "signature_delta":
            return self._opaque(index, signature=as_text(delta.get("signature")))
        return _NOTHING

    def _on_block_stop(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        index = index_of(event)
        if (call := self._calls.get(index)) is not None:
            return self._arguments(index, call.input)
        metadata = self._kept.end(index)
        return (StreamChunk(metadata=metadata),) if metadata else _NOTHING

    def _on_message_delta(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        delta, usage = as_object(event.get("delta")), as_object(event.get("usage"))
        reason = as_text(delta.get("stop_reason"))
        explanation = as_text(as_object(delta.get("stop_details")).get("explanation"))
        if reason:
            self.complete = True
        return (
            StreamChunk(
                refusal_delta=explanation if reason == "refusal" else "",
                finish_reason=self._finish_reason(reason) if reason else None,
                raw_finish_reason=reason or None,
                usage=self._usage.add(usage),
                metadata={
                    **extras(event, "type", "delta", "usage"),
                    **extras(delta, "stop_reason"),
                    **usage_extras(usage),
                },
            ),
        )

    def _finish_reason(self, reason: str) -> FinishReason:
        found = finish_reason(reason)
        calls_instead = found is FinishReason.STOP and self._call_count > 0
        return FinishReason.TOOL_CALLS if calls_instead else found

    def _on_stop(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        chunks = []
        if not self.complete:
            chunks.append(StreamChunk(finish_reason=self._finish_reason("end_turn")))
        if metadata := extras(event, "type"):
            chunks.append(StreamChunk(metadata=metadata))
        self.complete = self.ended = True
        return chunks

    def _on_text(self, answer: TextAnswer) -> Sequence[StreamChunk]:
        """The one chunk of a whole body that is one text."""
        self.complete = self.ended = True
        if answer.model:
            self._model = None
        usage = answer.usage or {}
        metadata = usage_extras(usage)
        if answer.stop_sequence is not None:
            metadata = {"stop_sequence": answer.stop_sequence, **metadata}
        return (
            StreamChunk(
                answer.content[0].text,
                part_index=0,
                finish_reason=self._finish_reason(answer.stop_reason),
                raw_finish_reason=answer.stop_reason,
                usage=self._usage.add(usage),
                model_id=answer.model or None,
                response_id=answer.id or None,
                metadata=metadata,
            ),
        )

    def _on_whole(self, message: dict[str, Any], data: bytes) -> Sequence[StreamChunk]:
        content, reason = message.get("content"), message.get("stop_reason")
        if not isinstance(content, list):
            if not reason:
                raise EmptyResponseError("the answer has no content", provider=self._provider)
            content = []
        inputs = whole_inputs(data, content)
        chunks = [*self._on_start({"message": message})]
        for index, block in enumerate(content):
            chunks.extend(self._begin(index, as_object(block), inputs[index]))
            chunks.extend(self._on_block_stop({"index": index}))
        last = {"stop_reason": reason, "stop_details": message.get("stop_details")}
        chunks.extend(self._on_message_delta({"delta": last}))
        chunks.extend(self._on_stop({}))
        return chunks

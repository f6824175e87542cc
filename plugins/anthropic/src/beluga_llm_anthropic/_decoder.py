"""Frames of the Messages API into chunks: a stream's events, or the one message of a whole body.

A whole body takes the same steps as a stream, block by block, so that both give one answer. There
are quick ways beside this one: `_answer` for a usual whole answer, `_going_on` for deltas.

Sources: "Streaming messages" and "Citations" of the Claude Platform docs. Also read: blocks that
start with content, and events of other names, as some compatible servers send them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from beluga_llm import EmptyResponseError, FinishReason, StreamChunk
from beluga_llm.plugin import (
    PING,
    REFUSED,
    Decoder,
    Frame,
    InBandError,
    JsonError,
    loads,
)
from beluga_llm_anthropic._content import NOTHING, Blocks
from beluga_llm_anthropic._finish import finish_reason
from beluga_llm_anthropic._going_on import GoingOn
from beluga_llm_anthropic._usage import UsageCounter, usage_extras
from beluga_llm_anthropic._wire import (
    TextDelta,
    ThinkingDelta,
    as_object,
    as_text,
    extras,
    index_of,
    initial_input,
    read_delta,
    whole_inputs,
)

_PINGS = ("ping", "keepalive", "keep-alive", "heartbeat")
_UNNAMED = ("", "message")  # "message" is the standard's name for an event without one
_DELTA_START = b'{"type":"content_block_delta"'
_MESSAGE_FIELDS = ("id", "type", "role", "model", "content", "stop_reason", "usage")


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
        self._blocks = Blocks(provider, new_id)
        self._going_on = GoingOn()
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
        self._going_on.forget()
        if event == "content_block_delta" or data.startswith(_DELTA_START):
            chunks = self._feed_delta(event, data)
            if chunks is not None:
                return chunks
        elif event == "error":
            raise InBandError(data)
        elif event in _PINGS or (self._streaming and not data.strip()):
            return PING
        known = event in self._handlers or event in _UNNAMED
        try:
            value = loads(data)
        except JsonError:
            if known:
                raise
            return NOTHING
        return self._feed_any(value, event, data, known=known)

    def feed_on(self, frames: Iterator[Frame]) -> tuple[Frame | None, Sequence[StreamChunk]]:
        """The chunks of deltas that are alike; see `Decoder`."""
        return self._going_on.read_on(frames)

    def finish(self) -> Sequence[StreamChunk]:
        """The model that was asked, where the answer names none."""
        return (StreamChunk(model_id=self._model),) if self._model is not None else NOTHING

    # --- deltas -------------------------------------------------------------------------------

    def _feed_delta(self, event: str, data: bytes) -> Sequence[StreamChunk] | None:
        """The chunks of a usual delta; None for any other."""
        try:
            read = read_delta(data)
        except REFUSED:
            return None
        index, delta, pieces = read.index, read.delta, None
        if index in self._blocks.kept.open:
            return None
        if isinstance(delta, TextDelta):
            field, chunks = "text", self._blocks.text(index, delta.text)
            pieces = self._blocks.kept.texts[index]
        elif isinstance(delta, ThinkingDelta):
            field, chunks = "thinking", self._blocks.thought(index, delta.thinking)
        else:
            field, chunks = "partial_json", self._blocks.arguments(index, delta.partial_json)
        if chunks and self._streaming:
            self._going_on.expect((event, data), field, chunks[0], pieces=pieces)
        return chunks

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
        return NOTHING

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
        return self._blocks.begin(index_of(event), block, initial_input(block))

    def _on_block_delta(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        return self._blocks.go_on(index_of(event), as_object(event.get("delta")))

    def _on_block_stop(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        return self._blocks.end(index_of(event))

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
        calls_instead = found is FinishReason.STOP and self._blocks.calls > 0
        return FinishReason.TOOL_CALLS if calls_instead else found

    def _on_stop(self, event: dict[str, Any]) -> Sequence[StreamChunk]:
        chunks = []
        if not self.complete:
            chunks.append(StreamChunk(finish_reason=self._finish_reason("end_turn")))
        if metadata := extras(event, "type"):
            chunks.append(StreamChunk(metadata=metadata))
        self.complete = self.ended = True
        return chunks

    def _on_whole(self, message: dict[str, Any], data: bytes) -> Sequence[StreamChunk]:
        content, reason = message.get("content"), message.get("stop_reason")
        if not isinstance(content, list):
            if not reason:
                raise EmptyResponseError("the answer has no content", provider=self._provider)
            content = []
        inputs = whole_inputs(data, content)
        chunks = [*self._on_start({"message": message})]
        for index, block in enumerate(content):
            chunks.extend(self._blocks.begin(index, as_object(block), inputs[index]))
            chunks.extend(self._blocks.end(index))
        last = {"stop_reason": reason, "stop_details": message.get("stop_details")}
        chunks.extend(self._on_message_delta({"delta": last}))
        chunks.extend(self._on_stop({}))
        return chunks

"""Anthropic's messages, as the server writes them.

Blocks come one after the other. `input_tokens` on the wire leaves out what was read from and
written to the cache; ours includes it.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from beluga_llm._chunks import StreamChunk, ToolCallDelta
from beluga_llm._http.encoding import blocks
from beluga_llm._messages import AIMessage
from beluga_llm._parts import ContentPart, TextPart, ThinkingPart
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall
from beluga_llm._usage import FinishReason, Usage
from beluga_llm.testing._wire import (
    Encoder,
    Facts,
    Failure,
    JsonObject,
    Terms,
    Wire,
    event,
    without_none,
)
from beluga_llm.testing._wire_chat import COUNTED, arguments_object
from beluga_llm.testing._wire_messages_request import read_messages_request

_FINISH = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
}
_INVALID = "invalid_request_error"

ANTHROPIC_TERMS: Mapping[str, Terms] = {
    "auth_error": Terms(401, "authentication_error", None, "invalid x-api-key"),
    "permission_denied": Terms(
        403, "permission_error", None, "Your API key does not have permission to use the resource."
    ),
    "not_found": Terms(404, "not_found_error", None, "model: not found"),
    "rate_limit": Terms(
        429, "rate_limit_error", None, "This request would exceed your organization's rate limit."
    ),
    "quota_exceeded": Terms(
        402, "billing_error", None, "Your credit balance is too low to access the API."
    ),
    "timeout": Terms(504, "timeout_error", None, "Request timed out."),
    "context_length": Terms(
        400, _INVALID, None, "prompt is too long: 210000 tokens > 200000 maximum"
    ),
    "content_filter": Terms(400, _INVALID, None, "Output blocked by content filtering policy"),
    "invalid_input": Terms(400, _INVALID, None, "Invalid request."),
    "overloaded": Terms(529, "overloaded_error", None, "Overloaded"),
    "provider_unavailable": Terms(500, "api_error", None, "Internal server error"),
}


class MessagesWire(Wire):
    """`POST /v1/messages`."""

    name = "messages"
    path = "/messages"
    base = ""
    request_id = "request-id"
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    terms = ANTHROPIC_TERMS
    carries = frozenset(
        (
            "thinking", "signature", "redacted", "call_ids", "model_id", "response_id",
            "cached_tokens", "reasoning_tokens", "refusal", "content_filter", "error_code",
        )
    )  # fmt: skip

    def read(self, body: Mapping[str, Any]) -> ChatRequest:
        """The request that a body means."""
        return read_messages_request(body)

    def encoder(self, facts: Facts) -> MessagesEncoder:
        """The writer of a streamed answer."""
        return MessagesEncoder(facts)

    def whole(self, message: AIMessage, facts: Facts) -> JsonObject:
        """A whole answer."""
        usual = FinishReason.TOOL_CALLS if message.tool_calls else FinishReason.STOP
        word = _FINISH.get(message.finish_reason or usual, "end_turn")
        return {
            **_head(facts),
            "content": [*filter(None, map(_block, blocks(message)))],
            "stop_reason": message.raw_finish_reason or word,
            "stop_sequence": None,
            "stop_details": _stop_details(message.refusal),
            "usage": messages_usage(facts.told(message.usage, *COUNTED, always=True)),
            **message.provider_metadata,
        }

    def error_body(self, failure: Failure, request_id: str = "") -> JsonObject:
        """The body of an error answer."""
        terms = self.said(failure)
        return {
            "type": "error",
            "error": {"type": failure.word or terms.type, "message": terms.message},
            "request_id": request_id or None,
        }


class MessagesEncoder(Encoder):
    """Writes the events of one answer."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._blocks = 0
        self._open: tuple[str, int | str | None] | None = None
        self._signature = ""
        self._called: set[int | str | None] = set()
        self._refusal = ""

    def begin(self) -> Sequence[bytes]:
        """`message_start`."""
        usage = messages_usage(self._told(self.facts.usage))
        if "output_tokens" in usage:
            usage["output_tokens"] = 1
        message = {
            **_head(self.facts),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": usage,
        }
        return (self.event({"type": "message_start", "message": message}),)

    def content(self, chunk: StreamChunk) -> Sequence[bytes]:
        """The events of the blocks that the chunk belongs to."""
        return [*self._content(chunk)]

    def _content(self, chunk: StreamChunk) -> Iterator[bytes]:
        index = chunk.part_index
        self._refusal += chunk.refusal_delta
        if chunk.redacted_data is not None and not chunk.reasoning_delta:
            yield from self._redacted(chunk.redacted_data)
        elif chunk.reasoning_delta or (chunk.signature is not None and not chunk.delta):
            yield from self._thinking(chunk.reasoning_delta, chunk.signature, index)
        if chunk.delta:
            yield from self._text(chunk.delta, index)
        for part in chunk.parts:
            yield from self._whole(part, index)
        for delta in chunk.tool_calls:
            yield from self._call(delta)

    def finish(self) -> Sequence[bytes]:
        """`message_delta` with stop reason and usage."""
        stop = {
            "stop_reason": self.finish_word(_FINISH),
            "stop_sequence": None,
            "stop_details": _stop_details(self._refusal),
            **self.metadata,
        }
        data = {
            "type": "message_delta",
            "delta": stop,
            "usage": messages_usage(self._told(self.usage)),
        }
        return [*self._close(), self.event(data)]

    def end(self) -> Sequence[bytes]:
        """`message_stop`."""
        return (self.event({"type": "message_stop"}),)

    def error(self, failure: Failure) -> Sequence[bytes]:
        """The event `error`."""
        body = MessagesWire().error_body(failure)
        return (self.event({"type": "error", "error": body["error"]}),)

    def _told(self, usage: Usage) -> Usage:
        return self.facts.told(usage, *COUNTED, always=True)

    def event(self, data: JsonObject) -> bytes:
        """One event on the wire."""
        return event(data, data["type"])

    # --- blocks ----------------------------------------------------------------------------------

    def _text(self, text: str, index: int | None) -> Iterator[bytes]:
        if self._open != ("text", index):
            yield from self._begin("text", index, {"type": "text", "text": ""})
        yield self._delta({"type": "text_delta", "text": text})

    def _thinking(self, text: str, signature: str | None, index: int | None) -> Iterator[bytes]:
        if self._open != ("thinking", index):
            block = {"type": "thinking", "thinking": "", "signature": ""}
            yield from self._begin("thinking", index, block)
        if text:
            yield self._delta({"type": "thinking_delta", "thinking": text})
        self._signature += signature or ""

    def _redacted(self, data: str) -> Iterator[bytes]:
        yield from self._begin("redacted", None, {"type": "redacted_thinking", "data": data})
        yield from self._close()

    def _whole(self, part: ContentPart, index: int | None) -> Iterator[bytes]:
        if isinstance(part, TextPart):
            yield from self._begin("text", index, {"type": "text", "text": ""})
            if part.text:
                yield self._delta({"type": "text_delta", "text": part.text})
        elif isinstance(part, ThinkingPart) and part.redacted_data is not None:
            yield from self._redacted(part.redacted_data)
        elif isinstance(part, ThinkingPart):
            yield from self._thinking(part.text, part.signature, index)

    def _call(self, delta: ToolCallDelta) -> Iterator[bytes]:
        name = delta.id if delta.index is None else delta.index
        fresh = self._open is None or self._open[0] != "call"
        if fresh or (name is not None and self._open != ("call", name)):
            if name in self._called:
                raise ValueError("Anthropic sends one tool call after the other")
            self._called.add(name)
            block = {
                "type": "tool_use",
                "id": delta.id or "",
                "name": delta.name or "",
                "input": {},
            }
            yield from self._begin("call", name, block)
            yield self._delta({"type": "input_json_delta", "partial_json": ""})
        if delta.arguments and delta.arguments != "{}":
            yield self._delta({"type": "input_json_delta", "partial_json": delta.arguments})

    def _begin(self, kind: str, name: int | str | None, block: JsonObject) -> Iterator[bytes]:
        yield from self._close()
        self._open = kind, name
        data = {"type": "content_block_start", "index": self._blocks, "content_block": block}
        yield self.event(data)
        self._blocks += 1

    def _delta(self, delta: JsonObject) -> bytes:
        data = {"type": "content_block_delta", "index": self._blocks - 1, "delta": delta}
        return self.event(data)

    def _close(self) -> Iterator[bytes]:
        if self._open is None:
            return
        if self._signature:
            yield self._delta({"type": "signature_delta", "signature": self._signature})
            self._signature = ""
        data = {"type": "content_block_stop", "index": self._blocks - 1}
        yield self.event(data)
        self._open = None


def _head(facts: Facts) -> JsonObject:
    return {
        "id": facts.response_id or facts.id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": facts.model,
    }


def _stop_details(refusal: str | None) -> JsonObject | None:
    if not refusal:
        return None
    return {"type": "refusal", "category": None, "explanation": refusal}


def _block(block: ContentPart | ToolCall) -> JsonObject | None:
    if isinstance(block, ToolCall):
        arguments = arguments_object(block.arguments)
        return {"type": "tool_use", "id": block.id, "name": block.name, "input": arguments}
    if isinstance(block, TextPart):
        return {"type": "text", "text": block.text}
    if isinstance(block, ThinkingPart) and block.redacted_data is not None:
        return {"type": "redacted_thinking", "data": block.redacted_data}
    if isinstance(block, ThinkingPart):
        return {"type": "thinking", "thinking": block.text, "signature": block.signature or ""}
    return None


def messages_usage(usage: Usage) -> JsonObject:
    """Token counts under Anthropic's names."""
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    total = usage.input_tokens
    thinking = usage.reasoning_tokens
    return without_none(
        input_tokens=None if total is None else max(total - cached - written, 0),
        cache_creation_input_tokens=usage.cache_write_tokens,
        cache_read_input_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        output_tokens_details=None if thinking is None else {"thinking_tokens": thinking},
    )

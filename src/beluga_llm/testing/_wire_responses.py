"""The Responses API, as the server writes it.

An answer is a row of output items; only the newest is open. A whole answer is what the last event
of its stream holds. Encrypted reasoning is `redacted_data` of a ThinkingPart, its text the summary.

Source: https://platform.openai.com/docs/api-reference/responses-streaming and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from beluga_llm._chunks import StreamChunk, ToolCallDelta
from beluga_llm._messages import AIMessage
from beluga_llm._request import ChatRequest
from beluga_llm._usage import FinishReason, Usage
from beluga_llm.testing._pieces import in_wire_order
from beluga_llm.testing._wire import (
    CREATED,
    Encoder,
    Facts,
    Failure,
    JsonObject,
    Wire,
    encode,
    event,
    without_none,
)
from beluga_llm.testing._wire_chat import OPENAI_TERMS, openai_error
from beluga_llm.testing._wire_responses_items import (
    CallItem,
    Item,
    Key,
    MessageItem,
    ReasoningItem,
    is_reasoning,
)
from beluga_llm.testing._wire_responses_request import read_responses_request

T = TypeVar("T", bound=Item)

_INCOMPLETE = {
    FinishReason.LENGTH: "max_output_tokens",
    FinishReason.CONTENT_FILTER: "content_filter",
}
_COUNTED = (
    "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens",
)  # fmt: skip
"""What every usage has."""


class ResponsesWire(Wire):
    """`POST /responses`."""

    name = "responses"
    path = "/responses"
    terms = OPENAI_TERMS
    carries = frozenset(
        (
            "thinking", "redacted", "call_ids", "model_id", "response_id", "cached_tokens",
            "reasoning_tokens", "refusal", "content_filter", "error_code",
        )
    )  # fmt: skip

    def read(self, body: Mapping[str, Any]) -> ChatRequest:
        """The request that a body means."""
        return read_responses_request(body)

    def encoder(self, facts: Facts) -> ResponsesEncoder:
        """The writer of a streamed answer."""
        return ResponsesEncoder(facts)

    def whole(self, message: AIMessage, facts: Facts) -> JsonObject:
        """A whole answer."""
        encoder = ResponsesEncoder(facts)
        encode(encoder, in_wire_order(message))
        return encoder.response(encoder.outcome)

    def error_body(self, failure: Failure, request_id: str = "") -> JsonObject:
        """The body of an error answer."""
        return {"error": openai_error(self.said(failure))}


class ResponsesEncoder(Encoder):
    """Writes the events of one answer."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._events: list[bytes] = []
        self._sent = 0
        self._output: list[JsonObject] = []
        self._open: Item | None = None
        self._called: set[int | str | None] = set()
        self._logprobs: Any = None
        self._refused = False

    def begin(self) -> Sequence[bytes]:
        """`created` and `in_progress`."""
        self._emit("response.created", response=self.response("in_progress"))
        self._emit("response.in_progress", response=self.response("in_progress"))
        return self._taken()

    def content(self, chunk: StreamChunk) -> Sequence[bytes]:
        """The events of the items that the chunk belongs to."""
        index = chunk.part_index
        if chunk.logprobs is not None:
            self._logprobs = chunk.logprobs
        if is_reasoning(chunk):
            thought = self._item(ReasoningItem, ("reasoning", chunk.item_id or index))
            thought.add(chunk, chunk.item_id)
        elif chunk.delta:
            self._item(MessageItem, ("message", None)).add("output_text", chunk.delta, index)
        if chunk.refusal_delta:
            self._refused = True
            self._item(MessageItem, ("message", None)).add("refusal", chunk.refusal_delta, None)
        for delta in chunk.tool_calls:
            self._call(delta).add(delta)
        return self._taken()

    def finish(self) -> Sequence[bytes]:
        """Closes the last item; finish reason and usage stand in the last event."""
        if self._open is None and not self._output:
            self._item(MessageItem, ("message", None)).add("output_text", "", None)
        self._close()
        return self._taken()

    def end(self) -> Sequence[bytes]:
        """`completed`, `incomplete` or `failed`."""
        outcome = self.outcome
        self._emit(f"response.{outcome}", response=self.response(outcome))
        return self._taken()

    def error(self, failure: Failure) -> Sequence[bytes]:
        """The event `error`."""
        terms = ResponsesWire().said(failure)
        self._emit("error", code=terms.code or terms.type, message=terms.message, param=None)
        return self._taken()

    @property
    def outcome(self) -> str:
        """How the answer ended: completed, incomplete or failed."""
        if self.finish_reason is FinishReason.ERROR:
            return "failed"
        cut = self.finish_reason in _INCOMPLETE and not self._refused
        return "incomplete" if cut else "completed"

    def response(self, status: str) -> JsonObject:
        """The object of the whole answer, as it is now."""
        over = status != "in_progress"
        request = self.facts.request
        reason = _INCOMPLETE.get(self.finish_reason or FinishReason.STOP)
        failed = {"code": "server_error", "message": "The model failed to answer."}
        return {
            "id": self.facts.response_id or self.facts.id("resp_"),
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "background": False,
            "error": failed if status == "failed" else None,
            "incomplete_details": {"reason": reason} if status == "incomplete" else None,
            "instructions": request.get("instructions"),
            "max_output_tokens": request.get("max_output_tokens"),
            "max_tool_calls": None,
            "model": self.facts.model,
            "output": list(self._output),
            "parallel_tool_calls": request.get("parallel_tool_calls", True),
            "previous_response_id": request.get("previous_response_id"),
            "prompt_cache_key": None,
            "reasoning": {"effort": None, "summary": None, **(request.get("reasoning") or {})},
            "safety_identifier": None,
            "service_tier": "default",
            "store": request.get("store", True),
            "temperature": request.get("temperature", 1.0),
            "text": {"format": {"type": "text"}, **(request.get("text") or {})},
            "tool_choice": request.get("tool_choice", "auto"),
            "tools": request.get("tools", []),
            "top_logprobs": 0,
            "top_p": request.get("top_p", 1.0),
            "truncation": "disabled",
            "usage": responses_usage(self.facts.told(self.usage, *_COUNTED)) if over else None,
            "metadata": request.get("metadata") or {},
            **self.metadata,
        }

    # --- items and events ------------------------------------------------------------------------

    def _item(self, kind: type[T], key: Key) -> T:
        """The open item of this key; a new one closes the one before."""
        if isinstance(self._open, kind) and self._open.key == key:
            return self._open
        self._close()
        self._open = fresh = kind(key, len(self._output), self._emit, self.facts)
        return fresh

    def _call(self, delta: ToolCallDelta) -> CallItem:
        name = delta.id if delta.index is None else delta.index
        if name is None and isinstance(self._open, CallItem):
            return self._open
        is_open = self._open is not None and self._open.key == ("call", name)
        if name in self._called and not is_open:
            raise ValueError("the Responses API sends one tool call after the other")
        self._called.add(name)
        return self._item(CallItem, ("call", name))

    def _close(self) -> None:
        if self._open is not None:
            cut = self.finish_reason is FinishReason.LENGTH
            done = self._open.close("incomplete" if cut else "completed", self._logprobs)
            self._output.append(done)
            self._open = None

    def _emit(self, kind: str, **fields: Any) -> None:
        data = {"type": kind, **fields, "sequence_number": self._sent}
        self._sent += 1
        self._events.append(event(data, kind))

    def _taken(self) -> Sequence[bytes]:
        events, self._events = self._events, []
        return events


def responses_usage(usage: Usage) -> JsonObject | None:
    """Token counts under the names of the Responses API; None where nothing is known."""
    inputs = without_none(
        cached_tokens=usage.cached_tokens, cache_write_tokens=usage.cache_write_tokens
    )
    outputs = without_none(reasoning_tokens=usage.reasoning_tokens)
    return (
        without_none(
            input_tokens=usage.input_tokens,
            input_tokens_details=inputs or None,
            output_tokens=usage.output_tokens,
            output_tokens_details=outputs or None,
            total_tokens=usage.total_tokens,
        )
        or None
    )

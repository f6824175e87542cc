"""Chat completions, as the server writes them.

Source: https://platform.openai.com/docs/api-reference/chat and recorded traffic. Reasoning is sent
in `reasoning_content`, as DeepSeek and many compatible servers do; OpenAI itself sends none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from beluga_llm import _json
from beluga_llm._chunks import StreamChunk, ToolCallDelta
from beluga_llm._messages import AIMessage
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall
from beluga_llm._usage import FinishReason, Usage
from beluga_llm.testing._wire import (
    CREATED,
    Encoder,
    Facts,
    Failure,
    JsonObject,
    Terms,
    Wire,
    event,
    without_none,
)
from beluga_llm.testing._wire_chat_request import read_chat_request

_FINISH = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.ERROR: "error",
}
_INVALID = "invalid_request_error"
COUNTED = ("input_tokens", "output_tokens")
"""What every usage has."""

OPENAI_TERMS: Mapping[str, Terms] = {
    "auth_error": Terms(401, _INVALID, "invalid_api_key", "Incorrect API key provided."),
    "permission_denied": Terms(
        403, _INVALID, "missing_scope", "You have insufficient permissions for this operation."
    ),
    "not_found": Terms(
        404,
        _INVALID,
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    "rate_limit": Terms(429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    "quota_exceeded": Terms(
        429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."
    ),
    "timeout": Terms(408, "timeout", None, "Request timed out."),
    "context_length": Terms(
        400,
        _INVALID,
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens.",
    ),
    "content_filter": Terms(
        400, _INVALID, "content_policy_violation", "The request was rejected by the safety system."
    ),
    "invalid_input": Terms(400, _INVALID, None, "Invalid request."),
    "overloaded": Terms(
        503, "server_error", "server_overloaded", "The engine is currently overloaded."
    ),
    "provider_unavailable": Terms(
        500, "server_error", None, "The server had an error while processing your request."
    ),
}


def openai_error(terms: Terms) -> JsonObject:
    """The error object of OpenAI's APIs."""
    return {"message": terms.message, "type": terms.type, "param": None, "code": terms.code}


class ChatWire(Wire):
    """`POST /chat/completions`."""

    name = "chat"
    path = "/chat/completions"
    empty: ClassVar[JsonObject | None] = {"choices": []}
    terms = OPENAI_TERMS
    carries = frozenset(
        (
            "thinking", "call_ids", "model_id", "response_id", "cached_tokens", "reasoning_tokens",
            "refusal", "content_filter", "error_code",
        )
    )  # fmt: skip

    def read(self, body: Mapping[str, Any]) -> ChatRequest:
        """The request that a body means."""
        return read_chat_request(body)

    def encoder(self, facts: Facts) -> ChatEncoder:
        """The writer of a streamed answer."""
        return ChatEncoder(facts)

    def whole(self, message: AIMessage, facts: Facts) -> JsonObject:
        """A whole answer."""
        answers = (message, *message.alternatives)
        return {
            "id": facts.response_id or facts.id("chatcmpl-"),
            "object": "chat.completion",
            "created": CREATED,
            "model": facts.model,
            "choices": [_choice(index, answer) for index, answer in enumerate(answers)],
            **without_none(usage=chat_usage(facts.told(message.usage, *COUNTED))),
            "service_tier": "default",
            **message.provider_metadata,
        }

    def error_body(self, failure: Failure, request_id: str = "") -> JsonObject:
        """The body of an error answer."""
        return {"error": openai_error(self.said(failure))}


class ChatEncoder(Encoder):
    """Writes `chat.completion.chunk` objects."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._finishes: dict[int, str] = {}
        self._logprobs: dict[int, Any] = {}
        self._calling: set[int] = set()
        self._refused: set[int] = set()
        self._ids: dict[int, list[str]] = {}
        options = facts.request.get("stream_options")
        asked = isinstance(options, Mapping) and bool(options.get("include_usage"))
        self._asks_usage = asked or facts.usage_unasked

    def begin(self) -> Sequence[bytes]:
        """The chunk with the role."""
        return self._choice_begins(0)

    def content(self, chunk: StreamChunk) -> Sequence[bytes]:
        """A chunk for each kind of content."""
        events: list[bytes] = []
        choice = chunk.choice
        if choice not in self._finishes:
            events += self._choice_begins(choice)
        deltas: list[JsonObject] = []
        if chunk.reasoning_delta:
            deltas.append({"reasoning_content": chunk.reasoning_delta})
        if chunk.delta:
            deltas.append({"content": chunk.delta})
        if chunk.refusal_delta:
            deltas.append({"refusal": chunk.refusal_delta})
            self._refused.add(choice)
        deltas += [{"tool_calls": [self._call(delta, choice)]} for delta in chunk.tool_calls]
        if chunk.finish_reason is not None or chunk.raw_finish_reason is not None:
            refused = choice in self._refused
            word = _finish_word(chunk.finish_reason or FinishReason.STOP, refused=refused)
            self._finishes[choice] = chunk.raw_finish_reason or word
        if chunk.logprobs is not None:
            self._logprobs[choice] = chunk.logprobs
        return [*events, *(self._chunk(delta, choice) for delta in deltas)]

    def finish(self) -> Sequence[bytes]:
        """A chunk with the finish reason for each choice, then the usage where it was asked."""
        events = [
            self._chunk({}, choice, finish=word or self._usual(choice))
            for choice, word in self._finishes.items()
        ]
        usage = chat_usage(self.facts.told(self.usage, *COUNTED))
        if self._asks_usage and usage is not None:
            events.append(event({**self._frame(), "choices": [], "usage": usage}))
        return events

    def end(self) -> Sequence[bytes]:
        """The end marker."""
        return (b"data: [DONE]\n\n",)

    def error(self, failure: Failure) -> Sequence[bytes]:
        """An error object where a chunk should be."""
        return (event(ChatWire().error_body(failure)),)

    def _usual(self, choice: int) -> str:
        return "tool_calls" if choice in self._calling else "stop"

    def _choice_begins(self, choice: int) -> Sequence[bytes]:
        self._finishes[choice] = ""
        return (self._chunk({"role": "assistant", "content": "", "refusal": None}, choice),)

    def _frame(self) -> JsonObject:
        return {
            "id": self.facts.response_id or self.facts.id("chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": self.facts.model,
            "service_tier": "default",
            **self.metadata,
        }

    def _chunk(self, delta: JsonObject, choice: int, finish: str | None = None) -> bytes:
        logprobs = self._logprobs.pop(choice, None)
        body = {
            **self._frame(),
            "choices": [
                {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
            ],
        }
        if self._asks_usage:
            body["usage"] = None
        return event(body)

    def _call(self, delta: ToolCallDelta, choice: int) -> JsonObject:
        self._calling.add(choice)
        ids = self._ids.setdefault(choice, [])
        index = delta.index
        if index is None:
            index = ids.index(delta.id) if delta.id in ids else len(ids) - (not delta.id)
        if delta.id and delta.id not in ids:
            ids.append(delta.id)
        function = without_none(name=delta.name, arguments=delta.arguments)
        head = {"id": delta.id, "type": "function"} if delta.id else {}
        return {"index": max(index, 0), **head, "function": function}


def _choice(index: int, message: AIMessage) -> JsonObject:
    usual = FinishReason.TOOL_CALLS if message.tool_calls else FinishReason.STOP
    word = _finish_word(message.finish_reason or usual, refused=message.refusal is not None)
    return {
        "index": index,
        "message": {
            "role": "assistant",
            **({"reasoning_content": message.thinking} if message.thinking else {}),
            "content": message.text if message.text or not message.tool_calls else None,
            **({"tool_calls": list(map(_call, message.tool_calls))} if message.tool_calls else {}),
            "refusal": message.refusal,
            "annotations": [],
        },
        "logprobs": message.logprobs,
        "finish_reason": message.raw_finish_reason or word,
    }


def _finish_word(reason: FinishReason, *, refused: bool) -> str:
    """OpenAI says "stop" with a refusal."""
    return "stop" if refused else _FINISH.get(reason, "stop")


def _call(call: ToolCall) -> JsonObject:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def chat_usage(usage: Usage) -> JsonObject | None:
    """Token counts under the names of chat completions; None where nothing is known."""
    inputs = without_none(
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        audio_tokens=usage.audio_input_tokens,
    )
    outputs = without_none(
        reasoning_tokens=usage.reasoning_tokens, audio_tokens=usage.audio_output_tokens
    )
    return (
        without_none(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
            prompt_tokens_details=inputs or None,
            completion_tokens_details=outputs or None,
        )
        or None
    )


def arguments_object(text: str) -> Any:
    """Arguments as an object, where a format wants one; `{}` for what is none."""
    try:
        value = _json.loads(text)
    except _json.JsonError:
        return {}
    return value if isinstance(value, dict) else {}

"""Ollama's own API, as the server writes it: lines of JSON, of which the last says `done`.

Calls of tools come whole, after the text; the reason of an answer with calls is "stop". Errors are
only texts; those that Ollama has no text for are written as other vendors say them.

Source: https://docs.ollama.com/api/chat and https://docs.ollama.com/api/errors
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from beluga_llm import _json
from beluga_llm._chunks import StreamChunk
from beluga_llm._messages import AIMessage
from beluga_llm._parts import TextPart, ThinkingPart
from beluga_llm._request import ChatRequest
from beluga_llm._tool_merge import ToolCallAccumulator
from beluga_llm._tool_types import ToolCall
from beluga_llm._usage import FinishReason, Usage
from beluga_llm.testing._wire import (
    Encoder,
    Facts,
    Failure,
    JsonObject,
    Terms,
    Wire,
    without_none,
)
from beluga_llm.testing._wire_chat import arguments_object
from beluga_llm.testing._wire_ollama_request import read_ollama_request

MADE = "2025-01-01T00:00:00Z"
"""When every line was made."""

_FINISH = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "stop",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.ERROR: "error",
}
_DURATIONS = {"total_duration": 1_500_000_000, "load_duration": 500_000_000}


def _terms(status: int, message: str) -> Terms:
    return Terms(status, "", None, message)


OLLAMA_TERMS: Mapping[str, Terms] = {
    "auth_error": _terms(401, "unauthorized"),
    "permission_denied": _terms(403, "this model requires a subscription, upgrade for access"),
    "not_found": _terms(404, "model 'fake-model' not found"),
    "rate_limit": _terms(429, "too many concurrent requests"),
    "quota_exceeded": _terms(429, "you have reached your session usage limit"),
    "timeout": _terms(504, "request timed out"),
    "context_length": _terms(400, "the input length exceeds the context length"),
    "content_filter": _terms(400, "Output blocked by content filtering policy"),
    "invalid_input": _terms(400, "registry.ollama.ai/library/fake-model does not support tools"),
    "overloaded": _terms(503, "server busy, please try again.  maximum pending requests exceeded"),
    "provider_unavailable": _terms(500, "an error was encountered while running the model"),
}


class OllamaWire(Wire):
    """`POST /api/chat`."""

    name = "ollama"
    path = "/api/chat"
    base = ""
    stream_type = "application/x-ndjson"
    ping = b""
    comment = b"\n"
    empty: ClassVar[JsonObject | None] = {"done": True}
    terms = OLLAMA_TERMS
    carries = frozenset(("thinking", "call_ids", "model_id", "cached_tokens", "content_filter"))

    def streams(self, path: str, body: Mapping[str, Any]) -> bool:
        """Whether a request asks for a stream, as it does where it says nothing."""
        return body.get("stream") is not False

    def read(self, body: Mapping[str, Any]) -> ChatRequest:
        """The request that a body means."""
        return read_ollama_request(body)

    def encoder(self, facts: Facts) -> OllamaEncoder:
        """The writer of a streamed answer."""
        return OllamaEncoder(facts)

    def whole(self, message: AIMessage, facts: Facts) -> JsonObject:
        """A whole answer."""
        said: JsonObject = {"role": "assistant", "content": message.text or message.refusal or ""}
        if message.thinking:
            said["thinking"] = message.thinking
        if message.tool_calls:
            said["tool_calls"] = [_call(*numbered) for numbered in enumerate(message.tool_calls)]
        word = _FINISH.get(message.finish_reason or FinishReason.STOP, "stop")
        return {
            **_line(facts, said),
            **_end(message.raw_finish_reason or word, message.usage),
            **without_none(logprobs=message.logprobs),
            **message.provider_metadata,
        }

    def error_body(self, failure: Failure, request_id: str = "") -> JsonObject:
        """The body of an error answer."""
        return {"error": self.said(failure).message}


class OllamaEncoder(Encoder):
    """Writes the lines of one answer."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._calls = ToolCallAccumulator()

    def begin(self) -> Sequence[bytes]:
        """Nothing: the first line is content."""
        return ()

    def content(self, chunk: StreamChunk) -> Sequence[bytes]:
        """A line for each kind of content; calls are kept until they are whole."""
        for delta in chunk.tool_calls:
            self._calls.add(delta)
        lines = [_line(self.facts, {"role": "assistant", **said}) for said in _said(chunk)]
        if chunk.logprobs is not None:
            lines = [*lines, _line(self.facts, {"role": "assistant", "content": ""})]
            lines[-1]["logprobs"] = chunk.logprobs
        return [_written(line) for line in lines]

    def finish(self) -> Sequence[bytes]:
        """The calls, then the last line with finish reason and usage."""
        said: JsonObject = {"role": "assistant", "content": ""}
        calls = [
            _line(self.facts, {**said, "tool_calls": [_call(*numbered)]})
            for numbered in enumerate(self._calls.calls())
        ]
        end = _end(self.finish_word(_FINISH), self.usage)
        last = {**_line(self.facts, said), **end, **self.metadata}
        return [_written(line) for line in (*calls, last)]

    def end(self) -> Sequence[bytes]:
        """Nothing: the last line is the end."""
        return ()

    def error(self, failure: Failure) -> Sequence[bytes]:
        """A line with the error."""
        return (_written(OllamaWire().error_body(failure)),)


def _said(chunk: StreamChunk) -> Iterator[JsonObject]:
    """Thinking, then text: deltas, and what comes as a whole part."""
    thoughts = [part.text for part in chunk.parts if isinstance(part, ThinkingPart)]
    texts = [part.text for part in chunk.parts if isinstance(part, TextPart)]
    for thought in filter(None, (chunk.reasoning_delta, *thoughts)):
        yield {"content": "", "thinking": thought}
    for text in filter(None, (chunk.delta, chunk.refusal_delta, *texts)):
        yield {"content": text}


def _line(facts: Facts, message: JsonObject) -> JsonObject:
    return {"model": facts.model, "created_at": MADE, "message": message, "done": False}


def _end(word: str, usage: Usage) -> JsonObject:
    counts = without_none(
        prompt_eval_count=usage.input_tokens,
        prompt_eval_cached_count=usage.cached_tokens,
        eval_count=usage.output_tokens,
    )
    return {"done": True, "done_reason": word, **_DURATIONS, **counts}


def _call(index: int, call: ToolCall) -> JsonObject:
    function = {"index": index, "name": call.name, "arguments": arguments_object(call.arguments)}
    return {**without_none(id=call.id or None), "function": function}


def _written(line: JsonObject) -> bytes:
    return _json.dumps(line) + b"\n"

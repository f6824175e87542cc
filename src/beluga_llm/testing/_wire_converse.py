"""Amazon Bedrock's Converse, as the server writes it.

The model stands in the path, and the path says whether a stream is asked for. Streams are binary
event streams. Texts and reasoning have no `contentBlockStart`; the token counts come last, after
`messageStop`, in an event of their own. `inputTokens` on the wire leaves out what was read from
and written to the cache; ours includes it.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
and recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import unquote

from beluga_llm import _json
from beluga_llm._chunks import StreamChunk, ToolCallDelta
from beluga_llm._http.encoding import blocks
from beluga_llm._messages import AIMessage
from beluga_llm._parts import ContentPart, TextPart, ThinkingPart
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall
from beluga_llm._usage import FinishReason, Usage
from beluga_llm.testing._aws_events import AWS_EVENTS, aws_event, aws_exception
from beluga_llm.testing._wire import (
    Encoder,
    Facts,
    Failure,
    JsonObject,
    Terms,
    Wire,
    without_none,
)
from beluga_llm.testing._wire_chat import COUNTED, arguments_object
from beluga_llm.testing._wire_converse_request import read_converse_request

_PATH = re.compile(r"/model/(.+)/converse(-stream)?$")
_FINISH = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "content_filtered",
    FinishReason.ERROR: "malformed_model_output",
}
_METRICS = {"latencyMs": 1}
_INVALID = "ValidationException"
_DOWN = "ServiceUnavailableException"

CONVERSE_TERMS: Mapping[str, Terms] = {
    "auth_error": Terms(
        403,
        "UnrecognizedClientException",
        None,
        "The security token included in the request is invalid.",
    ),
    "permission_denied": Terms(
        403, "AccessDeniedException", None, "You don't have access to the model."
    ),
    "not_found": Terms(
        404, "ResourceNotFoundException", None, "The specified model was not found."
    ),
    "rate_limit": Terms(
        429,
        "ThrottlingException",
        None,
        "Too many requests, please wait before trying again.",
    ),
    "quota_exceeded": Terms(
        400,
        "ServiceQuotaExceededException",
        None,
        "Your request exceeds the service quota for your account.",
    ),
    "timeout": Terms(408, "ModelTimeoutException", None, "Processing took too long."),
    "context_length": Terms(400, _INVALID, None, "Input is too long for requested model."),
    "content_filter": Terms(
        400,
        _INVALID,
        None,
        "The model returned the following errors: Output blocked by content filtering policy",
    ),
    "invalid_input": Terms(400, _INVALID, None, "Malformed input request."),
    "overloaded": Terms(503, _DOWN, None, "The model is overloaded. Please try again."),
    "provider_unavailable": Terms(
        500, "InternalServerException", None, "The system encountered an unexpected error."
    ),
}


class ConverseWire(Wire):
    """`POST /model/{id}/converse` and `/model/{id}/converse-stream`."""

    name = "converse"
    path = "/converse"
    base = ""
    stream_type = AWS_EVENTS
    ping = b""
    comment = b""
    request_id = "x-amzn-requestid"
    empty: ClassVar[JsonObject | None] = {"output": {}, "metrics": _METRICS}
    terms = CONVERSE_TERMS
    carries = frozenset(
        (
            "thinking", "signature", "redacted", "call_ids", "cached_tokens", "content_filter",
            "error_code",
        )
    )  # fmt: skip

    def matches(self, path: str) -> bool:
        """Whether this is the path of one of its endpoints."""
        return _PATH.search(path) is not None

    def streams(self, path: str, body: Mapping[str, Any]) -> bool:
        """Whether a request asks for a stream."""
        return path.endswith("-stream")

    def asked(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The body, with the model and the wish for a stream, which stand in the path."""
        found = _PATH.search(path)
        model = unquote(found[1]) if found else None
        return {**body, "model": model, "stream": self.streams(path, body)}

    def read(self, body: Mapping[str, Any]) -> ChatRequest:
        """The request that a body means."""
        return read_converse_request(body)

    def encoder(self, facts: Facts) -> ConverseEncoder:
        """The writer of a streamed answer."""
        return ConverseEncoder(facts)

    def whole(self, message: AIMessage, facts: Facts) -> JsonObject:
        """A whole answer."""
        usual = FinishReason.TOOL_CALLS if message.tool_calls else FinishReason.STOP
        word = _FINISH.get(message.finish_reason or usual, "end_turn")
        content = [*filter(None, map(_block, blocks(message)))]
        return {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": message.raw_finish_reason or word,
            "usage": converse_usage(facts.told(message.usage, *COUNTED, always=True)),
            "metrics": _METRICS,
            **message.provider_metadata,
        }

    def error_body(self, failure: Failure, request_id: str = "") -> JsonObject:
        """The body of an error answer, which does not say its type."""
        return {"message": self.said(failure).message}

    def error_headers(self, failure: Failure) -> Mapping[str, str]:
        """The type of an error, with the suffix that AWS gives it."""
        source = "http://internal.amazon.com/coral/com.amazon.bedrock/"
        return {"x-amzn-errortype": f"{self._type(failure)}:{source}"}

    def exception(self, failure: Failure) -> bytes:
        """An exception inside of a stream, whose name begins with a small letter."""
        kind = self._type(failure)
        return aws_exception(kind[:1].lower() + kind[1:], _json.dumps(self.error_body(failure)))

    def _type(self, failure: Failure) -> str:
        terms = self.said(failure)
        return terms.code or terms.type


class ConverseEncoder(Encoder):
    """Writes the events of one answer."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._blocks = 0
        self._open: tuple[str, int | str | None] | None = None
        self._called: set[int | str | None] = set()

    def begin(self) -> Sequence[bytes]:
        """`messageStart`."""
        return (_event("messageStart", {"role": "assistant"}),)

    def content(self, chunk: StreamChunk) -> Sequence[bytes]:
        """The events of the blocks that the chunk belongs to."""
        return [*self._content(chunk)]

    def _content(self, chunk: StreamChunk) -> Iterator[bytes]:
        index = chunk.part_index
        if chunk.redacted_data is not None:
            yield from self._redacted(chunk.redacted_data)
        if chunk.reasoning_delta:
            yield from self._reasoning(index, text=chunk.reasoning_delta)
        if chunk.signature is not None and not chunk.delta:
            yield from self._reasoning(index, signature=chunk.signature)
        if chunk.delta:
            yield from self._text(chunk.delta, index)
        for part in chunk.parts:
            yield from self._whole(part, index)
        for delta in chunk.tool_calls:
            yield from self._call(delta)

    def finish(self) -> Sequence[bytes]:
        """`messageStop`."""
        word = self.finish_word(_FINISH)
        return [*self._close(), _event("messageStop", {"stopReason": word})]

    def end(self) -> Sequence[bytes]:
        """`metadata` with the usage."""
        usage = self.facts.told(self.usage, *COUNTED, always=True)
        told = {"usage": converse_usage(usage), "metrics": _METRICS}
        return (_event("metadata", {**told, **self.metadata}),)

    def error(self, failure: Failure) -> Sequence[bytes]:
        """An exception."""
        return (ConverseWire().exception(failure),)

    # --- blocks ----------------------------------------------------------------------------------

    def _text(self, text: str, index: int | None) -> Iterator[bytes]:
        yield from self._go_on("text", index)
        yield self._delta({"text": text})

    def _reasoning(self, index: int | None, **delta: str) -> Iterator[bytes]:
        yield from self._go_on("reasoning", index)
        yield self._delta({"reasoningContent": delta})

    def _redacted(self, data: str) -> Iterator[bytes]:
        yield from self._go_on("redacted", None)
        yield self._delta({"reasoningContent": {"redactedContent": data}})
        yield from self._close()

    def _whole(self, part: ContentPart, index: int | None) -> Iterator[bytes]:
        if isinstance(part, TextPart):
            yield from self._text(part.text, index)
        elif isinstance(part, ThinkingPart) and part.redacted_data is not None:
            yield from self._redacted(part.redacted_data)
        elif isinstance(part, ThinkingPart):
            yield from self._reasoning(index, text=part.text)
            if part.signature is not None:
                yield from self._reasoning(index, signature=part.signature)

    def _call(self, delta: ToolCallDelta) -> Iterator[bytes]:
        name = delta.id if delta.index is None else delta.index
        fresh = self._open is None or self._open[0] != "call"
        if fresh or (name is not None and self._open != ("call", name)):
            if name in self._called:
                raise ValueError("Bedrock sends one tool call after the other")
            self._called.add(name)
            yield from self._close()
            self._open = "call", name
            use = {"toolUseId": delta.id or "", "name": delta.name or ""}
            yield self._of_block("contentBlockStart", start={"toolUse": use})
        if delta.arguments and delta.arguments != "{}":
            yield self._delta({"toolUse": {"input": delta.arguments}})

    def _go_on(self, kind: str, index: int | None) -> Iterator[bytes]:
        if self._open != (kind, index):
            yield from self._close()
            self._open = kind, index

    def _delta(self, delta: JsonObject) -> bytes:
        return self._of_block("contentBlockDelta", delta=delta)

    def _of_block(self, kind: str, **fields: Any) -> bytes:
        return _event(kind, {**fields, "contentBlockIndex": self._blocks})

    def _close(self) -> Iterator[bytes]:
        if self._open is not None:
            yield self._of_block("contentBlockStop")
            self._blocks += 1
            self._open = None


def _event(kind: str, fields: JsonObject) -> bytes:
    return aws_event(kind, _json.dumps(fields))


def _block(block: ContentPart | ToolCall) -> JsonObject | None:
    if isinstance(block, ToolCall):
        use = {"toolUseId": block.id, "name": block.name}
        return {"toolUse": {**use, "input": arguments_object(block.arguments)}}
    if isinstance(block, TextPart):
        return {"text": block.text}
    if isinstance(block, ThinkingPart) and block.redacted_data is not None:
        return {"reasoningContent": {"redactedContent": block.redacted_data}}
    if isinstance(block, ThinkingPart):
        reasoning = without_none(text=block.text, signature=block.signature)
        return {"reasoningContent": {"reasoningText": reasoning}}
    return None


def converse_usage(usage: Usage) -> JsonObject:
    """Token counts under Bedrock's names."""
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    total = usage.input_tokens
    return without_none(
        inputTokens=None if total is None else max(total - cached - written, 0),
        outputTokens=usage.output_tokens,
        totalTokens=usage.total_tokens,
        cacheReadInputTokens=usage.cached_tokens,
        cacheWriteInputTokens=usage.cache_write_tokens,
    )

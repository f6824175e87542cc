"""Gemini's generateContent, as the server writes it, under the paths of both of Google's APIs.

The path names the model and says whether a stream is asked for. Every frame has the shape of a
whole answer; there is no end marker. Calls come whole, each in a part of its own. A signature of a
text or a thought stands on an empty part behind it, as it does in Gemini's streams.

Source: https://ai.google.dev/api/generate-content and recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import unquote

from beluga_llm import _json
from beluga_llm._chunks import StreamChunk
from beluga_llm._http.encoding import base64_text, blocks
from beluga_llm._messages import AIMessage
from beluga_llm._parts import ContentPart, ImagePart, TextPart, ThinkingPart
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
from beluga_llm.testing._wire_generate_content_request import read_generate_content_request

_PATH = re.compile(r"/([^/:]+):(stream)?generateContent", re.IGNORECASE)
_FINISH = {
    FinishReason.STOP: "STOP",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.TOOL_CALLS: "STOP",
    FinishReason.CONTENT_FILTER: "SAFETY",
    FinishReason.ERROR: "MALFORMED_FUNCTION_CALL",
    FinishReason.OTHER: "OTHER",
}
_OF_CANDIDATES = (
    "avgLogprobs", "citationMetadata", "finishMessage", "groundingMetadata", "safetyRatings",
    "urlContextMetadata",
)  # fmt: skip

GOOGLE_TERMS: Mapping[str, Terms] = {
    "auth_error": Terms(
        401, "UNAUTHENTICATED", None, "Request had invalid authentication credentials."
    ),
    "permission_denied": Terms(
        403, "PERMISSION_DENIED", None, "The caller does not have permission"
    ),
    "not_found": Terms(
        404, "NOT_FOUND", None, "models/fake-model is not found for API version v1beta."
    ),
    "rate_limit": Terms(
        429, "RESOURCE_EXHAUSTED", None, "Resource has been exhausted (e.g. check quota)."
    ),
    "quota_exceeded": Terms(
        402, "RESOURCE_EXHAUSTED", None, "Your prepayment credits are depleted."
    ),
    "timeout": Terms(504, "DEADLINE_EXCEEDED", None, "Deadline expired before operation ended."),
    "context_length": Terms(
        400,
        "INVALID_ARGUMENT",
        None,
        "The input token count exceeds the maximum number of tokens allowed 1048576.",
    ),
    "content_filter": Terms(
        400,
        "INVALID_ARGUMENT",
        None,
        "The prompt could not be submitted. This prompt contains sensitive words that violate "
        "Google's Responsible AI practices.",
    ),
    "invalid_input": Terms(400, "INVALID_ARGUMENT", None, "Request contains an invalid argument."),
    "overloaded": Terms(
        503, "UNAVAILABLE", None, "The model is overloaded. Please try again later."
    ),
    "provider_unavailable": Terms(500, "INTERNAL", None, "An internal error has occurred."),
}


class GenerateContentWire(Wire):
    """`POST .../models/{model}:generateContent` and `:streamGenerateContent`."""

    name = "generate_content"
    path = ":generateContent"
    base = "/v1beta"
    empty: ClassVar[JsonObject | None] = {"usageMetadata": {"promptTokenCount": 1}}
    terms = GOOGLE_TERMS
    carries = frozenset(
        (
            "thinking", "signature", "text_signature", "call_signature", "call_ids", "model_id",
            "response_id", "cached_tokens", "reasoning_tokens", "content_filter", "error_code",
        )
    )  # fmt: skip

    def matches(self, path: str) -> bool:
        """Whether this is the path of its endpoint."""
        return _PATH.search(path) is not None

    def streams(self, path: str, body: Mapping[str, Any]) -> bool:
        """Whether a request asks for a stream."""
        found = _PATH.search(path)
        return found is not None and bool(found[2])

    def asked(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The body, with the model and the kind of answer, which only the path tells."""
        found = _PATH.search(path)
        if found is None:
            return body
        return {**body, "model": unquote(found[1]), "stream": self.streams(path, body)}

    def read(self, body: Mapping[str, Any]) -> ChatRequest:
        """The request that a body means."""
        return read_generate_content_request(body)

    def encoder(self, facts: Facts) -> GenerateContentEncoder:
        """The writer of a streamed answer."""
        return GenerateContentEncoder(facts)

    def whole(self, message: AIMessage, facts: Facts) -> JsonObject:
        """A whole answer."""
        answers = (message, *message.alternatives)
        candidates = [_whole_candidate(number, answer) for number, answer in enumerate(answers)]
        return _frame(facts, candidates, message.usage, message.provider_metadata)

    def error_body(self, failure: Failure, request_id: str = "") -> JsonObject:
        """The body of an error answer."""
        terms = self.said(failure)
        error: JsonObject = {
            "code": terms.status,
            "message": terms.message,
            "status": failure.word or terms.type,
        }
        if failure.retry_after is not None:
            kind = "type.googleapis.com/google.rpc.RetryInfo"
            error["details"] = [{"@type": kind, "retryDelay": f"{failure.retry_after:g}s"}]
        return {"error": error}


class GenerateContentEncoder(Encoder):
    """Writes the frames of one answer."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._calls: dict[int, ToolCallAccumulator] = {}
        self._called: set[int] = set()
        self._finishes: dict[int, str] = {}
        self._logprobs: dict[int, Any] = {}

    def begin(self) -> Sequence[bytes]:
        """Nothing: the first frame is content."""
        return ()

    def content(self, chunk: StreamChunk) -> Sequence[bytes]:
        """A frame for the content of a chunk; calls wait until they are complete."""
        choice = chunk.choice
        parts = [*_streamed_parts(chunk)]
        frames = [*self._complete_calls(choice)] if parts else []
        if parts:
            frames.append(self._frame(choice, parts))
        for delta in chunk.tool_calls:
            self._calls.setdefault(choice, ToolCallAccumulator()).add(delta)
            self._called.add(choice)
        if chunk.finish_reason is not None or chunk.raw_finish_reason is not None:
            word = _FINISH[chunk.finish_reason or FinishReason.STOP]
            self._finishes[choice] = chunk.raw_finish_reason or word
        if chunk.logprobs is not None:
            self._logprobs[choice] = chunk.logprobs
        return frames

    def finish(self) -> Sequence[bytes]:
        """What is left of the calls, then a frame with finish reason and usage for each choice."""
        choices = sorted({0, *self._calls, *self._finishes})
        left = [frame for choice in choices for frame in self._complete_calls(choice)]
        return [*left, *(self._last(choice) for choice in choices)]

    def end(self) -> Sequence[bytes]:
        """Nothing: the API has no end marker."""
        return ()

    def error(self, failure: Failure) -> Sequence[bytes]:
        """An error where a frame should be."""
        return (_event(GenerateContentWire().error_body(failure)),)

    def _complete_calls(self, choice: int) -> Iterator[bytes]:
        calls = self._calls.pop(choice, None)
        for call in calls.calls() if calls else ():
            yield self._frame(choice, [_call(call)])

    def _frame(self, choice: int, parts: list[JsonObject]) -> bytes:
        return _event(_frame(self.facts, [_candidate(choice, parts)], self.facts.usage, {}))

    def _last(self, choice: int) -> bytes:
        candidate = {
            **_candidate(choice, [{"text": ""}]),
            "finishReason": self._finishes.get(choice, "STOP"),
            **without_none(logprobsResult=self._logprobs.get(choice)),
        }
        return _event(_frame(self.facts, [candidate], self.usage, self.metadata))


def _event(data: JsonObject) -> bytes:
    """A server-sent event as Google writes it."""
    return b"data: " + _json.dumps(data) + b"\r\n\r\n"


def _frame(
    facts: Facts, candidates: list[JsonObject], usage: Usage, metadata: Mapping[str, Any]
) -> JsonObject:
    """A whole answer, or a frame of one; some metadata belong to the first candidate."""
    own = {name: value for name, value in metadata.items() if name in _OF_CANDIDATES}
    first, *others = candidates
    return {
        "candidates": [{**first, **own}, *others],
        **without_none(usageMetadata=google_usage(usage)),
        "modelVersion": facts.model,
        "responseId": facts.response_id or facts.id("fake"),
        **{name: value for name, value in metadata.items() if name not in own},
    }


def _candidate(number: int, parts: list[JsonObject]) -> JsonObject:
    return {"content": {"parts": parts, "role": "model"}, "index": number}


def _whole_candidate(number: int, message: AIMessage) -> JsonObject:
    word = _FINISH[message.finish_reason or FinishReason.STOP]
    return {
        **_candidate(number, [*_whole_parts(blocks(message))]),
        "finishReason": message.raw_finish_reason or word,
        **without_none(logprobsResult=message.logprobs),
    }


def _whole_parts(items: Iterable[ContentPart | ToolCall]) -> Iterator[JsonObject]:
    for item in items:
        if isinstance(item, ToolCall):
            yield _call(item)
        else:
            yield from _part(item)


def _streamed_parts(chunk: StreamChunk) -> Iterator[JsonObject]:
    if chunk.reasoning_delta or (chunk.signature and not chunk.delta):
        yield from _said(chunk.reasoning_delta, chunk.signature, thought=True)
    if chunk.delta:
        yield from _said(chunk.delta, chunk.signature, thought=False)
    for part in chunk.parts:
        yield from _part(part)


def _part(part: ContentPart) -> Iterator[JsonObject]:
    if isinstance(part, TextPart | ThinkingPart):
        yield from _said(part.text, part.signature, thought=isinstance(part, ThinkingPart))
    elif isinstance(part, ImagePart) and part.data is not None:
        yield {"inlineData": {"mimeType": part.mime_type, "data": base64_text(part.data)}}


def _said(text: str, signature: str | None, *, thought: bool) -> Iterator[JsonObject]:
    mark = {"thought": True} if thought else {}
    if text:
        yield {"text": text, **mark}
    if signature:
        yield {"text": "", **mark, "thoughtSignature": signature}


def _call(call: ToolCall) -> JsonObject:
    given = {"id": call.id} if call.id else {}
    signature = {"thoughtSignature": call.signature} if call.signature else {}
    args = arguments_object(call.arguments)
    return {"functionCall": {"name": call.name, "args": args, **given}, **signature}


def google_usage(usage: Usage) -> JsonObject | None:
    """Token counts under Google's names, which count thinking beside the answer."""
    answered, thoughts = usage.output_tokens, usage.reasoning_tokens
    return (
        without_none(
            promptTokenCount=usage.input_tokens,
            candidatesTokenCount=None if answered is None else max(answered - (thoughts or 0), 0),
            totalTokenCount=usage.total_tokens,
            cachedContentTokenCount=usage.cached_tokens,
            thoughtsTokenCount=thoughts,
        )
        or None
    )

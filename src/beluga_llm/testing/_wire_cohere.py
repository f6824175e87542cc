"""Cohere's Chat API, as the server writes it.

Every event says in its data what kind it is; blocks of content and calls have numbers of their own
and come one after the other. What the plan for the tools and the citations are is taken from the
metadata of an answer, `tool_plan` and `citations`, and said before the end.

Source: https://docs.cohere.com/v2/reference/chat-stream and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from beluga_llm._chunks import StreamChunk, ToolCallDelta
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
from beluga_llm.testing._wire_cohere_request import read_cohere_request

_FINISH = {
    FinishReason.STOP: "COMPLETE",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.TOOL_CALLS: "TOOL_CALL",
    FinishReason.ERROR: "ERROR",
}
_OWN = ("tool_plan", "citations", "usage")  # what the metadata of an answer may tell

COHERE_TERMS: Mapping[str, Terms] = {
    "auth_error": Terms(401, "", None, "invalid api token"),
    "permission_denied": Terms(403, "", None, "you do not have access to this model"),
    "not_found": Terms(
        404,
        "",
        None,
        "model 'xyz' not found, make sure the correct model ID was used and that you have access "
        "to the model.",
    ),
    "rate_limit": Terms(
        429,
        "",
        None,
        "You are past the per minute request limit, please wait and try again later.",
    ),
    "quota_exceeded": Terms(
        402, "", None, "Please add or update your payment method at the dashboard to continue"
    ),
    "timeout": Terms(504, "", None, "request timed out"),
    "context_length": Terms(
        400,
        "",
        "TOO_MANY_TOKENS",
        "too many tokens: size limit exceeded by 11326 tokens. Try using shorter or fewer inputs.",
    ),
    "content_filter": Terms(
        498, "", None, "this request was blocked: it may violate the Usage Guidelines"
    ),
    "invalid_input": Terms(
        400, "", None, "invalid request: all elements in history must have a message."
    ),
    "overloaded": Terms(503, "", None, "the model is overloaded, please try again"),
    "provider_unavailable": Terms(500, "", None, "internal server error"),
}


class CohereWire(Wire):
    """`POST /v2/chat`."""

    name = "cohere"
    path = "/v2/chat"
    base = ""
    request_id = "x-debug-trace-id"
    empty: ClassVar[JsonObject | None] = {"message": None, "finish_reason": None}
    terms = COHERE_TERMS
    carries = frozenset(("thinking", "call_ids", "response_id", "cached_tokens"))

    def read(self, body: Mapping[str, Any]) -> ChatRequest:
        """The request that a body means."""
        return read_cohere_request(body)

    def encoder(self, facts: Facts) -> CohereEncoder:
        """The writer of a streamed answer."""
        return CohereEncoder(facts)

    def whole(self, message: AIMessage, facts: Facts) -> JsonObject:
        """A whole answer."""
        usual = FinishReason.TOOL_CALLS if message.tool_calls else FinishReason.STOP
        own = message.provider_metadata
        content = [*filter(None, map(_block, message.parts))]
        calls = [_call(call) for call in message.tool_calls]
        return {
            "id": _id(facts),
            "message": {
                "role": "assistant",
                **({"content": content} if content or not calls else {}),
                **without_none(tool_plan=own.get("tool_plan"), citations=own.get("citations")),
                **({"tool_calls": calls} if calls else {}),
            },
            "finish_reason": message.raw_finish_reason
            or _FINISH.get(message.finish_reason or usual, "COMPLETE"),
            **without_none(usage=cohere_usage(message.usage), logprobs=message.logprobs),
            **{key: value for key, value in own.items() if key not in _OWN},
        }

    def error_body(self, failure: Failure, request_id: str = "") -> JsonObject:
        """The body of an error answer."""
        terms = self.said(failure)
        return without_none(error_type=terms.code, id=request_id or None, message=terms.message)


class CohereEncoder(Encoder):
    """Writes the events of one answer; all choices but the first are left out."""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._blocks = 0
        self._calls = 0
        self._open: tuple[str, int | str | None] | None = None
        self._called: set[int | str | None] = set()
        self._logprobs: list[Any] = []

    def begin(self) -> Sequence[bytes]:
        """`message-start`."""
        message = {
            "role": "assistant",
            "content": [],
            "tool_plan": "",
            "tool_calls": [],
            "citations": [],
        }
        return (self._event("message-start", {"message": message}, id=_id(self.facts)),)

    def content(self, chunk: StreamChunk) -> Sequence[bytes]:
        """The events of the blocks and calls that the chunk belongs to."""
        return [*self._content(chunk)] if chunk.choice == 0 else ()

    def _content(self, chunk: StreamChunk) -> Iterator[bytes]:
        said = chunk.logprobs
        self._logprobs += said if isinstance(said, list | tuple) else [said] if said else []
        if chunk.reasoning_delta:
            yield from self._piece("thinking", chunk.reasoning_delta, chunk.part_index)
        if chunk.delta:
            yield from self._piece("text", chunk.delta, chunk.part_index)
        for part in chunk.parts:
            if (block := _block(part)) is not None:
                yield from self._piece(block["type"], block[block["type"]], chunk.part_index)
        for delta in chunk.tool_calls:
            yield from self._call(delta)

    def finish(self) -> Sequence[bytes]:
        """The plan and the citations, then `message-end` with finish reason and usage."""
        delta = {
            "finish_reason": self.finish_word(_FINISH),
            **without_none(usage=cohere_usage(self.usage)),
            **{key: value for key, value in self.metadata.items() if key not in _OWN},
        }
        return [
            *self._close(),
            *(self._of_block("content-delta", {"text": ""}, logprobs=p) for p in self._logprobs),
            *self._told(),
            self._event("message-end", delta),
        ]

    def end(self) -> Sequence[bytes]:
        """The marker after the last event."""
        return (b"data: [DONE]\n\n",)

    def error(self, failure: Failure) -> Sequence[bytes]:
        """`message-end`, as it is where the model failed."""
        text = CohereWire().said(failure).message
        return (self._event("message-end", {"finish_reason": "ERROR", "error": text}),)

    # --- blocks and calls ------------------------------------------------------------------------

    def _piece(self, kind: str, text: str, index: int | None) -> Iterator[bytes]:
        if self._open != (kind, index):
            yield from self._close()
            self._open = kind, index
            self._blocks += 1
            yield self._of_block("content-start", {"type": kind, kind: ""})
        more = {"logprobs": self._logprobs.pop(0)} if self._logprobs else {}
        yield self._of_block("content-delta", {kind: text}, **more)

    def _of_block(self, kind: str, content: JsonObject, **more: Any) -> bytes:
        delta = {"message": {"content": content}}
        return self._event(kind, delta, index=self._blocks - 1, **more)

    def _call(self, delta: ToolCallDelta) -> Iterator[bytes]:
        name = delta.id if delta.index is None else delta.index
        fresh = self._open is None or self._open[0] != "call"
        if fresh or (name is not None and self._open != ("call", name)):
            if name in self._called:
                raise ValueError("Cohere sends one tool call after the other")
            yield from self._close()
            self._open = "call", name
            self._called.add(name)
            self._calls += 1
            function = {"name": delta.name or "", "arguments": ""}
            call = {"id": delta.id or "", "type": "function", "function": function}
            yield self._of_call("tool-call-start", call)
        if delta.arguments:
            function = {"arguments": delta.arguments}
            yield self._of_call("tool-call-delta", {"function": function})

    def _of_call(self, kind: str, call: JsonObject) -> bytes:
        return self._event(kind, {"message": {"tool_calls": call}}, index=self._calls - 1)

    def _close(self) -> Iterator[bytes]:
        if self._open is None:
            return
        is_call, self._open = self._open[0] == "call", None
        kind, number = ("tool-call-end", self._calls) if is_call else ("content-end", self._blocks)
        yield self._event(kind, index=number - 1)

    def _told(self) -> Iterator[bytes]:
        if plan := self.metadata.get("tool_plan"):
            yield self._event("tool-plan-delta", {"message": {"tool_plan": plan}})
        for index, citation in enumerate(self.metadata.get("citations") or ()):
            delta = {"message": {"citations": citation}}
            yield self._event("citation-start", delta, index=index)
            yield self._event("citation-end", index=index)

    def _event(self, kind: str, delta: JsonObject | None = None, **fields: Any) -> bytes:
        return event({"type": kind, **fields, **without_none(delta=delta)}, kind)


def _id(facts: Facts) -> str:
    return facts.response_id or facts.id("")


def _block(part: ContentPart) -> JsonObject | None:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ThinkingPart):
        return {"type": "thinking", "thinking": part.text}
    return None


def _call(call: ToolCall) -> JsonObject:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def cohere_usage(usage: Usage) -> JsonObject | None:
    """Token counts under Cohere's names; None where nothing is known."""
    tokens = without_none(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
    if not tokens and usage.cached_tokens is None:
        return None
    return {
        "billed_units": tokens,
        "tokens": tokens,
        **without_none(cached_tokens=usage.cached_tokens),
    }

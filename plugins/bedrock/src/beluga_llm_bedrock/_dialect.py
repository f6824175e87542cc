"""Converse, one format for all models on Amazon Bedrock.

The model stands in the path, percent-encoded as a whole, since ARNs have slashes; the path also
says whether a stream is asked for. Streams are binary event streams.

Sources: "Converse", "ConverseStream" and "CountTokens" of the Amazon Bedrock API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from beluga_llm import BelugaError, Capabilities, InvalidRequestError, UnsupportedContentError
from beluga_llm.plugin import (
    AwsEventStream,
    ChatRequest,
    Dialect,
    Framing,
    HttpRequest,
    Notes,
    WholeBody,
    http_error,
    provider_options,
)
from beluga_llm_bedrock._body import BodyEncoder
from beluga_llm_bedrock._decoder import ConverseDecoder
from beluga_llm_bedrock._errors import RULES
from beluga_llm_bedrock._models import ModelFacts, model_facts, vendor_name

EVENT_STREAM = "application/vnd.amazon.eventstream"
_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")


class ConverseDialect(Dialect):
    """The wire format of Converse, for `HttpModel`."""

    provider = "bedrock"

    def encode(self, request: ChatRequest) -> HttpRequest:
        """The HTTP request.

        Raises:
            InvalidRequestError: nothing of the conversation is left to send, or `max_tokens`
                leaves no room after the reasoning budget.
        """
        notes = Notes(self.provider, self.family)
        body = self._body(request, notes)
        end = "converse-stream" if request.streaming else "converse"
        return HttpRequest(
            path=f"/model/{quote(str(request.options.model), safe='')}/{end}",
            headers={"Accept": EVENT_STREAM} if request.streaming else {},
            json=body,
            notes=tuple(notes),
        )

    def decoder(self, request: ChatRequest) -> ConverseDecoder:
        """A new decoder for the answer to this request."""
        return ConverseDecoder(
            self.provider,
            model=request.options.model,
            streaming=request.streaming,
            new_id=self.new_id,
        )

    def framing(self, request: ChatRequest) -> Framing:
        """How the bytes of the answer are cut."""
        return AwsEventStream() if request.streaming else WholeBody()

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float
    ) -> BelugaError:
        """The error that an answer, or an exception inside of one, means."""
        return http_error(status, headers, body, now=now, provider=self.provider, rules=RULES)

    def count_request(self, request: ChatRequest) -> HttpRequest | None:
        """The request that has the tokens counted; None but for Claude.

        AWS counts for Claude models only, by the id of the model, not of a region's profile.
        """
        model = vendor_name(str(request.options.model))
        if not model_facts(model).claude:
            return None
        notes = Notes(self.provider, self.family)
        body = self._body(request, notes)
        counted = {name: body[name] for name in _COUNTED if name in body}
        return HttpRequest(
            path=f"/model/{quote(model, safe='')}/count-tokens",
            json={"input": {"converse": counted}},
            notes=tuple(notes),
        )

    def counted(self, answer: Mapping[str, Any]) -> Any:
        """The number in the answer to a count request."""
        return answer.get("inputTokens")

    def capabilities(self, model: str) -> Capabilities:
        """What is known of a model."""
        facts = model_facts(model)
        return Capabilities(
            tools=facts.tools,
            tool_choice=_tool_choices(facts),
            parallel_tool_calls=facts.claude,
            json_object=False,
            json_schema=facts.schemas,
            images=facts.images,
            audio=facts.audio,
            video=facts.video,
            files=facts.files,
            reasoning=None if facts.reasoning == "unknown" else facts.reasoning != "none",
            streaming=True,
            stream_usage=True,
            n=False,
            logprobs=False,
            seed=False,
            prefill=facts.prefill,
            count_tokens=facts.claude,
        )

    def _body(self, request: ChatRequest, notes: Notes) -> dict[str, Any]:
        made = BodyEncoder(request, notes).body
        body: dict[str, Any] = _merged(made, provider_options(request, self.provider, "bedrock"))
        if not body["messages"]:
            raise _nothing_to_send(notes)
        return body


def _tool_choices(facts: ModelFacts) -> frozenset[str] | None:
    if facts.forced_tools is None:
        return None
    forced = facts.forced_tools == "yes" or (
        facts.forced_tools == "without_thinking" and not facts.reasons_by_default
    )
    return frozenset(("auto", "none", *(("required", "named") if forced else ())))


def _merged(base: Any, over: Any) -> Any:
    """`over` merged deeply over `base`: objects grow key by key, all else is replaced."""
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return over
    changed = {
        key: _merged(base[key], value) if key in base else value for key, value in over.items()
    }
    return {**base, **changed}


def _nothing_to_send(notes: Notes) -> InvalidRequestError:
    """The error for a conversation without a turn; the API demands one."""
    missing = "messages has no content to send: at least one message of the user must not be blank"
    for note in notes:
        if note.kind == "content":
            return UnsupportedContentError(f"{missing}; {note.text}", provider=notes.provider)
    return InvalidRequestError(missing, provider=notes.provider)

"""The Messages API as a dialect, and the envelopes in which clouds carry it.

The same body goes to Anthropic, to Google Cloud and to Amazon Bedrock; what differs is where it
goes and what is said in the body instead of a header. That is data: an `Envelope`. What does not
depend on the conversation is made once (`_beside.py`).

Sources: "Messages", "Versions", "Beta headers" and "Claude API errors" of the Claude Platform docs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from beluga_llm import (
    BelugaError,
    Capabilities,
    ContextLengthError,
    InvalidRequestError,
    QuotaExceededError,
    StreamChunk,
    UnsupportedContentError,
)
from beluga_llm.plugin import (
    COMMON_RULES,
    ChatRequest,
    Dialect,
    ErrorRules,
    HttpRequest,
    Note,
    Notes,
    ProviderConfig,
    http_error,
    provider_options,
)
from beluga_llm_anthropic._answer import read_answer
from beluga_llm_anthropic._beside import Beside, Memory
from beluga_llm_anthropic._body import FieldEncoder
from beluga_llm_anthropic._decoder import AnthropicDecoder
from beluga_llm_anthropic._envelope import Envelope
from beluga_llm_anthropic._models import model_facts
from beluga_llm_anthropic._turns import encode_conversation

API_VERSION = "2023-06-01"
_VERSION_WITHOUT_SAMPLING = "2026-10-21"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

CLAUDE = ("anthropic", "vertex-anthropic", "bedrock-anthropic")
"""Where Claude is: signatures of one are taken by the others ("Extended thinking", Signatures)."""

_COUNTED = (
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config",
    "cache_control", "mcp_servers", "context_management",
)  # fmt: skip
"""The fields of a request that can be counted."""

RULES = COMMON_RULES.extended(
    patterns=(
        (r"input length and `?max_tokens`? exceed context limit", ContextLengthError),
        (r"reached your specified .{0,40}usage limits|spend limit", QuotaExceededError),
    )
)


class AnthropicDialect(Dialect):
    """The wire format of Claude, for `HttpModel`.

    Attributes:
        envelope: how requests are wrapped; a cloud's dialect has another one.
        default_version: the API version where none is configured.
        rules: what the words of its errors mean.
        decoder_type: what decodes its streams.
    """

    provider = "anthropic"
    family = CLAUDE
    envelope = Envelope()
    default_version = API_VERSION
    rules: ErrorRules = RULES
    decoder_type: type[AnthropicDecoder] = AnthropicDecoder

    def __init__(
        self,
        provider: str | None = None,
        *,
        api_version: str | None = None,
        betas: Iterable[str] = (),
        **settings: Any,
    ) -> None:
        """A dialect.

        Args:
            provider: the entry name, where it is not the class's own.
            api_version: the API's version; None is the default one.
            betas: beta features of every request.
            settings: for `Dialect`.
        """
        super().__init__(provider, **settings)
        self.api_version = api_version or self.default_version
        self.betas = tuple(betas)
        self._memory = Memory()

    @classmethod
    def from_config(cls, config: ProviderConfig) -> AnthropicDialect:
        """The dialect that a configuration asks for."""
        return cls(
            api_version=config.option("api_version", str),
            betas=beta_names(config.options.get("betas")),
        )

    def encode(self, request: ChatRequest) -> HttpRequest:
        """The HTTP request.

        Raises:
            InvalidRequestError: nothing of the conversation is left to send.
        """
        beside = self._memory.of(request, self._beside)
        body, betas, notes = self._body(request, beside)
        envelope = self.envelope
        if not envelope.model_in_body:
            del body["model"]
        if not envelope.stream_in_body:
            body.pop("stream", None)
        headers = beside.headers if betas is beside.betas else self._headers(betas)
        return self._wrapped(beside.path, headers, body, betas=betas, notes=notes)

    def count_request(self, request: ChatRequest) -> HttpRequest | None:
        """The request that has the API count tokens; of what it leaves out only parts are noted."""
        body, betas, notes = self._body(request, self._memory.of(request, self._beside))
        counted = {name: body[name] for name in _COUNTED if name in body}
        lost = tuple(note for note in notes if note.kind != "option")
        path = self.path_of(self.envelope.count_path, body["model"])
        return self._wrapped(path, self._headers(betas), counted, betas=betas, notes=lost)

    def counted(self, answer: Mapping[str, Any]) -> Any:
        """The number in the answer to a count request."""
        return answer.get("input_tokens")

    def probe_request(self, request: ChatRequest) -> HttpRequest | None:
        """The list of models, of which one will do ("List Models")."""
        if self.envelope.models_path is None:
            return None
        headers = {"anthropic-version": self.api_version}
        return HttpRequest(
            path=self.envelope.models_path, method="GET", query={"limit": "1"}, headers=headers
        )

    def decoder(self, request: ChatRequest) -> AnthropicDecoder:
        """A new decoder for the answer to this request."""
        return self.decoder_type(
            self.provider,
            model=request.options.model,
            streaming=request.streaming,
            new_id=self.new_id,
        )

    def read_usual(self, request: ChatRequest, body: bytes) -> StreamChunk | None:
        """An answer that is one text, unless a subclass reads answers in a way of its own."""
        if type(self).decoder is not AnthropicDialect.decoder:
            return None
        return read_answer(body, request.options.model)

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float
    ) -> BelugaError:
        """The error that an answer means; the shape of OpenAI's errors is read too."""
        return http_error(status, headers, body, now=now, provider=self.provider, rules=self.rules)

    def auth(self, key: str) -> Mapping[str, str]:
        """The header that carries the key."""
        return {"x-api-key": key}

    def capabilities(self, model: str) -> Capabilities:
        """What is known of a model."""
        facts = model_facts(model)
        thinks = facts.thinks_by_default
        forced = facts.forced_tools == "yes" or (
            facts.forced_tools == "without_thinking" and not thinks
        )
        choices = ("auto", "none", *(("required", "named") if forced else ()))
        return Capabilities(
            tools=True,
            tool_choice=frozenset(choices),
            parallel_tool_calls=True,
            json_object=False,
            json_schema=facts.schemas,
            images=True,
            audio=False,
            video=False,
            files=True,
            reasoning=facts.thinking != "none",
            streaming=True,
            stream_usage=True,
            n=False,
            logprobs=False,
            seed=False,
            prefill=facts.prefill,
            count_tokens=True,
        )

    def path_of(self, path: str, model: Any) -> str:
        """A path of the envelope for a model."""
        return path.replace("{model}", quote(str(model), safe="@"))

    def _has_sampling(self) -> bool:
        """Whether the API's version has sampling parameters; 2026-10-21 has none."""
        version = self.api_version
        return not (_DATE.fullmatch(version) and version >= _VERSION_WITHOUT_SAMPLING)

    def _body(
        self, request: ChatRequest, beside: Beside
    ) -> tuple[dict[str, Any], tuple[str, ...], tuple[Note, ...]]:
        """The body as Anthropic itself wants it, the beta features that it needs, and notes."""
        notes = Notes(self.provider, self.family)
        only_data = self.envelope.only_data
        conversation = encode_conversation(request.messages, notes, only_data=only_data)
        body = {**beside.fields, **conversation.fields(), **beside.given}
        if not body["messages"]:
            raise _nothing_to_send(notes)
        betas = beside.betas
        if conversation.betas:
            betas = tuple(dict.fromkeys((*betas, *conversation.betas)))
        return body, betas, (*notes, *beside.notes)

    def _beside(self, request: ChatRequest) -> Beside:
        notes, envelope = Notes(self.provider, self.family), self.envelope
        fields = FieldEncoder(request, notes, samples=self._has_sampling()).fields
        given = dict(provider_options(request, self.provider, "anthropic"))
        betas = tuple(dict.fromkeys((*self.betas, *beta_names(given.pop("betas", None)))))
        sent = {**fields, **given}
        path = (envelope.stream_path if sent.get("stream") else None) or envelope.path
        path = self.path_of(path, sent["model"])
        return Beside(fields, given, path, betas, self._headers(betas), tuple(notes))

    def _headers(self, betas: tuple[str, ...]) -> Mapping[str, str]:
        """Version and betas, where they are said in headers."""
        envelope, headers = self.envelope, {}
        if not envelope.version_in_body:
            headers["anthropic-version"] = self.api_version
        if betas and not envelope.betas_in_body:
            headers["anthropic-beta"] = ",".join(betas)
        return headers

    def _wrapped(
        self,
        path: str,
        headers: Mapping[str, str],
        body: dict[str, Any],
        *,
        betas: tuple[str, ...],
        notes: tuple[Note, ...],
    ) -> HttpRequest:
        """The body at its address, with version and betas where they belong."""
        if self.envelope.version_in_body:
            body.setdefault("anthropic_version", self.api_version)
        if betas and self.envelope.betas_in_body:
            body["anthropic_beta"] = [*betas]
        return HttpRequest(path=path, headers=headers, json=body, notes=notes)


def _nothing_to_send(notes: Notes) -> InvalidRequestError:
    """The error for a conversation without a turn; the API demands one."""
    missing = "messages has no content to send: at least one message of the user must not be blank"
    for note in notes:
        if note.kind == "content":
            return UnsupportedContentError(f"{missing}; {note.text}", provider=notes.provider)
    return InvalidRequestError(missing, provider=notes.provider)


def beta_names(value: Any) -> tuple[str, ...]:
    """Names of beta features, as a list, or in one text with commas between them."""
    if value is None or isinstance(value, str):
        value = (value or "").split(",")
    listed = value if isinstance(value, Iterable) else (value,)
    return tuple(name for item in listed if (name := str(item).strip()))

"""The Messages API as a dialect, and the envelopes in which clouds carry it.

The same body goes to Anthropic, to Google Cloud and to Amazon Bedrock; what differs is where it
goes and what is said in the body instead of a header. That is data: an `Envelope`.

Sources: "Messages", "Versions", "Beta headers" and "Claude API errors" of the Claude Platform docs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from beluga_llm import (
    BelugaError,
    Capabilities,
    ContextLengthError,
    InvalidRequestError,
    QuotaExceededError,
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
from beluga_llm_anthropic._body import BodyEncoder
from beluga_llm_anthropic._decoder import AnthropicDecoder
from beluga_llm_anthropic._models import model_facts

API_VERSION = "2023-06-01"
_VERSION_WITHOUT_SAMPLING = "2026-10-21"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Where requests go, and what of them stands in the body.

    Attributes:
        path: relative to the base URL; `{model}` stands for the model's id.
        stream_path: the same for streams, where it differs.
        count_path: the same for counting tokens.
        models_path: the same for the list of models; None where the envelope has none.
        version_in_body: the version goes there as `anthropic_version`, not into a header.
        betas_in_body: betas go there as `anthropic_beta`, not into a header.
        model_in_body: False where only the path names the model.
        stream_in_body: False where only the path asks for a stream.
        only_data: images and documents are taken as data only, not by URL or file id.
    """

    path: str = "/v1/messages"
    stream_path: str | None = None
    count_path: str = "/v1/messages/count_tokens"
    models_path: str | None = "/v1/models"
    version_in_body: bool = False
    betas_in_body: bool = False
    model_in_body: bool = True
    stream_in_body: bool = True
    only_data: bool = False


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
    """

    provider = "anthropic"
    family = CLAUDE
    envelope = Envelope()
    default_version = API_VERSION
    rules: ErrorRules = RULES

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
        notes = Notes(self.provider, self.family)
        body, betas = self._body(request, notes)
        envelope = self.envelope
        path = (envelope.stream_path if body.get("stream") else None) or envelope.path
        path = self.path_of(path, body["model"])
        if not envelope.model_in_body:
            del body["model"]
        if not envelope.stream_in_body:
            body.pop("stream", None)
        return self._wrapped(path, body, betas, notes)

    def count_request(self, request: ChatRequest) -> HttpRequest | None:
        """The request that has the API count tokens; of what it leaves out only parts are noted."""
        notes = Notes(self.provider, self.family)
        body, betas = self._body(request, notes)
        counted = {name: body[name] for name in _COUNTED if name in body}
        lost = [note for note in notes if note.kind != "option"]
        path = self.path_of(self.envelope.count_path, body["model"])
        return self._wrapped(path, counted, betas, lost)

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
        return AnthropicDecoder(
            self.provider,
            model=request.options.model,
            streaming=request.streaming,
            new_id=self.new_id,
        )

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

    def _body(self, request: ChatRequest, notes: Notes) -> tuple[dict[str, Any], list[str]]:
        """The body as Anthropic itself wants it, and the beta features that it needs."""
        encoded = BodyEncoder(
            request, notes, samples=self._has_sampling(), only_data=self.envelope.only_data
        )
        given: dict[str, Any] = dict(provider_options(request, self.provider, "anthropic"))
        betas = (*self.betas, *encoded.betas, *beta_names(given.pop("betas", None)))
        body = {**encoded.body, **given}
        if not body["messages"]:
            raise _nothing_to_send(notes)
        return body, list(dict.fromkeys(betas))

    def _wrapped(
        self, path: str, body: dict[str, Any], betas: list[str], notes: Iterable[Note]
    ) -> HttpRequest:
        """The body at its address, with version and betas where they belong."""
        envelope, headers = self.envelope, {}
        if envelope.version_in_body:
            body.setdefault("anthropic_version", self.api_version)
        else:
            headers["anthropic-version"] = self.api_version
        if betas and envelope.betas_in_body:
            body["anthropic_beta"] = betas
        elif betas:
            headers["anthropic-beta"] = ",".join(betas)
        return HttpRequest(path=path, headers=headers, json=body, notes=tuple(notes))


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

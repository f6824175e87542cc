"""generateContent as a dialect, for the Gemini API; `_vertex.py` is the same at another address.

Source: "Generating content", "Counting tokens" and "API errors" of the Gemini API docs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from beluga_llm import (
    BelugaError,
    Capabilities,
    InvalidRequestError,
    UnsupportedContentError,
)
from beluga_llm.plugin import (
    ChatRequest,
    Dialect,
    HttpRequest,
    Notes,
    ProviderConfig,
    provider_options,
)
from beluga_llm_google._body import BodyEncoder
from beluga_llm_google._decoder import GeminiDecoder
from beluga_llm_google._models import model_facts
from beluga_llm_google._parts import FILES
from beluga_llm_google._problems import google_error

_AMOUNTS = ("thinkingLevel", "thinkingBudget")


class GeminiDialect(Dialect):
    """The wire format of Gemini, for `HttpModel`.

    Attributes:
        on_vertex: whether this is Vertex AI, where some models take more.
        files: the address to put before the id of a file; None where ids must be addresses.
        names: under which names `provider_options` are meant for it.
    """

    provider = "google"
    on_vertex: ClassVar[bool] = False
    files: ClassVar[str | None] = FILES
    names: ClassVar[tuple[str, ...]] = ("google", "gemini")
    tool_names = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
    tool_names_rule = (
        "use 1 to 128 letters, digits, underscores, dots, colons or hyphens, "
        "and begin with a letter or an underscore"
    )

    @classmethod
    def from_config(cls, config: ProviderConfig) -> GeminiDialect:
        """The dialect that a configuration asks for."""
        return cls()

    def encode(self, request: ChatRequest) -> HttpRequest:
        """The HTTP request.

        Raises:
            InvalidRequestError: nothing of the conversation is left to send.
        """
        notes = Notes(self.provider, self.family)
        given = provider_options(request, self.provider, *self.names)
        body = _merged(self._encoder(request, notes).body(), given)
        if not body["contents"]:
            raise _nothing_to_send(notes)
        method = "streamGenerateContent" if request.streaming else "generateContent"
        return HttpRequest(
            path=f"{self.model_path(request.options.model or '')}:{method}",
            query={"alt": "sse"} if request.streaming else {},
            json=body,
            notes=tuple(notes),
        )

    def decoder(self, request: ChatRequest) -> GeminiDecoder:
        """A new decoder for the answer to this request."""
        return GeminiDecoder(self.provider, request, new_id=self.new_id)

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float
    ) -> BelugaError:
        """The error that an answer means."""
        return google_error(status, headers, body, now=now, provider=self.provider)

    def count_request(self, request: ChatRequest) -> HttpRequest | None:
        """The request that has the API count tokens; None where there is nothing to count."""
        notes = Notes(self.provider, self.family)
        prompt = self._encoder(request, notes).prompt()
        path = self.model_path(request.options.model or "")
        if not prompt["contents"]:
            return None
        body = self._counted_body(path.removeprefix("/"), prompt)
        return HttpRequest(path=f"{path}:countTokens", json=body, notes=tuple(notes))

    def counted(self, answer: Mapping[str, Any]) -> Any:
        """The number in the answer to a count request."""
        return answer.get("totalTokens")

    def probe_request(self, request: ChatRequest) -> HttpRequest | None:
        """The list of models, of which one will do ("Models: list")."""
        return HttpRequest(path="/models", method="GET", query={"pageSize": "1"})

    def auth(self, key: str) -> Mapping[str, str]:
        """The header that carries the key."""
        return {"x-goog-api-key": key}

    def capabilities(self, model: str) -> Capabilities:
        """What is known of a model."""
        facts = model_facts(model)
        candidates = facts.candidates == "everywhere"
        return Capabilities(
            tools=True,
            tool_choice=frozenset(("auto", "none", "required", "named")),
            parallel_tool_calls=False,
            json_object=True,
            json_schema=True,
            images=True,
            audio=True,
            video=True,
            files=True,
            reasoning=facts.thinking != "none",
            streaming=True,
            stream_usage=True,
            n=candidates or (self.on_vertex and facts.candidates == "vertex"),
            logprobs=None,
            seed=True,
            prefill=facts.prefill,
            count_tokens=True,
        )

    def model_path(self, model: str) -> str:
        """Where a model is, from the base URL; also of `models/x` and `tunedModels/x`."""
        name = quote(model, safe="/")
        return f"/{name}" if "/" in name else f"/models/{name}"

    def _encoder(self, request: ChatRequest, notes: Notes) -> BodyEncoder:
        return BodyEncoder(request, notes, on_vertex=self.on_vertex, files=self.files)

    def _counted_body(self, model: str, prompt: dict[str, Any]) -> dict[str, Any]:
        """A whole request, since system instruction and tools are counted only in one."""
        return {"generateContentRequest": {"model": model, **prompt}}


def _merged(body: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The body with given fields over it, key by key; given tools are added to the others."""
    found = dict(body)
    for key, value in given.items():
        known = found.get(key)
        if key == "tools" and isinstance(known, list) and isinstance(value, list):
            value = [*known, *value]
        elif isinstance(known, Mapping) and isinstance(value, Mapping):
            if any(name in value for name in _AMOUNTS):  # the API takes only one of them
                known = {name: known[name] for name in known if name not in _AMOUNTS}
            value = _merged(dict(known), value)
        found[key] = value
    return found


def _nothing_to_send(notes: Notes) -> InvalidRequestError:
    """The error for a conversation without a turn; the API demands one."""
    missing = "messages has no content to send: at least one message of the user is needed"
    for note in notes:
        if note.kind == "content":
            return UnsupportedContentError(f"{missing}; {note.text}", provider=notes.provider)
    return InvalidRequestError(missing, provider=notes.provider)

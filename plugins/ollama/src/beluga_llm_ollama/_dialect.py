"""The API of Ollama itself, `/api/chat`, as a dialect.

Streams are lines of JSON; the last one says `"done": true`. Sources: "Chat", "Streaming" and
"Authentication" of the Ollama docs.
"""

from __future__ import annotations

from collections.abc import Mapping

from beluga_llm import BelugaError, Capabilities
from beluga_llm.plugin import (
    NDJSON,
    ChatRequest,
    Dialect,
    Framing,
    HttpRequest,
    Notes,
    WholeBody,
    http_error,
)
from beluga_llm_ollama._body import encode_body
from beluga_llm_ollama._decoder import OllamaDecoder
from beluga_llm_ollama._facts import RULES, capabilities


class OllamaDialect(Dialect):
    """POST /api/chat."""

    provider = "ollama"

    def encode(self, request: ChatRequest) -> HttpRequest:
        """The request; what the API cannot take is in its notes."""
        notes = Notes(self.provider, self.family)
        body = encode_body(request, notes)
        accept = {"Accept": "application/x-ndjson"} if request.streaming else {}
        return HttpRequest(path="/api/chat", headers=accept, json=body, notes=tuple(notes))

    def probe_request(self, request: ChatRequest) -> HttpRequest | None:
        """The list of models that are there ("List models")."""
        return HttpRequest(path="/api/tags", method="GET")

    def framing(self, request: ChatRequest) -> Framing:
        """Lines of JSON, or one whole body."""
        return NDJSON() if request.streaming else WholeBody()

    def decoder(self, request: ChatRequest) -> OllamaDecoder:
        """A new decoder for the answer to this request."""
        return OllamaDecoder(request, provider=self.provider, new_id=self.new_id)

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float
    ) -> BelugaError:
        """The error that an answer, or a line of a good one, means."""
        return http_error(status, headers, body, now=now, provider=self.provider, rules=RULES)

    def capabilities(self, model: str) -> Capabilities:
        """What is known of a model."""
        return capabilities(model)

"""Version 2 of the Chat API as a dialect.

Sources: "Chat API" (both pages, with and without streaming) and "Errors" of https://docs.cohere.com,
and the vendor's own SDK (cohere 7), whose types are generated from the API's specification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from beluga_llm import (
    AuthenticationError,
    BelugaError,
    Capabilities,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    QuotaExceededError,
    RateLimitError,
)
from beluga_llm.plugin import (
    COMMON_RULES,
    ChatRequest,
    Dialect,
    HttpRequest,
    Notes,
    http_error,
    provider_options,
)
from beluga_llm_cohere._body import encode_body
from beluga_llm_cohere._decoder import CohereDecoder
from beluga_llm_cohere._models import model_facts

RULES = COMMON_RULES.extended(
    statuses={"error": 500, "timeout": 504},  # finish reasons of a stream that failed
    patterns=(
        (r"too many tokens: max.?tokens must", InvalidRequestError),
        (r"\btoo many tokens\b", ContextLengthError),
        (r"trial key.{0,80} calls / month", QuotaExceededError),
        (r"maximum billing reached|add or update your payment method", QuotaExceededError),
        (r"per minute request limit|rate limit exceeded|trial key", RateLimitError),
        (r"invalid api token|no api key supplied|api key has expired", AuthenticationError),
    ),
)
_UNSAFE = RULES.extended(patterns=((r"", ContentFilterError),))
_UNSAFE_REQUEST, _CANCELLED = 498, 499


class CohereDialect(Dialect):
    """POST /v2/chat."""

    provider = "cohere"
    path = "/v2/chat"
    tool_names = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
    tool_names_rule = "use letters, digits and underscores, 64 at most, and no digit first"

    def encode(self, request: ChatRequest) -> HttpRequest:
        """The request; what the API or the model cannot take is in its notes."""
        notes = Notes(self.provider, self.family)
        body = encode_body(request, notes, provider_options(request, self.provider))
        return HttpRequest(path=self.path, json=body, notes=tuple(notes))

    def probe_request(self, request: ChatRequest) -> HttpRequest | None:
        """The list of models, of which one will do ("List Models")."""
        return HttpRequest(path="/v1/models", method="GET", query={"page_size": "1"})

    def decoder(self, request: ChatRequest) -> CohereDecoder:
        """A new decoder for the answer to this request."""
        return CohereDecoder(request, provider=self.provider, new_id=self.new_id)

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float
    ) -> BelugaError:
        """The error that an answer means.

        498 is a request that was found unsafe, 499 one that was cancelled on the server's side; of
        the latter the vendor says to try again.
        """
        error = http_error(
            503 if status == _CANCELLED else status,
            headers,
            body,
            now=now,
            provider=self.provider,
            rules=_UNSAFE if status == _UNSAFE_REQUEST else RULES,
        )
        error.status = status
        error.request_id = error.request_id or _request_id(error.body, headers)
        return error

    def capabilities(self, model: str) -> Capabilities:
        """What is known of a model."""
        return model_facts(model).capabilities


def _request_id(body: Any, headers: Mapping[str, str]) -> str | None:
    found = body.get("id") if isinstance(body, dict) else None
    return found if found and isinstance(found, str) else headers.get("x-debug-trace-id")

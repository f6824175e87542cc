"""Error answers: `{"error": {"code", "message", "status", "details": [...]}}`, or an array of it.

`status` is a word of gRPC, `details` may hold a `reason` and, in a RetryInfo, when to come back.
Errors inside a good stream have the same shape.

Sources: "API errors" of the Gemini API docs (generateContent), "API errors" of the Vertex AI docs,
and google/rpc/code.proto for the words.
"""

from __future__ import annotations

from collections.abc import Mapping

from beluga_llm import (
    BelugaError,
    ContentFilterError,
    ContextLengthError,
    QuotaExceededError,
)
from beluga_llm.plugin import COMMON_RULES, http_error
from beluga_llm_google._wire import as_list, as_object, as_text

RULES = COMMON_RULES.extended(
    codes={"BILLING_DISABLED": QuotaExceededError},
    statuses={
        "INVALID_ARGUMENT": 400,
        "FAILED_PRECONDITION": 400,
        "OUT_OF_RANGE": 400,
        "UNAUTHENTICATED": 401,
        "PERMISSION_DENIED": 403,
        "NOT_FOUND": 404,
        "ABORTED": 409,
        "ALREADY_EXISTS": 409,
        "RESOURCE_EXHAUSTED": 429,
        "CANCELLED": 499,
        "INTERNAL": 500,
        "UNKNOWN": 500,
        "DATA_LOSS": 500,
        "UNIMPLEMENTED": 501,
        "UNAVAILABLE": 503,
        "DEADLINE_EXCEEDED": 504,
    },
    patterns=(
        (r"input token count is .{0,60}only supports up to", ContextLengthError),  # Vertex
        (r"violates? Google'?s Responsible AI practices", ContentFilterError),  # Vertex
    ),
)


def google_error(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, provider: str
) -> BelugaError:
    """The error that an answer means; its provider code is the word, not the number beside it."""
    error = http_error(status, headers, body, now=now, provider=provider, rules=RULES)
    word = _word(error.body)
    error.provider_code = word or error.provider_code
    return error


def _word(body: object) -> str:
    first = as_object(next(iter(as_list(body)), body))
    return as_text(as_object(first.get("error")).get("status"))

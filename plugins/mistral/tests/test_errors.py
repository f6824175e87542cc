"""Error answers, in the shapes that the API sends them in."""

from __future__ import annotations

import json

import pytest

from beluga_llm import (
    AuthenticationError,
    ContextLengthError,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
)

ID = "01991c00-39eb-7fdc-aeef-2ade58b1d642"


def problem(message, kind, code=None):
    return {
        "object": "error",
        "message": message,
        "type": kind,
        "param": None,
        "code": code,
        "raw_status_code": 400,
    }


LONG = "Prompt contains 300000 tokens, too large for model with 131072 maximum context length"
ORDER = "Expected last role User or Tool (or Assistant with prefix True) for serving but got system"
UNFIT = {
    "detail": [
        {
            "type": "extra_forbidden",
            "loc": ["body", "stream_options"],
            "msg": "Extra inputs are not permitted",
            "input": {},
        }
    ]
}
CASES = [
    (400, problem(ORDER, "invalid_request_message_order", "3230"), InvalidRequestError, "3230"),
    (400, problem(LONG, "invalid_request_prompt", "3051"), ContextLengthError, "3051"),
    (400, problem("Invalid model: m", "invalid_model", "1500"), ModelNotFoundError, "1500"),
    (401, {"detail": "Invalid API Key"}, AuthenticationError, None),
    (401, {"message": "Unauthorized", "request_id": "r"}, AuthenticationError, None),
    (402, {"message": "Payment required"}, QuotaExceededError, None),
    (403, {"message": "Forbidden"}, PermissionDeniedError, None),
    (404, {"message": "no Route matched with those values"}, ModelNotFoundError, None),
    (408, {"message": "Request timed out"}, RequestTimeoutError, None),
    (409, {"message": "Conflict"}, InvalidRequestError, None),
    (413, {"message": "Request body too large"}, InvalidRequestError, None),
    (422, UNFIT, InvalidRequestError, None),
    (422, problem({"detail": UNFIT["detail"]}, "invalid_request_error"), InvalidRequestError,
     "invalid_request_error"),
    (425, {"message": "Too early"}, ProviderUnavailableError, None),
    (429, problem("Rate limit exceeded", "rate_limited", "1300"), RateLimitError, "1300"),
    (429, {"message": "Requests rate limit exceeded"}, RateLimitError, None),
    (429, problem("Service tier capacity exceeded for this model.",
                  "service_tier_capacity_exceeded", "3505"), RateLimitError, "3505"),
    (500, problem("Internal server error", "internal_server_error", "1000"),
     ProviderUnavailableError, "1000"),
    (502, "<html><body>Bad gateway</body></html>", ProviderUnavailableError, None),
    (503, {"message": "Service unavailable."}, ProviderUnavailableError, None),
    (504, {"message": "The upstream server is timing out"}, RequestTimeoutError, None),
    (529, {"message": "Overloaded"}, OverloadedError, None),
]  # fmt: skip
RETRYABLE = {425, 408, 429, 500, 502, 503, 504, 529}


@pytest.mark.row(
    "TEST-13", "ERRO-05", "ERRO-06", "ERRO-07", "ERRO-09", "ERRO-11", "ERRO-12", "ERRO-18",
    "ERRO-23", "ERRO-25",
)  # fmt: skip
@pytest.mark.parametrize(("status", "body", "expected", "code"), CASES)
def test_errors_get_their_class(dialect, status, body, expected, code):
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    error = dialect.error(status, {"mistral-correlation-id": ID}, data, now=0.0)
    assert type(error) is expected
    assert (error.status, error.retryable) == (status, status in RETRYABLE)
    assert (error.provider, error.provider_code, error.request_id) == ("mistral", code, ID)
    assert error.retry_after is None
    assert "<" not in error.message


@pytest.mark.row("ERRO-25")
def test_every_field_that_is_wrong_is_named(dialect):
    error = dialect.error(422, {}, json.dumps(UNFIT).encode(), now=0.0)
    assert error.message == "body.stream_options: Extra inputs are not permitted"


@pytest.mark.row("ERRO-11")
def test_a_time_to_wait_is_read_where_there_is_one(dialect):
    error = dialect.error(429, {"retry-after": "7"}, b'{"message": "m"}', now=0.0)
    assert error.retry_after == 7.0

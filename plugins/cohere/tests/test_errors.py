"""Error answers, as the vendor's error reference has them."""

from __future__ import annotations

import json

import pytest

from beluga_llm import (
    AuthenticationError,
    ContentFilterError,
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

ID = "c167e04b-cfc2-44a9-927c-6d78c47fb5fe"
TRIAL = (
    "You are using a Trial key, which is limited to {} API calls / {}. You can continue to use the "
    "Trial key for free or upgrade to a Production key with higher rate limits."
)
NO_MODEL = "model 'xyz' not found, make sure the correct model ID was used and that you have access"
LONG = "too many tokens: size limit exceeded by 11326 tokens. Try using shorter or fewer inputs."
OUTPUT = (
    "too many tokens: max tokens must be less than or equal to 4096, the maximum output for this"
)
BILLING = "Maximum billing reached for this API key as set in your dashboard"
CASES = [
    (400, "invalid request: all elements in history must have a message.", InvalidRequestError),
    (400, LONG, ContextLengthError),
    (400, OUTPUT, InvalidRequestError),
    (401, "invalid api token", AuthenticationError),
    (401, "no api key supplied", AuthenticationError),
    (402, BILLING, QuotaExceededError),
    (403, "you do not have access to this model", PermissionDeniedError),
    (404, NO_MODEL, ModelNotFoundError),
    (408, "request timed out", RequestTimeoutError),
    (409, "conflict", InvalidRequestError),
    (413, "request entity too large", InvalidRequestError),
    (422, "unprocessable entity", InvalidRequestError),
    (425, "too early", ProviderUnavailableError),
    (429, "You are past the per minute request limit, please wait and try again later.",
     RateLimitError),
    (429, TRIAL.format(40, "minute"), RateLimitError),
    (429, TRIAL.format(1000, "month"), QuotaExceededError),
    (429, "trial token rate limit exceeded, limit is 100000 tokens per minute", RateLimitError),
    (498, "blocked", ContentFilterError),
    (499, "request cancelled", ProviderUnavailableError),
    (500, "internal server error", ProviderUnavailableError),
    (502, "bad gateway", ProviderUnavailableError),
    (503, "service unavailable", ProviderUnavailableError),
    (504, "gateway timeout", RequestTimeoutError),
    (529, "overloaded", OverloadedError),
]  # fmt: skip
RETRYABLE = {408, 425, 429, 499, 500, 502, 503, 504, 529}


@pytest.mark.row(
    "TEST-13", "ERRO-05", "ERRO-06", "ERRO-07", "ERRO-09", "ERRO-11", "ERRO-12", "ERRO-18",
    "ERRO-25", "ERRO-29",
)  # fmt: skip
@pytest.mark.parametrize(("status", "message", "expected"), CASES)
def test_errors_get_their_class(dialect, status, message, expected):
    body = json.dumps({"id": ID, "message": message}).encode()
    error = dialect.error(status, {"retry-after": "7"}, body, now=0.0)
    assert type(error) is expected
    assert error.retryable is (status in RETRYABLE and expected is not QuotaExceededError)
    assert (error.message, error.status) == (message, status)
    assert (error.provider, error.request_id, error.retry_after) == ("cohere", ID, 7.0)


@pytest.mark.row("ERRO-23", "ERRO-25")
def test_the_kind_of_error_is_its_code(dialect):
    body = {"error_type": "TOO_MANY_TOKENS", "id": ID, "message": "too many tokens: ..."}
    error = dialect.error(400, {}, json.dumps(body).encode(), now=0.0)
    assert type(error) is ContextLengthError
    assert error.provider_code == "TOO_MANY_TOKENS"


@pytest.mark.row("ERRO-25")
@pytest.mark.parametrize(
    ("headers", "body", "request_id"),
    [
        ({"x-debug-trace-id": "t"}, b'{"message": "m"}', "t"),
        ({"x-debug-trace-id": "t"}, b'{"message": "m", "id": ""}', "t"),
        ({"x-debug-trace-id": "t"}, b'{"message": "m", "id": 3}', "t"),
        ({"x-debug-trace-id": "t", "x-request-id": "r"}, b'{"message": "m", "id": "i"}', "r"),
        ({"x-debug-trace-id": "t"}, b'{"message": "m", "id": "i"}', "i"),
        ({}, b"[]", None),
        ({}, b"<html>", None),
    ],
)
def test_request_ids(dialect, headers, body, request_id):
    assert dialect.error(500, headers, body, now=0.0).request_id == request_id


@pytest.mark.row("ERRO-25")
def test_a_web_page_is_not_shown(dialect):
    page = b"<html><body>Bad gateway</body></html>"
    assert dialect.error(502, {":authority": "h"}, page, now=0.0).message == "HTTP 502 from h"


@pytest.mark.row("ERRO-25", "STRE-22")
@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("invalid api token", AuthenticationError),
        (BILLING, QuotaExceededError),
        (NO_MODEL, ModelNotFoundError),
        ("Please wait: rate limit exceeded", RateLimitError),
        ("something", ProviderUnavailableError),
    ],
)
def test_errors_inside_a_good_answer_are_told_by_their_text(dialect, message, expected):
    body = json.dumps({"message": message, "code": "ERROR"}).encode()
    assert type(dialect.error(200, {}, body, now=0.0)) is expected

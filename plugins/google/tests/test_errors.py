"""Error answers, as "API errors" of the Gemini API and of Vertex AI document them."""

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

INFO = "type.googleapis.com/google.rpc.ErrorInfo"
RETRY = "type.googleapis.com/google.rpc.RetryInfo"


def problem(code, status, message="m", *details):
    error = {"code": code, "message": message, "status": status}
    return {"error": {**error, "details": list(details)} if details else error}


def reason(word):
    return {"@type": INFO, "reason": word, "domain": "googleapis.com", "metadata": {}}


CASES = [
    (400, "INVALID_ARGUMENT", "Please use a valid role: user, model.", InvalidRequestError),
    (400, "FAILED_PRECONDITION", "User location is not supported.", InvalidRequestError),
    (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
     AuthenticationError),
    (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", AuthenticationError),
    (400, "INVALID_ARGUMENT",
     "The input token count (1196265) exceeds the maximum number of tokens allowed (1048576).",
     ContextLengthError),
    (400, "INVALID_ARGUMENT",
     ("Unable to submit request because the input token count is 2500000 but model only supports "
      "up to 1048576. Reduce the input token count and try again."), ContextLengthError),
    (400, "INVALID_ARGUMENT",
     ("The prompt could not be submitted. This prompt contains sensitive words that violate "
      "Google's Responsible AI practices."), ContentFilterError),
    (401, "UNAUTHENTICATED", "Request had invalid authentication credentials.",
     AuthenticationError),
    (402, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", QuotaExceededError),
    (403, "PERMISSION_DENIED", "Your API key was reported as leaked.", PermissionDeniedError),
    (404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta.",
     ModelNotFoundError),
    (408, "CANCELLED", "m", RequestTimeoutError),
    (409, "ABORTED", "m", InvalidRequestError),
    (413, "INVALID_ARGUMENT", "Request payload size exceeds the limit.", InvalidRequestError),
    (422, "INVALID_ARGUMENT", "m", InvalidRequestError),
    (425, "UNAVAILABLE", "m", ProviderUnavailableError),
    (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).",
     RateLimitError),
    (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan.",
     RateLimitError),
    (500, "INTERNAL", "An internal error has occurred.", ProviderUnavailableError),
    (502, "UNAVAILABLE", "m", ProviderUnavailableError),
    (503, "UNAVAILABLE", "The model is overloaded. Please try again later.", OverloadedError),
    (503, "UNAVAILABLE", "The service is currently unavailable.", ProviderUnavailableError),
    (504, "DEADLINE_EXCEEDED", "Deadline expired.", RequestTimeoutError),
    (529, "UNAVAILABLE", "m", OverloadedError),
]  # fmt: skip
RETRYABLE = (RateLimitError, RequestTimeoutError, ProviderUnavailableError)


@pytest.mark.row(
    "TEST-13",
    "ERRO-05",
    "ERRO-06",
    "ERRO-07",
    "ERRO-09",
    "ERRO-11",
    "ERRO-12",
    "ERRO-23",
    "ERRO-25",
)
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(("status", "word", "message", "expected"), CASES)
def test_errors_get_their_class(dialect, status, word, message, expected, listed):
    error = problem(status, word, message)
    body = json.dumps([error] if listed else error).encode()
    for seen in (status, 200):
        found = dialect.error(seen, {"x-request-id": "req_1"}, body, now=0.0)
        assert type(found) is expected
        assert found.message == message
        assert (found.provider, found.status) == ("google", seen)
        assert (found.provider_code, found.request_id) == (word, "req_1")
        assert found.code == expected.code
        assert found.retryable is issubclass(expected, RETRYABLE)
        assert found.retry_after is None


@pytest.mark.row("PROV-06", "ERRO-11", "ERRO-25")
def test_the_time_to_wait_is_read_from_the_details(dialect):
    retry = {"@type": RETRY, "retryDelay": "34.4s"}
    body = json.dumps(problem(429, "RESOURCE_EXHAUSTED", "m", {"@type": INFO}, retry)).encode()
    assert dialect.error(429, {}, body, now=0.0).retry_after == 34.4
    assert dialect.error(429, {"retry-after": "7"}, body, now=0.0).retry_after == 7.0


@pytest.mark.row("ERRO-06", "ERRO-11")
@pytest.mark.parametrize(
    ("status", "word", "expected"),
    [
        (400, "API_KEY_INVALID", AuthenticationError),
        (403, "API_KEY_SERVICE_BLOCKED", PermissionDeniedError),
        (403, "SERVICE_DISABLED", PermissionDeniedError),
        (403, "BILLING_DISABLED", QuotaExceededError),
    ],
)
def test_reasons_say_more_than_the_status(dialect, status, word, expected):
    body = json.dumps(problem(status, "INVALID_ARGUMENT", "m", reason(word))).encode()
    assert type(dialect.error(status, {}, body, now=0.0)) is expected


@pytest.mark.row("STRE-22")
@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("INVALID_ARGUMENT", InvalidRequestError),
        ("UNAUTHENTICATED", AuthenticationError),
        ("PERMISSION_DENIED", PermissionDeniedError),
        ("NOT_FOUND", ModelNotFoundError),
        ("RESOURCE_EXHAUSTED", RateLimitError),
        ("INTERNAL", ProviderUnavailableError),
        ("UNAVAILABLE", ProviderUnavailableError),
        ("DEADLINE_EXCEEDED", RequestTimeoutError),
    ],
)
def test_the_word_stands_for_a_status_where_there_is_no_better_one(dialect, word, expected):
    body = json.dumps({"error": {"message": "m", "status": word}}).encode()
    assert type(dialect.error(200, {}, body, now=0.0)) is expected


@pytest.mark.row("ERRO-25")
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[]", b"[3]", b'{"error": "x"}', b"3"])
def test_other_bodies_are_read_too(dialect, vertex, body):
    for made in (dialect, vertex):
        error = made.error(502, {":authority": "h"}, body, now=0.0)
        assert type(error) is ProviderUnavailableError
        assert (error.provider, error.status) == (made.provider, 502)
        assert "<" not in error.message

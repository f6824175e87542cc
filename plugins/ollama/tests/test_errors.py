"""Error answers, with the texts of the Ollama docs, of the server's source and of bug reports."""

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

BUSY = "server busy, please try again.  maximum pending requests exceeded"
LIMIT = "you (ada) have reached your weekly usage limit, upgrade for higher limits: https://x"
CASES = [
    (400, "messages is required", InvalidRequestError),
    (400, "registry.ollama.ai/library/gemma3:1b does not support tools", InvalidRequestError),
    (400, '"gemma3:1b" does not support thinking', InvalidRequestError),
    (400, 'invalid think value: "x" (must be "high", "medium", "low", "max", true, or false)',
     InvalidRequestError),
    (400, "the input length exceeds the context length", ContextLengthError),
    (400, "prompt too long; exceeded max context length by 1119046 tokens", ContextLengthError),
    (401, "unauthorized", AuthenticationError),
    (403, "this model requires a subscription, upgrade for access", PermissionDeniedError),
    (404, "model 'nope:latest' not found", ModelNotFoundError),
    (404, 'model "nope" not found, try pulling it first', ModelNotFoundError),
    (408, "request timeout", RequestTimeoutError),
    (409, "conflict", InvalidRequestError),
    (413, "too large", InvalidRequestError),
    (422, "unprocessable", InvalidRequestError),
    (425, "too early", ProviderUnavailableError),
    (429, "too many requests", RateLimitError),
    (429, "too many concurrent requests", RateLimitError),
    (429, LIMIT, QuotaExceededError),
    (499, "request canceled", InvalidRequestError),
    (500, "an error was encountered while running the model", ProviderUnavailableError),
    (500, "the model failed to generate a response", ProviderUnavailableError),
    (500, "llama runner process has terminated: exit status 2", ProviderUnavailableError),
    (502, "bad gateway", ProviderUnavailableError),
    (503, BUSY, OverloadedError),
    (503, "unavailable", ProviderUnavailableError),
    (504, "gateway timeout", RequestTimeoutError),
    (529, "overloaded", OverloadedError),
]  # fmt: skip


@pytest.mark.row("TEST-13", "ERRO-05", "ERRO-06", "ERRO-07", "ERRO-09", "ERRO-11", "ERRO-12")
@pytest.mark.row("PROV-10")
@pytest.mark.parametrize("api", ["native", "chat"])
@pytest.mark.parametrize(("status", "text", "expected"), CASES)
def test_errors_get_their_class(dialect, chat, api, status, text, expected):
    said = text if api == "native" else {"message": text, "type": "api_error", "code": None}
    headers = {"retry-after": "7", "x-request-id": "req_1"}
    to = dialect if api == "native" else chat
    error = to.error(status, headers, json.dumps({"error": said}).encode(), now=0.0)
    assert type(error) is expected
    assert error.retryable is expected.retryable
    assert (error.message, error.provider, error.status) == (text, "ollama", status)
    assert (error.retry_after, error.request_id) == (7.0, "req_1")
    assert error.provider_code == (None if api == "native" else "api_error")


@pytest.mark.row("STRE-22")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BUSY, OverloadedError),
        (LIMIT, QuotaExceededError),
        ("too many requests", RateLimitError),
        ("an error was encountered while running the model", ProviderUnavailableError),
        ("model runner has unexpectedly stopped, this may be due to resource limitations",
         ProviderUnavailableError),
        ("the input length exceeds the context length", ContextLengthError),
    ],
)  # fmt: skip
def test_a_line_of_a_stream_says_what_it_is_by_its_text(dialect, text, expected):
    error = dialect.error(200, {}, json.dumps({"error": text}).encode(), now=0.0)
    assert (type(error), error.message) == (expected, text)


def test_a_line_may_name_the_status_it_would_have_had(dialect):
    error = dialect.error(200, {}, b'{"error": "odd", "status": 503}', now=0.0)
    assert type(error) is ProviderUnavailableError


@pytest.mark.row("ERRO-25")
def test_an_error_of_the_engine_is_read_out_of_the_text(dialect):
    """From 0.40 on the text may be the JSON of llama.cpp's server."""
    inner = {
        "code": 400,
        "message": "request (2622 tokens) exceeds the available context size (512 tokens)",
        "type": "exceed_context_size_error",
    }
    body = json.dumps({"error": json.dumps({"error": inner})}).encode()
    error = dialect.error(400, {}, body, now=0.0)
    assert type(error) is ContextLengthError
    assert error.message == inner["message"]
    assert error.provider_code == "400"

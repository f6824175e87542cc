"""Error answers, as "Troubleshooting Amazon Bedrock API Error Codes" documents them."""

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
from beluga_llm_bedrock import BedrockChatModel

SUFFIX = ":http://internal.amazon.com/coral/com.amazon.bedrock/"
MODEL = "The model returned the following errors: "
CASES = [
    (400, "ValidationException", "Malformed input request.", InvalidRequestError),
    (400, "ValidationException", "Input is too long for requested model.", ContextLengthError),
    (
        400,
        "ValidationException",
        f"{MODEL}prompt is too long: 213462 tokens > 200000 maximum",
        ContextLengthError,
    ),
    (
        400,
        "ValidationException",
        f"{MODEL}Output blocked by content filtering policy",
        ContentFilterError,
    ),
    (400, "ServiceQuotaExceededException", "m", QuotaExceededError),
    (400, "IncompleteSignature", "m", AuthenticationError),
    (400, "RequestExpired", "m", AuthenticationError),
    (
        403,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
        AuthenticationError,
    ),
    (403, "ExpiredTokenException", "m", AuthenticationError),
    (403, "InvalidSignatureException", "m", AuthenticationError),
    (
        403,
        "AccessDeniedException",
        "Authentication failed: Please make sure your API Key is valid.",
        AuthenticationError,
    ),
    (
        403,
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID.",
        PermissionDeniedError,
    ),
    (
        404,
        "ResourceNotFoundException",
        "Could not resolve the foundation model",
        ModelNotFoundError,
    ),
    (408, "ModelTimeoutException", "m", RequestTimeoutError),
    (409, "ConflictException", "m", InvalidRequestError),
    (413, "RequestEntityTooLargeException", "m", InvalidRequestError),
    (422, "UnprocessableEntityException", "m", InvalidRequestError),
    (424, "ModelErrorException", "m", ProviderUnavailableError),
    (425, "TooEarlyException", "m", ProviderUnavailableError),
    (
        429,
        "ThrottlingException",
        "Too many tokens, please wait before trying again.",
        RateLimitError,
    ),
    (429, "ModelNotReadyException", "m", ProviderUnavailableError),
    (500, "InternalServerException", "m", ProviderUnavailableError),
    (502, "BadGatewayException", "m", ProviderUnavailableError),
    (503, "ServiceUnavailableException", "m", ProviderUnavailableError),
    (503, "ServiceUnavailableException", "The model is overloaded.", OverloadedError),
    (504, "GatewayTimeoutException", "m", RequestTimeoutError),
    (529, "Overloaded", "m", OverloadedError),
]


@pytest.mark.row(
    "TEST-13", "PROV-07", "ERRO-05", "ERRO-06", "ERRO-07", "ERRO-09", "ERRO-11", "ERRO-12",
    "ERRO-25",
)  # fmt: skip
@pytest.mark.parametrize(("status", "kind", "message", "expected"), CASES)
def test_errors_get_their_class(dialect, status, kind, message, expected):
    headers = {
        "x-amzn-errortype": kind + SUFFIX,
        "x-amzn-requestid": "8a7b",
        "retry-after": "7",
    }
    for body in ({"message": message}, {"Message": message}):
        error = dialect.error(status, headers, json.dumps(body).encode(), now=0.0)
        assert type(error) is expected
        assert error.message == message
        assert (error.provider, error.status) == ("bedrock", status)
        assert (error.provider_code, error.request_id) == (kind, "8a7b")
        assert error.retry_after == 7.0
        assert error.code == expected.code
        assert error.retryable is expected.retryable


@pytest.mark.row("ERRO-25")
def test_the_type_may_stand_in_the_body(dialect):
    body = b'{"__type": "com.amazon.coral.service#ThrottlingException", "message": "slow"}'
    error = dialect.error(400, {}, body, now=0.0)
    assert type(error) is RateLimitError
    assert (error.provider_code, error.message) == ("ThrottlingException", "slow")


@pytest.mark.row("ERRO-25")
@pytest.mark.parametrize(
    "body",
    [
        b'{"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}}',
        b"",
        b"null",
        b"<html><body>no</body></html>",
        b"\xff",
    ],
)
def test_bodies_of_other_forms_are_errors_too(dialect, body):
    error = dialect.error(404, {":authority": "host"}, body, now=0.0)
    assert type(error) is ModelNotFoundError
    assert "404" in error.message or error.message == "\ufffd"


@pytest.mark.row("PROV-07", "ERRO-25")
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_errors_of_aws_and_of_openai_where_its_formats_are_spoken(api):
    dialect = BedrockChatModel(model="openai.gpt-oss-20b", api_key="k", api=api).dialect
    aws = dialect.error(403, {"x-amzn-errortype": "ExpiredTokenException"}, b"{}", now=0.0)
    assert type(aws) is AuthenticationError
    said = {"error": {"code": "invalid_api_key", "message": "m", "type": "x", "param": None}}
    openai = dialect.error(401, {}, json.dumps(said).encode(), now=0.0)
    assert type(openai) is AuthenticationError
    assert openai.provider == "bedrock"

"""What Bedrock's words for errors mean, beside those of Claude.

An error answer says its type in the header `x-amzn-errortype` and in the body only a message.
Inside of a stream it is an exception, whose name stands in the binary message's headers.

Sources: "Troubleshooting Amazon Bedrock API Error Codes" of the Bedrock user guide, "Common Error
Types" of its API reference, and the service model "bedrock-runtime" of botocore.
"""

from __future__ import annotations

from beluga_llm import (
    AuthenticationError,
    ContextLengthError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
)
from beluga_llm.plugin import JsonError, dumps, loads
from beluga_llm_anthropic._dialect import RULES

_NO_CREDENTIALS = """
    ExpiredToken ExpiredTokenException IncompleteSignature IncompleteSignatureException
    InvalidClientTokenId InvalidSignatureException MissingAuthenticationToken
    MissingAuthenticationTokenException RequestExpired SignatureDoesNotMatch
    UnrecognizedClientException"""
_STATUSES = {
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "InternalServerException": 500,
    "InternalFailure": 500,
    "ServiceUnavailableException": 503,
    "ServiceUnavailable": 503,
}

BEDROCK_RULES = RULES.extended(
    codes={
        **dict.fromkeys(_NO_CREDENTIALS.split(), AuthenticationError),
        "ThrottlingException": RateLimitError,
        "Throttling": RateLimitError,
        "ServiceQuotaExceededException": QuotaExceededError,
        # 429, but it is the model that is being loaded.
        "ModelNotReadyException": ProviderUnavailableError,
        # 424: the model failed, not the request.
        "ModelErrorException": ProviderUnavailableError,
        "ModelStreamErrorException": ProviderUnavailableError,
    },
    statuses=_STATUSES,
    patterns=(
        (r"\btoo many total text bytes\b", ContextLengthError),
        (r"\bsecurity token included in the request is (invalid|expired)\b", AuthenticationError),
        (r"\bauthentication failed: .*\bapi key\b", AuthenticationError),
    ),
)


def exception_body(event: str, data: bytes) -> bytes:
    """An exception of a stream as the body of an error answer, with its type in it.

    Args:
        event: "exception:" or "error:" and the name, as the framing gives it.
        data: the payload: JSON, or a text.
    """
    try:
        value = loads(data)
    except JsonError:
        value = data.decode("utf-8", "replace")
    found = value if isinstance(value, dict) else {"message": value} if value else {}
    return dumps({"__type": event.partition(":")[2], **found})

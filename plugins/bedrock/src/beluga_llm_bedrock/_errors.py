"""What Bedrock's words for errors mean.

An error answer says its type in the header `x-amzn-errortype` and in the body only a message.
Inside of a stream it is an exception, whose name stands in the binary message's headers.

Sources: "Troubleshooting Amazon Bedrock API Error Codes" of the user guide, "Common Error Types" of
the API reference, and the shapes of the service model "bedrock-runtime" in botocore.
"""

from __future__ import annotations

from beluga_llm import (
    AuthenticationError,
    ContextLengthError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
)
from beluga_llm.plugin import COMMON_RULES, ErrorRules, JsonError, dumps, loads

_AUTHENTICATION = """
    expiredtoken expiredtokenexception incompletesignature incompletesignatureexception
    invalidclienttokenid invalidsignatureexception missingauthenticationtoken
    missingauthenticationtokenexception requestexpired signaturedoesnotmatch
    unrecognizedclientexception"""
_STATUSES = {
    400: "validationexception",
    403: "accessdeniedexception",
    404: "resourcenotfoundexception",
    408: "modeltimeoutexception",
    500: "internalserverexception internalfailure",
    503: "serviceunavailableexception serviceunavailable",
}


def with_aws_rules(rules: ErrorRules) -> ErrorRules:
    """The rules, and those of AWS before them."""
    return rules.extended(
        codes={
            **dict.fromkeys(_AUTHENTICATION.split(), AuthenticationError),
            "throttlingexception": RateLimitError,
            "throttling": RateLimitError,
            "servicequotaexceededexception": QuotaExceededError,
            # "The AWS SDK will automatically retry the operation": the model is being loaded.
            "modelnotreadyexception": ProviderUnavailableError,
            # 424: the model failed, not the request.
            "modelerrorexception": ProviderUnavailableError,
            "modelstreamerrorexception": ProviderUnavailableError,
        },
        statuses={word: status for status, words in _STATUSES.items() for word in words.split()},
        patterns=(
            (r"\binput is too long for requested model\b", ContextLengthError),
            (r"\btoo many total text bytes\b", ContextLengthError),
            (r"\bsecurity token included in the request is (invalid|expired)\b",
             AuthenticationError),
            (r"\bauthentication failed: .*\bapi key\b", AuthenticationError),
        ),
    )  # fmt: skip


RULES = with_aws_rules(COMMON_RULES)


def exception_body(event: str, data: bytes) -> bytes:
    """An exception of a stream as the body of an error answer, with its type in it.

    Args:
        event: "exception:" or "error:" and the name, as the framing gives it.
        data: the payload: JSON, or a text.
    """
    kind = event.partition(":")[2]
    try:
        value = loads(data)
    except JsonError:
        value = data.decode("utf-8", "replace")
    found = value if isinstance(value, dict) else {"message": value} if value else {}
    return dumps({"__type": kind, **found})

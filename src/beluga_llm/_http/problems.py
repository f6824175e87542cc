"""Error answers of any vendor, read into typed errors.

    (status, headers, body) --read_problem--> Problem --ErrorRules--> a class --http_error--> error

Vendors agree on little: `read_problem` finds the facts wherever they stand. Which class they mean
is data: first the provider's own words (`ErrorRules.codes`), then documented texts
(`ErrorRules.patterns`), then the status. A dialect extends `COMMON_RULES` by what its vendor adds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec

from beluga_llm._errors import (
    AuthenticationError,
    BelugaError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    from_status,
)
from beluga_llm._frozen import EMPTY
from beluga_llm._http.problem_body import Problem, read_problem

__all__ = ["COMMON_RULES", "ErrorRules", "Problem", "http_error", "read_problem"]


T = TypeVar("T")


class ErrorRules(msgspec.Struct, frozen=True, kw_only=True):
    """Which class a provider's words mean.

    Attributes:
        codes: a provider's code, type or reason, in lower case, to the class that it means under
            any status.
        statuses: words that only stand for an HTTP status, in lower case; they are read where
            there is no better status, which is for errors inside a good answer.
        patterns: regular expressions for the message, where no code says it; case is ignored.
            They are not asked under 401, 404 and 408, which say enough.
        transient_409: whether a 409 passes by itself and may be tried again.
    """

    codes: Mapping[str, type[BelugaError]] = EMPTY
    statuses: Mapping[str, int] = EMPTY
    patterns: tuple[tuple[str, type[BelugaError]], ...] = ()
    transient_409: bool = False

    def extended(
        self,
        *,
        codes: Mapping[str, type[BelugaError]] = EMPTY,
        statuses: Mapping[str, int] = EMPTY,
        patterns: tuple[tuple[str, type[BelugaError]], ...] = (),
        transient_409: bool | None = None,
    ) -> ErrorRules:
        """These rules and more; what is given comes first."""
        return ErrorRules(
            codes={**self.codes, **_in_lower_case(codes)},
            statuses={**self.statuses, **_in_lower_case(statuses)},
            patterns=(*patterns, *self.patterns),
            transient_409=self.transient_409 if transient_409 is None else transient_409,
        )


def _in_lower_case(words: Mapping[str, T]) -> dict[str, T]:
    return {word.lower(): meaning for word, meaning in words.items()}


_CLASSES: dict[type[BelugaError], str] = {
    AuthenticationError: """
        invalid_api_key api_key_invalid authentication_error invalid_authentication
        invalid_authentication_error incorrect_api_key expired_api_key""",
    ContentFilterError: """
        content_filter content_filtered content_policy_violation responsibleaipolicyviolation""",
    ContextLengthError: """
        context_length_exceeded context_window_exceeded exceed_context_size_error
        model_context_window_exceeded tokens_limit_reached too_many_tokens""",
    ModelNotFoundError: "model_not_found deploymentnotfound",
    OverloadedError: """
        engine_overloaded engine_overloaded_error model_overloaded overloaded overloaded_error
        server_overloaded""",
    QuotaExceededError: """
        billing_error billing_hard_limit_reached billing_not_active exceeded_current_quota_error
        insufficient_balance insufficient_credits insufficient_quota""",
    RateLimitError: "rate_limit_error rate_limit_exceeded rate_limited",
}

_STATUSES = {
    400: "bad_request invalid_request invalid_request_error validation_error",
    403: "forbidden permission_denied permission_error",
    404: "not_found not_found_error",
    408: "request_timeout timeout timeout_error",
    413: "request_too_large",
    429: "too_many_requests",
    500: "api_error internal_error internal_server_error server_error",
    503: "service_unavailable unavailable",
}

_TEXTS: dict[type[BelugaError], tuple[str, ...]] = {
    ContextLengthError: (
        r"max(imum)? context length",  # OpenAI, Azure, vLLM, Mistral, Ollama
        # OpenAI Responses, llama.cpp, Anthropic ("input length and `max_tokens` exceed ...")
        r"exceeds? (the )?(available )?context (window|size|length|limit)",
        r"\bprompt is too long\b",  # Anthropic, and Bedrock for it
        r"\binput is too long for requested model",  # Bedrock
        r"\bmaximum prompt length is \d",  # xAI
        r"longer than the maximum model length",  # vLLM
        r"`inputs` (must have less than \d+ tokens|tokens \+ `max_new_tokens` must)",  # TGI
        r"input token count.{0,40}exceeds the maximum number of tokens allowed",  # Google
    ),
    AuthenticationError: (
        r"\b(invalid|incorrect) api[ -]?key\b",  # xAI (400), Mistral, Groq
        r"\bapi[ -]?key (is )?(not valid|invalid|incorrect|expired)\b",  # Google (400)
    ),
    QuotaExceededError: (
        r"\bcredit balance is too low",  # Anthropic (400)
        r"\binsufficient (account )?(balance|credits?|funds|quota)\b",  # DeepSeek, OpenRouter
        r"\bused all available credits",  # xAI
    ),
    ContentFilterError: (
        r"content management policy",  # Azure
        r"blocked by content filtering policy",  # Anthropic
    ),
    ModelNotFoundError: (
        r"\bis not a valid model id\b",  # OpenRouter (400)
        r"\bmodel not exist\b",  # DeepSeek (400)
        r"\bmodel [`'\"]?[\w.:/@-]+[`'\"]? (does not exist|(was |is )?not found)",  # OpenAI, Ollama
    ),
    OverloadedError: (r"\boverloaded\b",),  # Google (503), Anthropic inside a stream
}

COMMON_RULES = ErrorRules(
    codes={word: kind for kind, words in _CLASSES.items() for word in words.split()},
    statuses={word: status for status, words in _STATUSES.items() for word in words.split()},
    patterns=tuple((text, kind) for kind, texts in _TEXTS.items() for text in texts),
)
"""What means the same at every vendor that says it."""


def http_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float,
    provider: str,
    rules: ErrorRules = COMMON_RULES,
    host: str = "",
) -> BelugaError:
    """The typed error that an answer means.

    Args:
        status: the HTTP status; below 400 for an error inside a good answer, whose class then
            comes from what the body says.
        headers: their names in lower case; `:authority` may be the server's name.
        body: the raw body, or the frame.
        now: unix seconds, for dates where the answer has no `Date` header.
        provider: the entry name.
        rules: what the provider's words mean.
        host: the server's name, for a body that is a web page.
    """
    problem = read_problem(status, headers, body, now=now, host=host)
    kind = _class(status, problem, rules)
    return kind(
        problem.message,
        retryable=_RETRY_WORDS.get(headers.get("x-should-retry", "").strip().lower()),
        provider=provider,
        status=status,
        retry_after=problem.retry_after,
        provider_code=problem.code or problem.type,
        request_id=problem.request_id,
        body=problem.body,
    )


_RETRY_WORDS = {"true": True, "false": False}


def _class(status: int, problem: Problem, rules: ErrorRules) -> type[BelugaError]:
    words = [word.lower() for word in problem.words()]
    if status < 400:
        status = _status_said(problem, words, rules) or status
    kind = next((rules.codes[word] for word in words if word in rules.codes), None)
    if kind is None:
        kind = _by_message(status, problem.message, rules)
    if status == 413 and kind is not None and kind.retryable:
        return InvalidRequestError  # larger than a limit per minute: waiting does not help
    if kind is not None:
        return kind
    if status == 402:
        return QuotaExceededError
    if status == 409 and rules.transient_409:
        return ProviderUnavailableError
    return from_status(status)


def _status_said(problem: Problem, words: list[str], rules: ErrorRules) -> int | None:
    if problem.status_code_in_body is not None:
        return problem.status_code_in_body
    return next((rules.statuses[word] for word in words if word in rules.statuses), None)


def _by_message(status: int, message: str, rules: ErrorRules) -> type[BelugaError] | None:
    if status in (401, 404, 408):
        return None
    for kind in _matches(message, rules):
        if not kind.retryable or status < 400 or status == 429 or status >= 500:
            return kind
    return None


def _matches(message: str, rules: ErrorRules) -> Iterator[type[BelugaError]]:
    for pattern, kind in rules.patterns:
        if re.search(pattern, message, re.IGNORECASE):
            yield kind

"""Which values an option may have: ranges and types, not what a provider supports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from beluga_llm._option_types import ReasoningConfig, ResponseFormat, Timeouts
from beluga_llm._options import NO_OPTIONS, GenerateOptions

Check = Callable[[str, Any], str | None]


_FOREVER = 1e9
"""Seconds, some thirty years: longer limits are said by None."""


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _between(low: float, high: float) -> Check:
    def check(name: str, value: Any) -> str | None:
        if _is_number(value) and low <= value <= high:
            return None
        return f"{name} must be between {low} and {high}, got {value!r}"

    return check


def _whole(low: int | None = None, high: int | None = None) -> Check:
    def check(name: str, value: Any) -> str | None:
        fits = _is_int(value) and (low is None or value >= low) and (high is None or value <= high)
        if fits:
            return None
        if high is not None:
            return f"{name} must be an integer between {low} and {high}, got {value!r}"
        least = "" if low is None else f" of at least {low}"
        return f"{name} must be an integer{least}, got {value!r}"

    return check


def _of(kind: type, words: str) -> Check:
    def check(name: str, value: Any) -> str | None:
        return None if isinstance(value, kind) else f"{name} must be {words}, got {value!r}"

    return check


def _stop(name: str, value: Any) -> str | None:
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        return None
    return f"{name} must be a str or a sequence of str, got {value!r}"


def _logit_bias(name: str, value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return f"{name} must be a mapping of token to bias, got {value!r}"
    for token, bias in value.items():
        if not isinstance(token, str):
            return f"{name} must be a mapping of str to int, got the key {token!r}"
        if not (_is_int(bias) and -100 <= bias <= 100):
            return f"{name}[{token!r}] must be an integer between -100 and 100, got {bias!r}"
    return None


def _provider_options(name: str, value: Any) -> str | None:
    if isinstance(value, Mapping) and all(isinstance(item, Mapping) for item in value.values()):
        return None
    return f"{name} must be a mapping of provider name to a mapping, got {value!r}"


def unsendable(text: str) -> str | None:
    """What a text holds that no header or address can carry; None for nothing."""
    if any(sign in text for sign in "\r\n\0"):
        return "a line break"
    if any("\ud800" <= sign <= "\udfff" for sign in text):  # as variables of other encodings have
        return "bytes that are no UTF-8"
    return None


def check_headers(name: str, value: Any) -> str | None:
    """What is wrong with a mapping of headers or query parameters; None for nothing."""
    if not isinstance(value, Mapping):
        return f"{name} must be a mapping of str to str, got {type(value).__name__}"
    problems = []
    for key, item in value.items():
        if not (isinstance(key, str) and isinstance(item, str)):
            wrong = type(item).__name__
            problems.append(f"{name} must be a mapping of str to str, got a {wrong} at {key!r}")
        elif what := unsendable(key + item):
            problems.append(f"{name}[{key!r}] must not contain {what}")
    return "; ".join(problems) or None


def _is_duration(value: Any) -> bool:
    """Whether a value is a number of seconds that a clock can count."""
    return _is_number(value) and 0 < value < _FOREVER


def check_timeout(name: str, value: Any) -> str | None:
    """What is wrong with a time limit in seconds or Timeouts; None for nothing."""
    if isinstance(value, Timeouts):
        problems = []
        for limit in ("connect", "first_chunk", "idle", "whole", "total"):
            seconds = getattr(value, limit)
            if seconds is not None and not _is_duration(seconds):
                problems.append(f"{name}.{limit} must be > 0 seconds or None, got {seconds!r}")
        alive = value.keepalive
        if alive is not None and not (_is_number(alive) and alive == 0) and not _is_duration(alive):
            problems.append(f"{name}.keepalive must be >= 0 seconds or None, got {alive!r}")
        return "; ".join(problems) or None
    if _is_duration(value):
        return None
    return f"{name} must be > 0 seconds or Timeouts, got {value!r}"


_AUTOMATIC = -1
"""The budget of tokens that leaves it to the model, where the provider has that (Gemini)."""


def _reasoning(name: str, value: Any) -> str | None:
    if not isinstance(value, ReasoningConfig):
        return f"{name} must be a ReasoningConfig, got {value!r}"
    if value.effort is not None and not isinstance(value.effort, str):
        return f"reasoning_effort must be a str, got {value.effort!r}"
    budget = value.budget_tokens
    if budget is None or (type(budget) is int and budget == _AUTOMATIC):
        return None
    return _whole(0)("reasoning_budget", budget)


_CHECKS: dict[str, Check] = {
    "model": _of(str, "a str"),
    "temperature": _between(0.0, 2.0),
    "max_tokens": _whole(1),
    "top_p": _between(0.0, 1.0),
    "top_k": _whole(1),
    "stop": _stop,
    "seed": _whole(),
    "n": _whole(1),
    "frequency_penalty": _between(-2.0, 2.0),
    "presence_penalty": _between(-2.0, 2.0),
    "logprobs": _of(bool, "a bool"),
    "top_logprobs": _whole(0, 20),
    "logit_bias": _logit_bias,
    "user": _of(str, "a str"),
    "response_format": _of(ResponseFormat, "a ResponseFormat"),
    "tool_choice": _of(str, "a str"),
    "parallel_tool_calls": _of(bool, "a bool"),
    "reasoning": _reasoning,
    "timeout": check_timeout,
    "provider_options": _provider_options,
    "extra_headers": check_headers,
    "extra_query": check_headers,
    "extra_body": _of(Mapping, "a mapping"),
    "raw": _of(bool, "a bool"),
    "metadata": _of(Mapping, "a mapping"),
    "validate_history": _of(bool, "a bool"),
}


def option_problems(options: GenerateOptions) -> list[str]:
    """Everything that is wrong with the values of options, in the order of the fields."""
    if options is NO_OPTIONS:
        return []
    problems = []
    for name, check in _CHECKS.items():
        value = getattr(options, name)
        if value is not getattr(NO_OPTIONS, name) and (problem := check(name, value)):
            problems.append(problem)
    return problems

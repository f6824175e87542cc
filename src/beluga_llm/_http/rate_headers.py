"""What an answer's headers say of rate limits, and of when to come back.

The normal form, which is `provider_metadata["rate_limit"]` of an answer whose headers say anything:

    {"requests": {"limit": 500, "remaining": 499, "reset": 0.12},
     "tokens": {"limit": 30000, "remaining": 0, "reset": 6.0}, "retry_after": 6.0}

One entry for each bucket, under the provider's own word with underscores: `requests`, `tokens`,
`input_tokens`, `requests_day`. `limit` and `remaining` are counts, `reset` is in seconds from the
answer, `retry_after` likewise; what is not said is not there.

Headers that are read:
- OpenAI, Azure, Groq, xAI: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, the reset as
  "6m0s", "120ms" or a number of seconds (platform.openai.com/docs/guides/rate-limits,
  console.groq.com/docs/rate-limits). Azure says -1 where it does not count: left out.
- Mistral, Cerebras: the same with a period, `...-req-minute`, `...-requests-day`
  (inference-docs.cerebras.ai/support/rate-limits).
- Anthropic: `anthropic-ratelimit-{requests,input-tokens,...}-{limit,remaining,reset}`, the reset as
  an RFC 3339 time (docs.anthropic.com/en/api/rate-limits).
- OpenRouter, Together and others: `x-ratelimit-{limit,remaining,reset}` of requests, the reset in
  seconds or as a unix time in seconds or milliseconds.
- `retry-after-ms`, and `retry-after` in seconds or as an HTTP date.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

_PREFIX = re.compile(r"(?:x-|anthropic-)?ratelimit-")
_KINDS = ("limit", "remaining", "reset")
_WORDS = {"req": "requests"}
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_AMOUNT = r"([0-9]{1,15}(?:\.[0-9]*)?)(ms|us|ns|[dhms])"
_DURATION = re.compile(f"(?:{_AMOUNT})+")
_UNIX_TIME = 1e9
_UNIX_MILLISECONDS = 1e12


def rate_limit(headers: Mapping[str, str], *, now: float) -> dict[str, Any]:
    """The facts of an answer's headers in the normal form; empty where they say nothing.

    Args:
        headers: their names in lower case.
        now: unix seconds, for times where the answer has no `Date` header.
    """
    facts: dict[str, Any] = {}
    for name in headers:
        if "ratelimit-" in name and (place := _place(name)):
            bucket, kind = place
            value = _value(kind, headers[name], headers.get("date"), now)
            if value is not None:
                facts.setdefault(bucket, {})[kind] = value
    if "retry-after" in headers or "retry-after-ms" in headers:
        wait = retry_after(headers, now=now)
        if wait is not None:
            facts["retry_after"] = wait
    return facts


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """How long the provider asks to wait, in seconds; None where it does not say."""
    milliseconds = number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    if not said:
        return None
    seconds = number(said)
    if seconds is None:
        seconds = _until(_http_date(said), headers.get("date"), now)
        seconds = None if seconds is None else float(math.ceil(seconds))  # dates have no fractions
    return seconds


def exhausted(facts: Mapping[str, Any]) -> Iterator[tuple[float, int | None]]:
    """The buckets that have nothing left: seconds to their reset, and their limit if it is known.

    A bucket of the size 0 is none: so do keys without any allowance look, and limits not in use.
    """
    for bucket in facts.values():
        if isinstance(bucket, Mapping) and bucket.get("remaining") == 0:
            limit, reset = bucket.get("limit"), bucket.get("reset")
            if reset is not None and limit != 0:
                yield reset, limit


def until_reset(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds until every bucket that has nothing left is filled again; None for none."""
    return max((reset for reset, _ in exhausted(rate_limit(headers, now=now))), default=None)


def number(text: str | None) -> float | None:
    """A decimal number, not below 0."""
    if text is None or not re.fullmatch(r"\s*[+-]?[0-9]{1,15}(\.[0-9]*)?\s*", text):
        return None
    return max(float(text), 0.0)


def _place(name: str) -> tuple[str, str] | None:
    """The bucket and the kind of fact that a header is about."""
    prefix = _PREFIX.match(name)
    if prefix is None:
        return None
    words = name[prefix.end() :].split("-")
    if words[0] in _KINDS:
        kind, words = words[0], words[1:]
    elif words[-1] in _KINDS:
        kind, words = words[-1], words[:-1]
    else:
        return None
    return "_".join(_WORDS.get(word, word) for word in words) or "requests", kind


def _value(kind: str, text: str, sent: str | None, now: float) -> float | int | None:
    text = text.strip()
    if text.startswith("-"):
        return None
    if kind == "reset":
        return _reset(text, sent, now)
    count = number(text)
    return None if count is None else int(count)


def _reset(text: str, sent: str | None, now: float) -> float | None:
    """Seconds to a reset that is said as a number, a duration or a time."""
    if _DURATION.fullmatch(text):
        return sum(float(amount) * _UNITS[unit] for amount, unit in re.findall(_AMOUNT, text))
    seconds = number(text)
    if seconds is None:
        return _until(_iso_time(text), sent, now)
    if seconds >= _UNIX_MILLISECONDS:
        seconds /= 1000
    return _until(seconds, sent, now) if seconds >= _UNIX_TIME else seconds


def _until(then: float | None, sent: str | None, now: float) -> float | None:
    """Seconds from the moment the answer was sent to a unix time, not below 0."""
    if then is None:
        return None
    start = _http_date(sent) if sent else None
    return max(then - (now if start is None else start), 0.0)


def _iso_time(text: str) -> float | None:
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _http_date(text: str) -> float | None:
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None

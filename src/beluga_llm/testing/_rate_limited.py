"""The ways in which providers say how long to wait.

- `retry-after` in seconds or as an HTTP date (RFC 9110, section 10.2.3), `retry-after-ms` (OpenAI
  and Azure).
- `x-ratelimit-reset-requests` as a duration, with nothing remaining
  (platform.openai.com/docs/guides/rate-limits).
- `anthropic-ratelimit-requests-reset` as an RFC 3339 time
  (docs.anthropic.com/en/api/rate-limits).
- `google.rpc.RetryInfo` in the body (cloud.google.com/apis/design/errors).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Literal, TypeAlias, get_args

from beluga_llm import _json
from beluga_llm.testing._reply import Reply

Way: TypeAlias = Literal["seconds", "date", "milliseconds", "openai", "anthropic", "google", "none"]

_HEADERS: Mapping[str, Callable[[float], Mapping[str, str]]] = {
    "seconds": lambda seconds: {"retry-after": f"{seconds:g}"},
    "date": lambda seconds: {"retry-after": formatdate(time.time() + seconds, usegmt=True)},
    "milliseconds": lambda seconds: {"retry-after-ms": f"{seconds * 1000:g}"},
    "openai": lambda seconds: {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": f"{seconds:g}s",
    },
    "anthropic": lambda seconds: {
        "anthropic-ratelimit-requests-limit": "60",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": _moment(seconds),
    },
}


def rate_limited(seconds: float = 1.0, way: Way = "seconds", **fields: Any) -> Reply:
    """A 429 for a FakeServer that says how long to wait, in one of the vendors' ways.

        server.reply(rate_limited(2))          # retry-after: 2
        server.reply(rate_limited(2, "date"))  # retry-after: Sat, 28 Nov 2026 03:00:02 GMT

    Args:
        seconds: how long to wait; an HTTP date has whole seconds.
        way: "seconds" or "date" in `retry-after`, "milliseconds" in `retry-after-ms`, "openai" and
            "anthropic" in the headers of their limits, "google" in the body, "none" not at all.
        **fields: other fields of the Reply.

    Raises:
        ValueError: there is no such way.
    """
    if way not in get_args(Way):
        raise ValueError(f"unknown way {way!r} (known: {', '.join(get_args(Way))})")
    if way == "google":
        return Reply(status=429, body=_google(seconds), **fields)
    headers = _HEADERS[way](seconds) if way in _HEADERS else {}
    return Reply(status=429, headers={**headers, **fields.pop("headers", {})}, **fields)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat().replace("+00:00", "Z")


def _google(seconds: float) -> bytes:
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds:g}s"}
    error = {
        "code": 429,
        "message": "Resource has been exhausted",
        "status": "RESOURCE_EXHAUSTED",
        "details": [detail],
    }
    return _json.dumps({"error": error})

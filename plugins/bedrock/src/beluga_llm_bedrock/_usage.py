"""Tokens as Converse counts them, in the normal form.

`inputTokens` leaves out what was read from and written to the prompt cache; ours is the sum of the
three. `totalTokens` is kept as reported. Source: "TokenUsage" of the Amazon Bedrock API reference;
some models report the cache under names that end with "Count" as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm import Usage

_READ = ("cacheReadInputTokens", "cacheReadInputTokenCount")
_WRITTEN = ("cacheWriteInputTokens", "cacheWriteInputTokenCount")
_KNOWN = frozenset(("inputTokens", "outputTokens", "totalTokens", *_READ, *_WRITTEN))


def usage_of(report: Mapping[str, Any]) -> Usage | None:
    """The usage that a report tells; None where it says nothing of tokens."""
    fresh = _count(report, "inputTokens")
    read, written = _count(report, *_READ), _count(report, *_WRITTEN)
    output, total = _count(report, "outputTokens"), _count(report, "totalTokens")
    if all(number is None for number in (fresh, output, total, read, written)):
        return None
    return Usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        output_tokens=output,
        total_tokens=total,
        cached_tokens=read,
        cache_write_tokens=written,
    )


def usage_extras(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a report says besides, under the API's own names, where it is not empty."""
    return {key: value for key, value in report.items() if key not in _KNOWN and value}


def _count(report: Mapping[str, Any], *names: str) -> int | None:
    return next((value for name in names if type(value := report.get(name)) is int), None)

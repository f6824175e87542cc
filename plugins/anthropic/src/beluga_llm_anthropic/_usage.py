"""Tokens as the Messages API counts them, in the normal form.

`input_tokens` of the API leaves out what was read from and written to the prompt cache; ours is the
sum of the three. Counts come twice in a stream, with `message_start` and, cumulative, with
`message_delta`; the later ones win. Source: "Messages" and "Streaming messages" of the Claude
Platform docs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm import Usage

_COUNTS = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
)  # fmt: skip
_DETAILS = "output_tokens_details"
_KNOWN = frozenset((*_COUNTS, _DETAILS))


class UsageCounter:
    """Merges the reports of one answer."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, report: Mapping[str, Any]) -> Usage | None:
        """All that is known after this report; None where it says nothing of tokens."""
        counted = False
        for name in _COUNTS if report else ():
            if type(count := report.get(name)) is int:
                self._counts[name], counted = count, True
        details = report.get(_DETAILS)
        thinking = details.get("thinking_tokens") if isinstance(details, dict) else None
        if type(thinking) is int:
            self._counts["thinking"], counted = thinking, True
        return self._total() if counted else None

    def _total(self) -> Usage:
        counts = self._counts
        read = counts.get("cache_read_input_tokens")
        written = counts.get("cache_creation_input_tokens")
        fresh = counts.get("input_tokens")
        return Usage(
            input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
            output_tokens=counts.get("output_tokens"),
            cached_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=counts.get("thinking"),
        )


def usage_extras(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a report says besides, under the API's own names: the service tier and such."""
    return {key: value for key, value in report.items() if key not in _KNOWN and value is not None}

"""Tokens as the API counts them, in the normal form.

`promptTokenCount` includes what came from the cache, and leaves out the prompts that Google's own
tools made; `candidatesTokenCount` leaves out thinking. A count of 0 is not sent: once an answer is
finished, one that is missing is 0. In a stream the reports are cumulative. Source: "UsageMetadata"
of the Gemini API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm import Usage

_PROMPT, _TOOLS = "promptTokenCount", "toolUsePromptTokenCount"
_ANSWER, _THOUGHTS = "candidatesTokenCount", "thoughtsTokenCount"
_CACHED, _TOTAL = "cachedContentTokenCount", "totalTokenCount"
_COUNTS = (_PROMPT, _TOOLS, _ANSWER, _THOUGHTS, _CACHED, _TOTAL)
_AUDIO = {"audio_input": "promptTokensDetails", "audio_output": "candidatesTokensDetails"}
_KNOWN = frozenset((_PROMPT, _ANSWER, _THOUGHTS, _CACHED, _TOTAL))


class UsageCounter:
    """Merges the reports of one answer."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, report: Mapping[str, Any], *, finished: bool) -> Usage | None:
        """All that is known after this report; None where it says nothing of tokens.

        Args:
            report: the `usageMetadata`.
            finished: whether the answer is complete, so that a missing count is 0.
        """
        news = {name: report.get(name) for name in _COUNTS}
        news |= {name: _audio(report.get(details)) for name, details in _AUDIO.items()}
        known = {name: count for name, count in news.items() if type(count) is int}
        self._counts.update(known)
        return self._total(finished=finished) if known else None

    def _total(self, *, finished: bool) -> Usage:
        counts = self._counts
        said = (counts.get(_ANSWER), counts.get(_THOUGHTS))
        prompt = counts.get(_PROMPT)
        answered = finished or said != (None, None)
        return Usage(
            input_tokens=None if prompt is None else prompt + counts.get(_TOOLS, 0),
            output_tokens=sum(count or 0 for count in said) if answered else None,
            total_tokens=counts.get(_TOTAL),
            cached_tokens=counts.get(_CACHED),
            reasoning_tokens=counts.get(_THOUGHTS),
            audio_input_tokens=counts.get("audio_input"),
            audio_output_tokens=counts.get("audio_output"),
        )


def _audio(details: Any) -> int | None:
    for entry in details if isinstance(details, list) else ():
        if isinstance(entry, dict) and entry.get("modality") == "AUDIO":
            count = entry.get("tokenCount")
            return count if type(count) is int else None
    return None


def usage_extras(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a report says besides, under the API's own names: the service tier and such."""
    return {key: value for key, value in report.items() if key not in _KNOWN and value is not None}

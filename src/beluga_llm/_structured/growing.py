"""Unfinished answers: the part of the value that is there, and the elements that are complete."""

from __future__ import annotations

import re
from typing import Any

from beluga_llm._partial_json import NOTHING, partial_value
from beluga_llm._structured.answers import value_at

_FIRST_HALF = re.compile("[\ud800-\udbff]\\Z")
"""Half a character at the end: the other half is on its way."""

_BARE_LIST = re.compile(r"[^{\[]*\[")
_WRAPPED_LIST = re.compile(r'[^{]*\{\s*"value"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")


def growing_value(text: str, *, wrapped: bool) -> Any:
    """What is complete of the value in an answer; NOTHING before anything is.

    Args:
        text: the answer so far; words before the value are skipped.
        wrapped: whether the value is the object's member `value`.
    """
    begin = _BARE_LIST.match(text) if wrapped else None
    start = begin.end() - 1 if begin else text.find("{")
    if start < 0:
        return NOTHING
    value = partial_value(_FIRST_HALF.sub("", text[start:]))
    if not wrapped or not isinstance(value, dict):
        return value
    return value.get("value", value or NOTHING)  # it may have been left unwrapped


class ElementScanner:
    """Finds the elements of a list that arrives, each once it is complete."""

    def __init__(self) -> None:
        self._place = 0
        self._closed = False

    def feed(self, text: str) -> list[Any]:
        """The elements that are complete now and were not before.

        Args:
            text: the whole answer so far.
        """
        if not self._place:
            begin = _BARE_LIST.match(text) or _WRAPPED_LIST.match(text)
            if begin is None:
                return []
            self._place = begin.end()
        found = []
        while not self._closed:
            start = _BETWEEN.match(text, self._place).end()  # type: ignore[union-attr]  # it matches nothing too
            self._closed = text.startswith("]", start)
            element = None if self._closed else value_at(text, start)
            if element is None or _may_go_on(*element, text):
                break
            value, self._place = element
            found.append(value)
        return found


def _may_go_on(value: Any, end: int, text: str) -> bool:
    """Whether it is a number that further characters may belong to."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and text[end : end + 1] not in tuple(" \t\r\n,]")

"""Unfinished answers: the part of the value that is there, and the elements that are complete."""

from __future__ import annotations

import re
from typing import Any

from beluga_llm._partial_json import NOTHING, partial_value
from beluga_llm._structured.answers import JSON_BEGINS, OBJECT_BEGINS, value_at

_LIST = re.compile(r'\[|\{\s*"value"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")


def growing_value(text: str, *, wrapped: bool) -> Any:
    """What is complete of the value in an answer; NOTHING before anything is.

    Args:
        text: the answer so far; words before the value are skipped.
        wrapped: whether the value is the object's member `value`.
    """
    begin = (JSON_BEGINS if wrapped else OBJECT_BEGINS).search(text)
    if begin is None:
        return NOTHING
    if "\ud800" <= text[-1] <= "\udbff":
        text = text[:-1]  # half a character: the other half is on its way
    value = partial_value(text[begin.start() :])
    if not wrapped or not isinstance(value, dict):
        return value
    return value.get("value", value or NOTHING)  # it may have been left unwrapped


class ElementScanner:
    """Finds the elements of a list that arrives, each once it is complete."""

    def __init__(self) -> None:
        self._begin_with("")

    def _begin_with(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._closed = False

    def feed(self, text: str) -> list[Any]:
        """The elements that are complete now and were not before.

        Args:
            text: the whole answer so far; another answer than before is read from its beginning.
        """
        if not text.startswith(self._text):
            self._begin_with(text)
        self._text = text
        if not self._place:
            value = JSON_BEGINS.search(text)
            begin = _LIST.match(text, value.start()) if value else None
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

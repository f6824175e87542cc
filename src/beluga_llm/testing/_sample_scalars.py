"""Guesses for texts and numbers of a JSON schema."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterator, Mapping
from typing import Any

_MANY = 60
"""How many different guesses there are for a place that wants several."""

_FORMATS = {
    "date": "2025-01-31",
    "time": "12:00:00Z",
    "date-time": "2025-01-31T12:00:00Z",
    "duration": "PT1H",
    "email": "demo@example.com",
    "idn-email": "demo@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/demo",
    "iri": "https://example.com/",
    "iri-reference": "/demo",
    "uri-template": "/demo/{id}",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "json-pointer": "/demo",
    "relative-json-pointer": "0",
    "regex": "demo",
    "byte": "ZGVtbw==",
    "binary": "demo",
}


def texts(schema: Mapping[str, Any], name: str) -> Iterator[str]:
    """Guesses for a text, called `name`."""
    if known := _FORMATS.get(schema.get("format", "")):
        yield known
    if schema.get("contentEncoding") == "base64":
        yield _FORMATS["byte"]
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    if pattern := schema.get("pattern"):
        for extra in range(least + 12):
            yield from _matching(pattern, extra)
        for text in _matching(pattern, least):
            yield from (f"{text}{number}" for number in range(_MANY))
    for number in range(1, _MANY):
        text = name if number == 1 else f"{name} {number}"
        padded = text + "." * (least - len(text))
        yield padded if len(padded) <= most else padded[: int(most)]
    yield from (char * max(least, 1) for char in string.ascii_letters)


def numbers(schema: Mapping[str, Any], *, whole: bool) -> Iterator[Any]:
    """Guesses for a number."""
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    step = schema.get("multipleOf")
    if not whole and step is None:
        yield from (1.5, 0.5)
    yield from (1, 0)
    if step:
        start = math.ceil(low / step) if math.isfinite(low) else 0
        for factor in range(start, start + _MANY):
            yield _plain(factor * step, whole=whole)
    if math.isfinite(low) or not math.isfinite(high):
        start = math.ceil(low) if math.isfinite(low) else 1
        yield from range(start, start + _MANY)
    else:
        start = math.floor(high)
        yield from range(start, start - _MANY, -1)
    if not whole and math.isfinite(low) and math.isfinite(high):
        yield from (low + (high - low) * part / 16 for part in range(17))


def _plain(value: float, *, whole: bool) -> Any:
    return int(value) if whole or float(value).is_integer() else value


# --- texts that match a pattern ------------------------------------------------------------------


def _matching(pattern: str, extra: int) -> Iterator[str]:
    """Texts that match a pattern; `extra` more repetitions where it leaves a choice."""
    from re import _parser  # type: ignore[attr-defined]  # how re itself reads patterns

    try:
        tree = _parser.parse(pattern)
    except re.error:
        return
    for variant in range(3):
        try:
            yield _text(tree, extra, variant, {})
        except _NoTextError:
            return


class _NoTextError(Exception):
    """A part of a pattern for which nothing can be guessed."""


def _text(tree: Any, extra: int, variant: int, groups: dict[int, str]) -> str:
    return "".join(_node(str(op), argument, extra, variant, groups) for op, argument in tree)


def _node(op: str, argument: Any, extra: int, variant: int, groups: dict[int, str]) -> str:
    if op == "LITERAL":
        return chr(argument)
    if op in ("AT", "ASSERT", "ASSERT_NOT"):
        return ""
    if op == "ANY":
        return "abc"[variant]
    if op in ("IN", "NOT_LITERAL"):
        items = argument if op == "IN" else [("NEGATE", None), ("LITERAL", argument)]
        return _one_of(items, variant)
    if op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        low, high, sub = argument
        times = min(max(low, 1 if low else 0) + extra, int(high))
        return "".join(_text(sub, 0, variant, groups) for _ in range(times))
    if op == "SUBPATTERN":
        groups[argument[0]] = found = _text(argument[-1], extra, variant, groups)
        return found
    if op == "ATOMIC_GROUP":
        return _text(argument, extra, variant, groups)
    if op == "BRANCH":
        branches = argument[1]
        return _text(branches[variant % len(branches)], extra, variant, groups)
    if op == "GROUPREF":
        return groups.get(argument, "")
    raise _NoTextError(op)


_NICE = string.ascii_lowercase + string.digits + string.ascii_uppercase + "-_ .,/:" + "éß"


def _one_of(items: Any, variant: int) -> str:
    pattern_parts = [(str(op), argument) for op, argument in items]
    negated = pattern_parts[0][0] == "NEGATE"
    fits = [c for c in _NICE if any(_holds(p, c) for p in pattern_parts) is not negated]
    if fits:
        return fits[variant % len(fits)]
    for op, argument in pattern_parts:
        if op == "LITERAL":
            return chr(argument)
        if op == "RANGE":
            return chr(argument[0])
    raise _NoTextError("IN")


def _holds(part: tuple[str, Any], char: str) -> bool:
    op, argument = part
    if op == "LITERAL":
        return bool(ord(char) == argument)
    if op == "RANGE":
        return bool(argument[0] <= ord(char) <= argument[1])
    if op == "CATEGORY":
        kind = str(argument).rpartition("_")[2]
        inside = {
            "DIGIT": char.isdigit(),
            "WORD": char.isalnum() or char == "_",
            "SPACE": char.isspace(),
        }[kind]
        return bool(inside is not ("NOT" in str(argument)))
    return False

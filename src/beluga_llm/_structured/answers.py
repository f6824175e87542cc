"""JSON in answers: as it should be, or with a fence or a few words around it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NoReturn

from beluga_llm import _json

_FENCED = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_THOUGHTS = re.compile(r"\A\s*<think>.*?(?:</think>|\Z)", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_TOKEN = re.compile(r'[{}\[\]]|"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
"""A bracket, or a string, whose brackets do not count."""

OBJECT_BEGINS = re.compile(r'\{(?=\s*["}])')
JSON_BEGINS = re.compile(rf'{OBJECT_BEGINS.pattern}|\[(?=\s*(?:["{{\[\]0-9-]|tr|fa|nu))')
"""Brackets that begin JSON, and not a `{placeholder}` or a [note]."""

_MOST_TRIED = 100
"""Brackets in a text that are tried as the beginning of a value."""


def spoken(text: str) -> str:
    """An answer without the thoughts that some models begin it with; "" while they go on."""
    return _THOUGHTS.sub("", text)


def json_values(text: str) -> Iterator[Any]:
    """The JSON values that an answer may mean, the likeliest first.

    The whole text is the one value where it is JSON; else the contents of its fenced blocks are
    tried, then the values that stand between other text.

    Raises:
        JsonError: there is none; it says what is wrong with the whole text.
    """
    try:
        whole = _json.loads(text)
    except _json.JsonError as error:
        problem = str(error)
    else:
        yield whole
        return
    found = False
    for value in _inside(spoken(text)):
        found = True
        yield value
    if not found:
        problem = _damage(text) or problem
        raise _json.JsonError("the answer is empty" if not text.strip() else problem)


def _inside(text: str) -> Iterator[Any]:
    for block in _FENCED.finditer(text):
        try:
            yield _json.loads(block[1].strip())
        except _json.JsonError:
            continue
    end = 0
    for opening in islice(_OPENING.finditer(text), _MOST_TRIED):
        start = opening.start()
        if start < end:
            continue
        if (found := value_at(text, start)) is not None:
            value, end = found
            yield value
        elif (balanced := _balanced(text, start)) is not None:
            end = balanced  # a part of a damaged value is not the value
        elif JSON_BEGINS.match(text, start):
            return  # cut before its end, and all that follows is a part of it


def _balanced(text: str, start: int) -> int | None:
    """Where the bracket at a place is closed; None where it is not."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if not depth:
            return token.end()
    return None


def _damage(text: str) -> str:
    """What is wrong with the JSON that begins somewhere in a text; "" where none does."""
    begin = JSON_BEGINS.search(text)
    try:
        if begin is not None:
            _decoder.raw_decode(text, begin.start())
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def value_at(text: str, place: int) -> tuple[Any, int] | None:
    """The JSON value that begins at a place, and where it ends; None where none is complete."""
    try:
        return _decoder.raw_decode(text, place)
    except (ValueError, RecursionError):
        return None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse, strict=False)
"""It takes line breaks in strings, which models write now and then."""

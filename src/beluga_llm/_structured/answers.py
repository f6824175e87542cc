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
        raise _json.JsonError("the answer is empty" if not text.strip() else problem)


def _inside(text: str) -> Iterator[Any]:
    for block in _FENCED.finditer(text):
        try:
            yield _json.loads(block[1].strip())
        except _json.JsonError:
            continue
    end = 0
    for opening in islice(_OPENING.finditer(text), _MOST_TRIED):
        if opening.start() >= end and (found := value_at(text, opening.start())) is not None:
            value, end = found
            yield value


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

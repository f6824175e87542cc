"""JSON that is still arriving: what of it is complete, at any time, without an error.

A number or a word at the very end may go on, and counts once something follows it. jiter reads the
rest: https://docs.rs/jiter.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import jiter

from beluga_llm import _json

_OF_NUMBERS = "-+.0123456789eE"
_NUMBER = re.compile("[-0-9]")
_CLOSED = re.compile(r'[^"]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"]*+)*+', re.DOTALL)
"""A text that does not end inside a string."""

_PLACE = re.compile(r"line (\d+) column (\d+)")

NOTHING = object()
"""What a text holds before anything of it is complete."""


def partial_args(text: str, *, growing: bool = False) -> dict[str, Any]:
    """What is complete of the arguments of a call that is still arriving; it never raises.

        async for chunk in stream:
            for call in stream.message.tool_calls:
                show(call.name, partial_args(call.arguments))

    Lists and objects are given with what is complete in them.

    Args:
        text: the argument text so far, as in `ToolCall.arguments`.
        growing: show an unfinished string at the end as far as it goes.
    """
    value = partial_value(text, growing=growing)
    return value if isinstance(value, dict) else {}


def partial_value(text: str, *, growing: bool = True) -> Any:
    """What is complete of a JSON text that is still arriving; NOTHING where nothing is.

    Args:
        text: the text so far.
        growing: show an unfinished string at the end as far as it goes.
    """
    if text.endswith(("}", "]")):
        with suppress(_json.JsonError):
            return _json.loads(text)  # which reads what jiter refuses, such as half an emoji
    if text.endswith(tuple(_OF_NUMBERS)) and (not growing or _CLOSED.fullmatch(text)):
        text = _without_number(text)
    data = _json.mend_surrogates(text).encode(errors="replace")
    try:
        return _parsed(data, growing)
    except ValueError as error:  # nothing yet, or damaged: then what stands before the damage
        place = _PLACE.search(str(error))
    if place is None:  # pragma: no cover -- jiter always says where
        return NOTHING
    lines = data.split(b"\n")[: int(place[1]) - 1]
    damaged_at = sum(len(line) + 1 for line in lines) + int(place[2]) - 1
    try:
        return _parsed(data[: max(damaged_at, 0)], growing)
    except ValueError:
        return NOTHING


def _without_number(text: str) -> str:
    """A text without the number at its end, which may go on."""
    begin = _NUMBER.search(text, len(text.rstrip(_OF_NUMBERS)))
    return text[: begin.start()] if begin else text


def _parsed(data: bytes, growing: bool) -> Any:
    mode: Any = "trailing-strings" if growing else True
    return jiter.from_json(data, partial_mode=mode, allow_inf_nan=False)

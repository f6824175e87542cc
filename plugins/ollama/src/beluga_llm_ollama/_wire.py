"""Reading the API's JSON: the usual line of a stream, the arguments of calls, tolerant access.

null where an object, a list or a text is expected counts as absent.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

import msgspec

from beluga_llm import ImagePart
from beluga_llm.plugin import JsonError, dumps_text, typed


class _Strict(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A line, or its message, that holds nothing but these fields."""


class _Said(_Strict):
    role: str = ""
    content: str = ""
    thinking: str = ""


class Line(_Strict):
    """The usual line of a stream: more text."""

    model: str
    message: _Said
    done: bool
    created_at: str = ""


class _Function(msgspec.Struct):
    arguments: msgspec.Raw = msgspec.Raw(b"null")


class _Call(msgspec.Struct):
    function: _Function


class _Message(msgspec.Struct):
    tool_calls: list[_Call]


class _Answer(msgspec.Struct):
    message: _Message


read_line = typed(Line)
"""The line that a JSON text is; JsonError where it holds anything else."""

_read_calls = typed(_Answer)


def as_object(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    """The value if it is a text, else ""."""
    return value if isinstance(value, str) else ""


def as_count(value: Any) -> int | None:
    """The value if it is a whole number, else None."""
    return value if type(value) is int else None


def extras(fields: dict[str, Any], *known: str) -> dict[str, Any]:
    """What is said besides the fields that are known."""
    return {key: value for key, value in fields.items() if key not in known and value is not None}


def arguments_of(data: bytes, calls: list[Any]) -> list[str]:
    """The arguments of each call, as their JSON was received."""
    values = [as_object(as_object(call).get("function")).get("arguments") for call in calls]
    try:
        raw = [
            bytes(call.function.arguments).decode() for call in _read_calls(data).message.tool_calls
        ]
    except JsonError:  # one of them is no call
        raw = ["" if value is None else dumps_text(value) for value in values]
    return [
        value if isinstance(value, str) else "" if value is None else text
        for value, text in zip(values, raw, strict=True)
    ]


def image_of(text: Any) -> ImagePart | None:
    """The image of a base64 text; None for what is none."""
    try:
        data = b64decode(as_text(text), validate=True)
    except (binascii.Error, ValueError):
        return None
    return ImagePart(data) if data else None

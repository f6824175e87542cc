"""Reading the API's JSON: tolerant access to its objects, and arguments as they were received.

null where an object, a list or a text is expected counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from beluga_llm.plugin import JsonError, dumps_text, typed

JsonObject = dict[str, Any]


class _Call(msgspec.Struct):
    args: msgspec.Raw = msgspec.Raw(b"")


class _Part(msgspec.Struct, rename="camel"):
    function_call: _Call | None = None


class _Content(msgspec.Struct):
    parts: list[_Part | None] | None = None


class _Candidate(msgspec.Struct):
    content: _Content | None = None


class _Frame(msgspec.Struct):
    candidates: list[_Candidate | None] | None = None


_read_calls = typed(_Frame)
_read_items = typed(list[msgspec.Raw])
_STRING_OR_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')


def as_object(value: Any) -> JsonObject:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    """The value if it is a text, else ""."""
    return value if isinstance(value, str) else ""


def as_word(value: Any) -> str:
    """A word of an enum, which may be sent as its number; "" where there is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value else ""
    return as_text(value)


def extras(fields: Mapping[str, Any], known: frozenset[str]) -> JsonObject:
    """What is said besides the fields that are known."""
    return {key: value for key, value in fields.items() if key not in known and value is not None}


def frames_of(data: bytes) -> list[bytes]:
    """The objects of a body that is an array of them, as a stream without `alt=sse` is.

    Raises:
        JsonError: the body is no array.
    """
    return [bytes(item) for item in _read_items(data)]


def received_arguments(data: bytes) -> dict[tuple[int, int], str]:
    """The arguments of each call of a frame as received, but for white space.

    Returns:
        Text by the numbers of candidate and part; nothing where the frame has an odd shape.
    """
    if b'"functionCall"' not in data:
        return {}
    try:
        candidates = _read_calls(data).candidates or ()
    except JsonError:
        return {}
    return {
        (number, place): _compact(bytes(part.function_call.args).decode())
        for number, candidate in enumerate(candidates)
        if candidate is not None and candidate.content is not None
        for place, part in enumerate(candidate.content.parts or ())
        if part is not None and part.function_call is not None
    }


def arguments_text(args: Any) -> str:
    """Arguments as JSON text, where they could not be had as received."""
    if args is None or isinstance(args, str):
        return args or ""
    return dumps_text(args)


def _compact(text: str) -> str:
    return _STRING_OR_SPACE.sub(lambda match: match[1] or "", text)

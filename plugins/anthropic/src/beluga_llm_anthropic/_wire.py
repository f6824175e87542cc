"""Reading the API's JSON: the shapes of usual deltas, and tolerant access to all others.

null where an object or a text is expected counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from beluga_llm.plugin import JsonError, dumps_text, strict, typed


class Strict(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", gc=False):
    """An event or a part of one that holds its type and nothing but these fields."""


class TextDelta(Strict, tag="text_delta"):
    text: str


class ThinkingDelta(Strict, tag="thinking_delta"):
    thinking: str


class InputDelta(Strict, tag="input_json_delta"):
    partial_json: str


class DeltaEvent(Strict, tag="content_block_delta"):
    index: int
    delta: TextDelta | ThinkingDelta | InputDelta


class _Input(msgspec.Struct):
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Inputs(msgspec.Struct):
    content: list[_Input]


read_delta = strict(DeltaEvent)
"""The usual `content_block_delta` that a JSON text is; one of REFUSED for anything else."""
_read_inputs = typed(_Inputs)
_STRING_OR_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')


def as_object(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: Any) -> str:
    """The value if it is a text, else ""."""
    return value if isinstance(value, str) else ""


def index_of(event: Mapping[str, Any]) -> int:
    """The number of the block that an event is about."""
    index = event.get("index")
    return index if isinstance(index, int) else 0


def extras(fields: Mapping[str, Any], *known: str) -> dict[str, Any]:
    """What is said besides the fields that are known."""
    return {key: value for key, value in fields.items() if key not in known and value is not None}


def initial_input(block: Mapping[str, Any]) -> str:
    """Arguments that a block starts with; in streams most servers leave them empty."""
    return dumps_text(block["input"]) if block.get("input") else ""


def whole_inputs(data: bytes, content: list[Any]) -> list[str]:
    """The arguments of each block of a whole body: as received, but for white space."""
    if not any(as_object(block).get("input") for block in content):
        return [""] * len(content)
    try:
        return [_compact(bytes(block.input).decode()) for block in _read_inputs(data).content]
    except JsonError:
        return [initial_input(as_object(block)) for block in content]


def _compact(text: str) -> str:
    return _STRING_OR_SPACE.sub(lambda match: match[1] or "", text)

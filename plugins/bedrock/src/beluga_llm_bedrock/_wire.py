"""Reading the API's JSON: the shapes of hot events, and tolerant access to all others.

null where an object or a text is expected counts as absent.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from beluga_llm.plugin import JsonError, dumps_text, typed


class _TextDelta(msgspec.Struct, gc=False):
    text: str


class TextEvent(msgspec.Struct, gc=False, rename="camel"):
    """A `contentBlockDelta` of text."""

    delta: _TextDelta
    content_block_index: int = 0


class _ToolUse(msgspec.Struct):
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Block(msgspec.Struct, rename="camel"):
    tool_use: _ToolUse | None = None


class _Message(msgspec.Struct):
    content: list[_Block]


class _Output(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct):
    output: _Output


read_text = typed(TextEvent)
_read_answer = typed(_Answer)
_STRING_OR_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')


def as_object(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: Any) -> str:
    """The value if it is a text, else ""."""
    return value if isinstance(value, str) else ""


def as_list(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def index_of(event: Mapping[str, Any]) -> int:
    """The number of the block that an event is about."""
    index = event.get("contentBlockIndex")
    return index if isinstance(index, int) else 0


def texts_of(items: Any) -> str:
    """The texts of a list of `{"text": ...}`, in one."""
    return "".join(as_text(as_object(item).get("text")) for item in as_list(items))


def whole_inputs(data: bytes, content: list[Any]) -> list[str]:
    """The arguments of each block of a whole body: as received, but for white space."""
    calls = [as_object(as_object(block).get("toolUse")) for block in content]
    if not any(call.get("input") for call in calls):
        return [""] * len(content)
    try:
        found = [block.tool_use for block in _read_answer(data).output.message.content]
        return [_compact(bytes(use.input).decode()) if use else "" for use in found]
    except JsonError:
        return [dumps_text(call["input"]) if call.get("input") else "" for call in calls]


def _compact(text: str) -> str:
    return _STRING_OR_SPACE.sub(lambda match: match[1] or "", text)


def joined_base64(pieces: Sequence[str]) -> str:
    """Base64 texts as the one text of all their bytes; a single one stays as it is."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        data = b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    except (binascii.Error, ValueError):
        return "".join(pieces)
    return base64.b64encode(data).decode("ascii")

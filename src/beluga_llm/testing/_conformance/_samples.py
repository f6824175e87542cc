"""What the kit has models say, and what it says to them."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._parts import TextPart, ThinkingPart
from beluga_llm._serialize import to_dict
from beluga_llm._tool_types import ToolCall, ToolDefinition
from beluga_llm._usage import FinishReason, Usage

TEXT = 'Grüße! One, two and three: 1 < 2 & "quoted" \\ 日本語 👩‍🔬 done.'
"""A short text with everything that escaping and cutting may damage."""

LONG = "word " * 2000
"""An answer that is still on its way when a client leaves."""

HELLO = AIMessage(
    TEXT,
    usage=Usage(12, 7, 19),
    finish_reason=FinishReason.STOP,
    model_id="kit-model-1",
    response_id="kit-response-1",
)

CITY: Mapping[str, Any] = {
    "type": "object",
    "description": "where to look",
    "properties": {
        "city": {"type": "string", "description": "a name"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"offset": {"type": "integer"}, "hourly": {"type": "boolean"}},
                "required": ["offset", "hourly"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["city", "unit", "days"],
    "additionalProperties": False,
}
"""A schema with what schemas have: nested, with an enum, descriptions and what is required."""

WEATHER = ToolDefinition("get_weather", "Looks up the weather.", CITY)
CLOCK = ToolDefinition(
    "get_time",
    "Tells the time.",
    {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
)

REFERRING = ToolDefinition(
    "plan",
    "Plans.",
    {
        "type": "object",
        "properties": {"goal": {"$ref": "#/$defs/Goal"}},
        "required": ["goal"],
        "$defs": {
            "Goal": {
                "type": "object",
                "properties": {"kit_deadline": {"enum": ["kit_soon", "kit_later"]}},
                "required": ["kit_deadline"],
            }
        },
    },
)
REFERRED = ("kit_deadline", "kit_soon", "kit_later")
"""What stands behind its reference."""

CALLS = (
    ToolCall("kit_call_1", "get_weather", {"city": "Köln", "unit": "celsius", "days": []}),
    ToolCall("kit_call_2", "get_time", {"zone": "Europe/Berlin"}),
)
TWO_CALLS = AIMessage(
    "Let me look.",
    tool_calls=CALLS,
    usage=Usage(30, 20, 50),
    finish_reason=FinishReason.TOOL_CALLS,
    model_id="kit-model-1",
    response_id="kit-response-2",
)


def conversation(*, tools: bool) -> list[Message]:
    """A conversation with text in every place that text may have, see `words`.

    Args:
        tools: calls a tool, `CLOCK`.
    """
    talk: list[Message] = [
        SystemMessage("kit_word_01"),
        SystemMessage("kit_word_02"),
        HumanMessage([TextPart("kit_word_03 "), TextPart("kit_word_04")]),
        AIMessage([TextPart("kit_word_05 "), TextPart("kit_word_06")]),
        HumanMessage("kit_word_07"),
    ]
    if tools:
        call = ToolCall("kit_call_1", CLOCK.name, {"zone": "kit_word_08"})
        talk += [
            AIMessage("kit_word_09", tool_calls=[call]),
            ToolMessage("kit_word_10", tool_call_id=call.id, name=call.name),
        ]
    return talk


def words(talk: Sequence[Message]) -> list[str]:
    """The words of a conversation."""
    return re.findall(r"kit_word_\d+", " ".join(str(to_dict(message)) for message in talk))


def opaque(word: str) -> str:
    """Base64 that looks like a signature, with every character that base64 has."""
    return base64.b64encode(word.encode() + bytes(range(256))).decode()


SIGNATURE, REDACTED = opaque("signature"), opaque("redacted")
TEXT_SIGNATURE, CALL_SIGNATURE = opaque("text"), opaque("call")


def reasoned(provider: str, carried: frozenset[str], *, call: bool) -> AIMessage:
    """An answer with all the opaque data that a wire format has.

    Args:
        provider: whose they are.
        carried: what the format has, see `CARRIED`.
        call: ends with a tool call, not with text.
    """

    def has(what: str, value: str) -> str | None:
        return value if what in carried else None

    signature, thinking = has("signature", SIGNATURE), []
    if signature or "thinking" in carried:
        thinking.append(
            ThinkingPart("Let me think.", signature, provider=provider, id="kit_item_1")
        )
    if redacted := has("redacted", REDACTED):
        thinking.append(ThinkingPart("", None, redacted, provider, "kit_item_2"))
    signed = ToolCall(
        "kit_call_1", "get_time", {"zone": "UTC"}, has("call_signature", CALL_SIGNATURE), provider
    )
    return AIMessage(
        (*thinking, TextPart("The answer.", has("text_signature", TEXT_SIGNATURE), provider)),
        tool_calls=(signed,) if call else (),
        usage=Usage(9, 9, 18),
        finish_reason=FinishReason.STOP,
        model_id="kit-model-1",
        response_id="kit-response-3",
    )


def _png() -> bytes:
    """An image of one red pixel."""

    def block(kind: bytes, data: bytes) -> bytes:
        size, check = struct.pack(">I", len(data)), struct.pack(">I", zlib.crc32(kind + data))
        return size + kind + data + check

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    return (
        b"\x89PNG\r\n\x1a\n" + block(b"IHDR", head) + block(b"IDAT", pixels) + block(b"IEND", b"")
    )


PNG = _png()
WAV = b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\0\0\0"
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"

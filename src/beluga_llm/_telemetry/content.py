"""What was said, in the JSON shape of the conventions; only where an application asks for it.

The shapes are those of gen-ai-input-messages.json, gen-ai-output-messages.json,
gen-ai-system-instructions.json and gen-ai-tool-definitions.json beside the conventions. Bytes of
media are never part of it, only their type and size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from beluga_llm._json import JsonError, loads
from beluga_llm._messages import AIMessage, Message, SystemMessage, ToolMessage
from beluga_llm._parts import TextPart, ThinkingPart
from beluga_llm._telemetry import names
from beluga_llm._tool_types import ToolCall, ToolDefinition
from beluga_llm._usage import FinishReason

_ROLES = {"human": "user", "ai": "assistant"}
_MODALITIES = {"image": "image", "audio": "audio", "video": "video", "file": "document"}


def asked(messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> dict[str, Any]:
    """What the model was told, as attributes."""
    found: dict[str, Any] = {}
    system = [part for one in messages if isinstance(one, SystemMessage) for part in one.parts]
    if system:
        found[names.SYSTEM_INSTRUCTIONS] = [_part(part) for part in system]
    said = [_message(one) for one in messages if not isinstance(one, SystemMessage)]
    if said:
        found[names.INPUT_MESSAGES] = said
    if tools:
        found[names.TOOL_DEFINITIONS] = [_definition(tool) for tool in tools]
    return found


def answered(message: AIMessage) -> dict[str, Any]:
    """What it answered, as attributes; each choice is one message."""
    choices = (message, *message.alternatives)
    return {names.OUTPUT_MESSAGES: [_choice(one) for one in choices]}


def arguments(text: str) -> Any:
    """The arguments of a tool call as an object, or as the text that they are."""
    try:
        return loads(text)
    except JsonError:
        return text


def result(message: ToolMessage) -> Any:
    """The result of a tool: its text, or its parts where there are others."""
    if all(isinstance(part, TextPart) for part in message.parts):
        return message.text
    return [_part(part) for part in message.parts]


def _message(message: Message) -> dict[str, Any]:
    parts: Iterable[dict[str, Any]]
    if isinstance(message, ToolMessage):
        response = {"id": message.tool_call_id, "response": result(message)}
        parts = [{"type": "tool_call_response", **response}]
    else:
        parts = map(_part, message.parts)
    role = str(message.role)
    made: dict[str, Any] = {"role": _ROLES.get(role, role), "parts": list(parts)}
    if isinstance(message, AIMessage):
        made["parts"] += map(_call, message.tool_calls)
        if message.refusal:
            made["parts"].append({"type": "refusal", "content": message.refusal})
    name = None if isinstance(message, ToolMessage) else getattr(message, "name", None)
    return {**made, "name": name} if name else made


def _choice(message: AIMessage) -> dict[str, Any]:
    made = _message(message)
    if message.finish_reason is not None:
        called = message.finish_reason is FinishReason.TOOL_CALLS
        made["finish_reason"] = "tool_call" if called else str(message.finish_reason)
    return made


def _call(call: ToolCall) -> dict[str, Any]:
    given = arguments(call.arguments)
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": given}


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "content": part.text}
    if isinstance(part, ThinkingPart):
        return {"type": "reasoning", "content": part.text}
    if part.type not in _MODALITIES:
        return {"type": part.type}
    about = {"modality": _MODALITIES[part.type], "mime_type": _mime_type(part)}
    if getattr(part, "file_id", None) is not None:
        return {"type": "file", **about, "file_id": part.file_id}
    if part.data is not None:
        return {"type": "blob", **about, "size": len(part.data)}
    if part.url.lstrip()[:5].lower() == "data:":  # schemes know no case
        return {"type": "blob", **about, "size": len(part.url)}
    return {"type": "uri", **about, "uri": _without_secrets(part.url)}


def _mime_type(part: Any) -> str:
    return str(f"audio/{part.format}" if part.type == "audio" else part.mime_type)


def _without_secrets(url: str) -> str:
    """An address without what may sign or open it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()


def _definition(tool: ToolDefinition) -> Mapping[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.input_schema,
    }

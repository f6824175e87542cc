"""Messages and bodies of chat completions, as they stand in the files of a batch.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from beluga_llm._errors import InvalidRequestError
from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._option_types import ResponseFormat
from beluga_llm._parts import ContentPart, ImagePart, TextPart
from beluga_llm._serialize import from_dict
from beluga_llm._tool_types import ToolCall, ToolDefinition

_SAME = frozenset((
    "temperature", "max_tokens", "top_p", "stop", "seed", "n", "frequency_penalty",
    "presence_penalty", "logprobs", "top_logprobs", "logit_bias", "user", "parallel_tool_calls",
    "reasoning_effort", "top_k",
))  # fmt: skip
_NOT_SENT = frozenset(("model", "stream", "stream_options", "messages"))
"""What the batch decides: the model that it was given answers, and not as a stream."""


def message_of(data: Any) -> Message:
    """The message that JSON stands for: that of chat completions, or of `to_dict`.

    Raises:
        InvalidRequestError: it is neither.
    """
    if not isinstance(data, dict):
        raise InvalidRequestError(f"a message must be an object, not {type(data).__name__}")
    if "type" in data and "role" not in data:
        return from_dict(data)
    content = _content(data.get("content"))
    match data.get("role"):
        case "system" | "developer":
            return SystemMessage(content)
        case "user" | "human":
            return HumanMessage(content, name=data.get("name"))
        case "assistant" | "ai":
            calls = tuple(map(_call, data.get("tool_calls") or ()))
            return AIMessage(content, tool_calls=calls)
        case "tool" if isinstance(data.get("tool_call_id"), str):
            return ToolMessage(content, tool_call_id=data["tool_call_id"])
        case "tool":
            raise InvalidRequestError("a message of a tool needs a tool_call_id")
        case role:
            known = "system, user, assistant, tool"
            raise InvalidRequestError(f"unknown role {role!r} (known: {known})")


def body_fields(body: Any) -> tuple[tuple[Message, ...], dict[str, Any]]:
    """The conversation and the options of a body of chat completions.

    Raises:
        InvalidRequestError: it is none, or has a field that is not known here.
    """
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        raise InvalidRequestError("body must be one of chat completions, with a list of messages")
    keywords: dict[str, Any] = {}
    for name, value in body.items():
        if name in _NOT_SENT or value is None:
            continue
        if name in _SAME:
            keywords[name] = value
        elif name == "max_completion_tokens":
            keywords["max_tokens"] = value
        elif name == "tools":
            keywords["tools"] = [_tool(tool) for tool in _list(value)]
        elif name == "tool_choice":
            keywords[name] = value if isinstance(value, str) else _field(value, "function", "name")
        elif name == "response_format":
            keywords[name] = _format(value)
        else:
            raise InvalidRequestError(f"unknown field {name!r} of a body")
    return tuple(map(message_of, body["messages"])), keywords


def _content(value: Any) -> list[ContentPart]:
    if value is None:
        return []
    if isinstance(value, str):
        return [TextPart(value)]
    return [_part(item) for item in _list(value)]


def _part(item: Any) -> ContentPart:
    match item:
        case {"type": "text", "text": str(text)}:
            return TextPart(text)
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return _image(url)
    kind = item.get("type") if isinstance(item, dict) else type(item).__name__
    raise InvalidRequestError(f"cannot read content of the type {kind!r} (known: text, image_url)")


def _image(url: str) -> ImagePart:
    if not url.startswith("data:"):
        return ImagePart(url=url)
    head, _, data = url.partition(",")
    try:
        found = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise InvalidRequestError(f"the data of an image are not base64: {error}") from None
    return ImagePart(found, mime_type=head[5:].partition(";")[0] or None)


def _call(data: Any) -> ToolCall:
    call_id, arguments = _field(data, "id"), _field(data, "function", "arguments")
    return ToolCall(call_id, _field(data, "function", "name"), arguments)


def _tool(data: Any) -> ToolDefinition:
    name, function = _field(data, "function", "name"), data["function"]
    return ToolDefinition(
        name,
        description=function.get("description") or "",
        input_schema=function.get("parameters") or {"type": "object", "properties": {}},
        strict=function.get("strict"),
    )


def _format(value: Any) -> ResponseFormat:
    match value:
        case {"type": "text"}:
            return ResponseFormat.text()
        case {"type": "json_object"}:
            return ResponseFormat.json()
        case {"type": "json_schema", "json_schema": {"schema": dict(schema), **more}}:
            name = str(more.get("name") or "response")
            return ResponseFormat.json_schema(schema, name, strict=more.get("strict") is True)
    raise InvalidRequestError("cannot read the response_format of a body")


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise InvalidRequestError(f"expected a list, not {type(value).__name__}")


def _field(data: Any, *path: str) -> str:
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    if isinstance(data, str):
        return data
    raise InvalidRequestError(f"{'.'.join(path)} must be a string")

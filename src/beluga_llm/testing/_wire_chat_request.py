"""Requests of chat completions, as the server reads them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, cast

from beluga_llm._errors import InvalidRequestError
from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._option_types import ReasoningConfig, ResponseFormat
from beluga_llm._options import GenerateOptions
from beluga_llm._parts import (
    AudioFormat,
    AudioPart,
    ContentPart,
    FilePart,
    ImagePart,
    TextPart,
    ThinkingPart,
)
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall, ToolDefinition

_SAME = (
    "model", "temperature", "top_p", "seed", "n", "frequency_penalty", "presence_penalty",
    "logprobs", "top_logprobs", "user", "parallel_tool_calls",
)  # fmt: skip
_CHOICES = {"any": "required"}  # Mistral's word


def read_chat_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means.

    Raises:
        InvalidRequestError: the body has no messages, or one with an unknown role.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequestError("Missing required parameter: 'messages'.")
    schema = (body.get("response_format") or {}).get("json_schema")
    fields = {
        **{name: body[name] for name in _SAME if body.get(name) is not None},
        "max_tokens": body.get("max_completion_tokens") or body.get("max_tokens"),
        "stop": body.get("stop") or (),
        "response_format": response_format(body.get("response_format"), schema),
        "tool_choice": tool_choice(body.get("tool_choice")),
        "reasoning": reasoning(body.get("reasoning_effort")),
        "provider_options": demo_options(body),
    }
    return ChatRequest(
        messages=tuple(_message(message) for message in messages),
        options=GenerateOptions(**fields),
        tools=tuple(_tools(body.get("tools"))),
        streaming=body.get("stream") is True,
    )


def demo_options(body: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """What a request wants of the demo model itself: `extra_body={"demo": {...}}`."""
    wanted = body.get("demo")
    return {"demo": wanted} if isinstance(wanted, Mapping) else {}


def reasoning(effort: str | None, budget: int | None = None) -> ReasoningConfig | None:
    """A ReasoningConfig where anything is said about reasoning."""
    return None if effort is None and budget is None else ReasoningConfig(effort, budget)


def response_format(
    value: Mapping[str, Any] | None, schema: Mapping[str, Any] | None
) -> ResponseFormat | None:
    """A ResponseFormat of a `type` and what stands beside it.

    Args:
        value: the object with the `type`.
        schema: the object with name, schema and strict.
    """
    kind = (value or {}).get("type")
    if kind == "json_object":
        return ResponseFormat.json()
    if kind != "json_schema" or not schema:
        return None
    return ResponseFormat.json_schema(
        schema.get("schema") or {}, schema.get("name", "response"), bool(schema.get("strict"))
    )


def tool_choice(value: Any) -> str | None:
    """One of auto, none, required, or the name of a tool."""
    if isinstance(value, Mapping):
        function = value.get("function")
        name = function.get("name") if isinstance(function, Mapping) else value.get("name")
        return cast("str | None", name)
    return _CHOICES.get(value, value) if isinstance(value, str) else None


def _tools(tools: Any) -> Iterator[ToolDefinition]:
    for tool in tools or ():
        function = tool.get("function") or {}
        yield ToolDefinition(
            function.get("name", ""),
            function.get("description") or "",
            function.get("parameters") or {},
            function.get("strict"),
        )


def _message(value: Mapping[str, Any]) -> Message:
    role = value.get("role")
    content = tuple(_parts(value.get("content")))
    if role in ("system", "developer"):
        return SystemMessage(content)
    if role == "user":
        return HumanMessage(content, name=value.get("name"))
    if role == "tool":
        return ToolMessage(content, tool_call_id=value.get("tool_call_id", ""))
    if role == "assistant":
        return _answer(value, content)
    raise InvalidRequestError(f"Invalid value: {role!r} in 'messages'.")


def _answer(value: Mapping[str, Any], content: tuple[ContentPart, ...]) -> AIMessage:
    thinking = value.get("reasoning_content") or value.get("reasoning")
    return AIMessage(
        (*((ThinkingPart(thinking),) if thinking else ()), *content),
        tool_calls=map(_call, value.get("tool_calls") or ()),
        refusal=value.get("refusal"),
        name=value.get("name"),
    )


def _call(value: Mapping[str, Any]) -> ToolCall:
    function = value.get("function") or {}
    return ToolCall(value.get("id", ""), function.get("name", ""), function.get("arguments", ""))


def _parts(content: Any) -> Iterator[ContentPart]:
    if isinstance(content, str):
        yield TextPart(content)
        return
    for item in content or ():
        kind = item.get("type")
        if kind in ("text", "refusal"):
            yield TextPart(item.get(kind) or "")
        elif kind == "image_url":
            image = item["image_url"]
            yield image_part(image["url"], image.get("detail"))
        elif kind == "input_audio":
            sound = item["input_audio"]
            data = base64.b64decode(sound["data"])
            yield AudioPart(data, format=cast("AudioFormat", sound["format"]))
        elif kind == "file":
            yield file_part(item["file"])


def image_part(url: str, detail: str | None = None) -> ImagePart:
    """An image of a URL, which may be a data URI."""
    if not url.startswith("data:"):
        return ImagePart(url=url, detail=detail)
    head, _, data = url.partition(",")
    mime_type = head[5:].partition(";")[0]
    return ImagePart(base64.b64decode(data), mime_type=mime_type, detail=detail)


def file_part(item: Mapping[str, Any]) -> FilePart:
    """A file of an id, a URL, or a data URI."""
    name = item.get("filename")
    if file_id := item.get("file_id"):
        return FilePart(file_id=file_id, name=name)
    if url := item.get("file_url"):
        return FilePart(url=url, name=name)
    head, _, data = item.get("file_data", "").partition(",")
    mime_type = head[5:].partition(";")[0] or "application/pdf"
    return FilePart(base64.b64decode(data), name=name, mime_type=mime_type)

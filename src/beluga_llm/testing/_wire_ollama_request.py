"""Requests of Ollama's own API, as the server reads them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from beluga_llm._errors import InvalidRequestError
from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._option_types import ReasoningConfig, ResponseFormat
from beluga_llm._options import GenerateOptions
from beluga_llm._parts import ContentPart, ImagePart, TextPart, ThinkingPart
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall, ToolDefinition
from beluga_llm.testing._wire_chat_request import demo_options

_SETTINGS = {
    "num_predict": "max_tokens",
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}


def read_ollama_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means.

    Raises:
        InvalidRequestError: the body has no messages, or one with an unknown role.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequestError("messages are required")
    settings = body.get("options") or {}
    fields: dict[str, Any] = {ours: settings.get(name) for name, ours in _SETTINGS.items()}
    return ChatRequest(
        messages=tuple(map(_message, messages)),
        options=GenerateOptions(
            **fields,
            model=body.get("model"),
            stop=settings.get("stop") or (),
            response_format=_format(body.get("format")),
            reasoning=_reasoning(body.get("think")),
            logprobs=body.get("logprobs"),
            top_logprobs=body.get("top_logprobs"),
            provider_options=demo_options(body),
        ),
        tools=tuple(map(_tool, body.get("tools") or ())),
        streaming=body.get("stream") is not False,
    )


def _format(value: Any) -> ResponseFormat | None:
    if isinstance(value, Mapping):
        return ResponseFormat.json_schema(value)
    return ResponseFormat.json() if value == "json" else None


def _reasoning(value: Any) -> ReasoningConfig | None:
    """The level; thinking that is only switched on is one without."""
    if value is None:
        return None
    effort = {True: None, False: "none"}.get(value) if isinstance(value, bool) else value
    return ReasoningConfig(effort)


def _tool(tool: Mapping[str, Any]) -> ToolDefinition:
    function = tool.get("function") or {}
    return ToolDefinition(
        function.get("name", ""),
        function.get("description") or "",
        function.get("parameters") or {},
    )


def _message(value: Mapping[str, Any]) -> Message:
    role = value.get("role")
    content = tuple(_parts(value))
    if role == "system":
        return SystemMessage(content)
    if role == "user":
        return HumanMessage(content)
    if role == "tool":
        call_id, name = value.get("tool_call_id") or "", value.get("tool_name")
        return ToolMessage(content, tool_call_id=call_id, name=name)
    if role == "assistant":
        return AIMessage(content, tool_calls=map(_call, value.get("tool_calls") or ()))
    raise InvalidRequestError(f"invalid role: {role!r}")


def _parts(value: Mapping[str, Any]) -> Iterator[ContentPart]:
    if thinking := value.get("thinking"):
        yield ThinkingPart(thinking)
    if content := value.get("content"):
        yield TextPart(content)
    for image in value.get("images") or ():
        yield ImagePart(base64.b64decode(image))


def _call(value: Mapping[str, Any]) -> ToolCall:
    function = value.get("function") or {}
    return ToolCall(
        value.get("id") or "", function.get("name", ""), function.get("arguments") or {}
    )

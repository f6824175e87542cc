"""Requests of Cohere's Chat API, as the server reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from beluga_llm import _json
from beluga_llm._errors import InvalidRequestError
from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._option_types import ReasoningConfig, ResponseFormat
from beluga_llm._options import GenerateOptions
from beluga_llm._parts import ContentPart, TextPart, ThinkingPart
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall, ToolDefinition
from beluga_llm.testing._wire_chat_request import demo_options, image_part, reasoning

_SAME = (
    "model", "max_tokens", "temperature", "seed", "frequency_penalty", "presence_penalty",
    "logprobs",
)  # fmt: skip
_CHOICES = {"REQUIRED": "required", "NONE": "none"}


def read_cohere_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means.

    Raises:
        InvalidRequestError: the body has no messages, or one with an unknown role.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequestError("invalid request: messages must not be empty")
    fields = {
        **{name: body[name] for name in _SAME if body.get(name) is not None},
        "top_p": body.get("p"),
        "top_k": body.get("k"),
        "stop": body.get("stop_sequences") or (),
        "tool_choice": _CHOICES.get(body.get("tool_choice") or ""),
        "reasoning": _reasoning(body.get("thinking") or {}),
        "response_format": _response_format(body.get("response_format") or {}),
        "provider_options": demo_options(body),
    }
    strict = True if body.get("strict_tools") is True else None
    return ChatRequest(
        messages=tuple(map(_message, messages)),
        options=GenerateOptions(**fields),
        tools=tuple(_tools(body.get("tools"), strict)),
        streaming=body.get("stream") is True,
    )


def _reasoning(thinking: Mapping[str, Any]) -> ReasoningConfig | None:
    kind, budget = thinking.get("type"), thinking.get("token_budget")
    if kind == "disabled":
        return reasoning("none")
    return reasoning("high" if kind == "enabled" and budget is None else None, budget)


def _response_format(value: Mapping[str, Any]) -> ResponseFormat | None:
    if value.get("type") != "json_object":
        return None
    schema = value.get("json_schema")
    return ResponseFormat.json() if schema is None else ResponseFormat.json_schema(schema)


def _tools(tools: Any, strict: bool | None) -> Iterator[ToolDefinition]:
    for tool in tools or ():
        function = tool.get("function") or {}
        yield ToolDefinition(
            function.get("name", ""),
            function.get("description") or "",
            function.get("parameters") or {},
            strict,
        )


def _message(value: Mapping[str, Any]) -> Message:
    role, content = value.get("role"), tuple(_parts(value.get("content")))
    if role == "system":
        return SystemMessage(content)
    if role == "user":
        return HumanMessage(content)
    if role == "tool":
        return ToolMessage(content, tool_call_id=value.get("tool_call_id", ""))
    if role != "assistant":
        raise InvalidRequestError(f"invalid request: unknown role {role!r}")
    plan = value.get("tool_plan")
    return AIMessage(
        content,
        tool_calls=map(_call, value.get("tool_calls") or ()),
        provider_metadata={"tool_plan": plan} if plan else {},
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
        if kind == "text":
            yield TextPart(item.get("text") or "")
        elif kind == "thinking":
            yield ThinkingPart(item.get("thinking") or "")
        elif kind == "image_url":
            image = item["image_url"]
            yield image_part(image["url"], image.get("detail"))
        elif kind == "document":
            document = item["document"]
            data = document.get("data")
            identity = {"id": document["id"]} if "id" in document else True
            yield TextPart(_json.dumps_text(data), metadata={"document": identity})

"""A recorded conversation, in the corpus' neutral form, as a request of ours."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._option_types import ReasoningConfig, ResponseFormat
from beluga_llm._options import GenerateOptions
from beluga_llm._parts import (
    AudioPart,
    ContentPart,
    FilePart,
    ImagePart,
    TextPart,
    ThinkingPart,
    VideoPart,
)
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall, ToolDefinition

from .corpus import Case

_SAME = (
    "temperature", "top_p", "top_k", "max_tokens", "seed", "n", "frequency_penalty",
    "presence_penalty", "parallel_tool_calls",
)  # fmt: skip


def neutral_request(case: Case) -> ChatRequest:
    """The recorded request as the application would have made it."""
    neutral = case.neutral
    options = neutral["options"]
    values = {name: options[name] for name in _SAME if options.get(name) is not None}
    if choice := options.get("tool_choice"):
        values["tool_choice"] = choice.get("name") or choice["mode"]
    if stop := options.get("stop"):
        values["stop"] = stop
    if form := options.get("response_format"):
        values["response_format"] = _format(form)
    if reasoning := options.get("reasoning"):
        budget = reasoning.get("budget_tokens") or reasoning.get("max_tokens")
        values["reasoning"] = ReasoningConfig(reasoning.get("effort"), budget)
    messages = (made for entry in neutral["messages"] for made in _messages(entry, case.provider))
    return ChatRequest(
        tuple(messages),
        GenerateOptions(model=options.get("model") or case.model, **values),
        tuple(map(_tool, neutral.get("tools") or ())),
        streaming=case.stream,
    )


def _format(form: Mapping[str, Any]) -> ResponseFormat:
    if form["type"] == "json_object":
        return ResponseFormat.json()
    if form["type"] == "text":
        return ResponseFormat.text()
    return ResponseFormat.json_schema(
        form["schema"],
        name=form.get("name") or "response",
        strict=bool(form.get("strict")),
        description=form.get("description"),
    )


def _tool(tool: Mapping[str, Any]) -> ToolDefinition:
    hints = {"cache_control": tool["cache_control"]} if "cache_control" in tool else {}
    return ToolDefinition(
        tool["name"],
        tool.get("description") or "",
        tool.get("parameters") or {},
        tool.get("strict"),
        metadata=hints,
    )


def _messages(entry: Mapping[str, Any], provider: str) -> Iterator[Message]:
    parts = entry["parts"]
    results = [part for part in parts if part["type"] == "tool_result"]
    for result in results:
        content = [_part(part, provider) for part in result["content"]]
        yield ToolMessage(
            content,
            tool_call_id=result["tool_call_id"] or "",
            name=result.get("name"),
            is_error=bool(result.get("is_error")),
        )
    if results:
        return
    said = [_part(part, provider) for part in parts if part["type"] != "tool_call"]
    if entry["role"] == "assistant":
        calls = [(index, part) for index, part in enumerate(parts) if part["type"] == "tool_call"]
        yield AIMessage(said, tool_calls=[_call(part, i, provider) for i, part in calls])
    else:
        yield (SystemMessage if entry["role"] == "system" else HumanMessage)(said)


def _call(part: Mapping[str, Any], index: int, provider: str) -> ToolCall:
    signature = part.get("signature")
    return ToolCall(
        part["id"] or "",
        part["name"],
        part["arguments"],
        signature,
        provider if signature else None,
        part_index=index,
    )


def _part(part: Mapping[str, Any], provider: str) -> ContentPart:
    kind = part["type"]
    hints = {"cache_control": part["cache_control"]} if "cache_control" in part else {}
    data = b64decode(part["data"].replace("-", "+").replace("_", "/")) if "data" in part else None
    url, file_id = part.get("url"), part.get("file_id")
    if kind == "json":
        from beluga_llm._json import dumps_text

        return TextPart(dumps_text(part["json"]))
    if kind == "text":
        signature = part.get("signature")
        return TextPart(part["text"], signature, provider if signature else None, metadata=hints)
    if kind == "thinking":
        signature, redacted = part.get("signature"), part.get("redacted_data")
        return ThinkingPart(
            part["text"],
            signature,
            redacted,
            provider if signature or redacted else None,
            part.get("provider_id"),
        )
    if kind == "image":
        return ImagePart(data, url, file_id, part.get("mime"), part.get("detail"), metadata=hints)
    if kind == "audio":
        return AudioPart(data, url, part.get("format") or "wav", metadata=hints)
    if kind == "video":
        return VideoPart(data, url, part.get("mime") or "video/mp4", metadata=hints)
    mime = part.get("mime") or "application/pdf"
    return FilePart(data, url, file_id, part.get("name"), mime, metadata=hints)

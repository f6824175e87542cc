"""Requests of Amazon Bedrock's Converse, as the server reads them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, cast

from beluga_llm import _json
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
    VideoPart,
)
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall, ToolDefinition
from beluga_llm.testing._wire_chat_request import demo_options, reasoning

_DOCUMENTS = {
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "txt": "text/plain",
}
_CHOICES = {"auto": "auto", "any": "required"}


def read_converse_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means, with "model" and "stream" of the path in it.

    Raises:
        InvalidRequestError: the body has no messages, or one with an unknown role.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequestError("The messages field is empty.")
    inference = body.get("inferenceConfig") or {}
    more = body.get("additionalModelRequestFields") or {}
    tools = body.get("toolConfig") or {}
    forced = more.get("tool_choice") or {}
    fields: dict[str, Any] = {
        "model": body.get("model"),
        "max_tokens": inference.get("maxTokens"),
        "temperature": inference.get("temperature"),
        "top_p": inference.get("topP"),
        "top_k": more.get("top_k"),
        "stop": inference.get("stopSequences") or (),
        "tool_choice": _tool_choice(tools.get("toolChoice")) or _claudes_choice(forced),
        "parallel_tool_calls": False if forced.get("disable_parallel_tool_use") else None,
        "reasoning": _reasoning(more),
        "response_format": _response_format((body.get("outputConfig") or {}).get("textFormat")),
        "provider_options": demo_options(body),
    }
    return ChatRequest(
        messages=(*_system(body.get("system")), *(m for turn in messages for m in _turn(turn))),
        options=GenerateOptions(**fields),
        tools=tuple(_tools(tools.get("tools"))),
        streaming=body.get("stream") is True,
    )


def _tool_choice(value: Any) -> str | None:
    for kind, inner in (value or {}).items():
        return cast("str", inner["name"]) if kind == "tool" else _CHOICES.get(kind)
    return None


def _claudes_choice(value: Mapping[str, Any]) -> str | None:
    """The choice in the form of Claude's own API, where it may forbid parallel calls."""
    return value.get("name") or _CHOICES.get(value.get("type") or "")


def _reasoning(more: Mapping[str, Any]) -> ReasoningConfig | None:
    thinking = more.get("thinking") or {}
    if thinking.get("type") == "disabled":
        return ReasoningConfig("none")
    effort = (more.get("output_config") or {}).get("effort") or more.get("reasoning_effort")
    return reasoning(effort, thinking.get("budget_tokens"))


def _response_format(value: Any) -> ResponseFormat | None:
    if not value:
        return None
    wanted = value["structure"]["jsonSchema"]
    return ResponseFormat.json_schema(
        cast("dict[str, Any]", _json.loads(wanted["schema"].encode())),
        name=wanted.get("name") or "response",
    )


def _tools(tools: Any) -> Iterator[ToolDefinition]:
    for tool in tools or ():
        if "toolSpec" in tool:
            spec = tool["toolSpec"]
            schema = spec["inputSchema"]["json"]
            description = spec.get("description") or ""
            yield ToolDefinition(spec["name"], description, schema, spec.get("strict"))


def _system(value: Any) -> Iterator[SystemMessage]:
    if value:
        yield SystemMessage(tuple(_parts(value)))


def _turn(turn: Mapping[str, Any]) -> Iterator[Message]:
    """The messages of a turn: results of tools stand before what the user says."""
    role, content = turn.get("role"), turn.get("content")
    listed = content if isinstance(content, list) else []
    if role == "assistant":
        yield _answer(listed)
        return
    if role != "user":
        raise InvalidRequestError(f"unexpected role {role!r}")
    for block in listed:
        if result := block.get("toolResult"):
            yield ToolMessage(
                tuple(_parts(result.get("content"))),
                tool_call_id=result.get("toolUseId", ""),
                is_error=result.get("status") == "error",
            )
    said = tuple(_parts(listed))
    if said or not listed:
        yield HumanMessage(said)


def _answer(content: list[Mapping[str, Any]]) -> AIMessage:
    calls = [
        ToolCall(use.get("toolUseId", ""), use.get("name", ""), use.get("input"), part_index=index)
        for index, block in enumerate(content)
        if (use := block.get("toolUse"))
    ]
    return AIMessage(tuple(_parts(content)), tool_calls=calls)


def _parts(content: Any) -> Iterator[ContentPart]:
    for block in content or ():
        if "text" in block:
            yield TextPart(block["text"])
        elif "json" in block:
            yield TextPart(_json.dumps_text(block["json"]))
        elif "reasoningContent" in block:
            yield _thinking(block["reasoningContent"])
        elif "image" in block:
            image = block["image"]
            yield ImagePart(**_source(image), mime_type=f"image/{image['format']}")
        elif "document" in block:
            yield _document(block["document"])
        elif "video" in block:
            video = block["video"]
            yield VideoPart(**_source(video), mime_type=f"video/{video['format']}")
        elif "audio" in block:
            audio = block["audio"]
            form = audio["format"].replace("pcm", "pcm16")
            yield AudioPart(**_source(audio), format=cast("AudioFormat", form))


def _thinking(block: Mapping[str, Any]) -> ThinkingPart:
    if redacted := block.get("redactedContent"):
        return ThinkingPart("", redacted_data=redacted)
    said = block["reasoningText"]
    return ThinkingPart(said["text"], said.get("signature"))


def _document(block: Mapping[str, Any]) -> FilePart:
    mime_type = _DOCUMENTS.get(block["format"], "application/octet-stream")
    return FilePart(**_source(block), name=block["name"], mime_type=mime_type)


def _source(block: Mapping[str, Any]) -> dict[str, Any]:
    source = block["source"]
    if "s3Location" in source:
        return {"url": source["s3Location"]["uri"]}
    return {"data": base64.b64decode(source["bytes"])}

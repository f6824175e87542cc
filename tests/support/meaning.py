"""What a chat-completions body asks for, without the freedoms of the format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def meaning_of_message(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content") or []
    items = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = "".join(item["text"] for item in items if item["type"] == "text")
    media = []
    for item in items:
        if item["type"] == "image_url":
            place = item["image_url"]
            media.append({"image_url": place if isinstance(place, str) else place["url"]})
        elif item["type"] == "file":
            media.append({"file_data": item["file"]["file_data"].partition(",")[2]})
        elif item["type"] == "document_url":
            media.append({"file_data": item["document_url"].partition(",")[2]})
        elif item["type"] not in ("text", "thinking"):
            media.append({key: value for key, value in item.items() if key != "type"})
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"] or "{}"))
        for call in message.get("tool_calls") or []
    ]
    return {
        "role": {"developer": "system"}.get(message["role"], message["role"]),
        "text": texts,
        "media": media,
        "calls": calls,
        "answers": message.get("tool_call_id"),
    }


_NOT_COMPARED = {
    "messages", "tools", "max_tokens", "max_completion_tokens", "stream_options", "usage",
    "include_usage", "thinking", "store",
}  # fmt: skip


def meaning_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a body asks for, without the freedoms of the format."""
    found = {
        key: value
        for key, value in body.items()
        if key not in _NOT_COMPARED and value not in (None, [], False)
    }
    found["max"] = body.get("max_completion_tokens", body.get("max_tokens"))
    found["messages"] = [meaning_of_message(message) for message in body["messages"]]
    found["tools"] = [
        {key: value for key, value in tool["function"].items() if value not in (None, "")}
        for tool in body.get("tools") or []
    ]
    for tool in found["tools"]:
        tool["parameters"] = tool.get("parameters") or {"type": "object", "properties": {}}
    if not found["tools"]:
        found.pop("tool_choice", None)
    if isinstance(found.get("stop"), str):
        found["stop"] = [found["stop"]]
    if isinstance(form := found.get("response_format"), dict) and "json_schema" in form:
        schema = {"name": "response", "strict": False, **form["json_schema"]}
        schema.pop("description", None)  # the neutral form may lack it
        found["response_format"] = {**form, "json_schema": schema}
    if found.get("reasoning") == {"enabled": True}:
        del found["reasoning"]
    return found

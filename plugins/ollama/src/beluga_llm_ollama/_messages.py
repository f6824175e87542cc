"""A conversation as `/api/chat` takes it.

A message is one text with a list of images beside it, so texts are joined, and the order of texts
and images is lost. Arguments of tool calls are objects. Results name their tool, which is found by
the call's id; ids of calls are sent too, for servers that know them. System messages stay where
they are, and thinking goes back as it came.

Sources: "Chat", "Vision", "Tool calling" and "Thinking" of the Ollama docs, and `Message` in
`api/types.go` of ollama/ollama for `tool_call_id`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from beluga_llm import (
    AIMessage,
    ContentPart,
    FilePart,
    HumanMessage,
    ImagePart,
    Message,
    TextPart,
    ThinkingPart,
    ToolArgumentsError,
    ToolCall,
    ToolMessage,
)
from beluga_llm.plugin import Notes, base64_text

_INLINE = ";base64,"


def encode_messages(messages: Iterable[Message], notes: Notes) -> list[dict[str, Any]]:
    """The `messages` of a request."""
    encoder = _Encoder(notes)
    return [encoder.encode(message) for message in messages]


class _Encoder:
    """Encodes messages in their order; the calls so far tell the names of their results."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._tools: dict[str, str] = {}

    def encode(self, message: Message) -> dict[str, Any]:
        if isinstance(message, AIMessage):
            return self._answer(message)
        if isinstance(message, ToolMessage):
            return self._result(message)
        role = "user" if isinstance(message, HumanMessage) else "system"
        return self._said(role, message.parts)

    def _said(self, role: str, parts: Iterable[ContentPart]) -> dict[str, Any]:
        texts, images = [], []
        for part in parts:
            if isinstance(part, TextPart):
                self._notes.foreign(part)
                texts.append(part.text)
            elif (image := self._image(part)) is not None:
                images.append(image)
        found: dict[str, Any] = {"role": role, "content": "".join(texts)}
        if images:
            found["images"] = images
        return found

    def _image(self, part: ContentPart) -> str | None:
        """Base64 text; None for what is no image of which the bytes are here."""
        if not isinstance(part, ImagePart) and not _is_image_file(part):
            self._notes.part(part)
            return None
        data, url = getattr(part, "data", None), getattr(part, "url", None)
        if data is not None:
            return base64_text(data)
        if url and url.startswith("data:") and _INLINE in url:
            return str(url.partition(_INLINE)[2])
        how = "URL" if url else "file id"
        self._notes.part(
            part, f"{part.type} parts by {how} are not supported by {self._notes.provider}"
        )
        return None

    def _answer(self, message: AIMessage) -> dict[str, Any]:
        thoughts = [part for part in message.parts if isinstance(part, ThinkingPart)]
        rest = (part for part in message.parts if not isinstance(part, ThinkingPart))
        found = self._said("assistant", rest)
        own = [thought.text for thought in thoughts if not self._notes.foreign(thought)]
        if thinking := "".join(own):
            found["thinking"] = thinking
        if message.refusal and not found["content"]:
            found["content"] = message.refusal
        if message.tool_calls:
            calls = enumerate(message.tool_calls)
            found["tool_calls"] = [self._call(index, call) for index, call in calls]
        return found

    def _call(self, index: int, call: ToolCall) -> dict[str, Any]:
        self._notes.foreign(call)
        self._tools[call.id] = call.name
        return {
            "id": call.id,
            "type": "function",
            "function": {"index": index, "name": call.name, "arguments": _arguments(call)},
        }

    def _result(self, message: ToolMessage) -> dict[str, Any]:
        found = self._said("tool", message.parts)
        if name := self._tools.get(message.tool_call_id) or message.name:
            found["tool_name"] = name
        return {**found, "tool_call_id": message.tool_call_id}


def _is_image_file(part: ContentPart) -> bool:
    return isinstance(part, FilePart) and part.mime_type.startswith("image/")


def _arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments as an object; text that is none stands in one."""
    try:
        return call.args
    except ToolArgumentsError:
        return {"INVALID_JSON": call.arguments}

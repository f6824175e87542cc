"""Messages as chat completions has them.

A message is encoded by itself, so `encode_message` is pure and its result may be kept. Reasoning
is sent back only where a quirk asks for it, or where the server signed it in `reasoning_details`:
those are replayed as they came, from `provider_metadata`, as long as the message still holds the
parts that they were read into.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._http.encoding import Notes, base64_text, data_uri, file_name
from beluga_llm._messages import (
    AIMessage,
    HumanMessage,
    Message,
    SystemMessage,
    ToolMessage,
    plain_text,
    plain_texts,
)
from beluga_llm._parts import AudioPart, ContentPart, FilePart, ImagePart, TextPart, ThinkingPart
from beluga_llm._tool_types import ToolCall

_ROLES: dict[type[Message], str] = {
    SystemMessage: "system",
    HumanMessage: "user",
    AIMessage: "assistant",
}
JsonObject: TypeAlias = dict[str, Any]


class MessageEncoder:
    """Turns messages into `messages` items.

    Args:
        quirks: what the server wants.
        notes: takes what is left out.
        tool_id: makes a tool call's id one that the server accepts.
        own_item: the item of a part where the server has its own form for it, else None.
    """

    def __init__(
        self,
        quirks: ChatQuirks,
        notes: Notes,
        tool_id: Callable[[str], str],
        *,
        own_item: Callable[[ContentPart], JsonObject | None],
    ) -> None:
        self.quirks = quirks
        self.notes = notes
        self.tool_id = tool_id
        self.own_item = own_item
        self._roles = {**_ROLES, SystemMessage: quirks.system_role}

    def encode(self, messages: Sequence[Message]) -> list[JsonObject]:
        """All messages, in their order but for merged system messages, which come first."""
        if not self.quirks.merge_system:
            return self._plain_items(messages) or [*map(self.encode_message, messages)]
        texts = [message.text for message in messages if isinstance(message, SystemMessage)]
        found = [{"role": self.quirks.system_role, "content": "\n\n".join(texts)}] if texts else []
        others = (message for message in messages if not isinstance(message, SystemMessage))
        return [*found, *map(self.encode_message, others)]

    def _plain_items(self, messages: Sequence[Message]) -> list[JsonObject] | None:
        """Messages that all are nothing but a text, as in most conversations; else None."""
        texts = plain_texts(messages)
        if texts is None:
            return None
        roles = map(self._roles.__getitem__, map(type, messages))
        return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]

    def encode_message(self, message: Message) -> JsonObject:
        """One message."""
        if (plain := plain_text(message)) is not None:
            return {"role": self._roles[type(message)], "content": plain}
        if isinstance(message, AIMessage):
            return self._answer(message)
        if isinstance(message, ToolMessage):
            return self._result(message)
        if isinstance(message, SystemMessage):
            return {
                "role": self.quirks.system_role,
                "content": self._content(self._texts(message.parts)),
            }
        content = self._content(filter(None, map(self._part, message.parts)))
        found: JsonObject = {"role": "user", "content": content}
        if isinstance(message, HumanMessage) and message.name and self.quirks.names:
            found["name"] = message.name
        return found

    def _result(self, message: ToolMessage) -> JsonObject:
        found: JsonObject = {
            "role": "tool",
            "tool_call_id": self.tool_id(message.tool_call_id),
            "content": self._content(self._texts(message.parts)),
        }
        if message.name and self.quirks.tool_result_names:
            found["name"] = message.name
        return found

    # --- what a model said ---------------------------------------------------------------------

    def _answer(self, message: AIMessage) -> JsonObject:
        content: Any = self._content(self._spoken(message))
        found: JsonObject = {"role": "assistant", "content": content}
        if message.refusal and self.quirks.refusals:
            found["refusal"] = message.refusal
        elif message.refusal and content == "":
            content = found["content"] = message.refusal
        if message.tool_calls:
            found["tool_calls"] = [self._call(call) for call in message.tool_calls]
        if content == "" and ("tool_calls" in found or "refusal" in found):
            found["content"] = None
        if message.name and self.quirks.names:
            found["name"] = message.name
        found.update(self._reasoning(message))
        return found

    def _spoken(self, message: AIMessage) -> Iterator[JsonObject]:
        for part in message.parts:
            if type(part) is ThinkingPart:
                made = _ITEMS.get(self.quirks.replay_reasoning_field)
                if made is not None and not self._is_foreign(part) and (item := made(part)):
                    yield item
            else:
                yield from self._texts((part,))

    def _call(self, call: ToolCall) -> JsonObject:
        self._is_foreign(call)
        return {
            "id": self.tool_id(call.id),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }

    def _reasoning(self, message: AIMessage) -> JsonObject:
        thoughts = [part for part in message.parts if type(part) is ThinkingPart]
        own = [part for part in thoughts if not self._is_foreign(part)]
        name = self.quirks.replay_reasoning_field
        if name in ("reasoning_content", "reasoning"):
            stand_in = self.quirks.replay_reasoning_empty if message.tool_calls else None
            text = "".join(part.text for part in own) or stand_in
            return {} if text is None else {name: text}
        if not own or name in _ITEMS:
            return {}
        stored = _stored_details(message, own)
        if name == "reasoning_details":
            details = stored or [_detail(part, index) for index, part in enumerate(own)]
            return {"reasoning_details": details}
        signed = stored and self._signed_here(own)
        return {"reasoning_details": stored} if signed else {}

    def _signed_here(self, parts: Sequence[ThinkingPart]) -> bool:
        return any(
            (part.signature or part.redacted_data) and part.provider == self.notes.provider
            for part in parts
        )

    def _is_foreign(self, value: TextPart | ThinkingPart | ToolCall) -> bool:
        return self.notes.foreign(value)

    # --- parts ---------------------------------------------------------------------------------

    def _content(self, items: Iterator[JsonObject]) -> str | list[JsonObject]:
        found = list(items)
        if not found:
            return ""
        only_text = all(item.keys() == {"type", "text"} for item in found)
        if only_text and (len(found) == 1 or not self.quirks.text_lists):
            return "".join(item["text"] for item in found)
        return found

    def _texts(self, parts: Sequence[ContentPart]) -> Iterator[JsonObject]:
        """The text parts; what else there is cannot be sent in this kind of message."""
        for part in parts:
            if type(part) is not TextPart:
                self.notes.part(part)
            elif item := self._part(part):
                yield item

    def _part(self, part: ContentPart) -> JsonObject | None:
        item = self.own_item(part) or self._bare_part(part)
        if item and (metadata := getattr(part, "metadata", None)):
            item.update({key: metadata[key] for key in self.quirks.part_hints if key in metadata})
        return item

    def _is_refused(self, part: ContentPart) -> bool:
        """Whether the server takes no such part, which is noted."""
        kinds, url = self.quirks.unsupported_parts, getattr(part, "url", None)
        if part.type in kinds:
            self.notes.part(part)
        elif url and f"{part.type}_url" in kinds and not url.startswith("data:"):
            why = f"{part.type} parts by URL are not supported by {self.notes.provider}"
            self.notes.part(part, why)
        else:
            return False
        return True

    def _bare_part(self, part: ContentPart) -> JsonObject | None:
        if self.quirks.unsupported_parts and self._is_refused(part):
            return None
        match part:
            case TextPart():
                self._is_foreign(part)
                return {"type": "text", "text": part.text} if part.text else None
            case ImagePart(file_id=None):
                url = part.url if part.data is None else data_uri(part.mime_type, part.data)
                detail = {"detail": part.detail} if part.detail else {}
                return {"type": "image_url", "image_url": {"url": url, **detail}}
            case AudioPart(data=bytes(data), format="wav" | "mp3" as form):
                audio = {"data": base64_text(data), "format": form}
                return {"type": "input_audio", "input_audio": audio}
            case FilePart() if part.url is None or self.quirks.file_urls:
                return {"type": "file", "file": _file(part)}
            case AudioPart(data=bytes()):
                self.notes.part(part, f"{part.format} audio is not supported: use wav or mp3")
            case FilePart() | AudioPart():
                why = f"{part.type} parts by URL are not supported by {self.notes.provider}"
                self.notes.part(part, why)
            case ImagePart():
                why = f"image parts by file id are not supported by {self.notes.provider}"
                self.notes.part(part, why)
            case _:
                self.notes.part(part)
        return None


def _file(part: FilePart) -> JsonObject:
    if part.file_id is not None:
        return {"file_id": part.file_id}
    data = part.url if part.data is None else data_uri(part.mime_type, part.data)
    return {"filename": file_name(part), "file_data": data}


def _thinking_item(part: ThinkingPart) -> JsonObject:
    item: JsonObject = {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}
    return {**item, "signature": part.signature} if part.signature else item


def _summary_item(part: ThinkingPart) -> JsonObject | None:
    """Databricks' form. Claude, who signs what it thinks there, takes nothing that is unsigned.

    Source: https://docs.databricks.com/machine-learning/model-serving/score-reason-models
    """
    if not part.signature:
        return None
    summary = {"type": "summary_text", "text": part.text, "signature": part.signature}
    return {"type": "reasoning", "summary": [summary]}


_ITEMS: Mapping[str, Callable[[ThinkingPart], JsonObject | None]] = {
    "content": _thinking_item,
    "summary": _summary_item,
}


def _detail(part: ThinkingPart, index: int) -> JsonObject:
    found: JsonObject
    if part.redacted_data is not None:
        found = {"type": "reasoning.encrypted", "data": part.redacted_data}
    else:
        found = {"type": "reasoning.text", "text": part.text}
        if part.signature is not None:
            found["signature"] = part.signature
    if part.id is not None:
        found["id"] = part.id
    return {**found, "index": index}


def _stored_details(message: AIMessage, parts: Sequence[ThinkingPart]) -> list[Any] | None:
    """The details as they came, if the message still holds all that was signed in them."""
    details = message.provider_metadata.get("reasoning_details")
    if not isinstance(details, list) or not all(isinstance(item, Mapping) for item in details):
        return None
    told = {value for item in details for value in (item.get("signature"), item.get("data"))}
    held = {value for part in parts for value in (part.signature, part.redacted_data)}
    return details if told - {None} == held - {None} else None

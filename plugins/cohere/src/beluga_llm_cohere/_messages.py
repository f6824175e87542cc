"""A conversation as the API wants it.

System messages become one and go first ("system turn must be the first in the list"). What a model
said goes back with its thinking and its plan for the tools. Results of tools are texts, or
documents that can be cited: a `TextPart` whose metadata has a `document`.

Sources: "Chat API", "Tool Use", "Image Inputs", "Reasoning Capabilities" and "Errors" of
https://docs.cohere.com.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from beluga_llm import (
    AIMessage,
    ContentPart,
    ImagePart,
    Message,
    SystemMessage,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
)
from beluga_llm.plugin import JsonError, Notes, data_uri, loads

JsonObject: TypeAlias = dict[str, Any]
TOOL_PLAN = "tool_plan"


class MessageEncoder:
    """Turns messages into `messages` items.

    Args:
        notes: takes what is left out.
        thinks: False where the model is known not to think, and so takes no thinking.
    """

    def __init__(self, notes: Notes, *, thinks: bool | None) -> None:
        self.notes = notes
        self.thinks = thinks

    def encode(self, messages: Iterable[Message]) -> list[JsonObject]:
        """All messages, the system's first."""
        system: list[JsonObject] = []
        found: list[JsonObject] = []
        for message in messages:
            if isinstance(message, SystemMessage):
                system.extend(self._texts(message.parts))
            elif isinstance(message, AIMessage):
                found.append(self._answer(message))
            elif isinstance(message, ToolMessage):
                found.append(self._result(message))
            else:
                content = _content([*filter(None, map(self._part, message.parts))])
                found.append({"role": "user", "content": content})
        first = [{"role": "system", "content": _content(system)}] if system else []
        return [*first, *found]

    # --- what a model said ---------------------------------------------------------------------

    def _answer(self, message: AIMessage) -> JsonObject:
        found: JsonObject = {"role": "assistant"}
        content = [item for part in message.parts for item in self._spoken(part)]
        if message.refusal and not message.text:
            content.append(_text(message.refusal))
        if content or not message.tool_calls:
            found["content"] = _content(content)
        if message.tool_calls:
            found["tool_calls"] = [self._call(call) for call in message.tool_calls]
            plan = message.provider_metadata.get(TOOL_PLAN)
            if plan and isinstance(plan, str):
                found[TOOL_PLAN] = plan
        return found

    def _spoken(self, part: ContentPart) -> Iterator[JsonObject]:
        if isinstance(part, ThinkingPart):
            if not self.notes.foreign(part) and part.text and self.thinks is not False:
                yield {"type": "thinking", "thinking": part.text}
        else:
            yield from self._texts((part,))

    def _call(self, call: ToolCall) -> JsonObject:
        self.notes.foreign(call)
        function = {"name": call.name, "arguments": call.arguments}
        return {"id": call.id, "type": "function", "function": function}

    # --- what a tool answered ------------------------------------------------------------------

    def _result(self, message: ToolMessage) -> JsonObject:
        content = [*self._texts(message.parts, documents=True)]
        return {
            "role": "tool",
            "tool_call_id": message.tool_call_id,
            "content": _content(content),
        }

    # --- parts ---------------------------------------------------------------------------------

    def _texts(
        self, parts: Sequence[ContentPart], *, documents: bool = False
    ) -> Iterator[JsonObject]:
        """The text parts; what else there is cannot be sent in this kind of message."""
        for part in parts:
            if not isinstance(part, TextPart):
                self.notes.part(part)
                continue
            self.notes.foreign(part)
            wanted = part.metadata.get("document") if documents else None
            if wanted:
                yield {"type": "document", "document": _document(part.text, wanted)}
            elif part.text:
                yield _text(part.text)

    def _part(self, part: ContentPart) -> JsonObject | None:
        if isinstance(part, ImagePart) and part.file_id is None:
            url = part.url if part.data is None else data_uri(part.mime_type, part.data)
            detail = {"detail": part.detail} if part.detail else {}
            return {"type": "image_url", "image_url": {"url": url, **detail}}
        if isinstance(part, ImagePart):
            why = f"image parts by file id are not supported by {self.notes.provider}"
            self.notes.part(part, why)
            return None
        return next(self._texts((part,)), None)


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _content(items: list[JsonObject]) -> str | list[JsonObject]:
    """A text where it is only one, else the list."""
    if not items:
        return ""
    if len(items) == 1 and items[0]["type"] == "text":
        return str(items[0]["text"])
    return items


def _document(text: str, wanted: Any) -> JsonObject:
    """A document of a text: its fields where it is a JSON object, else the text itself."""
    try:
        value = loads(text.encode("utf-8", "surrogatepass"))
    except JsonError:
        value = None
    data = value if isinstance(value, dict) else {"text": text}
    given = wanted if isinstance(wanted, Mapping) else {}
    return {"data": data, **given}

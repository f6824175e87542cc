"""Output items of the Responses API: what is remembered of them, and how they are sent back.

An answer is a list of items (reasoning, message, function_call, and those of the server's own
tools). What has a place in AIMessage goes there; the rest of each item (its id, phase, citations,
which of the reasoning is a summary) is remembered in `provider_metadata["output_items"]`:

    {"provider": "openai", "items": [{"type": "message", "id": "msg_1", "content": [{...}]}, ...]}

An item is remembered without what the parts of the message hold: an entry of text without its
"text", a message whose content is a plain text without its "content", a call without its
"arguments", encrypted content as "". An item without a type is forgotten. The API checks that the
ids it is sent belong together ("reasoning was provided without its required following item"), so
ids go back all or none: `restored` rebuilds the very items while the message is still the answer
that they describe, and gives None once a part was changed, added or taken away.

Source: https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

from beluga_llm._http.encoding import blocks
from beluga_llm._messages import AIMessage
from beluga_llm._parts import ContentPart, TextPart, ThinkingPart
from beluga_llm._tool_types import ToolCall

T = TypeVar("T")
Item: TypeAlias = Mapping[str, Any]
JsonObject: TypeAlias = dict[str, Any]

REMEMBERED = "output_items"

TEXT = ("output_text", "text")
"""The types of text entries: OpenAI's, and what other servers call it."""


def entries(value: Any) -> list[JsonObject]:
    """The objects of a list; none where a server sends null or something else."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def text_of(value: Any) -> str:
    """A string; "" where a server sends null or something else."""
    return value if isinstance(value, str) else ""


def name_of(value: Mapping[str, Any], key: str) -> str | None:
    """A string of an object; None where it is missing, null or empty."""
    return text_of(value.get(key)) or None


def content_of(item: Item) -> list[JsonObject]:
    """The entries of a message; a plain text is one entry."""
    content = item.get("content")
    return [{"type": TEXT[0], "text": content}] if isinstance(content, str) else entries(content)


# --- what is remembered ------------------------------------------------------------------------


def remembered(provider: str, items: Iterable[Item]) -> JsonObject:
    """The items of an answer without what its parts hold."""
    found = [_FORGET.get(kind, dict)(item) for item in items if (kind := name_of(item, "type"))]
    return {"provider": provider, "items": found}


def _without_text(value: Any) -> list[JsonObject]:
    """Entries without text that has its own part; logprobs have their own field."""
    return [_forget_text(entry) for entry in entries(value)]


def _forget_text(entry: Item) -> JsonObject:
    return {
        key: [] if key == "logprobs" else value
        for key, value in entry.items()
        if key != "text" or not value
    }


def _forget_message(item: Item) -> JsonObject:
    content = item.get("content")
    if not isinstance(content, str):
        kept = [_forget_text(e) if e.get("type") in TEXT else e for e in entries(content)]
        return {**item, "content": kept}
    return {key: value for key, value in item.items() if key != "content" or not value}


def _forget_reasoning(item: Item) -> JsonObject:
    changes: JsonObject = {
        key: _without_text(item[key]) for key in ("summary", "content") if key in item
    }
    if item.get("encrypted_content"):
        changes["encrypted_content"] = ""
    return {**item, **changes}


def _forget_call(item: Item) -> JsonObject:
    return {key: value for key, value in item.items() if key != "arguments"}


_FORGET: Mapping[str, Callable[[Item], JsonObject]] = {
    "message": _forget_message,
    "reasoning": _forget_reasoning,
    "function_call": _forget_call,
}


# --- what is sent back -------------------------------------------------------------------------


class _ChangedError(Exception):
    """The message is not any more what is remembered of it."""


class _Blocks:
    """The blocks of a message, taken one by one as their items ask for them."""

    def __init__(self, message: AIMessage) -> None:
        self._rest: Iterator[ContentPart | ToolCall] = iter(blocks(message))

    def take(self, kind: type[T]) -> T:
        block = next(self._rest, None)
        if not isinstance(block, kind):
            raise _ChangedError
        return block

    def check_end(self) -> None:
        if next(self._rest, None) is not None:
            raise _ChangedError


def restored(message: AIMessage, provider: str, *, stored: bool) -> list[JsonObject] | None:
    """The items that an answer was made of, to be sent back; None where they do not fit it.

    Args:
        message: the answer, possibly changed since.
        provider: who gets them; another provider's items are none of its business.
        stored: whether the server may still have the items, so that an id stands for its item.
    """
    memory = message.provider_metadata.get(REMEMBERED)
    if not isinstance(memory, Mapping) or memory.get("provider") != provider:
        return None
    rest = _Blocks(message)
    try:
        found = [_restore(item, rest, stored) for item in entries(memory.get("items"))]
        rest.check_end()
    except _ChangedError:
        return None
    return found or None


def _restore(item: Item, rest: _Blocks, stored: bool) -> JsonObject:
    kind = item.get("type")
    if kind == "message":
        return _restore_message(item, rest)
    if kind == "reasoning":
        return _restore_reasoning(item, rest, stored)
    if kind == "function_call":
        call = rest.take(ToolCall)
        if (call.id, call.name) != (item.get("call_id"), item.get("name")):
            raise _ChangedError
        return {**item, "arguments": call.arguments}
    return dict(item)


def _restore_message(item: Item, rest: _Blocks) -> JsonObject:
    if "content" not in item:
        return {**item, "content": rest.take(TextPart).text}
    if item["content"] == "":
        return dict(item)
    return {**item, "content": [_restore_text(e, rest) for e in entries(item["content"])]}


def _restore_text(entry: Item, rest: _Blocks) -> JsonObject:
    if entry.get("type") not in TEXT or "text" in entry:
        return dict(entry)
    return {**entry, "text": rest.take(TextPart).text}


def _restore_reasoning(item: Item, rest: _Blocks, stored: bool) -> JsonObject:
    parts: list[ThinkingPart] = []

    def part() -> ThinkingPart:
        found = rest.take(ThinkingPart)
        if found.id != item.get("id"):
            raise _ChangedError
        parts.append(found)
        return found

    found: JsonObject = dict(item)
    for key in ("summary", "content"):
        if key in item:
            found[key] = [
                e if "text" in e else {**e, "text": part().text} for e in entries(item[key])
            ]
    if item.get("encrypted_content") == "":
        if not parts:
            part()
        found["encrypted_content"] = _encrypted(parts)
    elif not stored and not found.get("content"):
        raise _ChangedError  # an id alone: "Items are not persisted when `store` is set to false"
    return found


def _encrypted(parts: Iterable[ThinkingPart]) -> str:
    for part in parts:
        if part.redacted_data:
            return part.redacted_data
    raise _ChangedError

"""What the values inside a chat-completions answer mean, in all the forms that servers send.

Nothing here raises: null, a wrong type and an unknown form count as absent.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import msgspec

from beluga_llm._frozen import EMPTY
from beluga_llm._json import dumps_text
from beluga_llm._parts import ImagePart
from beluga_llm._usage import NO_USAGE, FinishReason, Usage

JsonObject: TypeAlias = dict[str, Any]

_FINISH = {
    FinishReason.STOP: "stop end_turn stop_sequence completed eos STOP COMPLETE",
    FinishReason.LENGTH: """
        length max_tokens max_output_tokens model_length model_context_window_exceeded
        MAX_TOKENS""",
    FinishReason.TOOL_CALLS: "tool_calls function_call tool_use TOOL_CALL",
    FinishReason.CONTENT_FILTER: """
        content_filter content_filtered refusal guardrail_intervened SAFETY RECITATION BLOCKLIST
        PROHIBITED_CONTENT SPII IMAGE_SAFETY""",
    FinishReason.ERROR: """
        error ERROR MALFORMED_FUNCTION_CALL malformed_model_output malformed_tool_use""",
}
_REASONS = {word: reason for reason, words in _FINISH.items() for word in words.split()}

_USAGE_FIELDS = frozenset((
    "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens",
    "prompt_tokens_details", "completion_tokens_details", "cached_tokens", "reasoning_tokens",
    "prompt_cache_hit_tokens", "prompt_cache_miss_tokens", "cache_read_input_tokens",
    "cache_creation_input_tokens",
))  # fmt: skip


def finish_reason(word: str, more: Mapping[str, str] = EMPTY) -> FinishReason:
    """Why an answer ended, by the server's word for it.

    Args:
        word: as on the wire.
        more: further words of this server.
    """
    if word in more:
        return FinishReason(more[word])
    return _REASONS.get(word) or _REASONS.get(word.lower()) or FinishReason.OTHER


def text_of(value: Any) -> str:
    """A text, or a number as text; "" for everything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def object_of(value: Any) -> JsonObject:
    """An object; an empty one for everything else."""
    return value if isinstance(value, dict) else {}


def objects_of(value: Any) -> list[JsonObject]:
    """The objects of a list; none for everything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def says_something(value: Any) -> bool:
    """Whether a value is more than null, "" or a container of only these."""
    if isinstance(value, dict):
        return any(map(says_something, value.values()))
    if isinstance(value, list):
        return any(map(says_something, value))
    return value is not None and value != ""


def is_error(value: Any) -> bool:
    """Whether the value of an `error` field is one: a text, an object or a list with content."""
    return isinstance(value, str | dict | list) and says_something(value)


_ERROR_KEYS = ("errors", "error_code", "detail")


def says_error(data: JsonObject) -> bool:
    """Whether a frame or a body is an error: by its `error`, or by what stands instead of choices.

    The latter is how Cloudflare (`errors`), Databricks (`error_code`) and FastAPI (`detail`) write
    errors.
    """
    if is_error(data.get("error")) or data.get("object") == "error":
        return True
    return not data.get("choices") and any(is_error(data.get(key)) for key in _ERROR_KEYS)


# --- tokens ---------------------------------------------------------------------------------------


def _number(*values: Any) -> int | None:
    for value in values:
        if value is None:
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return int(value)
    return None


def read_usage(data: JsonObject) -> Usage | None:
    """Token counts in our form; None where nothing is counted."""
    get = data.get
    details, spent = (
        object_of(get("prompt_tokens_details")),
        object_of(get("completion_tokens_details")),
    )
    output = _number(get("completion_tokens"), get("output_tokens"))
    usage = Usage(
        input_tokens=_number(get("prompt_tokens"), get("input_tokens")),
        output_tokens=output,
        total_tokens=_number(get("total_tokens")),
        cached_tokens=_number(
            details.get("cached_tokens"),
            get("cached_tokens"),
            get("prompt_cache_hit_tokens"),
            get("cache_read_input_tokens"),
        ),
        cache_write_tokens=_number(
            details.get("cache_write_tokens"), get("cache_creation_input_tokens")
        ),
        reasoning_tokens=_number(spent.get("reasoning_tokens"), get("reasoning_tokens")),
        audio_input_tokens=_number(details.get("audio_tokens")),
        audio_output_tokens=_number(spent.get("audio_tokens")),
    )
    return None if usage == NO_USAGE else with_reasoning(usage)


def with_reasoning(usage: Usage) -> Usage:
    """The same, with reasoning among the output where the total shows that it is not, as at xAI."""
    output, reasoning = usage.output_tokens, usage.reasoning_tokens
    if usage.input_tokens is None or output is None or not reasoning:
        return usage
    if usage.total_tokens != usage.input_tokens + output + reasoning:
        return usage
    return msgspec.structs.replace(usage, output_tokens=output + reasoning)


def usage_at(data: JsonObject, path: str) -> JsonObject:
    """The token counts at a place such as "x_groq.usage"; of a list, its first object counts."""
    found: Any = data
    for name in path.split("."):
        found = object_of(found).get(name)
        if isinstance(found, list):
            found = next(iter(objects_of(found)), None)
    return object_of(found)


def usage_extras(data: JsonObject) -> JsonObject:
    """Token counts that hold more than we have fields for, such as a cost; else nothing."""
    more = data.keys() - _USAGE_FIELDS
    return {"usage": data} if any(says_something(data[key]) for key in more) else {}


# --- content --------------------------------------------------------------------------------------


class Thought(NamedTuple):
    """Reasoning inside `content`."""

    text: str
    signature: str = ""


def read_content(content: Any) -> Iterator[str | Thought | ImagePart]:
    """The pieces of `content`; no text is empty.

    It may be a text, a list of typed items (Mistral, Databricks), an object that is the answer
    itself (Cloudflare), which may have a `type` of its own, or null.
    """
    if isinstance(content, str):
        if content:
            yield content
    elif isinstance(content, list):
        for item in content:
            yield from _item(item)
    elif isinstance(content, dict) and content.get("type") in _ITEM_TYPES:
        yield from _item(content)
    elif content is not None:
        yield dumps_text(content)


_ITEM_TYPES = ("text", "output_text", "thinking", "reasoning", "image_url")


def _item(item: Any) -> Iterator[str | Thought | ImagePart]:
    if isinstance(item, str):
        yield from read_content(item)
    elif isinstance(item, dict):
        kind = item.get("type")
        if kind == "thinking":
            yield from _thoughts(item, (_thought(item.get("thinking")),))
        elif kind == "reasoning":
            summary = item.get("summary")
            pieces = summary if isinstance(summary, list) else [summary]
            yield from _thoughts(item, map(_thought, [*pieces, item.get("text")]))
        elif kind == "image_url":
            if (image := read_image(item)) is not None:
                yield image
        elif isinstance(item.get("text"), str):
            yield from read_content(item["text"])


def _thoughts(item: JsonObject, found: Iterable[Thought]) -> Iterator[Thought]:
    """What an item holds, and its own signature."""
    *earlier, last = [thought for thought in found if any(thought)] or [Thought("")]
    yield from earlier
    last = Thought(last.text, last.signature or text_of(item.get("signature")))
    if any(last):
        yield last


def _thought(value: Any) -> Thought:
    """A text, an object with one, or the texts of a list in one."""
    if isinstance(value, list):
        pieces = list(map(_thought, value))
        return Thought("".join(p.text for p in pieces), "".join(p.signature for p in pieces))
    if isinstance(value, dict):
        return Thought(text_of(value.get("text")), text_of(value.get("signature")))
    return Thought(text_of(value))


def read_image(item: Any) -> ImagePart | None:
    """The image of an `image_url` item."""
    place = object_of(item).get("image_url")
    url = place if isinstance(place, str) else text_of(object_of(place).get("url"))
    head, comma, data = url.partition(",")
    if not (head.startswith("data:") and comma):
        return ImagePart(url=url) if url else None
    try:
        return ImagePart(
            data=base64.b64decode(data, validate=True),
            mime_type=head[5:].partition(";")[0] or None,
        )
    except binascii.Error:
        return None


# --- reasoning_details ----------------------------------------------------------------------------

_TEXTS = ("text", "summary", "signature")


def detail_text(detail: JsonObject) -> str:
    """The reasoning text of an entry of `reasoning_details`."""
    return text_of(detail.get("text")) or text_of(detail.get("summary"))


class ReasoningDetails:
    """`reasoning_details` of one choice, put together again from its pieces.

    A piece continues the last entry where type, index and id agree; an encrypted entry is always
    whole. `entries` is what is sent back, `fresh` whether a piece came since it was
    last set to False.

    Source: https://openrouter.ai/docs/use-cases/reasoning-tokens
    """

    __slots__ = ("entries", "fresh")

    def __init__(self) -> None:
        self.fresh = False
        self.entries: list[JsonObject] = []

    def take(
        self, pieces: Iterable[JsonObject], *, whole: bool
    ) -> Iterator[tuple[int, JsonObject]]:
        """Keeps pieces; each is given back with the number of the entry that it belongs to."""
        for piece in pieces:
            self.fresh = True
            if whole or not self._continues(piece):
                self.entries.append(dict(piece))
            else:
                self._merge(self.entries[-1], piece)
            yield len(self.entries) - 1, piece

    def _continues(self, piece: JsonObject) -> bool:
        if not self.entries or piece.get("data") is not None:
            return False
        last = self.entries[-1]
        return last.get("data") is None and all(
            piece.get(key) in (None, last.get(key)) or last.get(key) is None
            for key in ("type", "index", "id")
        )

    def _merge(self, entry: JsonObject, piece: JsonObject) -> None:
        for key, value in piece.items():
            if key in _TEXTS and isinstance(value, str) and isinstance(entry.get(key), str):
                entry[key] += value
            elif value is not None:
                entry[key] = value

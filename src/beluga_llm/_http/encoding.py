"""What the encoders of all dialects share: the order of blocks, notes, and ids."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from beluga_llm._http.dialect import Note
from beluga_llm._messages import AIMessage
from beluga_llm._parts import ContentPart, FilePart, TextPart, ThinkingPart
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall


class Notes:
    """Collects what an encoder leaves out; `HttpRequest.notes` takes `tuple(notes)`.

    Args:
        provider: the provider that the request goes to.
        family: others whose opaque data it takes too.
    """

    def __init__(self, provider: str, family: Iterable[str] = ()) -> None:
        self.provider = provider
        self._own = frozenset((provider, *family))
        self._notes: dict[tuple[str, str], Note] = {}

    def __iter__(self) -> Any:
        return iter(self._notes.values())

    def option(self, name: str, text: str = "") -> None:
        """An option that the provider, or this model, does not have."""
        self._add(Note("option", name, text or f"{self.provider} has no option {name!r}"))

    def part(self, part: ContentPart, text: str = "") -> None:
        """A part that the provider cannot take."""
        why = text or f"{part.type} parts are not supported by {self.provider}"
        self._add(Note("content", part.type, why))

    def foreign(self, value: TextPart | ThinkingPart | ToolCall) -> bool:
        """Whether a value carries another provider's opaque data, which is noted."""
        opaque = value.signature or getattr(value, "redacted_data", None)
        if not opaque or value.provider is None or value.provider in self._own:
            return False
        why = f"reasoning signed by {value.provider!r} is not sent to {self.provider!r}"
        self._add(Note("signature", value.provider or "", why))
        return True

    def _add(self, note: Note) -> None:
        self._notes.setdefault((note.kind, note.name), note)


def blocks(message: AIMessage) -> list[ContentPart | ToolCall]:
    """Parts and tool calls in the order in which they stood on the wire.

    A call with a `part_index` stands there; the others follow the parts.
    """
    found: list[ContentPart | ToolCall] = list(message.parts)
    placed = [call for call in message.tool_calls if call.part_index is not None]
    for call in sorted(placed, key=lambda call: call.part_index or 0):
        found.insert(call.part_index or 0, call)
    found.extend(call for call in message.tool_calls if call.part_index is None)
    return found


def base64_text(data: bytes) -> str:
    """Bytes as base64 text."""
    return base64.b64encode(data).decode("ascii")


def data_uri(mime_type: str, data: bytes) -> str:
    """Bytes as a data URI."""
    return f"data:{mime_type};base64,{base64_text(data)}"


_SUFFIXES = {
    "application/json": ".json",
    "application/pdf": ".pdf",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/markdown": ".md",
    "text/plain": ".txt",
}


def file_name(part: FilePart) -> str:
    """The file's name; one with the right suffix where it has none."""
    return part.name or "document" + _SUFFIXES.get(part.mime_type, "")


def safe_id(id: str, allowed: re.Pattern[str], limit: int = 64) -> str:
    """An id that an API accepts: unchanged if it does, else made of its hash.

    The same id always gives the same result, so that call and answer still pair up.
    """
    if len(id) <= limit and allowed.fullmatch(id):
        return id
    return (
        "call_" + hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[: limit - 5][:24]
    )


def provider_options(request: ChatRequest, *names: str) -> Mapping[str, Any]:
    """The options meant for this provider, under any of its names."""
    for name in names:
        if found := request.options.provider_options.get(name):
            return found
    return {}

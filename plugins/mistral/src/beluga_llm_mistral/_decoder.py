"""What Mistral's answers have beside those of other chat completions.

References, items of `content` that say what a text rests on, are kept in
`provider_metadata["references"]`, each with the number of characters of text that stand before
it. Calls whose id is the word "null", as older models send them, count as calls without one.

Sources: "Citations and references" of https://docs.mistral.ai; `id: "null"` is the default of a
tool call in the vendor's own SDK.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from beluga_llm import StreamChunk
from beluga_llm.plugin import Decoder, JsonError, loads

_NULL_ID = re.compile(rb'"id"\s*:\s*"null"')


class MistralDecoder(Decoder):
    """Reads one answer with the decoder of chat completions.

    Args:
        inner: that decoder.
    """

    def __init__(self, inner: Decoder) -> None:
        self._inner = inner
        self._lengths: Counter[int] = Counter()
        self._references: dict[int, list[dict[str, Any]]] = {}
        self._sync()

    def _sync(self) -> None:
        self.complete, self.ended = self._inner.complete, self._inner.ended

    def feed(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        """The chunks of one frame; see Decoder."""
        if b'"null"' in data:
            data = _NULL_ID.sub(b'"id":""', data)
        chunks = self._inner.feed(event, data)
        self._sync()
        if b'"reference"' in data and (cited := tuple(self._cite(data))):
            chunks = [*chunks, *cited]
        for chunk in chunks:
            self._lengths[chunk.choice] += len(chunk.delta)
        return chunks

    def finish(self) -> Sequence[StreamChunk]:
        """What is known only at the end."""
        return self._inner.finish()

    def _cite(self, data: bytes) -> Iterator[StreamChunk]:
        for choice, content in _contents(data):
            found = self._references.setdefault(choice, [])
            before, place = len(found), self._lengths[choice]
            for item in content:
                if item.get("type") == "reference":
                    fields = {key: value for key, value in item.items() if key != "type"}
                    found.append({**fields, "text_offset": place})
                elif item.get("type") == "text" and isinstance(item.get("text"), str):
                    place += len(item["text"])
            if len(found) > before:
                yield StreamChunk(metadata={"references": list(found)}, choice=choice)


def _contents(data: bytes) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The items of `content` of each choice."""
    try:
        value = loads(data)
    except JsonError:  # of an event that says nothing
        return
    if not isinstance(value, dict):
        return
    for position, choice in enumerate(objects_of(value.get("choices"))):
        body = choice.get("delta") or choice.get("message")
        index = choice.get("index")
        content = body.get("content") if isinstance(body, dict) else None
        yield index if isinstance(index, int) else position, objects_of(content)


def objects_of(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; none for everything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

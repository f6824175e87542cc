"""What of an answer has no field of ours, kept as it is.

Blocks of unknown kinds (server tools, MCP, code execution, whatever comes) go to
`provider_metadata["content_blocks"]`, citations to `provider_metadata["citations"]`. Each entry
says in `part_index` before which part or call of the answer it stood, or to which it belongs.

Citations go back with their text, unless the application has changed it. What the text was is
told by `provider_metadata["cited_texts"]`: for each place the provider and a digest.

Source: "Web search tool" of the Claude Platform docs (`encrypted_index` must be passed back).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from beluga_llm.plugin import JsonError, loads

CONTENT_BLOCKS = "content_blocks"
CITATIONS = "citations"
CITED_TEXTS = "cited_texts"
PLACE = "part_index"


class KeptBlocks:
    """Collects blocks and citations; `end` gives what is new to tell.

    Attributes:
        open: the blocks that have begun and not ended, by their numbers on the wire.
        texts: the pieces of each text block, likewise.
    """

    __slots__ = ("_blocks", "_citations", "_cited", "_inputs", "_marks", "_provider", "open",
                 "texts")  # fmt: skip

    def __init__(self, provider: str) -> None:
        self.texts: defaultdict[int, list[str]] = defaultdict(list)
        self._provider = provider
        self.open: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, list[str]] = {}
        self._blocks: list[dict[str, Any]] = []
        self._citations: list[dict[str, Any]] = []
        self._cited: dict[int, int] = {}
        self._marks: dict[int, dict[str, Any]] = {}

    def begin(self, index: int, block: dict[str, Any], place: int) -> None:
        """A block of an unknown kind begins; `index` is its number on the wire."""
        self.open[index] = {**block, PLACE: place}

    def grow(self, index: int, delta: dict[str, Any]) -> None:
        """Adds a delta to it: texts go on, other values replace."""
        block = self.open[index]
        for key, value in delta.items():
            if key == "partial_json" and isinstance(value, str):
                self._inputs.setdefault(index, []).append(value)
            elif key != "type" and value is not None:
                before = block.get(key)
                goes_on = isinstance(before, str) and isinstance(value, str)
                block[key] = before + value if goes_on else value

    def cite(self, citation: Any, index: int, place: int) -> None:
        """Takes a citation of the text block with a number on the wire, and its place."""
        if isinstance(citation, dict):
            self._citations.append({**citation, PLACE: place})
            self._cited[index] = place

    def end(self, index: int) -> dict[str, Any]:
        """The metadata to send once a block has ended."""
        if (block := self.open.pop(index, None)) is not None:
            if pieces := self._inputs.pop(index, None):
                block["input"] = _json_or_text("".join(pieces))
            self._blocks.append(block)
            return {CONTENT_BLOCKS: list(self._blocks)}
        if self._cited:
            for cited, place in self._cited.items():
                self._marks[place] = _mark(place, self._provider, "".join(self.texts[cited]))
            self._cited.clear()
            return {
                CITATIONS: list(self._citations),
                CITED_TEXTS: list(self._marks.values()),
            }
        return {}


def citations_of(
    metadata: Mapping[str, Any], provider: str, *, place: int, text: str
) -> list[dict[str, Any]]:
    """The citations that go back with a text; none for another provider's, or a changed text."""
    marks, citations = metadata.get(CITED_TEXTS), metadata.get(CITATIONS)
    if not isinstance(marks, list) or not isinstance(citations, list):
        return []
    if _mark(place, provider, text) not in marks:
        return []
    return [
        {key: value for key, value in citation.items() if key != PLACE}
        for citation in citations
        if isinstance(citation, Mapping) and citation.get(PLACE) == place
    ]


def _mark(place: int, provider: str, text: str) -> dict[str, Any]:
    """What tells a text again; UTF-16 joins the halves of a character that came in two pieces."""
    digest = hashlib.sha256(text.encode("utf-16-le", "surrogatepass")).hexdigest()
    return {PLACE: place, "provider": provider, "sha256": digest}


def _json_or_text(text: str) -> Any:
    try:
        return loads(text)
    except JsonError:
        return text

"""What of an answer has no field of ours, kept as it is.

Blocks of other kinds (server tools and their results, images) go to
`provider_metadata["content_blocks"]`, citations to `provider_metadata["citations"]`. Each entry
says in `part_index` before which part or call of the answer it stood, or to which it belongs.
Server tools and their results go back in their place with the conversation (`sendable`); citations
do not, as a text may be sent without them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from beluga_llm import AIMessage
from beluga_llm.plugin import JsonError, loads
from beluga_llm_bedrock._wire import as_list, as_object, as_text, joined_base64

CONTENT_BLOCKS = "content_blocks"
CITATIONS = "citations"
PLACE = "part_index"
_SENDABLE = ("toolUse", "toolResult")


class KeptBlocks:
    """Collects blocks and citations; `end` gives what is new to tell."""

    __slots__ = ("_blocks", "_citations", "_cited", "_open", "_pieces")

    def __init__(self) -> None:
        self._open: dict[int, dict[str, Any]] = {}
        self._pieces: dict[int, list[Any]] = {}
        self._blocks: list[dict[str, Any]] = []
        self._citations: list[dict[str, Any]] = []
        self._cited = False

    def __contains__(self, index: int) -> bool:
        return index in self._open

    def begin(self, index: int, block: dict[str, Any], place: int) -> None:
        """A block begins; `index` is its number on the wire, `place` where it stands with us."""
        self._open[index] = {**block, PLACE: place}

    def grow(self, index: int, delta: dict[str, Any]) -> None:
        """Takes a delta of it."""
        self._pieces.setdefault(index, []).append(delta)

    def cite(self, citation: Any, place: int) -> None:
        """Takes a citation of the text with a place."""
        if isinstance(citation, dict):
            self._citations.append({**citation, PLACE: place})
            self._cited = True

    def end(self, index: int) -> dict[str, Any]:
        """The metadata to send once a block has ended."""
        found: dict[str, Any] = {}
        if (block := self._open.pop(index, None)) is not None:
            self._blocks.append(_grown(block, self._pieces.pop(index, [])))
            found[CONTENT_BLOCKS] = list(self._blocks)
        if self._cited:
            self._cited = False
            found[CITATIONS] = list(self._citations)
        return found

    def end_all(self) -> dict[str, Any]:
        """The same for all blocks, at the end of an answer that does not end each of them."""
        found = self.end(-1)
        for index in list(self._open):
            found.update(self.end(index))
        return found


def _grown(block: dict[str, Any], deltas: list[Any]) -> dict[str, Any]:
    """A block with what its deltas add."""
    if not deltas:
        return block
    kind = next(key for key in block if key != PLACE)
    inner = dict(as_object(block[kind]))
    parts = [delta.get(kind) for delta in deltas]
    if kind == "toolUse":
        inner["input"] = _json_or_text("".join(as_text(as_object(p).get("input")) for p in parts))
    elif kind == "toolResult":
        inner["content"] = [item for part in parts for item in as_list(part)]
    elif kind == "image":
        sources = [as_object(as_object(part).get("source")) for part in parts]
        pieces = [as_text(source.get("bytes")) for source in sources if source.get("bytes")]
        inner["source"] = {"bytes": joined_base64(pieces)} if pieces else sources[-1]
    return {**block, kind: inner}


def _json_or_text(text: str) -> Any:
    try:
        return loads(text)
    except JsonError:
        return text


def sendable(message: AIMessage) -> Iterator[tuple[int, dict[str, Any]]]:
    """Kept blocks that go back, with their places; those of other providers do not."""
    for block in as_list(message.provider_metadata.get(CONTENT_BLOCKS)):
        place = as_object(block).get(PLACE)
        if isinstance(place, int) and any(isinstance(block.get(key), dict) for key in _SENDABLE):
            yield place, {key: value for key, value in block.items() if key != PLACE}

"""The content blocks of one answer, as they come: from blocks and deltas to chunks.

Blocks are numbered on the wire. Chunks carry another number, the block's place among those that
become a part or a call: blocks that stay empty have none, so that an answer goes back in the order
in which it came. What has no field of ours is kept (`_kept.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from beluga_llm import StreamChunk
from beluga_llm.plugin import ToolCallDelta
from beluga_llm_anthropic._kept import KeptBlocks
from beluga_llm_anthropic._wire import as_text

NOTHING: Sequence[StreamChunk] = ()


class _Call:
    """A call whose arguments are coming; `input` is what its block started with."""

    __slots__ = ("input", "number", "place")

    def __init__(self, number: int, place: int, input: str) -> None:
        self.number = number
        self.place = place
        self.input = input


class Blocks:
    """The blocks so far.

    Attributes:
        kept: what of them has no field of ours.
        calls: how many of them were calls.
    """

    def __init__(self, provider: str, new_id: Callable[[], str]) -> None:
        """No blocks.

        Args:
            provider: whose signatures these are.
            new_id: makes the id of a call that came without one.
        """
        self.kept = KeptBlocks(provider)
        self.calls = 0
        self._provider = provider
        self._new_id = new_id
        self._places: dict[int, int] = {}
        self._calls: dict[int, _Call] = {}

    def begin(self, index: int, block: dict[str, Any], input: str) -> Sequence[StreamChunk]:
        """The chunks of a block that begins, perhaps with content; `input` is that of a call."""
        kind = block.get("type")
        if kind == "text":
            return self._begin_text(index, block)
        if kind == "thinking":
            thought = self.thought(index, as_text(block.get("thinking")))
            return (*thought, *self._opaque(index, signature=as_text(block.get("signature"))))
        if kind == "redacted_thinking":
            return self._opaque(index, redacted_data=as_text(block.get("data")))
        if kind == "tool_use":
            return self._begin_call(index, block, input)
        self.kept.begin(index, block, len(self._places))
        return NOTHING

    def _begin_text(self, index: int, block: dict[str, Any]) -> Sequence[StreamChunk]:
        chunks = self.text(index, as_text(block.get("text")))
        citations = block.get("citations")
        for citation in citations if isinstance(citations, list) else ():
            self.kept.cite(citation, index, self._place(index))
        return chunks

    def _begin_call(self, index: int, block: dict[str, Any], input: str) -> Sequence[StreamChunk]:
        call = self._calls[index] = _Call(self.calls, self._place(index), input)
        self.calls += 1
        call_id = as_text(block.get("id")) or self._new_id()
        delta = ToolCallDelta(call.number, call_id, as_text(block.get("name")))
        return (StreamChunk(tool_calls=(delta,), part_index=call.place),)

    def go_on(self, index: int, delta: dict[str, Any]) -> Sequence[StreamChunk]:
        """The chunks of a delta of any kind."""
        if index in self.kept.open:
            self.kept.grow(index, delta)
            return NOTHING
        kind = delta.get("type")
        if kind == "citations_delta":
            self.kept.cite(delta.get("citation"), index, self._place(index))
        elif kind == "text_delta":
            return self.text(index, as_text(delta.get("text")))
        elif kind == "thinking_delta":
            return self.thought(index, as_text(delta.get("thinking")))
        elif kind == "input_json_delta":
            return self.arguments(index, as_text(delta.get("partial_json")))
        elif kind == "signature_delta":
            return self._opaque(index, signature=as_text(delta.get("signature")))
        return NOTHING

    def end(self, index: int) -> Sequence[StreamChunk]:
        """The chunks of a block's end."""
        if (call := self._calls.get(index)) is not None:
            return self.arguments(index, call.input)
        metadata = self.kept.end(index)
        return (StreamChunk(metadata=metadata),) if metadata else NOTHING

    def text(self, index: int, text: str) -> Sequence[StreamChunk]:
        """More of a text."""
        if not text:
            return NOTHING
        self.kept.texts[index].append(text)
        return (StreamChunk(text, part_index=self._place(index)),)

    def thought(self, index: int, text: str) -> Sequence[StreamChunk]:
        """More of a thought."""
        if not text:
            return NOTHING
        return (StreamChunk("", text, part_index=self._place(index)),)

    def arguments(self, index: int, text: str) -> Sequence[StreamChunk]:
        """More arguments of a call."""
        call = self._calls.get(index)
        if call is None or not text:
            return NOTHING
        call.input = ""
        delta = ToolCallDelta(call.number, arguments=text)
        return (StreamChunk(tool_calls=(delta,), part_index=call.place),)

    def _place(self, index: int) -> int:
        place = self._places.get(index)
        if place is None:
            place = self._places[index] = len(self._places)
        return place

    def _opaque(
        self, index: int, *, signature: str | None = None, redacted_data: str | None = None
    ) -> Sequence[StreamChunk]:
        if not (signature or redacted_data):
            return NOTHING
        return (
            StreamChunk(
                part_index=self._place(index),
                signature=signature,
                redacted_data=redacted_data,
                provider=self._provider,
            ),
        )

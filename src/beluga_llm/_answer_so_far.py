"""One answer under construction: a row of blocks, the calls, and what is told of the whole.

A chunk with a `part_index` belongs to the block of that number and kind; one without continues the
last block of its kind, unless a whole part came in between. A signature or an id that arrives
without text belongs to the block of that number, and else opens a thinking block; a whole
`TextPart` in `parts` is how an empty signed text is said.
"""

from __future__ import annotations

from typing import Any

from beluga_llm._chunks import StreamChunk
from beluga_llm._json import mend_surrogates
from beluga_llm._messages import AIMessage
from beluga_llm._parts import ContentPart, TextPart, ThinkingPart
from beluga_llm._tool_merge import ToolCallAccumulator
from beluga_llm._usage import NO_USAGE, FinishReason


class _Block:
    """Text or reasoning under construction."""

    __slots__ = ("id", "kind", "pieces", "provider", "redacted", "signature")

    def __init__(self, kind: type[TextPart | ThinkingPart]) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.signature: str | None = None
        self.redacted: str | None = None
        self.provider: str | None = None
        self.id: str | None = None

    def add_facts(self, chunk: StreamChunk) -> None:
        if chunk.signature is not None:
            self.signature = (self.signature or "") + chunk.signature
        if chunk.redacted_data is not None:
            self.redacted = (self.redacted or "") + chunk.redacted_data
        if chunk.provider is not None:
            self.provider = chunk.provider
        if chunk.item_id is not None:
            self.id = chunk.item_id

    def part(self) -> ContentPart:
        text = mend_surrogates("".join(self.pieces))
        if self.kind is TextPart:
            return TextPart(text, self.signature, self.provider)
        return ThinkingPart(text, self.signature, self.redacted, self.provider, self.id)


class AnswerSoFar:
    """One choice under construction."""

    __slots__ = (
        "_numbered", "_open", "blocks", "calls", "finish", "logprobs", "metadata", "model_id",
        "raw_finish", "refusal", "response_id", "usage",
    )  # fmt: skip

    def __init__(self) -> None:
        self.blocks: list[_Block | ContentPart] = []
        self._numbered: dict[tuple[int, type], _Block] = {}
        self._open: dict[type, _Block] = {}
        self.calls = ToolCallAccumulator()
        self.finish: FinishReason | None = None
        self.raw_finish: str | None = None
        self.refusal: list[str] = []
        self.usage = NO_USAGE
        self.model_id: str | None = None
        self.response_id: str | None = None
        self.metadata: dict[str, Any] = {}
        self.logprobs: list[Any] = []

    def block(self, kind: type[TextPart | ThinkingPart], index: int | None) -> _Block:
        known = self._open.get(kind) if index is None else self._numbered.get((index, kind))
        if known is not None:
            return known
        block = _Block(kind)
        self.blocks.append(block)
        self._open[kind] = block
        if index is not None:
            self._numbered[index, kind] = block
        return block

    def add(self, chunk: StreamChunk) -> None:
        index = chunk.part_index
        if chunk.reasoning_delta:
            block = self.block(ThinkingPart, index)
            block.pieces.append(chunk.reasoning_delta)
            block.add_facts(chunk)
        if chunk.delta:
            block = self.block(TextPart, index)
            block.pieces.append(chunk.delta)
            if not chunk.reasoning_delta:
                block.add_facts(chunk)
        elif not chunk.reasoning_delta and _has_block_facts(chunk):
            text = None if index is None else self._numbered.get((index, TextPart))
            (text or self.block(ThinkingPart, index)).add_facts(chunk)
        for delta in chunk.tool_calls:
            self.calls.add(delta, index)
        if chunk.parts:
            self.blocks.extend(chunk.parts)
            self._open.clear()
        self.add_facts(chunk)

    def add_facts(self, chunk: StreamChunk) -> None:
        if chunk.refusal_delta:
            self.refusal.append(chunk.refusal_delta)
        if chunk.finish_reason is not None:
            self.finish = chunk.finish_reason
        if chunk.raw_finish_reason is not None:
            self.raw_finish = chunk.raw_finish_reason
        if chunk.usage is not None:
            self.usage = self.usage.merged(chunk.usage)
        if chunk.model_id is not None:
            self.model_id = chunk.model_id
        if chunk.response_id is not None:
            self.response_id = chunk.response_id
        if chunk.logprobs is not None:
            self.logprobs.append(chunk.logprobs)
        if chunk.metadata:
            self.metadata.update(chunk.metadata)

    def message(self, alternatives: tuple[AIMessage, ...] = ()) -> AIMessage:
        return AIMessage(
            tuple(b.part() if isinstance(b, _Block) else b for b in self.blocks),
            tool_calls=self.calls.calls(),
            usage=self.usage,
            finish_reason=self.finish,
            raw_finish_reason=self.raw_finish,
            refusal=mend_surrogates("".join(self.refusal)),
            model_id=self.model_id,
            response_id=self.response_id,
            provider_metadata=self.metadata,
            alternatives=alternatives,
            logprobs=_joined(self.logprobs),
        )


def _has_block_facts(chunk: StreamChunk) -> bool:
    return (
        chunk.signature is not None or chunk.redacted_data is not None or chunk.item_id is not None
    )


def _joined(values: list[Any]) -> Any:
    """Log-probabilities in one: lists grow, mappings key by key, of all else the last counts."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    if all(isinstance(value, list) for value in values):
        return [item for value in values for item in value]
    if all(isinstance(value, dict) for value in values):
        keys = dict.fromkeys(key for value in values for key in value)
        return {key: _joined([value.get(key) for value in values]) for key in keys}
    return values[-1]

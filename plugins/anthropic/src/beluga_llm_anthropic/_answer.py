"""The usual whole answer, as strict types: one text, and nothing that has no field here.

What holds anything else is refused, and read by the decoder. Both ways give the same message; a
property in tests/test_typed.py holds them against each other.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from beluga_llm import FinishReason, StreamChunk, Usage
from beluga_llm.plugin import REFUSED, loads, strict
from beluga_llm_anthropic._finish import finish_reason
from beluga_llm_anthropic._usage import UsageCounter, usage_extras
from beluga_llm_anthropic._wire import Strict, as_object

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _TextBlock(Strict, tag="text"):
    text: _Text
    citations: None = None


class _Answer(Strict, tag="message"):
    content: tuple[_TextBlock]
    stop_reason: _Text
    id: str | None = None
    role: str | None = None
    model: str | None = None
    stop_sequence: str | None = None
    stop_details: None = None
    container: None = None
    usage: msgspec.Raw = msgspec.Raw()


class _Counts(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: dict[str, int] | None = None
    server_tool_use: None = None
    service_tier: str | None = None
    inference_geo: str | None = None


_read = strict(_Answer)
_count = strict(_Counts)
_EXTRAS = ("cache_creation", "service_tier", "inference_geo")


def read_answer(data: bytes, asked: str | None) -> StreamChunk | None:
    """A whole answer as one chunk; None if it is refused.

    Args:
        data: the body.
        asked: the model's id, where the answer names none.
    """
    try:
        answer = _read(data)
        usage, metadata = _read_usage(bytes(answer.usage))
    except REFUSED:
        return None
    if answer.stop_sequence is not None:
        metadata["stop_sequence"] = answer.stop_sequence
    reason: FinishReason = finish_reason(answer.stop_reason)
    return StreamChunk(
        answer.content[0].text,
        part_index=0,
        finish_reason=reason,
        raw_finish_reason=answer.stop_reason,
        usage=usage,
        model_id=answer.model or asked,
        response_id=answer.id or None,
        metadata=metadata,
    )


def _read_usage(data: bytes) -> tuple[Usage | None, dict[str, Any]]:
    """The tokens of a report, and what it says besides; one that holds more is read patiently."""
    if not data:
        return None, {}
    try:
        counts = _count(data)
    except REFUSED:
        report = as_object(loads(data))
        return UsageCounter().add(report), usage_extras(report)
    fresh, spent = counts.input_tokens, counts.output_tokens
    read, written = counts.cache_read_input_tokens, counts.cache_creation_input_tokens
    extras = {name: value for name in _EXTRAS if (value := getattr(counts, name)) is not None}
    if fresh is None and spent is None and read is None and written is None:
        return None, extras
    if fresh is not None:
        fresh += (read or 0) + (written or 0)
    return Usage(fresh, spent, cached_tokens=read, cache_write_tokens=written), extras

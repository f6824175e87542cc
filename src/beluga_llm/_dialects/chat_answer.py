"""The usual whole answer of a chat-completions API, as strict types: one choice, only text.

What holds anything else is refused, and read as plain JSON. Both ways give the same chunks; a test
holds them against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from beluga_llm._chunks import StreamChunk
from beluga_llm._dialects.chat_reading import finish_reason, read_usage, usage_extras
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._json import REFUSED, strict

_Nothing: TypeAlias = Annotated[list[Any], msgspec.Meta(max_length=0)] | None


class _Strict(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A part of an answer that holds nothing but these fields."""


class _Message(_Strict):
    content: str
    role: str | None = None
    refusal: None = None
    annotations: _Nothing = None
    tool_calls: _Nothing = None
    function_call: None = None
    reasoning_content: None = None
    reasoning: None = None
    audio: None = None


class _Choice(_Strict):
    message: _Message
    finish_reason: str
    index: Literal[0] = 0
    logprobs: None = None


class _Answer(_Strict):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1, max_length=1)]
    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    provider: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    usage: dict[str, Any] | None = None
    error: None = None


_read = strict(_Answer)


def read_answer(data: bytes, quirks: ChatQuirks) -> Sequence[StreamChunk] | None:
    """The chunks of a whole answer, the last of which tells its model; None if it is refused."""
    try:
        answer = _read(data)
    except REFUSED:
        return None
    choice = answer.choices[0]
    text, word = choice.message.content, choice.finish_reason
    if not text or not word or answer.object == "error":
        return None
    facts = {
        "created": answer.created,
        "provider": answer.provider,
        "service_tier": answer.service_tier,
        "system_fingerprint": answer.system_fingerprint,
    }
    extras: dict[str, Any] = {key: fact for key, fact in facts.items() if fact not in (None, "")}
    usage = None
    if answer.usage and "usage" in quirks.usage_path:
        usage = read_usage(answer.usage)
        extras.update({} if usage is None else usage_extras(answer.usage))
    reason = finish_reason(word, quirks.finish_reasons)
    return (
        StreamChunk(text),
        StreamChunk(finish_reason=reason, raw_finish_reason=word),
        StreamChunk(
            usage=usage,
            model_id=answer.model or None,
            response_id=answer.id or None,
            metadata=extras,
        ),
    )

"""The usual whole answer of a chat-completions API, as strict types: one choice, only text.

What holds anything else is refused, and read as plain JSON. Both ways give the same message; a test
holds them against each other.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from beluga_llm._chunks import StreamChunk
from beluga_llm._dialects.chat_frame import Facts, Strict
from beluga_llm._dialects.chat_reading import (
    finish_reason,
    read_usage,
    usage_extras,
    with_reasoning,
)
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._frozen import EMPTY, FrozenDict, freeze
from beluga_llm._json import REFUSED, JsonError, loads, strict
from beluga_llm._usage import NO_USAGE, Usage

_Nothing: TypeAlias = Annotated[list[Any], msgspec.Meta(max_length=0)] | None


class _Message(Strict):
    content: str
    role: str | None = None
    refusal: None = None
    annotations: _Nothing = None
    tool_calls: _Nothing = None
    function_call: None = None
    reasoning_content: None = None
    reasoning: None = None
    audio: None = None


class _Choice(Strict):
    message: _Message
    finish_reason: str
    index: Literal[0] = 0
    logprobs: None = None


class _Answer(Facts):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1, max_length=1)]
    usage: msgspec.Raw = msgspec.Raw()
    error: None = None


class _Details(msgspec.Struct, gc=False):
    """Parts of a count; there may be others."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


_NO_DETAILS = _Details()


class _Usage(Strict):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


_read = strict(_Answer)
_count = strict(_Usage)


def read_answer(data: bytes, quirks: ChatQuirks, asked: str | None) -> StreamChunk | None:
    """A whole answer as one chunk; None if it is refused.

    Args:
        data: the body.
        quirks: how the server differs.
        asked: the model's id, where the server names none.
    """
    try:
        answer = _read(data)
    except REFUSED:
        return None
    choice = answer.choices[0]
    text, word = choice.message.content, choice.finish_reason
    if not text or not word or answer.object == "error":
        return None
    extras = answer.extras()
    usage = None
    if "usage" in quirks.usage_path and (counts := bytes(answer.usage)):
        usage = read_tokens(counts)
        if usage is None:
            try:
                found = loads(counts)
            except JsonError:  # a part that is not looked at may be no text
                return None
            if not isinstance(found, dict):
                return None
            usage = read_usage(found)
            extras.update({} if usage is None else freeze(usage_extras(found)))
    return StreamChunk(
        text,
        finish_reason=finish_reason(word, quirks.finish_reasons),
        raw_finish_reason=word,
        usage=usage,
        model_id=answer.model or asked,
        response_id=answer.id or None,
        metadata=FrozenDict(extras) if extras else EMPTY,
    )


def read_tokens(data: bytes) -> Usage | None:
    """What `read_usage` makes of counts; None where they hold nothing, or more than the usual."""
    try:
        usage = _count(data)
    except REFUSED:
        return None
    taken = usage.prompt_tokens_details or _NO_DETAILS
    spent = usage.completion_tokens_details or _NO_DETAILS
    found = Usage(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        taken.cached_tokens,
        taken.cache_write_tokens,
        spent.reasoning_tokens,
        taken.audio_tokens,
        spent.audio_tokens,
    )
    return None if found == NO_USAGE else with_reasoning(found)

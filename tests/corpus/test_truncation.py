"""A cut stream is never taken for a complete answer: recorded streams, cut everywhere.

Streams up to 16 KB are cut at every byte; longer ones at every frame border and two bytes to each
side, and at 500 random bytes; above 128 KB at an eighth of these.
"""

from __future__ import annotations

import random

import pytest
from support.corpus import Case, corpus_cases, decode_bytes

from beluga_llm import AIMessage, StreamInterruptedError, replace
from beluga_llm.plugin import Dialect, OpenAIChatDialect, OpenAIResponsesDialect

SMALL, LARGE = 16_384, 131_072


def offsets(body: bytes, seed: int = 7) -> list[int]:
    """Where a stream is cut."""
    if len(body) <= SMALL:
        return list(range(len(body)))
    borders = [at for at in range(len(body)) if body.startswith(b"\n\n", at)]
    step = 1 if len(body) <= LARGE else 8  # each cut reads all that stands before it
    near = {at + shift for at in borders[::step] for shift in range(-2, 5)}
    chance = random.Random(seed).sample(range(len(body)), 500 // step)
    return sorted(at for at in near | set(chance) if 0 <= at < len(body))


def same_answer(got: AIMessage, whole: AIMessage) -> bool:
    """Equal but for what comes after the evidence: usage, metadata, and facts of the end."""
    late = {"usage": whole.usage, "provider_metadata": whole.provider_metadata}
    return replace(got, **late) == whole


def is_prefix(part: AIMessage | None, whole: AIMessage) -> bool:
    """Whether a partial answer is the beginning of the whole one."""
    if part is None:
        return True
    calls = list(zip(part.tool_calls, whole.tool_calls, strict=False))
    return (
        whole.text.startswith(part.text)
        and whole.thinking.startswith(part.thinking)
        and len(part.tool_calls) <= len(whole.tool_calls)
        and all(
            full.name.startswith(some.name)
            and (some.arguments == "{}" or full.arguments.startswith(some.arguments))
            for some, full in calls
        )
    )


def check(dialect: Dialect, case: Case) -> None:
    if case.exotic or case.expect["error"] or case.status != 200:
        pytest.skip("the recorded answer is no plain success")
    if "tool_index_reused" in case.features:
        pytest.skip("the recording holds two answers, of which the first is complete by itself")
    body = case.body
    facts = {"model": case.model, "headers": case.headers}
    whole = decode_bytes(dialect, body, **facts)
    assert isinstance(whole, AIMessage)
    for at in offsets(body):
        got = decode_bytes(dialect, body[:at], **facts)
        if isinstance(got, AIMessage):
            assert same_answer(got, whole), at
        else:
            assert isinstance(got, StreamInterruptedError)
            assert got.partial is not None
            assert is_prefix(got.partial, whole), at


@pytest.mark.timeout(400)
@pytest.mark.row("PAIN-02", "NONE-02", "STRE-09", "STRE-31")
@pytest.mark.parametrize("case", corpus_cases("chat_completions", stream=True))
def test_chat_completions(case: Case) -> None:
    check(OpenAIChatDialect(case.provider), case)


@pytest.mark.timeout(400)
@pytest.mark.row("PAIN-02", "NONE-02", "STRE-09", "STRE-31")
@pytest.mark.parametrize("case", corpus_cases("responses", stream=True))
def test_responses(case: Case) -> None:
    check(OpenAIResponsesDialect(case.provider), case)

"""Guards: nothing passes in which something is found."""

from __future__ import annotations

from typing import Any

import pytest
from support.flaky import Flaky, answer, text

import beluga_llm as llm
from beluga_llm import with_guard
from beluga_llm.testing import VirtualClock


def no_word(messages: Any) -> str | None:
    return "the word" if "word" in messages[-1].text else None


async def no_secret(message: llm.AIMessage) -> str | None:
    return "a secret" if "secret" in message.text else None


def raising(value: Any) -> None:
    raise ValueError("raised")


async def ask(model: llm.ChatModel, prompt: str, streaming: bool) -> llm.AIMessage:
    return await (model.stream(prompt).response() if streaming else model.generate(prompt))


both = pytest.mark.parametrize("streaming", [False, True])


@pytest.mark.row("MIDD-15")
@both
async def test_input_is_checked_before_the_model_is_asked(streaming: bool):
    inner = Flaky(answer("fine"))
    model = inner.with_middleware(with_guard(input=no_word))
    assert (await ask(model, "hi", streaming)).text == "fine"
    with pytest.raises(llm.GuardBlockedError) as caught:
        await ask(model, "a word", streaming)
    assert (caught.value.message, caught.value.code) == ("input blocked: the word", "guard_blocked")
    assert not caught.value.retryable
    assert len(inner.requests) == 1


@pytest.mark.row("MIDD-15")
@both
async def test_output_is_held_back_until_it_was_checked(streaming: bool):
    model = Flaky(answer("fi", "ne")).with_middleware(with_guard(output=no_secret))
    assert (await ask(model, "hi", streaming)).text == "fine"
    model = Flaky(answer("sec", "ret")).with_middleware(with_guard(output=[no_secret]))
    shown = []
    with pytest.raises(llm.GuardBlockedError, match="output blocked: a secret"):
        async for chunk in model.stream("hi"):
            shown.append(chunk)  # noqa: PERF401 -- what came before the error is wanted
    assert shown == []


@pytest.mark.row("MIDD-15")
async def test_a_reason_may_be_raised():
    model = Flaky(answer("a")).with_middleware(with_guard([no_word, raising]))
    with pytest.raises(llm.GuardBlockedError, match="input blocked: raised") as caught:
        await model.generate("hi")
    assert isinstance(caught.value.__cause__, ValueError)
    own = llm.GuardBlockedError("mine")

    def guard(value: Any) -> None:
        raise own

    model = Flaky(answer("a")).with_middleware(with_guard(output=guard))
    with pytest.raises(llm.GuardBlockedError) as caught:
        await model.generate("hi")
    assert caught.value is own
    assert repr(with_guard([no_word], no_secret)) == "with_guard(1 for input, 1 for output)"


@pytest.mark.row("MIDD-15", "STRE-28")
async def test_what_was_taken_back_before_the_check_is_not_shown():
    gone = llm.StreamInterruptedError("gone", content_started=True)
    model = Flaky([*text("sec", "ret"), gone], answer("fine")).with_middleware(
        with_guard(output=no_secret),
        llm.with_retry(clock=VirtualClock(auto=True), mid_stream="restart"),
    )
    assert "".join([chunk.delta async for chunk in model.stream("hi")]) == "fine"

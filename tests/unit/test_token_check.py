"""Conversations that are too long are refused before they are sent."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from beluga_llm import (
    ConfigError,
    ContextLengthError,
    DelegatingChatModel,
    FailoverRouter,
    TokenCheck,
    TokenLimitError,
    check_tokens,
    with_fallback,
    with_retry,
    with_token_check,
)
from beluga_llm.testing import MockChatModel

LONG = "x" * 4 * 8996  # 9000 tokens with the message itself


@pytest.mark.row("TOKE-08")
def test_a_check() -> None:
    assert check_tokens(LONG, "gpt-4") == TokenCheck(9000, 8192, None, 0, True, True)
    assert check_tokens("hi", "gpt-4", 100) == TokenCheck(5, 8192, 100, 8187, False, False)
    assert check_tokens("hi", "gpt-4", 8190) == TokenCheck(5, 8192, 8190, 8187, False, True)
    assert check_tokens(LONG, "x/y", 7) == TokenCheck(9000, None, 7, None, False, False)
    model = MockChatModel().with_options(max_tokens=7).bind_tools([{"name": "t"}])
    found = check_tokens("hi", model, windows={"mock": 10})
    assert (found.max_output, found.estimated > 5) == (7, True)
    around = DelegatingChatModel(model)
    assert check_tokens("hi", around, windows={"mock": 10}) == found
    around = around.with_options(max_tokens=9)
    assert check_tokens("hi", around).max_output == 9
    assert check_tokens("hi", FailoverRouter(model, model)).max_output is None


async def ask(asked: Any, way: str, **keywords: Any) -> None:
    if way == "generate":
        await asked.generate(LONG, **keywords)
        return
    async with asked.stream(LONG, **keywords) as stream:
        async for _ in stream:
            pass


@pytest.mark.row("TOKE-09", "TOKE-10", "MIDD-28")
@pytest.mark.parametrize("way", ["generate", "stream"])
async def test_what_does_not_fit_is_not_sent(way: str) -> None:
    inner = MockChatModel(responses=["a"] * 4)
    layers = (with_token_check(), with_fallback(inner), with_retry())
    model = inner.with_middleware(*layers)
    text = r"estimated tokens \(9000\) exceed context window \(8192\) for model gpt-4$"
    with pytest.raises(TokenLimitError, match=text) as caught:
        await ask(model, way, model="gpt-4")
    error = caught.value
    assert isinstance(error, ContextLengthError)
    assert error.message.endswith("for model gpt-4")
    assert (error.estimated, error.window, error.available) == (9000, 8192, 0)
    assert (error.model, error.model_id) == ("gpt-4", "gpt-4")
    assert inner.calls == []
    await ask(model, way, model="gpt-4o")
    await ask(model, way)  # of a model whose window is not known nothing is refused
    assert len(inner.calls) == 2


@pytest.mark.row("TOKE-09")
async def test_together_with_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    inner = MockChatModel(responses=["a"] * 4)
    with caplog.at_level(logging.WARNING, "beluga_llm.tokens"):
        model = inner.with_middleware(with_token_check(9500))
        await model.generate(LONG, max_tokens=500)
        assert caplog.text == ""
        await model.generate(LONG, max_tokens=501)
    text = "estimated tokens (9000) with 501 for the output exceed context window (9500)"
    assert text in caplog.text
    strict = inner.with_middleware(with_token_check(9500, output="error"))
    with pytest.raises(TokenLimitError, match="with 501 for the output exceed") as caught:
        await strict.generate(LONG, max_tokens=501)
    assert caught.value.available == 500
    assert len(inner.calls) == 2


@pytest.mark.row("TOKE-07", "TOKE-09")
async def test_of_several_models_one_must_take_it() -> None:
    small, smaller, large = (
        MockChatModel(model=f"m{size}", responses=["a"], capabilities={"context_window": size})
        for size in (8_000, 7_000, 20_000)
    )
    unknown = MockChatModel(responses=["a"])

    def checked(*models: MockChatModel) -> Any:
        return FailoverRouter(*models).with_middleware(with_token_check())

    with pytest.raises(TokenLimitError, match=r"window \(8000\)"):
        await checked(small, smaller).generate(LONG)
    assert (await checked(small, large).generate(LONG)).text == "a"
    assert (await checked(smaller, unknown).generate(LONG)).text == "a"


@pytest.mark.row("MIDD-28")
def test_the_settings_of_the_layer() -> None:
    for wrong in (0, True, "8192", 1.5, [8192]):
        with pytest.raises(ConfigError, match="window must be at least 1, got"):
            with_token_check(wrong)  # type: ignore[arg-type]  # the point
    with pytest.raises(ConfigError, match="output must be 'warn' or 'error', got 'x'"):
        with_token_check(output="x")  # type: ignore[arg-type]  # the point
    assert repr(with_token_check(5)) == "with_token_check(window=5, output='warn')"

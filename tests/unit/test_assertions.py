"""The assertions of the testing kit: what passes, and what is said of what does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm import FinishReason, StreamChunk, Usage
from beluga_llm.plugin import ToolCallDelta
from beluga_llm.testing import (
    MockChatModel,
    assert_chunks_valid,
    assert_error,
    assert_health,
    assert_registered,
    assert_stream_ok,
)

END = StreamChunk(finish_reason=FinishReason.STOP)


@pytest.mark.row("TEST-23")
def test_chunks_that_end_are_an_answer() -> None:
    message = assert_chunks_valid([StreamChunk("Hel"), StreamChunk("lo", usage=Usage(1, 2)), END])
    assert (message.text, message.usage.total_tokens) == ("Hello", 3)


@pytest.mark.row("TEST-23")
def test_what_follows_a_reset_counts_anew() -> None:
    again = StreamChunk("Hello", reset=True)
    assert assert_chunks_valid([StreamChunk("Hi"), END, again, END]).text == "Hello"


def test_choices_end_one_by_one() -> None:
    other = StreamChunk("two", choice=1)
    assert assert_chunks_valid([StreamChunk("one"), END, other]).text == "one"


@pytest.mark.row("TEST-23")
@pytest.mark.parametrize(
    ("chunks", "problem"),
    [
        ([], "there is no finish reason"),
        ([StreamChunk("Hello")], "there is no finish reason"),
        ([END, StreamChunk("Hello")], "chunk 1 has content after the finish reason"),
        ([END, END], "chunk 1 finishes what was finished"),
        ([END, "Hello"], "chunk 1 is a str"),
        ([StreamChunk(tool_calls=(ToolCallDelta(-1),)), END], "a tool call with the index -1"),
        ([StreamChunk(signature="s"), END], "has a signature, or redacted data, and does not say"),
        ([StreamChunk(redacted_data="s"), END], "does not say whose"),
        ([StreamChunk(usage=Usage(-1, 2)), END], "has a usage with input_tokens=-1"),
    ],
)
def test_what_is_wrong_with_chunks_is_said(chunks: Sequence[StreamChunk], problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        assert_chunks_valid(chunks)


@pytest.mark.row("TEST-23")
async def test_a_stream_that_ends_well_is_ok() -> None:
    stream = MockChatModel(["Hello"]).stream("hi")
    assert (await assert_stream_ok(stream)).text == "Hello"
    assert stream.state == "complete"


async def test_the_error_of_a_stream_passes() -> None:
    with pytest.raises(llm.RateLimitError):
        await assert_stream_ok(MockChatModel([llm.RateLimitError("slow down")]).stream("hi"))


class Lying(llm.ChatStream):
    """A stream that says something else than its chunks."""

    state = "complete"  # type: ignore[assignment]  # read only

    async def __anext__(self) -> StreamChunk:
        if self._iterated and not self._closing:
            self._closing = True
            return END
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Nothing to close."""


class Endless(Lying):
    """A stream whose state is wrong."""

    state = "open"


@pytest.mark.parametrize(
    ("kind", "problem"), [(Lying, "its chunks say"), (Endless, "its state is 'open'")]
)
async def test_a_stream_that_lies_is_caught(kind: type[Lying], problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        await assert_stream_ok(kind(lambda call: nothing(), MockChatModel([]).stream("x")._call))


async def nothing() -> AsyncGenerator[StreamChunk, None]:
    return
    yield


@pytest.mark.row("TEST-23")
def test_an_error_of_that_code_is_expected() -> None:
    with assert_error("rate_limit", retry_after=7.0) as caught:
        raise llm.RateLimitError("slow down", retry_after=7.0)
    assert caught.error.message == "slow down"


@pytest.mark.row("TEST-23")
@pytest.mark.parametrize(
    ("raised", "problem"),
    [
        (llm.AuthenticationError("no"), "code is 'auth_error', not 'rate_limit'"),
        (llm.RateLimitError("no"), "retry_after is None, not 7.0"),
        (KeyError("no"), r"KeyError\('no'\) was raised, where an error 'rate_limit' should be"),
    ],
)
def test_another_error_is_none(raised: Exception, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem), assert_error("rate_limit", retry_after=7.0):
        raise raised


def test_no_error_is_none() -> None:
    with pytest.raises(AssertionError, match="nothing was raised"), assert_error("rate_limit"):
        pass


def test_a_cancellation_is_no_error() -> None:
    with pytest.raises(asyncio.CancelledError), assert_error("rate_limit"):
        raise asyncio.CancelledError


@pytest.mark.row("TEST-07")
def test_what_a_distribution_provides_is_registered() -> None:
    info = assert_registered("mock")
    assert (info.distribution, info.source, info.status) == ("beluga-llm", "entry_point", "ok")


@pytest.mark.row("TEST-07")
def test_what_a_program_registered_is_not(beluga_registry: llm.Registry) -> None:
    beluga_registry.register("kit-mine", lambda config: MockChatModel(["Hello"]))
    with pytest.raises(AssertionError, match="provider 'kit-mine' is not registered: unknown"):
        assert_registered("kit-mine")


def health(**facts: Any) -> llm.Health:
    usual = {
        "state": llm.HealthState.HEALTHY, "provider": "acme", "model": "m",
        "timestamp": time.time(), "api_key_set": True, "tools_count": 0,
    }  # fmt: skip
    return llm.Health(**{**usual, **facts})


@pytest.mark.row("TEST-23")
def test_a_state_of_health_is_expected() -> None:
    assert_health(health(), provider="acme", latency=None)
    assert_health(
        health(state=llm.HealthState.DEGRADED, detail="rate_limit", latency=0.1), "degraded"
    )


@pytest.mark.row("TEST-23")
@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (health(state=llm.HealthState.UNHEALTHY, detail="auth_error"), "not 'healthy'"),
        (health(detail="but"), "detail must say why"),
        (health(timestamp=time.time() * 1000), "timestamp must be now"),
        (health(latency=-1.0), "latency must be in seconds"),
        (health(api_key_set="test-key"), "api_key_set must be a bool"),
        (health(provider="other"), "provider is 'other', not 'acme'"),
        (True, "True is no Health"),
    ],
)
def test_what_is_wrong_with_a_health_is_said(found: Any, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        assert_health(found, provider="acme")

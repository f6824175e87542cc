"""Retries: what is repeated, after how long, and what the consumer sees of it."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import sys
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.flaky import Flaky, answer, text

import beluga_llm as llm
from beluga_llm import RetryPolicy, StreamChunk, ToolCallDelta, Usage, with_retry
from beluga_llm._events import Event
from beluga_llm.testing import MockChatModel, VirtualClock

BUSY = llm.OverloadedError("busy")


def slow(seconds: float) -> llm.RateLimitError:
    return llm.RateLimitError("slow down", retry_after=seconds)


def lost(after: str = "") -> llm.StreamInterruptedError:
    return llm.StreamInterruptedError("gone", content_started=bool(after))


def retrying(model: llm.ChatModel, **settings: Any) -> tuple[llm.ChatModel, VirtualClock]:
    clock = VirtualClock(auto=True)
    settings = {"jitter": 0, **settings}
    return model.with_middleware(with_retry(clock=clock, **settings)), clock


async def seen(model: llm.ChatModel, **options: Any) -> list[StreamChunk]:
    async with model.stream("hi", **options) as stream:
        return [chunk async for chunk in stream]


# --- the policy ----------------------------------------------------------------------------------


@pytest.mark.row("RETR-01", "CONF-07")
def test_the_policy_has_the_documented_defaults_and_ranges():
    policy = RetryPolicy()
    assert (policy.max_attempts, policy.initial, policy.max, policy.factor) == (3, 0.5, 30.0, 2.0)
    assert (policy.jitter, policy.max_elapsed, policy.max_retry_after) == (0.25, None, 60.0)
    assert policy.retry_on is None
    with pytest.raises(llm.ConfigError) as caught:
        with_retry(
            max_attempts=0, initial=-1, factor=0.5, jitter=2, max="x", max_retry_after=True,
            max_elapsed=-1, retry_on=5,
        )  # fmt: skip
    for name in (
        "max_attempts", "initial", "factor", "jitter", "max ", "max_retry_after", "max_elapsed",
        "retry_on",
    ):  # fmt: skip
        assert name in caught.value.message
    for wrong in (101, 1.0, True):
        with pytest.raises(llm.ConfigError, match="max_attempts must be an integer from 1 to 100"):
            RetryPolicy(max_attempts=wrong)
    with pytest.raises(llm.ConfigError, match="retry_on must be"):
        RetryPolicy(retry_on=[5])  # type: ignore[list-item]  # the mistake under test
    with pytest.raises(llm.ConfigError, match=r"unknown settings: attempts \(known: max_attempts"):
        with_retry(attempts=3)
    with pytest.raises(llm.ConfigError, match="mid_stream must be one of 'raise', 'restart'"):
        with_retry(mid_stream="again")  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.row("MIDD-28")
def test_keywords_go_over_a_policy():
    layer = with_retry(RetryPolicy(max_attempts=7, initial=2), initial=1)
    assert (layer.policy.max_attempts, layer.policy.initial) == (7, 1)
    assert "max_attempts=7" in repr(layer)


@pytest.mark.row("RETR-01", "RETR-02")
@given(
    st.integers(1, 2000),
    st.floats(0, 10),
    st.floats(1, 10),
    st.floats(0, 1),
    st.integers(),
)
def test_waits_grow_to_their_limit_and_are_spread(
    attempt: int, initial: float, factor: float, jitter: float, seed: int
):
    policy = RetryPolicy(initial=initial, factor=factor, jitter=jitter, max=20)
    try:
        grown = initial * factor ** (attempt - 1)
    except OverflowError:
        grown = math.inf
    wait = policy.wait(attempt, random.Random(seed))
    if initial == 0 and math.isinf(factor**1 if attempt == 1 else grown):
        return
    usual = min(20.0, grown) if not math.isnan(grown) else 0.0
    assert usual * (1 - jitter) - 1e-9 <= wait <= usual * (1 + jitter) + 1e-9


@pytest.mark.row("RETR-01", "RATE-16")
async def test_waits_double_by_default():
    model, clock = retrying(Flaky([BUSY], [BUSY], [BUSY], answer("ok")), max_attempts=4)
    assert (await model.generate("hi")).text == "ok"
    assert clock.sleeps == [0.5, 1.0, 2.0]


# --- what is retried -----------------------------------------------------------------------------


@pytest.mark.row("RETR-03", "RETR-11")
@pytest.mark.parametrize("streaming", [False, True])
async def test_attempts_are_the_configured_number(streaming: bool):
    inner = Flaky([BUSY])
    model, _ = retrying(inner, max_attempts=5)
    with pytest.raises(llm.OverloadedError) as caught:
        await (model.stream("hi").response() if streaming else model.generate("hi"))
    assert len(inner.requests) == 5
    assert caught.value.attempts == 5
    assert inner.open == 0
    model, _ = retrying(inner, max_attempts=1)
    with pytest.raises(llm.OverloadedError) as caught:
        await model.generate("hi")
    assert len(inner.requests) == 6


@pytest.mark.row("RETR-03")
@pytest.mark.parametrize(
    "error",
    [
        llm.AuthenticationError("no"),
        llm.InvalidRequestError("no"),
        llm.QuotaExceededError("no"),
        llm.CircuitOpenError("open"),
        llm.AllModelsFailedError("all", code="overloaded", retryable=True),
        KeyError("no"),
    ],
)
async def test_other_errors_are_raised_at_once(error: Exception):
    inner = Flaky([error])
    model, clock = retrying(inner)
    with pytest.raises(type(error)):
        await model.generate("hi")
    assert (len(inner.requests), clock.sleeps) == (1, [])


@pytest.mark.row("RETR-03")
@pytest.mark.parametrize(
    "rule",
    [
        llm.AuthenticationError,
        "auth_error",
        ["timeout", llm.AuthenticationError],
        ("auth_error", KeyError),
        lambda error: isinstance(error, llm.AuthenticationError),
    ],
)
async def test_a_rule_of_ones_own_replaces_the_usual_one(rule: Any):
    model, _ = retrying(Flaky([llm.AuthenticationError("no")], answer("ok")), retry_on=rule)
    assert (await model.generate("hi")).text == "ok"
    model, clock = retrying(Flaky([BUSY], answer("ok")), retry_on=rule)
    with pytest.raises(llm.OverloadedError):
        await model.generate("hi")
    assert clock.sleeps == []


@pytest.mark.row("RETR-10", "RETR-12")
async def test_every_attempt_asks_the_same():
    inner = Flaky([BUSY], [BUSY], answer("ok"))
    model, _ = retrying(inner)
    await model.generate("hi", temperature=0.5)
    first, *others = inner.requests
    assert all(request == first for request in others)


@pytest.mark.row("RETR-08", "ERRO-20")
async def test_cancelling_a_wait_ends_it_at_once():
    clock = VirtualClock()
    inner = Flaky([BUSY], answer("ok"))
    model = inner.with_middleware(with_retry(clock=clock))
    task = asyncio.create_task(model.generate("hi"))
    await clock.sleeping()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(inner.requests) == 1


# --- how long it waits ---------------------------------------------------------------------------


@pytest.mark.row("RETR-06")
async def test_the_provider_says_how_long():
    model, clock = retrying(
        Flaky([slow(7)], [slow(0.25)], [slow(-1)], answer("ok")), jitter=1, max_attempts=4
    )
    await model.generate("hi")
    assert clock.sleeps == [7, 0.25, 0.0]


@pytest.mark.row("RETR-06")
async def test_a_provider_that_asks_for_too_much_is_not_waited_for():
    model, clock = retrying(Flaky([slow(61)], answer("ok")))
    with pytest.raises(llm.RateLimitError) as caught:
        await model.generate("hi")
    assert caught.value.retry_after == 61
    assert "more than max_retry_after (60 s)" in caught.value.__notes__[0]
    assert clock.sleeps == []
    model, clock = retrying(Flaky([slow(61)], answer("ok")), max_retry_after=None)
    assert (await model.generate("hi")).text == "ok"


@pytest.mark.row("RETR-07", "CHAT-10")
async def test_a_wait_beyond_the_timeout_is_not_begun():
    model, clock = retrying(Flaky([slow(12)]))
    with pytest.raises(llm.RateLimitError) as caught:
        await model.generate("hi", timeout=3.2)
    (note,) = caught.value.__notes__
    assert note == "not retried: 12.0 s wait exceeds the deadline in 3.2 s"
    assert clock.sleeps == []


@pytest.mark.row("RETR-07", "NONE-09")
async def test_a_wait_beyond_an_anyio_scope_is_not_begun():
    model, clock = retrying(Flaky([slow(12)]))
    with anyio.fail_after(5), pytest.raises(llm.RateLimitError) as caught:
        await model.generate("hi")
    assert "not retried: 12.0 s wait exceeds the deadline in 5.0 s" in caught.value.__notes__
    assert clock.sleeps == []


@pytest.mark.row("RETR-07")
async def test_a_wait_beyond_max_elapsed_is_not_begun():
    model, clock = retrying(Flaky([BUSY]), max_elapsed=2, max_attempts=10)
    with pytest.raises(llm.OverloadedError) as caught:
        await model.generate("hi")
    assert clock.sleeps == [0.5, 1.0]
    assert caught.value.__notes__ == ["not retried: 2.0 s wait exceeds the deadline in 0.5 s"]


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.row("RETR-09", "ROUT-16")
async def test_what_has_no_content_is_withheld_until_content_comes():
    head = StreamChunk(model_id="first")
    model, _ = retrying(Flaky([head, lost()], answer("a", "b")))
    chunks = await seen(model)
    assert chunks == answer("a", "b")


@pytest.mark.row("RETR-09", "STRE-28")
async def test_nothing_is_repeated_once_content_was_shown():
    inner = Flaky([*text("a"), lost("a")], answer("b"))
    model, _ = retrying(inner)
    async with model.stream("hi") as stream:
        with pytest.raises(llm.StreamInterruptedError) as caught:
            async for _ in stream:
                pass
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a"
    assert len(inner.requests) == 1


@pytest.mark.row("RETR-09")
async def test_a_whole_answer_may_be_repeated_at_any_point():
    inner = Flaky([*text("a", "b"), lost("a")], answer("c"))
    model, _ = retrying(inner)
    assert (await model.generate("hi")).text == "c"


async def test_an_answer_without_content_is_passed_on():
    model, _ = retrying(Flaky([StreamChunk(finish_reason=llm.FinishReason.STOP)]))
    assert [chunk.finish_reason for chunk in await seen(model)] == ["stop", None]
    assert (await model.generate("hi")).text == ""


@pytest.mark.row("STRE-28", "NONE-06")
async def test_restart_tells_the_consumer_to_discard():
    inner = Flaky(
        [*text("a"), StreamChunk(usage=Usage(5, 6)), lost("a")], [lost()], answer("b", tokens=2)
    )
    model, clock = retrying(inner, mid_stream="restart")
    async with model.stream("hi") as stream:
        chunks = [chunk async for chunk in stream]
    resets = [place for place, chunk in enumerate(chunks) if chunk.reset]
    assert resets == [2]
    assert stream.message.text == "b"
    assert stream.message.usage == Usage(2, 2, 4)
    assert stream.message.provider_metadata["mid_stream"] == {
        "policy": "restart",
        "attempts": [
            {
                "model_id": None,
                "error": "stream_interrupted",
                "usage": {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11},
            }
        ],
    }
    assert len(clock.sleeps) == 2


@pytest.mark.row("STRE-28")
async def test_restarts_are_as_many_as_retries():
    inner = Flaky([*text("a"), lost("a")])
    model, _ = retrying(inner, mid_stream="restart", max_attempts=3)
    async with model.stream("hi") as stream:
        with pytest.raises(llm.StreamInterruptedError):
            async for _ in stream:
                pass
    assert len(inner.requests) == 3


@pytest.mark.row("STRE-28")
async def test_text_that_was_shown_is_not_restarted_behind_the_readers_back():
    model, _ = retrying(Flaky([*text("a"), lost("a")], answer("b")), mid_stream="restart")
    got = []
    with pytest.raises(llm.StreamInterruptedError, match="begun anew"):
        async for piece in model.stream("hi").text():
            got.append(piece)  # noqa: PERF401 -- what came before the error is wanted
    assert got == ["a"]
    model, _ = retrying(
        Flaky([StreamChunk(reasoning_delta="hm"), lost("a")], answer("b")), mid_stream="restart"
    )
    assert [piece async for piece in model.stream("hi").text()] == ["b"]


@pytest.mark.row("STRE-28", "NONE-06")
async def test_continue_asks_for_the_rest():
    numbered = StreamChunk("b", part_index=0)
    inner = Flaky(
        [*text("a "), StreamChunk(usage=Usage(5, 6)), lost("a")],
        [StreamChunk(usage=Usage(7, None)), numbered, StreamChunk(usage=Usage(7, 8)), *answer()],
        prefill=True,
    )
    model, _ = retrying(inner, mid_stream="continue")
    async with model.stream("hi") as stream:
        chunks = [chunk async for chunk in stream]
    assert not any(chunk.reset for chunk in chunks)
    assert stream.message.text == "a b"
    assert [part.type for part in stream.message.parts] == ["text", "text"]
    assert stream.message.usage.input_tokens == 6
    assert [chunk.usage for chunk in chunks if chunk.usage][1:3] == [
        Usage(12, 6, 18), Usage(12, 14, 26),
    ]  # fmt: skip
    assert inner.requests[1].messages == (*inner.requests[0].messages, llm.AIMessage("a "))
    assert stream.message.provider_metadata["mid_stream"]["policy"] == "continue"


@pytest.mark.row("STRE-28")
@pytest.mark.parametrize(
    "chunk",
    [
        StreamChunk(tool_calls=(ToolCallDelta(0, "c", "f"),)),
        StreamChunk(reasoning_delta="hm"),
        StreamChunk(refusal_delta="no"),
        StreamChunk(parts=(llm.ImagePart(b"x"),)),
        StreamChunk("b", choice=1),
    ],
)
async def test_only_text_can_be_continued(chunk: StreamChunk):
    inner = Flaky([*text("a"), chunk, lost("a")], answer("b"), prefill=True)
    model, _ = retrying(inner, mid_stream="continue")
    with pytest.raises(llm.StreamInterruptedError):
        await seen(model)
    assert len(inner.requests) == 1


@pytest.mark.row("STRE-28")
@pytest.mark.parametrize("prefill", [None, False])
def test_models_that_may_continue_are_checked_at_once(prefill: bool | None):
    with pytest.raises(llm.ConfigError, match=r"flaky/f1 is not known to: use 'restart'"):
        Flaky(answer(), prefill=prefill).with_middleware(with_retry(mid_stream="continue"))


@pytest.mark.row("STRE-28", "ERRO-30")
async def test_an_error_after_a_continuation_tells_all_that_was_shown():
    def gone(partial: str) -> llm.StreamInterruptedError:
        return llm.StreamInterruptedError(
            "gone", content_started=True, partial=llm.AIMessage(partial)
        )

    inner = Flaky([*text("a "), gone("a ")], [*text("b "), gone("b ")], [KeyError()], prefill=True)
    for last, error in ((2, llm.StreamInterruptedError), (3, KeyError)):
        model, _ = retrying(inner, mid_stream="continue", max_attempts=last)
        stream = model.stream("hi")
        with pytest.raises(error) as caught:
            async for _ in stream:
                pass
        assert stream.message.text == "a b "
        if last == 2:
            assert caught.value.partial == stream.message  # type: ignore[attr-defined]  # ours
            inner.requests.clear()


@pytest.mark.row("STRE-28")
async def test_parts_of_a_continuation_come_behind_those_that_were_shown():
    inner = Flaky(
        [StreamChunk("a", part_index=0), StreamChunk("b", part_index=3), lost("b")],
        [StreamChunk("c", part_index=0), StreamChunk("d", part_index=1), *answer()],
        prefill=True,
    )
    model, _ = retrying(inner, mid_stream="continue")
    reply = await model.stream("hi").response()
    assert [part.text for part in reply.parts] == ["a", "b", "c", "d"]  # type: ignore[attr-defined]  # TextParts


@pytest.mark.row("STRE-28", "NONE-06")
async def test_a_restart_within_a_continued_answer_loses_nothing():
    """The layer inside takes back its own words, and the consumer is told the others again."""
    inner = Flaky(
        [*text("a "), lost("a")], [*text("x "), lost("x")], answer("b ", "c"), prefill=True
    )
    clock = VirtualClock(auto=True)
    restarting = with_retry(clock=clock, mid_stream="restart", max_attempts=2)
    other = Flaky([*text("a "), lost("a")], prefill=True)
    inner.attempts.pop(0)
    model = other.with_middleware(
        llm.with_fallback(inner.with_middleware(restarting), mid_stream="continue")
    )
    async with model.stream("hi") as stream:
        chunks = [chunk async for chunk in stream]
    shown = [("reset" if chunk.reset else chunk.delta) for chunk in chunks]
    assert [one for one in shown if one] == ["a ", "x ", "reset", "a ", "b ", "c"]
    assert stream.message.text == "a b c"
    assert inner.requests[-1].messages[-1] == llm.AIMessage("a ")


@pytest.mark.row("STRE-28")
async def test_after_a_restart_inside_there_is_only_text_to_continue():
    call = StreamChunk(tool_calls=(ToolCallDelta(0, "c", "f"),))
    inner = Flaky([call, lost("a")], [*text("a "), lost("a")], answer("b"), prefill=True)
    clock = VirtualClock(auto=True)
    model = inner.with_middleware(
        with_retry(clock=clock, mid_stream="continue"),
        with_retry(clock=clock, mid_stream="restart", max_attempts=2),
    )
    reply = await model.stream("hi").response()
    assert (reply.text, reply.tool_calls) == ("a b", ())


@pytest.mark.row("STRE-28")
def test_models_behind_a_layer_or_a_wrapper_are_checked_too():
    def good() -> Flaky:
        return Flaky(answer(), prefill=True)

    bad, retry = Flaky(answer(), name="bad"), with_retry(mid_stream="continue")
    behind: list[Any] = [
        good().with_middleware(llm.with_fallback(good(), bad)),
        good().with_middleware(llm.with_hedge(bad)),
        good().with_middleware(llm.with_fallback(good().with_middleware(llm.with_hedge(bad)))),
        llm.DelegatingChatModel(good().with_middleware(llm.with_fallback(bad))),
        llm.Router([good(), bad]),
        llm.FailoverRouter(good(), llm.Router([bad])),
    ]
    for model in behind:
        with pytest.raises(llm.ConfigError, match="flaky/bad is not known to"):
            model.with_middleware(retry)
    with pytest.raises(llm.ConfigError, match="flaky/bad is not known to"):
        good().with_middleware(retry, llm.with_fallback(bad))
    good().with_middleware(llm.with_fallback(bad), retry)  # it continues its own model only
    llm.Router([good()]).with_middleware(retry, llm.with_hedge(), llm.with_fallback(good()))


@pytest.mark.row("STRE-28", "NONE-06")
@given(
    st.lists(st.lists(st.sampled_from("abc"), max_size=4), min_size=1, max_size=4),
    st.sampled_from(["raise", "restart", "continue"]),
)
def test_nothing_that_was_yielded_is_ever_yielded_again(lengths: list[list[str]], policy: Any):
    """Each attempt has words of its own, and fails but the last."""
    attempts: list[list[Any]] = []
    for number, words in enumerate(lengths):
        chunks = text(*(f"{number}.{place} " for place, _ in enumerate(words)))
        last = number == len(lengths) - 1
        attempts.append([*chunks, *answer()] if last else [*chunks, lost("x" * len(words))])
    inner = Flaky(*attempts, prefill=True)
    model, _ = retrying(inner, mid_stream=policy, max_attempts=len(lengths))

    async def run() -> None:
        shown: list[str] = []
        resets = 0
        stream = model.stream("hi")
        failed = False
        try:
            async for chunk in stream:
                if chunk.reset:
                    resets += 1
                    shown.clear()
                elif chunk.delta:
                    assert chunk.delta not in shown
                    shown.append(chunk.delta)
        except llm.StreamInterruptedError:
            failed = True
        assert stream.message.text == "".join(shown)
        broken = sum(bool(words) for words in lengths[:-1])
        assert failed is (policy == "raise" and broken > 0)
        assert resets == (broken if policy == "restart" else 0)

    asyncio.run(run())


@pytest.mark.row("MIDD-25", "STRE-04")
async def test_leaving_a_retried_stream_closes_everything():
    inner = Flaky([BUSY], answer("a", "b"))
    model, _ = retrying(inner)
    async with model.stream("hi") as stream:
        async for _ in stream:
            break
        assert inner.open == 1
    assert inner.open == 0


@pytest.mark.row("MIDD-25", "RETR-12", "PAIN-07")
@pytest.mark.parametrize("streaming", [False, True])
async def test_what_a_failed_attempt_left_open_is_closed_before_the_next(streaming: bool):
    """Else the next attempt would wait for the slot that the former one still holds."""
    refused: list[int] = []
    inner = Flaky([StreamChunk(model_id="m"), *text("a", "b")], answer("c"))

    async def picky(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        async for chunk in call_next(request):
            if not refused:
                refused.append(inner.open)
                raise BUSY
            yield chunk

    limits = llm.with_limits(max_concurrent=1)
    clock = VirtualClock()
    model = inner.with_middleware(with_retry(clock=clock), picky, limits)
    task = asyncio.ensure_future(
        model.stream("hi").response() if streaming else model.generate("hi")
    )
    await clock.sleeping()
    assert (refused, inner.open, limits.running) == ([1], 0, 0)
    await clock.advance(1)
    assert (await task).text == "c"


# --- who hears of it -----------------------------------------------------------------------------


@pytest.mark.row("RETR-11", "HOOK-22")
async def test_each_retry_is_told_and_logged(caplog: pytest.LogCaptureFixture):
    events: list[Event] = []

    async def hear(event: Event) -> None:
        events.append(event)

    async def listening(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        request.call.listeners.append(hear)  # type: ignore[union-attr]  # it is set
        request.call.listeners.append(events.append)  # type: ignore[union-attr]  # likewise
        async for chunk in call_next(request):
            yield chunk

    clock = VirtualClock(auto=True)
    model = Flaky([BUSY], [KeyError("x")], answer("ok")).with_middleware(
        listening, with_retry(clock=clock, jitter=0, retry_on=Exception)
    )
    with caplog.at_level(logging.WARNING, "beluga_llm.retry"):
        await model.generate("hi")
    assert [event.name for event in events] == ["retry"] * 4
    about = {"provider": "flaky", "model_id": "f1"}
    assert events[0].facts == {"attempt": 1, "error": BUSY, "wait": 0.5, **about}
    assert [record.getMessage() for record in caplog.records] == [
        "attempt 1 of flaky/f1 failed (overloaded), the next follows in 0.5 s",
        "attempt 2 of flaky/f1 failed (KeyError), the next follows in 1.0 s",
    ]
    assert len({record.call_id for record in caplog.records}) == 1  # type: ignore[attr-defined]


async def test_a_request_made_by_hand_can_be_retried():
    clock = VirtualClock(auto=True)
    inner = Flaky([BUSY], answer("ok"))
    layer = with_retry(clock=clock)
    request = llm.ChatRequest((llm.HumanMessage("hi"),))
    chunks = [chunk async for chunk in layer(request, inner._stream)]
    assert llm.fold(chunks).text == "ok"


# --- stamina -------------------------------------------------------------------------------------


def stamina(*, active: bool = True, attempts: int | None = None, known: bool = True) -> Any:
    testing = None
    if attempts is not None:
        testing = SimpleNamespace(get_attempts=lambda most: min(most, attempts))
    module = SimpleNamespace(is_active=lambda: active, is_testing=lambda: testing is not None)
    if known:
        module._config = SimpleNamespace(CONFIG=SimpleNamespace(testing=testing))
    return module


@pytest.mark.row("RETR-15")
@pytest.mark.parametrize(
    ("module", "requests", "sleeps"),
    [
        (None, 3, [0.5, 1.0]),
        (stamina(), 3, [0.5, 1.0]),
        (stamina(active=False), 1, []),
        (stamina(attempts=2), 2, [0.0]),
        (stamina(attempts=9), 3, [0.0, 0.0]),
        (stamina(attempts=9, known=False), 1, []),
        (SimpleNamespace(is_active=lambda: True), 3, [0.5, 1.0]),
    ],
)
async def test_the_applications_word_to_stamina_counts(
    monkeypatch: pytest.MonkeyPatch, module: Any, requests: int, sleeps: list[float]
):
    if module is None:
        monkeypatch.delitem(sys.modules, "stamina", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "stamina", module)
    inner = Flaky([BUSY])
    model, clock = retrying(inner)
    with pytest.raises(llm.OverloadedError):
        await model.generate("hi")
    assert (len(inner.requests), clock.sleeps) == (requests, sleeps)


@pytest.mark.row("MIDD-24")
async def test_nothing_is_done_before_the_first_read():
    inner = Flaky(answer("ok"))
    model, _ = retrying(inner)
    stream = model.stream("hi")
    await stream.aclose()
    assert inner.requests == []
    mock = MockChatModel(["x"]).with_middleware(with_retry())
    assert (await mock.generate("hi")).text == "x"

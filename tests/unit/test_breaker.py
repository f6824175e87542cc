"""The circuit breaker: when it opens, what it lets through, and what closes it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from support.provider import Provider

import beluga_llm as llm
from beluga_llm import BreakerPolicy, BreakerState, CircuitBreaker, CircuitOpenError
from beluga_llm import with_circuit_breaker as breaking
from beluga_llm._breaker import Failure
from beluga_llm._events import Event
from beluga_llm.testing import VirtualClock

BUSY = llm.OverloadedError("busy")
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Setup:
    """A provider behind a breaker."""

    def __init__(self, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.provider = Provider(self.clock)
        self.script = self.provider.script
        self.breaker = breaking(clock=self.clock, **settings)
        self.model = self.provider.with_middleware(self.breaker)
        self.tasks: dict[str, asyncio.Task[llm.AIMessage]] = {}

    async def call(self, error: Exception | None = None) -> Exception | None:
        """One call that ends well, or with an error; what it ended with."""
        self.script.error = error
        try:
            await self.model.generate("hi")
        except Exception as raised:  # noqa: BLE001 -- the test looks at it
            return raised
        finally:
            self.script.error = None
        return None

    async def calls(self, results: str) -> None:
        """Calls that succeed (".") and fail ("x"), one after the other."""
        for result in results:
            await self.call(BUSY if result == "x" else None)

    async def begin(self, *texts: str) -> None:
        """Calls that stay under way."""
        self.script.hold = True
        for text in texts:
            self.tasks[text] = asyncio.create_task(self.model.generate(text))
            await self.clock.advance(0)

    async def end(self, text: str, error: Exception | None = None) -> None:
        if error is None:
            self.provider.finish(text)
        else:
            self.provider.fail(text, error)
        await asyncio.wait([self.tasks.pop(text)])

    async def open(self) -> None:
        await self.calls("x" * self.breaker.policy.failure_threshold)
        assert self.breaker.state is OPEN


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.row("ROUT-24", "ROUT-26", "ROUT-27", "ROUT-28", "CONF-07")
def test_the_settings_have_the_documented_defaults():
    policy = BreakerPolicy()
    assert (policy.failure_threshold, policy.failure_rate, policy.window) == (5, 0.5, 60.0)
    assert (policy.min_requests, policy.reset_timeout) == (10, 30.0)
    assert (policy.success_threshold, policy.half_open_max) == (2, 1)


@pytest.mark.row("MIDD-28")
def test_all_problems_are_told_at_once():
    with pytest.raises(llm.ConfigError) as caught:
        breaking(
            failure_threshold=0, failure_rate=1.5, window=0, min_requests=1.5, reset_timeout="1",
            success_threshold=True, half_open_max=-1, treshold=3,
        )  # fmt: skip
    for name in (
        "failure_threshold must be an integer of at least 1, got 0", "failure_rate must",
        "window must be > 0 seconds", "min_requests must", "reset_timeout must",
        "success_threshold must", "half_open_max must", "unknown settings: treshold (known: fail",
    ):  # fmt: skip
        assert name in str(caught.value)
    with pytest.raises(llm.ConfigError, match="failure_rate must be > 0"):
        BreakerPolicy(failure_rate=0)


@pytest.mark.row("MIDD-28", "ROUT-33")
def test_an_object_keywords_or_both():
    policy = BreakerPolicy(window=5)
    assert breaking(policy).policy == breaking(window=5).policy == policy
    assert breaking(policy, min_requests=3).policy == BreakerPolicy(window=5, min_requests=3)
    made = CircuitBreaker(window=5)
    assert breaking(made) is made
    assert made.policy == policy
    assert breaking() is not breaking()
    with pytest.raises(TypeError, match="has its settings already"):
        breaking(made, window=6)
    assert repr(made) == "<CircuitBreaker closed>"


# --- opening -------------------------------------------------------------------------------------


@pytest.mark.row("ROUT-24", "ROUT-23")
async def test_consecutive_failures_open_it():
    setup = Setup()
    await setup.calls("xxxx")
    assert setup.breaker.state is CLOSED
    await setup.calls(".xxxx")
    assert setup.breaker.state is CLOSED
    await setup.calls("x")
    assert setup.breaker.state is OPEN


@pytest.mark.row("ROUT-24")
@pytest.mark.parametrize(
    ("results", "opens"),
    [
        ("x.x.x.x.x", False),  # nine
        ("x.x.x.x.x.", True),
        (".x.x.x.x.x", True),
        (".x.x.x.x..", False),
        (".x.x.x.x..x", False),  # 5 of 11
        (".x.x.x.x..xx", True),
    ],
)
async def test_a_share_of_failures_opens_it(results: str, opens: bool):
    setup = Setup()
    await setup.calls(results)
    assert (setup.breaker.state is OPEN) is opens


@pytest.mark.row("ROUT-24")
async def test_a_share_is_compared_as_it_is_written():
    setup = Setup(failure_rate=0.7, failure_threshold=100)
    await setup.calls("...xxxxxxx")
    assert setup.breaker.state is OPEN


@pytest.mark.row("ROUT-24")
async def test_results_count_within_the_window():
    setup = Setup(failure_threshold=100)
    await setup.calls("xxxx")
    await setup.clock.advance(59.999)
    await setup.calls("....")
    stats = setup.breaker.stats()
    assert (stats.requests, stats.failures, stats.failure_rate) == (8, 4, 0.5)
    await setup.clock.advance(0.001)
    stats = setup.breaker.stats()
    assert (stats.requests, stats.failures, stats.failure_rate) == (4, 0, 0.0)
    await setup.calls("xxxxx")
    assert setup.breaker.state is CLOSED
    await setup.calls("x")  # 6 of 10
    assert setup.breaker.state is OPEN


@pytest.mark.row("ROUT-29")
@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (BUSY, True),
        (llm.RateLimitError("slow down"), True),
        (llm.RequestTimeoutError("late"), True),
        (llm.ConnectionFailedError("gone"), True),
        (llm.StreamInterruptedError("gone", content_started=False), True),
        (llm.StreamInterruptedError("gone", content_started=True), True),
        (llm.InvalidRequestError("no"), False),
        (llm.AuthenticationError("who?"), False),
        (llm.QuotaExceededError("paid up"), False),
        (llm.BelugaError("custom", retryable=True), True),
        (RuntimeError("a bug"), False),
        (CircuitOpenError("of another breaker"), False),
    ],
)
async def test_what_counts(error: Exception, counts: bool):
    setup = Setup(failure_threshold=1)
    assert await setup.call(error) is error
    assert (setup.breaker.state is OPEN) is counts
    assert setup.breaker.stats().requests == counts


@pytest.mark.row("ROUT-29")
async def test_cancellation_counts_as_neither():
    setup = Setup(failure_threshold=1)
    await setup.begin("a")
    setup.tasks["a"].cancel()
    await asyncio.wait([setup.tasks.pop("a")])
    assert setup.breaker.stats().requests == 0


@pytest.mark.row("ROUT-29", "PAIN-06", "RATE-15")
async def test_a_429_that_limits_have_taken_note_of_counts_as_neither():
    setup = Setup(failure_threshold=1)
    limits = llm.with_limits(clock=setup.clock, on_limit="raise")
    model = setup.provider.with_middleware(setup.breaker, limits)
    setup.script.error = llm.RateLimitError("slow down", retry_after=1.0)
    for _ in range(2):  # of the provider, and of the limits
        with pytest.raises(llm.RateLimitError):
            await model.generate("hi")
    assert setup.breaker.stats().requests == 0
    assert setup.breaker.state is CLOSED


# --- open ----------------------------------------------------------------------------------------


@pytest.mark.row("ROUT-30", "ERRO-31")
async def test_an_open_breaker_says_for_how_long_and_why():
    setup = Setup(failure_threshold=1)
    await setup.call(BUSY)
    await setup.clock.advance(17.7)
    error = await setup.call()
    assert isinstance(error, CircuitOpenError)
    assert error.message == "circuit open for acme/m, retry in 12.3 s"
    assert (error.provider, error.model_id, error.state) == ("acme", "m", "open")
    assert error.retry_after == pytest.approx(12.3)
    assert error.last_error == Failure("overloaded", "OverloadedError", str(BUSY))
    assert error.retryable
    assert len(setup.provider.started) == 1


@pytest.mark.row("ROUT-30", "ROUT-31")
async def test_nothing_keeps_the_frames_of_an_error_alive():
    setup = Setup(failure_threshold=1)

    class Marker:
        pass

    async def failing() -> weakref.ref[Marker]:
        marker = Marker()
        setup.script.error = llm.OverloadedError("busy")
        with pytest.raises(llm.OverloadedError):
            await setup.model.generate("hi")
        setup.script.error = None
        return weakref.ref(marker)

    gone = await failing()
    gc.collect()
    assert gone() is None
    assert Failure.of(KeyError("x")) == Failure("KeyError", "KeyError", "'x'")


@pytest.mark.row("ROUT-26", "ROUT-31")
async def test_it_is_half_open_after_the_reset_timeout():
    setup = Setup()
    await setup.open()
    await setup.clock.advance(29.999)
    assert setup.breaker.state is OPEN
    await setup.clock.advance(0.001)
    assert setup.breaker.state is HALF_OPEN
    assert setup.breaker.stats().last_change == 30.0


@pytest.mark.row("ROUT-26")
@pytest.mark.parametrize(("asked", "seconds"), [(100.0, 100.0), (5.0, 30.0), (None, 30.0)])
async def test_a_provider_may_ask_for_more_time(asked: float | None, seconds: float):
    setup = Setup(failure_threshold=1)
    await setup.call(llm.OverloadedError("busy", retry_after=asked))
    await setup.clock.advance(seconds - 0.001)
    assert setup.breaker.state is OPEN
    await setup.clock.advance(0.001)
    assert setup.breaker.state is HALF_OPEN


# --- half open -----------------------------------------------------------------------------------


@pytest.mark.row("ROUT-28")
async def test_one_probe_at_a_time_the_others_fail_fast():
    setup = Setup(reset_timeout=10)
    await setup.open()
    await setup.clock.advance(10)
    await setup.begin("a", "b", "c")
    assert setup.provider.running == ["a"]
    error = setup.tasks["b"].exception()
    assert isinstance(error, CircuitOpenError)
    assert (error.state, error.retry_after) == ("half_open", 10.0)
    await setup.end("a")
    assert setup.breaker.state is HALF_OPEN
    await setup.begin("d", "e")
    assert setup.provider.running == ["d"]
    await setup.end("d")
    assert setup.breaker.state is CLOSED
    await setup.begin("f", "g")
    assert setup.provider.running == ["f", "g"]
    for text in "fg":
        await setup.end(text)


@pytest.mark.row("ROUT-28")
async def test_as_many_probes_as_are_allowed():
    setup = Setup(half_open_max=3)
    await setup.open()
    await setup.clock.advance(30)
    await setup.begin(*"abcde")
    assert setup.provider.running == ["a", "b", "c"]
    for text in "abc":
        await setup.end(text)
    assert setup.breaker.state is CLOSED


@pytest.mark.row("ROUT-28")
async def test_a_probe_is_a_lease_that_expires():
    setup = Setup(reset_timeout=10, success_threshold=1)
    await setup.open()
    await setup.clock.advance(10)
    await setup.begin("a")
    await setup.clock.advance(9.999)
    await setup.begin("b")
    await setup.clock.advance(0.001)
    await setup.begin("c", "d")
    assert setup.provider.running == ["a", "c"]
    await setup.end("a")  # late, but it says something
    assert setup.breaker.state is CLOSED
    await setup.end("c", BUSY)
    assert setup.breaker.stats().consecutive_failures == 0


@pytest.mark.row("ROUT-28", "CHAT-27")
def test_a_probe_that_vanished_with_its_loop_blocks_for_a_while_only():
    setup = Setup(reset_timeout=10)
    asyncio.run(setup.open())
    setup.clock.advance(10)
    loop = asyncio.new_event_loop()
    held: list[Any] = []

    async def begin() -> None:
        stream = setup.model.stream("a")
        held.append((stream, aiter(stream)))
        await anext(held[0][1])

    loop.run_until_complete(begin())
    loop.close()

    async def later() -> None:
        assert isinstance(await setup.call(), CircuitOpenError)
        setup.clock.advance(10)
        assert await setup.call() is None

    asyncio.run(later())
    with pytest.raises(StopIteration):  # what asyncio does not close, a test must
        held.pop()[1].aclose().send(None)


@pytest.mark.row("ROUT-27")
async def test_a_failure_in_half_open_opens_it_again():
    setup = Setup(reset_timeout=10)
    await setup.open()
    await setup.clock.advance(10)
    await setup.calls(".x")
    assert setup.breaker.state is OPEN
    await setup.clock.advance(9.999)
    assert setup.breaker.state is OPEN
    await setup.clock.advance(0.001)
    await setup.calls("..")
    assert setup.breaker.state is CLOSED
    assert setup.breaker.stats().requests == 0
    await setup.calls("xxxx")
    assert setup.breaker.state is CLOSED


@pytest.mark.row("ROUT-27")
async def test_results_of_calls_begun_before_the_opening_change_nothing():
    setup = Setup(reset_timeout=10)
    await setup.begin("slow success", "slow failure", "slower failure")
    setup.script.hold = False
    await setup.open()
    before = setup.breaker.stats()
    await setup.end("slow failure", llm.OverloadedError("busy", retry_after=99.0))
    assert setup.breaker.stats() == before
    await setup.clock.advance(10)
    await setup.end("slow success")
    await setup.end("slower failure", BUSY)
    assert setup.breaker.state is HALF_OPEN
    stats = setup.breaker.stats()
    assert (stats.consecutive_successes, stats.consecutive_failures) == (0, 5)


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.row("ROUT-32", "MIDD-24")
async def test_a_stream_is_a_success_at_its_end_only():
    setup = Setup()
    stream = setup.model.stream("hi")
    assert setup.breaker.stats().requests == 0
    async for _ in stream:
        assert setup.breaker.stats().requests == 0
    assert setup.breaker.stats().requests == 1


@pytest.mark.row("ROUT-32", "ROUT-28")
@pytest.mark.parametrize("how", ["close", "drop", "cancel"])
async def test_a_stream_that_is_left_early_counts_as_neither_and_gives_its_probe_back(how: str):
    setup = Setup(failure_threshold=1)
    await setup.call(BUSY)
    await setup.clock.advance(30)

    async def leave() -> None:
        stream = setup.model.stream("hi")
        if how == "drop":
            async for _ in stream:
                return
        async with stream:
            async for _ in stream:
                if how == "close":
                    return
                await asyncio.Event().wait()

    task = asyncio.create_task(leave())
    await setup.clock.advance(0)
    task.cancel()
    await asyncio.wait([task])
    del task
    assert setup.breaker.state is HALF_OPEN
    assert setup.breaker.stats().consecutive_successes == 0
    assert await setup.call() is None


@pytest.mark.row("ROUT-28", "STRE-05")
async def test_a_dropped_stream_gives_its_probe_back_at_once():
    setup = Setup(failure_threshold=1)
    await setup.call(BUSY)
    await setup.clock.advance(30)
    stream = setup.model.stream("hi")
    await anext(stream)
    del stream
    other = setup.model.stream("hi")
    await anext(other)  # without a step of the event loop in between
    await other.aclose()


@pytest.mark.row("ROUT-32")
async def test_a_stream_that_fails_is_a_failure():
    setup = Setup(failure_threshold=1)
    setup.script.error = BUSY
    with pytest.raises(llm.OverloadedError):
        async for _ in setup.model.stream("hi"):
            pass
    assert setup.breaker.state is OPEN


# --- control -------------------------------------------------------------------------------------


@pytest.mark.row("ROUT-31", "HEAL-06")
async def test_by_hand():
    setup = Setup()
    setup.breaker.trip()
    assert setup.breaker.state is OPEN
    assert isinstance(await setup.call(), CircuitOpenError)
    setup.breaker.reset()
    assert setup.breaker.state is CLOSED
    assert await setup.call() is None
    await setup.calls("xxxx")
    setup.breaker.reset()
    await setup.calls("xxxx")
    assert setup.breaker.state is CLOSED


@pytest.mark.row("ROUT-31")
async def test_the_statistics():
    setup = Setup()
    stats = setup.breaker.stats()
    assert (stats.state, stats.last_failure, stats.last_change) == (CLOSED, None, None)
    await setup.clock.advance(2)
    await setup.calls("..xx")
    await setup.clock.advance(1)
    stats = setup.breaker.stats()
    assert (stats.consecutive_failures, stats.consecutive_successes) == (2, 0)
    assert (stats.requests, stats.failures, stats.failure_rate) == (4, 2, 0.5)
    assert (stats.last_failure, stats.last_change) == (2.0, None)
    await setup.calls("xxx")
    assert setup.breaker.stats().last_change == 3.0


@pytest.mark.row("MIDD-22", "ROUT-33")
async def test_copies_share_their_breaker():
    setup = Setup(failure_threshold=1)
    await setup.call(BUSY)
    with pytest.raises(CircuitOpenError):
        await setup.model.with_options(temperature=0).generate("hi")


async def test_listeners_hear_of_changes_once():
    setup = Setup(failure_threshold=1, success_threshold=1)
    heard: list[Event] = []

    async def listening(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        assert request.call is not None
        request.call.listeners.append(heard.append)
        async for chunk in call_next(request):
            yield chunk

    setup.model = setup.model.with_middleware(listening)
    await setup.calls(".x")
    await setup.calls("..")  # refused
    await setup.clock.advance(30)
    await setup.calls("..")
    assert [event.facts["state"] for event in heard] == ["open", "half_open", "closed"]
    assert heard[0].name == "breaker"
    assert (heard[0].facts["provider"], heard[0].facts["model_id"]) == ("acme", "m")


async def test_a_request_made_by_hand_has_no_call():
    clock = VirtualClock()
    breaker = breaking(clock=clock)
    request = llm.ChatRequest((llm.HumanMessage("hi"),))
    chunks = [chunk async for chunk in breaker(request, Provider(clock)._stream)]
    assert llm.fold(chunks).text == "ok fine"

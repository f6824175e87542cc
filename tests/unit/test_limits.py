"""Limits: who may begin when, and what holds a place."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import anyio
import pytest
from support.provider import Provider

import beluga_llm as llm
from beluga_llm import ProviderLimits, RateLimitError, Usage, with_limits
from beluga_llm._events import Event
from beluga_llm._rate.local import COLD, LocalLimits
from beluga_llm._rate.window import Begun, Window
from beluga_llm.middleware.limits import Limiter
from beluga_llm.plugin import LimitDemand, LimitPlace, LimitRefusal, LimitStore
from beluga_llm.testing import VirtualClock


class Setup:
    """A provider behind limits, and the tasks that ask it."""

    def __init__(self, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.provider = Provider(self.clock)
        settings.setdefault("adaptive", False)
        self.limiter = with_limits(clock=self.clock, **settings)
        self.model = self.provider.with_middleware(self.limiter)
        self.tasks: dict[str, asyncio.Task[llm.AIMessage]] = {}

    async def ask(self, *texts: str, **options: Any) -> None:
        """Begins calls, in order; all that can happen now has happened."""
        for text in texts:
            self.tasks[text] = asyncio.create_task(self.model.generate(text, **options))
            await self.settle()

    async def settle(self) -> None:
        await self.clock.advance(0)

    async def stop(self, text: str) -> None:
        """Cancels a call."""
        task = self.tasks.pop(text)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    async def error(self, text: str) -> Exception:
        """What a call failed with, by now."""
        task = self.tasks.pop(text)
        assert task.done()
        error = task.exception()
        assert isinstance(error, Exception)
        return error

    @property
    def starts(self) -> list[tuple[str, float]]:
        return self.provider.started


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.row("RATE-01", "CONF-07")
def test_the_settings_have_the_documented_defaults():
    limits = ProviderLimits()
    assert (limits.rps, limits.rpm, limits.tpm, limits.max_concurrent) == (None,) * 4
    assert (limits.cooldown, limits.on_limit, limits.max_wait) == (None, "wait", None)
    assert limits.adaptive is True


@pytest.mark.row("RATE-01", "MIDD-28")
def test_all_problems_are_told_at_once():
    with pytest.raises(llm.ConfigError) as caught:
        with_limits(
            rps=-1, rpm=1.5, tpm=True, max_concurrent="x", cooldown=-1, max_wait="1",
            on_limit="panic", adaptive=1, rmp=3,
        )  # fmt: skip
    for name in (
        "rps must", "rpm must", "tpm must", "max_concurrent must", "cooldown must", "max_wait must",
        "on_limit must", "adaptive must", "unknown settings: rmp (known: rps, rpm",
    ):  # fmt: skip
        assert name in str(caught.value)
    with pytest.raises(llm.ConfigError, match="rps must be an integer of at least 0"):
        ProviderLimits(rps=-1)


@pytest.mark.row("MIDD-28")
def test_an_object_keywords_or_both():
    given = ProviderLimits(rpm=5)
    assert with_limits(given).limits is not None
    assert with_limits(given).limits == with_limits(rpm=5).limits
    assert with_limits(given, tpm=7).limits == ProviderLimits(rpm=5, tpm=7)
    assert repr(with_limits(given, on_limit="raise")) == "with_limits(rpm=5, on_limit='raise')"


@pytest.mark.row("RATE-01")
async def test_zero_and_none_are_no_limits():
    setup = Setup(rps=0, rpm=None, tpm=0, max_concurrent=0, max_wait=0)
    await setup.ask(*map(str, range(50)))
    assert len(setup.starts) == 50


# --- windows -------------------------------------------------------------------------------------


@pytest.mark.row("RATE-02")
@pytest.mark.parametrize(("name", "period"), [("rps", 1.0), ("rpm", 60.0)])
async def test_windows_slide_and_are_exact_at_the_boundary(name: str, period: float):
    setup = Setup(**{name: 2})
    await setup.ask("a")
    await setup.clock.advance(period / 4)
    await setup.ask("b", "c", "d", "e")
    assert setup.clock.next_wake == period
    await setup.clock.advance(period * 0.75 - 0.001)
    assert [text for text, _ in setup.starts] == ["a", "b"]
    await setup.clock.advance(0.001)
    assert setup.starts[2:] == [("c", period)]
    await setup.clock.advance(period / 4)
    assert setup.starts[3:] == [("d", period * 1.25)]
    await setup.clock.advance(period * 0.75)
    assert setup.starts[4:] == [("e", period * 2)]


@pytest.mark.row("RATE-02")
async def test_the_narrowest_window_decides():
    setup = Setup(rps=2, rpm=3)
    await setup.ask("a", "b", "c", "d")
    await setup.clock.advance(1)
    assert setup.starts == [("a", 0.0), ("b", 0.0), ("c", 1.0)]
    await setup.clock.advance(58)
    await setup.clock.advance(1)
    assert setup.starts[3:] == [("d", 60.0)]


@pytest.mark.row("RATE-16")
async def test_nobody_polls():
    setup = Setup(rpm=1)
    await setup.ask("a", "b", "c")
    await setup.clock.advance(59)
    await setup.clock.advance(1)
    await setup.clock.advance(60)
    assert setup.clock.sleeps == [60.0, 60.0]
    assert [text for text, _ in setup.starts] == ["a", "b", "c"]


def test_a_window_tells_when_more_than_its_limit_may_begin():
    window = Window(10.0)
    for at in (0.0, 1.0, 2.0):
        window.add(Begun(at))
    assert [window.wait(need, limit=3, now=4.0) for need in range(1, 8)] == [
        6.0, 7.0, 8.0, 16.0, 17.0, 18.0, 26.0,
    ]  # fmt: skip
    assert window.wait(1, limit=3, now=10.0) == 0.0
    assert window.wait(0, limit=3, now=10.0) == 0.0


# --- instead of waiting --------------------------------------------------------------------------


@pytest.mark.row("RATE-03")
@pytest.mark.parametrize(
    ("name", "text"),
    [("rps", "RPS limit exceeded"), ("rpm", "RPM limit exceeded"), ("tpm", "TPM limit exceeded"),
     ("max_concurrent", "concurrency limit exceeded")],
)  # fmt: skip
async def test_on_limit_raise(name: str, text: str):
    setup = Setup(on_limit="raise", **{name: 1000 if name == "tpm" else 1})
    setup.provider.script.hold = True
    await setup.ask("a", "b")
    error = await setup.error("b")
    assert isinstance(error, RateLimitError)
    assert error.message == text
    assert error.retryable
    assert error.governed
    seconds = {"rps": 1.0, "rpm": 60.0, "tpm": 60.0, "max_concurrent": None}
    assert error.retry_after == seconds[name]
    assert error.provider == "acme"
    setup.provider.finish("a")
    await setup.settle()


@pytest.mark.row("RATE-04")
async def test_cooldown_waits_once_and_then_raises():
    setup = Setup(on_limit="raise", rps=1, cooldown=0.6)
    await setup.ask("a", "b")
    await setup.clock.advance(0.6)
    assert str(await setup.error("b")).endswith("RPS limit exceeded")
    await setup.ask("c")
    assert setup.clock.sleeps == [0.6, 0.6]
    await setup.clock.advance(0.6)
    assert setup.starts == [("a", 0.0), ("c", 1.2)]


@pytest.mark.row("RATE-04", "RATE-07")
async def test_a_cooldown_for_which_there_is_no_time_is_not_begun():
    setup = Setup(on_limit="raise", rps=1, cooldown=5)
    await setup.ask("a")
    await setup.ask("b", timeout=2)
    assert isinstance(await setup.error("b"), RateLimitError)
    assert setup.clock.sleeps == []


# --- tokens --------------------------------------------------------------------------------------


def tokens_of(text: str) -> int:
    return llm.SimpleTokenizer().count_messages([llm.HumanMessage(text)])


@pytest.mark.row("RATE-05")
async def test_an_estimate_above_the_limit_is_an_error_not_a_hang():
    setup = Setup(tpm=1000)
    estimate = tokens_of("hi") + 4994
    with pytest.raises(llm.InvalidRequestError) as caught:
        await setup.model.generate("hi", max_tokens=4994)
    assert caught.value.message == (
        f"request needs about {estimate} tokens but the limit is 1000 per minute"
    )
    assert setup.starts == []


@pytest.mark.row("RATE-05")
async def test_the_estimate_is_the_input_and_what_the_answer_may_have():
    setup = Setup(tpm=1200)
    setup.provider.script.hold = True
    await setup.ask("a", "b", "c")  # 512 for each answer
    assert setup.provider.running == ["a", "b"]
    await setup.ask("d", max_tokens=1)  # behind the large one
    assert setup.provider.running == ["a", "b"]

    class Counter:
        def count(self, text: str) -> int:
            return 1

        def count_messages(self, messages: Any, tools: Any = ()) -> int:
            return 600

    other = Setup(tpm=1200, tokenizer=Counter())
    other.provider.script.hold = True
    await other.ask("a", "b", max_tokens=1)
    assert other.provider.running == ["a"]
    for one in (setup, other):
        for text in tuple(one.tasks):
            await one.stop(text)


@pytest.mark.row("RATE-05")
async def test_the_reservation_is_settled_with_what_was_used():
    setup = Setup(tpm=1000)
    setup.provider.script.hold = True
    setup.provider.script.usage = Usage(10, 20)
    await setup.ask("a")
    await setup.ask("b", max_tokens=900)
    assert setup.provider.running == ["a"]
    setup.provider.finish("a")
    await setup.settle()
    assert setup.starts == [("a", 0.0), ("b", 0.0)]  # at once: somebody rang
    setup.provider.script.usage = Usage(700, 700)
    setup.provider.finish("b")
    await setup.settle()
    await setup.ask("c", max_tokens=1)  # more was used than the limit
    await setup.clock.advance(60)
    assert setup.starts[2:] == [("c", 60.0)]
    setup.provider.finish("c")
    await setup.settle()


@pytest.mark.row("RATE-05")
async def test_usage_that_comes_after_the_window_changes_nothing():
    setup = Setup(tpm=1000)
    setup.provider.script.hold = True
    setup.provider.script.usage = Usage(900, 0)
    await setup.ask("a")
    await setup.clock.advance(60)
    await setup.ask("b", max_tokens=500)
    setup.provider.finish("a")
    await setup.ask("c", max_tokens=400)
    assert setup.provider.running == ["b", "c"]
    for text in ("b", "c"):
        await setup.stop(text)


@pytest.mark.row("RATE-05")
@pytest.mark.parametrize("how", ["failure", "cancelled", "close", "no usage"])
async def test_what_stays_reserved_where_no_usage_is_known(how: str):
    setup = Setup(tpm=1000)
    if how == "failure":
        setup.provider.script.error = llm.OverloadedError("busy")
        with pytest.raises(llm.OverloadedError):
            await setup.model.generate("a", max_tokens=900)
        setup.provider.script.error = None
    elif how == "cancelled":
        setup.provider.script.hold = True
        await setup.ask("a", max_tokens=900)
        await setup.stop("a")
        setup.provider.script.hold = False
    elif how == "close":
        async with setup.model.stream("a", max_tokens=900) as stream:
            async for _ in stream:
                break
    else:
        await setup.model.generate("a", max_tokens=900)
    await setup.ask("b", max_tokens=900)
    assert ("b" in dict(setup.starts)) is (how in ("failure", "cancelled"))
    await setup.clock.advance(60)
    assert "b" in dict(setup.starts)


# --- concurrency ---------------------------------------------------------------------------------


@pytest.mark.row("RATE-06", "RATE-10")
async def test_a_slot_is_free_when_its_request_has_ended():
    setup = Setup(max_concurrent=2)
    setup.provider.script.hold = True
    await setup.ask("a", "b", "c", "d")
    assert (setup.provider.running, setup.limiter.running, setup.limiter.waiting) == (
        ["a", "b"], 2, 2,
    )  # fmt: skip
    setup.provider.finish("b")
    await setup.settle()
    assert setup.provider.running == ["a", "c"]
    setup.provider.fail("a", llm.OverloadedError("busy"))
    await setup.settle()
    assert setup.provider.running == ["c", "d"]
    assert isinstance(await setup.error("a"), llm.OverloadedError)
    await setup.stop("c")
    setup.provider.finish("d")
    await setup.settle()
    assert (setup.limiter.running, setup.limiter.waiting) == (0, 0)
    assert setup.clock.sleeps == []


@pytest.mark.row("RATE-06", "RATE-07", "PAIN-04")
async def test_who_waits_for_a_slot_burns_no_place_of_the_window():
    setup = Setup(max_concurrent=1, rpm=2)
    setup.provider.script.hold = True
    await setup.ask("a", "b", "c", "d")
    for text in ("b", "c"):
        await setup.stop(text)
    setup.provider.finish("a")
    await setup.settle()
    assert setup.starts == [("a", 0.0), ("d", 0.0)]
    setup.provider.finish("d")
    await setup.settle()


@pytest.mark.row("RATE-06", "CHAT-27")
def test_slots_of_a_loop_that_has_ended_are_free_again():
    """A stream that is still referenced when its loop is closed never gives its slot back."""
    clock = VirtualClock()
    provider, limiter = Provider(clock), with_limits(max_concurrent=1, clock=clock)
    model = provider.with_middleware(limiter)
    held: list[Any] = []

    async def begin() -> None:
        stream = model.stream("a")
        held.append((stream, aiter(stream)))
        await anext(held[0][1])

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()

    async def again() -> None:
        assert (await model.generate("b")).text == "ok fine"
        assert (await model.generate("c")).text == "ok fine"

    asyncio.run(again())
    assert limiter.running == 0
    chunks = held.pop()[1]
    with pytest.raises(StopIteration):  # what asyncio does not close, a test must
        chunks.aclose().send(None)
    assert limiter.running == 0


@pytest.mark.row("RATE-06", "RATE-10", "CHAT-27")
def test_a_slot_given_back_in_one_thread_wakes_another_ones_loop():
    limiter = with_limits(max_concurrent=1)
    provider = Provider(VirtualClock())
    model = provider.with_middleware(limiter)
    waiting, done = threading.Event(), threading.Event()

    async def first() -> None:
        async with model.stream("a") as stream:
            async for _ in stream:
                break
            thread.start()
            await asyncio.to_thread(waiting.wait, 5)
            while not limiter.waiting:
                await asyncio.sleep(0)
        await asyncio.to_thread(done.wait, 5)

    async def second() -> None:
        waiting.set()
        await model.generate("b")
        done.set()

    thread = threading.Thread(target=lambda: asyncio.run(second()))
    asyncio.run(first())
    thread.join()
    assert done.is_set()
    assert [text for text, _ in provider.started] == ["a", "b"]


@pytest.mark.row("CHAT-27")
def test_waiters_of_a_loop_that_has_ended_are_not_rung():
    setup = Setup(max_concurrent=1)
    setup.provider.script.hold = True
    loop = asyncio.new_event_loop()
    loop.run_until_complete(setup.ask("a", "b"))
    other = asyncio.new_event_loop()
    other.run_until_complete(setup.settle())
    line = setup.limiter._line
    assert setup.limiter.waiting == 1
    setup.limiter.ring()  # from outside of any loop
    tasks = [*setup.tasks.values()]
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.wait(tasks))
    loop.close()
    other.close()

    async def later() -> None:
        assert line().count == 0
        assert setup.limiter.waiting == 0

    asyncio.run(later())
    assert len(setup.limiter._lines) == 1


# --- waiting -------------------------------------------------------------------------------------


@pytest.mark.row("RATE-07", "CHAT-09")
async def test_a_cancelled_waiter_loses_no_place():
    setup = Setup(rps=1)
    await setup.ask("a", "b", "c", "d")
    await setup.stop("b")  # the first of the line
    await setup.stop("d")  # the last
    await setup.clock.advance(1)
    assert setup.starts == [("a", 0.0), ("c", 1.0)]
    await setup.ask("e")
    await setup.clock.advance(1)
    assert setup.starts[2:] == [("e", 2.0)]
    assert setup.limiter.waiting == 0


@pytest.mark.row("RATE-07")
async def test_a_wait_longer_than_max_wait_is_not_begun():
    setup = Setup(rps=1, max_wait=2.5)
    await setup.ask("a", "b", "c", "d", "e")
    error = await setup.error("d")
    assert isinstance(error, RateLimitError)
    assert error.message == (
        "RPS limit exceeded: a place is free in 3.0 s, later than max_wait (2.5 s) allows"
    )
    assert error.retry_after == 3.0
    assert isinstance(await setup.error("e"), RateLimitError)
    await setup.clock.advance(1)
    await setup.clock.advance(1)
    assert [text for text, _ in setup.starts] == ["a", "b", "c"]


@pytest.mark.row("RATE-07")
async def test_the_first_in_line_does_not_wait_in_vain():
    setup = Setup(rpm=1, max_wait=59)
    await setup.ask("a", "b")
    assert "a place is free in 60.0 s" in str(await setup.error("b"))
    await setup.clock.advance(1)
    await setup.ask("c")
    await setup.clock.advance(59)
    assert setup.starts[1:] == [("c", 60.0)]


@pytest.mark.row("RATE-07")
async def test_max_wait_ends_a_wait_whose_end_nobody_knows():
    setup = Setup(max_concurrent=1, max_wait=5)
    setup.provider.script.hold = True
    await setup.ask("a", "b")
    await setup.clock.advance(2)
    await setup.ask("c")
    await setup.clock.advance(3)
    error = await setup.error("b")
    assert (str(error), error.retry_after) == (
        "[acme] rate_limit: no place within 5 s (max_wait)", None,
    )  # fmt: skip
    await setup.clock.advance(1)
    setup.provider.finish("a")
    await setup.settle()
    assert setup.starts[1:] == [("c", 6.0)]
    setup.provider.finish("c")
    await setup.settle()


@pytest.mark.row("RATE-07", "NONE-09")
@pytest.mark.parametrize("how", ["timeout", "with_timeout", "anyio"])
async def test_a_wait_past_the_deadline_is_not_begun(how: str):
    setup = Setup(rpm=1)
    await setup.ask("a")
    model = setup.model
    if how == "with_timeout":
        model = model.with_middleware(llm.with_timeout(30))
    with pytest.raises(RateLimitError, match=r"in 60\.0 s, after the deadline in (30\.0|29\.9) s"):
        with anyio.move_on_after(30 if how == "anyio" else 90):
            await model.generate("b", **({"timeout": 30} if how == "timeout" else {}))
    assert setup.clock.sleeps == []


@pytest.mark.row("RATE-07", "CHAT-10")
async def test_a_call_whose_time_is_over_while_it_waits_fails_with_a_timeout():
    setup = Setup(max_concurrent=1)
    setup.provider.script.hold = True
    await setup.ask("a")
    with pytest.raises(llm.RequestTimeoutError):
        await setup.model.generate("b", timeout=0.01)
    assert setup.limiter.waiting == 0
    await setup.stop("a")


@pytest.mark.row("RATE-03")
async def test_listeners_hear_how_long_was_waited():
    setup = Setup(rps=1)
    heard: list[Event] = []

    async def listening(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        assert request.call is not None
        request.call.listeners.append(heard.append)
        async for chunk in call_next(request):
            yield chunk

    model = setup.model.with_middleware(listening)
    await model.generate("a")
    task = asyncio.create_task(model.generate("b"))
    await setup.clock.sleeping()
    await setup.clock.advance(1)
    await task
    ((name, facts),) = [(event.name, dict(event.facts)) for event in heard]
    about = {"provider": model.provider, "model_id": model.model_id}
    assert (name, facts) == ("limit_wait", {"seconds": 1.0, **about})


async def test_a_listener_that_fails_costs_no_slot():
    setup = Setup(rps=1, max_concurrent=1)

    def fail(event: Event) -> None:
        raise RuntimeError("no")

    async def listening(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        assert request.call is not None
        request.call.listeners.append(fail)
        async for chunk in call_next(request):
            yield chunk

    await setup.ask("a")
    task = asyncio.create_task(setup.model.with_middleware(listening).generate("b"))
    await setup.clock.sleeping()
    await setup.clock.advance(1)
    with pytest.raises(RuntimeError):
        await task
    assert setup.limiter.running == 0


# --- fairness ------------------------------------------------------------------------------------


@pytest.mark.row("RATE-10")
async def test_first_come_first_served():
    setup = Setup(max_concurrent=1)
    setup.provider.script.hold = True
    names = [str(number) for number in range(20)]
    await setup.ask(*names)
    for name in names:
        setup.provider.finish(name)
        await setup.settle()
    assert [text for text, _ in setup.starts] == names


@pytest.mark.row("RATE-10")
async def test_a_large_request_is_not_overtaken_by_small_ones():
    setup = Setup(tpm=1000)
    setup.provider.script.usage = Usage(100, 0)
    await setup.ask("a", max_tokens=100)
    await setup.ask("large", max_tokens=900)
    await setup.ask("small 1", "small 2", max_tokens=10)
    assert [text for text, _ in setup.starts] == ["a"]
    await setup.clock.advance(60)
    assert [text for text, _ in setup.starts] == ["a", "large", "small 1", "small 2"]


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.row("RATE-08", "MIDD-24")
async def test_a_stream_holds_its_slot_from_the_first_iteration_to_the_end():
    setup = Setup(max_concurrent=1)
    stream = setup.model.stream("a")
    setup.model.stream("never iterated")
    await setup.settle()
    assert setup.limiter.running == 0
    chunks = aiter(stream)
    await anext(chunks)
    assert setup.limiter.running == 1
    await setup.ask("b")
    assert len(setup.starts) == 1
    with pytest.raises(StopAsyncIteration):
        while True:
            await anext(chunks)
    await setup.settle()
    assert setup.starts == [("a", 0.0), ("b", 0.0)]
    assert setup.limiter.running == 0


@pytest.mark.row("RATE-08")
@pytest.mark.parametrize("how", ["close", "error", "cancel", "drop"])
async def test_a_stream_that_is_left_gives_its_slot_back(how: str):
    setup = Setup(max_concurrent=1)

    async def leave() -> None:
        stream = setup.model.stream("a")
        if how == "drop":
            async for _ in stream:
                break
            return
        async with stream:
            async for _ in stream:
                if how == "close":
                    break
                if how == "error":
                    raise KeyError
                await asyncio.Event().wait()

    task = asyncio.create_task(leave())
    await setup.settle()
    if how == "cancel":
        assert setup.limiter.running == 1
        task.cancel()
    await asyncio.wait([task])
    del task
    assert setup.limiter.running == 0
    await setup.ask("b")
    assert len(setup.starts) == 2


@pytest.mark.row("RATE-08", "STRE-05")
async def test_a_dropped_stream_gives_its_slot_back_at_once():
    """Before the event loop has closed its generators: nobody may be there to see to that."""
    setup = Setup(max_concurrent=1)
    stream = setup.model.stream("a")
    await anext(stream)
    assert setup.limiter.running == 1
    del stream
    assert setup.limiter.running == 0


# --- what 429 answers teach ----------------------------------------------------------------------


@pytest.mark.row("RATE-15", "NONE-01")
async def test_a_429_holds_everybody_back():
    setup = Setup(adaptive=True)
    setup.provider.script.error = RateLimitError("slow down", retry_after=2.0)
    with pytest.raises(RateLimitError) as caught:
        await setup.model.generate("a")
    assert caught.value.governed
    setup.provider.script.error = None
    await setup.ask("b", "c")
    assert len(setup.starts) == 1
    await setup.clock.advance(2)
    assert setup.starts[1:] == [("b", 2.0), ("c", 2.0)]  # the second one is a probe


@pytest.mark.row("RATE-13", "RATE-15")
async def test_headers_of_good_answers_hold_back_too():
    setup = Setup(adaptive=True)
    setup.provider.script.facts = {"requests": {"limit": 10, "remaining": 0, "reset": 1.5}}
    reply = await setup.model.generate("a")
    assert reply.provider_metadata["rate_limit"]["requests"]["remaining"] == 0
    setup.provider.script.facts = None
    await setup.ask("b")
    await setup.clock.advance(1.5)
    assert setup.starts[1:] == [("b", 1.5)]
    setup.provider.script.facts = "strange"
    assert (await setup.model.generate("c")).text == "ok fine"


@pytest.mark.row("RATE-15")
async def test_without_adaptive_a_429_is_only_an_error():
    setup = Setup(rps=100)
    setup.provider.script.error = RateLimitError("slow down", retry_after=2.0)
    with pytest.raises(RateLimitError) as caught:
        await setup.model.generate("a")
    assert not caught.value.governed
    setup.provider.script.error = None
    await setup.model.generate("b")


@pytest.mark.row("RATE-15")
async def test_only_429s_of_the_provider_count():
    setup = Setup(adaptive=True)
    for error in (llm.QuotaExceededError("paid up"), llm.OverloadedError("busy", retry_after=9)):
        setup.provider.script.error = error
        with pytest.raises(type(error)):
            await setup.model.generate("a")
    inner = setup.model.with_middleware(with_limits(on_limit="raise", rpm=2, clock=setup.clock))
    setup.provider.script.error = None
    await inner.generate("b")
    await inner.generate("c")
    with pytest.raises(RateLimitError, match="RPM limit exceeded"):
        await inner.generate("d")
    await setup.model.generate("e")
    assert setup.clock.sleeps == []


@pytest.mark.row("RATE-15")
async def test_declared_limits_cap_what_was_learned():
    setup = Setup(adaptive=True, rps=2)
    for text in ("a", "b"):
        await setup.model.generate(text)
    setup.provider.script.error = RateLimitError("slow down", retry_after=1.0)
    await setup.clock.advance(1)
    with pytest.raises(RateLimitError):
        await setup.model.generate("c")
    setup.provider.script.error = None
    await setup.ask(*"defghi")
    for _ in range(200):
        await setup.clock.advance(0.05)
    starts = [at for _, at in setup.starts]
    assert len(starts) == 9
    assert all(later - early >= 1 for early, later in zip(starts, starts[2:], strict=False))


@pytest.mark.row("RATE-15", "RATE-07")
async def test_a_provider_that_asks_to_wait_for_hours_is_an_error():
    setup = Setup(adaptive=True)
    setup.provider.script.error = RateLimitError("come back tomorrow", retry_after=7200.0)
    with pytest.raises(RateLimitError):
        await setup.model.generate("a")
    setup.provider.script.error = None
    with pytest.raises(RateLimitError) as caught:
        await setup.model.generate("b")
    assert caught.value.message == (
        "the provider's limit is reached: a place is free in 7200.0 s, "
        "set max_wait to wait for so long"
    )
    patient = setup.provider.with_middleware(with_limits(clock=setup.clock, max_wait=8000))
    task = asyncio.create_task(patient.generate("c"))
    await setup.clock.sleeping()
    await setup.clock.advance(7200)
    await task
    impatient = setup.provider.with_middleware(with_limits(clock=setup.clock, on_limit="raise"))
    setup.provider.script.error = RateLimitError("slow down", retry_after=1.0)
    with pytest.raises(RateLimitError):
        await impatient.generate("d")
    with pytest.raises(RateLimitError, match="the provider's limit is reached$"):
        await impatient.generate("e")


@pytest.mark.row("RATE-07", "RATE-15")
async def test_a_closed_gate_counts_for_those_behind_the_first():
    setup = Setup(adaptive=True, max_wait=3)
    setup.provider.script.error = RateLimitError("slow down", retry_after=2.0)
    with pytest.raises(RateLimitError):
        await setup.model.generate("a")
    setup.provider.script.error = None
    await setup.ask("b")
    await setup.ask("c")
    await setup.clock.advance(2)
    assert [text for text, _ in setup.starts] == ["a", "b", "c"]


@pytest.mark.row("RATE-10", "RATE-15", "MIDD-22")
async def test_a_closed_gate_of_one_model_does_not_hold_another_one():
    setup = Setup(adaptive=True, max_concurrent=2)
    other = Provider(setup.clock, "other")
    other_model = other.with_middleware(setup.limiter)
    setup.provider.script.error = RateLimitError("slow down", retry_after=5.0)
    with pytest.raises(RateLimitError):
        await setup.model.generate("a")
    setup.provider.script.error = None
    setup.provider.script.hold = other.script.hold = True
    await setup.ask("b", "c")
    tasks = [asyncio.create_task(other_model.generate(text)) for text in ("x", "y", "z")]
    await setup.settle()
    assert other.running == ["x", "y"]
    other.finish("x")
    await setup.settle()
    assert other.running == ["y", "z"]
    await setup.clock.advance(5)  # no slot is free: nobody overtakes the first any more
    assert setup.provider.running == []
    more = asyncio.create_task(other_model.generate("w"))
    await setup.settle()
    other.finish("y")
    await setup.settle()
    assert (setup.provider.running, other.running) == (["b"], ["z"])
    other.finish("z")
    await setup.settle()
    assert (setup.provider.running, other.running) == (["b", "c"], [])
    for text in ("b", "c"):
        setup.provider.finish(text)
    await setup.settle()
    other.finish("w")
    await asyncio.gather(*tasks, more)
    assert setup.limiter.running == 0


# --- who shares what -----------------------------------------------------------------------------


@pytest.mark.row("RATE-07", "RATE-15")
async def test_those_whom_another_models_gate_holds_are_not_waited_for():
    setup = Setup(adaptive=True, rps=2)
    other = Provider(setup.clock, "other").with_middleware(setup.limiter)
    setup.provider.script.error = RateLimitError("slow down", retry_after=2.5)
    with pytest.raises(RateLimitError):
        await setup.model.generate("a")
    setup.provider.script.error = None
    await setup.clock.advance(1)
    await setup.ask(*"bcdef")
    assert setup.limiter.waiting == 5
    assert (await other.generate("x", timeout=1)).text == "ok fine"
    for _ in range(40):
        await setup.clock.advance(0.1)
    assert setup.limiter.waiting == 0


@pytest.mark.row("MIDD-22", "CHAT-04")
async def test_all_that_one_value_is_put_around_shares_it():
    setup = Setup(rps=2)
    other = Provider(setup.clock, "other").with_middleware(setup.limiter)
    await setup.model.generate("a")
    await other.generate("b")
    task = asyncio.create_task(setup.model.with_options(temperature=0).generate("c"))
    await setup.settle()
    assert not task.done()
    await setup.clock.advance(1)
    await task


@pytest.mark.row("MIDD-21", "MIDD-22")
async def test_another_value_counts_for_itself():
    setup = Setup(rps=1)
    second = setup.provider.with_middleware(with_limits(rps=1, adaptive=False, clock=setup.clock))
    await setup.model.generate("a")
    await second.generate("b")
    assert setup.model.qualified_id == "acme/m"


class Ticket:
    def __init__(self, store: Remote) -> None:
        self.store = store

    def accepted(self, facts: Mapping[str, Any] | None) -> None:
        self.store.said.append("accepted")

    def refused(self, retry_after: float | None) -> None:
        self.store.said.append(f"refused {retry_after}")

    def release(self, tokens: int | None) -> None:
        self.store.said.append(f"released {tokens}")


class Remote:
    """A store elsewhere: each command takes a step of the event loop."""

    running = 0

    def __init__(self, *answers: LimitRefusal) -> None:
        self.answers = list(answers)
        self.said: list[str] = []
        self.demands: list[LimitDemand] = []

    async def take(self, demand: LimitDemand) -> LimitPlace | LimitRefusal:
        self.demands.append(demand)
        await asyncio.sleep(0)
        return self.answers.pop(0) if self.answers else Ticket(self)

    def outlook(self, demand: LimitDemand, *, count: int, tokens: int) -> LimitRefusal | None:
        return None

    def leave(self, demand: LimitDemand) -> None:
        self.said.append("left")

    async def flush(self) -> None:
        self.said.append("flush")


@pytest.mark.row("RATE-01", "DIST-01")
async def test_a_store_keeps_the_counts_elsewhere():
    clock, store = VirtualClock(auto=True), Remote(LimitRefusal("RPM", 3.0), LimitRefusal("RPS", 1))
    assert isinstance(store, LimitStore)
    assert isinstance(LocalLimits(), LimitStore)
    provider = Provider(clock)
    model = provider.with_middleware(with_limits(ProviderLimits(tpm=2000), store, clock=clock))
    await model.generate("a", max_tokens=100)
    assert clock.sleeps == [3.0, 1]
    assert store.said == ["accepted", "released None", "flush"]
    assert store.demands[0] == LimitDemand(
        ("acme", "", provider._where[2], "m"), ProviderLimits(tpm=2000), tokens_of("a") + 100
    )
    store.said.clear()
    provider.script.error = RateLimitError("slow down", retry_after=4.0)
    with pytest.raises(RateLimitError):
        await model.generate("a")
    assert store.said == ["refused 4.0", "released 0", "flush"]


@pytest.mark.row("DIST-01", "RATE-07")
async def test_a_store_may_be_asked_again_before_a_place_is_sure():
    clock, store = VirtualClock(auto=True), Remote(LimitRefusal("concurrency", float("inf"), 0.25))
    model = Provider(clock).with_middleware(with_limits(ProviderLimits(), store, clock=clock))
    await model.generate("a")
    assert clock.sleeps == [0.25]
    assert "left" not in store.said


@pytest.mark.row("DIST-01", "RATE-07")
async def test_a_store_hears_of_those_who_wait_no_longer():
    clock, store = VirtualClock(), Remote(LimitRefusal("RPM", 5.0), LimitRefusal("RPM", 5.0))
    model = Provider(clock).with_middleware(
        with_limits(ProviderLimits(max_wait=9), store, clock=clock)
    )
    task = asyncio.create_task(model.generate("a"))
    await clock.advance(0)
    task.cancel()
    await asyncio.wait([task])
    assert store.said == ["left"]
    with pytest.raises(RateLimitError, match="RPM"):
        await model.generate("a", timeout=1)
    assert store.said == ["left", "left"]
    store.answers = [LimitRefusal("RPM", 5.0)]
    hasty = Provider(clock).with_middleware(
        with_limits(ProviderLimits(on_limit="raise"), store, clock=clock)
    )
    with pytest.raises(RateLimitError, match="RPM"):
        await hasty.generate("a")
    assert store.said == ["left", "left"]  # it never waited


@pytest.mark.row("DIST-01", "RATE-07")
async def test_a_ring_while_a_store_is_asked_is_heard():
    clock, store = VirtualClock(), Remote(LimitRefusal("concurrency", float("inf")))
    limiter = with_limits(ProviderLimits(max_wait=9), store, clock=clock)
    model = Provider(clock).with_middleware(limiter)
    task = asyncio.create_task(model.generate("a"))
    await asyncio.sleep(0)
    limiter.ring()
    await task
    store.answers = [LimitRefusal("concurrency", float("inf"))] * 2
    first, second = (asyncio.create_task(model.generate(text)) for text in "ab")
    await clock.advance(0)
    assert limiter.waiting == 2
    limiter.ring()
    await clock.advance(0)
    limiter.ring()
    await asyncio.gather(first, second)


@pytest.mark.row("RATE-15")
async def test_with_a_real_clock_requests_count_from_their_answer():
    """A place is free a second after the provider was reached, which is not when we began."""
    clock = VirtualClock()
    store = LocalLimits(clock=clock)
    store._late = COLD
    demand = LimitDemand(("a", "b", "c", "d"), ProviderLimits(rps=1, adaptive=False))
    place = await store.take(demand)
    assert not isinstance(place, LimitRefusal)
    clock.advance(0.5)
    place.accepted(None)
    assert await store.take(demand) == LimitRefusal("RPS", 1.0)
    place.release(None)
    place.release(None)
    assert store.running == 0


async def test_a_clock_that_fails_is_told():
    class Broken(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            raise RuntimeError("stopped")

    clock = Broken()
    model = Provider(clock).with_middleware(with_limits(rps=1, adaptive=False, clock=clock))
    await model.generate("a")
    with pytest.raises(RuntimeError, match="stopped"):
        await model.generate("b")


async def test_a_request_made_by_hand_has_no_call():
    clock = VirtualClock()
    limiter = with_limits(clock=clock)
    request = llm.ChatRequest((llm.HumanMessage("hi"),))
    provider = Provider(clock)
    chunks = [chunk async for chunk in limiter(request, provider._stream)]
    assert llm.fold(chunks).text == "ok fine"
    assert isinstance(limiter, Limiter)

    async def nothing(request: llm.ChatRequest) -> Any:
        for chunk in ():
            yield chunk

    assert [chunk async for chunk in limiter(request, nothing)] == []
    assert limiter.running == 0


@pytest.mark.row("RATE-05", "RATE-07")
async def test_the_tokens_of_those_before_count_for_a_wait():
    setup = Setup(tpm=1000, max_wait=70)
    await setup.ask("a", max_tokens=900)
    await setup.ask("b", "c", max_tokens=900)  # b waits a minute, c would wait two
    assert "TPM limit exceeded: a place is free in 120.0 s" in str(await setup.error("c"))
    await setup.clock.advance(60)
    assert [text for text, _ in setup.starts] == ["a", "b"]

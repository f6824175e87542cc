"""Hedging: a second call where the first is slow, and no trace of the loser."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.flaky import Flaky, answer, text

import beluga_llm as llm
from beluga_llm import StreamChunk, Usage, with_hedge, with_retry
from beluga_llm._events import Event
from beluga_llm.testing import VirtualClock

BUSY = llm.OverloadedError("busy")


class Timed:
    """Models whose attempts take virtual time."""

    def __init__(self) -> None:
        self.clock = VirtualClock()

    def after(self, seconds: float) -> Any:
        async def wait() -> None:
            await self.clock.sleep(seconds)

        return wait

    async def run(self, work: Any, *, until: float = 100.0) -> Any:
        """The result of the work, while the clock runs in steps of half a second."""
        task = asyncio.ensure_future(work)
        for _ in range(int(until * 2)):
            await asyncio.sleep(0)
            if task.done():
                break
            await self.clock.advance(0.5)
        return await task


async def ask(model: llm.ChatModel, streaming: bool) -> llm.AIMessage:
    return await (model.stream("hi").response() if streaming else model.generate("hi"))


def hedged(time: Timed, model: llm.ChatModel, backup: Any = None, delay: float = 1) -> Any:
    return model.with_middleware(with_hedge(backup, delay, clock=time.clock))


both = pytest.mark.parametrize("streaming", [False, True])


@pytest.mark.row("ROUT-34")
@both
async def test_a_fast_answer_is_not_hedged(streaming: bool):
    time = Timed()
    model = Flaky([time.after(0.5), *answer("a")])
    reply = await time.run(ask(hedged(time, model), streaming))
    assert (reply.text, reply.provider_metadata) == ("a", {})
    assert len(model.requests) == 1


@pytest.mark.row("ROUT-34", "NONE-10", "PAIN-07")
@both
async def test_the_first_to_have_content_answers(streaming: bool):
    time = Timed()
    head = StreamChunk(usage=Usage(11, None))
    model = Flaky([head, time.after(50), *answer("slow")], answer("fast"))
    reply = await time.run(ask(hedged(time, model), streaming))
    assert reply.text == "fast"
    assert reply.provider_metadata["hedge"] == {
        "winner": "backup",
        "provider": "flaky",
        "model_id": "f1",
        "lost_usage": {"input_tokens": 11},
    }
    assert (len(model.requests), model.open) == (2, 0)


@pytest.mark.row("ROUT-34")
@both
async def test_the_first_call_may_still_win(streaming: bool):
    time = Timed()
    model = Flaky([time.after(3), *answer("a")])
    backup = Flaky([time.after(50), *answer("b")], name="b")
    reply = await time.run(ask(hedged(time, model, backup), streaming))
    assert reply.text == "a"
    assert reply.provider_metadata["hedge"]["winner"] == "primary"
    assert (model.open, backup.open) == (0, 0)


@pytest.mark.row("ROUT-34")
@both
async def test_a_failure_that_may_pass_starts_the_second_call_at_once(streaming: bool):
    time = Timed()
    model, backup = Flaky([BUSY]), Flaky(answer("b"))
    reply = await ask(hedged(time, model, backup), streaming)
    assert reply.text == "b"
    assert time.clock.time() == 0


@pytest.mark.row("ROUT-34")
async def test_another_failure_is_raised_at_once():
    time = Timed()
    error, backup = llm.AuthenticationError("no"), Flaky(answer("b"))
    with pytest.raises(llm.AuthenticationError) as caught:
        await hedged(time, Flaky([error]), backup).generate("hi")
    assert caught.value is error
    assert backup.requests == []


@pytest.mark.row("ROUT-34", "ROUT-15")
@both
async def test_both_fail(streaming: bool):
    time = Timed()
    last = llm.AuthenticationError("no")
    model = Flaky([time.after(2), BUSY], name="a")
    backup = Flaky([time.after(3), last], name="b")
    with pytest.raises(llm.AllModelsFailedError) as caught:
        await time.run(ask(hedged(time, model, backup), streaming))
    error = caught.value
    assert [one.model_id for one in error.attempts] == ["a", "b"]
    assert error.__cause__ is last
    assert error.message == f"all 2 models failed, last error: {last}"
    assert error.code == "auth_error"


@pytest.mark.row("CHAT-10", "ROUT-34")
@both
async def test_when_the_time_of_the_call_is_over_that_is_the_error(streaming: bool, skip_time: Any):
    time = Timed()
    gate = asyncio.Event()
    late = [gate, llm.RequestTimeoutError("the call took longer than its timeout (total)")]
    model, backup = Flaky(late), Flaky(late)
    watched = hedged(time, model, backup).with_options(timeout=5)
    task = asyncio.create_task(ask(watched, streaming))
    await time.clock.sleeping()
    await time.clock.advance(1)
    skip_time(5.01)
    gate.set()
    with pytest.raises(llm.RequestTimeoutError, match="total"):
        await task
    assert (len(model.requests), len(backup.requests)) == (1, 1)


@pytest.mark.row("ROUT-34")
async def test_a_mistake_in_a_layer_is_no_exception_group():
    async def broken(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        raise ZeroDivisionError
        yield StreamChunk()

    time = Timed()
    model = Flaky(answer("a")).with_middleware(with_hedge(clock=time.clock), broken)
    with pytest.raises(ZeroDivisionError):
        await model.generate("hi")


@pytest.mark.row("ROUT-34", "ERRO-20")
async def test_cancelling_cancels_both_and_waits_for_them():
    time = Timed()
    gate = asyncio.Event()
    model, backup = Flaky([gate]), Flaky([gate])
    task = asyncio.create_task(hedged(time, model, backup).generate("hi"))
    await time.clock.sleeping()
    await time.clock.advance(1)
    assert (model.open, backup.open) == (1, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (model.open, backup.open) == (0, 0)


@pytest.mark.row("ROUT-34", "STRE-05", "MIDD-26")
async def test_leaving_the_stream_of_the_winner_closes_it():
    time = Timed()
    model = Flaky([time.after(50)], text("a", "b", "c"))
    stream = hedged(time, model).stream("hi")
    first = await time.run(anext(stream))
    assert (first.delta, model.open) == ("a", 1)
    await stream.aclose()
    assert model.open == 0


@pytest.mark.row("ROUT-34", "MIDD-25")
async def test_a_loser_that_had_content_too_is_closed_to_its_last_layer():
    """Both are ready in one step of the loop: the loser's layers are all suspended."""
    time = Timed()
    loser = Flaky([time.after(2), *text("b", "c")], name="b")
    backup = loser.with_middleware(with_retry(), with_retry())
    model = Flaky([time.after(3), *text("a", "d")])
    stream = hedged(time, model, backup).stream("hi")
    task = asyncio.ensure_future(anext(stream))
    await time.clock.sleeping()
    await time.clock.advance(1)
    await time.clock.advance(2)
    assert (await task).delta == "a"
    assert (model.open, loser.open) == (1, 0)
    await stream.aclose()
    assert model.open == 0


@pytest.mark.row("ROUT-34", "RETR-12")
async def test_attempts_are_counted_over_both_calls():
    time = Timed()
    calls: list[Any] = []

    async def looking(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        calls.append(request.call)
        async for chunk in call_next(request):
            yield chunk

    model = Flaky([BUSY], answer("a")).with_middleware(looking, with_hedge(clock=time.clock))
    assert (await model.generate("hi")).text == "a"
    assert calls[0].attempt == 2


@pytest.mark.row("ROUT-34")
@both
async def test_a_backup_that_cannot_take_the_request_costs_no_answer(streaming: bool):
    class Picky(Flaky):
        def _check_tools(self, tools: Any) -> None:
            raise llm.InvalidRequestError("no tools")

    time = Timed()
    backup = Picky(answer("b"), name="b")
    model = hedged(time, Flaky([time.after(3), *answer("a")]), backup).bind_tools(
        [llm.ToolDefinition("t")]
    )
    assert (await time.run(ask(model, streaming))).text == "a"
    model = hedged(time, Flaky([BUSY]), backup).bind_tools([llm.ToolDefinition("t")])
    with pytest.raises(llm.AllModelsFailedError) as caught:
        await ask(model, streaming)
    assert caught.value.code == "invalid_input"


@pytest.mark.row("ROUT-34", "NONE-10")
@both
async def test_what_the_loser_cost_is_known_through_a_retry_too(streaming: bool):
    """A retry holds back what comes before the content."""
    time = Timed()
    head = StreamChunk(usage=Usage(11, None))
    inner = Flaky([head, time.after(50), *answer("slow")], answer("fast"))
    model = inner.with_middleware(with_hedge(delay=1, clock=time.clock), with_retry(), with_retry())
    reply = await time.run(ask(model, streaming))
    assert reply.text == "fast"
    assert reply.provider_metadata["hedge"]["lost_usage"] == {"input_tokens": 11}


@pytest.mark.row("RETR-07", "NONE-09", "ROUT-34")
async def test_an_anyio_scope_around_the_call_is_known_within_the_race():
    """It belongs to the caller's task, and the race runs in others."""
    clock = VirtualClock(auto=True)
    slow = llm.RateLimitError("slow down", retry_after=12)
    model = Flaky([slow]).with_middleware(
        with_hedge(clock=VirtualClock()), with_hedge(clock=VirtualClock()), with_retry(clock=clock)
    )
    with anyio.fail_after(5), pytest.raises(llm.AllModelsFailedError) as caught:
        await model.generate("hi")
    notes = caught.value.__cause__.__cause__.__notes__  # type: ignore[union-attr]  # two races
    assert notes[0].startswith("not retried: 12.0 s wait exceeds the deadline in 5.0 s")
    assert clock.sleeps == []


@pytest.mark.row("HOOK-21", "HOOK-11", "ROUT-34")
async def test_hooks_within_a_race_are_hooks_of_the_call():
    lines: list[str] = []
    hooks = llm.Hooks.from_callables(
        on_cancel=lambda call, partial: lines.append("cancel"),
        after_generate=lambda call, response, error: lines.append("after"),
        on_error=lambda call, error: llm.Suppress(llm.AIMessage("sorry")),
    )
    layers = with_hedge(), with_hedge(), llm.with_hooks(hooks)
    model = Flaky(answer("a", "b")).with_middleware(*layers)
    reached = asyncio.Event()

    async def consume() -> None:
        async with model.stream("hi") as stream:
            async for chunk in stream:
                if chunk.delta:
                    reached.set()
                    await asyncio.Event().wait()

    task = asyncio.create_task(consume())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lines == ["cancel"]
    stream = Flaky([BUSY]).with_middleware(*layers).stream("hi")
    assert (await stream.response()).text == "sorry"
    assert stream.suppressed_error is BUSY


@pytest.mark.row("ROUT-34")
async def test_the_second_call_is_told():
    events: list[Event] = []

    async def listening(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        request.call.listeners.append(events.append)  # type: ignore[union-attr]  # it is set
        async for chunk in call_next(request):
            yield chunk

    time = Timed()
    model = Flaky([BUSY], answer("a")).with_middleware(listening, with_hedge(clock=time.clock))
    await model.generate("hi")
    assert [(event.name, event.facts["model_id"]) for event in events] == [("hedge", "f1")]


async def test_a_request_made_by_hand_can_be_hedged():
    time = Timed()
    inner = Flaky([BUSY], answer("a"))
    layer = with_hedge(clock=time.clock)
    request = llm.ChatRequest((llm.HumanMessage("hi"),))
    chunks = [chunk async for chunk in layer(request, inner._stream)]
    assert llm.fold(chunks).text == "a"


@pytest.mark.row("ROUT-34", "MIDD-19")
async def test_settings_and_closing():
    assert repr(with_hedge()) == "with_hedge(delay=1)"
    assert repr(with_hedge("demo", 2.5)) == "with_hedge(demo/demo, delay=2.5)"
    with pytest.raises(llm.ConfigError, match="delay must be >= 0"):
        with_hedge(delay=-1)
    closed: list[str] = []

    class Closing(Flaky):
        async def _aclose(self) -> None:
            closed.append(self.model_id)

    async with Flaky(answer()).with_middleware(with_hedge(Closing(name="b")), with_hedge()):
        pass
    assert closed == ["b"]


@pytest.mark.row("ROUT-34", "PAIN-04")
@given(st.integers(0, 40), st.booleans())
def test_cancelled_at_any_step_nothing_is_left(steps: int, streaming: bool):
    async def run() -> None:
        time = Timed()
        model = Flaky([time.after(2), *answer("a", "b")], [time.after(1), *answer("c", "d")])
        task = asyncio.ensure_future(ask(hedged(time, model), streaming))
        for step in range(steps):
            await asyncio.sleep(0)
            if step % 4 == 3:
                time.clock.advance(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert model.open == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())

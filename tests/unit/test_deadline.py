"""Reads that end at a deadline: one timer, and no cancellation lost or invented."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from beluga_llm import RequestTimeoutError, StreamChunk
from beluga_llm._deadline import GRACE, Reads

pytestmark = pytest.mark.row("CHAT-10", "MIDD-13", "MIDD-26")

Skip = Callable[[float], None]


class Source:
    """Gives one chunk at once, then one when it is told to, and so on."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.chunks = self.make()

    async def make(self) -> AsyncGenerator[StreamChunk, None]:
        while True:
            yield StreamChunk("x")
            await self.go.wait()
            self.go.clear()


def reads(source: Source, seconds: float | None) -> Reads:
    until = None if seconds is None else asyncio.get_running_loop().time() + seconds
    return Reads(source.chunks.__anext__, lambda: until)


async def test_a_read_under_way_ends_a_little_after_the_deadline(skip_time: Skip):
    source = Source()
    made = reads(source, 5)
    assert (await anext(made)).delta == "x"
    task = asyncio.create_task(anext(made))
    await asyncio.sleep(0)
    skip_time(5)
    await asyncio.sleep(0.001)
    assert not task.done()
    skip_time(GRACE)
    with pytest.raises(RequestTimeoutError, match=r"\(total\)") as caught:
        await task
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert task.cancelling() == 0
    made.close()


async def test_what_happens_between_two_reads_is_not_stopped(skip_time: Skip):
    source = Source()
    made = reads(source, 5)
    await anext(made)
    skip_time(6)
    await asyncio.sleep(0.001)  # the timer fires: nobody reads
    with pytest.raises(RequestTimeoutError):
        await anext(made)
    with pytest.raises(RequestTimeoutError):
        await anext(made)
    made.close()


async def test_a_chunk_that_is_there_is_not_read_after_the_deadline(skip_time: Skip):
    made = reads(Source(), 5)
    skip_time(6)
    with pytest.raises(RequestTimeoutError):
        await anext(made)
    made.close()


async def test_a_cancellation_from_elsewhere_stays_one(skip_time: Skip):
    source = Source()
    made = reads(source, 5)
    await anext(made)
    task = asyncio.create_task(anext(made))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    other = asyncio.create_task(anext(reads(Source(), 5)))
    assert (await other).delta == "x"
    made.close()


async def test_of_both_at_once_the_cancellation_counts(skip_time: Skip):
    source = Source()
    made = reads(source, 5)
    await anext(made)

    task = asyncio.create_task(anext(made))
    await asyncio.sleep(0)
    skip_time(6)
    asyncio.get_running_loop().call_soon(task.cancel)  # in one step with the timer
    with pytest.raises(asyncio.CancelledError):
        await task
    made.close()


async def test_an_error_of_the_source_passes_also_when_it_was_stopped(skip_time: Skip):
    async def stubborn() -> AsyncGenerator[StreamChunk, None]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise KeyError("mine") from None
        yield StreamChunk()

    until = asyncio.get_running_loop().time() + 5
    made = Reads(stubborn().__anext__, lambda: until)
    task = asyncio.create_task(anext(made))
    await asyncio.sleep(0)
    skip_time(6)
    with pytest.raises(KeyError):
        await task
    assert task.cancelling() == 0
    made.close()


async def test_a_source_that_ignores_it_leaves_the_task_as_it_was(skip_time: Skip):
    async def deaf() -> AsyncGenerator[StreamChunk, None]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield StreamChunk("late")

    until = asyncio.get_running_loop().time() + 5
    made = Reads(deaf().__anext__, lambda: until)
    left: list[int] = []

    async def reading() -> None:
        task = asyncio.current_task()
        assert task is not None
        assert (await anext(made)).delta == "late"
        left.append(task.cancelling())
        with pytest.raises(RequestTimeoutError):
            await anext(made)
        left.append(task.cancelling())

    task = asyncio.create_task(reading())
    await asyncio.sleep(0)
    skip_time(6)
    await task
    assert left == [0, 0]
    made.close()


async def test_the_deadline_may_change_between_reads(skip_time: Skip):
    source = Source()
    until: list[float | None] = [None]
    made = Reads(source.chunks.__anext__, lambda: until[0])
    await anext(made)
    until[0] = asyncio.get_running_loop().time() + 5
    source.go.set()
    await anext(made)
    until[0] += 100
    skip_time(6)
    source.go.set()
    await asyncio.sleep(0.001)
    await anext(made)
    until[0] = None
    skip_time(1000)
    source.go.set()
    await anext(made)
    made.close()


async def test_several_tasks_may_read_one_after_the_other(skip_time: Skip):
    source = Source()
    made = reads(source, 5)
    assert (await asyncio.create_task(anext(made))).delta == "x"
    second = asyncio.create_task(anext(made))
    await asyncio.sleep(0)
    skip_time(6)
    with pytest.raises(RequestTimeoutError):
        await second
    made.close()

"""STRE-18: mapped, read ahead and shared streams; always closed, never silent about an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from beluga_llm import streams
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import StreamInterruptedError
from beluga_llm._fold import collect
from beluga_llm._messages import AIMessage
from beluga_llm._usage import Usage
from beluga_llm.testing import MockChatModel

pytestmark = pytest.mark.row("STRE-18")


async def others() -> int:
    return len(asyncio.all_tasks() - {asyncio.current_task()})


async def test_leaving_what_was_not_entered_does_nothing() -> None:
    await streams.tee(Source(), 2).__aexit__(None, None, None)


class Source:
    """An async iterable of chunks that counts what is asked of it."""

    def __init__(self, count: int = 5, error: BaseException | None = None) -> None:
        self.left = count
        self.read = 0
        self.closed = 0
        self.error = error
        self.gate: asyncio.Event | None = None

    def __aiter__(self) -> AsyncIterator[StreamChunk]:
        return self

    async def __anext__(self) -> StreamChunk:
        if self.gate is not None:
            await self.gate.wait()
        if self.closed:
            raise StopAsyncIteration
        if self.left == 0:
            if self.error is not None:
                raise self.error
            raise StopAsyncIteration
        self.left -= 1
        self.read += 1
        await asyncio.sleep(0)
        return StreamChunk(delta=str(self.read))

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def text_of(chunks: Any) -> str:
    return (await collect(chunks)).text


class TestMapText:
    async def test_text_is_changed_and_all_else_is_kept(self) -> None:
        async def source() -> AsyncIterator[StreamChunk]:
            yield StreamChunk(delta="ab", usage=Usage(1))
            yield StreamChunk(reasoning_delta="r")

        async with streams.map_text(source(), str.upper) as chunks:
            assert [chunk async for chunk in chunks] == [
                StreamChunk(delta="AB", usage=Usage(1)),
                StreamChunk(reasoning_delta="r"),
            ]

    async def test_it_can_be_iterated_at_once(self) -> None:
        source = Source(3)
        assert await text_of(streams.map_text(source, lambda text: f"{text},")) == "1,2,3,"
        assert source.closed

    @pytest.mark.parametrize("begun", [False, True])
    async def test_leaving_closes_the_source(self, begun: bool) -> None:
        source = Source()
        async with streams.map_text(source, str.upper) as chunks:
            if begun:
                assert (await anext(aiter(chunks))).delta == "1"
        assert source.closed
        assert source.read == int(begun)

    async def test_errors_pass(self) -> None:
        source = Source(1, StreamInterruptedError("cut"))
        with pytest.raises(StreamInterruptedError):
            await text_of(streams.map_text(source, str.upper))
        assert source.closed
        source = Source()
        with pytest.raises(ZeroDivisionError):
            await text_of(streams.map_text(source, lambda text: text * (1 // 0)))
        assert source.closed


class TestBuffer:
    async def test_all_chunks_come_in_order(self) -> None:
        source = Source(20)
        async with streams.buffer(source, 3) as chunks:
            assert await text_of(chunks) == "".join(str(n) for n in range(1, 21))
        assert source.closed
        assert await others() == 0

    @pytest.mark.parametrize("size", [1, 4])
    async def test_it_reads_ahead_but_not_farther_than_asked(self, size: int) -> None:
        source = Source(20)
        async with streams.buffer(source, size) as chunks:
            await settle()
            assert source.read == size
            await anext(chunks)
            await settle()
            assert source.read == size + 1
        assert source.closed
        assert await others() == 0

    async def test_an_error_comes_after_the_chunks_before_it(self) -> None:
        source = Source(2, StreamInterruptedError("cut"))
        seen = []
        async with streams.buffer(source, 8) as chunks:
            await settle()
            with pytest.raises(StreamInterruptedError):
                async for chunk in chunks:
                    seen.append(chunk.delta)  # noqa: PERF401 -- what came before the error
            with pytest.raises(StopAsyncIteration):
                await anext(chunks)
        assert seen == ["1", "2"]
        assert source.closed

    async def test_leaving_before_the_first_step_closes_the_source(self) -> None:
        source = Source()
        async with streams.buffer(source, 2):
            pass
        assert (source.closed, source.read) == (1, 0)
        assert await others() == 0

    async def test_leaving_by_an_error_closes_the_source(self) -> None:
        source = Source()
        with pytest.raises(KeyError):
            async with streams.buffer(source, 2) as chunks:
                await anext(chunks)
                raise KeyError
        assert source.closed == 1
        assert await others() == 0

    async def test_a_source_that_waits_is_interrupted(self) -> None:
        stopped: list[str] = []

        async def source() -> AsyncIterator[StreamChunk]:
            try:
                yield StreamChunk(delta="a")
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped.append("cancelled")
                raise
            finally:
                stopped.append("closed")

        async with streams.buffer(source(), 2) as chunks:
            assert (await anext(chunks)).delta == "a"
            await settle()
        assert stopped == ["cancelled", "closed"]
        assert await others() == 0

    async def test_cancelling_the_consumer_passes_and_closes(self) -> None:
        source = Source()
        source.gate = asyncio.Event()

        async def consume() -> None:
            async with streams.buffer(source, 2) as chunks:
                await anext(chunks)

        task = asyncio.create_task(consume())
        await settle()
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError, match="why"):
            await task
        assert source.closed == 1
        assert await others() == 0

    async def test_cancelling_twice_leaves_nothing_either(self) -> None:
        """The second cancellation falls into the clean-up."""
        closing = asyncio.Event()
        go_on = asyncio.Event()

        class Slow(Source):
            async def aclose(self) -> None:
                closing.set()
                await go_on.wait()
                await super().aclose()

        source = Slow()

        async def consume() -> None:
            async with streams.buffer(source, 2) as chunks:
                await anext(chunks)

        task = asyncio.create_task(consume())
        await closing.wait()
        task.cancel()
        await settle()
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.closed == 1
        assert await others() == 0

    async def test_a_cancelled_read_loses_no_chunk(self) -> None:
        source = Source(3)
        source.gate = asyncio.Event()
        async with streams.buffer(source, 1) as chunks:
            reading = asyncio.create_task(anext(chunks))  # type: ignore[arg-type]  # a coroutine
            await settle()
            reading.cancel()
            await settle()
            assert reading.cancelled()
            source.gate.set()
            assert await text_of(chunks) == "123"

    async def test_a_source_that_cancels_itself_is_not_an_end(self) -> None:
        source = Source(1, asyncio.CancelledError("inside"))
        async with streams.buffer(source, 2) as chunks:
            assert (await anext(chunks)).delta == "1"
            with pytest.raises(asyncio.CancelledError, match="inside"):
                await anext(chunks)

    async def test_it_is_entered_once_and_holds_at_least_one(self) -> None:
        with pytest.raises(ValueError, match="must be at least 1, got 0"):
            streams.buffer(Source(), 0)
        shared = streams.buffer(Source(), 1)
        async with shared:
            pass
        with pytest.raises(RuntimeError, match="stream can be shared only once"):
            async with shared:
                pass


class TestTee:
    async def test_every_consumer_gets_everything(self) -> None:
        source = Source(30)
        async with streams.tee(source, 3, size=2) as branches:
            texts = await asyncio.gather(*map(text_of, branches))
        assert set(texts) == {"".join(str(n) for n in range(1, 31))}
        assert source.closed
        assert source.read == 30
        assert await others() == 0

    async def test_short_streams_can_be_read_one_after_the_other(self) -> None:
        async with streams.tee(Source(5)) as (first, second):
            assert await collect(first) == await collect(second) == AIMessage("12345")

    async def test_the_slowest_bounds_the_others(self) -> None:
        source = Source(20)
        async with streams.tee(source, 2, size=3) as (fast, slow):
            reading = asyncio.create_task(text_of(fast))
            await settle()
            assert source.read == 3
            await anext(slow)
            await settle()
            assert source.read == 4
            await slow.aclose()
            assert await reading == "".join(str(n) for n in range(1, 21))

    async def test_an_error_reaches_each_consumer(self) -> None:
        source = Source(2, StreamInterruptedError("cut"))
        async with streams.tee(source, 2) as branches:
            for branch in branches:
                assert (await anext(branch)).delta == "1"
                assert (await anext(branch)).delta == "2"
                with pytest.raises(StreamInterruptedError):
                    await anext(branch)
                with pytest.raises(StopAsyncIteration):
                    await anext(branch)

    async def test_the_source_is_closed_when_the_last_consumer_leaves(self) -> None:
        source = Source(100)
        async with streams.tee(source, 2, size=4) as (first, second):
            async with aclosing(first), second:
                await anext(first)
                await first.aclose()
                await settle()
                assert not source.closed
                await anext(second)
            assert source.closed == 1
            assert await others() == 0
            with pytest.raises(StopAsyncIteration):
                await anext(second)

    async def test_a_consumer_that_waits_is_told_when_its_branch_is_closed(self) -> None:
        source = Source(1)
        source.gate = asyncio.Event()
        async with streams.tee(source, 2) as (first, second):
            reading = asyncio.create_task(text_of(first))
            await settle()
            await first.aclose()
            assert await reading == ""
            source.gate.set()
            assert await text_of(second) == "1"

    async def test_a_source_without_aclose_will_do(self) -> None:
        class Plain:
            async def __anext__(self) -> StreamChunk:
                raise StopAsyncIteration

            def __aiter__(self) -> Plain:
                return self

        async with streams.tee(Plain()) as (first, second):
            assert await collect(first) == await collect(second) == AIMessage()

    async def test_a_source_that_cannot_be_read_again_says_so(self) -> None:
        class Used:
            def __aiter__(self) -> AsyncIterator[StreamChunk]:
                raise RuntimeError("stream can be iterated only once")

        async with streams.tee(Used()) as (first, second):
            for branch in (first, second):
                with pytest.raises(RuntimeError, match="only once"):
                    await anext(branch)


async def test_they_can_be_stacked() -> None:
    source = Source(4)
    mapped = streams.map_text(source, lambda text: f"{text};")
    async with streams.buffer(mapped, 2) as ahead, streams.tee(ahead, 2) as (first, second):
        assert await asyncio.gather(text_of(first), text_of(second)) == ["1;2;3;4;"] * 2
    assert source.closed
    assert await others() == 0


async def test_a_stream_that_was_closed_before_says_so() -> None:
    """`anext` with a default would have the interpreter crash."""
    stream = MockChatModel(["one two"]).stream("hi")
    await stream.aclose()
    async with streams.tee(stream) as (one, other):
        for branch in (one, other):
            with pytest.raises(RuntimeError, match="closed before it was iterated"):
                await anext(branch)

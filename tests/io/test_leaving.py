"""Leaving a call stops the server, and leaves nothing behind, through any number of layers."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

import pytest
from support.leaving import best_of_three, by_aclose, by_break, by_cancel, by_exception

import beluga_llm as llm
from beluga_llm.testing import FakeServer

LONG = "word " * 2000


async def passing(
    request: llm.ChatRequest, call_next: llm.CallNext
) -> AsyncGenerator[llm.StreamChunk, None]:
    async for chunk in call_next(request):
        yield chunk


class Wrapper(llm.DelegatingChatModel):
    """A model around a model."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """In a thread of its own, so that all tasks of the test's loop are ours."""
    with FakeServer() as running:
        yield running


def connect(server: FakeServer, layers: int = 0) -> llm.ChatModel:
    model = llm.create("openai-compatible/m", base_url=server.base_url("chat"), api_key="key-1")
    return model.with_middleware(*[passing] * layers)


def connections(model: llm.ChatModel) -> int:
    """Connections that are in use."""
    return model.unwrap()._transport.connections  # type: ignore[attr-defined]  # an HttpModel's


async def _text_break(stream: llm.ChatStream) -> None:
    async with stream:
        async for _ in stream.text():
            break


@pytest.mark.row("PAIN-03", "STRE-04", "STRE-06", "STRE-07", "CHAT-09", "NONE-03")
@pytest.mark.parametrize("layers", [0, 1, 5])
@pytest.mark.parametrize("leave", [by_break, by_aclose, _text_break, by_exception, by_cancel])
@pytest.mark.parametrize("wrapped", [False, True])
async def test_the_server_sees_the_disconnect_within_100_ms(
    server: FakeServer,
    layers: int,
    leave: Callable[[llm.ChatStream], Awaitable[None]],
    *,
    wrapped: bool,
) -> None:
    async def seconds() -> float:
        server.reply(LONG, chunk_delay=0.001)
        model = connect(server, layers)
        async with Wrapper(model) if wrapped else model as asked:
            stream = asked.stream("hi")
            await leave(stream)
            left = time.monotonic()
            gone = await server.disconnected(server.requests[-1], within=20.0)
            assert connections(asked) == 0
            assert stream.state == "closed"
        assert len(asyncio.all_tasks()) == 1
        return gone - left

    await best_of_three(seconds)


@pytest.mark.row("STRE-05", "STRE-07")
async def test_a_dropped_stream_disconnects_at_once_without_garbage_collection(
    server: FakeServer,
) -> None:
    async def seconds() -> float:
        server.reply(LONG, chunk_delay=0.001)
        async with connect(server, 3) as model:
            gc.disable()
            try:
                async for chunk in model.stream("hi"):
                    if chunk.delta:
                        break
                left = time.monotonic()
                assert connections(model) == 0
                gone = await server.disconnected(server.requests[-1], within=20.0)
            finally:
                gc.enable()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == 1
        return gone - left

    await best_of_three(seconds)


@pytest.mark.row("CHAT-09", "PAIN-03")
@pytest.mark.parametrize("where", ["head", "body"])
async def test_cancelling_generate_disconnects(server: FakeServer, where: str) -> None:
    async def seconds() -> float:
        if where == "head":
            server.reply(silent=True)
        else:
            server.reply(LONG, stall_after=200)
        async with connect(server, 2) as model:
            task = asyncio.create_task(model.generate("hi"))
            seen = await server.received(len(server.requests) + 1)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            left = time.monotonic()
            gone = await server.disconnected(seen, within=20.0)
            assert connections(model) == 0
        return gone - left

    await best_of_three(seconds)


@pytest.mark.row("STRE-04")
async def test_a_stream_that_was_read_to_its_end_keeps_the_connection(server: FakeServer) -> None:
    server.reply("Hello", times=3)
    async with connect(server) as model:
        for _ in range(3):
            assert (await model.stream("hi").response()).text == "Hello"
        assert server.open_connections == 1


@pytest.mark.row("PAIN-04", "CHAT-09")
async def test_a_storm_of_cancellations_leaves_nothing(server: FakeServer) -> None:
    """1000 calls, cancelled once or twice at random points, then a burst that works."""
    asyncio.get_running_loop().set_debug(False)  # it would remember where each step came from
    seed = random.randrange(1_000_000)
    print("seed", seed)  # to repeat a failure
    chance = random.Random(seed)
    server.default = "one two three four five six seven eight"
    gate = asyncio.Semaphore(50)

    async def victim(model: llm.ChatModel, number: int) -> None:
        async with gate:
            if number % 2:
                task = asyncio.create_task(model.generate(f"q{number}"))
            else:
                task = asyncio.create_task(model.stream(f"q{number}").response())
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)
            for _ in range(chance.choice((1, 2))):
                task.cancel()
                await asyncio.sleep(0)
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(outcome, llm.AIMessage | asyncio.CancelledError):
                raise AssertionError(outcome)

    async with connect(server, 2) as model:
        await asyncio.gather(*(victim(model, number) for number in range(1000)))
        assert connections(model) == 0
        replies = await asyncio.gather(*(model.generate(f"b{n}") for n in range(50)))
        assert {reply.text for reply in replies} == {server.default}
        assert connections(model) == 0
    assert len(asyncio.all_tasks()) == 1
    await server.idle()


@pytest.mark.row("CHAT-13")
async def test_closing_the_model_lets_running_calls_end(server: FakeServer) -> None:
    server.reply("one two three", chunk_delay=0.001)
    server.reply("again")
    model = connect(server)
    async with model.stream("hi") as stream:
        await anext(stream)
        await model.aclose()
        await model.bind_tools([{"name": "f"}]).aclose()
        assert (await stream.response()).text == "one two three"
    await server.idle()
    assert (await model.generate("hi")).text == "again"
    await model.aclose()
    await server.idle()


@pytest.mark.row("CHAT-07")
async def test_a_hundred_mixed_calls_keep_their_answers(server: FakeServer) -> None:
    server.default = lambda seen: seen.json["messages"][-1]["content"]
    async with connect(server, 1) as model:

        async def ask(number: int) -> str:
            if number % 2:
                return (await model.generate(f"q{number}")).text
            return (await model.bind_tools([{"name": "f"}]).stream(f"q{number}").response()).text

        answers = await asyncio.gather(*(ask(number) for number in range(100)))
    assert answers == [f"q{number}" for number in range(100)]

"""One model works in any event loop, and says so when it is forgotten."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable, Iterator

import pytest
from support.leaving import by_aclose, by_break, by_cancel, by_exception

import beluga_llm as llm
from beluga_llm.testing import FakeServer


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer("Hello") as running:
        yield running


@pytest.fixture(scope="module")
def shared(server: FakeServer) -> llm.ChatModel:
    """A model made outside of any loop."""
    return connect(server)


def connect(server: FakeServer) -> llm.ChatModel:
    return llm.create("openai-compatible/m", base_url=server.base_url("chat"))


async def talk(model: llm.ChatModel) -> None:
    assert (await model.generate("hi")).text == "Hello"
    assert (await model.stream("hi").response()).text == "Hello"


@pytest.mark.row("PAIN-05", "CHAT-27", "CHAT-13")
def test_one_model_over_three_runs(server: FakeServer) -> None:
    models = [connect(server)]

    async def run() -> None:
        async with models[0] as model:
            await talk(model)
        await model.aclose()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            asyncio.run(run(), debug=True)
        models.clear()
        gc.collect()


@pytest.mark.row("PAIN-05", "CHAT-27")
@pytest.mark.parametrize("runs", [1, 3])
def test_an_unclosed_model_gives_one_warning_that_names_it(server: FakeServer, runs: int) -> None:
    model = connect(server)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(runs):
            asyncio.run(talk(model))
        del model
        gc.collect()
    assert [str(warning.message) for warning in caught] == [
        "unclosed model openai-compatible/m: use 'async with model' or 'await model.aclose()'"
    ]
    assert caught[0].category is ResourceWarning


@pytest.mark.row("CHAT-27")
def test_a_model_dropped_inside_a_loop_warns_and_closes(server: FakeServer) -> None:
    async def run() -> None:
        model = connect(server)
        await talk(model)
        del model
        gc.collect()
        await server.idle()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(run())
    assert [warning.category for warning in caught] == [ResourceWarning]


def test_a_model_that_was_never_used_has_nothing_to_close(server: FakeServer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(connect(server).aclose())
        gc.collect()


def test_a_stream_left_open_at_the_end_of_the_loop_makes_no_noise(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.reply("word " * 500, chunk_delay=0.001)
    model = connect(server)
    kept = []

    async def run() -> None:
        async with model:
            stream = model.stream("hi")
            await anext(stream)
            kept.append(stream)

    asyncio.run(run())
    assert kept[0].state == "closed"
    assert caplog.text == ""


@pytest.mark.row("PAIN-05", "TEST-28")
@pytest.mark.asyncio(loop_scope="function")
class TestFunctionScope:
    async def test_first(self, shared: llm.ChatModel) -> None:
        async with shared:
            await talk(shared)

    async def test_second(self, shared: llm.ChatModel) -> None:
        async with shared:
            await talk(shared)


@pytest.mark.row("PAIN-05", "TEST-28")
@pytest.mark.asyncio(loop_scope="module")
class TestModuleScope:
    async def test_first(self, shared: llm.ChatModel) -> None:
        await talk(shared)

    async def test_second(self, shared: llm.ChatModel) -> None:
        async with shared:
            await talk(shared)


@pytest.mark.row("PAIN-05", "TEST-28")
@pytest.mark.asyncio(loop_scope="session")
async def test_session_scope(shared: llm.ChatModel) -> None:
    async with shared:
        await talk(shared)


@pytest.mark.row("NONE-07", "STRE-04", "PAIN-03")
@pytest.mark.parametrize("leave", [by_break, by_aclose, by_exception, by_cancel])
def test_uvloop_changes_nothing(
    server: FakeServer, leave: Callable[[llm.ChatStream], Awaitable[None]]
) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not there for this platform")

    async def run() -> None:
        async with connect(server) as model:
            await talk(model)
            server.reply("word " * 2000, chunk_delay=0.001)
            stream = model.stream("hi")
            await leave(stream)
            await server.disconnected(server.requests[-1], within=20.0)
            assert stream.state == "closed"
            server.reply(silent=True)
            with pytest.raises(llm.RequestTimeoutError):
                await model.generate("hi", timeout=0.02)
        assert len(asyncio.all_tasks()) == 1

    with asyncio.Runner(debug=True, loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())

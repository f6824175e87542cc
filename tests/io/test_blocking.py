"""Calls without an event loop of one's own, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

import beluga_llm as llm
from beluga_llm import blocking
from beluga_llm.testing import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A fake server in a thread of its own."""
    with FakeServer("one two three") as running:
        yield running


@pytest.fixture
def model(server: FakeServer) -> Iterator[llm.ChatModel]:
    """A model that is held until everything is closed."""
    made = llm.create("openai-compatible/m", base_url=server.base_url())
    yield made
    blocking.close()


@pytest.mark.row("CHAT-28")
def test_calls_share_connections_which_close_with_the_loop(
    server: FakeServer, model: llm.ChatModel
):
    assert [blocking.generate(model, "hi").text for _ in range(3)] == ["one two three"] * 3
    with blocking.stream(model, "hi") as stream:
        assert "".join(stream.text()) == "one two three"
    assert server.open_connections == 1
    blocking.close()
    asyncio.run(server.disconnected(within=20.0))
    assert blocking.generate(model, "hi").text == "one two three"


@pytest.mark.row("CHAT-28", "PAIN-03")
@pytest.mark.parametrize("leaves_by", ["close", "exception", "dropping"])
def test_leaving_a_stream_disconnects(server: FakeServer, model: llm.ChatModel, leaves_by: str):
    server.reply("one two three", stall_after=600)
    if leaves_by == "dropping":
        assert next(blocking.stream(model, "hi")).delta is not None
    elif leaves_by == "close":
        stream = blocking.stream(model, "hi")
        next(stream)
        stream.close()
    else:
        with pytest.raises(ZeroDivisionError), blocking.stream(model, "hi") as stream:
            next(stream)
            raise ZeroDivisionError
    asyncio.run(server.disconnected(within=20.0))


@pytest.mark.row("CHAT-28")
def test_a_model_may_be_used_by_loops_and_blocking_calls_alike(model: llm.ChatModel):

    async def ask() -> str:
        async with model:
            return (await model.generate("hi")).text

    assert asyncio.run(ask()) == blocking.generate(model, "hi").text == asyncio.run(ask())

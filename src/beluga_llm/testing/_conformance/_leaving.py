"""Leaving: however a call is left, the server sees it at once and nothing stays behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from beluga_llm._chat_stream import ChatStream
from beluga_llm._messages import AIMessage
from beluga_llm._model import ChatModel
from beluga_llm.testing._conformance._base import (
    Conformance,
    ask,
    both,
    check,
    in_use,
    no_tasks_left,
)
from beluga_llm.testing._conformance._samples import LONG
from beluga_llm.testing._server import FakeServer

AT_ONCE = 0.1
"""Seconds within which a server sees that its client has left."""


async def _break(stream: ChatStream) -> None:
    async with stream:
        async for chunk in stream:
            if chunk.delta:
                break


async def _aclose(stream: ChatStream) -> None:
    async for chunk in stream:  # pragma: no branch  # it is left in the middle
        if chunk.delta:
            break
    await stream.aclose()
    await stream.aclose()


async def _error(stream: ChatStream) -> None:
    async def consume() -> None:
        async with stream:
            async for chunk in stream:
                if chunk.delta:
                    raise LookupError("the consumer's own")

    with pytest.raises(LookupError, match="the consumer's own"):
        await consume()


async def _cancel(stream: ChatStream) -> None:
    started = asyncio.Event()

    async def consume() -> None:
        async with stream:
            async for chunk in stream:
                if chunk.delta:
                    started.set()

    task = asyncio.ensure_future(consume())
    await started.wait()
    await cancelled(task)


WAYS: Mapping[str, Callable[[ChatStream], Awaitable[None]]] = {
    "break": _break,
    "aclose": _aclose,
    "exception": _error,
    "cancel": _cancel,
}


async def cancelled(task: asyncio.Future[Any]) -> None:
    """Cancels a task, which must end as cancelled tasks do."""
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), f"CancelledError did not pass: {task!r}"


class LeavingChecks(Conformance):
    """Cancellation before, during and in the middle; break, aclose, errors of the consumer."""

    async def seen_at_once(self, seconds: Callable[[], Awaitable[float]]) -> None:
        """Holds a measured time to 100 ms; a busy machine may spoil two measurements of three."""
        measured = []
        for _ in range(3):
            measured.append(await seconds())
            if measured[-1] < AT_ONCE:
                return
        pytest.fail(f"the server saw the disconnect after {measured} seconds")

    @pytest.mark.parametrize("way", WAYS)
    @check
    async def test_leaving_a_stream_stops_the_server(
        self, model: ChatModel, server: FakeServer, way: str
    ) -> None:
        """break, aclose, an exception, a cancellation: the connection closes within 100 ms."""
        self.http()
        self.able(model, "streaming")

        async def seconds() -> float:
            self.says(server, LONG, chunk_delay=0.001)
            stream = model.stream("Hello")
            await WAYS[way](stream)
            left = time.monotonic()
            assert stream.state == "closed"
            gone = await server.disconnected(server.requests[-1], within=self.patience / 2)
            assert in_use(model) == 0
            await no_tasks_left()
            return gone - left

        await self.seen_at_once(seconds)

    @check
    async def test_a_dropped_stream_stops_the_server(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """A stream that nobody refers to any more is closed, without an `async with`."""
        self.http()
        self.able(model, "streaming")

        async def seconds() -> float:
            self.says(server, LONG, chunk_delay=0.001)
            async for chunk in model.stream("Hello"):  # pragma: no branch  # likewise
                if chunk.delta:
                    break
            left = time.monotonic()
            gone = await server.disconnected(server.requests[-1], within=self.patience / 2)
            return gone - left

        await self.seen_at_once(seconds)

    @pytest.mark.parametrize("where", ["head", "body"])
    @both
    @check
    async def test_cancelling_a_call_stops_the_server(
        self, model: ChatModel, server: FakeServer, kind: str, where: str
    ) -> None:
        """A call is cancelled while it waits for the answer, or for the rest of it."""
        self.http()

        async def seconds() -> float:
            if where == "head":
                self.says(server, "", silent=True)
            else:
                self.says(server, LONG, stall_after=50)
            task = asyncio.ensure_future(ask(model, kind))
            seen = await server.received(len(server.requests) + 1)
            await asyncio.sleep(0.005 if where == "body" else 0)  # till the beginning is here
            await cancelled(task)
            left = time.monotonic()
            gone = await server.disconnected(seen, within=self.patience / 2)
            assert in_use(model) == 0
            return gone - left

        await self.seen_at_once(seconds)

    @both
    @check
    async def test_a_call_that_is_cancelled_before_it_begins(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """Nothing is sent."""
        await cancelled(asyncio.ensure_future(ask(model, kind)))
        assert server.requests == []

    @both
    @check
    async def test_cancelling_at_any_point(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """A call ends with its answer or with CancelledError, and the next one works."""
        self.always(server, "one two three")
        for steps in range(0, 30, 2):
            task = asyncio.ensure_future(ask(model, kind))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            if not isinstance(outcome, AIMessage | asyncio.CancelledError):
                raise AssertionError(f"cancelled after {steps} steps: {outcome!r}")
        assert in_use(model) == 0
        assert isinstance(await ask(model, kind), AIMessage)

    @check
    async def test_a_stream_that_was_not_read_sends_nothing(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """`stream()` itself does no work, and closing it is no error."""
        states = []
        async with model.stream("Hello") as stream:
            states.append(stream.state)
        states.append(stream.state)
        assert states == ["pending", "closed"]
        assert server.requests == []

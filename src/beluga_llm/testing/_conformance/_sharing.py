"""Sharing: one model serves any number of tasks, copies and event loops."""

from __future__ import annotations

import asyncio
import time

import pytest

from beluga_llm._messages import AIMessage
from beluga_llm._model import ChatModel
from beluga_llm.testing._conformance._base import (
    Conformance,
    ask,
    both,
    check,
    no_tasks_left,
    warned,
)
from beluga_llm.testing._conformance._samples import CLOCK, HELLO, LONG, WEATHER
from beluga_llm.testing._reply import Seen
from beluga_llm.testing._server import FakeServer

BLOCKED = 0.1
"""Seconds after which others notice that the event loop stands still."""


class Pauses:
    """How long the event loop stands still at most, as a task beside others sees it."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        """Looks until it is cancelled."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(0)
            now = time.monotonic()
            self.longest, before = max(self.longest, now - before), now


class SharingChecks(Conformance):
    """Tasks, copies, loops, and closing."""

    @check
    async def test_a_hundred_calls_at_once_keep_their_answers(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """Mixed calls of a model and its copies do not see each other's answers."""

        def repeat(seen: Seen) -> str:
            return self.read(seen).messages[-1].text

        self.always(server)
        if self.api is not None:
            server.default = repeat

        async def call(number: int) -> AIMessage:
            copy = model if number % 3 else model.bind_tools([CLOCK])
            return await ask(copy, "stream" if number % 2 else "generate", f"question {number}")

        with warned():  # that tools are not supported
            replies = await asyncio.gather(*(call(number) for number in range(100)))
        if self.api is not None:
            expected = [f"question {number}" for number in range(100)]
            assert [reply.text for reply in replies] == expected

    @check
    async def test_calls_do_not_wait_for_each_other(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """While one stream is held up, other calls are answered."""
        self.http()
        self.able(model, "streaming")
        self.says(server, LONG, stall_after=8000)
        self.says(server, times=2)
        async with model.stream("Hello") as stream:
            await anext(stream)
            await ask(model, "generate")
            await ask(model, "stream")

    @check
    async def test_the_event_loop_is_not_blocked(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """Other tasks go on while a call runs; a busy machine may spoil two tries of three."""
        self.says(server, times=6)
        longest = []
        for _ in range(3):
            pauses = Pauses()
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(pauses.watch())
                await asyncio.sleep(0)
                await ask(model, "generate")
                await ask(model, "stream")
                watch.cancel()
            longest.append(pauses.longest)
            if longest[-1] < BLOCKED:
                break
        else:
            pytest.fail(f"the event loop stood still for {longest} seconds")
        server.reset()

    def test_three_event_loops(self, model: ChatModel, server: FakeServer) -> None:
        """One model works in one `asyncio.run` after the other, closed in each."""
        self.find_api(model)

        async def run() -> None:
            self.says(server, times=2)
            async with model:
                await ask(model, "generate")
                await ask(model, "stream")
            await no_tasks_left()

        for _ in range(3):
            asyncio.run(run())

    @check
    async def test_closing_twice_is_no_error(self, model: ChatModel, server: FakeServer) -> None:
        """`aclose` may be called at any time and again; a later call opens new connections."""
        await model.aclose()
        self.says(server, times=2)
        await ask(model, "generate")
        await model.aclose()
        await model.aclose()
        await ask(model, "stream")
        async with model:
            await model.aclose()

    @check
    async def test_closing_lets_running_calls_end(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """A stream that is being read is not cut off by `aclose`."""
        self.says(server, HELLO, chunk_delay=0.001)
        async with model.stream("Hello") as stream:
            await anext(stream)
            await model.aclose()
            reply = await stream.response()
        if self.api is not None:
            assert reply.text == HELLO.text

    @both
    @check
    async def test_copies_leave_the_original_alone(
        self, model: ChatModel, server: FakeServer, kind: str
    ) -> None:
        """What is bound to a copy is in its requests, and in nobody else's."""
        self.wire()
        self.able(model, "tools")
        self.says(server, times=4)
        await ask(model, kind)
        one, two = model.bind_tools([WEATHER]), model.bind_tools([CLOCK])
        limited = one.with_options(max_tokens=33)
        for copy in (limited, two, model):
            await ask(copy, kind)
        first, with_one, with_two, last = map(self.read, server.requests)
        assert last == first
        assert server.requests[0].json == server.requests[3].json
        assert [tool.name for tool in with_one.tools] == ["get_weather"]
        assert [tool.name for tool in with_two.tools] == ["get_time"]
        assert with_one.options.max_tokens == 33
        assert with_two.options.max_tokens != 33

"""Few connections that many commands share, without a server and with one."""

from __future__ import annotations

import asyncio
import contextlib
import math
from contextlib import AsyncExitStack
from typing import Any

import pytest

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")

from redis import asyncio as redis

from beluga_llm import StoreError
from beluga_llm_redis import RedisCache, RedisLimiter
from beluga_llm_redis._connections import Connections
from beluga_llm_redis._loops import PerLoop

from .limiters import Fleet, demand


class Client:
    """Knows whether it was closed."""

    closed = False

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.row("DIST-01")
async def test_no_more_than_so_many_use_it_at_once():
    connections, inside, most = Connections(Client(), 3, None), 0, 0

    async def use() -> None:
        nonlocal inside, most
        async with connections:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*[use() for _ in range(20)])
    assert most == 3


@pytest.mark.row("DIST-01")
async def test_nobody_waits_for_a_connection_while_none_is_answered():
    connections = Connections(Client(), 1, 0.01)
    async with connections:
        with pytest.raises(TimeoutError, match="there is no answer on any connection"):
            async with connections:
                pass


@pytest.mark.row("DIST-01")
async def test_one_who_waits_goes_on_while_others_are_answered():
    connections, heard = Connections(Client(), 1, 0.01), asyncio.Event()
    connections._answered = math.inf  # just now, whenever that is

    async def wait() -> None:
        async with connections:
            heard.set()

    async with connections:
        waiting = asyncio.create_task(wait())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):  # five times its patience
                await heard.wait()
        assert not waiting.done()
    await waiting
    assert heard.is_set()


@pytest.mark.row("DIST-01", "RATE-07")
async def test_one_who_is_cancelled_takes_no_connection_along():
    connections = Connections(Client(), 2, 5.0)

    async def use() -> None:
        async with connections:
            await asyncio.Event().wait()

    for free in (True, False):  # cancelled inside, and while it waits
        async with connections, AsyncExitStack() as stack:
            if not free:
                await stack.enter_async_context(connections)
            task = asyncio.create_task(use())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
    async with connections, connections:
        pass


@pytest.mark.row("DIST-01")
async def test_closing_waits_for_the_commands_under_way():
    client = Client()
    connections, done = Connections(client, 2, None), list[bool]()

    async def work() -> None:
        async with connections:
            await asyncio.sleep(0)
            done.append(client.closed)

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    await connections.aclose()
    await working
    assert done == [False]
    assert client.closed


@pytest.mark.row("DIST-01")
async def test_closing_that_is_cancelled_closes_at_once():
    client = Client()
    connections = Connections(client, 2, None)
    async with connections:
        closing = asyncio.create_task(connections.aclose())
        await asyncio.sleep(0)
        assert not client.closed
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        assert client.closed


@pytest.mark.row("DIST-01")
async def test_what_is_used_while_it_is_closed_is_another_one():
    closing, made = asyncio.Event(), list[int]()

    def make() -> int:
        made.append(len(made))
        return made[-1]

    async def close(one: int) -> None:
        if one == 0:
            closing.set()
            await asyncio.sleep(0)

    things = PerLoop(make, close)
    assert things.get() == things.get() == 0
    closer = asyncio.create_task(things.aclose())
    await closing.wait()
    assert things.get() == 1
    await closer
    assert list(things.here()) == list(things.all()) == [1]
    await things.aclose()
    await things.aclose()
    assert not list(things.here())


async def connections_made(url: str) -> int:
    async with redis.Redis.from_url(url) as client:
        return int((await client.info("stats"))["total_connections_received"])


@pytest.mark.row("DIST-01", "CACH-10")
@pytest.mark.parametrize(("parameters", "most"), [("", 8), ("?max_connections=2", 2)])
async def test_a_crowd_of_reads_needs_few_connections(url: str, parameters: str, most: int):
    """redis-py refuses the hundred and first at once."""
    asyncio.get_running_loop().set_debug(False)  # which costs more than the commands
    before = await connections_made(url)
    async with RedisCache(url + parameters, timeout=9.0) as cache:
        assert await asyncio.gather(*[cache.get("x") for _ in range(150)]) == [None] * 150
    assert await connections_made(url) - before <= most + 1  # that of this test


@pytest.mark.row("DIST-01")
async def test_the_accounts_of_a_limiter_share_its_connections(url: str):
    asyncio.get_running_loop().set_debug(False)  # which costs more than the commands
    before = await connections_made(url)
    needs = [demand(rpm=99, key=("acme", f"{number}", "k", "m")) for number in range(20)]
    async with Fleet(url, count=1, name=None, timeout=9.0) as fleet:
        await asyncio.gather(*[fleet.take(0, need) for need in needs for _ in range(5)])
    assert await connections_made(url) - before <= 8 + 1


@pytest.mark.row("DIST-01")
async def test_a_limiter_that_is_closed_while_it_is_asked_leaves_no_connection(url: str):
    limiter = RedisLimiter(url, timeout=9.0)
    asking = [asyncio.create_task(limiter.take(demand(rpm=99))) for _ in range(20)]
    await asyncio.sleep(0)
    await limiter.aclose()
    places: list[Any] = await asyncio.gather(*asking)
    assert len(places) == 20
    await limiter.aclose()


@pytest.mark.row("DIST-01")
async def test_of_many_who_ask_a_redis_that_hangs_none_waits_long(absent: Any):
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", absent.port)
    async with RedisCache(absent.url, timeout=0.05) as cache, asyncio.timeout(20):
        asked = [cache.get("x") for _ in range(40)]
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(one, StoreError) for one in errors)
        assert sum("no answer on any connection" in str(one) for one in errors) >= 8
    server.close()
    await server.wait_closed()

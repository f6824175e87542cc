"""No Redis: at the start, in the middle, for a while; and a Redis that has lost everything."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
import signal
import socket
from typing import Any

import pytest

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")

from beluga_llm import AIMessage, ConfigError, ProviderLimits, StoreError, with_limits
from beluga_llm.plugin import LimitDemand, LimitRefusal
from beluga_llm.testing import MockChatModel
from beluga_llm_redis import RedisCache, RedisLimiter, RedisSessionStore
from beluga_llm_redis._alone import share
from beluga_llm_redis._place import RedisPlace

from .inside import sessions_of, told, tries_again

KEY = ("acme", "", "k", "m")
SLOTS = LimitDemand(KEY, ProviderLimits(max_concurrent=3, adaptive=False))


async def taken(limiter: RedisLimiter, demand: LimitDemand = SLOTS) -> RedisPlace:
    answer = await limiter.take(demand)
    assert isinstance(answer, RedisPlace), answer
    return answer


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    ours = [one for one in caplog.records if one.name.startswith("beluga_llm")]
    return [one.getMessage() for one in ours if one.levelno >= logging.WARNING]


@pytest.mark.row("DIST-01")
async def test_without_redis_from_the_start_the_limits_are_those_of_the_process(
    absent: Any, caplog: pytest.LogCaptureFixture
):
    async with RedisLimiter(absent.url) as limiter:
        layer = with_limits(ProviderLimits(rpm=3, on_limit="raise"), store=limiter)
        model = MockChatModel(["fine"] * 9).with_middleware(layer)
        results = await asyncio.gather(
            *[model.generate("hi") for _ in range(5)], return_exceptions=True
        )
        tries_again(limiter)
        results += await asyncio.gather(model.generate("hi"), return_exceptions=True)
    failed = [str(one) for one in results if not isinstance(one, AIMessage)]
    assert failed == ["[mock] rate_limit: RPM limit exceeded"] * 3
    assert len(warnings_of(caplog)) == 1
    assert f"no shared limits, Redis at 127.0.0.1:{absent.port} fails (" in caplog.text
    assert "each process keeps to its share of them until then" in caplog.text


@pytest.mark.row("DIST-01")
async def test_without_a_cluster_it_is_the_same(absent: Any, caplog: pytest.LogCaptureFixture):
    """What redis-py raises then is none of its other errors."""
    async with RedisLimiter(absent.url, cluster=True) as limiter:
        model = MockChatModel(["fine"]).with_middleware(with_limits(rpm=9, store=limiter))
        assert (await model.generate("hi")).text == "fine"
    assert len(warnings_of(caplog)) == 1
    async with RedisLimiter(absent.url, cluster=True, on_error="raise") as limiter:
        with pytest.raises(StoreError, match="no limits without Redis .RedisClusterException: "):
            await limiter.take(SLOTS)


@pytest.mark.row("DIST-01")
async def test_without_redis_requests_may_fail_if_that_is_wanted(absent: Any):
    async with RedisLimiter(absent.url, on_error="raise") as limiter:
        model = MockChatModel(["fine"]).with_middleware(with_limits(store=limiter))
        for _ in range(2):
            with pytest.raises(StoreError, match="no limits without Redis"):
                await model.generate("hi")
        assert limiter.running == 0


@pytest.mark.row("DIST-01", "DIST-02")
async def test_no_answer_is_lost_when_redis_goes_and_comes_back(
    mortal: Any, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    async with RedisLimiter(mortal.url) as limiter:
        layer = with_limits(ProviderLimits(max_concurrent=4, rpm=6000), store=limiter)
        model = MockChatModel(["fine"] * 60, delay=0.002).with_middleware(layer)

        async def some() -> None:
            answers = await asyncio.gather(*[model.generate("hi") for _ in range(20)])
            assert [one.text for one in answers] == ["fine"] * 20

        running = asyncio.create_task(some())
        while not limiter.running:
            await asyncio.sleep(0)
        await asyncio.to_thread(mortal.stop)
        await running
        await some()
        assert len(warnings_of(caplog)) == 1
        await asyncio.to_thread(mortal.start)
        tries_again(limiter)
        await some()
        assert len(warnings_of(caplog)) == 1
        assert "limits are shared again" in caplog.text
        assert limiter.running == 0


@pytest.mark.row("DIST-01")
async def test_a_redis_that_hangs_costs_its_timeout_once(
    mortal: Any, caplog: pytest.LogCaptureFixture
):
    async with RedisLimiter(mortal.url, timeout=0.2) as limiter:
        model = MockChatModel(["fine"] * 9, delay=0.001).with_middleware(with_limits(store=limiter))
        await model.generate("hi")
        os.kill(mortal.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(10):
                texts = [(await model.generate("hi", timeout=5)).text for _ in range(3)]
            assert texts == ["fine"] * 3
        finally:
            os.kill(mortal.pid, signal.SIGCONT)
    assert len(warnings_of(caplog)) == 1
    assert "TimeoutError" in caplog.text


@pytest.mark.row("DIST-01")
async def test_an_answer_does_not_wait_for_its_report(mortal: Any):
    async with RedisLimiter(mortal.url, timeout=2.0) as limiter:
        place = await taken(limiter)
        os.kill(mortal.pid, signal.SIGSTOP)
        try:
            place.release(None)
            began = asyncio.get_running_loop().time()
            await limiter.flush()
            assert asyncio.get_running_loop().time() - began < 1
        finally:
            os.kill(mortal.pid, signal.SIGCONT)


@pytest.mark.row("DIST-01", "DIST-02")
async def test_a_redis_that_has_lost_everything_learns_who_holds_slots(url: str):
    from redis import asyncio as redis

    name = secrets.token_hex(4)
    limiters = [RedisLimiter(url, name=name, lease=999.0) for _ in range(3)]
    a, b, c = limiters
    held = [await taken(a), await taken(b), await taken(c)]
    for one in limiters:
        session = sessions_of(one)[0]
        session._kept = -math.inf
        await session.ask()
    async with redis.Redis.from_url(url) as client:
        keys = [key async for key in client.scan_iter(match=f"beluga:limits:{{{name}}}:*")]
        await client.delete(*keys)
    held[0].release(None)
    for _ in range(2):  # there is room, but of two it is not known what they hold
        refusal = await a.take(SLOTS)
        assert isinstance(refusal, LimitRefusal)
        assert (refusal.name, refusal.rest > 100) == ("concurrency", True)
        await sessions_of(b)[0]._renew()
    await sessions_of(c)[0]._renew()
    await taken(a)
    assert isinstance(await a.take(SLOTS), LimitRefusal)
    for one in limiters:
        await one.aclose()


@pytest.mark.row("DIST-01", "DIST-02")
async def test_a_process_that_is_gone_is_not_waited_for_for_long(url: str):
    from redis import asyncio as redis

    name = secrets.token_hex(4)
    a, b = (RedisLimiter(url, name=name, lease=0.6) for _ in range(2))
    await taken(b)
    await taken(a)
    assert sessions_of(a)[0].peers == 2
    sessions_of(b)[0]._closed = True  # it renews nothing any more
    async with redis.Redis.from_url(url) as client:
        keys = [key async for key in client.scan_iter(match=f"beluga:limits:{{{name}}}:*")]
        await client.delete(*keys)
    layer = with_limits(ProviderLimits(max_concurrent=2, max_wait=9), store=a)
    assert (await MockChatModel(["fine"]).with_middleware(layer).generate("hi")).text == "fine"
    for one in (a, b):
        await one.aclose()


@pytest.mark.row("DIST-01", "DIST-02")
async def test_slots_taken_without_redis_are_known_to_it_afterwards(mortal: Any):
    one, other = (RedisLimiter(mortal.url, lease=60.0) for _ in range(2))
    place = await taken(one)
    await taken(other)
    for session in (*sessions_of(one), *sessions_of(other)):
        session._kept = -math.inf
        await session.ask()
        assert session.peers == 2
    await asyncio.to_thread(mortal.stop)
    assert isinstance(await one.take(SLOTS), LimitRefusal)
    place.release(None)
    await taken(one)  # its share: one of three, for two processes
    await asyncio.to_thread(mortal.start)
    tries_again(one, other)
    for limiter in (one, other):
        await sessions_of(limiter)[0]._renew()
    await taken(other)
    assert isinstance(await other.take(SLOTS), LimitRefusal)
    for limiter in (one, other):
        await limiter.aclose()


@pytest.mark.row("DIST-01", "DIST-02")
async def test_what_began_without_redis_counts_when_it_is_back(
    mortal: Any, caplog: pytest.LogCaptureFixture
):
    limits = ProviderLimits(rpm=5, tpm=1000, adaptive=False)
    demand, wanted = LimitDemand(KEY, limits, 150), LimitDemand(KEY, limits, 700)
    one, other = (RedisLimiter(mortal.url) for _ in range(2))
    await taken(other, demand)
    one._door._closed_until = math.inf  # for this process alone it is gone
    alone = [await taken(one, demand), await taken(one, demand)]
    alone[0].release(50)
    tries_again(one)
    await taken(one, demand)
    refusal = await other.take(wanted)
    assert isinstance(refusal, LimitRefusal)
    assert refusal.name == "TPM"
    alone[1].release(0)
    await told(one)
    assert isinstance(await other.take(LimitDemand(KEY, limits, 650)), RedisPlace)
    refusal = await one.take(LimitDemand(KEY, limits, 1))
    assert isinstance(refusal, LimitRefusal)
    assert refusal.name == "RPM"
    for limiter in (one, other):
        await limiter.aclose()
    assert not warnings_of(caplog)


@pytest.mark.row("DIST-01")
async def test_a_process_that_starts_without_redis_has_the_share_that_it_was_told(absent: Any):
    demand = LimitDemand(KEY, ProviderLimits(rpm=9, adaptive=False), 0)
    for processes, share_of_one in ((1, 9), (4, 2), (20, 1)):
        async with RedisLimiter(absent.url, processes=processes) as limiter:
            answers = [await limiter.take(demand) for _ in range(10)]
        assert sum(isinstance(one, RedisPlace) for one in answers) == share_of_one


@pytest.mark.row("DIST-01")
async def test_the_greater_number_of_processes_counts(url: str):
    """Of what was told, and of what was seen."""
    demand = LimitDemand(KEY, ProviderLimits(rps=12, adaptive=False), 0)
    name = secrets.token_hex(4)
    three = [RedisLimiter(url, name=name, processes=told) for told in (2, 6, 1)]
    for _ in range(2):
        for one in three:
            await taken(one, demand)
    for one, more in zip(three, (2, 0, 2), strict=True):  # a third, a sixth, a third: two are taken
        one._door._closed_until = math.inf
        answers = [await one.take(demand) for _ in range(5)]
        assert sum(isinstance(answer, RedisPlace) for answer in answers) == more
        tries_again(one)
        await one.aclose()


@pytest.mark.row("DIST-01")
def test_a_process_on_its_own_has_its_share():
    limits = ProviderLimits(rps=9, rpm=100, tpm=10_000, max_concurrent=2)
    demand = LimitDemand(KEY, limits, 4000)
    assert share(demand, 1) is demand
    quarter = share(demand, 4)
    assert quarter.limits == ProviderLimits(rps=2, rpm=25, tpm=2500, max_concurrent=1)
    assert quarter.tokens == 2500  # what is more than the share would never begin
    assert share(LimitDemand(KEY, ProviderLimits(rpm=9), 0), 3).limits == ProviderLimits(rpm=3)


@pytest.mark.row("DIST-01", "ERRO-31")
async def test_no_text_shows_a_password(mortal: Any, caplog: pytest.LogCaptureFixture):
    from redis import asyncio as redis

    caplog.set_level(logging.DEBUG)
    async with redis.Redis.from_url(mortal.url) as client:
        await client.config_set("requirepass", "another")
    secret = f"redis://:hunter2%21@127.0.0.1:{mortal.port}/0"
    async with RedisLimiter(secret, on_error="raise") as limiter:
        with pytest.raises(StoreError) as caught:
            await limiter.take(SLOTS)
        texts = [repr(limiter), str(caught.value), repr(caught.value), caplog.text]
        assert "hunter2" not in "".join(texts)
        assert "AuthenticationError" in caplog.text


@pytest.mark.row("DIST-01")
@pytest.mark.parametrize("kind", [RedisCache, RedisSessionStore])
async def test_a_store_waits_no_longer_for_redis_than_it_was_told(kind: Any):
    """Somebody listens, and says nothing: what a Redis does that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = kind(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout=0.05)
        with pytest.raises(StoreError, match="TimeoutError: Timeout"):
            async with asyncio.timeout(1.5):
                await (store.get if kind is RedisCache else store.load)("x")
        await store.aclose()
    with pytest.raises(ConfigError, match="timeout must be > 0"):
        kind(timeout=0)

"""Shared limits as a whole: what calls cost, what stays in Redis, what no number may break."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from typing import Any

import pytest

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")

from beluga_llm import ConfigError, ProviderLimits, with_limits
from beluga_llm.plugin import LimitRefusal, LimitStore
from beluga_llm.testing import MockChatModel
from beluga_llm_redis import RedisLimiter

from .inside import asks_again, opened, sessions_of
from .limiters import Fleet, demand


@pytest.mark.row("DIST-01")
async def test_a_call_costs_two_round_trips(url: str):
    async with RedisLimiter(url, name=secrets.token_hex(4)) as limiter:
        assert isinstance(limiter, LimitStore)
        limits = ProviderLimits(rpm=600, tpm=90_000, max_concurrent=20)
        model = MockChatModel(["fine"] * 10).with_middleware(with_limits(limits, store=limiter))
        await model.generate("hi")
        before = limiter._door.trips
        for _ in range(8):
            assert (await model.generate("hi")).text == "fine"
        assert limiter._door.trips - before == 16
        assert limiter.running == 0


@pytest.mark.row("DIST-01")
async def test_a_crowd_needs_few_connections(url: str, caplog: pytest.LogCaptureFixture):
    asyncio.get_running_loop().set_debug(False)  # which costs more than the calls
    async with RedisLimiter(url, name=secrets.token_hex(4), timeout=9.0) as limiter:
        limits = ProviderLimits(rpm=900, on_limit="raise")
        model = MockChatModel(["fine"] * 300).with_middleware(with_limits(limits, store=limiter))
        answers = await asyncio.gather(*[model.generate("hi") for _ in range(300)])
        assert len(answers) == 300
        assert limiter._door.trips < 600  # the ends of several are reported together
        assert "no shared limits" not in caplog.text


@pytest.mark.row("DIST-01", "RATE-08")
async def test_a_stream_that_is_left_gives_its_slot_back(url: str):
    async with RedisLimiter(url, name=secrets.token_hex(4)) as limiter:
        layer = with_limits(ProviderLimits(max_concurrent=1, max_wait=5), store=limiter)
        model = MockChatModel(["one two three", "again"]).with_middleware(layer)
        async with model.stream("hi") as stream:
            async for _ in stream:
                break
            assert limiter.running == 1
        assert (await model.generate("hi")).text == "again"


@pytest.mark.row("DIST-01")
async def test_accounts_do_not_share_their_limits_without_a_name(url: str):
    key, other = ("acme", secrets.token_hex(4), "k", "m"), ("acme", secrets.token_hex(4), "k", "m")
    async with Fleet(url, name=None) as fleet:
        await fleet.take(0, demand(rpm=1, key=key))
        await fleet.take(0, demand(rpm=1, key=other))
        assert (await fleet.refused(1, demand(rpm=1, key=(*key[:3], "n")))).name == "RPM"


@pytest.mark.row("DIST-01")
async def test_keys_lie_in_one_slot_and_expire(url: str):
    from redis import asyncio as redis

    limits = {"rps": 5, "rpm": 5, "tpm": 5000, "max_concurrent": 2, "adaptive": True}
    async with redis.Redis.from_url(url) as client, Fleet(url, prefix="expiry:") as fleet:
        need = demand(100, **limits)
        places = [await fleet.take(0, need), await fleet.take(1, need)]
        await fleet.refused(0, need)
        places[0].refused(5.0)
        places[1].accepted(None)
        await fleet.release(0, places[0], 5)
        await fleet.refused(0, need)
        await fleet.release(1, places[1])
        keys = [key async for key in client.scan_iter(match="expiry:*")]
        assert len(keys) >= 10
        for key in keys:
            assert key.startswith(b"expiry:{" + str(fleet.limiters[0].name).encode() + b"}:")
            assert 0 < await client.pttl(key) <= 305_000, key


@pytest.mark.row("DIST-01", "RATE-05")
async def test_a_window_of_requests_that_cost_nothing_comes_to_its_end(
    url: str, caplog: pytest.LogCaptureFixture
):
    """Redis takes no "-0", which is what Lua makes of nothing."""
    need = demand(600, tpm=1000)
    async with Fleet(url) as fleet:
        await fleet.release(0, await fleet.take(0, need), 0)
        fleet.time.now += 61
        await fleet.take(0, need)
        assert (await fleet.refused(1, need)).name == "TPM"
    assert "no shared limits" not in caplog.text


@pytest.mark.row("DIST-01", "RATE-13")
@pytest.mark.parametrize(
    "end",
    [
        lambda place: place.release(10**18),
        lambda place: place.release(-5),
        lambda place: place.release(12.5),
        lambda place: place.refused(math.nan),
        lambda place: place.refused(math.inf),
        lambda place: place.accepted({"retry_after": math.nan}),
        lambda place: place.accepted(
            {"requests": {"remaining": 0, "limit": 10**30, "reset": 1e-300}}
        ),
    ],
)
async def test_no_number_that_is_reported_stops_the_script(
    url: str, end: Any, caplog: pytest.LogCaptureFixture
):
    """It would be reported again and again, and with it nothing else."""
    need = demand(100, tpm=1000, adaptive=True)
    async with Fleet(url) as fleet:
        place = await fleet.take(0, need)
        end(place)
        await fleet.release(0, place)
        await fleet.limiters[0].take(need)
        assert not fleet.limiters[0]._door.failing
    assert "no shared limits" not in caplog.text


@pytest.mark.row("DIST-01", "RATE-15")
async def test_a_clock_of_redis_that_is_put_back_holds_nobody_up(url: str):
    need = demand(100, rpm=1, tpm=1000, max_concurrent=2, adaptive=True)
    async with Fleet(url) as fleet:
        place = await fleet.take(0, need)
        place.refused(30.0)
        await fleet.told(0)
        assert (await fleet.refused(1, need)).name == "RPM"
        fleet.time.now -= 3600
        for one in fleet.limiters:  # their own clocks do not go back
            asks_again(one)
            for session in sessions_of(one):
                session._kept = -math.inf
        assert (await fleet.refused(1, need)).name == "concurrency", "the other may hold slots"
        await fleet.refused(0, need)  # it has one, and who asked first gets the other
        await fleet.take(1, need)
        await fleet.release(0, place, 0)
        refusal = await fleet.refused(0, need)
        assert (refusal.name, refusal.seconds <= 61) == ("RPM", True)


@pytest.mark.row("DIST-01", "DIST-02")
async def test_every_process_knows_at_once_how_many_there_are(url: str):
    """Its share of the limits is by that number, should Redis be gone in the next moment."""
    need = demand(rps=12)
    async with Fleet(url, count=3) as fleet:
        for who in (0, 1, 2, 0, 1):
            await fleet.take(who, need)
        assert [[session.peers for session in sessions_of(one)] for one in fleet.limiters] == [
            [3]
        ] * 3


@pytest.mark.row("DIST-01")
async def test_nothing_stays_in_redis_for_ever(url: str):
    from redis import asyncio as redis

    async with Fleet(url) as fleet, redis.Redis.from_url(url) as client:
        need = demand(100, rps=2, rpm=9, tpm=1000, max_concurrent=1, adaptive=True)
        place = await fleet.take(0, need)
        await fleet.refused(1, need)
        place.refused(3.0)
        await fleet.release(0, place, 7)
        fleet.time.now += 4
        place = await fleet.take(0, need)
        place.accepted({"requests": {"remaining": 0, "limit": 60, "reset": 30.0}})
        await fleet.release(0, place, 0)
        fleet.limiters[1].leave(need)
        await fleet.told(1)
        fleet.time.now += 120
        await fleet.limiters[1].take(need)
        keys = [key async for key in client.scan_iter(match=f"*{{{fleet.limiters[0].name}}}*")]
        assert keys
        for key in keys:
            assert 0 < await client.ttl(key) <= 400, key


@pytest.mark.row("DIST-01", "RATE-02")
async def test_who_allows_more_is_not_held_by_what_one_who_allows_less_was_told(url: str):
    """Two layers around one model, with one limiter and limits of their own."""
    async with Fleet(url, count=1) as fleet:
        few, many = demand(rpm=1), demand(rpm=600)
        await fleet.take(0, few)
        assert (await fleet.refused(0, few)).seconds > 1
        await fleet.take(0, many)
        assert (await fleet.refused(0, few)).seconds > 1


@pytest.mark.row("DIST-01", "RATE-06")
async def test_no_slot_is_kept_for_one_that_waits_a_minute_for_a_window(url: str):
    async with Fleet(url, count=3) as fleet:
        few, slots = demand(rpm=1), demand(max_concurrent=1)
        await fleet.take(0, few)
        assert (await fleet.refused(0, few)).name == "RPM"
        place = await fleet.take(1, slots)
        assert (await fleet.refused(2, slots)).name == "concurrency"
        await fleet.release(1, place)
        assert (await fleet.refused(1, slots)).name == "concurrency", "the other one is awake"
        await fleet.take(2, slots)


@pytest.mark.row("DIST-01")
async def test_a_cluster(cluster: Any):
    need = demand(100, rps=5, rpm=5, tpm=5000, max_concurrent=1, adaptive=True)
    async with Fleet(cluster.url, count=1, cluster=True, name=None) as fleet:
        place = await fleet.take(0, need)
        assert (await fleet.refused(0, need)).name == "concurrency"
        await fleet.release(0, place)
        await fleet.take(0, need)


@pytest.mark.row("DIST-01", "CONF-07")
def test_all_wrong_settings_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        RedisLimiter(name="{", prefix="}", lease=0, timeout=-1, on_error="panic", processes=0)  # type: ignore[arg-type]
    for text in (
        "name must",
        "prefix must",
        "lease must",
        "timeout must",
        "processes must",
        "on_error must",
    ):
        assert text in str(caught.value)


@pytest.mark.row("DIST-01")
def test_no_limiter_without_a_loop_needs_one():
    limiter = RedisLimiter("rediss://:hunter2@host/0", name="mine")
    assert repr(limiter) == "<RedisLimiter 'mine': 0 running>"
    assert limiter.outlook(demand(rpm=1), count=2, tokens=0) == LimitRefusal("RPM", 120.0)


@pytest.mark.row("DIST-01")
def test_a_limiter_serves_one_loop_after_another_and_closes_what_was_forgotten(
    url: str, caplog: pytest.LogCaptureFixture
):
    from redis import Redis

    limiter = RedisLimiter(url, name=secrets.token_hex(4))
    layer = with_limits(ProviderLimits(max_concurrent=1, max_wait=5), store=limiter)
    model = MockChatModel(["one", "two", "three"]).with_middleware(layer)

    async def ask() -> str:
        return (await model.generate("hi")).text

    assert [asyncio.run(ask()) for _ in range(3)] == ["one", "two", "three"]
    assert not opened(limiter)
    with Redis.from_url(url) as client:
        peers = f"beluga:limits:{{{limiter.name}}}:peers"
        assert client.zcard(peers) == 0, "each has said good-bye"
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]

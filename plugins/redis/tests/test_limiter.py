"""Shared limits against a real Redis; the script goes by a clock of the test."""

from __future__ import annotations

import asyncio
import math
import secrets
from typing import Any, Self

import pytest

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")

import beluga_llm as llm
from beluga_llm import ConfigError, ProviderLimits, with_limits
from beluga_llm.plugin import LimitDemand, LimitRefusal, LimitStore
from beluga_llm.testing import MockChatModel
from beluga_llm_redis import RedisLimiter
from beluga_llm_redis._limiter import RedisPlace
from beluga_llm_redis._session import Terms

KEY = ("acme", "https://acme.example", "fingerprint", "m")
OTHER_KEY = (*KEY[:3], "other")


class Time:
    """What several limiters believe to be the time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Fleet:
    """Some processes, all within this one: limiters that know nothing of each other."""

    def __init__(self, url: str, *, count: int = 2, late: float = 0.0, **options: Any) -> None:
        self.time = Time()
        options.setdefault("name", f"test-{secrets.token_hex(4)}")
        self.limiters = [RedisLimiter(url, **options) for _ in range(count)]
        for one in self.limiters:
            lease, prefix = one._terms.lease, one._terms.prefix
            one._terms = Terms(lease, prefix, self.time, self.time)
            one._late = late

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in self.limiters:
            await one.aclose()

    async def take(self, who: int, demand: LimitDemand) -> RedisPlace:
        """A place that there must be."""
        answer = await self.limiters[who].take(demand)
        assert isinstance(answer, RedisPlace), answer
        return answer

    async def refused(self, who: int, demand: LimitDemand) -> LimitRefusal:
        """What there must be no place in."""
        answer = await self.limiters[who].take(demand)
        assert isinstance(answer, LimitRefusal)
        return answer

    async def release(self, who: int, place: RedisPlace, tokens: int | None = None) -> None:
        place.release(tokens)
        await self.told(who)

    async def told(self, who: int) -> None:
        """Everything that was reported has arrived."""
        await self.limiters[who].flush()
        for session in self.limiters[who]._sessions.values():
            if session._tasks:
                await asyncio.wait(session._tasks)


def demand(tokens: int = 0, key: tuple[str, str, str, str] = KEY, **limits: Any) -> LimitDemand:
    limits.setdefault("adaptive", False)
    return LimitDemand(key, ProviderLimits(**limits), tokens)


# --- windows -------------------------------------------------------------------------------------


@pytest.mark.row("DIST-01", "RATE-02")
@pytest.mark.parametrize(("name", "period"), [("rps", 1.0), ("rpm", 60.0)])
async def test_a_window_is_shared_and_exact_at_its_boundary(url: str, name: str, period: float):
    need = demand(**{name: 2})
    async with Fleet(url) as fleet:
        await fleet.take(0, need)
        fleet.time.now += period / 4
        await fleet.take(1, need)
        refusal = await fleet.refused(0, need)
        assert refusal.name == name.upper()
        assert refusal.seconds == pytest.approx(period * 0.75, abs=1e-5)
        assert 0.001 <= refusal.rest - refusal.seconds <= 0.005
        fleet.time.now += period * 0.75 - 0.001
        assert (await fleet.refused(0, need)).seconds == pytest.approx(0.001, abs=1e-5)
        fleet.time.now += 0.001
        await fleet.take(0, need)
        assert (await fleet.refused(1, need)).seconds == pytest.approx(period / 4, abs=1e-5)


@pytest.mark.row("DIST-01", "RATE-05")
async def test_tokens_are_reserved_and_then_settled(url: str):
    async with Fleet(url) as fleet:
        first = await fleet.take(0, demand(700, tpm=1000))
        refusal = await fleet.refused(1, demand(500, tpm=1000))
        assert (refusal.name, refusal.seconds) == ("TPM", pytest.approx(60.0, abs=1e-5))
        assert refusal.rest < 1  # another process may have used less than it thought
        await fleet.release(0, first, tokens=100)
        second = await fleet.take(1, demand(500, tpm=1000))
        assert isinstance(await fleet.limiters[0].take(demand(500, tpm=1000)), LimitRefusal)
        await fleet.release(1, second, tokens=0)  # it failed
        await fleet.take(0, demand(900, tpm=1000))
        fleet.time.now += 60
        await fleet.take(0, demand(1000, tpm=1000))


@pytest.mark.row("DIST-01")
async def test_a_request_counts_from_its_answer_or_a_moment_after_its_start(url: str):
    need = demand(rpm=1)
    async with Fleet(url, late=0.25) as fleet:
        place = await fleet.take(0, need)
        assert (await fleet.refused(1, need)).seconds == pytest.approx(60.25, abs=1e-5)
        fleet.time.now += 0.1
        place.accepted(None)
        await fleet.release(0, place)
        fleet.limiters[1]._known.clear()
        assert (await fleet.refused(1, need)).seconds == pytest.approx(60.0, abs=1e-5)


@pytest.mark.row("DIST-01", "DIST-02")
async def test_a_process_that_hears_late_of_its_place_counts_from_then_on(url: str):
    need = demand(100, rpm=1, tpm=100)
    async with Fleet(url) as fleet:
        session = fleet.limiters[0]._session(need)
        ask = session.ask

        async def slow(*args: Any, **options: Any) -> Any:
            reply = await ask(*args, **options)
            fleet.time.now += 7.0
            return reply

        session.ask = slow  # type: ignore[method-assign]  # the answer takes its time
        await fleet.take(0, need)
        session.ask = ask  # type: ignore[method-assign]
        await fleet.told(0)
        assert (await fleet.refused(1, need)).seconds == pytest.approx(60.0, abs=1e-5)


@pytest.mark.row("DIST-01")
async def test_what_is_known_is_not_asked_again(url: str):
    async with Fleet(url) as fleet:
        await fleet.take(0, demand(rpm=1))
        await fleet.refused(1, demand(rpm=1))
        trips = fleet.limiters[1]._door.trips
        fleet.time.now += 58
        assert (await fleet.refused(1, demand(rpm=1))).seconds == pytest.approx(2.0, abs=1e-5)
        assert fleet.limiters[1]._door.trips == trips
        fleet.time.now += 1.5
        assert (await fleet.refused(1, demand(rpm=1))).seconds == pytest.approx(0.5, abs=1e-5)
        assert fleet.limiters[1]._door.trips == trips + 1


# --- slots ---------------------------------------------------------------------------------------


@pytest.mark.row("DIST-01", "RATE-06")
async def test_slots_are_shared_and_come_free(url: str):
    need = demand(max_concurrent=2)
    async with Fleet(url) as fleet:
        first, _ = await fleet.take(0, need), await fleet.take(1, need)
        assert [one.running for one in fleet.limiters] == [1, 1]
        refusal = await fleet.refused(1, need)
        assert (refusal.name, refusal.seconds) == ("concurrency", math.inf)
        assert 0 < refusal.rest <= 1.2
        await fleet.release(0, first)
        first.release(5)
        assert fleet.limiters[0].running == 0
        await fleet.take(1, need)


@pytest.mark.row("DIST-01")
async def test_slots_of_a_lost_process_end_and_held_ones_are_renewed(url: str):
    need = demand(max_concurrent=2)
    async with Fleet(url, count=3, lease=9.0) as fleet:
        await fleet.take(0, need)
        await fleet.take(1, need)
        lost, alive = (next(iter(one._sessions.values())) for one in fleet.limiters[:2])
        for _ in range(2):
            fleet.time.now += 5
            await alive._renew()
        await fleet.take(2, need)
        assert isinstance(await fleet.limiters[2].take(need), LimitRefusal)
        await lost._renew()  # it was only late, and is counted again
        await alive._renew()
        fleet.time.now += 8
        assert isinstance(await fleet.limiters[2].take(need), LimitRefusal)


@pytest.mark.row("DIST-01")
async def test_leases_are_renewed_by_a_timer(url: str):
    need = demand(max_concurrent=1)
    async with Fleet(url, lease=0.3) as fleet:
        place = await fleet.take(0, need)
        session = next(iter(fleet.limiters[0]._sessions.values()))
        renewed = asyncio.Event()
        ask = session.ask

        async def noted(*args: Any, **options: Any) -> Any:
            if options.get("renew"):
                renewed.set()
            return await ask(*args, **options)

        session.ask = noted  # type: ignore[method-assign]  # to hear of it
        await asyncio.wait_for(renewed.wait(), 10)
        await fleet.release(0, place)
        assert not session.slots


# --- who is first --------------------------------------------------------------------------------


@pytest.mark.row("DIST-01", "RATE-10")
async def test_a_big_request_is_not_overtaken_by_the_small_ones_of_others(url: str):
    big, small = demand(800, tpm=1000), demand(300, tpm=1000)
    async with Fleet(url, count=3) as fleet:
        await fleet.take(1, small)
        await fleet.refused(0, big)
        fleet.time.now += 0.1
        assert isinstance(await fleet.limiters[1].take(small), LimitRefusal)
        assert isinstance(await fleet.limiters[2].take(small), LimitRefusal)
        fleet.limiters[0].leave(big)
        await fleet.told(0)
        await fleet.take(2, small)


@pytest.mark.row("DIST-01", "RATE-10")
async def test_processes_take_turns(url: str):
    need = demand(max_concurrent=1)
    async with Fleet(url, count=4) as fleet:
        place, turn = await fleet.take(0, need), [0]
        for who in (1, 2, 3, 0):
            await fleet.refused(who, need)
        for _ in range(8):
            await fleet.release(turn[-1], place)
            for who in (0, 1, 2, 3):
                answer = await fleet.limiters[who].take(need)
                if isinstance(answer, RedisPlace):
                    place = answer
                    turn.append(who)
                    break
            await fleet.refused(turn[-1], need)  # its next request queues behind the others
        assert turn == [0, 1, 2, 3, 0, 1, 2, 3, 0]


@pytest.mark.row("DIST-01", "RATE-10")
async def test_who_does_not_come_back_is_passed_over(url: str):
    need = demand(max_concurrent=1)
    async with Fleet(url, count=3) as fleet:
        place = await fleet.take(0, need)
        await fleet.refused(1, need)
        await fleet.release(0, place)
        assert (await fleet.refused(2, need)).name == "concurrency"
        fleet.time.now += 3
        await fleet.take(2, need)


@pytest.mark.row("DIST-01", "RATE-03")
async def test_who_does_not_wait_takes_no_place_in_the_line(url: str):
    async with Fleet(url) as fleet:
        place = await fleet.take(0, demand(max_concurrent=1))
        await fleet.refused(1, demand(max_concurrent=1, on_limit="raise"))
        await fleet.release(0, place)
        await fleet.take(0, demand(max_concurrent=1))


@pytest.mark.row("DIST-01", "RATE-07")
async def test_a_cancelled_request_gives_back_what_it_may_have_got(url: str):
    need = demand(max_concurrent=1, rpm=1)
    async with Fleet(url) as fleet:
        limiter = fleet.limiters[0]
        session = limiter._session(need)
        send, sent = session._send, asyncio.Event()

        async def slow(*args: Any, **options: Any) -> Any:
            answer = await send(*args, **options)
            sent.set()
            await asyncio.Event().wait()
            return answer

        session._send = slow  # type: ignore[method-assign]  # Redis has given, nobody has heard
        task = asyncio.create_task(limiter.take(need))
        await sent.wait()
        session._send = send  # type: ignore[method-assign]
        assert isinstance(await fleet.limiters[1].take(need), LimitRefusal)
        fleet.limiters[1].leave(need)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await fleet.told(0)
        await fleet.take(1, need)


# --- the whole of it -----------------------------------------------------------------------------


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
            one._known.clear()
            for session in one._sessions.values():
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
        assert [
            [session.peers for session in one._sessions.values()] for one in fleet.limiters
        ] == [[3]] * 3


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
    from redis import asyncio as redis

    async with redis.Redis.from_url(cluster.url) as client:
        await client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        while (await client.execute_command("CLUSTER INFO"))["cluster_state"] != "ok":
            await asyncio.sleep(0.02)  # it says when it has found out that all is well
    need = demand(100, rps=5, rpm=5, tpm=5000, max_concurrent=1, adaptive=True)
    async with Fleet(cluster.url, cluster=True, name=None) as fleet:
        place = await fleet.take(0, need)
        assert (await fleet.refused(1, need)).name == "concurrency"
        await fleet.release(0, place)
        await fleet.take(1, need)


@pytest.mark.row("DIST-01", "CONF-07")
def test_all_wrong_settings_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        RedisLimiter(name="{", prefix="}", lease=0, timeout=-1, on_error="panic")  # type: ignore[arg-type]
    for text in ("name must", "prefix must", "lease must", "timeout must", "on_error must"):
        assert text in str(caught.value)


@pytest.mark.row("DIST-01")
@pytest.mark.parametrize(
    "wrong", ["http://:hunter2@host", "redis://:hunter2@host:port", "redis://u:hunt#er2@host"]
)
def test_a_wrong_url_does_not_show_its_password(wrong: str):
    with pytest.raises(ConfigError) as caught:
        RedisLimiter(wrong)
    assert "hunt" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.row("DIST-01")
def test_no_limiter_without_a_loop_needs_one():
    limiter = RedisLimiter("rediss://:hunter2@host/0", name="mine")
    assert repr(limiter) == "<RedisLimiter 'mine': 0 running>"
    assert limiter.outlook(demand(rpm=1), count=2, tokens=0) == LimitRefusal("RPM", 120.0)


@pytest.mark.row("DIST-01")
def test_a_limiter_serves_one_loop_after_another_and_closes_what_was_forgotten(url: str):
    limiter = RedisLimiter(url, name=secrets.token_hex(4))
    layer = with_limits(ProviderLimits(max_concurrent=1, max_wait=5), store=limiter)
    model = MockChatModel(["one", "two", "three"]).with_middleware(layer)

    async def ask() -> str:
        return (await model.generate("hi")).text

    assert [asyncio.run(ask()) for _ in range(3)] == ["one", "two", "three"]
    assert not limiter._clients._of
    assert llm.ProviderLimits is ProviderLimits


@pytest.mark.row("DIST-01", "ERRO-31")
@pytest.mark.parametrize("query", ["foo=hunter2", "socket_timeout=hunter2"])
async def test_parameters_that_the_library_does_not_take_are_an_error_of_the_settings(query: str):
    limiter = RedisLimiter(f"redis://localhost:1/0?{query}")
    with pytest.raises(ConfigError, match="does not take the parameters") as caught:
        await limiter.take(demand(rpm=1))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(ConfigError, match="decode_responses"):
        RedisLimiter("redis://localhost:1/0?decode_responses=true")


@pytest.mark.row("DIST-01", "ERRO-31")
def test_a_password_among_the_parameters_is_a_secret_too():
    limiter = RedisLimiter("redis://localhost:1/0?password=hunter2%21")
    assert limiter._clients.blot("as hunter2! was wrong") == "as *** was wrong"
    assert "hunter2" not in repr(limiter)

"""Windows, slots and lines in a real Redis; the script goes by a clock of the test."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")

from beluga_llm.plugin import LimitRefusal
from beluga_llm_redis._place import RedisPlace

from .inside import asks_again, sessions_of
from .limiters import Fleet, demand

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
        asks_again(fleet.limiters[1])
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
        lost, alive = (sessions_of(one)[0] for one in fleet.limiters[:2])
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
        session = sessions_of(fleet.limiters[0])[0]
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

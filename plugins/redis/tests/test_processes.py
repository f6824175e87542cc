"""Eight processes, one real Redis, and a provider that counts what arrives.

The minute of these processes has 1.5 seconds; `soak.py` beside this file takes a whole one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")

from beluga_llm_redis import RedisSessionStore

from .fleet import MINUTE, Provider, Worker, job_for, nursery

pytestmark = pytest.mark.timeout(120)

Born = Callable[[str], Worker]


@pytest.fixture(scope="module")
def born() -> Iterator[Born]:
    """Makes processes."""
    with nursery() as made:
        yield made


@pytest.fixture(scope="module")
def eight(born: Born) -> list[Worker]:
    """Processes that do one job after the other."""
    return [born(f"w{number}") for number in range(8)]


@pytest.mark.row("DIST-01", "DIST-02", "RATE-02", "RATE-05", "RATE-06")
@pytest.mark.parametrize(
    ("limits", "calls"),
    [
        ({"rps": 20, "rpm": 30, "max_concurrent": 5}, 5),
        ({"tpm": 1200}, 6),
        ({"max_concurrent": 4}, 12),
    ],
    ids=["requests", "tokens", "slots"],
)
async def test_eight_processes_never_exceed_a_limit_and_none_starves(
    eight: list[Worker], url: str, limits: dict[str, int], calls: int
):
    async with Provider().open() as provider:
        job = job_for(provider, url, limits=limits, calls=calls)
        await asyncio.gather(*[one.run(job) for one in eight])
    assert [len(one.answers) for one in eight] == [calls] * 8
    assert [one.warnings for one in eight] == [[]] * 8
    assert len(provider.arrivals) == 8 * calls
    if "rps" in limits:
        assert provider.most_within(1.0) <= limits["rps"]
        assert provider.most_within(MINUTE) <= limits["rpm"]
    if "tpm" in limits:
        assert provider.most_tokens_within(MINUTE) <= limits["tpm"]
    if "max_concurrent" in limits:
        assert provider.most <= limits["max_concurrent"]
    # Three calls of a process wait in one line, so 21 others may pass by turns; a process that
    # starved would be passed by all there are.
    assert provider.most_overtaken() <= 6 * calls < 7 * calls


@pytest.mark.row("DIST-01", "DIST-02", "RATE-15")
async def test_a_429_stops_all_processes(eight: list[Worker], url: str):
    async with Provider().open() as provider:
        job = job_for(provider, url, limits={"rps": 60, "max_concurrent": 8}, calls=6)
        running = asyncio.gather(*[one.run(job) for one in eight])
        await provider.arrived.reach(30)
        provider.refuse = 1
        await running
    (refused,) = provider.refusals
    assert [len(one.answers) for one in eight] == [6] * 8
    since = [one.at - refused for one in provider.arrivals if one.at > refused]
    assert not [at for at in since if 0.6 < at < 1.0], "what had begun has arrived by then"
    assert [at for at in since if at >= 1.0]


@pytest.mark.row("DIST-02")
async def test_a_killed_process_frees_its_slots(born: Born, url: str):
    lost, heir, lease = born("lost"), born("heir"), 0.6
    async with Provider(hold=3600).open() as provider:
        job = job_for(provider, url, limits={"max_concurrent": 2}, calls=2, tasks=2, lease=lease)
        dead = asyncio.create_task(lost.run(job))
        await provider.arrived.reach(2)
        provider.hold = 0.01
        alive = asyncio.create_task(heir.run(job))
        await lost.renewals.reach(5)  # three in each lease
        assert len(provider.arrivals) == 2, "a slot that is held is not lost"
        lost.kill()
        killed = provider.now
        await asyncio.gather(alive, dead)
        assert heir.answers == ["heir"] * 2
        assert killed < provider.arrivals[2].at < killed + lease + 3


@pytest.mark.row("DIST-01", "DIST-02")
async def test_a_restart_of_redis_loses_nothing_but_the_window(eight: list[Worker], mortal: Any):
    limits = {"rps": 40, "max_concurrent": 8}
    async with Provider().open() as provider:
        job = job_for(provider, mortal.url, limits=limits, calls=12)
        running = asyncio.gather(*[one.run(job) for one in eight])
        for enough, thing in ((25, mortal.stop), (50, mortal.start)):
            await provider.arrived.reach(enough)
            await asyncio.to_thread(thing)
        back = provider.now
        await running
    assert [len(one.answers) for one in eight] == [12] * 8
    assert 0 < provider.most_within(1.0, since=back + 1.0) <= limits["rps"]
    warnings = [text for one in eight for text in one.warnings]
    assert warnings
    assert all(text.startswith("no shared limits, Redis at 127.0.0.1:") for text in warnings)
    assert max(len(one.warnings) for one in eight) == 1


@pytest.mark.row("DIST-01", "DIST-02")
async def test_processes_that_were_told_their_number_keep_the_limit_without_redis(
    eight: list[Worker], absent: Any
):
    limits = {"rps": 16, "max_concurrent": 8}
    async with Provider().open() as provider:
        job = job_for(provider, absent.url, limits=limits, calls=4, processes=8)
        await asyncio.gather(*[one.run(job) for one in eight])
    assert [len(one.answers) for one in eight] == [4] * 8
    assert provider.most_begun_within(1.0) <= limits["rps"]
    assert provider.most <= limits["max_concurrent"]
    assert [len(one.warnings) for one in eight] == [1] * 8


@pytest.mark.row("DIST-01", "DIST-02")
async def test_no_change_of_a_conversation_is_lost_between_processes(eight: list[Worker], url: str):
    """Eight processes count to 25 each, in the same one."""
    job = job_for(Provider(), url, calls=25, counts=True)
    await asyncio.gather(*[one.run(job) for one in eight])
    async with RedisSessionStore(url) as store:
        assert await store.load(job["name"]) == b"200"
        await store.delete(job["name"])

"""Eight processes, one real Redis, and a provider that counts what arrives.

The minute of these processes has two seconds; `soak.py` beside this file takes a whole one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")

from .fleet import Provider, Worker, job_for

pytestmark = [pytest.mark.timeout(120), pytest.mark.xdist_group("redis-processes")]


@pytest.fixture(scope="module")
def eight(shared_server: Any) -> Iterator[list[Worker]]:
    """Processes that are ready to work, one job after the other."""
    workers = [Worker(f"w{number}") for number in range(8)]
    try:
        for one in workers:
            one.wait_ready()
        asyncio.run(_warm(workers, shared_server.url))
        yield workers
    finally:
        for one in workers:
            one.kill()


async def _warm(workers: list[Worker], url: str) -> None:
    """A first call imports for a second or more, while its event loop stands still: who does that
    among others who race comes last, and loses a slot with a short lease."""
    async with Provider().open() as provider:
        await asyncio.gather(*[one.run(job_for(provider, url, calls=1)) for one in workers])


@pytest.mark.row("DIST-01", "DIST-02", "RATE-02", "RATE-05", "RATE-06")
@pytest.mark.parametrize(
    ("limits", "calls"),
    [
        ({"rps": 20, "rpm": 30, "max_concurrent": 5}, 6),
        ({"tpm": 1200}, 6),
        ({"max_concurrent": 4}, 24),
    ],
    ids=["requests", "tokens", "slots"],
)
async def test_eight_processes_never_exceed_a_limit_and_none_starves(
    eight: list[Worker], url: str, limits: dict[str, int], calls: int
):
    async with Provider().open() as provider:  # so that all have imported what they need
        first = job_for(provider, url, calls=1, tasks=1)
        await asyncio.gather(*[one.run(first) for one in eight])
    async with Provider().open() as provider:
        job = job_for(provider, url, limits=limits, calls=calls)
        await asyncio.gather(*[one.run(job) for one in eight])
    assert [len(one.answers) for one in eight] == [calls] * 8
    assert [one.warnings for one in eight] == [[]] * 8
    assert len(provider.arrivals) == 8 * calls
    if "rps" in limits:
        assert provider.most_within(1.0) <= limits["rps"]
        assert provider.most_within(2.0) <= limits["rpm"]
    if "tpm" in limits:
        assert provider.most_tokens_within(2.0) <= limits["tpm"]
    if "max_concurrent" in limits:
        assert provider.most <= limits["max_concurrent"]
    # Three calls of a process wait in one line, so 21 others may pass by turns; a process that
    # starved would be passed by all there are.
    assert provider.most_overtaken() <= 6 * calls < 7 * calls


@pytest.mark.row("DIST-01", "DIST-02", "RATE-15")
async def test_a_429_stops_all_processes(eight: list[Worker], url: str):
    async with Provider().open() as provider:
        job = job_for(provider, url, limits={"rps": 60, "max_concurrent": 8}, calls=20)
        running = asyncio.gather(*[one.run(job) for one in eight])
        while len(provider.arrivals) < 60:
            await asyncio.sleep(0.01)
        provider.refuse = 1
        await running
    (refused,) = provider.refusals
    assert [len(one.answers) for one in eight] == [20] * 8
    since = [one.at - refused for one in provider.arrivals if one.at > refused]
    assert not [at for at in since if 0.6 < at < 1.0], "what had begun has arrived by then"
    assert [at for at in since if at >= 1.0]


@pytest.mark.row("DIST-02")
async def test_a_killed_process_frees_its_slots(url: str):
    lost, heir = Worker("lost"), Worker("heir")
    try:
        for one in (lost, heir):
            one.wait_ready()
        async with Provider(hold=3600).open() as provider:
            job = job_for(provider, url, limits={"max_concurrent": 2}, calls=2, tasks=2)
            dead = asyncio.create_task(lost.run(job))
            while provider.running < 2:
                await asyncio.sleep(0.01)
            provider.hold = 0.01
            alive = asyncio.create_task(heir.run(job))
            await asyncio.sleep(2.5)  # two leases and a half
            assert len(provider.arrivals) == 2, "a slot that is held is not lost"
            lost.kill()
            killed = provider.now
            await asyncio.gather(alive, dead)
            assert heir.answers == ["heir"] * 2
            assert killed < provider.arrivals[2].at < killed + 1.0 + 3
    finally:
        for one in (lost, heir):
            one.kill()


@pytest.mark.row("DIST-01", "DIST-02")
async def test_a_restart_of_redis_loses_nothing_but_the_window(eight: list[Worker], mortal: Any):
    limits = {"rps": 60, "max_concurrent": 8}
    async with Provider().open() as provider:
        job = job_for(provider, mortal.url, limits=limits, calls=30)
        running = asyncio.gather(*[one.run(job) for one in eight])
        for thing in (mortal.stop, mortal.start):
            before = len(provider.arrivals)
            while len(provider.arrivals) < before + 50:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(thing)
        back = provider.now
        await running
    assert [len(one.answers) for one in eight] == [30] * 8
    assert provider.most_within(1.0, since=back + 1.0) <= limits["rps"]
    warnings = [text for one in eight for text in one.warnings]
    assert warnings
    assert all(text.startswith("no shared limits, Redis at 127.0.0.1:") for text in warnings)
    assert max(len(one.warnings) for one in eight) == 1

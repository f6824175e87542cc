"""Eight processes within real minutes, by hand: `python soak.py redis://localhost:6379/0`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter

from fleet import Provider, Worker, job_for

LIMITS = {"rps": 15, "rpm": 240, "tpm": 11_000, "max_concurrent": 6}
CALLS = 60


async def soak(url: str) -> None:
    """Prints what the provider has seen, beside what was allowed."""
    workers = [Worker(f"w{number}") for number in range(8)]
    for one in workers:
        one.wait_ready()
    async with Provider(hold=0.2).open() as provider:
        job = job_for(provider, url, limits=LIMITS, calls=CALLS, minute=60.0, lease=10.0, tasks=4)
        began = time.monotonic()
        await asyncio.gather(*[one.run(job) for one in workers])
        seconds = time.monotonic() - began
    for one in workers:
        one.kill()
    half = Counter(one.who for one in provider.arrivals[: 4 * CALLS])
    print(f"{sum(len(one.answers) for one in workers)} answers in {seconds:.0f} s")
    print(f"most in 1 s: {provider.most_within(1.0)}, allowed {LIMITS['rps']}")
    print(f"most in 60 s: {provider.most_within(60.0)}, allowed {LIMITS['rpm']}")
    print(f"tokens in 60 s: {provider.most_tokens_within(60.0)}, allowed {LIMITS['tpm']}")
    print(f"at once: {provider.most}, allowed {LIMITS['max_concurrent']}")
    print(f"answers of each, of the first half: {sorted(half.values())}")
    print(f"longest on its way: {provider.latest:.2f} s")
    print(f"warnings: {[text for one in workers for text in one.warnings]}")
    print(f"round trips for each call: {sum(one.trips for one in workers) / 8 / CALLS:.2f}")


if __name__ == "__main__":
    asyncio.run(soak(sys.argv[1]))

"""Eight processes within real minutes, by hand: `python soak.py redis://localhost:6379/0`.

More arguments: the seconds of a minute, and how many calls each process makes.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter

from fleet import Provider, Worker, job_for, nursery

LIMITS = {"rps": 15, "rpm": 240, "tpm": 11_000, "max_concurrent": 6}
"""Those of windows longer than a second are for a minute of 60 s."""


async def soak(url: str, minute: float, calls: int, workers: list[Worker]) -> None:
    """Prints what the provider has seen, beside what was allowed."""
    windows = {name: round(LIMITS[name] * minute / 60) for name in ("rpm", "tpm")}
    limits = {**LIMITS, **windows}
    async with Provider(hold=0.2).open() as provider:
        job = job_for(provider, url, limits=limits, calls=calls, minute=minute, lease=10.0, tasks=4)
        began = time.monotonic()
        await asyncio.gather(*[one.run(job) for one in workers])
        seconds = time.monotonic() - began
    half = Counter(one.who for one in provider.arrivals[: 4 * calls])
    print(f"{sum(len(one.answers) for one in workers)} answers in {seconds:.0f} s")
    print(f"requests that arrived: {len(provider.arrivals)}, expected {8 * calls}")
    print(f"most in 1 s: {provider.most_within(1.0)}, allowed {limits['rps']}")
    print(f"most in {minute:.0f} s: {provider.most_within(minute)}, allowed {limits['rpm']}")
    tokens = provider.most_tokens_within(minute)
    print(f"tokens in {minute:.0f} s: {tokens}, allowed {limits['tpm']}")
    print(f"at once: {provider.most}, allowed {limits['max_concurrent']}")
    print(f"answers of each, of the first half: {sorted(half.values())}")
    print(f"longest on its way: {provider.latest:.2f} s")
    print(f"warnings: {[text for one in workers for text in one.warnings]}")
    print(f"round trips for each call: {sum(one.trips for one in workers) / 8 / calls:.2f}")


def main(url: str, minute: str = "60", calls: str = "60") -> None:
    """Starts the processes, and ends them."""
    with nursery() as born:
        workers = [born(f"w{number}") for number in range(8)]
        asyncio.run(soak(url, float(minute), int(calls), workers))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A process on its own: what it has begun, and its share of the limits while there is no Redis."""

from __future__ import annotations

import beluga_llm as llm
from beluga_llm.plugin import LimitDemand, LimitPlace, LimitRefusal, LocalLimits


class Alone:
    """Counts what this process has begun, with Redis and without.

    Args:
        processes: how many share the limits at least.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._local = LocalLimits()

    async def mirror(self, demand: LimitDemand) -> LimitPlace | None:
        """Counts here what Redis has allowed."""
        place = await self._local.take(demand)
        if isinstance(place, LimitRefusal) and demand.limits.adaptive:
            place = await self._local.take(_declared(demand))
        return None if isinstance(place, LimitRefusal) else place

    async def take(self, demand: LimitDemand, peers: int) -> LimitPlace | LimitRefusal:
        """A place in the share of this process; `peers` are as many as were seen last."""
        return await self._local.take(share(demand, max(peers, self._processes)))

    def outlook(self, demand: LimitDemand, *, count: int, tokens: int) -> LimitRefusal | None:
        """What a request waits for at least: what this process alone has begun."""
        return self._local.outlook(_declared(demand), count=count, tokens=tokens)


def share(demand: LimitDemand, processes: int) -> LimitDemand:
    """What one of several processes may do on its own, at least one request at a time."""
    if processes == 1:
        return demand

    def part(whole: int | None) -> int | None:
        return max(whole // processes, 1) if whole else whole

    limits = demand.limits
    tpm = part(limits.tpm)
    limits = llm.replace(
        limits,
        rps=part(limits.rps),
        rpm=part(limits.rpm),
        tpm=tpm,
        max_concurrent=part(limits.max_concurrent),
    )
    return LimitDemand(demand.key, limits, min(demand.tokens, tpm or demand.tokens))


def _declared(demand: LimitDemand) -> LimitDemand:
    """The same, without the gate: it is the one in Redis that counts."""
    limits = llm.replace(demand.limits, adaptive=False)
    return LimitDemand(demand.key, limits, demand.tokens)

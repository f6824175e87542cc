"""Counts in the memory of this process, for all of its event loops and threads."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Mapping
from typing import Any

from beluga_llm._clock import SYSTEM_CLOCK, Clock
from beluga_llm._rate.governor import Governor, Pass, travel_time
from beluga_llm._rate.store import LimitDemand, LimitName, LimitRefusal
from beluga_llm._rate.window import NEAR, Begun, Window

COLD = 1.0
"""Seconds within which a request reaches the provider before any was answered: connections have to
be opened, and modules to be loaded."""


class LocalLimits:
    """Windows and slots in memory, and the process's governors.

    A request counts from the moment at which it reaches the provider, not from its start: on its
    way it may be overtaken, and the provider counts arrivals. That moment lies between the start
    and the answer; it is taken to be the answer, but no later than `travel_time` after the start.
    """

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.RLock()  # a dropped stream may end while the lock is held
        self._windows: dict[LimitName, Window] = {
            "RPS": Window(1.0),
            "RPM": Window(60.0),
            "TPM": Window(60.0),
        }
        self._running: dict[asyncio.AbstractEventLoop, int] = {}
        self._late = COLD if clock is SYSTEM_CLOCK else 0.0

    async def take(self, demand: LimitDemand) -> LocalPlace | LimitRefusal:
        """A place in all limits, or the limit that has none."""
        limits = demand.limits
        with self._lock:
            now = self._clock.time()
            if limits.max_concurrent and not self._free_slots(limits.max_concurrent):
                return LimitRefusal("concurrency", math.inf)
            needs = _needs(demand)
            for name, (need, limit) in needs.items():
                wait = self._windows[name].wait(need, limit=limit, now=now)
                if wait > NEAR:
                    return LimitRefusal(name, wait)
            governed = None
            if limits.adaptive:
                governor = Governor.of(demand.key, clock=self._clock)
                answer = governor.take()
                if not isinstance(answer, Pass):
                    return LimitRefusal("provider", answer)
                governed = governor, answer
            begun = {name: Begun(now + self._late, need) for name, (need, _) in needs.items()}
            for name, one in begun.items():
                self._windows[name].add(one)
            loop = asyncio.get_running_loop()
            self._running[loop] = self._running.get(loop, 0) + 1
            return LocalPlace(self, loop, begun, governed)

    def leave(self, demand: LimitDemand) -> None:
        """Nothing: who waits is known to the layer alone."""

    def outlook(self, demand: LimitDemand, *, count: int, tokens: int) -> LimitRefusal | None:
        """What a request waits for, if all who are before it begin as soon as they may."""
        with self._lock:
            now, waits = self._clock.time(), list[LimitRefusal]()
            for name, (need, limit) in _needs(demand).items():
                need += tokens if name == "TPM" else count
                waits.append(
                    LimitRefusal(name, self._windows[name].wait(need, limit=limit, now=now))
                )
            if demand.limits.adaptive:
                governor = Governor.of(demand.key, clock=self._clock)
                waits.append(LimitRefusal("provider", governor.closed_for))
            return max(waits, key=_seconds, default=None)

    async def flush(self) -> None:
        """Nothing: what is reported is in place."""

    @property
    def running(self) -> int:
        """How many requests hold a place."""
        with self._lock:
            self._forget_dead_loops()
            return sum(self._running.values())

    def _free_slots(self, limit: int) -> int:
        taken = sum(self._running.values())
        if taken >= limit:  # some may belong to loops that have ended without their streams
            self._forget_dead_loops()
            taken = sum(self._running.values())
        return max(limit - taken, 0)

    def _forget_dead_loops(self) -> None:
        for loop in [loop for loop in self._running if loop.is_closed()]:
            del self._running[loop]

    def _answered(self, begun: Mapping[LimitName, Begun]) -> None:
        with self._lock:
            now = self._clock.time()
            self._late = travel_time(self._clock)
            for one in begun.values():
                one.at = min(one.at, now)

    def _ended(
        self, loop: asyncio.AbstractEventLoop, begun: Mapping[LimitName, Begun], tokens: int | None
    ) -> None:
        with self._lock:
            if loop in self._running:
                self._running[loop] -= 1
                if not self._running[loop]:
                    del self._running[loop]
            if tokens is not None and "TPM" in begun:
                self._windows["TPM"].change(begun["TPM"], tokens)


class LocalPlace:
    """A place in the limits of this process."""

    def __init__(
        self,
        limits: LocalLimits,
        loop: asyncio.AbstractEventLoop,
        begun: Mapping[LimitName, Begun],
        governed: tuple[Governor, Pass] | None,
    ) -> None:
        self._limits, self._loop, self._begun = limits, loop, begun
        self._governed = governed
        self._held = True

    def accepted(self, facts: Mapping[str, Any] | None) -> None:
        """The provider answers."""
        self._limits._answered(self._begun)
        if self._governed is not None:
            governor, passed = self._governed
            governor.accepted(passed, facts)

    def refused(self, retry_after: float | None) -> None:
        """The provider answered 429."""
        self._limits._answered(self._begun)
        if self._governed is not None:
            governor, passed = self._governed
            governor.refused(passed, retry_after)

    def release(self, tokens: int | None) -> None:
        """The request has ended; further calls do nothing."""
        if not self._held:
            return
        self._held = False
        if self._governed is not None:
            governor, passed = self._governed
            governor.left(passed)
        self._limits._ended(self._loop, self._begun, tokens)


def _seconds(refusal: LimitRefusal) -> float:
    return refusal.seconds


def _needs(demand: LimitDemand) -> dict[LimitName, tuple[int, int]]:
    """What a request needs of each window that is limited, and the limit."""
    limits, needs = demand.limits, dict[LimitName, tuple[int, int]]()
    if limits.rps:
        needs["RPS"] = (1, limits.rps)
    if limits.rpm:
        needs["RPM"] = (1, limits.rpm)
    if limits.tpm:
        needs["TPM"] = (demand.tokens, limits.tpm)
    return needs

"""Limits that several processes share: `with_limits(limits, store=RedisLimiter(url))`.

A request takes all that it needs in one command, and reports its end in another; `_script.py` tells
what happens in Redis. Each place is counted in this process, too. So a process on its own, without
Redis, knows what it has begun, and keeps to its share: the limits divided by the number of
processes that it saw last.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import math
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

import beluga_llm as llm
from beluga_llm.plugin import (
    LimitDemand,
    LimitPlace,
    LimitRefusal,
    LocalLimits,
    rate_advice,
)
from beluga_llm_redis._clients import Clients
from beluga_llm_redis._door import Door, UnreachableError
from beluga_llm_redis._session import PROMPT, Reply, Session, Terms
from beluga_llm_redis._stores import URL

COLD = 1.0
"""Seconds within which a request reaches the provider before any was answered."""
LATE = 0.25
"""The same, later on. Both are those of the limits of one process."""
SURE = 1.0
"""Seconds: a wait that is known and longer is not asked about before its last second."""
LONGEST = 1e7
"""Seconds that a provider may ask to wait."""
MOST = 10**12
"""The greatest count and rate that the script is told. What it cannot take it would refuse with
all that goes along, again and again; and servers report any number."""

_INSTEAD = {
    "local": "each process keeps to its share of them until then",
    "raise": "requests fail until then",
}


class RedisLimiter:
    """A store of limits, for several processes.

        limiter = RedisLimiter("redis://localhost:6379/0")
        model = model.with_middleware(with_limits(ProviderLimits(rpm=600), store=limiter))

    Args:
        url: of the server: `redis://`, `rediss://` or `unix://`.
        name: whose limits these are; all limiters of the same name share their counts. None: each
            provider, address and key has its own.
        prefix: goes before every key.
        lease: seconds after which the slots of a lost process are free; a third of it is the
            longest time between two signs of life.
        on_error: what happens without Redis: "local": each process keeps to its share of the
            limits; "raise": requests fail with a StoreError before they are sent.
        timeout: seconds to wait for Redis.
        cluster: the server is a node of a cluster.

    Attributes:
        name, prefix, on_error: as given.

    Raises:
        ConfigError: the URL or a setting is not valid.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        name: str | None = None,
        prefix: str = "beluga:limits:",
        lease: float = 10.0,
        on_error: Literal["local", "raise"] = "local",
        timeout: float = 2.0,
        cluster: bool = False,
    ) -> None:
        _check(name, prefix, lease=lease, on_error=on_error, timeout=timeout)
        self.name, self.prefix, self.on_error = name, prefix, on_error
        self._clients = Clients(
            url,
            cluster=cluster,
            timeout=timeout,
            once=True,
            before_close=self._close_sessions,
        )
        self._door = Door(self._clients, lease=lease, timeout=timeout, instead=_INSTEAD[on_error])
        self._terms = Terms(lease, prefix, time.monotonic)
        self._local = LocalLimits()
        self._sessions: dict[tuple[asyncio.AbstractEventLoop, str], Session] = {}
        self._late = COLD
        self._known: dict[tuple[str, llm.ProviderLimits], tuple[LimitRefusal, float]] = {}
        self._numbers = itertools.count(1)

    @property
    def running(self) -> int:
        """How many requests of this process hold a place."""
        open_ones = [one for one in tuple(self._sessions.values()) if not one.loop.is_closed()]
        return sum(len(session.places) for session in open_ones)

    # --- the store ---------------------------------------------------------------------------

    async def take(self, demand: LimitDemand) -> RedisPlace | LimitRefusal:
        """A place in all limits of all processes, or the limit that has none.

        Raises:
            StoreError: there is no Redis, and `on_error` is "raise".
        """
        session, who = self._session(demand), self._who(demand)
        if known := self._still_known((who, demand.limits)):
            return known
        number, maybe = f"{session.me}:{next(self._numbers)}", True
        asked_at = self._terms.clock()
        try:
            reply = await session.ask(self._asked(demand, session, number))
            maybe = False
        except UnreachableError as error:
            maybe = error.sent
            if self.on_error == "raise":
                raise llm.StoreError(f"no limits without Redis ({error})") from None
            return await self._alone(session, demand, number)
        finally:
            if maybe:  # Redis may have given what nobody has got
                session.report(number, _digest(demand.key), within=0.0, undo=True, who=who)
        if reply.name:
            return self._refused((who, demand.limits), reply)
        local = await self._mirror(demand)
        place = RedisPlace(self, session, demand, number=number, reply=reply, local=local)
        if self._terms.clock() - asked_at > self._late:
            place.begins_now()  # later than Redis was told
        return place

    def leave(self, demand: LimitDemand) -> None:
        """Takes this process out of the line, until it asks again."""
        session, who = self._session(demand), self._who(demand)
        self._known.pop((who, demand.limits), None)
        session.tickets.pop(who, None)
        session.report(f"-{who}", _digest(demand.key), within=0.0, who=who)

    def outlook(self, demand: LimitDemand, *, count: int, tokens: int) -> LimitRefusal | None:
        """What a request waits for at least: what this process alone has begun."""
        limits = llm.replace(demand.limits, adaptive=False)
        alone = LimitDemand(demand.key, limits, demand.tokens)
        return self._local.outlook(alone, count=count, tokens=tokens)

    async def flush(self) -> None:
        """Sends what was reported, and waits a moment for it to be taken."""
        for session in self._mine():
            await session.flush()

    async def aclose(self) -> None:
        """Sends the last reports and closes the connections of this event loop.

        A later use opens others.
        """
        await self._clients.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or self.prefix!r}: {self.running} running>"

    # --- what it is made of ------------------------------------------------------------------

    def _session(self, demand: LimitDemand) -> Session:
        loop = asyncio.get_running_loop()
        tag = self.name or _digest(demand.key[:3])
        session = self._sessions.get((loop, tag))
        if session is None:
            self._clients.get()  # a URL that is wrong is told before anything is to be reported
            for place in [place for place in tuple(self._sessions) if place[0].is_closed()]:
                self._sessions.pop(place, None)
            session = self._sessions[loop, tag] = Session(self._door, tag, self._terms)
        return session

    def _mine(self) -> Iterator[Session]:
        loop = asyncio.get_running_loop()
        return (one for place, one in tuple(self._sessions.items()) if place[0] is loop)

    async def _close_sessions(self) -> None:
        for session in self._mine():
            await session.close()
        loop = asyncio.get_running_loop()
        for place in [place for place in tuple(self._sessions) if place[0] is loop]:
            del self._sessions[place]

    def _who(self, demand: LimitDemand) -> str:
        """Names this process, and the model that it asks, in the lines of Redis."""
        return f"{self._session(demand).me}:{_digest(demand.key)}"

    def _asked(self, demand: LimitDemand, session: Session, number: str) -> dict[str, Any]:
        limits, who = demand.limits, self._who(demand)
        asked = {
            "id": number,
            "gate": _digest(demand.key),
            "who": who,
            "rps": limits.rps or 0,
            "rpm": limits.rpm or 0,
            "tpm": limits.tpm or 0,
            "slots": limits.max_concurrent or 0,
            "tokens": demand.tokens,
            "late": self._late,
            "waits": limits.on_limit == "wait",
            "adaptive": limits.adaptive,
        }
        if (ticket := session.tickets.get(who)) is not None:
            asked["ticket"] = ticket
        return asked

    def _refused(self, asked: tuple[str, llm.ProviderLimits], reply: Reply) -> LimitRefusal:
        """When to ask again: not all at the same moment, and never for what is known already."""
        name: Any = reply.name
        if name == "concurrency":
            return LimitRefusal(name, math.inf, reply.again * _between(0.8, 1.2))
        if name == "TPM" and reply.again < reply.wait:
            return LimitRefusal(name, reply.wait, reply.again * _between(0.8, 1.2))
        refusal = LimitRefusal(name, reply.wait, reply.again + _between(0.001, 0.005))
        if name in ("RPM", "provider") and reply.wait > SURE:
            self._known[asked] = refusal, self._terms.clock()
        return refusal

    def _still_known(self, asked: tuple[str, llm.ProviderLimits]) -> LimitRefusal | None:
        if asked not in self._known:
            return None
        refusal, since = self._known[asked]
        passed = self._terms.clock() - since
        if refusal.seconds - passed <= SURE:
            del self._known[asked]
            return None
        return LimitRefusal(refusal.name, refusal.seconds - passed, refusal.rest - passed)

    async def _mirror(self, demand: LimitDemand) -> LimitPlace | None:
        """Counts here what Redis has allowed."""
        place = await self._local.take(demand)
        if isinstance(place, LimitRefusal) and demand.limits.adaptive:
            limits = llm.replace(demand.limits, adaptive=False)
            place = await self._local.take(LimitDemand(demand.key, limits, demand.tokens))
        return None if isinstance(place, LimitRefusal) else place

    async def _alone(
        self, session: Session, demand: LimitDemand, number: str
    ) -> RedisPlace | LimitRefusal:
        """A place in this process's share of the limits."""
        place = await self._local.take(_share(demand, session.peers))
        if isinstance(place, LimitRefusal):
            return place
        return RedisPlace(self, session, demand, number=number, reply=None, local=place)


class RedisPlace:
    """A place in the limits of all processes."""

    def __init__(
        self,
        limiter: RedisLimiter,
        session: Session,
        demand: LimitDemand,
        *,
        number: str,
        reply: Reply | None,
        local: LimitPlace | None,
    ) -> None:
        self._limiter, self._session, self._local = limiter, session, local
        self._id, self._gate, self._tokens = number, _digest(demand.key), demand.tokens
        self._governs = reply is not None and demand.limits.adaptive
        self._closings = 0 if reply is None else reply.closings
        self._since = limiter._terms.clock()
        limits = demand.limits
        limited = (limits.rps, limits.rpm, limits.tpm)
        self._windows = [place for place, limit in enumerate(limited, 1) if limit]
        session.places.add(number)
        if demand.limits.max_concurrent:
            session.hold(number)
        if reply is None:  # Redis hears of it when it is back
            self.begins_now()

    def begins_now(self) -> None:
        """Has the request count from now on, if Redis does not know when it began."""
        clock, late, cost = self._limiter._terms.clock, self._limiter._late, self._tokens
        self._report(60.0, since=clock(), late=late, windows=self._windows, cost=cost)

    def accepted(self, facts: Mapping[str, Any] | None) -> None:
        """The provider answers."""
        self._limiter._late = min(self._limiter._late, LATE)
        if self._local is not None:
            self._local.accepted(facts)
        said: dict[str, Any] = {"said": "accepted"}
        if facts and self._governs:
            said["advice"] = [
                [_within(LONGEST, seconds)]
                if rate is None
                else [_within(LONGEST, seconds), _within(MOST, rate)]
                for seconds, rate in rate_advice(facts)
            ]
        self._answered(PROMPT if self._governs else 60.0, **said)

    def refused(self, retry_after: float | None) -> None:
        """The provider answered 429."""
        if self._local is not None:
            self._local.refused(retry_after)
        after = {} if retry_after is None else {"after": _within(LONGEST, retry_after)}
        self._answered(0.0, said="refused", **after)

    def release(self, tokens: int | None) -> None:
        """The request has ended; further calls do nothing."""
        session = self._session
        if self._id not in session.places:
            return
        session.places.discard(self._id)
        session.slots.pop(self._id, None)
        if self._local is not None:
            self._local.release(tokens)
        lasted = self._limiter._terms.clock() - self._since
        cost = {} if tokens is None else {"tokens": round(_within(MOST, tokens))}
        self._report(0.0, ended=True, lasted=lasted, **cost)

    def _answered(self, within: float, **facts: Any) -> None:
        facts |= {"at": self._limiter._terms.clock(), "windows": self._windows}
        self._report(within, **facts)

    def _report(self, within: float, **facts: Any) -> None:
        if self._governs:
            facts |= {"governed": True, "closings": self._closings}
        self._session.report(self._id, self._gate, within=within, **facts)


def _within(most: float, value: float) -> float:
    """A number from 0 to the most; 0 for one that is none (NaN)."""
    return min(value, most) if value > 0 else 0


def _between(least: float, most: float) -> float:
    return random.uniform(least, most)  # noqa: S311 -- jitter, no secret


def _digest(key: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(key).encode()).hexdigest()[:16]


def _share(demand: LimitDemand, peers: int) -> LimitDemand:
    """What one of several processes may do on its own, at least one request at a time."""
    if peers == 1:
        return demand
    limits = demand.limits

    def part(whole: int | None) -> int | None:
        return max(whole // peers, 1) if whole else whole

    tpm = part(limits.tpm)
    limits = llm.replace(
        limits,
        rps=part(limits.rps),
        rpm=part(limits.rpm),
        tpm=tpm,
        max_concurrent=part(limits.max_concurrent),
    )
    return LimitDemand(demand.key, limits, min(demand.tokens, tpm or demand.tokens))


def _check(name: str | None, prefix: str, *, lease: float, on_error: str, timeout: float) -> None:
    problems = []
    if name is not None and (not name or set(name) & set("{}")):
        problems.append(f"name must not be empty and hold no braces, got {name!r}")
    if set(prefix) & set("{}"):
        problems.append(f"prefix must hold no braces, got {prefix!r}")
    if not lease > 0:
        problems.append(f"lease must be > 0 seconds, got {lease!r}")
    if not timeout > 0:
        problems.append(f"timeout must be > 0 seconds, got {timeout!r}")
    if on_error not in _INSTEAD:
        problems.append(f"on_error must be 'local' or 'raise', got {on_error!r}")
    if problems:
        raise llm.ConfigError.of(problems)

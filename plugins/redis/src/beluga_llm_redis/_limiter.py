"""Limits that several processes share: `with_limits(limits, store=RedisLimiter(url))`.

A request takes all that it needs in one command, and reports its end in another; `_script.py` tells
what happens in Redis. Each place is counted in this process, too. So a process on its own, without
Redis, knows what it has begun, and keeps to its share: the limits divided by the number of
processes that it was told, or that it saw last if these were more.
"""

from __future__ import annotations

import itertools
import time
from typing import Any, Literal, NamedTuple

import beluga_llm as llm
from beluga_llm.plugin import LimitDemand, LimitRefusal
from beluga_llm_redis._alone import Alone
from beluga_llm_redis._connections import Connections
from beluga_llm_redis._door import Door, UnreachableError
from beluga_llm_redis._loops import Closing, PerLoop
from beluga_llm_redis._place import RedisPlace, Travel
from beluga_llm_redis._refusals import Refusals
from beluga_llm_redis._server import Server
from beluga_llm_redis._session import Session, Terms, digest
from beluga_llm_redis._stores import URL

_INSTEAD = {
    "local": "each process keeps to its share of them until then",
    "raise": "requests fail until then",
}


class _Part(NamedTuple):
    """What one event loop has: connections, and a session for each account."""

    connections: Connections
    sessions: dict[str, Session]

    async def close(self) -> None:
        try:
            for session in self.sessions.values():
                await session.close()
        finally:
            await self.connections.aclose()


class RedisLimiter(Closing):
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
        processes: how many share the limits at least. Without Redis, the share of a process is by
            this number, or by that of the processes it saw last if they were more; 1: a process
            that starts without Redis takes the limits as a whole.
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
        processes: int = 1,
        timeout: float = 2.0,
        cluster: bool = False,
    ) -> None:
        _check(name, prefix, lease=lease, on_error=on_error, processes=processes, timeout=timeout)
        self.name, self.prefix, self.on_error = name, prefix, on_error
        self._server = Server(url, timeout=timeout, cluster=cluster, once=True)
        self._door = Door(self._server, lease=lease, timeout=timeout, instead=_INSTEAD[on_error])
        self._open: PerLoop[_Part] = PerLoop(lambda: _Part(self._server.open(), {}), _Part.close)
        self._terms = Terms(lease, prefix, time.monotonic)
        self._alone = Alone(processes)
        self._refusals = Refusals(lambda: self._terms.clock())
        self._travel = Travel()
        self._numbers = itertools.count(1)

    @property
    def running(self) -> int:
        """How many requests of this process hold a place."""
        sessions = [one for part in self._open.all() for one in tuple(part.sessions.values())]
        return sum(len(session.places) for session in sessions)

    async def take(self, demand: LimitDemand) -> RedisPlace | LimitRefusal:
        """A place in all limits of all processes, or the limit that has none.

        Raises:
            StoreError: there is no Redis, and `on_error` is "raise".
        """
        session = self._session(demand)
        who, asked_at = _who(session, demand), session.clock()
        asked = (who, demand.limits)
        if known := self._refusals.known(asked):
            return known
        number, maybe = f"{session.me}:{next(self._numbers)}", True
        try:
            reply = await session.ask(self._asked(demand, session, number))
            maybe = False
        except UnreachableError as error:
            maybe = error.sent
            if self.on_error == "raise":
                raise llm.StoreError(f"no limits without Redis ({error})") from None
            return await self._without_redis(demand, session, number)
        finally:
            if maybe:  # Redis may have given what nobody has got
                session.report(number, digest(demand.key), within=0.0, undo=True, who=who)
        if reply.name:
            return self._refusals.read(asked, reply)
        local = await self._alone.mirror(demand)
        place = RedisPlace(session, demand, self._travel, number=number, reply=reply, local=local)
        if session.clock() - asked_at > self._travel.seconds:
            place.begins_now()  # later than Redis was told
        return place

    def leave(self, demand: LimitDemand) -> None:
        """Takes this process out of the line, until it asks again."""
        session = self._session(demand)
        who = _who(session, demand)
        self._refusals.forget((who, demand.limits))
        session.tickets.pop(who, None)
        session.report(f"-{who}", digest(demand.key), within=0.0, who=who)

    def outlook(self, demand: LimitDemand, *, count: int, tokens: int) -> LimitRefusal | None:
        """What a request waits for at least: what this process alone has begun."""
        return self._alone.outlook(demand, count=count, tokens=tokens)

    async def flush(self) -> None:
        """Sends what was reported, and waits a moment for it to be taken."""
        for part in self._open.here():
            for session in tuple(part.sessions.values()):
                await session.flush()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or self.prefix!r}: {self.running} running>"

    def _session(self, demand: LimitDemand) -> Session:
        part, tag = self._open.get(), self.name or digest(demand.key[:3])
        if tag not in part.sessions:
            part.sessions[tag] = Session(self._door, part.connections, tag=tag, terms=self._terms)
        return part.sessions[tag]

    def _asked(self, demand: LimitDemand, session: Session, number: str) -> dict[str, Any]:
        limits, who = demand.limits, _who(session, demand)
        asked = {
            "id": number,
            "gate": digest(demand.key),
            "who": who,
            "rps": limits.rps or 0,
            "rpm": limits.rpm or 0,
            "tpm": limits.tpm or 0,
            "slots": limits.max_concurrent or 0,
            "tokens": demand.tokens,
            "late": self._travel.seconds,
            "waits": limits.on_limit == "wait",
            "adaptive": limits.adaptive,
        }
        if (ticket := session.tickets.get(who)) is not None:
            asked["ticket"] = ticket
        return asked

    async def _without_redis(
        self, demand: LimitDemand, session: Session, number: str
    ) -> RedisPlace | LimitRefusal:
        local = await self._alone.take(demand, session.peers)
        if isinstance(local, LimitRefusal):
            return local
        return RedisPlace(session, demand, self._travel, number=number, reply=None, local=local)


def _who(session: Session, demand: LimitDemand) -> str:
    """Names this process, and the model that it asks, in the lines of Redis."""
    return f"{session.me}:{digest(demand.key)}"


def _check(
    name: str | None, prefix: str, *, lease: float, on_error: str, processes: int, timeout: float
) -> None:
    problems = []
    if name is not None and (not name or set(name) & set("{}")):
        problems.append(f"name must not be empty and hold no braces, got {name!r}")
    if set(prefix) & set("{}"):
        problems.append(f"prefix must hold no braces, got {prefix!r}")
    if not lease > 0:
        problems.append(f"lease must be > 0 seconds, got {lease!r}")
    if not timeout > 0:
        problems.append(f"timeout must be > 0 seconds, got {timeout!r}")
    if not (isinstance(processes, int) and processes >= 1):
        problems.append(f"processes must be a whole number >= 1, got {processes!r}")
    if on_error not in _INSTEAD:
        problems.append(f"on_error must be 'local' or 'raise', got {on_error!r}")
    if problems:
        raise llm.ConfigError.of(problems)

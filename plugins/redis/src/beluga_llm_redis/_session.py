"""What one event loop has in the limits of one name: places, tickets, and what is to be reported.

A report goes along with the next command. Where there is none, it is sent by itself: at once when
a request has ended, a moment later when it was only answered. As long as slots are held, their
leases are renewed by a timer. No task lives longer than one command.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import secrets
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from beluga_llm_redis._connections import Connections
from beluga_llm_redis._door import Door, UnreachableError
from beluga_llm_redis._reports import Reports, as_sent
from beluga_llm_redis._script import GATE_KEYS, SHARED_KEYS

PERIODS = (1.0, 60.0, 60.0)
"""Seconds of the windows of RPS, RPM and TPM."""
PROMPT = 0.25
"""Seconds within which an answer is reported."""
PATIENCE = 0.05
"""Seconds that the end of a call waits for its report to be taken; it is sent all the same."""
REMEMBERED = 200.0
"""Seconds after the last command within which Redis keeps the state, if nothing happens to it."""
OFTEN = 1.0
"""Seconds between two signs of life, which also put off the end of the keys."""
MANY = 1000
"""Leases that one command renews."""


class Terms(msgspec.Struct, frozen=True):
    """What all sessions of a limiter go by.

    Attributes:
        lease: seconds after which the slots of a lost process are free.
        prefix: what all keys begin with.
        clock: tells the seconds that pass here.
        now: what the script is told to be the time; None: the clock of Redis.
        periods: seconds of the windows.
    """

    lease: float
    prefix: str
    clock: Callable[[], float]
    now: Callable[[], float] | None = None
    periods: tuple[float, float, float] = PERIODS


class Reply(msgspec.Struct, frozen=True):
    """What the script answers.

    Attributes:
        name: the limit that has no place; "" for a place; "none" where none was asked for.
        wait: seconds until there is one; below 0 where that is not known.
        again: seconds after which to ask again.
        closings: how often the gate had been closed.
    """

    name: str
    wait: float
    again: float
    closings: int


class Session:
    """One event loop's part in the limits of one name.

    Attributes:
        me: names it in Redis.
        clock: tells the seconds that pass here.
        peers: how many sessions there are, this one included.
        places: the requests that hold a place.
        slots: those of them whose slots have to be renewed.
        tickets: by the model that somebody waits for.
        loop: where it belongs.
    """

    def __init__(self, door: Door, connections: Connections, *, tag: str, terms: Terms) -> None:
        self.me = secrets.token_hex(6)
        self.clock = terms.clock
        self.peers = 1
        self.places: set[str] = set()
        self.slots: dict[str, None] = {}
        self.tickets: dict[str, int] = {}
        self.loop = asyncio.get_running_loop()
        self._door, self._connections = door, connections
        self._base = f"{terms.prefix}{{{tag}}}:"
        self._terms = terms
        self._epoch: str | None = None
        self._last = 0.0
        self._kept = -math.inf
        self._reports = Reports()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: asyncio.TimerHandle | None = None
        self._renewing: asyncio.TimerHandle | None = None
        self._closed = False

    # --- commands ----------------------------------------------------------------------------

    async def ask(
        self,
        take: dict[str, Any] | None = None,
        *,
        renew: Sequence[str] = (),
        bye: bool = False,
    ) -> Reply:
        """Asks for a place, and reports what is to be reported.

        Raises:
            UnreachableError: there is no Redis.
        """
        async with self._connections as client:
            return await self._ask(client, take, renew=renew, bye=bye)

    async def _ask(
        self, client: Any, take: dict[str, Any] | None, *, renew: Sequence[str], bye: bool
    ) -> Reply:
        reports = self._reports.take()
        if self.clock() - self._last > REMEMBERED:
            self._epoch = None
        try:
            answer = await self._send(client, take, reports, renew=renew, bye=bye)
            if answer[0] == "lost":
                self._epoch = answer[1]
                self.tickets.clear()
                if take is not None:
                    take.pop("ticket", None)
                held = tuple(self.slots)
                answer = await self._send(client, take, reports, renew=held, rejoin=True)
            if answer[0] == "lost":
                raise UnreachableError("Redis has lost its state twice", sent=False)
            reports = {}
        finally:
            self._reports.put_back(reports)
        return self._read(answer, take)

    def _read(self, answer: list[str], take: dict[str, Any] | None) -> Reply:
        name, epoch, wait, again, ticket, closings, peers = answer
        self._epoch, self._last = epoch, self.clock()
        self.peers = int(peers) or self.peers
        if take is not None:
            if ticket:
                self.tickets[take["who"]] = int(ticket)
            else:
                self.tickets.pop(take["who"], None)
        return Reply(name, float(wait), float(again), int(float(closings)))

    async def _send(
        self,
        client: Any,
        take: dict[str, Any] | None,
        reports: dict[str, dict[str, Any]],
        *,
        renew: Sequence[str],
        bye: bool = False,
        rejoin: bool = False,
    ) -> list[str]:
        terms, gates = self._terms, dict[str, int]()

        def number(key: str) -> int:
            return gates.setdefault(key, len(gates) + 1)

        now = self.clock()
        request: dict[str, Any] = {
            "me": self.me,
            "fresh": secrets.token_hex(6),
            "lease": terms.lease,
            "grace": terms.lease / 2,
            "periods": terms.periods,
            "reports": [as_sent(one, number(one["gate"]), now) for one in reports.values()],
            "renew": renew,
        }
        if take is not None:
            request["take"] = {**take, "g": number(take["gate"])}
        if terms.now is not None:
            request["now"] = terms.now()
        if self._epoch is not None:
            request["epoch"] = self._epoch
        if now - self._kept > OFTEN:
            self._kept = now
            request["keep"] = True
        if bye:
            request["bye"] = True
        if rejoin:
            request |= {"rejoin": True, "peers": self.peers}
        return await self._door.run(client, self._keys_of(*gates), request)

    def _keys_of(self, *gates: str) -> list[bytes]:
        keys = [self._base + one for one in SHARED_KEYS]
        keys += [f"{self._base}{gate}:{one}" for gate in gates for one in GATE_KEYS]
        return [key.encode() for key in keys]

    # --- reports -----------------------------------------------------------------------------

    def report(self, number: str, gate: str, *, within: float, **facts: Any) -> None:
        """Has something reported of a request, from any thread.

        Args:
            number: the request.
            gate: of which model.
            within: seconds.
            **facts: what the script reads; `at`: when the request was answered; `since`: when it
                began without Redis.
        """
        if asyncio._get_running_loop() is self.loop:
            self._note(number, gate, within, facts)
        else:
            with contextlib.suppress(RuntimeError):  # the loop has ended: the lease ends, too
                self.loop.call_soon_threadsafe(self._note, number, gate, within, facts)

    def _note(self, number: str, gate: str, within: float, facts: dict[str, Any]) -> None:
        if self._closed:
            return
        self._reports.add(number, gate, facts)
        due = self.loop.time() + within
        if self._sending is None or due < self._sending.when():
            self._unschedule()
            self._sending = self.loop.call_at(due, self._begin_sending)

    def _unschedule(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _begin_sending(self) -> None:
        self._sending = None
        if self._reports and not self._door.closed:
            self._spawn(self._deliver())

    async def _deliver(self) -> None:
        async with self._connections as client:
            if self._reports:
                with contextlib.suppress(UnreachableError):
                    await self._ask(client, None, renew=(), bye=False)

    async def flush(self) -> None:
        """Sends what is to be reported, and waits a moment for it to be taken."""
        if self._reports and not self._door.closed:
            self._unschedule()
            await asyncio.wait((self._spawn(self._deliver()),), timeout=PATIENCE)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- leases ------------------------------------------------------------------------------

    def hold(self, number: str) -> None:
        """From now on the slot of a request is renewed, until it is dropped."""
        self.slots[number] = None
        self._schedule_renewal()

    def _schedule_renewal(self) -> None:
        if self._renewing is None and self.slots and not self._closed:
            seconds = self._terms.lease / (12 if self._door.failing else 3)
            self._renewing = self.loop.call_later(seconds, self._begin_renewal)

    def _begin_renewal(self) -> None:
        self._renewing = None
        if self.slots and not self._door.closed:
            self._spawn(self._renew())
        self._schedule_renewal()

    async def _renew(self) -> None:
        ids = tuple(self.slots)
        with contextlib.suppress(UnreachableError):
            for first in range(0, len(ids), MANY):
                some = [one for one in ids[first : first + MANY] if one in self.slots]
                await self.ask(renew=some)

    # --- the end -----------------------------------------------------------------------------

    async def close(self) -> None:
        """Sends the last reports, and leaves."""
        self._closed = True
        self._unschedule()
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
        if self._last and not self._door.closed:
            with contextlib.suppress(UnreachableError):
                await self.ask(bye=True)


def digest(key: tuple[str, ...]) -> str:
    """A short name for an account or a model, which tells nothing of it."""
    return hashlib.sha256("\0".join(key).encode()).hexdigest()[:16]

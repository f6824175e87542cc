"""Those of one event loop who wait for a place, first come first served.

Theory of operation. Nobody serves the line: each waiter asks for itself when it is its turn, and
sleeps in between. It is the turn of the first one; where that one is held by its provider's gate,
also of the first who wants another model. So nobody is overtaken for a place that he could have.
A waiter that leaves, with a place or because it was cancelled, wakes those whose turn it is now;
so does whoever gives a place back.

Everything here runs in the thread of the line's event loop, but for `ring`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections import deque
from collections.abc import Collection, Hashable, Iterator
from typing import Any

from beluga_llm._clock import Clock


class Waiter:
    """Somebody in the line.

    Attributes:
        key: which gate is his.
        tokens: what he needs.
    """

    __slots__ = ("_nap", "_number", "_rung", "key", "tokens")

    def __init__(self, number: int, key: Hashable, tokens: int) -> None:
        self.key = key
        self.tokens = tokens
        self._number = number
        self._nap: asyncio.Future[Any] | None = None
        self._rung = False

    def listen(self) -> None:
        """From now on a ring is heard, also before `rest`."""
        self._rung = False

    def wake(self) -> None:
        """Ends the rest, or lets the next one end at once."""
        self._rung = True
        if self._nap is not None:
            self._nap.cancel()

    async def rest(self, clock: Clock, seconds: float) -> None:
        """Waits so many seconds, or until somebody rings."""
        if self._rung:
            return
        if seconds == math.inf:
            nap = asyncio.get_running_loop().create_future()
        else:
            nap = asyncio.ensure_future(clock.sleep(seconds))
        self._nap = nap
        try:
            await asyncio.wait((nap,))
        finally:
            self._nap = None
            nap.cancel()
        if not nap.cancelled():
            nap.result()


class Line:
    """The waiters of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._numbers = itertools.count()
        self._queues: dict[Hashable, deque[Waiter]] = {}
        self._held: set[Hashable] = set()

    def join(self, key: Hashable, tokens: int) -> Waiter:
        """A place at the end of the line."""
        waiter = Waiter(next(self._numbers), key, tokens)
        self._queues.setdefault(key, deque()).append(waiter)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Takes somebody out of the line, and wakes those whose turn it is."""
        queue = self._queues[waiter.key]
        queue.remove(waiter)
        if not queue:
            del self._queues[waiter.key]
            self._held.discard(waiter.key)
        self.wake()

    @property
    def count(self) -> int:
        """How many wait."""
        return sum(map(len, self._queues.values()))

    def ahead_of(self, key: Hashable) -> list[Collection[Waiter]]:
        """Those after whom a new one would have his turn: without those whom another gate holds."""
        held = self._held - {key}
        return [queue for mine, queue in self._queues.items() if mine not in held]

    def is_turn_of(self, waiter: Waiter) -> bool:
        """Whether he may ask."""
        return any(one is waiter for one in self._asking())

    def hold(self, waiter: Waiter, *, by_gate: bool) -> None:
        """Takes note of what keeps him who has asked: the gate of his own model, or a limit."""
        if not by_gate:
            self._held.discard(waiter.key)
        elif waiter.key not in self._held:
            self._held.add(waiter.key)
            self.wake()

    def wake(self) -> None:
        """Has all ask whose turn it is."""
        for waiter in self._asking():
            waiter.wake()

    def ring(self) -> None:
        """The same, from any thread."""
        if not self._queues:
            return
        try:
            here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            here = False
        if here:
            self.wake()
        else:
            with contextlib.suppress(RuntimeError):  # that loop has ended, and all its waiters
                self.loop.call_soon_threadsafe(self.wake)

    def _asking(self) -> Iterator[Waiter]:
        """Whose turn it is: the first of each model, up to the first who is not held."""
        for waiter in sorted((queue[0] for queue in self._queues.values()), key=_number):
            yield waiter
            if waiter.key not in self._held:
                return


def _number(waiter: Waiter) -> int:
    return waiter._number

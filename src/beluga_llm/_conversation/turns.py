"""One turn of a session after the other, for all who talk in this process.

An asyncio.Lock belongs to one event loop; this line serves all loops and threads. Whoever holds the
turn lets it go synchronously, so that a dropped stream does. A turn whose loop was closed is over.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Hashable

_Loop = asyncio.AbstractEventLoop


class Turn:
    """The right to talk; `end` it once, from any thread."""

    def __init__(self, line: _Line, loop: _Loop) -> None:
        self._line, self.loop = line, loop

    @property
    def over(self) -> bool:
        """Whether it has ended, or was taken from whoever is gone."""
        return self._line.holder is not self

    def end(self) -> None:
        """Lets the next one talk; further calls do nothing."""
        self._line.end(self)


class _Line:
    """Those who wait for the turn of one session, in order."""

    def __init__(self, key: Hashable) -> None:
        self.holder: Turn | None = None
        self.waiting: deque[tuple[_Loop, asyncio.Future[Turn]]] = deque()
        self._key = key

    def take(self, loop: _Loop) -> Turn | None:
        """The turn, if it is free."""
        if self.holder is not None and not self.holder.loop.is_closed():
            return None
        self.holder = Turn(self, loop)
        return self.holder

    def end(self, turn: Turn) -> None:
        with _LOCK:
            if self.holder is turn:
                self.holder = None
                self._next()

    def _next(self) -> None:
        while self.waiting:
            loop, future = self.waiting.popleft()
            if loop.is_closed():
                continue
            self.holder = Turn(self, loop)
            loop.call_soon_threadsafe(_give, future, self.holder)
            return
        if _LINES.get(self._key) is self:
            del _LINES[self._key]


def _give(future: asyncio.Future[Turn], turn: Turn) -> None:
    """In the waiter's loop: it takes the turn, or is gone."""
    if future.done():
        turn.end()
    else:
        future.set_result(turn)


_LOCK = threading.RLock()  # a dropped stream may end its turn while this thread has the lock
_LINES: dict[Hashable, _Line] = {}


async def take_turn(key: Hashable) -> Turn:
    """Waits until nobody else has the turn, and takes it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Turn] = loop.create_future()
    with _LOCK:
        line = _LINES.setdefault(key, _Line(key))
        turn = line.take(loop)
        if turn is not None:
            return turn
        line.waiting.append((loop, future))
    try:
        return await future
    except asyncio.CancelledError:
        if future.done() and not future.cancelled():  # it came together with the cancellation
            future.result().end()
        raise

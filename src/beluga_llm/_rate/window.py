"""How much was begun lately: a sliding window.

A window of a minute is any minute, not that of the clock: what began at 0 counts until 60, and no
longer at 60. All times are a Clock's, in seconds.
"""

from __future__ import annotations

from collections import deque

NEAR = 1e-9
"""Seconds that are no wait: what is left of sums of floating-point numbers."""


class Begun:
    """Something that was begun.

    Attributes:
        at: when.
        amount: how much it counts.
        counts: whether it is in a window.
    """

    __slots__ = ("amount", "at", "counts")

    def __init__(self, at: float, amount: int = 1) -> None:
        self.at = at
        self.amount = amount
        self.counts = False


class Window:
    """What was begun within the last `period` seconds."""

    __slots__ = ("_begun", "_sum", "period")

    def __init__(self, period: float) -> None:
        self.period = period
        self._begun: deque[Begun] = deque()
        self._sum = 0

    def wait(self, need: int, *, limit: int, now: float) -> float:
        """Seconds until so much more may begin; 0.0 for now.

        For more than the limit at once: until the last of it may begin, if it begins piece by
        piece as soon as each piece may.
        """
        self._expire(now)
        rounds, rest = divmod(need - 1, limit) if need else (0, -1)
        over = self._sum + rest + 1 - limit
        wait, oldest = 0.0, iter(self._begun)
        while over > 0:
            begun = next(oldest)
            over -= begun.amount
            wait = max(wait, begun.at + self.period - now)
        return rounds * self.period + wait

    def add(self, begun: Begun) -> None:
        """Counts something that begins."""
        self._begun.append(begun)
        self._sum += begun.amount
        begun.counts = True

    def change(self, begun: Begun, amount: int) -> None:
        """Lets something count more or less than was thought when it began."""
        if begun.counts:
            self._sum += amount - begun.amount
        begun.amount = amount

    def _expire(self, now: float) -> None:
        while self._begun and self._begun[0].at + self.period - now <= NEAR:
            begun = self._begun.popleft()
            begun.counts = False
            self._sum -= begun.amount

"""The time that retries, limits, breakers and caches go by; tests hand in another one."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, runtime_checkable


@runtime_checkable
class Clock(Protocol):
    """What tells the time and waits: `testing.VirtualClock`, or the system's clock."""

    def time(self) -> float:
        """The time, in seconds since whenever; it never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits so many seconds."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def time(self) -> float:
        """Seconds since the machine started, or thereabouts."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Waits so many seconds; other tasks run meanwhile."""
        await asyncio.sleep(seconds)


class WallClock(SystemClock):
    """The machine's date and time, for what outlives a process."""

    def time(self) -> float:
        """Unix seconds; they go back when somebody sets the clock."""
        return time.time()


SYSTEM_CLOCK = SystemClock()
WALL_CLOCK = WallClock()

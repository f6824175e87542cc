"""What tests see and set within a limiter, in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from beluga_llm_redis import RedisLimiter
from beluga_llm_redis._session import Session, Terms


def sessions_of(limiter: RedisLimiter) -> list[Session]:
    """What the running event loop has in its limits."""
    return [session for part in limiter._open.here() for session in part.sessions.values()]


def goes_by(limiter: RedisLimiter, clock: Callable[[], float], *, late: float) -> None:
    """From now on it believes a clock, and Redis does, too; requests arrive after `late`."""
    lease, prefix = limiter._terms.lease, limiter._terms.prefix
    limiter._terms = Terms(lease, prefix, clock, clock)
    limiter._travel.seconds = late


def asks_again(limiter: RedisLimiter) -> None:
    """It forgets what it was told."""
    limiter._refusals._known.clear()


def tries_again(*limiters: RedisLimiter) -> None:
    """The pause after a failure is over."""
    for one in limiters:
        one._door._closed_until = 0.0


async def told(limiter: RedisLimiter) -> None:
    """Everything that was reported has arrived."""
    await limiter.flush()
    for session in sessions_of(limiter):
        if session._tasks:
            await asyncio.wait(session._tasks)


def opened(limiter: RedisLimiter) -> dict[Any, Any]:
    """What it has of event loops."""
    return limiter._open._of

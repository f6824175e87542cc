"""Several limiters that know nothing of each other, and go by a clock of the test."""

from __future__ import annotations

import secrets
from typing import Any, Self

from beluga_llm import ProviderLimits
from beluga_llm.plugin import LimitDemand, LimitRefusal
from beluga_llm_redis import RedisLimiter
from beluga_llm_redis._place import RedisPlace

from .inside import goes_by, told

KEY = ("acme", "https://acme.example", "fingerprint", "m")
OTHER_KEY = (*KEY[:3], "other")


class Time:
    """What several limiters believe to be the time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Fleet:
    """Some processes, all within this one: limiters that know nothing of each other."""

    def __init__(self, url: str, *, count: int = 2, late: float = 0.0, **options: Any) -> None:
        self.time = Time()
        options.setdefault("name", f"test-{secrets.token_hex(4)}")
        self.limiters = [RedisLimiter(url, **options) for _ in range(count)]
        for one in self.limiters:
            goes_by(one, self.time, late=late)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in self.limiters:
            await one.aclose()

    async def take(self, who: int, demand: LimitDemand) -> RedisPlace:
        """A place that there must be."""
        answer = await self.limiters[who].take(demand)
        assert isinstance(answer, RedisPlace), answer
        return answer

    async def refused(self, who: int, demand: LimitDemand) -> LimitRefusal:
        """What there must be no place in."""
        answer = await self.limiters[who].take(demand)
        assert isinstance(answer, LimitRefusal)
        return answer

    async def release(self, who: int, place: RedisPlace, tokens: int | None = None) -> None:
        place.release(tokens)
        await self.told(who)

    async def told(self, who: int) -> None:
        """Everything that was reported has arrived."""
        await told(self.limiters[who])


def demand(tokens: int = 0, key: tuple[str, str, str, str] = KEY, **limits: Any) -> LimitDemand:
    limits.setdefault("adaptive", False)
    return LimitDemand(key, ProviderLimits(**limits), tokens)

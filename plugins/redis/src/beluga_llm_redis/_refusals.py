"""When to ask again: not all at the same moment, and never for what is known already."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, TypeAlias

import beluga_llm as llm
from beluga_llm.plugin import LimitRefusal
from beluga_llm_redis._session import Reply

SURE = 1.0
"""Seconds: a wait that is known and longer is not asked about before its last second."""

Asked: TypeAlias = tuple[str, llm.ProviderLimits]
"""Who asked, and for what."""


class Refusals:
    """What Redis has refused.

    Args:
        clock: tells the seconds that pass here.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[Asked, tuple[LimitRefusal, float]] = {}

    def read(self, asked: Asked, reply: Reply) -> LimitRefusal:
        """What a reply without a place says."""
        name: Any = reply.name
        if name == "concurrency":
            return LimitRefusal(name, math.inf, reply.again * _between(0.8, 1.2))
        if name == "TPM" and reply.again < reply.wait:
            return LimitRefusal(name, reply.wait, reply.again * _between(0.8, 1.2))
        refusal = LimitRefusal(name, reply.wait, reply.again + _between(0.001, 0.005))
        if name in ("RPM", "provider") and reply.wait > SURE:
            self._known[asked] = refusal, self._clock()
        return refusal

    def known(self, asked: Asked) -> LimitRefusal | None:
        """What is still true of the last one, if Redis need not be asked."""
        if asked not in self._known:
            return None
        refusal, since = self._known[asked]
        passed = self._clock() - since
        if refusal.seconds - passed <= SURE:
            del self._known[asked]
            return None
        return LimitRefusal(refusal.name, refusal.seconds - passed, refusal.rest - passed)

    def forget(self, asked: Asked) -> None:
        """The next time Redis is asked."""
        self._known.pop(asked, None)


def _between(least: float, most: float) -> float:
    return random.uniform(least, most)  # noqa: S311 -- jitter, no secret

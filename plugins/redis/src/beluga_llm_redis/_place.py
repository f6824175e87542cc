"""What a request holds, and what is reported of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm.plugin import LimitDemand, LimitPlace, rate_advice
from beluga_llm_redis._session import PROMPT, Reply, Session, digest

COLD = 1.0
"""Seconds within which a request reaches the provider before any was answered."""
LATE = 0.25
"""The same, later on. Both are those of the limits of one process."""
LONGEST = 1e7
"""Seconds that a provider may ask to wait."""
MOST = 10**12
"""The greatest count and rate that the script is told. What it cannot take it would refuse with
all that goes along, again and again; and servers report any number."""


class Travel:
    """How long requests are on their way.

    Attributes:
        seconds: at most, as far as is known.
    """

    def __init__(self) -> None:
        self.seconds = COLD

    def ended(self) -> None:
        """A request was answered: from now on it is warm."""
        self.seconds = min(self.seconds, LATE)


class RedisPlace:
    """A place in the limits of all processes.

    Args:
        session: of the running event loop.
        demand: what the request needs.
        travel: how long it is on its way.
        number: names it in Redis.
        reply: what Redis answered; None: it was not there to be asked.
        local: what was counted here.
    """

    def __init__(
        self,
        session: Session,
        demand: LimitDemand,
        travel: Travel,
        *,
        number: str,
        reply: Reply | None,
        local: LimitPlace | None,
    ) -> None:
        self._session, self._travel, self._local = session, travel, local
        self._id, self._gate, self._tokens = number, digest(demand.key), demand.tokens
        self._governs = reply is not None and demand.limits.adaptive
        self._closings = 0 if reply is None else reply.closings
        self._since = session.clock()
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
        since, late = self._session.clock(), self._travel.seconds
        self._report(60.0, since=since, late=late, windows=self._windows, cost=self._tokens)

    def accepted(self, facts: Mapping[str, Any] | None) -> None:
        """The provider answers."""
        self._travel.ended()
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
        lasted = session.clock() - self._since
        cost = {} if tokens is None else {"tokens": round(_within(MOST, tokens))}
        self._report(0.0, ended=True, lasted=lasted, **cost)

    def _answered(self, within: float, **facts: Any) -> None:
        facts |= {"at": self._session.clock(), "windows": self._windows}
        self._report(within, **facts)

    def _report(self, within: float, **facts: Any) -> None:
        if self._governs:
            facts |= {"governed": True, "closings": self._closings}
        self._session.report(self._id, self._gate, within=within, **facts)


def _within(most: float, value: float) -> float:
    """A number from 0 to the most; 0 for one that is none (NaN)."""
    return min(value, most) if value > 0 else 0

"""What 429 answers teach, for all tasks and threads that ask the same model with the same key.

Theory of operation. A governor only counts; who has to wait sleeps elsewhere. Before the first 429
it lets everything pass. A 429 closes the gate for the time that the provider asks. Then requests
begin at the rate that the provider was seen to accept within the second before, evenly, and in no
second more than that. Above it one probe at a time finds out whether more is possible: at once
where nothing was seen and the rate is a guess, else after `STEADY` seconds without a 429, when the
rate begins to grow, too. The other 429s of a burst, answers to what was sent before the gate
closed, do not close it anew; what was accepted meanwhile raises the rate. Nothing is reserved, so
whoever stops waiting has burnt nothing.

Requests are counted at the time they reach the provider, which is between their start and their
answer: `late` bounds how long that may take.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from beluga_llm._clock import SYSTEM_CLOCK, Clock
from beluga_llm._http.rate_headers import exhausted
from beluga_llm._rate.window import NEAR, Begun, Window

StateKey = tuple[str, str, str, str]

FIRST_CLOSING = 1.0
"""Seconds that a 429 closes the gate which does not say for how long; doubled each time."""
LONGEST_CLOSING = 30.0
STEADY = 5.0
"""Seconds without a 429 after which the rate begins to grow."""
GROWTH = 1.1
"""By what the rate is multiplied each second."""
FORGOTTEN = 100.0
"""Seconds of growth after which the rate says nothing any more: it has grown 10,000 times."""
PROBE = 60.0
"""Seconds after which a probe of which nothing was heard is no longer waited for."""
IDLE = 300.0
"""Seconds without a request after which a governor is forgotten."""
REFILL = 5.0
"""Seconds to wait for an empty bucket whose size is known; longer only for a single place."""
LATE = 0.25
"""Seconds within which a request reaches the provider, as far as it has not answered yet."""


class Pass:
    """A request that was let through.

    Attributes:
        begun: when it reaches the provider, at the latest.
        since: when it was let through.
        closings: how often the gate had been closed before.
    """

    __slots__ = ("begun", "closings", "since")

    def __init__(self, now: float, late: float, closings: int) -> None:
        self.since = now
        self.begun = Begun(now + late)
        self.closings = closings


class Governor:
    """The gate in front of one model of one account; `Governor.of` gives the shared one.

    Args:
        clock: what tells the time.
        late: seconds that a request may take to reach the provider.
    """

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK, late: float | None = None) -> None:
        self._clock = clock
        self._late = travel_time(clock) if late is None else late
        self._lock = threading.RLock()  # a dropped stream may end while the lock is held
        self._accepted: deque[float] = deque()
        self._second = Window(1.0)
        self._rate: float | None = None
        self._next = -math.inf
        self._closed_until = -math.inf
        self._closings = 0
        self._last_429 = 0.0
        self._streak = 0
        self._probe: Pass | None = None
        self._no_probe_until = 0.0
        self.used = clock.time()

    @classmethod
    def of(cls, key: StateKey, *, clock: Clock = SYSTEM_CLOCK) -> Governor:
        """The governor of a state key, the same one in the whole process."""
        place = (id(clock), *key)
        with _LOCK:
            found = _GOVERNORS.get(place)
            if found is None or found.idle:
                if len(_GOVERNORS) % _SWEPT == 0:
                    for old in [old for old, one in _GOVERNORS.items() if one.idle]:
                        del _GOVERNORS[old]
                found = _GOVERNORS[place] = cls(clock=clock)
            return found

    @property
    def idle(self) -> bool:
        """Whether nobody has asked for a long time, and nothing is closed."""
        now = self._clock.time()
        return now - self.used > IDLE and now >= self._closed_until

    @property
    def rate(self) -> float | None:
        """Requests that may begin in a second, as far as 429s have taught it."""
        with self._lock:
            return self._rate_at(self._clock.time())

    @property
    def closed_for(self) -> float:
        """Seconds until the gate opens again; 0.0 where it is open."""
        with self._lock:
            return max(self._closed_until - self._clock.time(), 0.0)

    # --- before a request --------------------------------------------------------------------

    def take(self) -> Pass | float:
        """Lets a request through, or says after how many seconds to ask again."""
        with self._lock:
            now = self.used = self._clock.time()
            if self._closed_until - now > NEAR:
                return self._closed_until - now
            passed = Pass(now, self._late, self._closings)
            rate = self._rate_at(now)
            if rate is None:
                return passed
            wait = self._next - now
            if wait <= NEAR:
                wait = self._second.wait(1, limit=max(int(rate), 1), now=now)
            if wait <= NEAR:
                self._next = max(self._next, now) + 1 / rate
            elif self._may_probe(now):
                self._probe = passed
            else:
                return wait
            self._second.add(passed.begun)
            return passed

    def _may_probe(self, now: float) -> bool:
        running = self._probe is not None and now - self._probe.since < PROBE
        return not running and now >= self._no_probe_until

    def _rate_at(self, now: float) -> float | None:
        if self._rate is None:
            return None
        growing = now - self._last_429 - STEADY
        if growing > FORGOTTEN:
            self._rate = None
            return None
        return self._rate * float(GROWTH ** max(growing, 0.0))

    # --- after it ----------------------------------------------------------------------------

    def accepted(self, passed: Pass, facts: Mapping[str, Any] | None = None) -> None:
        """The provider answers a request.

        Args:
            passed: the request.
            facts: what the answer's headers say of limits: `provider_metadata["rate_limit"]`.
        """
        with self._lock:
            now = self._clock.time()
            passed.begun.at = min(passed.begun.at, now)
            self._accepted.append(now)
            self._forget(now)
            if passed.closings == self._closings:
                self._streak = 0
            self.left(passed)
            if facts:
                self._learn(facts, now)

    def refused(self, passed: Pass, retry_after: float | None = None) -> None:
        """The provider answered a request with 429.

        Args:
            passed: the request.
            retry_after: how long the provider asks to wait, in seconds.
        """
        with self._lock:
            now = self._clock.time()
            passed.begun.at = min(passed.begun.at, now)
            self.left(passed)
            self._forget(now)
            seen = len(self._accepted)
            if seen or self._rate is not None:
                self._no_probe_until = now + STEADY
            self._last_429 = now
            if passed.closings < self._closings:  # one more of the burst that closed the gate
                self._rate = max(self._rate or 1.0, float(seen))
                self._close(now + (retry_after or 0.0))
                return
            if retry_after is None:
                retry_after = min(FIRST_CLOSING * 2**self._streak, LONGEST_CLOSING)
                self._streak = min(self._streak + 1, 10)
            self._rate = max(float(seen), 1.0)
            self._closings += 1
            self._close(now + retry_after)

    def left(self, passed: Pass) -> None:
        """A request has ended, whatever came of it."""
        with self._lock:
            if self._probe is passed:
                self._probe = None

    def _close(self, until: float) -> None:
        self._closed_until = max(self._closed_until, until)
        self._next = max(self._next, self._closed_until)

    def _forget(self, now: float) -> None:
        while self._accepted and now - self._accepted[0] >= 1.0:
            self._accepted.popleft()

    def _learn(self, facts: Mapping[str, Any], now: float) -> None:
        for seconds, rate in rate_advice(facts):
            self._close(now + seconds)
            if rate is not None and self._rate is None:
                self._rate, self._last_429 = rate, now

    def __repr__(self) -> str:
        if closed_for := self.closed_for:
            return f"<Governor closed for {closed_for:.1f} s>"
        rate = self.rate
        return "<Governor open>" if rate is None else f"<Governor {rate:.1f} requests per second>"


def rate_advice(facts: Mapping[str, Any]) -> Iterator[tuple[float, float | None]]:
    """For how many seconds to begin nothing, and at which rate to go on, if that is known.

    An empty bucket closes the gate before a 429 has to. Whether it fills bit by bit or all at once
    is not said. A bucket that fills bit by bit loses nothing by a wait that is shorter than the
    time to its reset; one that fills at once answers 429 with the time that is left.

    Args:
        facts: what an answer's headers say of limits: `provider_metadata["rate_limit"]`.
    """
    if (wait := facts.get("retry_after")) is not None:
        yield wait, None
    for reset, limit in exhausted(facts):
        seconds = min(reset, max(reset / limit, REFILL)) if limit else reset
        yield seconds, max(limit / reset, 1.0) if limit and reset else None


def travel_time(clock: Clock) -> float:
    """Seconds that requests may be on their way: none under a clock that a test moves."""
    return LATE if clock is SYSTEM_CLOCK else 0.0


_SWEPT = 16
"""After so many new governors the idle ones are forgotten."""
_LOCK = threading.RLock()
_GOVERNORS: dict[tuple[int, str, str, str, str], Governor] = {}
"""By clock and state key. They are kept for a while after their last use: applications that make
a model for each request would lose what was learned."""

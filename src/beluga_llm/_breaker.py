"""A circuit breaker as arithmetic: what is let through, and what results change.

    closed --too many failures--> open --reset_timeout--> half_open --successes--> closed
                                    ^---------- a failure ---'

Each change of the state begins a new *era*. A call takes the era in which it began with it, and its
result counts only there: what began before an opening says nothing of what comes after it. In
half_open a call is a *probe*, a lease that ends with its result, and expires where none comes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec
from attrs import frozen

from beluga_llm._clock import Clock
from beluga_llm._errors import BelugaError, ConfigError

_NEAR = 1e-9
"""Seconds that are none: what is left of sums of floating-point numbers."""


class BreakerState(StrEnum):
    """Whether calls are let through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@frozen(kw_only=True)
class BreakerPolicy:
    """When a circuit breaker opens and closes; times are seconds.

    Attributes:
        failure_threshold: consecutive failures that open it.
        failure_rate: the share of failures that opens it, of at least `min_requests` results
            within the last `window`.
        window: how long results count for the share.
        min_requests: see `failure_rate`.
        reset_timeout: how long it stays open, if the provider does not ask for more; also how long
            a probe may take before another one is let through.
        success_threshold: successes in half_open that close it.
        half_open_max: how many probes may run at the same time.

    Raises:
        ConfigError: lists all values that are out of range.
    """

    failure_threshold: int = 5
    failure_rate: float = 0.5
    window: float = 60.0
    min_requests: int = 10
    reset_timeout: float = 30.0
    success_threshold: int = 2
    half_open_max: int = 1

    def __attrs_post_init__(self) -> None:
        if problems := list(_problems(self)):
            raise ConfigError.of(problems)


def _problems(policy: BreakerPolicy) -> Iterator[str]:
    for name in ("failure_threshold", "min_requests", "success_threshold", "half_open_max"):
        value = getattr(policy, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield f"{name} must be an integer of at least 1, got {value!r}"
    for name in ("window", "reset_timeout"):
        value = getattr(policy, name)
        if not _is_number(value) or not value > 0:
            yield f"{name} must be > 0 seconds, got {value!r}"
    rate = policy.failure_rate
    if not _is_number(rate) or not 0 < rate <= 1:
        yield f"failure_rate must be > 0 and at most 1, got {rate!r}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Failure(msgspec.Struct, frozen=True):
    """What is kept of an error: nothing that holds a traceback.

    Attributes:
        code: its code, or the name of its class where it is none of ours.
        type: the name of its class.
        text: what it says.
    """

    code: str
    type: str
    text: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """What is kept of this error."""
        kind = type(error).__name__
        return cls(error.code if isinstance(error, BelugaError) else kind, kind, str(error))


class BreakerStats(msgspec.Struct, frozen=True):
    """How a circuit breaker stands; times are its clock's.

    Attributes:
        state: closed, open or half_open.
        consecutive_failures, consecutive_successes: results since the last other one.
        requests, failures, failure_rate: results within the window.
        last_failure: when the last failure was; None for never.
        last_change: when the state last changed; None for never.
    """

    state: BreakerState
    consecutive_failures: int
    consecutive_successes: int
    requests: int
    failures: int
    failure_rate: float
    last_failure: float | None
    last_change: float | None


class Permit:
    """A call that was let through.

    Attributes:
        era: in which its result counts.
        expires: when it is no longer counted as a running probe; None where it is none.
    """

    __slots__ = ("era", "expires")

    def __init__(self, era: int, expires: float | None = None) -> None:
        self.era = era
        self.expires = expires


class Circuit:
    """The state machine; safe for any number of tasks and threads."""

    def __init__(self, policy: BreakerPolicy, clock: Clock) -> None:
        self.policy = policy
        self._clock = clock
        self._lock = threading.RLock()  # a dropped stream may end while the lock is held
        self._state = BreakerState.CLOSED
        self._era = 0
        self._open_until = 0.0
        self._changed: float | None = None
        self._results: deque[tuple[float, bool]] = deque()
        self._failures = self._in_row = self._successes = 0
        self._probes: list[Permit] = []
        self._last_failure: float | None = None
        self.last_error: Failure | None = None

    @property
    def state(self) -> BreakerState:
        """The state now."""
        with self._lock:
            self._at(self._clock.time())
            return self._state

    # --- before a call -----------------------------------------------------------------------

    def enter(self) -> Permit | float:
        """Lets a call through, or says how many seconds it is closed for calls."""
        with self._lock:
            now = self._clock.time()
            self._at(now)
            if self._state is BreakerState.CLOSED:
                return Permit(self._era)
            if self._state is BreakerState.OPEN:
                return self._open_until - now
            self._probes = [probe for probe in self._probes if (probe.expires or 0.0) - now > _NEAR]
            if len(self._probes) >= self.policy.half_open_max:
                return min(probe.expires or now for probe in self._probes) - now
            probe = Permit(self._era, now + self.policy.reset_timeout)
            self._probes.append(probe)
            return probe

    # --- after it ----------------------------------------------------------------------------

    def left(self, permit: Permit) -> None:
        """A call has ended, whatever came of it."""
        with self._lock:
            if permit in self._probes:
                self._probes.remove(permit)

    def succeeded(self, permit: Permit) -> None:
        """A call has come to its end."""
        with self._lock:
            self.left(permit)
            now = self._clock.time()
            self._at(now)
            if permit.era != self._era:
                return
            self._in_row, self._successes = 0, self._successes + 1
            self._note(now, failed=False)
            if self._state is BreakerState.CLOSED:
                if self._fails_too_often():
                    self._open(now, self.policy.reset_timeout)
            elif self._successes >= self.policy.success_threshold:
                self._close(now)

    def failed(self, permit: Permit, failure: Failure, retry_after: float | None = None) -> None:
        """A call has failed in a way that says something of the provider."""
        with self._lock:
            self.left(permit)
            now = self._clock.time()
            self._at(now)
            if permit.era != self._era:
                return
            self._in_row, self._successes = self._in_row + 1, 0
            self._last_failure, self.last_error = now, failure
            self._note(now, failed=True)
            row = self._in_row >= self.policy.failure_threshold
            if self._state is BreakerState.HALF_OPEN or row or self._fails_too_often():
                self._open(now, max(self.policy.reset_timeout, retry_after or 0.0))

    # --- by hand -----------------------------------------------------------------------------

    def trip(self) -> None:
        """Opens it now, for `reset_timeout`."""
        with self._lock:
            self._open(self._clock.time(), self.policy.reset_timeout)

    def reset(self) -> None:
        """Closes it now, and forgets all results."""
        with self._lock:
            self._close(self._clock.time())

    def stats(self) -> BreakerStats:
        """How it stands."""
        with self._lock:
            now = self._clock.time()
            self._at(now)
            self._expire(now)
            requests = len(self._results)
            return BreakerStats(
                self._state,
                self._in_row,
                self._successes,
                requests,
                self._failures,
                self._failures / requests if requests else 0.0,
                self._last_failure,
                self._changed,
            )

    # --- changes -----------------------------------------------------------------------------

    def _at(self, now: float) -> None:
        """What time alone has changed."""
        if self._state is BreakerState.OPEN and self._open_until - now <= _NEAR:
            self._change(BreakerState.HALF_OPEN, self._open_until)

    def _open(self, now: float, seconds: float) -> None:
        self._open_until = now + seconds
        self._change(BreakerState.OPEN, now)

    def _close(self, now: float) -> None:
        self._results.clear()
        self._failures = self._in_row = 0
        self._change(BreakerState.CLOSED, now)

    def _change(self, state: BreakerState, when: float) -> None:
        self._state, self._changed = state, when
        self._era += 1
        self._successes = 0
        self._probes.clear()

    def _note(self, now: float, *, failed: bool) -> None:
        self._results.append((now, failed))
        self._failures += failed
        self._expire(now)

    def _expire(self, now: float) -> None:
        while self._results and now - self._results[0][0] >= self.policy.window - _NEAR:
            self._failures -= self._results.popleft()[1]

    def _fails_too_often(self) -> bool:
        requests = len(self._results)
        if requests < self.policy.min_requests:
            return False
        return self._failures / requests >= self.policy.failure_rate

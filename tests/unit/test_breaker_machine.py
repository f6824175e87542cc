"""The breaker under any order of calls, results and time, against a plain model of it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from beluga_llm._breaker import BreakerPolicy, BreakerState, Circuit, Failure, Permit
from beluga_llm.testing import VirtualClock

FAILURE = Failure("overloaded", "OverloadedError", "busy")
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Breaker(RuleBasedStateMachine):
    """Whole seconds only, so that the boundaries are met all the time."""

    @initialize(
        threshold=st.integers(1, 4),
        least=st.integers(1, 5),
        window=st.integers(1, 6),
        reset=st.integers(1, 5),
        successes=st.integers(1, 3),
        probes=st.integers(1, 2),
    )
    def begin(
        self, threshold: int, least: int, window: int, reset: int, successes: int, probes: int
    ) -> None:
        self.clock = VirtualClock()
        self.policy = BreakerPolicy(
            failure_threshold=threshold,
            min_requests=least,
            window=float(window),
            reset_timeout=float(reset),
            success_threshold=successes,
            half_open_max=probes,
        )
        self.circuit = Circuit(self.policy, self.clock)
        self.state = CLOSED
        self.until = 0.0
        self.results: list[tuple[float, bool]] = []
        self.row = self.good = 0
        self.era: list[Permit] = []  # what was let through since the last change
        self.old: list[Permit] = []
        self.leases: dict[Permit, float] = {}

    def change(self, state: BreakerState) -> None:
        self.state = state
        self.old += self.era
        self.era, self.leases, self.good = [], {}, 0

    def opened(self, seconds: float) -> None:
        self.until = self.clock.time() + seconds
        self.change(OPEN)

    def pass_by(self) -> None:
        if self.state is OPEN and self.clock.time() >= self.until:
            self.change(HALF_OPEN)

    # --- what happens ------------------------------------------------------------------------

    @rule()
    def enter(self) -> None:
        now = self.clock.time()
        answer = self.circuit.enter()
        if self.state is HALF_OPEN:
            self.leases = {one: end for one, end in self.leases.items() if end > now}
            free = len(self.leases) < self.policy.half_open_max
        else:
            free = self.state is CLOSED
        assert isinstance(answer, Permit) is free
        if isinstance(answer, Permit):
            self.era.append(answer)
            if self.state is HALF_OPEN:
                self.leases[answer] = now + self.policy.reset_timeout
        else:
            assert answer == (self.until if self.state is OPEN else min(self.leases.values())) - now

    @precondition(lambda self: self.era or self.old)
    @rule(data=st.data(), how=st.sampled_from(["good", "bad", "slow", "neither"]))
    def end(self, data: st.DataObject, how: str) -> None:
        permit = data.draw(st.sampled_from(self.era + self.old))
        counts = permit in self.era
        (self.era if counts else self.old).remove(permit)
        self.leases.pop(permit, None)
        if how == "neither":
            self.circuit.left(permit)
            return
        asked = 7.0 if how == "slow" else None
        if how == "good":
            self.circuit.succeeded(permit)
        else:
            self.circuit.failed(permit, FAILURE, asked)
        if counts:
            self.count(how != "good", max(self.policy.reset_timeout, asked or 0.0))

    def count(self, failed: bool, seconds: float) -> None:
        self.results.append((self.clock.time(), failed))
        self.row = self.row + 1 if failed else 0
        self.good = 0 if failed else self.good + 1
        recent = self.recent()
        often = len(recent) >= self.policy.min_requests and sum(recent) * 2 >= len(recent)
        if self.state is HALF_OPEN:
            if failed:
                self.opened(seconds)
            elif self.good >= self.policy.success_threshold:
                self.results, self.row = [], 0
                self.change(CLOSED)
        elif self.row >= self.policy.failure_threshold or often:
            self.opened(seconds if failed else self.policy.reset_timeout)

    def recent(self) -> list[bool]:
        now = self.clock.time()
        return [failed for at, failed in self.results if now - at < self.policy.window]

    @rule(seconds=st.integers(1, 8))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.pass_by()

    @rule()
    def trip(self) -> None:
        self.circuit.trip()
        self.opened(self.policy.reset_timeout)

    @rule()
    def reset(self) -> None:
        self.circuit.reset()
        self.results, self.row = [], 0
        self.change(CLOSED)

    # --- what must hold ----------------------------------------------------------------------

    @precondition(lambda self: hasattr(self, "circuit"))
    @invariant()
    def it_stands_as_the_model_does(self) -> None:
        stats, recent = self.circuit.stats(), self.recent()
        assert self.circuit.state is stats.state is self.state
        assert (stats.requests, stats.failures) == (len(recent), sum(recent))
        assert (stats.consecutive_failures, stats.consecutive_successes) == (self.row, self.good)


TestBreaker = Breaker.TestCase
TestBreaker.settings = settings(stateful_step_count=40)

"""Limits under any order of calls, ends, cancellations and time: a model and what must hold."""

from __future__ import annotations

import asyncio
from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.provider import Provider

import beluga_llm as llm
from beluga_llm import RateLimitError, Usage, with_limits
from beluga_llm.testing import VirtualClock

INPUT = 5
"""Tokens of a request: one short word."""

Begun = tuple[float, int]


class Limits(RuleBasedStateMachine):
    """Callers of two models behind one limiter."""

    @initialize(
        rps=st.sampled_from([None, 1, 2, 5]),
        rpm=st.sampled_from([None, 3, 10]),
        tpm=st.sampled_from([None, 100, 400]),
        slots=st.sampled_from([None, 1, 3]),
        adaptive=st.booleans(),
    )
    def begin(
        self, rps: int | None, rpm: int | None, tpm: int | None, slots: int | None, adaptive: bool
    ) -> None:
        self.runner = asyncio.Runner()
        self.clock = VirtualClock()
        self.limits = {"rps": rps, "rpm": rpm, "tpm": tpm, "max_concurrent": slots}
        self.limiter = with_limits(clock=self.clock, adaptive=adaptive, **self.limits)
        self.providers = [Provider(self.clock, "one"), Provider(self.clock, "two")]
        for provider in self.providers:
            provider.script.hold = True
        self.models = [one.with_middleware(self.limiter) for one in self.providers]
        self.calls: dict[str, asyncio.Task[llm.AIMessage]] = {}
        self.reserved: dict[str, int] = {}
        self.begun: dict[str, Begun] = {}
        self.lines: list[deque[str]] = [deque(), deque()]
        self.seen = [0, 0]
        self.closed_until = [0.0, 0.0]
        self.count = 0

    def teardown(self) -> None:
        """Nothing is lost: whoever waits gets his place, and afterwards everything is free."""
        if not hasattr(self, "runner"):
            return
        for _ in range(500):
            for text in self.running():
                self.finish_one(text, 0)
            if self.calls:
                self.pass_time(7.3)
        assert not self.calls
        assert (self.limiter.running, self.limiter.waiting) == (0, 0)
        self.runner.close()

    def settle(self, seconds: float = 0.0) -> None:
        async def advance() -> None:
            await self.clock.advance(seconds)

        self.runner.run(advance())
        self.follow()

    def follow(self) -> None:
        """Takes note of the requests that have begun, and holds their order to that of arrival."""
        begun: list[int] = []
        for number, provider in enumerate(self.providers):
            for text, at in provider.started[self.seen[number] :]:
                assert self.lines[number].popleft() == text
                assert at >= self.closed_until[number]
                self.begun[text] = (at, self.reserved[text])
                begun.append(int(text))
            self.seen[number] = len(provider.started)
        waiting = [int(text) for line in self.lines for text in line]
        if begun and waiting and not self.limiter.limits.adaptive:
            assert max(begun) < min(waiting)

    def running(self) -> list[str]:
        return [text for provider in self.providers for text in provider.running]

    # --- what happens ------------------------------------------------------------------------

    @rule(number=st.integers(0, 1), output=st.integers(1, 90))
    def ask(self, number: int, output: int) -> None:
        self.count += 1
        text = str(self.count)
        self.reserved[text] = INPUT + output
        self.lines[number].append(text)
        model = self.models[number]

        async def begin() -> None:
            self.calls[text] = asyncio.create_task(model.generate(text, max_tokens=output))

        self.runner.run(begin())
        self.settle()

    @precondition(lambda self: self.running())
    @rule(data=st.data(), spent=st.integers(0, 95))
    def finish(self, data: st.DataObject, spent: int) -> None:
        self.finish_one(data.draw(st.sampled_from(self.running())), spent)

    def finish_one(self, text: str, spent: int) -> None:
        provider = next(one for one in self.providers if text in one.running)
        at, reserved = self.begun[text]
        spent = min(spent, reserved)
        provider.script.usage = Usage(spent, 0)
        provider.finish(text)
        self.begun[text] = (at, spent)
        self.settle()
        assert self.calls.pop(text).result().text == "ok fine"

    @precondition(lambda self: self.running())
    @rule(data=st.data(), seconds=st.sampled_from([None, 0.5, 2.0]))
    def refuse(self, data: st.DataObject, seconds: float | None) -> None:
        """The provider answers 429."""
        text = data.draw(st.sampled_from(self.running()))
        number = next(n for n, one in enumerate(self.providers) if text in one.running)
        if self.limiter.limits.adaptive:
            until = self.clock.time() + (seconds or 0.0)
            self.closed_until[number] = max(self.closed_until[number], until)
        self.providers[number].fail(text, RateLimitError("slow down", retry_after=seconds))
        self.begun[text] = (self.begun[text][0], 0)
        self.settle()
        assert isinstance(self.calls.pop(text).exception(), RateLimitError)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Somebody stops to wait, or to listen."""
        text = data.draw(st.sampled_from(list(self.calls)))
        task = self.calls.pop(text)

        async def stop() -> None:
            task.cancel()
            await asyncio.wait([task])

        self.runner.run(stop())
        assert task.cancelled()
        for line in self.lines:
            if text in line:
                line.remove(text)
        if text in self.begun:
            self.begun[text] = (self.begun[text][0], 0)
        self.settle()

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 7.3, 60.0]))
    def pass_time(self, seconds: float) -> None:
        until = self.clock.time() + seconds
        while self.clock.next_wake < until:
            self.settle(max(self.clock.next_wake - self.clock.time(), 0.0))
        self.settle(until - self.clock.time())

    # --- what must hold ----------------------------------------------------------------------

    def within(self, period: float) -> list[Begun]:
        now = self.clock.time()
        return [one for one in self.begun.values() if one[0] + period > now + 1e-6]

    @precondition(lambda self: hasattr(self, "runner"))
    @invariant()
    def no_limit_is_exceeded(self) -> None:
        rps, rpm, tpm, slots = self.limits.values()
        assert rps is None or len(self.within(1)) <= rps
        assert rpm is None or len(self.within(60)) <= rpm
        assert tpm is None or sum(tokens for _, tokens in self.within(60)) <= tpm
        assert slots is None or len(self.running()) <= slots
        assert self.limiter.running == len(self.running())
        assert self.limiter.waiting == len(self.calls) - len(self.running())

    @precondition(lambda self: hasattr(self, "runner") and not self.limiter.limits.adaptive)
    @invariant()
    def nobody_waits_without_a_reason(self) -> None:
        """Whoever is first of all lines would break a limit if he began now."""
        waiting = [line[0] for line in self.lines if line]
        if not waiting:
            return
        tokens = self.reserved[min(waiting, key=int)]
        rps, rpm, tpm, slots = self.limits.values()
        now = self.clock.time()
        minute = [one for one in self.begun.values() if one[0] + 60 > now + 1e-9]
        second = [one for one in minute if one[0] + 1 > now + 1e-9]
        assert (
            (rps is not None and len(second) >= rps)
            or (rpm is not None and len(minute) >= rpm)
            or (tpm is not None and sum(one[1] for one in minute) + tokens > tpm)
            or (slots is not None and len(self.running()) >= slots)
        )


TestLimits = Limits.TestCase
TestLimits.settings = settings(stateful_step_count=30)

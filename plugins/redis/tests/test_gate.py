"""The gate that all processes share: the same as that of one process, in Redis."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

from beluga_llm import ProviderLimits, RateLimitError, with_limits
from beluga_llm._rate.governor import Governor, Pass
from beluga_llm.plugin import LimitDemand, LimitRefusal
from beluga_llm.testing import MockChatModel
from beluga_llm_redis import RedisLimiter
from beluga_llm_redis._place import RedisPlace

from .inside import asks_again, goes_by, sessions_of

LATE = 0.25
FACTS: list[dict[str, Any] | None] = [
    None,
    {"retry_after": 2.0},
    {"requests": {"remaining": 0, "limit": 60, "reset": 30.0}},
    {"requests": {"remaining": 0, "reset": 3.0}, "tokens": {"remaining": 7, "limit": 9}},
]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.sampled_from([0.0625, 0.25, 0.5, 1.0, 3.0, 20.0, 110.0])),
        st.tuples(st.just("take"), st.none()),
        st.tuples(st.just("take"), st.none()),
        st.tuples(st.just("accepted"), st.sampled_from(FACTS)),
        st.tuples(st.just("accepted"), st.none()),
        st.tuples(st.just("refused"), st.sampled_from([None, None, 0.5, 4.0])),
        st.tuples(st.just("left"), st.none()),
    ),
    max_size=40,
)


class Both:
    """A governor of one process and the shared one, which are told the same."""

    def __init__(self, url: str) -> None:
        self.now = 1000.0
        self.key = ("acme", secrets.token_hex(4), "k", "m")
        self.governor = Governor(clock=self, late=LATE)
        self.limiter = RedisLimiter(url, name=secrets.token_hex(4))
        goes_by(self.limiter, self.time, late=LATE)
        self.running: list[tuple[Pass, RedisPlace]] = []

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits")

    async def take(self) -> None:
        expected = self.governor.take()
        self.limiter._travel.seconds = LATE
        asks_again(self.limiter)
        answer = await self.limiter.take(LimitDemand(self.key, ProviderLimits()))
        if isinstance(expected, Pass):
            assert isinstance(answer, RedisPlace), answer
            self.running.append((expected, answer))
        else:
            assert isinstance(answer, LimitRefusal)
            assert answer.seconds == pytest.approx(expected, abs=1e-5)

    async def step(self, what: str, value: Any) -> None:
        if what == "pass":
            self.now += value
        elif what == "take":
            await self.take()
        elif self.running:
            passed, place = self.running.pop(0)
            if what == "accepted":
                self.governor.accepted(passed, value)
                place.accepted(value)
            elif what == "refused":
                self.governor.refused(passed, value)
                place.refused(value)
            else:
                self.governor.left(passed)
            place.release(None)
            for session in sessions_of(self.limiter):
                await session._deliver()


@pytest.mark.row("DIST-01", "RATE-15")
@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_the_shared_gate_does_what_the_gate_of_one_process_does(
    shared_server: Any, steps: list[tuple[str, Any]]
):
    async def run() -> None:
        both = Both(shared_server.url)
        try:
            for what, value in steps:
                await both.step(what, value)
        finally:
            await both.limiter.aclose()

    asyncio.run(run())


@pytest.mark.row("DIST-01", "RATE-15")
async def test_a_429_of_one_process_holds_back_the_others(url: str):
    name = secrets.token_hex(4)
    async with RedisLimiter(url, name=name) as one, RedisLimiter(url, name=name) as other:
        model = MockChatModel([RateLimitError("slow down", retry_after=7.0), "fine"])
        with pytest.raises(RateLimitError, match="slow down") as caught:
            await model.with_middleware(with_limits(store=one)).generate("hi")
        assert caught.value.governed
        layer = with_limits(ProviderLimits(on_limit="raise"), store=other)
        with pytest.raises(RateLimitError, match="the provider's limit is reached") as caught:
            await model.with_middleware(layer).generate("hi")
        assert 5 < (caught.value.retry_after or 0) <= 7
        another = MockChatModel(["fine"]).with_middleware(layer)
        assert (await another.generate("hi")).text == "fine"


@pytest.mark.row("DIST-01", "RATE-15")
async def test_processes_take_turns_at_the_gate(url: str):
    now, name = [1000.0], secrets.token_hex(4)
    demand = LimitDemand(("acme", secrets.token_hex(4), "k", "m"), ProviderLimits())
    limiters = [RedisLimiter(url, name=name) for _ in range(3)]
    for one in limiters:
        goes_by(one, lambda: now[0], late=0.0)
    place = await limiters[0].take(demand)
    assert isinstance(place, RedisPlace)
    place.refused(1.0)
    place.release(0)
    await place._session._deliver()
    begun = list[int]()
    for _ in range(40):
        for who, one in enumerate(limiters):
            asks_again(one)
            answer = await one.take(demand)
            if isinstance(answer, RedisPlace):
                begun.append(who)
                answer.accepted(None)
                answer.release(0)
                await answer._session._deliver()
                await one.take(demand)
        now[0] += 0.25
    assert len(begun) >= 9
    assert all(abs(begun.count(0) - begun.count(who)) <= 2 for who in (1, 2)), begun
    for one in limiters:
        await one.aclose()

"""`with_timeout`: less time for what is inside of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest
from support.flaky import Flaky, answer

import beluga_llm as llm
from beluga_llm import with_retry, with_timeout
from beluga_llm._http.limits import ReadLimits
from beluga_llm._option_types import Timeouts
from beluga_llm._request import NO_BOUNDS, Bounds, earliest
from beluga_llm._waiting import time_left
from beluga_llm.testing import VirtualClock

pytestmark = pytest.mark.row("MIDD-13")

Skip = Callable[[float], None]


class Seen:
    """A layer that takes note of the requests that pass it."""

    def __init__(self) -> None:
        self.requests: list[llm.ChatRequest] = []

    async def __call__(
        self, request: llm.ChatRequest, call_next: llm.CallNext
    ) -> AsyncGenerator[llm.StreamChunk, None]:
        self.requests.append(request)
        async for chunk in call_next(request):
            yield chunk

    @property
    def bounds(self) -> Bounds:
        return self.requests[-1].bounds


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.row("MIDD-28", "CONF-07")
def test_all_problems_are_told_at_once():
    with pytest.raises(llm.ConfigError) as caught:
        with_timeout(0, first_chunk=-1, idle="soon")  # type: ignore[arg-type]  # the point
    assert caught.value.message == (
        "with_timeout.first_chunk must be > 0 seconds or None, got -1; "
        "with_timeout.idle must be > 0 seconds or None, got 'soon'; "
        "with_timeout.total must be > 0 seconds or None, got 0"
    )
    assert repr(with_timeout(30, idle=2.5)) == "with_timeout(total=30, idle=2.5)"
    assert repr(with_timeout()) == "with_timeout()"


async def test_it_writes_its_limits_into_the_request():
    seen = Seen()
    model = Flaky(answer("ok")).with_middleware(with_timeout(30, first_chunk=5, idle=2), seen)
    began = now()
    await model.generate("hi")
    assert seen.bounds.first_chunk == 5
    assert seen.bounds.idle == 2
    assert seen.bounds.deadline == pytest.approx(began + 30, abs=1)
    assert time_left(seen.requests[0]) == pytest.approx(30, abs=1)
    plain = Seen()
    await Flaky(answer("ok")).with_middleware(plain).generate("hi")
    assert plain.bounds is NO_BOUNDS


@pytest.mark.parametrize("wide_outside", [True, False])
async def test_of_several_the_narrowest_counts(*, wide_outside: bool):
    seen = Seen()
    wide, narrow = with_timeout(600, first_chunk=9), with_timeout(30, first_chunk=20, idle=2)
    layers = (wide, narrow) if wide_outside else (narrow, wide)
    model = Flaky(answer("ok")).with_middleware(*layers, seen)
    await model.generate("hi")
    assert (seen.bounds.first_chunk, seen.bounds.idle) == (9, 2)
    assert seen.bounds.deadline == pytest.approx(now() + 30, abs=1)


async def test_models_inside_of_wrappers_and_routers_keep_to_it():
    seen = Seen()
    inner = Flaky(answer("ok")).with_middleware(seen)
    await llm.Router([inner]).with_middleware(with_timeout(30, idle=2)).generate("hi")
    assert seen.bounds.idle == 2
    assert seen.bounds.deadline is not None


def test_read_limits_only_narrow():
    request = llm.ChatRequest((), bounds=Bounds(7.0, 5.0, 500.0))
    limits = ReadLimits.of(Timeouts(first_chunk=100, idle=10), request, 1.0)
    assert limits.until(1.0) == 6.0
    assert str(limits.expired()) == "timeout: no content within 5 s (first_chunk)"
    limits.content = True
    assert limits.until(2.0) == 7.0
    assert "(total)" in str(limits.expired())
    later = llm.ChatRequest((), bounds=Bounds(700.0, None, 500.0))
    limits = ReadLimits.of(Timeouts(first_chunk=100, idle=10), later, 1.0)
    assert limits.until(1.0) == 101.0
    limits.content = True
    assert limits.until(2.0) == 12.0
    limits = ReadLimits.of(Timeouts(first_chunk=None, idle=None, total=50), later, 1.0)
    assert limits.until(1.0) == 51.0
    assert (earliest(), earliest(None), earliest(None, 2.0, 1.0)) == (None, None, 1.0)


async def test_a_model_that_watches_no_time_is_watched(skip_time: Skip):
    hanging = Flaky([asyncio.Event()])
    task = asyncio.create_task(hanging.with_middleware(with_timeout(5)).generate("hi"))
    await asyncio.sleep(0.01)
    skip_time(4.9)
    await asyncio.sleep(0.01)
    assert not task.done()
    skip_time(0.2)
    with pytest.raises(llm.RequestTimeoutError, match=r"\(total\)"):
        await task
    assert hanging.open == 0


@pytest.mark.row("RETR-07", "CHAT-10")
async def test_inside_of_a_retry_each_attempt_has_its_own_time(skip_time: Skip):
    model = Flaky([asyncio.Event()], [asyncio.Event()], answer("ok"))
    layers = with_retry(clock=VirtualClock(auto=True)), with_timeout(5)
    task = asyncio.create_task(model.with_middleware(*layers).generate("hi"))
    for _ in range(2):
        await asyncio.sleep(0.01)
        skip_time(5.1)
    assert (await task).text == "ok"
    assert len(model.requests) == 3


@pytest.mark.row("RETR-07", "CHAT-10")
async def test_outside_of_a_retry_all_attempts_share_it(skip_time: Skip):
    model = Flaky([asyncio.Event()])
    layers = with_timeout(5), with_retry(clock=VirtualClock(auto=True))
    task = asyncio.create_task(model.with_middleware(*layers).generate("hi"))
    await asyncio.sleep(0.01)
    skip_time(5.1)
    with pytest.raises(llm.RequestTimeoutError):
        await task
    assert len(model.requests) == 1
    busy = Flaky([llm.OverloadedError("busy", retry_after=6.0)])
    with pytest.raises(llm.OverloadedError) as caught:
        await busy.with_middleware(*layers).generate("hi")
    (note,) = caught.value.__notes__
    assert note.startswith("not retried: 6.0 s wait exceeds the deadline in ")


@pytest.mark.row("CHAT-10")
async def test_it_never_gives_more_time_than_the_call_has():
    seen = Seen()
    model = Flaky(answer("ok")).with_middleware(with_timeout(600), seen)
    await model.generate("hi", timeout=5)
    assert time_left(seen.requests[0]) <= 5


async def test_without_a_total_nothing_is_watched():
    seen = Seen()
    model = Flaky(answer("ok")).with_middleware(with_timeout(idle=5), seen)
    assert (await model.generate("hi")).text == "ok"
    assert seen.bounds == Bounds(None, None, 5)

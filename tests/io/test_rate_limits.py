"""Limits and what 429 answers teach, over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from email.utils import formatdate

import pytest

import beluga_llm as llm
from beluga_llm.testing import FakeServer, Reply, VirtualClock
from beluga_llm.testing._reply import Seen

CALLERS = 100
RATE = 20

HOW_TO_SAY: dict[str, Callable[[], dict[str, str]]] = {
    "seconds": lambda: {"retry-after": "1"},
    "milliseconds": lambda: {"retry-after-ms": "1000"},
    "date": lambda: {"retry-after": formatdate(time.time() + 1, usegmt=True)},
    "nothing": dict,
}


def twenty_a_second(how: str) -> Callable[[Seen], Reply]:
    """A provider that takes 20 requests in any second, and answers 429 to all others."""
    taken: deque[float] = deque()

    def answer(seen: Seen) -> Reply:
        now = time.monotonic()
        while taken and now - taken[0] >= 1:
            taken.popleft()
        if len(taken) >= RATE:
            return Reply(status=429, headers=HOW_TO_SAY[how]())
        taken.append(now)
        return Reply("ok")

    return answer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """In a thread of its own, as a provider is elsewhere."""
    with FakeServer() as running:
        yield running


def connect(
    server: FakeServer, model: str = "m", key: str = "key-1", path: str = ""
) -> llm.ChatModel:
    base_url = server.base_url("chat") + path
    return llm.create("openai-compatible", model=model, base_url=base_url, api_key=key)


async def crowd(model: llm.ChatModel, *, stream: bool) -> float:
    """100 callers at once, all of whom succeed; how many seconds they need."""

    async def ask(text: str) -> str:
        if stream:
            return (await model.stream(text).response()).text
        return (await model.generate(text)).text

    began = time.monotonic()
    answers = await asyncio.gather(*[ask(str(number)) for number in range(CALLERS)])
    assert answers == ["ok"] * CALLERS
    return time.monotonic() - began


@pytest.mark.row("PAIN-06", "RATE-15", "NONE-01", "RETR-06")
async def test_a_crowd_does_not_run_into_the_wall_twice():
    """For each way to say how long to wait, at the same time, to save time."""

    async def run(how: str, *, stream: bool) -> tuple[str, float, int]:
        with FakeServer(twenty_a_second(how)) as server:
            async with llm.resilient(connect(server)) as model:
                seconds = await crowd(model, stream=stream)
            return how, seconds, len(server.requests) - CALLERS

    asyncio.get_running_loop().set_debug(False)  # which costs more than the calls
    results = await asyncio.gather(
        run("seconds", stream=False), run("milliseconds", stream=True), run("date", stream=True)
    )
    for _, seconds, refused in results:
        assert seconds < 15, results
        assert refused <= 100, results


@pytest.mark.row("PAIN-06", "RATE-02", "RATE-15")
async def test_a_declared_limit_is_never_exceeded(server: FakeServer):
    asyncio.get_running_loop().set_debug(False)
    server.default = twenty_a_second("nothing")
    async with llm.resilient(connect(server), limits={"rps": RATE}) as model:
        assert await crowd(model, stream=False) < 15
    assert len(server.requests) == CALLERS


# --- what headers say ----------------------------------------------------------------------------

HEADERS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
    "anthropic-ratelimit-input-tokens-remaining": "80000",
}


@pytest.mark.row("RATE-13")
@pytest.mark.parametrize("stream", [False, True])
async def test_every_answer_says_what_its_headers_say(server: FakeServer, *, stream: bool):
    server.reply("ok", headers=HEADERS)
    server.reply("ok")
    async with connect(server) as model:
        for known in (True, False):
            reply = await (model.stream("hi").response() if stream else model.generate("hi"))
            facts = {
                "requests": {"limit": 500, "remaining": 499, "reset": 0.12},
                "input_tokens": {"remaining": 80000},
            }
            assert reply.provider_metadata.get("rate_limit") == (facts if known else None)


@pytest.mark.row("RATE-13")
async def test_errors_say_when_an_empty_bucket_is_filled(server: FakeServer):
    empty = {**HEADERS, "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}
    server.reply(status=429, headers=empty)
    async with connect(server) as model:
        with pytest.raises(llm.RateLimitError) as caught:
            await model.generate("hi")
    assert caught.value.retry_after == 360.0


@pytest.mark.row("RATE-13", "RATE-15")
async def test_an_empty_bucket_holds_the_next_request_back(server: FakeServer):
    clock = VirtualClock()
    empty = {**HEADERS, "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s"}
    server.reply("ok", headers=empty)
    server.reply("ok")
    async with connect(server).with_middleware(llm.with_limits(clock=clock)) as model:
        await model.generate("hi")
        task = asyncio.create_task(model.generate("hi"))
        await clock.sleeping()
        assert len(server.requests) == 1
        await clock.advance(2)
        await task
    assert clock.sleeps == [2.0]


# --- who shares a gate ---------------------------------------------------------------------------


@pytest.mark.row("RATE-15", "NONE-01")
async def test_the_same_provider_address_key_and_model_share_a_gate(server: FakeServer):
    clock = VirtualClock()
    server.reply(status=429, headers={"retry-after": "30"})
    server.reply("ok", times=5)

    def limited(model: llm.ChatModel) -> llm.ChatModel:
        return model.with_middleware(llm.with_limits(clock=clock))

    async with limited(connect(server)) as first:
        with pytest.raises(llm.RateLimitError):
            await first.generate("hi")
    others = [
        connect(server, key="key-2"),
        connect(server, model="n"),
        connect(server, path="/elsewhere"),
    ]
    for other in others:
        async with limited(other) as model:
            await model.generate("hi")
    async with limited(connect(server, model="n")) as model, limited(connect(server)) as same:
        task = asyncio.create_task(same.generate("hi"))
        per_call = asyncio.create_task(model.generate("hi", model="m"))
        await clock.sleeping(2)
        assert len(server.requests) == 4
        await clock.advance(30)
        await asyncio.gather(task, per_call)
    assert len(server.requests) == 6

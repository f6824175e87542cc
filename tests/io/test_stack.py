"""The recommended stack, whole, over real sockets: leaving, attempts, and what breaks off."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from support.leaving import best_of_three, by_aclose, by_break, by_cancel, by_exception

import beluga_llm as llm
from beluga_llm.plugin import HttpModel, OpenAIChatDialect, ProviderConfig
from beluga_llm.testing import FakeServer, Reply

LONG = "word " * 2000
WORDS = "one two three four five six seven eight nine ten"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """In a thread of its own, so that all tasks of the test's loop are ours."""
    with FakeServer() as running:
        yield running


def connect(server: FakeServer, model: str = "m", **fields: Any) -> llm.ChatModel:
    url = server.base_url("chat")
    return llm.create("openai-compatible", model=model, base_url=url, api_key="key-1", **fields)


def stacked(server: FakeServer, **limits: Any) -> llm.ChatModel:
    """All layers that there are, in their order, around a model and its fallback."""
    model, other = connect(server), connect(server, "other")
    return model.with_middleware(
        llm.with_guard(input=lambda messages: None),
        llm.with_hooks(llm.Hooks.from_callables(on_stream=lambda call, chunk: None)),
        llm.with_cache(cache_streams=True, only=lambda request: False),
        llm.with_fallback(other),
        llm.with_hedge(delay=60),
        llm.with_retry(initial=0),
        llm.with_circuit_breaker(),
        llm.with_limits(**(limits or {"max_concurrent": 100})),
        llm.with_timeout(total=60),
    )


SHAPES: dict[str, Callable[[FakeServer], llm.ChatModel]] = {
    "stack": stacked,
    "router": lambda server: llm.Router([stacked(server)]),
    "failover": lambda server: llm.FailoverRouter(stacked(server), connect(server)),
    "both": lambda server: llm.Router([llm.FailoverRouter(stacked(server))]).with_middleware(
        llm.with_retry()
    ),
    "resilient": lambda server: llm.resilient(connect(server), [connect(server, "other")]),
}


def connections(model: Any) -> int:
    """Connections that are in use, by all models within a model."""
    inner = getattr(model, "models", None)
    if inner is not None:
        return sum(map(connections, inner))
    return model.unwrap()._transport.connections


@pytest.mark.row("PAIN-03", "NONE-03", "NONE-08", "STRE-04", "RATE-08")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("leave", [by_break, by_aclose, by_exception, by_cancel])
async def test_the_server_sees_the_disconnect_within_100_ms(
    server: FakeServer, shape: str, leave: Callable[[llm.ChatStream], Awaitable[None]]
):
    async def seconds() -> float:
        server.reply(LONG, chunk_delay=0.001)
        async with SHAPES[shape](server) as model:
            stream = model.stream("hi")
            await leave(stream)
            left = time.monotonic()
            gone = await server.disconnected(server.requests[-1], within=20.0)
            assert connections(model) == 0
            assert stream.state == "closed"
        assert len(asyncio.all_tasks()) == 1
        return gone - left

    await best_of_three(seconds)


@pytest.mark.row("PAIN-04", "NONE-03", "RATE-06")
async def test_a_storm_of_cancellations_leaves_no_slot_task_or_socket(server: FakeServer):
    """1000 calls, cancelled once or twice at random points, then a burst that works."""
    asyncio.get_running_loop().set_debug(False)  # it would remember where each step came from
    seed = random.randrange(1_000_000)
    print("seed", seed)  # to repeat a failure
    chance = random.Random(seed)
    server.default = WORDS
    gate = asyncio.Semaphore(50)

    async def victim(model: llm.ChatModel, number: int) -> None:
        async with gate:
            if number % 2:
                task = asyncio.create_task(model.generate(f"q{number}"))
            else:
                task = asyncio.create_task(model.stream(f"q{number}").response())
            for _ in range(chance.randrange(60)):
                await asyncio.sleep(0)
            for _ in range(chance.choice((1, 2))):
                task.cancel()
                await asyncio.sleep(0)
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(outcome, llm.AIMessage | asyncio.CancelledError):
                raise AssertionError(outcome)

    async with stacked(server, max_concurrent=7) as model:
        await asyncio.gather(*(victim(model, number) for number in range(1000)))
        assert connections(model) == 0
        replies = await asyncio.gather(*(model.generate(f"b{n}") for n in range(50)))
        assert {reply.text for reply in replies} == {WORDS}
        assert connections(model) == 0
    assert len(asyncio.all_tasks()) == 1
    await server.idle()


# --- attempts ------------------------------------------------------------------------------------


@pytest.mark.row("PAIN-07", "RETR-12", "RETR-13", "ROUT-34")
@pytest.mark.parametrize(
    ("attempts", "others", "routed", "hedged", "streaming"),
    [*itertools.product((1, 3), (0, 2), (False, True), (False, True), (False, True))],
)
async def test_requests_are_as_many_as_were_configured(
    server: FakeServer, attempts: int, others: int, *, routed: bool, hedged: bool, streaming: bool
):
    server.default = Reply(status=503)

    def one(name: str) -> llm.ChatModel:
        layers: list[Any] = [llm.with_retry(max_attempts=attempts, initial=0)]
        if hedged:
            layers.insert(0, llm.with_hedge(delay=60))
        return connect(server, name).with_middleware(*layers)

    model = one("m0")
    if others:
        model = model.with_middleware(llm.with_fallback(*(one(f"m{n + 1}") for n in range(others))))
    if routed:
        model = llm.Router([model])
    async with model:
        with pytest.raises(llm.BelugaError) as caught:
            await (model.stream("hi").response() if streaming else model.generate("hi"))
    assert caught.value.code == "provider_unavailable"
    assert len(server.requests) == attempts * (1 + others) * (1 + hedged)


@pytest.mark.row("PAIN-07", "RETR-07", "CHAT-10")
async def test_one_deadline_holds_for_the_whole_stack(server: FakeServer):
    server.default = Reply(status=429, headers={"retry-after": "1"})
    model = connect(server).with_middleware(
        llm.with_fallback(connect(server, "other")), llm.with_retry(max_attempts=50)
    )
    async with model:
        began = time.monotonic()
        with pytest.raises(llm.AllModelsFailedError) as caught:
            await model.generate("hi", timeout=0.8)
    assert time.monotonic() - began < 0.8
    assert caught.value.code == "rate_limit"
    assert len(server.requests) == 2


class Idempotent(OpenAIChatDialect):
    """A dialect of a server that knows repeated requests."""

    idempotency_header = "Idempotency-Key"


@pytest.mark.row("RETR-10")
async def test_every_attempt_of_a_call_sends_one_key_where_the_server_knows_it(server: FakeServer):
    server.default = Reply(status=503)
    config = ProviderConfig.of(provider="idem", model="m", base_url=server.base_url())
    model = HttpModel(Idempotent("idem"), config).with_middleware(llm.with_retry(initial=0))
    async with model:
        for prompt in ("hi", "hi", "ho"):
            with pytest.raises(llm.ProviderUnavailableError):
                await model.generate(prompt)
    keys = [seen.headers["idempotency-key"] for seen in server.requests]
    assert [len(set(keys[n : n + 3])) for n in (0, 3, 6)] == [1, 1, 1]
    assert len(set(keys)) == 3
    assert len({seen.body for seen in server.requests}) == 2
    server.reset()
    async with connect(server).with_middleware(llm.with_retry(initial=0)) as plain:
        with pytest.raises(llm.ProviderUnavailableError):
            await plain.generate("hi")
    assert not any("idempotency-key" in seen.headers for seen in server.requests)


@pytest.mark.row("RETR-06", "RETR-13")
@pytest.mark.parametrize(
    "reply",
    [
        *(Reply(status=status) for status in (408, 425, 429, 500, 502, 503, 504, 529)),
        Reply(WORDS, cut_after=0),
        Reply(WORDS, reset_after=40),
        Reply(status=400, headers={"x-should-retry": "true"}),
    ],
    ids=repr,
)
async def test_what_may_pass_is_tried_again(server: FakeServer, reply: Reply):
    server.reply(reply)
    server.reply("ok")
    async with connect(server).with_middleware(llm.with_retry(initial=0)) as model:
        assert (await model.generate("hi")).text == "ok"


@pytest.mark.row("RETR-06", "RETR-13", "RETR-03")
@pytest.mark.parametrize(
    "reply",
    [
        *(Reply(status=status) for status in (400, 401, 402, 403, 404, 409, 413, 422)),
        Reply(status=503, headers={"x-should-retry": "false"}),
    ],
    ids=repr,
)
async def test_what_will_not_pass_is_not_tried_again(server: FakeServer, reply: Reply):
    server.reply(reply)
    async with connect(server).with_middleware(llm.with_retry(initial=0)) as model:
        with pytest.raises(llm.BelugaError):
            await model.generate("hi")
    assert len(server.requests) == 1


# --- what breaks off -----------------------------------------------------------------------------


@pytest.mark.row("STRE-28", "NONE-06", "PAIN-02")
@pytest.mark.parametrize("policy", ["raise", "restart", "continue"])
@pytest.mark.parametrize("way", ["reset", "cut", "error"])
async def test_a_stream_that_breaks_off_after_any_number_of_words(
    server: FakeServer, policy: Any, way: str
):
    """The consumer's text is never silently doubled, whatever the policy."""
    layer = llm.with_retry(initial=0, mid_stream=policy)
    model = connect(server, capabilities={"prefill": True}).with_middleware(layer)
    events = len(WORDS.split())
    async with model:
        for count in range(events + 1):
            first = 150 * count
            broken: dict[str, Any] = {
                "reset": {"reset_after": first},
                "cut": {"cut_after": first},
                "error": {"error": "overloaded", "error_after": count},
            }[way]
            server.reply(WORDS, **broken)
            server.reply(Reply("again and well"))
            await _consume(model, policy)
            server.reset()


async def _consume(model: llm.ChatModel, policy: str) -> None:
    shown = before = ""
    resets = 0
    failed, partial = False, None
    async with model.stream("hi") as stream:
        try:
            async for chunk in stream:
                if chunk.reset:
                    resets, before, shown = resets + 1, shown, ""
                shown += chunk.delta
        except llm.BelugaError as error:
            failed = True
            partial = error.partial
    assert stream.message.text == shown
    if failed:
        assert partial is not None
        assert WORDS.startswith(partial.text)
        assert policy == "raise"
        assert WORDS.startswith(shown)
    elif shown != WORDS:
        assert shown.endswith("again and well")
        begun = shown.removesuffix("again and well")
        assert WORDS.startswith(begun)
        assert not begun or policy == "continue"
        assert resets == (1 if before else 0)
        assert not before or policy == "restart"


@pytest.mark.row("PAIN-08", "STRE-23", "MIDD-13")
async def test_a_stall_ends_and_is_tried_again(server: FakeServer):
    server.reply(WORDS, silent=True)
    server.reply("ok")
    layers = llm.with_retry(initial=0), llm.with_timeout(first_chunk=0.05)
    async with connect(server).with_middleware(*layers) as model:
        assert (await model.stream("hi").response()).text == "ok"


@pytest.mark.row("CACH-08", "CACH-16")
async def test_a_herd_of_equal_questions_is_one_request(server: FakeServer):
    server.default = WORDS
    async with connect(server).with_middleware(llm.with_cache(), llm.with_retry()) as model:
        replies = await asyncio.gather(*(model.generate("hi") for _ in range(100)))
    assert {reply.text for reply in replies} == {WORDS}
    assert len(server.requests) == 1

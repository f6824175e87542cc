"""Router: one model for each call, chosen by a strategy."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from support.flaky import Flaky, answer, text

import beluga_llm as llm
from beluga_llm import (
    Capabilities,
    First,
    LeastBusy,
    LowestLatency,
    RoundRobin,
    Router,
    Weighted,
)
from beluga_llm._routing.composite import common_capabilities
from beluga_llm.testing import MockChatModel, VirtualClock


def named(*names: str) -> list[Flaky]:
    return [Flaky(answer(name), name=name) for name in names]


async def said(router: Router, times: int = 1, **options: Any) -> list[str]:
    return [(await router.generate("hi", **options)).text for _ in range(times)]


@pytest.mark.row("ROUT-01", "ROUT-05")
async def test_models_take_turns():
    router = Router(named("a", "b", "c"))
    assert await said(router, 5) == ["a", "b", "c", "a", "b"]
    assert repr(router.strategy) == "RoundRobin()"


@pytest.mark.row("ROUT-05")
async def test_turns_are_exact_under_concurrency():
    models = named("a", "b", "c", "d")
    router = Router(models, RoundRobin())
    replies = await asyncio.gather(*(router.generate("hi") for _ in range(100)))
    assert Counter(reply.text for reply in replies) == dict.fromkeys("abcd", 25)


@pytest.mark.row("ROUT-06")
async def test_first_is_no_failover():
    a, b = Flaky([llm.OverloadedError("busy")]), Flaky(answer("b"))
    with pytest.raises(llm.OverloadedError):
        await Router([a, b], First()).generate("hi")
    assert (b.requests, repr(First())) == ([], "First()")


@pytest.mark.row("ROUT-08")
async def test_weights_are_kept_and_repeatable():
    models = named("a", "b", "c")
    weights = {models[0]: 3.0, models[1]: 1.0}

    async def counts(seed: int) -> Counter[str]:
        strategy = Weighted(weights, random=random.Random(seed))
        return Counter(await said(Router(models, strategy), 200))

    found = await counts(1)
    assert found == await counts(1)
    assert 130 < found["a"] < 170
    assert found["c"] == 0
    assert await said(Router(models[2:], Weighted(weights))) == ["c"]
    assert repr(Weighted(weights)) == "Weighted({'flaky/a': 3.0, 'flaky/b': 1.0})"
    for wrong in ({models[0]: -1.0}, {models[0]: 0.0}, {}):
        with pytest.raises(llm.ConfigError, match="weights must be >= 0"):
            Weighted(wrong)


@pytest.mark.row("ROUT-08")
async def test_the_least_busy_model_is_chosen():
    gate = asyncio.Event()
    a, b = Flaky([gate, *answer("a")]), Flaky(answer("b"))
    router = Router([a, b], LeastBusy())
    waiting = asyncio.create_task(router.generate("hi"))
    while not a.requests:
        await asyncio.sleep(0)
    assert await said(router, 3) == ["b", "b", "b"]
    gate.set()
    assert (await waiting).text == "a"
    assert await said(router) == ["a"]
    assert repr(router.strategy) == "LeastBusy()"


@pytest.mark.row("ROUT-08")
async def test_a_model_is_free_again_however_its_call_ends():
    a, b = Flaky([llm.OverloadedError("x")], text("1", "2")), Flaky(answer("b"))
    router = Router([a, b], LeastBusy())
    with pytest.raises(llm.OverloadedError):
        await router.generate("hi")
    async with router.stream("hi") as stream:
        async for _ in stream:
            break
    assert len(a.requests) == 2
    await router.generate("hi")
    assert len(a.requests) == 3


@pytest.mark.row("ROUT-08", "RATE-16")
async def test_the_fastest_model_is_chosen_when_all_were_measured():
    clock = VirtualClock()

    def taking(*seconds: float) -> Flaky:
        async def wait() -> None:
            clock.advance(times.pop(0))

        times = [*seconds]
        return Flaky([wait, *answer(str(seconds))])

    slow, fast = taking(5, 5, 5), taking(1, 9, 9)
    router = Router([slow, fast], LowestLatency(window=1), clock=clock)
    await router.generate("hi")
    await router.generate("hi")
    await router.generate("hi")
    assert (len(slow.requests), len(fast.requests)) == (1, 2)
    await router.generate("hi")
    assert (len(slow.requests), len(fast.requests)) == (2, 2)
    assert repr(router.strategy) == "LowestLatency(window=1)"
    with pytest.raises(llm.ConfigError, match="window must be at least 1"):
        LowestLatency(0)


async def test_a_call_without_content_measures_nothing():
    empty = Flaky([])
    router = Router([empty, *named("b")], LowestLatency())
    assert await said(router, 2) == ["", ""]


@pytest.mark.row("ROUT-02", "ROUT-07")
async def test_functions_and_coroutines_choose_too():
    models = named("a", "b")
    outside = Flaky(answer("outside"), name="outside")

    async def by_length(models: Any, call: llm.CallContext) -> llm.ChatModel:
        return models[len(call.messages) > 1]

    class Foreign:
        def select(self, models: Any, call: Any) -> llm.ChatModel:
            return outside

    router = Router(models, by_length)
    assert (await router.generate("hi")).text == "a"
    assert (await router.generate(["hi", "you"])).text == "b"
    assert await said(Router(models, Foreign())) == ["outside"]
    assert await said(Router(models, lambda models, call: models[1])) == ["b"]
    with pytest.raises(llm.ConfigError, match="5 is no strategy"):
        Router(models, 5)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.row("HOOK-16", "ROUT-02")
async def test_a_selector_sees_the_call():
    seen: list[llm.CallContext] = []

    def look(models: Any, call: llm.CallContext) -> llm.ChatModel:
        seen.append(call)
        call.attributes["chosen"] = "a"
        return models[0]

    router = Router(named("a"), look).with_options(temperature=0.5)
    await router.stream("hi", metadata={"k": 1}).response()
    (call,) = seen
    assert (call.provider, call.model_id, call.streaming) == ("beluga", "router", True)
    assert len(call.call_id) == 16
    assert call.messages == (llm.HumanMessage("hi"),)
    assert call.options.temperature == 0.5
    assert (call.attempt, call.closed_early) == (1, False)
    assert (call.session_id, call.request_id, call.tenant) == (None, None, None)
    assert call.started_at > 1_700_000_000
    assert repr(call) == f"<CallContext {call.call_id} stream beluga/router>"
    by_hand = llm.CallContext(llm.ChatRequest(()))
    assert (by_hand.attempt, by_hand.attributes) == (0, {})


@pytest.mark.row("ROUT-11", "SCHE-23")
async def test_the_answer_carries_the_real_model():
    router = Router(named("a"))
    assert router.qualified_id == "beluga/router"
    assert (await router.generate("hi")).model_id == "real"
    assert router.unwrap() is router
    assert [model.model_id for model in router.models] == ["a"]


@pytest.mark.row("ROUT-04")
def test_there_must_be_models():
    with pytest.raises(llm.ConfigError, match="no models configured"):
        Router([])


@pytest.mark.row("ROUT-12")
async def test_tools_and_options_go_to_the_chosen_model():
    own = llm.ToolDefinition("own")
    both = llm.ToolDefinition("both", "of the router")
    model = named("a")[0]
    inner = model.bind_tools([own, llm.ToolDefinition("both", "of the model")])
    router = Router([inner])
    await router.bind_tools([both]).generate("hi", temperature=0.3, model="other")
    (request,) = model.requests
    assert {tool.name: tool.description for tool in request.tools} == {
        "own": "", "both": "of the router",
    }  # fmt: skip
    assert (request.options.temperature, request.options.model) == (0.3, "other")
    await router.generate("hi")
    assert len(model.requests[1].tools) == 2


@pytest.mark.row("MIDD-02")
async def test_middleware_works_around_a_router_and_inside_it():
    order: list[str] = []

    def layer(name: str) -> llm.Middleware:
        async def run(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
            order.append(name)
            async for chunk in call_next(request):
                yield chunk

        return run

    a = named("a")[0].with_middleware(layer("inside"))
    await Router([a]).with_middleware(layer("around")).generate("hi")
    assert order == ["around", "inside"]


@pytest.mark.row("CHAT-19")
def test_a_router_can_what_all_its_models_can():
    able = Capabilities(tools=True, images=True, tool_choice=frozenset(("auto", "none")))
    other = Capabilities(tools=True, images=False, tool_choice=frozenset(("auto",)))
    found = common_capabilities([able, other])
    assert (found.tools, found.images, found.audio) == (True, False, None)
    assert found.tool_choice == frozenset(("auto",))
    assert common_capabilities([able, Capabilities()]).tool_choice is None
    models = [MockChatModel(["x"], capabilities=able), MockChatModel(["x"], capabilities=other)]
    assert Router(models).capabilities.tools is True


@pytest.mark.row("CHAT-24")
async def test_tokens_are_counted_by_the_first_model():
    assert (await Router(named("a", "b")).count_tokens("hello")).tokens == 6


@pytest.mark.row("CHAT-10", "ROUT-02")
async def test_the_time_of_a_call_ends_a_selection_too(skip_time: Any):
    begun = asyncio.Event()

    async def slow(models: Any, call: llm.CallContext) -> llm.ChatModel:
        begun.set()
        await asyncio.Event().wait()
        return models[0]

    a = Flaky(answer("a"))
    task = asyncio.create_task(Router([a], slow).generate("hi", timeout=5))
    await begun.wait()
    skip_time(5.1)
    with pytest.raises(llm.RequestTimeoutError, match="total"):
        await task
    assert a.requests == []

"""check_health and check_all: what is told of a model, without a network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm import HealthState, _health
from beluga_llm.testing import MockChatModel, VirtualClock

KEYS = {"state", "provider", "model", "timestamp", "api_key_set", "tools_count"}


def tool(name: str) -> llm.ToolDefinition:
    return llm.ToolDefinition(name)


class Hanging(llm.ChatModel):
    """Never answers, and knows when it is left."""

    provider = model_id = "hanging"

    def __init__(self) -> None:
        super().__init__()
        self.began = asyncio.Event()
        self.left: list[str] = []  # shared by all copies

    async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
        self.began.set()
        try:
            await asyncio.Event().wait()
            yield llm.StreamChunk("never")
        finally:
            self.left.append("left")


@pytest.mark.row("HEAL-01", "HEAL-02")
async def test_without_a_probe_nothing_is_sent():
    before = time.time()
    model = MockChatModel([], api_key="key-12345678").bind_tools([tool("a"), tool("b")])
    health = await model.check_health()
    assert health.state is HealthState.HEALTHY
    assert before <= health.timestamp <= time.time()
    assert health.as_dict() == {
        "state": "healthy",
        "provider": "mock",
        "model": "mock-fixture",
        "timestamp": health.timestamp,
        "api_key_set": True,
        "tools_count": 2,
    }
    assert (health.latency, health.detail) == (None, "")
    assert "12345678" not in repr(health)
    assert not (await MockChatModel([]).check_health()).api_key_set
    assert (await MockChatModel([], api_key=lambda: "k").check_health()).api_key_set
    assert [state.value for state in HealthState] == ["healthy", "degraded", "unhealthy"]


@pytest.mark.row("HEAL-03", "ERRO-16")
async def test_a_probe_of_a_provider_without_a_list_asks_for_one_token_past_all_layers():
    model = MockChatModel(["Hello"])
    asked: list[str] = []

    async def layer(request: Any, call_next: Any) -> AsyncGenerator[llm.StreamChunk, None]:
        asked.append("layer")
        async for chunk in call_next(request):
            yield chunk

    around = model.with_middleware(layer).bind_tools([tool("a")])
    own = around.with_options(temperature=0.5, extra_headers={"x-route": "eu"}, tool_choice="a")
    health = await own.check_health(probe=True)
    assert health.state is HealthState.HEALTHY
    assert health.as_dict().keys() == KEYS | {"latency", "detail"}
    assert health.latency is not None
    assert 0 <= health.latency < 5
    assert health.tools_count == 1
    (request,) = model.calls
    assert asked == []
    assert request.tools == ()
    assert not request.streaming
    options = request.options
    assert (options.max_tokens, options.temperature, options.tool_choice) == (1, None, None)
    assert options.extra_headers == {"x-route": "eu"}
    assert getattr(request.call, "op", None) == "health.probe"


@pytest.mark.row("HEAL-03")
@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (llm.RateLimitError("slow\n down"), "degraded", "rate_limit: slow down"),
        (llm.AuthenticationError("bad key"), "unhealthy", "auth_error: bad key"),
        (llm.OverloadedError("busy"), "unhealthy", "overloaded: busy"),
        (llm.ProviderUnavailableError("x" * 9000), "unhealthy", "provider_unavailable: xxx"),
        (ValueError("who knows what stands here"), "unhealthy", "error: ValueError"),
        (ConnectionResetError(), "unhealthy", "provider_unavailable: ConnectionResetError"),
    ],
)
async def test_errors_become_states(error: Exception, state: str, code: str):
    health = await MockChatModel([error]).check_health(probe=True)
    assert health.state == state
    assert health.detail.removeprefix("[mock] ").startswith(code)
    assert "who knows" not in health.detail
    assert len(health.detail) <= 500
    assert health.latency is not None


@pytest.mark.row("HEAL-03")
async def test_a_probe_ends_after_ten_seconds(skip_time: Any):
    model = Hanging()
    task = asyncio.create_task(model.check_health(probe=True))
    await model.began.wait()
    skip_time(9.9)
    await asyncio.sleep(0)
    assert not task.done()
    skip_time(0.2)
    health = await task
    assert (health.state, health.detail) == ("unhealthy", "timeout: no answer within 10 s")
    assert model.left


@pytest.mark.row("HEAL-03", "CHAT-09")
async def test_cancelling_a_check_cancels_the_probe():
    model = Hanging()
    task = asyncio.create_task(_of(llm.check_all({"a": model, "b": model}, probe=True)))
    await model.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.left


async def _of(awaitable: Any) -> Any:
    return await awaitable


@pytest.mark.row("HEAL-05")
async def test_models_are_checked_at_the_same_time():
    clock = VirtualClock()
    models = {
        "quick": MockChatModel(["a"], delay=1, clock=clock),
        "slow": MockChatModel(["a"], delay=2, clock=clock),
        "broken": MockChatModel([llm.AuthenticationError("no")]),
    }
    task = asyncio.create_task(_of(llm.check_all(models, probe=True)))
    while len(clock.sleeps) < 2:
        await asyncio.sleep(0)
    await clock.advance(2)
    found = await task
    assert [(name, health.state) for name, health in found.items()] == [
        ("quick", "healthy"),
        ("slow", "healthy"),
        ("broken", "unhealthy"),
    ]
    assert await llm.check_all({}) == {}
    assert (await llm.check_all({"a": models["broken"]}))["a"].state == "healthy"


@pytest.mark.row("HEAL-05")
async def test_what_is_no_model_by_name_is_told_at_once():
    model: Any = MockChatModel([])
    with pytest.raises(TypeError, match=r"as in {'main': model}, not a list"):
        await llm.check_all([model])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"'b' must be a ChatModel, not a str"):
        await llm.check_all({"a": model, "b": "openai/gpt-4o"})  # type: ignore[dict-item]


@pytest.mark.row("HEAL-05")
async def test_a_model_whose_check_raises_does_not_spoil_the_others():
    class Odd(MockChatModel):
        async def check_health(self, *, probe: bool = False) -> llm.Health:
            raise KeyError("secret")

    found = await llm.check_all({"odd": Odd([]), "even": MockChatModel([])})
    assert (found["odd"].state, found["odd"].detail) == ("unhealthy", "error: KeyError")
    assert found["even"].state == "healthy"
    found = await llm.check_all({"odd": Odd([])}, probe=True)
    assert found["odd"].as_dict().keys() == KEYS | {"latency", "detail"}


@pytest.mark.row("HEAL-06")
async def test_a_breaker_that_is_not_closed_degrades():
    clock = VirtualClock()
    breaker = llm.with_circuit_breaker(reset_timeout=30, clock=clock)
    model = MockChatModel(["a", llm.AuthenticationError("no")]).with_middleware(breaker)
    assert (await model.check_health()).state == "healthy"
    breaker.trip()
    health = await model.check_health()
    assert (health.state, health.detail) == ("degraded", "circuit breaker open")
    assert health.as_dict().keys() == KEYS
    await clock.advance(31)
    health = await model.check_health(probe=True)
    assert (health.state, health.detail) == ("degraded", "circuit breaker half_open")
    assert breaker.state == "half_open"  # the probe was none of its calls
    health = await model.check_health(probe=True)
    assert (health.state, health.detail) == (
        "unhealthy",
        "circuit breaker half_open; [mock] auth_error: no",
    )
    breaker.reset()
    assert (await model.check_health()).state == "healthy"


@pytest.mark.row("HEAL-01", "HEAL-06")
async def test_a_wrapper_has_the_health_of_its_model_and_its_own_breakers():
    inner = MockChatModel([llm.RateLimitError("slow")], api_key="key-12345678")
    breaker = llm.with_circuit_breaker()
    wrapper = llm.DelegatingChatModel(inner.bind_tools([tool("a"), tool("b")]))
    health = await wrapper.check_health()
    assert (health.state, health.api_key_set, health.tools_count) == ("healthy", True, 2)
    assert (await wrapper.check_health(probe=True)).state == "degraded"
    around = wrapper.with_middleware(breaker)
    breaker.trip()
    assert (await around.check_health()).detail == "circuit breaker open"
    assert (await wrapper.check_health()).state == "healthy"
    assert (await llm.DelegatingChatModel(around).check_health()).state == "degraded"


@pytest.mark.row("HEAL-01", "HEAL-03")
async def test_a_router_is_as_well_as_its_models_together():
    good, limited, bad = (
        MockChatModel([answer] * 9, model=name, api_key="key-12345678")
        for name, answer in [
            ("good", "a"),
            ("limited", llm.RateLimitError("slow")),
            ("bad", llm.AuthenticationError("no")),
        ]
    )
    router = llm.Router([good, good, bad]).bind_tools([tool("a")])
    health = await router.check_health()
    assert (health.state, health.provider, health.model) == ("healthy", "beluga", "router")
    assert (health.api_key_set, health.tools_count, health.latency) == (True, 1, None)
    health = await router.check_health(probe=True)
    assert (health.state, len(good.calls)) == ("degraded", 1)
    assert health.detail == "mock/bad: [mock] auth_error: no"
    assert health.latency is not None
    health = await llm.FailoverRouter(bad, bad.with_options(seed=1)).check_health(probe=True)
    assert health.state == "unhealthy"
    assert (await llm.FailoverRouter(bad, limited).check_health(probe=True)).state == "degraded"
    assert (await llm.Router([good]).check_health(probe=True)).state == "healthy"
    assert not (await llm.Router([good, MockChatModel([])]).check_health()).api_key_set


def test_the_limit_is_ten_seconds():
    assert _health.PROBE_TIMEOUT == 10.0

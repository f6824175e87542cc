"""The preset, and layers that a configuration asks for."""

from __future__ import annotations

from typing import Any

import pytest
from support.flaky import Flaky, answer
from support.plugins import registry_of

import beluga_llm as llm
from beluga_llm import MemoryCache, RetryPolicy, resilient, with_limits, with_retry
from beluga_llm.testing import VirtualClock

BUSY = llm.OverloadedError("busy")


def names(model: llm.ChatModel) -> list[str]:
    return [type(layer).__name__ for layer in model._layers]


@pytest.mark.row("MIDD-18", "ROUT-33")
async def test_the_order_of_the_layers():
    a, b = Flaky(answer("a"), name="a"), Flaky(answer("b"), name="b")
    model = resilient(a, [b, "demo"])
    assert names(model) == ["Fallback", "Retry", "CircuitBreaker", "Limiter"]
    others = model._layers[0].models  # type: ignore[attr-defined]  # a Fallback
    assert [one.qualified_id for one in others] == ["flaky/b", "demo/demo"]
    assert names(others[0]) == ["Retry", "CircuitBreaker", "Limiter"]
    breakers = {id(one._layers[-2]) for one in (model, *others)}
    assert len(breakers) == 3
    assert names(resilient(a)) == ["Retry", "CircuitBreaker", "Limiter"]
    assert (await model.generate("hi")).text == "a"
    assert model.qualified_id == "flaky/a"


@pytest.mark.row("MIDD-18", "MIDD-28")
def test_settings_come_in_several_forms():
    a = Flaky(answer("a"))
    layer = with_retry(max_attempts=7)
    for given in (RetryPolicy(max_attempts=7), {"max_attempts": 7}, layer):
        model = resilient(a, retry=given, limits={"rpm": 5}, breaker=False)
        assert names(model) == ["Retry", "Limiter"]
        assert model._layers[0].policy.max_attempts == 7  # type: ignore[attr-defined]  # a Retry
    assert names(resilient(a, retry=False, limits=False, breaker=False)) == []
    assert names(resilient(a, retry=True, limits=with_limits(rps=1), breaker=True)) == [
        "Retry", "CircuitBreaker", "Limiter",
    ]  # fmt: skip
    with pytest.raises(llm.ConfigError, match="max_attempts must be"):
        resilient(a, retry={"max_attempts": 0})


@pytest.mark.row("MIDD-18", "ERRO-28", "ROUT-33")
def test_all_settings_of_the_preset_are_checked_at_once():
    a = Flaky(answer("a"))
    wrong: Any = {"retry": {"max_attempts": 0}, "limits": {"rpm": -1}, "breaker": {"windw": 1}}
    with pytest.raises(llm.ConfigError) as caught:
        resilient(a, **wrong)
    for part in ("retry: max_attempts must", "limits: rpm must", "circuit_breaker: unknown"):
        assert part in caught.value.message
    mixed_up: Any = {"retry": with_limits(rpm=1), "limits": MemoryCache(), "breaker": 5}
    with pytest.raises(llm.ConfigError) as caught:
        resilient(a, **mixed_up)
    for part in (
        "retry: settings by name or a RetryPolicy are expected, got Limiter",
        "limits: settings by name or a ProviderLimits are expected, got MemoryCache",
        "circuit_breaker: settings by name or a BreakerPolicy are expected, got int",
    ):
        assert part in caught.value.message
    shared: Any = llm.with_circuit_breaker()
    with pytest.raises(llm.ConfigError, match="each model gets one of its own"):
        resilient(a, breaker=shared)


@pytest.mark.row("MIDD-18", "PAIN-07", "ROUT-30")
async def test_an_open_breaker_is_not_retried_but_failed_over():
    clock = VirtualClock(auto=True)
    a, b = Flaky([BUSY], name="a"), Flaky(answer("b"), name="b")
    model = resilient(
        a,
        [b],
        retry=with_retry(clock=clock, max_attempts=2, jitter=0),
        breaker={"failure_threshold": 2, "clock": clock},
    )
    assert (await model.generate("hi")).text == "b"
    assert len(a.requests) == 2
    reply = await model.generate("hi")
    assert (reply.text, len(a.requests)) == ("b", 2)
    assert reply.provider_metadata["fallback"]["attempts"] == 2


@pytest.mark.row("MIDD-18", "PAIN-07")
@pytest.mark.parametrize("streaming", [False, True])
async def test_attempts_do_not_multiply(streaming: bool):
    clock = VirtualClock(auto=True)
    a, b, c = (Flaky([BUSY], name=name) for name in "abc")
    model = resilient(a, [b, c], retry=with_retry(clock=clock, max_attempts=2), breaker=False)
    with pytest.raises(llm.AllModelsFailedError):
        await (model.stream("hi").response() if streaming else model.generate("hi"))
    assert [len(one.requests) for one in (a, b, c)] == [2, 2, 2]


def registry() -> llm.Registry:
    found = registry_of()
    models = {"a": Flaky([BUSY], answer("a"), name="a"), "b": Flaky(answer("b"), name="b")}
    found.register("flaky", lambda config: models[config.model or "a"])
    return found


@pytest.mark.row("REGI-27")
async def test_layers_of_a_configuration():
    model = registry().create_from_config(
        {
            "provider": "flaky",
            "model": "a",
            "retry": {"initial": 0, "max_attempts": 2},
            "limits": {"rpm": 100},
            "circuit_breaker": True,
            "cache": {"ttl": 10},
            "fallback": [{"model": "flaky/b", "retry": True}, Flaky(answer()), "flaky/a"],
        }
    )
    assert names(model) == ["Cache", "Fallback", "Retry", "CircuitBreaker", "Limiter"]
    others = model._layers[1].models  # type: ignore[attr-defined]  # a Fallback
    assert [one.qualified_id for one in others] == ["flaky/b", "flaky/f1", "flaky/a"]
    assert names(others[0]) == ["Retry"]
    assert (await model.generate("hi")).text == "a"


@pytest.mark.row("REGI-27")
@pytest.mark.parametrize("off", [None, False])
def test_layers_that_are_not_wanted(off: Any):
    model = registry().create_from_config({"model": "flaky/a", "retry": off, "limits": None})
    assert names(model) == []
    half = registry().create_from_config({"model": "flaky/a", "retry": off, "limits": True})
    assert names(half) == ["Limiter"]
    usual = registry().create_from_config({"model": "flaky/a", "retry": {}, "cache": MemoryCache()})
    assert names(usual) == ["Cache", "Retry"]


@pytest.mark.row("REGI-27", "ERRO-28")
def test_all_problems_are_told_at_once():
    with pytest.raises(llm.ConfigError) as caught:
        llm.create_from_config(
            {
                "model": "mock/x",
                "max_concurrency": 0,
                "retry": {"max_attempts": 0},
                "cache": {"ttl": -1, "time": 5},
                "limits": {"rpn": 5},
                "fallback": "flaky/b",
                "circuit_breaker": 5,
            }
        )
    text = caught.value.message
    for part in (
        "max_concurrency must be", "retry: max_attempts must be",
        "cache: with_cache() got an unexpected keyword",
        "limits: unknown settings: rpn", "fallback: a list of models is expected, got str",
        "circuit_breaker: ",
    ):  # fmt: skip
        assert part in text
    several = [{"model": "flaky/b", "retry": 5}, "flaky/b", {"modl": "x"}]
    with pytest.raises(llm.ConfigError, match=r"fallback: retry: .*; unknown keys: modl"):
        registry().create_from_config({"model": "flaky/a", "fallback": several})
    with pytest.raises(llm.ConfigError, match="retry: max_attempts"):
        registry().create_from_config({"model": "flaky/a", "retry": {"max_attempts": 0}})
    with pytest.raises(llm.ConfigError, match=r"unknown keys: retries, xyz \(known: .*retry"):
        registry().create_from_config({"model": "flaky/a", "retries": 1, "xyz": 2})

"""Metrics: what is counted and measured, for every way in which a call can end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from support.flaky import Flaky, text

import beluga_llm as llm
from beluga_llm._telemetry import names
from beluga_llm._telemetry.metrics import MOST_GAPS
from beluga_llm.testing import VirtualClock
from beluga_llm.testing._otel import OtelMetrics

BUSY = llm.OverloadedError("busy")
ANSWER = [
    llm.StreamChunk(model_id="m-2026", response_id="r-1"),
    *text("Hello", " there", "!"),
    llm.StreamChunk(finish_reason=llm.FinishReason.STOP, usage=llm.Usage(7, 5)),
]
ABOUT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "flaky",
    "gen_ai.request.model": "f1",
}
ANSWERED = {**ABOUT, "gen_ai.response.model": "m-2026"}


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """OpenTelemetry has nothing to complain of."""
    caplog.set_level(logging.WARNING)
    yield
    assert [r for r in caplog.get_records("call") if r.name.startswith("opentelemetry")] == []


def measured(model: llm.ChatModel, metrics: OtelMetrics) -> llm.ChatModel:
    return model.with_middleware(llm.with_metrics(metrics.provider))


def values(metrics: OtelMetrics, name: str) -> list[tuple[dict[str, Any], Any]]:
    """Attributes and values of a counter, gauge or up-down counter."""
    return [(dict(point.attributes), point.value) for point in metrics.points(name)]


def counts(metrics: OtelMetrics, name: str) -> list[tuple[dict[str, Any], int]]:
    """Attributes and how often something was recorded of a histogram."""
    return [(dict(point.attributes), point.count) for point in metrics.points(name)]


@pytest.mark.row("OBSE-18", "OBSE-29")
async def test_the_duration_counts_calls_and_errors(otel_metrics: OtelMetrics):
    model = measured(Flaky(ANSWER, [BUSY]), otel_metrics)
    await model.generate("hi")
    with pytest.raises(llm.OverloadedError):
        await model.generate("hi")
    name = "gen_ai.client.operation.duration"
    assert counts(otel_metrics, name) == [
        (ANSWERED, 1),
        ({**ABOUT, "error.type": "overloaded"}, 1),
    ]
    assert otel_metrics.metrics[name].unit == "s"
    point = otel_metrics.points(name)[0]
    assert point.explicit_bounds == tuple(pytest.approx(0.01 * 2**n) for n in range(14))
    assert 0 < point.sum < 1


@pytest.mark.row("OBSE-18")
async def test_the_server_is_an_attribute(otel_metrics: OtelMetrics):
    model = Flaky(ANSWER)
    model._where = ("", "https://api.example.com/v1", "")
    await measured(model, otel_metrics).generate("hi")
    (point,) = otel_metrics.points(names.DURATION)
    assert point.attributes["server.address"] == "api.example.com"
    assert point.attributes["server.port"] == 443


@pytest.mark.row("OBSE-19")
async def test_tokens_are_measured_where_they_are_known(otel_metrics: OtelMetrics):
    model = measured(Flaky(ANSWER, text("a")), otel_metrics)
    await model.generate("hi")
    await model.generate("hi")
    name = "gen_ai.client.token.usage"
    kinds = {point.attributes["gen_ai.token.type"]: point for point in otel_metrics.points(name)}
    assert (kinds["input"].sum, kinds["output"].sum) == (7, 5)
    assert (kinds["input"].count, kinds["output"].count) == (1, 1)
    assert otel_metrics.metrics[name].unit == "{token}"
    assert kinds["input"].explicit_bounds == tuple(4.0**n for n in range(14))
    assert kinds["input"].explicit_bounds[-1] == 67108864


@pytest.mark.row("OBSE-20")
async def test_what_runs_is_counted_and_given_back_on_every_exit(otel_metrics: OtelMetrics):
    waits = asyncio.Event()
    model = measured(
        Flaky(ANSWER, [BUSY], ANSWER, ANSWER, ANSWER, [*text("a"), waits]), otel_metrics
    )

    def running() -> list[int]:
        found = values(otel_metrics, "beluga_llm.client.active_requests")
        streams = values(otel_metrics, "beluga_llm.client.active_streams")
        return [value for _, value in found + streams]

    await model.generate("hi")
    assert running() == [0]
    with pytest.raises(llm.OverloadedError):
        await model.stream("hi").response()
    async with model.stream("hi") as stream:
        await anext(stream)
        assert running() == [1, 1]
    stream = model.stream("hi")
    await anext(stream)
    del stream
    async for _ in model.stream("hi"):
        break
    task = asyncio.create_task(model.stream("hi").response())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running() == [0, 0]
    failures = otel_metrics.points(names.DURATION, error__type="overloaded")
    assert [point.count for point in failures] == [1]
    assert sum(point.count for point in otel_metrics.points(names.DURATION)) == 6


@pytest.mark.row("OBSE-24")
async def test_calls_of_tools_are_counted_by_name(otel_metrics: OtelMetrics):
    deltas = tuple(llm.ToolCallDelta(n, f"c{n}", name) for n, name in enumerate("aab"))
    await measured(Flaky([llm.StreamChunk(tool_calls=deltas)]), otel_metrics).generate("hi")
    found = values(otel_metrics, "beluga_llm.client.tool_calls")
    assert found == [
        ({**ABOUT, "gen_ai.tool.name": "a"}, 2),
        ({**ABOUT, "gen_ai.tool.name": "b"}, 1),
    ]


@pytest.mark.row("OBSE-28")
async def test_streams_are_timed_by_their_chunks(otel_metrics: OtelMetrics):
    model = measured(Flaky(ANSWER), otel_metrics)
    await model.generate("hi")
    assert otel_metrics.points("gen_ai.client.operation.time_to_first_chunk") == []
    await model.stream("hi").response()
    first = counts(otel_metrics, "gen_ai.client.operation.time_to_first_chunk")
    gaps = counts(otel_metrics, "gen_ai.client.operation.time_per_output_chunk")
    assert (first, gaps) == ([(ANSWERED, 1)], [(ANSWERED, 2)])


@pytest.mark.row("OBSE-28")
@pytest.mark.parametrize(
    ("chunks", "recorded"),
    [(1, 0), (2, 1), (MOST_GAPS + 1, MOST_GAPS), (MOST_GAPS + 2, MOST_GAPS), (1000, MOST_GAPS)],
)
async def test_of_a_long_stream_as_many_gaps_are_recorded_as_that_is_worth(
    otel_metrics: OtelMetrics, chunks: int, recorded: int
):
    await measured(Flaky(text(*"a" * chunks)), otel_metrics).stream("hi").response()
    await measured(Flaky([llm.StreamChunk(model_id="m")]), otel_metrics).stream("hi").response()
    found = counts(otel_metrics, "gen_ai.client.operation.time_per_output_chunk")
    assert [count for _, count in found] == ([recorded] if recorded else [])


@pytest.mark.row("OBSE-27", "RETR-11", "CACH-17", "ROUT-17", "RATE-14")
async def test_what_resilience_does_is_counted(otel_metrics: OtelMetrics):
    clock = VirtualClock(auto=True)
    inner = Flaky([BUSY], [BUSY], ANSWER).with_middleware(
        llm.with_cache(),
        llm.with_fallback(Flaky(ANSWER, name="f2")),
        llm.with_retry(max_attempts=2, clock=clock),
        llm.with_circuit_breaker(failure_threshold=2, clock=clock),
        llm.with_limits(rpm=1, clock=clock),
    )
    model = measured(inner, otel_metrics)
    await model.generate("hi")
    await model.generate("hi")
    about = {"gen_ai.provider.name": "flaky", "gen_ai.request.model": "f1"}
    states = values(otel_metrics, "beluga_llm.client.circuit_breaker.state")
    assert states == [(about, 2)]  # asked first: an older SDK tells a gauge once
    assert values(otel_metrics, "beluga_llm.client.retries") == [(about, 1)]
    fallbacks = values(otel_metrics, "beluga_llm.client.fallbacks")
    assert fallbacks == [({**about, "gen_ai.request.model": "f2"}, 1)]
    cache = values(otel_metrics, "beluga_llm.client.cache")
    assert cache == [
        ({**about, "beluga_llm.cache.result": "miss"}, 1),
        ({**about, "beluga_llm.cache.result": "hit"}, 1),
    ]
    spent = otel_metrics.points("gen_ai.client.token.usage")
    assert {point.count for point in spent} == {1}  # what the cache remembers was spent once
    (wait,) = otel_metrics.points("beluga_llm.client.rate_limit.wait")
    assert (wait.count, dict(wait.attributes)) == (1, about)
    assert wait.sum == pytest.approx(60, abs=1)
    assert otel_metrics.metrics["beluga_llm.client.rate_limit.wait"].unit == "s"


@pytest.mark.row("OBSE-27")
async def test_hedges_are_counted(otel_metrics: OtelMetrics):
    backup = Flaky(ANSWER, name="f2")
    model = Flaky([asyncio.Event()]).with_middleware(llm.with_hedge(backup, delay=0))
    await measured(model, otel_metrics).generate("hi")
    about = {"gen_ai.provider.name": "flaky", "gen_ai.request.model": "f2"}
    assert values(otel_metrics, "beluga_llm.client.hedges") == [(about, 1)]


async def test_events_that_are_not_counted_are_passed_over(otel_metrics: OtelMetrics):
    async def odd(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        from beluga_llm._events import tell

        await tell(request.call, "other")  # type: ignore[arg-type]
        async for chunk in call_next(request):
            yield chunk

    layers = llm.with_tracing(None), llm.with_metrics(otel_metrics.provider), odd
    await Flaky(ANSWER).with_middleware(*layers).generate("hi")
    assert not any(name.startswith("beluga_llm.client.r") for name in otel_metrics.metrics)


@pytest.mark.row("OBSE-29")
async def test_inner_layers_measure_nothing_twice(otel_metrics: OtelMetrics):
    first = measured(Flaky([BUSY]), otel_metrics)
    second = measured(Flaky(ANSWER, name="f2"), otel_metrics)
    model = measured(first.with_middleware(llm.with_fallback(second)), otel_metrics)
    await model.generate("hi")
    assert [count for _, count in counts(otel_metrics, names.DURATION)] == [1]
    assert repr(llm.with_metrics()) == "with_metrics()"


@pytest.mark.row("OBSE-26")
async def test_wrong_prices_are_refused_and_no_prices_cost_nothing(otel_metrics: OtelMetrics):
    with pytest.raises(llm.ConfigError):
        llm.with_metrics(prices={"f": 3})  # type: ignore[dict-item]
    layer = llm.with_metrics(otel_metrics.provider, prices=False)
    await Flaky(ANSWER).with_middleware(layer).generate("hi")
    assert "beluga_llm.client.cost" not in otel_metrics.metrics


@pytest.mark.row("OBSE-26")
@pytest.mark.parametrize(("priced", "found"), [("m-2026", 0.000017), ("other", None)])
async def test_what_a_call_costs_is_counted_where_prices_are_given(
    otel_metrics: OtelMetrics, priced: str, found: float | None
):
    """A cost that is not known is not counted, instead of as 0."""
    prices = {f"flaky/{priced}": llm.Price(1, 2)}
    layer = llm.with_metrics(otel_metrics.provider, prices=prices)
    await Flaky(ANSWER).with_middleware(layer).generate("hi")
    costs = values(otel_metrics, "beluga_llm.client.cost")
    assert costs == ([] if found is None else [(ANSWERED, pytest.approx(found))])

"""What the pytest plugin gives to tests; tests/suites has it in test suites of users."""

from __future__ import annotations

import pytest

import beluga_llm as llm
from beluga_llm.testing._live import why_not


@pytest.mark.row("TEST-32")
def test_spans_and_metrics_are_the_tests_own(otel_spans, otel_metrics):
    from opentelemetry import metrics, trace

    before = trace.get_tracer_provider(), metrics.get_meter_provider()
    with otel_spans.provider.get_tracer("t").start_as_current_span("work"):
        otel_metrics.provider.get_meter("t").create_counter("n").add(2, {"a.b": "c"})
    assert otel_spans.one().name == otel_spans.one("work").name == "work"
    with pytest.raises(AssertionError, match="0 spans 'other' have ended"):
        otel_spans.one("other")
    assert [point.value for point in otel_metrics.points("n", a__b="c")] == [2]
    assert otel_metrics.points("n", a__b="d") == otel_metrics.points("m") == []
    assert (trace.get_tracer_provider(), metrics.get_meter_provider()) == before
    assert otel_spans.tracer_provider is otel_spans.provider
    assert otel_metrics.meter_provider is otel_metrics.provider


@pytest.mark.row("TEST-32")
def test_nothing_of_another_test_is_there(otel_spans, otel_metrics):
    assert otel_spans.names == []
    assert otel_metrics.metrics == {}


@pytest.mark.row("TEST-21")
async def test_a_cache_is_looked_into_and_fails_on_demand():
    import beluga_llm as llm
    from beluga_llm.testing import VirtualClock

    clock = VirtualClock()
    cache = llm.MemoryCache(clock=clock)
    await cache.set("a", b"1", None)
    await cache.set("b", b"2", 5)
    assert cache.keys() == ["a", "b"]
    clock.advance(6)
    assert cache.keys() == ["a"]
    cache.fail_next(OSError("full"), on="set", times=2)
    assert await cache.get("a") == b"1"
    for _ in range(2):
        with pytest.raises(OSError, match="full"):
            await cache.set("c", b"3", None)
    cache.fail_next(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await cache.get("a")
    assert await cache.get("a") == b"1"
    await cache.clear()
    assert cache.keys() == []


@pytest.mark.row("TEST-01")
@pytest.mark.parametrize(
    ("way", "wait"),
    [("seconds", 2), ("date", 2), ("milliseconds", 2), ("openai", 2), ("anthropic", 2),
     ("google", 2), ("none", None)],
)  # fmt: skip
async def test_a_429_says_how_long_to_wait_in_every_way(fake_llm_server, way, wait):
    import beluga_llm as llm
    from beluga_llm.testing import rate_limited

    fake_llm_server.reply(rate_limited(2, way))
    url = fake_llm_server.base_url("chat")
    async with llm.create("openai-compatible/m", base_url=url) as model:
        with pytest.raises(llm.RateLimitError) as caught:
            await model.generate("hi")
    assert caught.value.retry_after == (None if wait is None else pytest.approx(wait, abs=1))
    with pytest.raises(ValueError, match="unknown way 'later'"):
        rate_limited(1, "later")


@pytest.mark.row("TEST-25")
def test_what_a_live_test_misses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    llm.create("openai/m", api_key="test-key")  # where the plugin is missing, a skip
    assert why_not("openai") == "OPENAI_API_KEY is not set"
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    assert why_not("openai") is None
    assert why_not("openai-compatible") is None
    assert "nobody" in (why_not("nobody") or "")

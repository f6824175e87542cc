"""The pytest plugin in test suites of users: any mode, any loop, workers, live tests, OTel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import beluga_llm as llm
from beluga_llm.testing._live import why_not

TEN_LINES = """
import pytest
from beluga_llm.testing import MockChatModel

async def greet(model, name):
    return (await model.generate(f"Greet {name}")).text.upper()

@pytest.mark.asyncio
@pytest.mark.usefixtures("forbid_requests")
async def test_greet():
    model = MockChatModel(["hello ada"])
    assert await greet(model, "Ada") == "HELLO ADA"
    assert model.calls[0].messages[0].text == "Greet Ada"
    model.assert_exhausted()
"""
LOOPS = """
import pytest
from test_ten import greet

@pytest.mark.parametrize("number", range(2))
@pytest.mark.asyncio(loop_scope="{scope}")
async def test_{scope}(mock_model, fake_llm_server, forbid_requests, otel_spans, number):
    mock_model.script("hello")
    assert await greet(mock_model, "Ada") == "HELLO"
"""
SCOPES = ("function", "class", "module", "package", "session")
LIVE = """
import pytest

@pytest.mark.live("openai-compatible")
def test_no_key_needed(): pass

@pytest.mark.live("nobody")
def test_nobody(): pass

@pytest.mark.live
def test_any(): pass
"""


def run_pytest(path: Path, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider",
         "-p", "no:randomly", "-rs", "-o", "asyncio_default_fixture_loop_scope=function", *args],
        cwd=path, capture_output=True, text=True, check=False,
        env={**os.environ, "OPENAI_API_KEY": ""},
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.row("TEST-28", "NONE-05", "PAIN-14")
@pytest.mark.parametrize("mode", ["auto", "strict"])
@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_a_users_test_in_ten_lines(tmp_path: Path, mode: str, workers: tuple[str, ...]):
    """In every mode, with every scope of loop, alone and with workers, without anyio's plugin."""
    (tmp_path / "test_ten.py").write_text(TEN_LINES)
    for scope in SCOPES:
        (tmp_path / f"test_{scope}.py").write_text(LOOPS.format(scope=scope))
    output = run_pytest(tmp_path, f"--asyncio-mode={mode}", "-p", "no:anyio", *workers)
    assert "11 passed" in output, output


@pytest.mark.row("TEST-25")
def test_live_tests_are_asked_for(tmp_path: Path):
    (tmp_path / "test_live.py").write_text(LIVE)
    strict = ("--strict-markers",)
    output = run_pytest(tmp_path, *strict)
    assert "3 skipped" in output, output
    assert "give --live" in output
    output = run_pytest(tmp_path, *strict, "--live")
    assert "2 passed, 1 skipped" in output, output
    assert "live test of nobody" in output


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

"""The fixtures that come with beluga-llm, for every test suite it is installed in.

Only pytest is imported here; what a fixture needs is imported when a test asks for it. The fake
server runs in a thread of its own, so that its fixture works with any scope of event loop, in
pytest-asyncio's auto and strict mode, with other async plugins, and in tests without a loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from beluga_llm import Registry
    from beluga_llm.testing import FakeServer, MockChatModel
    from beluga_llm.testing._otel import OtelMetrics, OtelSpans

pytest.register_assert_rewrite("beluga_llm.testing._conformance")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The switch for tests that talk to real providers."""
    group = parser.getgroup("beluga-llm")
    group.addoption("--live", action="store_true", help="run tests marked live, on real providers")


def pytest_configure(config: pytest.Config) -> None:
    """The marker of such tests."""
    text = "live(*providers): talks to them; skipped without --live, or where a key is not set"
    config.addinivalue_line("markers", text)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a live test that was not asked for, or has no key, before its fixtures are made."""
    for marker in item.iter_markers("live"):
        if not item.config.getoption("--live"):
            pytest.skip("live test: give --live")
        from beluga_llm.testing._live import why_not

        for provider in marker.args:
            if reason := why_not(provider):
                pytest.skip(f"live test of {provider}: {reason}")


@pytest.fixture(scope="session")
def beluga_conformance_server() -> Iterator[FakeServer]:
    """The fake server that all conformance checks of a process share."""
    from beluga_llm.testing import FakeServer

    with FakeServer() as server:
        yield server


@pytest.fixture
def fake_llm_server() -> Iterator[FakeServer]:
    """A fake LLM server on this machine: script it with `.reply(...)`."""
    from beluga_llm.testing import FakeServer

    with FakeServer() as server:
        yield server


@pytest.fixture
def mock_model() -> Iterator[MockChatModel]:
    """A mock model: script it with `.script(...)`; the test must use all of its responses."""
    from beluga_llm.testing import MockChatModel

    model = MockChatModel(())
    yield model
    model.assert_exhausted()


@pytest.fixture
def beluga_registry() -> Iterator[Registry]:
    """The registry; what the test registers and unregisters is undone after it."""
    from beluga_llm import registry

    with registry.isolated():
        yield registry


@pytest.fixture
def forbid_requests() -> Iterator[None]:
    """Nothing in this process may talk to another machine while the test runs."""
    from beluga_llm.testing import forbid_requests

    with forbid_requests():
        yield


@pytest.fixture
def aioresponses_compat() -> Iterator[Any]:
    """An `aioresponses` that works with the installed aiohttp, for answers that are no streams."""
    from beluga_llm.testing._aioresponses import aioresponses_compat

    with aioresponses_compat() as mocked:
        yield mocked


@pytest.fixture
def otel_spans() -> Iterator[OtelSpans]:
    """OpenTelemetry's in-memory span exporter; hand its `.provider` to `with_tracing`."""
    _needs_sdk()
    from beluga_llm.testing._otel import OtelSpans

    spans = OtelSpans()
    yield spans
    spans.close()


@pytest.fixture
def otel_metrics() -> Iterator[OtelMetrics]:
    """OpenTelemetry's in-memory metric reader; hand its `.provider` to `with_metrics`."""
    _needs_sdk()
    from beluga_llm.testing._otel import OtelMetrics

    metrics = OtelMetrics()
    yield metrics
    metrics.close()


def _needs_sdk() -> None:
    """Fails a test that needs the SDK where it is not: a skipped test would prove nothing."""
    try:
        import opentelemetry.sdk  # noqa: F401 -- whether it is there
    except ImportError:
        pytest.fail("this fixture needs OpenTelemetry's SDK: pip install opentelemetry-sdk")

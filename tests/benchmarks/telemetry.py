"""Tracing and metrics: without an SDK, with one, and the least that the SDK itself costs.

Spans go to a batch processor and metrics to a reader in memory, so that no collector is measured.
What counts is a difference, so the clients take short turns, and more of them than elsewhere.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import clients
from clients import Beluga, Client
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind
from scenarios import CHUNKS, Figures, Scenario, counted, cpu

import beluga_llm as llm
from beluga_llm._telemetry import names
from beluga_llm._telemetry.metrics import MOST_GAPS

CALLS, TURNS = 10, 10

ABOUT: dict[str, Any] = {
    names.OPERATION: "chat",
    names.PROVIDER: "openai-compatible",
    names.REQUEST_MODEL: "whole",
    names.SERVER_ADDRESS: "127.0.0.1",
    names.SERVER_PORT: 8000,
}
ASKED = {**ABOUT, names.CALL_ID: "0123456789abcdef", names.INPUT_CHARACTERS: 12}
ANSWERED: dict[str, Any] = {
    names.RESPONSE_MODEL: "whole",
    names.RESPONSE_ID: "chatcmpl-1",
    names.FINISH_REASONS: ["stop"],
    names.INPUT_TOKENS: 12,
    names.OUTPUT_TOKENS: 5,
    names.ATTEMPTS: 1,
}


class Nowhere(SpanExporter):
    """Takes spans and drops them."""

    def export(self, spans: Any) -> SpanExportResult:
        """Done."""
        return SpanExportResult.SUCCESS


def tracer_provider() -> TracerProvider:
    """The SDK's, with a batch processor."""
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(BatchSpanProcessor(Nowhere()))
    return made


def meter_provider() -> MeterProvider:
    """The SDK's, with a reader in memory."""
    return MeterProvider(metric_readers=[InMemoryMetricReader()], shutdown_on_exit=False)


class ByHand(Beluga):
    """The same attributes and measurements, written straight to the SDK around each call.

    What runs now is not among them: it is told when the reader asks.
    """

    def __init__(self, base_url: str, *, spans: bool, metrics: bool) -> None:
        super().__init__(clients.chat(base_url).model)
        self._tracer = tracer_provider().get_tracer("by hand") if spans else None
        meter = meter_provider().get_meter("by hand") if metrics else None
        self._seconds = meter and meter.create_histogram(names.DURATION, "s")
        self._tokens = meter and meter.create_histogram(names.TOKEN_USAGE)
        self._first = meter and meter.create_histogram(names.FIRST_CHUNK)
        self._gaps = meter and meter.create_histogram(names.OUTPUT_CHUNK)

    async def generate(self, talk: Any = None) -> None:
        """One call."""
        span = self._begin()
        await super().generate(talk)
        self._end(span, [])

    async def stream(self, model: str, seen: clients.Seen | None = None) -> int:
        """One stream."""
        span, times = self._begin(), []
        count = 0
        async with self.model.stream(clients.QUESTION, model=model) as stream:
            async for chunk in stream:
                times.append(time.perf_counter())
                count += bool(chunk.delta)
        self._end(span, times)
        return count

    def _begin(self) -> Any:
        if self._tracer is None:
            return None
        return self._tracer.start_span("chat whole", kind=SpanKind.CLIENT, attributes=ASKED)

    def _end(self, span: ReadableSpan | Any, times: list[float]) -> None:
        if span is not None:
            span.set_attributes(ANSWERED)
            span.end()
        if self._seconds and self._tokens and self._first and self._gaps:
            about = {**ABOUT, names.RESPONSE_MODEL: "whole"}
            self._tokens.record(12, {**about, names.TOKEN_TYPE: "input"})
            self._tokens.record(5, {**about, names.TOKEN_TYPE: "output"})
            if times:
                self._first.record(0.1, about)
                for earlier, later in itertools.islice(itertools.pairwise(times), MOST_GAPS):
                    self._gaps.record(later - earlier, about)
            self._seconds.record(0.1, about)


def telemetry_clients(base_url: str) -> dict[str, Callable[[], Client]]:
    """beluga-llm as it is, and with telemetry; the rest is told as what it costs more."""
    traced, measured = llm.with_tracing, llm.with_metrics
    return {
        "beluga-llm": lambda: clients.chat(base_url),
        "tracing, no SDK": lambda: clients.chat(base_url, traced()),
        "tracing and metrics, no SDK": lambda: clients.chat(base_url, traced(), measured()),
        "tracing": lambda: clients.chat(base_url, traced(tracer_provider())),
        "metrics": lambda: clients.chat(base_url, measured(meter_provider())),
        "tracing and metrics": lambda: clients.chat(
            base_url, traced(tracer_provider()), measured(meter_provider())
        ),
        "spans by hand": lambda: ByHand(base_url, spans=True, metrics=False),
        "metrics by hand": lambda: ByHand(base_url, spans=False, metrics=True),
        "spans and metrics by hand": lambda: ByHand(base_url, spans=True, metrics=True),
    }


async def calls_and_chunks(client: Client) -> Figures:
    """Short answers one after the other, and a stream of chunks that arrive together."""

    async def work() -> None:
        for _ in range(CALLS):
            await client.generate()

    return {
        "call": await cpu(work(), CALLS),
        "chunk": await cpu(counted(client, f"burst-{CHUNKS}", CHUNKS), CHUNKS),
    }


SCENARIO = Scenario(
    calls_and_chunks,
    {"call": "us", "chunk": "us"},
    {
        "call, tracing, no SDK": "<= 30 us more",
        "call, tracing": "<= 100 us more",
        "chunk, tracing, no SDK": "0 more",
        "chunk, tracing and metrics": "<= 1.5 us more",
    },
)

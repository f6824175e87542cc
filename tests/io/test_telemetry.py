"""Telemetry on the real way: HTTP beneath, another instrumentation, a collector, no SDK."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import beluga_llm as llm
from beluga_llm._telemetry import names
from beluga_llm.cli._app import app
from beluga_llm.testing import FakeServer, MockChatModel
from beluga_llm.testing._otel import OtelMetrics, OtelSpans
from beluga_llm.testing._span_log import SpanLog

KEY = "canary-key-4711"
SAID = "canary-content-0815"
LONG = "word " * 500


def connect(server: FakeServer, *layers: llm.Middleware) -> llm.ChatModel:
    model = llm.create("openai-compatible/m", base_url=server.base_url("chat"), api_key=KEY)
    return model.with_middleware(*layers)


@pytest.fixture
def http_spans(otel_spans: OtelSpans) -> Iterator[OtelSpans]:
    """The official instrumentation of aiohttp records into the same exporter."""
    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=otel_spans.provider)
    yield otel_spans
    instrumentor.uninstrument()


@pytest.mark.row("OBSE-17")
async def test_http_spans_are_children_of_the_call(server: FakeServer, http_spans: OtelSpans):
    """Those of all attempts, of a hedge and of a model behind a fallback too."""
    backup = connect(server)
    model = connect(
        server,
        llm.with_tracing(http_spans.provider),
        llm.with_fallback(backup),
        llm.with_hedge(delay=0),
        llm.with_retry(initial=0, max_attempts=2),
    )
    server.reply(status=503, times=4)
    server.reply("fine", times=2)
    async with model, backup, model.stream("hi") as stream:
        async for _ in stream:
            with http_spans.provider.get_tracer("app").start_as_current_span("work"):
                pass
    chat = http_spans.one("chat m")
    posts = [span for span in http_spans.spans if span.name == "POST"]
    assert len(posts) >= 4
    assert {span.parent.span_id for span in posts if span.parent} == {chat.context.span_id}
    work = [span for span in http_spans.spans if span.name == "work"]
    assert {span.parent for span in work} == {None}
    attributes = chat.attributes or {}
    assert attributes[names.SERVER_ADDRESS] == "127.0.0.1"
    assert f":{attributes[names.SERVER_PORT]}" in server.url


@pytest.mark.row("OBSE-17", "PAIN-12")
async def test_streams_over_http_that_are_left_end_their_spans(
    server: FakeServer, http_spans: OtelSpans, caplog: pytest.LogCaptureFixture
):
    server.reply(LONG, times=4)
    async with connect(server, llm.with_tracing(http_spans.provider)) as model:
        async with model.stream("hi") as stream:
            async for chunk in stream:
                if chunk.delta:
                    break
        async for chunk in model.stream("hi"):
            if chunk.delta:
                break
        await asyncio.sleep(0)
        left = model.stream("hi")
        async for chunk in left:
            if chunk.delta:
                break
        await asyncio.create_task(left.aclose())
        await model.stream("hi").response()
    gc.collect()
    spans = [span for span in http_spans.spans if span.name == "chat m"]
    aborted = [(span.attributes or {}).get(names.ABORTED) for span in spans]
    assert aborted == ["closed", "closed", "closed", None]
    assert [r for r in caplog.records if r.name.startswith("opentelemetry")] == []


@pytest.mark.leaves_tasks
def test_a_loop_that_ends_first_leaves_nothing_to_complain_of(
    otel_spans: OtelSpans, caplog: pytest.LogCaptureFixture
):
    """asyncio.run ends with a stream still held, and with a request still being opened."""
    kept: list[Any] = []

    async def main(server: FakeServer) -> None:
        model = connect(server, llm.with_tracing(otel_spans.provider))
        kept.extend([model, stream := model.stream("hi")])
        async for chunk in stream:
            if chunk.delta:
                break
        server.reply("late", delay=30)
        kept.append(asyncio.create_task(model.generate("hi")))
        await asyncio.sleep(0.05)
        await model.aclose()

    with FakeServer() as server:
        server.reply(LONG)
        asyncio.run(main(server))
    kept.clear()
    gc.collect()
    found = [(span.attributes or {}).get(names.ABORTED) for span in otel_spans.spans]
    assert sorted(map(str, found)) == ["cancelled", "closed"]
    assert [r for r in caplog.records if r.name.startswith("opentelemetry")] == []


# --- a collector ------------------------------------------------------------------------------


class Collector(ThreadingHTTPServer):
    """Takes spans over OTLP, as a collector does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.spans: list[Any] = []
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"


class _Taker(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.server.spans += [(scope.scope.name, span) for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.mark.row("OBSE-01", "OBSE-40", "PAIN-12", "PAIN-15")
async def test_spans_reach_a_collector_and_say_nothing_secret(
    server: FakeServer,
    collector: Collector,
    otel_metrics: OtelMetrics,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG, "beluga_llm")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=collector.url)))
    layers = (
        llm.with_logging(),
        llm.with_tracing(provider),
        llm.with_metrics(otel_metrics.provider),
        llm.with_retry(initial=0, max_attempts=2),
    )
    server.reply(status=429)
    server.reply(SAID)
    server.reply(status=401, times=1)
    async with connect(server, *layers) as model:
        await model.generate([llm.SystemMessage(SAID), llm.HumanMessage(SAID)])
        with pytest.raises(llm.AuthenticationError):
            await model.stream(SAID).response()
    await asyncio.to_thread(provider.shutdown)
    assert [(scope, span.name) for scope, span in collector.spans] == [
        ("beluga_llm", "chat m"),
        ("beluga_llm", "chat m"),
    ]
    first, second = (span for _, span in collector.spans)
    assert [event.name for event in first.events] == ["beluga_llm.retry"]
    assert second.status.code == 2
    shown = b"".join(collector.bodies).decode("latin-1")
    shown += json.dumps(otel_metrics.get_metrics_data(), default=repr)
    shown += repr({name: repr(metric) for name, metric in otel_metrics.metrics.items()})
    shown += "".join(repr(vars(r)) for r in caplog.records if r.name.startswith("beluga_llm"))
    assert "llm.generate.done" in shown
    assert KEY not in shown
    assert SAID not in shown


# --- the demonstration ------------------------------------------------------------------------


@pytest.mark.row("CLI-07")
def test_the_demo_shows_the_spans():
    done = CliRunner().invoke(app, ["demo"], prog_name="beluga-llm")
    assert done.exit_code == 0, done.output
    shown = done.stdout.partition("with_tracing")[2].splitlines()
    spans = [line.partition("  ")[0] for line in shown[1:] if line[:1] != " "]
    assert spans == ["chat demo", "execute_tool weather", "chat demo"]
    assert "  gen_ai.response.finish_reasons = ['tool_calls']" in shown


async def test_the_list_of_spans_takes_all_that_a_span_is_told():
    log = SpanLog()
    layers = llm.with_tracing(log), llm.with_retry(initial=0, max_attempts=2)
    model = MockChatModel([llm.OverloadedError("busy")] * 2).with_middleware(*layers)
    with log.start_as_current_span("mine") as mine:
        mine.update_name("outer")
        mine.set_attribute("a", 1)
        assert mine.is_recording()
        with pytest.raises(llm.OverloadedError):
            await model.generate("hi")
    span, outer = log.spans
    assert (outer.name, outer.attributes) == ("outer", {"a": 1})
    assert not outer.is_recording()
    assert [name for name, _ in span.events] == ["beluga_llm.retry", "exception"]
    assert span.attributes["status"] == "ERROR"
    assert span.get_span_context().is_valid


# --- without an SDK --------------------------------------------------------------------------

PROGRAM = """
import asyncio, sys
import beluga_llm as llm
from beluga_llm.testing import MockChatModel

async def main():
    model = MockChatModel(["a", "b"]).with_middleware(
        llm.with_logging(), llm.with_tracing(), llm.with_metrics()
    )
    before = [name for name in sys.modules if name.startswith("opentelemetry")]
    await model.generate("hi")
    await model.stream("hi").response()
    after = {name for name in sys.modules if name.startswith("opentelemetry.")}
    print(len(before), any(name.startswith("opentelemetry.sdk") for name in after))

asyncio.run(main())
"""


@pytest.mark.row("OBSE-01", "OBSE-29")
def test_only_the_api_is_imported_and_only_when_it_is_used():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0 False\n", "")

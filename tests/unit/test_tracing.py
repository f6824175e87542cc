"""Spans: what they say, and that there is one for each call, however it ends."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from support.flaky import Flaky, answer, text

import beluga_llm as llm
from beluga_llm._call import Chunks
from beluga_llm._events import Event
from beluga_llm._request import ChatRequest
from beluga_llm._request_context import request_context
from beluga_llm._telemetry import names, within
from beluga_llm._watching import Aborted, Watch, watched
from beluga_llm.testing import VirtualClock
from beluga_llm.testing._otel import OtelSpans

BUSY = llm.OverloadedError("busy")
USAGE = llm.Usage(7, 5, 12, cached_tokens=3, cache_write_tokens=0, reasoning_tokens=2)
ANSWER = [
    llm.StreamChunk(model_id="m-2026", response_id="r-1"),
    *text("Hello", " there"),
    llm.StreamChunk(finish_reason=llm.FinishReason.STOP, usage=USAGE),
]
CANARY = "canary-4711"


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """OpenTelemetry has nothing to complain of."""
    yield
    assert [r for r in caplog.get_records("call") if r.name.startswith("opentelemetry")] == []


def traced(model: llm.ChatModel, spans: OtelSpans, **settings: Any) -> llm.ChatModel:
    return model.with_middleware(llm.with_tracing(spans.provider, **settings))


async def read(model: llm.ChatModel, **options: Any) -> llm.AIMessage:
    """The whole answer, by a stream."""
    return await model.stream("hi", **options).response()


def events(span: ReadableSpan) -> list[tuple[str, dict[str, Any]]]:
    return [(event.name, dict(event.attributes or {})) for event in span.events]


# --- what a span says ------------------------------------------------------------------------


@pytest.mark.row("OBSE-01", "OBSE-02", "OBSE-03", "OBSE-05", "OBSE-06", "OBSE-11")
async def test_a_span_says_what_was_asked_and_answered(otel_spans: OtelSpans):
    model = traced(Flaky(ANSWER), otel_spans)
    await model.generate([llm.SystemMessage("Be kind."), llm.HumanMessage("hi")])
    span = otel_spans.one()
    assert (span.name, span.kind) == ("chat f1", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    attributes = dict(span.attributes or {})
    assert len(attributes.pop(names.CALL_ID)) == 16
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "flaky",
        "gen_ai.request.model": "f1",
        "gen_ai.response.model": "m-2026",
        "gen_ai.response.id": "r-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.cache_write.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "beluga_llm.input.characters": 10,
        "beluga_llm.attempts": 1,
    }


@pytest.mark.row("OBSE-05", "OBSE-06", "OBSE-11", "OBSE-16")
async def test_a_stream_says_the_same_and_how_it_came(otel_spans: OtelSpans):
    model = traced(Flaky(ANSWER), otel_spans)
    await read(model)
    attributes = otel_spans.one().attributes or {}
    assert attributes[names.STREAM] is True
    assert attributes[names.CHUNKS] == 4
    assert 0 <= attributes[names.TIME_TO_FIRST_CHUNK] < 1
    assert attributes[names.OUTPUT_TOKENS] == 5
    assert attributes[names.FINISH_REASONS] == ("stop",)


@pytest.mark.row("OBSE-08", "HOOK-16")
async def test_request_options_are_attributes_where_they_are_given(otel_spans: OtelSpans):
    model = traced(Flaky(ANSWER), otel_spans)
    with request_context(session_id="chat-7", request_id="r-9", tenant="acme"):
        await read(
            model,
            temperature=0.2,
            top_p=0.9,
            top_k=3,
            max_tokens=50,
            stop=["END"],
            frequency_penalty=0.1,
            presence_penalty=0.3,
            seed=4,
            n=2,
            reasoning_effort="low",
            response_format=llm.ResponseFormat.json(),
        )
    attributes = otel_spans.one().attributes or {}
    wanted = {
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 3,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.3,
        "gen_ai.request.seed": 4,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.stream": True,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.output.type": "json",
        "gen_ai.conversation.id": "chat-7",
        "beluga_llm.request_id": "r-9",
        "beluga_llm.tenant": "acme",
    }
    assert {name: attributes.get(name) for name in wanted} == wanted


@pytest.mark.row("OBSE-08")
async def test_one_choice_is_not_worth_an_attribute(otel_spans: OtelSpans):
    model = traced(Flaky(ANSWER), otel_spans)
    await model.generate("hi", n=1, response_format=llm.ResponseFormat.text())
    attributes = otel_spans.one().attributes or {}
    assert names.CHOICES not in attributes
    assert names.STREAM not in attributes
    assert attributes[names.OUTPUT_TYPE] == "text"


@pytest.mark.row("OBSE-04")
@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("azure", "azure.ai.openai"),
        ("google", "gcp.gemini"),
        ("vertex", "gcp.vertex_ai"),
        ("bedrock", "aws.bedrock"),
        ("mistral", "mistral_ai"),
        ("xai", "x_ai"),
        ("anthropic", "anthropic"),
    ],
)
async def test_providers_have_the_names_of_the_conventions(
    otel_spans: OtelSpans, entry: str, name: str
):
    model = Flaky(ANSWER)
    model.provider = entry
    await traced(model, otel_spans).generate("hi")
    assert (otel_spans.one().attributes or {})[names.PROVIDER] == name


@pytest.mark.row("OBSE-03")
@pytest.mark.parametrize(
    ("url", "address", "port"),
    [
        ("https://api.example.com/v1", "api.example.com", 443),
        ("http://[::1]:8080/v1", "::1", 8080),
        ("http://localhost", "localhost", 80),
    ],
)
async def test_the_server_is_known_at_the_start(
    otel_spans: OtelSpans, url: str, address: str, port: int
):
    model = Flaky(ANSWER)
    model._where = ("", url, "")
    await traced(model, otel_spans).generate("hi")
    attributes = otel_spans.one().attributes or {}
    assert (attributes[names.SERVER_ADDRESS], attributes[names.SERVER_PORT]) == (address, port)


# --- one for each call -----------------------------------------------------------------------


@pytest.mark.row("OBSE-02")
async def test_inner_layers_add_nothing(otel_spans: OtelSpans):
    first = traced(Flaky([BUSY], name="a"), otel_spans)
    second = traced(traced(Flaky(ANSWER, name="b"), otel_spans), otel_spans)
    model = traced(first.with_middleware(llm.with_fallback(second)), otel_spans)
    await model.generate("hi")
    await read(model)
    assert otel_spans.names == ["chat a", "chat a"]


@pytest.mark.row("OBSE-02")
async def test_without_an_outer_layer_each_model_has_its_own_span(otel_spans: OtelSpans):
    first = traced(Flaky([BUSY], name="a"), otel_spans)
    second = traced(Flaky(ANSWER, name="b"), otel_spans)
    await first.with_middleware(llm.with_fallback(second)).generate("hi")
    assert otel_spans.names == ["chat a", "chat b"]


@pytest.mark.row("OBSE-02", "CHAT-07")
async def test_concurrent_calls_have_a_span_each(otel_spans: OtelSpans):
    model = traced(Flaky(ANSWER), otel_spans)
    tracer = otel_spans.provider.get_tracer("app")

    async def ask(number: int) -> int:
        with tracer.start_as_current_span(f"task {number}") as mine:
            await (model.generate("hi") if number % 2 else read(model))
            return mine.get_span_context().span_id

    parents = await asyncio.gather(*map(ask, range(20)))
    chats = [span for span in otel_spans.spans if span.name == "chat f1"]
    assert sorted(span.parent.span_id for span in chats if span.parent) == sorted(parents)
    ids = {(span.attributes or {})[names.CALL_ID] for span in chats}
    assert len(ids) == 20


@pytest.mark.row("OBSE-16", "PAIN-12")
async def test_a_stream_that_is_not_iterated_has_no_span(otel_spans: OtelSpans):
    model = traced(Flaky(ANSWER), otel_spans)
    async with model.stream("hi"):
        pass
    stream = model.stream("hi")
    await stream.aclose()
    del stream
    assert otel_spans.names == []


# --- how it ends -----------------------------------------------------------------------------


async def by_end(stream: llm.ChatStream) -> None:
    async for _ in stream:
        pass


async def by_break(stream: llm.ChatStream) -> None:
    async with stream:
        async for chunk in stream:
            if chunk.delta:
                break


async def by_drop(stream: llm.ChatStream) -> None:
    async for chunk in stream:
        if chunk.delta:
            break


async def by_another_task(stream: llm.ChatStream) -> None:
    async for chunk in stream:
        if chunk.delta:
            break
    await asyncio.create_task(stream.aclose())


async def by_error(stream: llm.ChatStream) -> None:
    with pytest.raises(KeyError):
        async with stream:
            async for chunk in stream:
                if chunk.delta:
                    raise KeyError


async def by_cancel(stream: llm.ChatStream) -> None:
    started = asyncio.Event()

    async def consume() -> None:
        async with stream:
            async for chunk in stream:
                if chunk.delta:
                    started.set()
                    await asyncio.Event().wait()

    task = asyncio.create_task(consume())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.row("OBSE-15", "OBSE-17", "PAIN-12", "PAIN-15")
@pytest.mark.parametrize("gc_on", [True, False])
@pytest.mark.parametrize(
    ("leave", "aborted", "chunks"),
    [
        (by_end, None, 4),
        (by_break, "closed", 2),
        (by_drop, "closed", 2),
        (by_another_task, "closed", 2),
        (by_error, "closed", 2),
        (by_cancel, "cancelled", 2),
    ],
)
async def test_a_stream_ends_its_span_once(
    otel_spans: OtelSpans, leave: Any, aborted: str | None, chunks: int, gc_on: bool
):
    """Also from another context, while nobody reads; the parent is the one of the first read."""
    known = llm.StreamChunk(model_id="m", usage=llm.Usage(7))
    model = traced(Flaky([known, *ANSWER[1:]]), otel_spans)
    tracer = otel_spans.provider.get_tracer("app")
    if not gc_on:
        gc.disable()
    try:
        with tracer.start_as_current_span("request") as request:
            await leave(model.stream("hi"))
            for _ in range(3):
                await asyncio.sleep(0)
            assert trace.get_current_span() is request
    finally:
        gc.enable()
    span = otel_spans.one("chat f1")
    attributes = span.attributes or {}
    assert span.parent is not None
    assert span.parent.span_id == request.get_span_context().span_id
    assert span.status.status_code is StatusCode.UNSET
    assert attributes.get(names.ABORTED) == aborted
    assert attributes[names.CHUNKS] == chunks
    assert attributes[names.INPUT_TOKENS] == 7
    assert attributes.get(names.FINISH_REASONS) == (None if aborted else ("stop",))


@pytest.mark.row("OBSE-15")
async def test_a_cancelled_read_is_no_error(otel_spans: OtelSpans):
    model = traced(Flaky([*text("a"), asyncio.Event()]), otel_spans)
    for ask in (model.generate("hi"), read(model)):
        task = asyncio.create_task(ask)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    for span in otel_spans.spans:
        assert (span.attributes or {})[names.ABORTED] == "cancelled"
        assert span.status.status_code is StatusCode.UNSET
        assert events(span) == []
    assert len(otel_spans.spans) == 2


@pytest.mark.row("OBSE-13")
@pytest.mark.parametrize(
    ("error", "code"),
    [(llm.RateLimitError("slow down"), "rate_limit"), (ValueError("odd"), "ValueError")],
)
async def test_an_error_is_an_event_a_status_and_a_type(
    otel_spans: OtelSpans, error: Exception, code: str
):
    model = traced(Flaky([*text("a"), error]), otel_spans)
    with pytest.raises(type(error)):
        await model.generate("hi")
    span = otel_spans.one()
    assert (span.attributes or {})[names.ERROR_TYPE] == code
    assert span.status.status_code is StatusCode.ERROR
    assert error.args[0] in (span.status.description or "")
    (event,) = span.events
    assert event.name == "exception"
    assert error.args[0] in str((event.attributes or {})["exception.message"])


class Logs(InMemoryLogRecordExporter):
    """Log records that OpenTelemetry was given."""

    def __init__(self) -> None:
        super().__init__()
        self.provider = LoggerProvider(shutdown_on_exit=False)
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self))

    @property
    def records(self) -> list[Any]:
        return [data.log_record for data in self.get_finished_logs()]


@pytest.fixture
def logs() -> AsyncIterator[Logs]:
    made = Logs()
    yield made
    made.provider.shutdown()


@pytest.mark.row("OBSE-13")
@pytest.mark.parametrize(("wanted", "on_span"), [("logs", 0), ("logs/dup", 1), ("other", 1)])
async def test_exceptions_are_log_records_where_that_is_asked(
    otel_spans: OtelSpans, logs: Logs, monkeypatch: pytest.MonkeyPatch, wanted: str, on_span: int
):
    monkeypatch.setenv("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", wanted)
    model = traced(Flaky([BUSY]), otel_spans, logger_provider=logs.provider)
    with pytest.raises(llm.OverloadedError):
        await model.generate("hi")
    span = otel_spans.one()
    assert len(span.events) == on_span
    assert len(logs.records) == ("logs" in wanted)
    for record in logs.records:
        assert record.event_name == "gen_ai.client.operation.exception"
        assert record.severity_text == "WARN"
        assert record.span_id == span.context.span_id
        assert record.attributes["exception.type"].endswith("OverloadedError")
        assert "busy" in record.attributes["exception.message"]


# --- where it is current ---------------------------------------------------------------------


@pytest.mark.row("OBSE-17", "PAIN-12")
async def test_spans_between_chunks_keep_their_parents(otel_spans: OtelSpans):
    """A span inside `async for` is no child of the call; one of the provider's opening is."""
    tracer = otel_spans.provider.get_tracer("app")

    async def connect() -> None:
        tracer.start_span("connect").end()

    model = traced(Flaky([connect, *ANSWER]), otel_spans)
    with tracer.start_as_current_span("request") as request:
        async for _ in model.stream("hi"):
            with tracer.start_as_current_span("work"):
                pass
    parents = {span.name: span.parent and span.parent.span_id for span in otel_spans.spans}
    assert parents["work"] == request.get_span_context().span_id
    assert parents["connect"] == otel_spans.one("chat f1").context.span_id


@pytest.mark.row("OBSE-17")
async def test_each_attempt_is_opened_within_the_span(otel_spans: OtelSpans):
    tracer = otel_spans.provider.get_tracer("app")

    async def connect() -> None:
        tracer.start_span("connect").end()

    inner = Flaky([connect, BUSY], [connect, *ANSWER]).with_middleware(llm.with_retry(initial=0))
    backup = Flaky([connect, *ANSWER], name="backup")
    hedged = inner.with_middleware(llm.with_hedge(backup, delay=0))
    await traced(hedged, otel_spans).generate("hi")
    chat = otel_spans.one("chat f1").context.span_id
    found = [span for span in otel_spans.spans if span.name == "connect"]
    assert len(found) >= 2
    assert {span.parent.span_id for span in found if span.parent} == {chat}


async def test_a_model_behind_an_ended_span_is_not_within_it(otel_spans: OtelSpans):
    tracer = otel_spans.provider.get_tracer("app")

    async def connect() -> None:
        tracer.start_span("connect").end()

    first = traced(Flaky([BUSY]), otel_spans)
    await first.with_middleware(llm.with_fallback(Flaky([connect, *ANSWER]))).generate("hi")
    assert otel_spans.one("connect").parent is None


async def test_a_provider_that_says_nothing_may_be_traced(otel_spans: OtelSpans):
    await traced(Flaky([]), otel_spans).generate("hi")
    assert names.FINISH_REASONS not in (otel_spans.one().attributes or {})


@pytest.mark.row("OBSE-17")
async def test_a_coroutine_that_is_destroyed_leaves_the_context_of_others_alone(
    otel_spans: OtelSpans,
):
    span = otel_spans.provider.get_tracer("app").start_span("one")

    async def wait() -> None:
        with within(span):
            await asyncio.Event().wait()

    coroutine = wait()
    contextvars.copy_context().run(coroutine.send, None)
    contextvars.Context().run(coroutine.close)  # silently: see `nothing_is_logged`


@pytest.mark.row("OBSE-29")
async def test_a_span_that_is_not_sampled_is_still_passed_on():
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    seen: list[trace.SpanContext] = []

    async def connect() -> None:
        seen.append(trace.get_current_span().get_span_context())

    model = Flaky([connect, BUSY], [connect, *ANSWER])
    layers = llm.with_tracing(provider, True), llm.with_retry(initial=0)
    await model.with_middleware(*layers).generate("hi")
    assert [context.is_valid for context in seen] == [True, True]
    assert not seen[0].trace_flags.sampled


# --- without an SDK --------------------------------------------------------------------------


@pytest.mark.row("OBSE-29")
async def test_without_an_sdk_nothing_stands_around_the_call():
    layer = llm.with_tracing()
    request = llm.ChatRequest((llm.HumanMessage("hi"),))
    sentinel = Flaky(ANSWER)._stream(request)
    assert layer(request, lambda _: sentinel) is sentinel
    assert llm.with_metrics()(request, lambda _: sentinel) is sentinel
    await sentinel.aclose()


async def test_what_cannot_be_recorded_is_no_error_of_the_call(
    otel_spans: OtelSpans, caplog: pytest.LogCaptureFixture
):
    class UnspeakableError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    model = traced(Flaky([UnspeakableError()]), otel_spans)
    with pytest.raises(UnspeakableError):
        await model.generate("hi")
    assert otel_spans.names == ["chat f1"]
    (record,) = [r for r in caplog.records if r.name == "beluga_llm.telemetry"]
    assert record.getMessage() == "a call could not be recorded"


@pytest.mark.parametrize("where", ["begin", "event"])
async def test_a_look_that_fails_is_no_error_of_the_call(
    where: str, caplog: pytest.LogCaptureFixture
):
    """A sampler or a handler of the application's may raise: the answer comes all the same."""

    class Failing(Watch):
        kind = "failing"
        ended = 0

        def begin(self) -> None:
            self.fail("begin")

        def event(self, event: Event) -> None:
            self.fail("event")

        def finish(self, error: BaseException | None, aborted: Aborted | None) -> None:
            self.ended += 1

        def fail(self, place: str) -> None:
            if place == where:
                raise RuntimeError("broken")

    looks: list[Failing] = []

    async def looking(request: ChatRequest, call_next: llm.CallNext) -> Chunks:
        looks.append(Failing(request))
        async for chunk in watched(request, call_next, looks[0]):
            yield chunk

    busy = Flaky([llm.OverloadedError("busy")])
    model = busy.with_middleware(looking, llm.with_fallback(Flaky(ANSWER)))
    assert (await model.generate("hi")).text
    logged = [r.getMessage() for r in caplog.records if r.name == "beluga_llm.telemetry"]
    assert [text.endswith("could not be recorded") for text in logged] == [True]
    assert looks[0].ended == (where == "event")


async def test_the_layer_works_on_a_request_made_by_hand(otel_spans: OtelSpans):
    request = llm.ChatRequest((llm.HumanMessage("hi"),))
    layer = llm.with_tracing(otel_spans.provider)
    async for _ in layer(request, Flaky(ANSWER)._stream):
        pass
    await layer(request, Flaky(ANSWER)._stream).aclose()
    assert names.ATTEMPTS not in (otel_spans.one().attributes or {})
    stream = layer(request, Flaky(ANSWER)._stream)
    await anext(stream)
    await stream.aclose()
    assert (otel_spans.spans[-1].attributes or {})[names.ABORTED] == "closed"


# --- events ----------------------------------------------------------------------------------


@pytest.mark.row("RETR-11", "OBSE-27")
async def test_retries_are_events(otel_spans: OtelSpans):
    clock = VirtualClock(auto=True)
    busy = llm.OverloadedError("busy", retry_after=2.0)
    model = Flaky([busy], ANSWER).with_middleware(llm.with_retry(clock=clock))
    await traced(model, otel_spans).generate("hi")
    assert events(otel_spans.one()) == [
        (
            "beluga_llm.retry",
            {
                "gen_ai.provider.name": "flaky",
                "gen_ai.request.model": "f1",
                "beluga_llm.retry.attempt": 1,
                "beluga_llm.wait": 2.0,
                "error.type": "overloaded",
            },
        )
    ]
    assert (otel_spans.one().attributes or {})[names.ATTEMPTS] == 2


@pytest.mark.row("ROUT-17", "OBSE-27")
async def test_switches_to_another_model_are_events(otel_spans: OtelSpans):
    second, third = Flaky(ANSWER, name="b"), Flaky(ANSWER, name="c")
    refused = llm.with_fallback(second, third, when_response=lambda _: True)
    model = Flaky([BUSY], name="a").with_middleware(refused)
    await traced(model, otel_spans).generate("hi")
    first, then = events(otel_spans.one())
    about = {"gen_ai.provider.name": "flaky", "beluga_llm.fallback.failed_provider": "flaky"}
    switch = {"gen_ai.request.model": "b", "beluga_llm.fallback.failed_model": "a"}
    assert first == ("beluga_llm.fallback", {**about, **switch, "error.type": "overloaded"})
    switch = {"gen_ai.request.model": "c", "beluga_llm.fallback.failed_model": "b"}
    assert then == ("beluga_llm.fallback", {**about, **switch})


@pytest.mark.row("CACH-17", "OBSE-27")
async def test_cache_hits_are_events(otel_spans: OtelSpans):
    model = traced(Flaky(ANSWER).with_middleware(llm.with_cache()), otel_spans)
    await model.generate("hi")
    await model.generate("hi")
    found = [events(span)[0] for span in otel_spans.spans]
    assert [name for name, _ in found] == ["beluga_llm.cache"] * 2
    assert [facts["beluga_llm.cache.result"] for _, facts in found] == ["miss", "hit"]


@pytest.mark.row("RATE-14", "OBSE-27")
async def test_waits_for_a_limit_are_events(otel_spans: OtelSpans):
    clock = VirtualClock(auto=True)
    model = traced(Flaky(ANSWER).with_middleware(llm.with_limits(rpm=1, clock=clock)), otel_spans)
    await model.generate("hi")
    await model.generate("hi")
    found = [event for span in otel_spans.spans for event in events(span)]
    ((name, facts),) = found
    assert name == "beluga_llm.rate_limit.wait"
    assert facts[names.WAIT] == pytest.approx(60)
    assert facts[names.REQUEST_MODEL] == "f1"


@pytest.mark.row("OBSE-27")
async def test_hedges_and_breakers_are_events(otel_spans: OtelSpans):
    layers = llm.with_hedge(Flaky(ANSWER, name="b"), delay=0), llm.with_circuit_breaker()
    model = Flaky([asyncio.Event()]).with_middleware(*layers)
    await traced(model, otel_spans).generate("hi")
    assert [name for name, _ in events(otel_spans.one())] == ["beluga_llm.hedge"]
    otel_spans.clear()
    failing = Flaky([BUSY]).with_middleware(llm.with_circuit_breaker(failure_threshold=1))
    with pytest.raises(llm.OverloadedError):
        await traced(failing, otel_spans).generate("hi")
    (name, facts), _ = events(otel_spans.one())
    assert (name, facts[names.BREAKER_STATE]) == ("beluga_llm.circuit_breaker", "open")


@pytest.mark.row("OBSE-03")
async def test_a_router_is_named_by_the_model_that_answered(otel_spans: OtelSpans):
    await traced(llm.FailoverRouter(Flaky(ANSWER)), otel_spans).generate("hi")
    span = otel_spans.one()
    assert span.name == "chat failover-router"
    assert (span.attributes or {})[names.PROVIDER] == "flaky"


# --- content ---------------------------------------------------------------------------------

PNG = b"\x89PNG" + CANARY.encode()
CALLED = llm.AIMessage(
    [llm.ThinkingPart("hm"), llm.TextPart("I look.")],
    tool_calls=[llm.ToolCall("c1", "look", '{"at": "it"}'), llm.ToolCall("c2", "look", "{bad")],
)
TALK = [
    llm.SystemMessage("Be kind."),
    llm.HumanMessage(
        [
            "see",
            llm.ImagePart(PNG),
            llm.ImagePart(url=f"https://user:pass@example.com/a.png?sig={CANARY}#x"),
            llm.ImagePart(url=f"data:image/png;base64,{CANARY}"),
            llm.ImagePart(url="http://[broken"),
            llm.FilePart(file_id="file-1"),
            llm.AudioPart(b"123", format="mp3"),
        ],
        name="ann",
    ),
    CALLED,
    llm.ToolMessage("done", "c1"),
    llm.ToolMessage([llm.TextPart("two"), llm.ImagePart(PNG)], "c2"),
]
TOOL = llm.ToolDefinition("look", "Looks.", {"type": "object", "properties": {}})


def captured(attributes: Any) -> dict[str, Any]:
    """The content among attributes."""
    kinds = (
        names.SYSTEM_INSTRUCTIONS,
        names.INPUT_MESSAGES,
        names.OUTPUT_MESSAGES,
        names.TOOL_DEFINITIONS,
    )
    return {kind: attributes[kind] for kind in kinds if kind in attributes}


IN_FULL = {
    "gen_ai.system_instructions": [{"type": "text", "content": "Be kind."}],
    "gen_ai.input.messages": [
        {
            "role": "user",
            "name": "ann",
            "parts": [
                {"type": "text", "content": "see"},
                {"type": "blob", "modality": "image", "mime_type": "image/png", "size": len(PNG)},
                {
                    "type": "uri",
                    "modality": "image",
                    "mime_type": "image/png",
                    "uri": "https://example.com/a.png",
                },
                {"type": "blob", "modality": "image", "mime_type": "image/png", "size": 33},
                {"type": "uri", "modality": "image", "mime_type": "image/png", "uri": ""},
                {
                    "type": "file",
                    "modality": "document",
                    "mime_type": "application/pdf",
                    "file_id": "file-1",
                },
                {"type": "blob", "modality": "audio", "mime_type": "audio/mp3", "size": 3},
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "text", "content": "I look."},
                {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": "it"}},
                {"type": "tool_call", "id": "c2", "name": "look", "arguments": "{bad"},
            ],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "c1", "response": "done"}],
        },
        {
            "role": "tool",
            "parts": [
                {
                    "type": "tool_call_response",
                    "id": "c2",
                    "response": [
                        {"type": "text", "content": "two"},
                        {
                            "type": "blob",
                            "modality": "image",
                            "mime_type": "image/png",
                            "size": len(PNG),
                        },
                    ],
                }
            ],
        },
    ],
    "gen_ai.output.messages": [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "Hello there"}],
            "finish_reason": "stop",
        }
    ],
    "gen_ai.tool.definitions": [
        {
            "type": "function",
            "name": "look",
            "description": "Looks.",
            "parameters": {"type": "object", "properties": {}},
        }
    ],
}


@pytest.mark.row("OBSE-40")
@pytest.mark.parametrize(
    ("asked", "variable", "on_span", "as_event"),
    [
        (None, None, False, False),
        (True, None, True, False),
        (None, "SPAN_ONLY", True, False),
        (None, "event_only", False, True),
        (None, "SPAN_AND_EVENT", True, True),
        (True, "EVENT_ONLY", False, True),
        ("SPAN_AND_EVENT", None, True, True),
        (None, "NO_CONTENT", False, False),
        (False, "SPAN_ONLY", False, False),
    ],
)
async def test_content_is_captured_where_it_is_asked_for(
    otel_spans: OtelSpans,
    logs: Logs,
    monkeypatch: pytest.MonkeyPatch,
    asked: Any,
    variable: str | None,
    on_span: bool,
    as_event: bool,
):
    if variable:
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", variable)
    provider = logs.provider
    model = traced(Flaky(ANSWER), otel_spans, capture_content=asked, logger_provider=provider)
    await model.generate(TALK, tools=[TOOL], validate_history=False)
    span = otel_spans.one()
    found = captured(span.attributes)
    assert {name: json.loads(value) for name, value in found.items()} == (
        IN_FULL if on_span else {}
    )
    assert len(logs.records) == as_event
    for record in logs.records:
        assert record.event_name == "gen_ai.client.inference.operation.details"
        assert record.span_id == span.context.span_id
        assert record.attributes["gen_ai.usage.input_tokens"] == 7
        assert record.attributes["gen_ai.request.model"] == "f1"
        assert json.loads(json.dumps(_plain(captured(record.attributes)))) == IN_FULL
    assert CANARY not in span.to_json()
    assert CANARY not in repr([record.attributes for record in logs.records])


def _plain(value: Any) -> Any:
    if isinstance(value, dict) or hasattr(value, "items"):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.row("OBSE-40")
@pytest.mark.parametrize("scheme", ["data:", "DATA:", "Data:", " data:"])
async def test_bytes_in_an_address_are_never_captured(otel_spans: OtelSpans, scheme: str):
    model = traced(Flaky(ANSWER), otel_spans, capture_content=True)
    picture = llm.ImagePart(url=f"{scheme}image/png;base64,{CANARY}")
    await model.generate(llm.HumanMessage([picture]))
    said = str((otel_spans.one().attributes or {})[names.INPUT_MESSAGES])
    assert json.loads(said)[0]["parts"][0]["type"] == "blob"
    assert CANARY not in said


@pytest.mark.row("OBSE-40")
async def test_choices_refusals_and_calls_are_captured_in_their_shape(otel_spans: OtelSpans):
    chunks = [
        llm.StreamChunk(refusal_delta="No."),
        llm.StreamChunk(tool_calls=(llm.ToolCallDelta(0, "c", "look", "{}"),)),
        llm.StreamChunk(finish_reason=llm.FinishReason.TOOL_CALLS),
        llm.StreamChunk("two", choice=1),
    ]
    model = traced(Flaky(chunks), otel_spans, capture_content=True)
    await model.generate(llm.HumanMessage([llm.UnknownPart("hologram", {"x": 1})]))
    attributes = otel_spans.one().attributes or {}
    said = json.loads(str(attributes[names.INPUT_MESSAGES]))
    assert said[0]["parts"] == [{"type": "hologram"}]
    first, second = json.loads(str(attributes[names.OUTPUT_MESSAGES]))
    assert first["finish_reason"] == "tool_call"
    assert first["parts"] == [
        {"type": "tool_call", "id": "c", "name": "look", "arguments": {}},
        {"type": "refusal", "content": "No."},
    ]
    assert second == {"role": "assistant", "parts": [{"type": "text", "content": "two"}]}
    assert attributes[names.FINISH_REASONS] == ("tool_calls",)


@pytest.mark.row("OBSE-40", "OBSE-29")
async def test_an_event_goes_nowhere_where_nobody_takes_log_records(otel_spans: OtelSpans):
    await traced(Flaky(ANSWER), otel_spans, capture_content="EVENT_ONLY").generate("hi")
    assert captured(otel_spans.one().attributes) == {}


@pytest.mark.row("OBSE-40")
async def test_of_a_call_that_failed_at_once_only_the_question_is_captured(otel_spans: OtelSpans):
    model = traced(Flaky([BUSY]), otel_spans, capture_content=True)
    with pytest.raises(llm.OverloadedError):
        await model.generate("hi")
    assert list(captured(otel_spans.one().attributes)) == [names.INPUT_MESSAGES]


@pytest.mark.row("OBSE-40")
async def test_a_system_message_alone_is_no_input(otel_spans: OtelSpans):
    model = traced(Flaky(ANSWER), otel_spans, capture_content=True)
    await model.generate([llm.SystemMessage("Be kind.")])
    assert names.INPUT_MESSAGES not in (otel_spans.one().attributes or {})


@pytest.mark.row("OBSE-40", "PAIN-15")
async def test_nothing_that_was_said_is_in_a_span_by_default(
    otel_spans: OtelSpans, logs: Logs, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    layers = (
        llm.with_logging(level=logging.DEBUG),
        llm.with_tracing(otel_spans.provider, logger_provider=logs.provider),
        llm.with_retry(initial=0),
    )
    tools = [llm.StreamChunk(tool_calls=(llm.ToolCallDelta(0, "c", "look", f'"{CANARY}"'),))]
    model = Flaky([BUSY], [*text(CANARY), *tools, *ANSWER]).with_middleware(*layers)
    options = {
        "extra_headers": {"Authorization": CANARY},
        "metadata": {"note": CANARY},
        "user": CANARY,
    }
    await model.generate([llm.SystemMessage(CANARY), llm.HumanMessage(CANARY)], **options)
    shown = [span.to_json() for span in otel_spans.spans]
    shown += [repr(vars(record)) for record in caplog.records if record.name.startswith("beluga")]
    assert len(shown) == 4
    assert CANARY not in "".join(shown)
    assert logs.records == []


def test_a_mode_that_does_not_exist_is_refused():
    with pytest.raises(llm.ConfigError, match="EVENT_ONLY"):
        llm.with_tracing(capture_content="everything")  # type: ignore[arg-type]
    assert repr(llm.with_tracing()) == "with_tracing()"


@pytest.mark.row("OBSE-41")
def test_all_else_than_the_conventions_names_is_prefixed():
    known = ("gen_ai.", "server.", "error.", "exception.", "beluga_llm.")
    texts = [
        value
        for name, value in vars(names).items()
        if name.isupper() and isinstance(value, str) and "." in value
    ]
    assert len(texts) > 60
    assert [text for text in texts if not text.startswith(known)] == []
    assert all(name.startswith("beluga_llm.") for name in names.EVENTS.values())


# --- tools -----------------------------------------------------------------------------------


def calls(*names_: str, arguments: str = "{}") -> list[llm.StreamChunk]:
    deltas = [llm.ToolCallDelta(n, f"c{n}", name, arguments) for n, name in enumerate(names_)]
    return [llm.StreamChunk(tool_calls=tuple(deltas))]


@llm.tool
def look(at: str = "it") -> str:
    """Looks."""
    seen.append(trace.get_current_span().get_span_context().span_id)
    return f"saw {at}"


@llm.tool
async def fail() -> str:
    """Fails."""
    raise llm.ToolError(CANARY)


seen: list[int] = []


@pytest.mark.row("OBSE-24")
@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_have_spans_beside_the_calls(otel_spans: OtelSpans, streamed: bool):
    seen.clear()
    inner = traced(Flaky(calls("look", "fail", "none"), ANSWER), otel_spans)
    model = llm.DelegatingChatModel(inner)
    tracer = otel_spans.provider.get_tracer("app")
    with tracer.start_as_current_span("agent") as agent:
        if streamed:
            async with llm.stream_tools(model, "hi", [look, fail]) as stream:
                async for _ in stream:
                    pass
        else:
            await llm.run_tools(model, "hi", [look, fail])
    span = otel_spans.one("execute_tool look")
    assert span.kind is SpanKind.INTERNAL
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look",
        "gen_ai.tool.call.id": "c0",
        "gen_ai.tool.type": "function",
    }
    assert seen == [span.context.span_id]
    failed = otel_spans.one("execute_tool fail")
    assert (failed.attributes or {})[names.ERROR_TYPE] == "ToolError"
    assert failed.status.status_code is StatusCode.ERROR
    parents = {one.parent.span_id for one in otel_spans.spans if one.parent is not None}
    assert parents == {agent.get_span_context().span_id}
    assert otel_spans.names.count("chat f1") == 2
    assert CANARY not in "".join(one.to_json() for one in otel_spans.spans)


@pytest.mark.row("OBSE-24", "OBSE-40")
async def test_what_tools_are_given_and_give_is_captured_where_asked(otel_spans: OtelSpans):
    script = Flaky(calls("look", arguments='{"at": "you"}'), ANSWER)
    await llm.run_tools(traced(script, otel_spans, capture_content=True), "hi", [look])
    attributes = otel_spans.one("execute_tool look").attributes or {}
    assert json.loads(str(attributes[names.TOOL_ARGUMENTS])) == {"at": "you"}
    assert attributes[names.TOOL_RESULT] == "saw you"


@pytest.mark.row("OBSE-24", "OBSE-15")
async def test_a_cancelled_tool_ends_its_span(otel_spans: OtelSpans):
    started = asyncio.Event()

    @llm.tool
    async def wait() -> str:
        """Waits."""
        started.set()
        await asyncio.Event().wait()
        return ""

    model = traced(Flaky(calls("wait")), otel_spans)
    task = asyncio.create_task(llm.run_tools(model, "hi", [wait]))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    attributes = otel_spans.one("execute_tool wait").attributes or {}
    assert attributes[names.ABORTED] == "cancelled"


async def test_complete_answers_of_support_are_heard(otel_spans: OtelSpans):
    await read(traced(Flaky(answer("a")), otel_spans))
    assert (otel_spans.one().attributes or {})[names.RESPONSE_MODEL] == "real"

"""Log records: what they say of a call, and that the application's logging is left alone."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import format_span_id, format_trace_id
from support.flaky import Flaky, text

import beluga_llm as llm
from beluga_llm._log_records import keep_quiet
from beluga_llm._request_context import request_context
from beluga_llm.testing import VirtualClock
from beluga_llm.testing._otel import OtelSpans

BUSY = llm.OverloadedError("busy")
ANSWER = [
    *text("secret words"),
    llm.StreamChunk(finish_reason=llm.FinishReason.STOP, usage=llm.Usage(7, 5)),
]


class Records(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """What the library logs."""
    caplog.set_level(logging.DEBUG, "beluga_llm")
    handler = Records()
    logging.getLogger("beluga_llm").addHandler(handler)
    yield handler.kept
    logging.getLogger("beluga_llm").removeHandler(handler)


def logged(model: llm.ChatModel, **settings: Any) -> llm.ChatModel:
    return model.with_middleware(llm.with_logging(**settings))


def said(records: list[logging.LogRecord]) -> list[tuple[str, str]]:
    return [(r.levelname, r.getMessage()) for r in records if r.name == "beluga_llm.calls"]


@pytest.mark.row("MIDD-04", "OBSE-34")
async def test_a_call_is_logged_at_its_begin_and_end(records: list[logging.LogRecord]):
    await logged(Flaky(ANSWER)).generate(["hi", llm.AIMessage("ho"), "again"])
    assert said(records) == [("INFO", "llm.generate.start"), ("INFO", "llm.generate.done")]
    start, done = map(vars, records)
    assert start["call_id"] == done["call_id"]
    assert len(start["call_id"]) == 16
    for facts in (start, done):
        assert (facts["provider"], facts["model"], facts["messages"]) == ("flaky", "f1", 3)
        assert (facts["trace_id"], facts["span_id"]) == (None, None)
        assert "secret" not in repr(facts)
    assert (done["input_tokens"], done["output_tokens"]) == (7, 5)
    assert done["finish_reason"] == "stop"
    assert 0 < done["duration"] < 1
    assert "session_id" not in start


@pytest.mark.row("MIDD-04")
async def test_errors_and_streams_that_are_left_are_logged(records: list[logging.LogRecord]):
    model = logged(Flaky([BUSY], [BUSY], ANSWER, ANSWER, [asyncio.Event()]))
    with pytest.raises(llm.OverloadedError):
        await model.generate("hi")
    with pytest.raises(llm.OverloadedError):
        await model.stream("hi").response()
    await model.stream("hi").response()
    async with model.stream("hi") as stream:
        await anext(stream)
    task = asyncio.create_task(model.generate("hi"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said(records) == [
        ("INFO", "llm.generate.start"),
        ("ERROR", "llm.generate.error"),
        ("INFO", "llm.stream.start"),
        ("ERROR", "llm.stream.error"),
        ("INFO", "llm.stream.start"),
        ("INFO", "llm.stream.done"),
        ("INFO", "llm.stream.start"),
        ("INFO", "llm.stream.aborted"),
        ("INFO", "llm.generate.start"),
        ("INFO", "llm.generate.aborted"),
    ]
    assert vars(records[1])["code"] == "overloaded"
    assert vars(records[1])["finish_reason"] is None
    assert [vars(records[n])["aborted"] for n in (7, 9)] == ["closed", "cancelled"]


@pytest.mark.row("MIDD-04")
async def test_logger_and_level_are_the_applications(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "mine")
    await logged(Flaky(ANSWER), logger="mine", level=logging.DEBUG).generate("hi")
    await logged(Flaky(ANSWER), logger=logging.getLogger("mine")).generate("hi")
    await logged(Flaky(ANSWER), level=logging.DEBUG).generate("hi")  # not enabled
    assert [(r.name, r.levelname) for r in caplog.records] == [
        ("mine", "DEBUG"),
        ("mine", "DEBUG"),
        ("mine", "INFO"),
        ("mine", "INFO"),
    ]
    assert repr(llm.with_logging("mine")) == "with_logging('mine', level=INFO)"


async def test_inner_layers_log_nothing_twice(records: list[logging.LogRecord]):
    await logged(logged(Flaky(ANSWER))).generate("hi")
    assert len(records) == 2


@pytest.mark.row("OBSE-34", "HOOK-16", "RETR-11")
async def test_records_of_a_trace_carry_its_ids(
    records: list[logging.LogRecord], otel_spans: OtelSpans
):
    """Also those of layers inside; at the begin it is the span around the call."""
    layers = llm.with_logging(), llm.with_tracing(otel_spans.provider), llm.with_retry(initial=0)
    model = Flaky([BUSY], ANSWER).with_middleware(*layers)
    tracer = otel_spans.provider.get_tracer("app")
    with (
        tracer.start_as_current_span("request") as outer,
        request_context(session_id="s", request_id="r", tenant="t"),
    ):
        await model.generate("hi")
    chat = otel_spans.one("chat f1").context
    trace = format_trace_id(chat.trace_id)
    spans = [outer.get_span_context().span_id, chat.span_id, chat.span_id]
    own = [record for record in records if record.name.startswith("beluga_llm")]
    found = [(vars(record)["trace_id"], vars(record)["span_id"]) for record in own]
    assert found == [(trace, format_span_id(span)) for span in spans]
    assert [record.levelname for record in own] == ["INFO", "WARNING", "INFO"]
    assert len({vars(record)["call_id"] for record in own}) == 1
    for record in (own[0], own[2]):
        facts = vars(record)
        assert (facts["session_id"], facts["request_id"], facts["tenant"]) == ("s", "r", "t")


@pytest.mark.row("RATE-14")
async def test_waits_that_somebody_notices_are_logged(records: list[logging.LogRecord]):
    clock = VirtualClock(auto=True)
    model = Flaky(ANSWER).with_middleware(llm.with_limits(rps=2, clock=clock))
    for _ in range(3):
        await model.generate("hi")
    assert records == []  # less than a second
    slow = Flaky(ANSWER).with_middleware(llm.with_limits(rpm=1, clock=clock))
    for _ in range(2):
        await slow.generate("hi")
    (record,) = records
    assert (record.name, record.levelname) == ("beluga_llm.limits", "INFO")
    assert record.getMessage() == "waited 60.0 s for a place to ask flaky/f1"
    assert vars(record)["seconds"] == pytest.approx(60)
    assert len(vars(record)["call_id"]) == 16


@pytest.mark.row("OBSE-34")
def test_the_filter_adds_who_asks_and_lets_all_through():
    sieve = llm.ContextFilter()
    bare = logging.LogRecord("other", logging.INFO, "", 0, "hi", (), None)
    with request_context(session_id="s", tenant="t"):
        assert sieve.filter(bare)
    facts = vars(bare)
    assert (facts["session_id"], facts["request_id"], facts["tenant"]) == ("s", None, "t")
    line = "%(call_id)s %(provider)s %(model)s %(trace_id)s %(span_id)s %(message)s"
    assert logging.Formatter(line).format(bare) == "None None None None None hi"
    own = logging.LogRecord("beluga_llm", logging.INFO, "", 0, "hi", (), None)
    vars(own).update(tenant="mine", call_id="c")
    with request_context(tenant="t"):
        assert sieve.filter(own)
    assert (vars(own)["tenant"], vars(own)["call_id"]) == ("mine", "c")


@pytest.mark.row("OBSE-34", "PAIN-01")
def test_the_loggers_are_quiet_and_otherwise_untouched():
    """A NullHandler is there with the first model, not at import."""
    program = """
import asyncio, logging
import beluga_llm as llm
logger = logging.getLogger("beluga_llm")
assert logger.handlers == []
from beluga_llm.testing import MockChatModel
busy = llm.OverloadedError("busy")
model = MockChatModel([busy, "ok"]).with_middleware(llm.with_logging(), llm.with_retry(initial=0))
asyncio.run(model.generate("hi"))
print(logger.handlers, logger.level, logger.propagate, logging.root.handlers)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout == "[<NullHandler (NOTSET)>] 0 True []\n"


def test_handlers_of_the_application_are_enough(monkeypatch: pytest.MonkeyPatch):
    logger = logging.getLogger("beluga_llm")
    monkeypatch.setattr(logger, "handlers", [])
    keep_quiet()
    keep_quiet()
    assert [type(handler) for handler in logger.handlers] == [logging.NullHandler]

"""Hooks: each at its moment, once, for every way in which a call can go."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest
from support.flaky import Flaky, answer, text

import beluga_llm as llm
from beluga_llm import CallContext, Hooks, StreamChunk, Suppress, compose_hooks, with_hooks
from beluga_llm._transcript import Transcript
from beluga_llm.testing import VirtualClock

BUSY = llm.OverloadedError("busy")
CALL = llm.ToolCallDelta(0, "c1", "f", "{}")
SECOND = llm.ToolCallDelta(1, "c2", "g", "{}")


class Diary(Hooks):
    """Writes down every moment."""

    def __init__(self, name: str = "", **settings: Any) -> None:
        super().__init__(**settings)
        self.name = name
        self.lines: list[tuple[Any, ...]] = []
        self.calls: list[CallContext] = []

    def write(self, *line: Any) -> None:
        self.lines.append((self.name, *line) if self.name else line)

    def before_generate(self, call: CallContext) -> None:
        self.calls.append(call)
        self.write("before")

    async def after_generate(self, call: CallContext, response: Any, error: Any) -> None:
        shown = None if response is None else response.text
        self.write("after", shown, None if error is None else type(error).__name__)

    def on_stream(self, call: CallContext, chunk: StreamChunk) -> None:
        self.write("chunk", chunk.delta)

    async def on_tool_call(self, call: CallContext, tool_call: llm.ToolCall) -> None:
        self.write("tool", tool_call.name)

    def on_reasoning(self, call: CallContext, text: str) -> None:
        self.write("thought", text)

    async def on_error(self, call: CallContext, error: Exception) -> Any:
        self.write("error", type(error).__name__)

    def on_cancel(self, call: CallContext, partial: Any) -> None:
        self.write("cancel", None if partial is None else partial.text)

    async def on_retry(self, call: CallContext, attempt: int, error: Any, wait: float) -> None:
        self.write("retry", attempt, wait)


def hooked(*attempts: Any, hooks: Hooks | None = None) -> tuple[llm.ChatModel, Any]:
    hooks = hooks or Diary()
    return Flaky(*attempts).with_middleware(with_hooks(hooks)), hooks


def on_error(word: Any) -> Hooks:
    def hook(call: CallContext, error: Exception) -> Any:
        if isinstance(word, type):
            raise word
        return word(error) if callable(word) else word

    return Hooks.from_callables(on_error=hook)


# --- the moments ---------------------------------------------------------------------------------


@pytest.mark.row("HOOK-01", "HOOK-02", "HOOK-03", "HOOK-05", "HOOK-07", "HOOK-08")
async def test_a_whole_answer():
    thought = StreamChunk(reasoning_delta="hm", part_index=0)
    calls = StreamChunk(tool_calls=(CALL, SECOND))
    model, diary = hooked([thought, *text("a", "b"), calls])
    await model.generate("hi")
    assert diary.lines == [
        ("before",), ("thought", "hm"), ("tool", "f"), ("tool", "g"), ("after", "ab", None),
    ]  # fmt: skip


@pytest.mark.row("HOOK-03", "HOOK-05", "HOOK-06", "HOOK-07", "HOOK-08")
async def test_a_stream():
    thoughts = [StreamChunk(reasoning_delta="h"), StreamChunk(reasoning_delta="m")]
    model, diary = hooked([*thoughts, *text("a"), StreamChunk(tool_calls=(CALL,), model_id="m")])
    stream = model.stream("hi")
    assert diary.lines == []
    async for chunk in stream:
        assert diary.lines[-1] in (("chunk", chunk.delta), ("thought", chunk.reasoning_delta))
    assert diary.lines == [
        ("before",), ("chunk", ""), ("thought", "h"), ("chunk", ""), ("thought", "m"),
        ("chunk", "a"), ("chunk", ""), ("tool", "f"), ("after", "a", None),
    ]  # fmt: skip


@pytest.mark.row("HOOK-04")
@pytest.mark.parametrize("streaming", [False, True])
async def test_an_error_before_ends_the_call(streaming: bool):
    class Refusing(Diary):
        def before_generate(self, call: CallContext) -> None:
            raise PermissionError("no")

    model, diary = hooked(answer("a"), hooks=Refusing())
    with pytest.raises(PermissionError, match="no"):
        await (model.stream("hi").response() if streaming else model.generate("hi"))
    assert diary.lines == []
    assert model.unwrap().requests == []


@pytest.mark.row("HOOK-05", "HOOK-09")
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_failure_is_told_and_stays(streaming: bool):
    model, diary = hooked([*text("a"), BUSY])
    with pytest.raises(llm.OverloadedError) as caught:
        await (model.stream("hi").response() if streaming else model.generate("hi"))
    assert caught.value is BUSY
    told = [line for line in diary.lines if line[0] != "chunk"]
    assert told == [("before",), ("error", "OverloadedError"), ("after", "a", "OverloadedError")]


@pytest.mark.row("HOOK-05")
async def test_a_failure_before_anything_arrived_has_no_partial():
    model, diary = hooked([BUSY])
    with pytest.raises(llm.OverloadedError):
        await model.generate("hi")
    assert diary.lines[-1] == ("after", None, "OverloadedError")


@pytest.mark.row("HOOK-05")
async def test_a_stream_that_is_left_early():
    model, diary = hooked(answer("a", "b"))
    async with model.stream("hi") as stream:
        async for chunk in stream:
            if chunk.delta:
                break
    assert diary.lines[-1] == ("after", "a", None)
    assert diary.calls[0].closed_early


@pytest.mark.row("HOOK-05")
async def test_a_stream_that_is_dropped():
    model, diary = hooked(answer("a", "b"))
    async for chunk in model.stream("hi"):
        if chunk.delta:
            break
    gc.collect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert diary.lines[-1] == ("after", "a", None)


@pytest.mark.row("HOOK-21", "ERRO-20")
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_cancellation_is_told_to_on_cancel_alone(streaming: bool):
    gate = asyncio.Event()
    model, diary = hooked([*text("a"), gate])
    call = model.stream("hi").response() if streaming else model.generate("hi")
    task = asyncio.ensure_future(call)
    while not model.unwrap().open:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [line for line in diary.lines if line[0] != "chunk"] == [("before",), ("cancel", "a")]


@pytest.mark.row("HOOK-05", "HOOK-21")
async def test_a_consumer_that_is_cancelled_in_its_own_work():
    model, diary = hooked(answer("a", "b"))
    reached, gate = asyncio.Event(), asyncio.Event()

    async def consume() -> None:
        async with model.stream("hi") as stream:
            async for chunk in stream:
                if chunk.delta:
                    reached.set()
                    await gate.wait()

    task = asyncio.create_task(consume())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert diary.lines[-1] == ("cancel", "a")
    assert "after" not in {line[0] for line in diary.lines}


@pytest.mark.row("HOOK-22", "RETR-11")
async def test_retries_inside_of_the_hooks_are_told():
    clock, diary, outer = VirtualClock(auto=True), Diary(), Diary()
    retry = llm.with_retry(clock=clock, jitter=0)
    model = Flaky([BUSY], [BUSY], answer("a")).with_middleware(with_hooks(diary), retry)
    await model.generate("hi")
    assert diary.lines == [("before",), ("retry", 1, 0.5), ("retry", 2, 1.0), ("after", "a", None)]
    model = Flaky([BUSY], answer("a")).with_middleware(retry, with_hooks(outer))
    await model.generate("hi")
    assert "retry" not in {line[0] for line in outer.lines}
    assert [line[0] for line in outer.lines] == ["before", "error", "after", "before", "after"]


async def test_other_events_are_no_retries():
    diary = Diary()
    model = Flaky([BUSY]).with_middleware(with_hooks(diary), llm.with_fallback(Flaky(answer("b"))))
    assert (await model.generate("hi")).text == "b"
    assert [line[0] for line in diary.lines] == ["before", "after"]


async def test_a_request_made_by_hand_can_be_hooked():
    diary = Diary()
    layer = with_hooks(diary)
    request = llm.ChatRequest((llm.HumanMessage("hi"),), streaming=False)
    chunks = [chunk async for chunk in layer(request, Flaky(answer("a"))._stream)]
    assert llm.fold(chunks).text == "a"
    suppressing = with_hooks(on_error(Suppress()))
    chunks = [chunk async for chunk in suppressing(request, Flaky([BUSY])._stream)]
    assert llm.fold(chunks).finish_reason == "error"


# --- errors that are replaced or suppressed ------------------------------------------------------


@pytest.mark.row("HOOK-09")
@pytest.mark.parametrize("word", [lambda error: ValueError("mine"), ValueError])
async def test_an_error_may_be_replaced(word: Any):
    model, _ = hooked([BUSY], hooks=on_error(word))
    with pytest.raises(ValueError) as caught:
        await model.generate("hi")
    assert caught.value.__context__ is BUSY


@pytest.mark.row("HOOK-09")
@pytest.mark.parametrize("word", [None, lambda error: error, lambda error: "logged"])
async def test_other_answers_keep_the_error(word: Any):
    model, _ = hooked([BUSY], hooks=on_error(word))
    with pytest.raises(llm.OverloadedError) as caught:
        await model.generate("hi")
    assert caught.value is BUSY


@pytest.mark.row("HOOK-10")
async def test_a_suppressed_error_gives_the_message():
    instead = llm.AIMessage("sorry", finish_reason="stop")
    model, _ = hooked([*text("half"), BUSY], hooks=on_error(Suppress(instead)))
    assert await model.generate("hi") == instead
    model, _ = hooked([*text("half"), BUSY], hooks=on_error(Suppress()))
    reply = await model.generate("hi")
    assert (reply.text, reply.finish_reason) == ("half", "error")


@pytest.mark.row("HOOK-11")
async def test_a_suppressed_stream_ends_normally():
    instead = llm.AIMessage("sorry", finish_reason="stop")
    model, _ = hooked([StreamChunk(model_id="m"), BUSY], hooks=on_error(Suppress(instead)))
    async with model.stream("hi") as stream:
        assert stream.suppressed_error is None
        shown = "".join([chunk.delta async for chunk in stream])
    assert (shown, stream.finish_reason, stream.state) == ("sorry", "error", "complete")
    assert stream.suppressed_error is BUSY
    model, _ = hooked([*text("half"), BUSY], hooks=on_error(Suppress(instead)))
    async with model.stream("hi") as stream:
        assert "".join([chunk.delta async for chunk in stream]) == "half"
    assert (stream.finish_reason, stream.suppressed_error) == ("error", BUSY)


@pytest.mark.row("HOOK-10", "HOOK-05")
async def test_a_suppressed_call_has_ended_well():
    class Calming(Diary):
        async def on_error(self, call: CallContext, error: Exception) -> Any:
            return Suppress(llm.AIMessage("sorry"))

    model, diary = hooked([BUSY], hooks=Calming())
    await model.generate("hi")
    assert diary.lines == [("before",), ("after", "sorry", None)]


# --- several hooks -------------------------------------------------------------------------------


@pytest.mark.row("HOOK-12")
async def test_hooks_run_in_the_order_given():
    one, two = Diary("one"), Diary("two")
    lines = one.lines = two.lines
    model, _ = hooked(answer("a"), hooks=compose_hooks(one, compose_hooks(two), compose_hooks()))
    await model.generate("hi")
    assert lines == [
        ("one", "before"), ("two", "before"), ("one", "after", "a", None),
        ("two", "after", "a", None),
    ]  # fmt: skip
    plain = Flaky(answer("a")).with_middleware(with_hooks())
    assert (await plain.generate("hi")).text == "a"


@pytest.mark.row("HOOK-12")
async def test_the_first_error_before_stops_the_chain():
    def refuse(call: CallContext) -> None:
        raise PermissionError

    two = Diary()
    model, _ = hooked(
        answer("a"), hooks=compose_hooks(Hooks.from_callables(before_generate=refuse), two)
    )
    with pytest.raises(PermissionError):
        await model.generate("hi")
    assert two.lines == []


@pytest.mark.row("HOOK-14")
async def test_errors_go_down_the_chain_until_one_is_suppressed():
    last = Diary()
    model, _ = hooked([BUSY], hooks=compose_hooks(on_error(ValueError), on_error(KeyError), last))
    with pytest.raises(KeyError) as caught:
        await model.generate("hi")
    assert caught.value.__context__ is BUSY
    assert last.lines[1:] == [("error", "KeyError"), ("after", None, "KeyError")]
    last.lines.clear()
    model, _ = hooked([BUSY], hooks=compose_hooks(on_error(Suppress()), last))
    await model.generate("hi")
    assert "error" not in {line[0] for line in last.lines}


# --- observers that fail -------------------------------------------------------------------------


class Broken(Diary):
    """Every observer fails."""

    def write(self, *line: Any) -> None:
        super().write(*line)
        if line[0] not in ("before", "error"):
            raise ZeroDivisionError(line[0])


@pytest.mark.row("HOOK-18")
async def test_a_failing_observer_is_logged_and_ignored(caplog: pytest.LogCaptureFixture):
    model, _ = hooked(
        [StreamChunk(reasoning_delta="hm"), StreamChunk("a", tool_calls=(CALL,))], hooks=Broken()
    )
    with caplog.at_level(logging.ERROR, "beluga_llm.hooks"):
        assert (await model.stream("hi").response()).text == "a"
    failed = [record.getMessage().rpartition(".")[2] for record in caplog.records]
    assert failed[:3] == ["on_stream", "on_reasoning", "on_stream"]
    assert failed[-2:] == ["on_tool_call", "after_generate"]
    assert all(record.exc_info for record in caplog.records)


@pytest.mark.row("HOOK-18")
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_strict_observer_is_heard(streaming: bool):
    model, diary = hooked(answer("a"), hooks=Broken(strict=True))
    with pytest.raises(ZeroDivisionError):
        await (model.stream("hi").response() if streaming else model.generate("hi"))
    assert "error" not in {line[0] for line in diary.lines}
    failing = Broken(strict=True)
    model, _ = hooked([BUSY], hooks=failing)
    with pytest.raises(ZeroDivisionError):
        await model.generate("hi")
    assert failing.lines[-1] == ("after", None, "OverloadedError")


@pytest.mark.row("HOOK-05", "HOOK-18")
@pytest.mark.parametrize("moment", ["on_stream", "on_reasoning", "on_tool_call"])
async def test_a_call_that_a_strict_observer_ends_has_ended_once(moment: str):
    ends: list[Any] = []
    hooks = Hooks.from_callables(
        **{moment: lambda *facts: 1 / 0},
        on_error=lambda call, error: Suppress(),
        after_generate=lambda call, response, error: ends.append((response.text, type(error))),
        strict=True,
    )  # fmt: skip
    model, _ = hooked([StreamChunk("a", reasoning_delta="hm", tool_calls=(CALL,))], hooks=hooks)
    with pytest.raises(ZeroDivisionError):
        await model.stream("hi").response()
    assert ends == [("a", ZeroDivisionError)]


@pytest.mark.row("HOOK-18", "HOOK-21", "ERRO-20")
@pytest.mark.parametrize("within", [False, True])
async def test_a_cancellation_stays_one_whatever_a_strict_hook_does(
    within: bool, caplog: pytest.LogCaptureFixture
):
    model, _ = hooked(
        [*text("a"), asyncio.Event()],
        hooks=Hooks.from_callables(on_cancel=lambda *facts: 1 / 0, strict=True),
    )
    reached = asyncio.Event()

    async def consume() -> None:
        async with model.stream("hi") as stream:
            async for _ in stream:
                reached.set()
                if within:
                    await asyncio.Event().wait()

    task = asyncio.create_task(consume())
    await reached.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert [record.name for record in caplog.records] == ["beluga_llm.hooks"]


@pytest.mark.row("HOOK-05", "HOOK-18")
async def test_a_strict_observer_of_an_early_end_is_logged_as_it_is(
    caplog: pytest.LogCaptureFixture,
):
    hooks = Hooks.from_callables(after_generate=lambda *facts: 1 / 0, strict=True)
    model, _ = hooked(text("a", "b"), hooks=hooks)
    async with model.stream("hi") as stream:
        async for _ in stream:
            break
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


@pytest.mark.row("HOOK-06", "HOOK-11")
async def test_what_is_said_instead_of_an_error_is_told_like_the_rest():
    diary = Diary()
    suppressing = on_error(Suppress(llm.AIMessage("sorry")))
    model, _ = hooked([BUSY], hooks=compose_hooks(suppressing, diary))
    async for chunk in model.stream("hi"):
        assert chunk.delta in ("sorry", "")
    told = [line for line in diary.lines if line[0] == "chunk"]
    assert told[0] == ("chunk", "sorry")
    assert diary.lines[-1] == ("after", "sorry", None)
    assert len(told) == len(diary.lines) - 2


@pytest.mark.row("HOOK-01")
async def test_hooks_that_ask_for_no_answer_fold_none(monkeypatch: pytest.MonkeyPatch):
    heard: list[StreamChunk] = []
    monkeypatch.setattr(Transcript, "hear", lambda self, chunk: heard.append(chunk))
    chunks: list[StreamChunk] = []
    hooks = Hooks.from_callables(
        before_generate=lambda call: None, on_stream=lambda call, chunk: chunks.append(chunk)
    )
    model, _ = hooked(text("a", "b"), hooks=hooks)
    assert (await model.stream("hi").response()).text == "ab"
    assert [chunk.delta for chunk in chunks[:2]] == ["a", "b"]
    assert heard == []


@pytest.mark.row("HOOK-18", "HOOK-22")
async def test_a_strict_observer_of_retries_stops_them():
    hooks = Hooks.from_callables(on_retry=lambda *facts: 1 / 0, strict=True)
    inner = Flaky([BUSY], answer("a"))
    model = inner.with_middleware(
        with_hooks(hooks),
        llm.with_fallback(Flaky(answer("b"))),
        llm.with_retry(clock=VirtualClock(auto=True)),
    )
    with pytest.raises(ZeroDivisionError):
        await model.generate("hi")
    assert len(inner.requests) == 1


@pytest.mark.row("HOOK-01")
async def test_functions_are_hooks_too():
    lines: list[Any] = []

    async def after(call: CallContext, response: Any, error: Any) -> None:
        lines.append(response.text)

    hooks = Hooks.from_callables(after_generate=after, on_stream=lambda call, c: lines.append(c))
    model, _ = hooked(text("a"), hooks=hooks)
    await model.generate("hi")
    assert lines == ["a"]
    assert repr(with_hooks(hooks, Diary())) == "with_hooks(Hooks, Diary)"
    with pytest.raises(TypeError, match="on_eror"):
        Hooks.from_callables(on_eror=after)  # type: ignore[call-arg]  # the mistake under test


async def test_hooks_that_are_not_defined_do_nothing():
    hooks = Hooks()
    call = CallContext(llm.ChatRequest(()))
    assert hooks.before_generate(call) is None
    assert hooks.after_generate(call, None, None) is None
    assert hooks.on_stream(call, StreamChunk()) is None
    assert hooks.on_tool_call(call, llm.ToolCall("c", "f", "{}")) is None
    assert hooks.on_reasoning(call, "") is None
    assert hooks.on_error(call, BUSY) is None
    assert hooks.on_cancel(call, None) is None
    assert hooks.on_retry(call, 1, BUSY, 0.0) is None


@pytest.mark.row("HOOK-16")
async def test_a_call_has_one_id_and_attributes_of_its_own():
    diary = Diary()
    model = Flaky(answer("a")).with_middleware(with_hooks(diary))
    await asyncio.gather(*(model.generate("hi") for _ in range(3)))
    assert len({call.call_id for call in diary.calls}) == 3
    diary.calls[0].attributes["mine"] = 1
    assert "mine" not in diary.calls[1].attributes
    assert diary.calls[0].attempt == 1


async def test_a_long_stream_is_heard_in_full():
    model, diary = hooked(text(*"x" * 700))
    await model.stream("hi").response()
    assert diary.lines[-1] == ("after", "x" * 700, None)

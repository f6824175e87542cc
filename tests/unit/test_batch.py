"""batch and batch_as_completed: many calls of one model."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import beluga_llm as llm
from beluga_llm.testing import MockChatModel


class Held(llm.ChatModel):
    """Answers a text with itself, when the test lets it; "bad" texts fail."""

    provider = "held"
    model_id = "m"

    def __init__(self, **config: Any) -> None:
        super().__init__(llm.ProviderConfig.of(provider="held", model="m", **config))
        self.running: dict[str, asyncio.Event] = {}
        self.ended: list[str] = []
        self.requests: list[llm.ChatRequest] = []
        self.most = [0]

    async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
        text = request.messages[-1].text
        self.requests.append(request)
        self.running[text] = asyncio.Event()
        self.most[0] = max(self.most[0], len(self.running))
        try:
            await self.running[text].wait()
            if text.startswith("bad"):
                raise llm.ProviderUnavailableError(text)
            if text.startswith("cancel"):
                raise asyncio.CancelledError
            yield llm.StreamChunk(text, finish_reason=llm.FinishReason.STOP)
        finally:
            del self.running[text]
            await asyncio.sleep(0)
            self.ended.append(text)

    async def until(self, *texts: str) -> None:
        while not self.running.keys() >= set(texts):
            await asyncio.sleep(0)

    async def release(self, *texts: str) -> None:
        await self.until(*texts)
        for text in texts:
            self.running[text].set()
        while self.running.keys() & set(texts):
            await asyncio.sleep(0)


class Free(llm.ChatModel):
    """Answers at once, after as many steps of the loop as the text says."""

    provider = model_id = "free"

    async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
        text = request.messages[-1].text
        for _ in range(int(text.split()[-1])):
            await asyncio.sleep(0)
        yield llm.StreamChunk(text, usage=llm.Usage(1, 2))


def texts(answers: Any) -> list[str]:
    return [answer.text for answer in answers]


@pytest.mark.row("BATC-02")
@given(st.lists(st.integers(0, 6), max_size=20), st.integers(1, 9))
def test_answers_are_in_the_order_of_the_inputs(steps: list[int], limit: int):
    inputs = [f"{place} {count}" for place, count in enumerate(steps)]

    async def run() -> None:
        model = Free()
        assert texts(await model.batch(inputs, max_concurrency=limit)) == inputs
        results = [one async for one in model.batch_as_completed(inputs, max_concurrency=limit)]
        assert {one.index: one.message.text for one in results if one.message} == dict(
            enumerate(inputs)
        )
        assert len(results) == len(inputs)

    asyncio.run(run())


@pytest.mark.row("BATC-02", "CONF-01")
async def test_as_many_as_configured_are_under_way_and_inputs_are_read_when_there_is_a_place():
    read: list[str] = []

    def inputs() -> Iterator[str]:
        for text in "abcdefg":
            read.append(text)
            yield text

    for configured, asked, expected in ((None, None, 5), (3, None, 3), (3, 2, 2)):
        model, read[:] = Held(**{"max_concurrency": configured} if configured else {}), []
        task = asyncio.create_task(model.batch(inputs(), max_concurrency=asked))
        await model.until(*"abcdefg"[:expected])
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(model.running) == len(read) == expected
        await model.release("b")
        await model.until("abcdefg"[expected])
        assert len(read) == expected + 1
        for text in "acdefg":
            await model.release(text)
        assert texts(await task) == list("abcdefg")
        assert model.most == [expected]


@pytest.mark.row("BATC-02")
async def test_few_inputs_take_few_workers():
    before = len(asyncio.all_tasks())
    model = Held()
    task = asyncio.create_task(model.batch(["a", "b"], max_concurrency=10_000))
    await model.until("a", "b")
    assert len(asyncio.all_tasks()) <= before + 4
    await model.release("a", "b")
    assert texts(await task) == ["a", "b"]


@pytest.mark.row("BATC-02")
async def test_nothing_gives_nothing():
    assert await Free().batch([]) == []
    assert [one async for one in Free().batch_as_completed(())] == []


@pytest.mark.row("BATC-02", "CHAT-12")
async def test_inputs_are_what_generate_takes():
    async def inputs() -> AsyncIterator[Any]:
        yield "1"
        yield llm.HumanMessage("2")
        yield [llm.SystemMessage("x"), "3"]

    assert texts(await Free().batch(inputs())) == ["1", "2", "3"]
    with pytest.raises(TypeError, match="invalid input type for messages: int") as caught:
        await Free().batch(["1", 5])  # type: ignore[list-item]  # on purpose
    assert caught.value.__notes__ == ["batch item 1"]
    for one in ("text", llm.HumanMessage("x"), {"a": "b"}, b"x", 5):
        with pytest.raises(TypeError, match="a batch takes an iterable of inputs"):
            await Free().batch(one)  # type: ignore[arg-type]  # on purpose
        with pytest.raises(TypeError, match="a batch takes an iterable of inputs"):
            Free().batch_as_completed(one)  # type: ignore[arg-type]  # on purpose


@pytest.mark.row("BATC-02")
@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3"])
async def test_a_limit_must_be_a_number_of_places(limit: Any):
    with pytest.raises(llm.InvalidRequestError, match="max_concurrency must be an integer of at"):
        await Free().batch(["1"], max_concurrency=limit)
    with pytest.raises(llm.InvalidRequestError, match="max_concurrency"):
        Free().batch_as_completed(["1"], max_concurrency=limit)


@pytest.mark.row("BATC-02")
async def test_options_and_middleware_hold_for_every_item():
    tools = (llm.ToolDefinition(name) for name in ("x", "y"))
    model = MockChatModel(["", "a", "", "b"]).with_middleware(llm.with_retry(jitter=0))
    seen: list[str] = []

    async def layer(request: Any, call_next: Any) -> AsyncGenerator[llm.StreamChunk, None]:
        seen.append(request.messages[-1].text)
        async for chunk in call_next(request):
            yield chunk

    around = model.with_middleware(layer)
    await around.batch(
        ["1", "2"], tools=tools, temperature=0.5, options=llm.GenerateOptions(seed=3)
    )
    assert seen == ["1", "2"]
    for request in model.calls:
        assert [tool.name for tool in request.tools] == ["x", "y"]
        assert (request.options.temperature, request.options.seed) == (0.5, 3)
    with pytest.raises(TypeError, match="did you mean 'temperature'"):
        await around.batch(["1"], temperatur=0.5)  # type: ignore[call-overload]  # on purpose
    with pytest.raises(TypeError, match="options must be GenerateOptions"):
        around.batch_as_completed(["1"], options=5)  # type: ignore[arg-type]  # on purpose


@pytest.mark.row("BATC-04")
async def test_the_first_error_in_time_cancels_the_rest():
    model = Held()
    task = asyncio.create_task(
        model.batch(["a", "bad 1", "bad 2", "b", "never"], max_concurrency=4)
    )
    await model.release("a")
    await model.until("bad 1", "bad 2", "b", "never")
    model.running["bad 2"].set()
    with pytest.raises(llm.ProviderUnavailableError, match="bad 2") as caught:
        await task
    assert caught.value.__notes__ == ["batch item 2"]
    assert model.running == {}
    assert sorted(model.ended) == ["a", "b", "bad 1", "bad 2", "never"]  # all have cleaned up


@pytest.mark.row("BATC-04")
async def test_what_fails_because_it_was_cancelled_is_not_the_first_error():
    class Stubborn(Held):
        async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
            try:
                async for chunk in super()._stream(request):
                    yield chunk
            except asyncio.CancelledError:
                raise ValueError("how dare you") from None

    model = Stubborn()
    task = asyncio.create_task(model.batch(["bad", "b", "c"]))
    await model.until("bad", "b", "c")
    model.running["bad"].set()
    with pytest.raises(llm.ProviderUnavailableError, match="bad"):
        await task
    assert model.running == {}


@pytest.mark.row("BATC-04")
async def test_errors_can_be_results():
    model = Held()
    inputs = ["a", "bad 1", 5, "b"]
    task = asyncio.create_task(model.batch(inputs, return_exceptions=True))  # type: ignore[call-overload]  # on purpose
    await model.release("bad 1", "a", "b")
    first, second, third, fourth = await task
    assert (first.text, fourth.text) == ("a", "b")
    assert isinstance(second, llm.ProviderUnavailableError)
    assert isinstance(third, TypeError)


@pytest.mark.row("BATC-04", "CHAT-09")
@pytest.mark.parametrize("exceptions", [True, False])
async def test_cancelling_the_batch_waits_for_all_clean_up(exceptions: bool):
    model = Held()
    task = asyncio.create_task(model.batch(["abc", "efgh"], return_exceptions=exceptions))
    await model.until("abc", "efgh")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(model.ended) == ["abc", "efgh"]


@pytest.mark.row("BATC-04")
async def test_a_cancellation_is_not_hidden_behind_an_error():
    model = Held()
    task = asyncio.create_task(model.batch(["bad", "b"]))
    await model.until("bad", "b")
    model.running["bad"].set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.running == {}


@pytest.mark.row("BATC-04")
async def test_a_call_that_cancels_itself_is_no_answer():
    model = Held()
    task = asyncio.create_task(model.batch(["cancel", "b"]))
    await model.release("cancel", "b")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "b" in model.ended


@pytest.mark.row("BATC-04")
async def test_what_is_no_exception_comes_out_bare():
    class Exit(BaseException):
        pass

    def layer(request: Any, call_next: Any) -> Any:
        raise Exit

    class Odd(Free):
        def handle(self, request: Any) -> Any:
            raise Exit

    model = llm.DelegatingChatModel(Odd())
    with pytest.raises(Exit):
        await model.batch(["1", "2"])


@pytest.mark.row("BATC-02", "BATC-04")
async def test_an_iterator_that_fails_ends_the_batch():
    def inputs() -> Iterator[str]:
        yield "a"
        raise KeyError("no more")

    async def later() -> AsyncIterator[str]:
        yield "a"
        raise KeyError("no more")

    for made in (inputs, later):
        for exceptions in (True, False):
            model = Held()
            with pytest.raises(KeyError, match="no more"):
                await model.batch(made(), return_exceptions=exceptions)
            with pytest.raises(KeyError, match="no more"):
                async for _ in model.batch_as_completed(made()):
                    pytest.fail("there is no result")
            assert model.running == {}


@pytest.mark.row("BATC-05")
async def test_the_time_of_an_item_begins_when_it_has_a_place(skip_time: Any):
    model = Held()
    task = asyncio.create_task(
        model.batch(["a", "b", "c"], max_concurrency=1, timeout=10, return_exceptions=True)
    )
    for text in ("a", "b"):
        await model.until(text)
        skip_time(9)
        await model.release(text)
    await model.until("c")
    skip_time(11)
    first, second, third = await task
    assert [getattr(one, "text", None) for one in (first, second)] == ["a", "b"]
    assert isinstance(third, llm.RequestTimeoutError)
    assert isinstance(third, TimeoutError)


@pytest.mark.row("BATC-07")
async def test_results_come_as_they_are_completed():
    model = Held()
    results = model.batch_as_completed(["a", "bad", "c"])
    assert model.running == {}
    first = asyncio.ensure_future(anext(results))
    await model.release("c")
    assert (await first) == llm.BatchResult(2, (await first).message)
    await model.release("bad")
    failed = await anext(results)
    assert (failed.index, failed.message) == (1, None)
    assert isinstance(failed.error, llm.ProviderUnavailableError)
    await model.release("a")
    last = await anext(results)
    assert (last.index, last.error) == (0, None)
    assert last.message is not None
    with pytest.raises(StopAsyncIteration):
        await anext(results)


@pytest.mark.row("BATC-07")
@pytest.mark.parametrize("how", ["aclose", "break", "cancel", "raise"])
async def test_leaving_early_cancels_the_rest(how: str):
    model = Held()

    async def consume() -> None:
        results = model.batch_as_completed(["a", "b", "c"], max_concurrency=3)
        async with contextlib.aclosing(results):
            async for _ in results:
                if how == "raise":
                    raise KeyError
                if how == "cancel":
                    await asyncio.Event().wait()
                if how == "break":
                    break
                await results.aclose()
                assert sorted(model.ended) == ["a", "b", "c"]
        assert sorted(model.ended) == ["a", "b", "c"]

    task = asyncio.create_task(consume())
    await model.release("a")
    if how == "cancel":
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
    expected = {"raise": KeyError, "cancel": asyncio.CancelledError}.get(how)
    with pytest.raises(expected) if expected else contextlib.nullcontext():
        await task
    assert model.running == {}
    assert sorted(model.ended) == ["a", "b", "c"]


@pytest.mark.row("BATC-07")
async def test_results_that_are_merely_dropped_cancel_the_rest_too():
    model = Held()

    async def consume() -> None:
        async for _ in model.batch_as_completed(["a", "b"]):
            return

    task = asyncio.create_task(consume())
    await model.release("a")
    await task
    gc.collect()
    for _ in range(20):
        await asyncio.sleep(0)
    assert sorted(model.ended) == ["a", "b"]


@pytest.mark.row("BATC-02", "BATC-07")
async def test_endless_inputs_are_read_as_far_as_results_are():
    read = 0

    def inputs() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "0"

    results = Free().batch_as_completed(inputs(), max_concurrency=3)
    async with contextlib.aclosing(results):
        for taken in range(1, 50):
            await anext(results)
            for _ in range(30):
                await asyncio.sleep(0)
            assert read <= taken + 2 * 3


@pytest.mark.row("BATC-08")
async def test_progress_is_told_after_each_item():
    told: list[llm.BatchProgress] = []
    model = Free()
    await model.batch(
        ["0", "x", "9"], max_concurrency=1, return_exceptions=True, progress=told.append
    )
    assert [(one.done, one.failed, one.total) for one in told] == [(1, 0, 3), (2, 1, 3), (3, 1, 3)]
    assert told[-1].usage == llm.Usage(2, 4)
    assert told[-1].elapsed > 0
    assert told[-1].rate == pytest.approx(3 / told[-1].elapsed)
    assert told[-1].remaining == 0
    del told[:]
    await model.batch(iter(["1"]), progress=told.append)
    assert (told[0].total, told[0].remaining) == (None, None)
    assert (llm.BatchProgress(10).rate, llm.BatchProgress(10).remaining) == (0, None)
    with pytest.raises(ZeroDivisionError):
        await model.batch(["1", "99999"], progress=lambda _: 1 / 0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.row("BATC-08")
async def test_a_bar_is_shown_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for stream, expected in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        await Free().batch(["1", "x"], progress=True, return_exceptions=True)
        shown = stream.getvalue()
        assert ("2/2" in shown) is expected
        assert ("1 failed" in shown) is expected
        assert ("3 tokens" in shown) is expected
        assert bool(shown) is expected
        plain = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", shown)
        assert max(map(len, re.split(r"[\r\n]", plain))) <= 97  # there is room for a ^C
    monkeypatch.setattr(sys, "stderr", None)
    await Free().batch(["1"], progress=True)


@pytest.mark.row("BATC-08")
async def test_without_rich_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r"beluga-llm\[cli\]"):
        await Free().batch(["1"], progress=True)
    assert len(await Free().batch(["1"], progress=print)) == 1


@pytest.mark.row("BATC-08")
def test_progress_in_words():
    from beluga_llm._batch.progress import in_words

    usage = llm.Usage(1_000_000, 500_000)
    state = llm.BatchProgress(
        total=20_000, done=1_000, failed=3, skipped=500, usage=usage, elapsed=100
    )
    assert in_words(state) == "1000/20000  5.0/s  3 failed  1.5M tokens  1:03:20 left"
    assert in_words(llm.BatchProgress(done=1, elapsed=2)) == "1  0.5/s"
    state = llm.BatchProgress(total=3, done=1, usage=llm.Usage(5, 5), elapsed=31)
    assert in_words(state) == "1/3  0.0/s  10 tokens  1:02 left"


@pytest.mark.row("BATC-02")
async def test_wrappers_and_routers_send_each_item_their_way():
    first, second = MockChatModel(["a"] * 9, model="1"), MockChatModel(["b"] * 9, model="2")
    router = llm.Router([first, second])
    assert sorted(texts(await router.batch(["x"] * 4, max_concurrency=2))) == ["a", "a", "b", "b"]
    assert len(first.calls) == len(second.calls) == 2
    wrapped = llm.DelegatingChatModel(Held(max_concurrency=1))
    inner: Any = wrapped.inner
    task = asyncio.create_task(wrapped.batch(["a", "b"]))
    await inner.release("a")
    await inner.release("b")
    assert texts(await task) == ["a", "b"]
    assert inner.most == [1]


class Closing:
    """Inputs that tell when they are closed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.closed = 0
        self._error = error

    def plain(self) -> Iterator[str]:
        try:
            yield from ("a", "bad", "c", "d", "e")
        finally:
            self._close()

    async def asynchronous(self) -> AsyncIterator[str]:
        try:
            for text in ("a", "bad", "c", "d", "e"):
                yield text
        finally:
            await asyncio.sleep(0)
            self._close()

    def _close(self) -> None:
        self.closed += 1
        if self._error is not None:
            raise self._error


@pytest.mark.row("BATC-02", "BATC-04")
@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
async def test_a_generator_of_inputs_is_closed_when_the_batch_fails_or_is_cancelled(kind: str):
    inputs, model = Closing(), Held()
    task = asyncio.create_task(model.batch(getattr(inputs, kind)(), max_concurrency=2))
    await model.until("a", "bad")
    await model.release("bad")
    with pytest.raises(llm.ProviderUnavailableError) as caught:
        await task
    assert caught.value.__traceback__ is not None  # which would have kept the generator
    assert inputs.closed == 1
    task = asyncio.create_task(model.batch(getattr(inputs, kind)(), max_concurrency=2))
    await model.until("a", "bad")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert inputs.closed == 2


@pytest.mark.row("BATC-07")
@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
async def test_a_generator_of_inputs_is_closed_when_nobody_wants_more_results(kind: str):
    inputs, model = Closing(), Held()
    given = getattr(inputs, kind)()
    async with contextlib.aclosing(model.batch_as_completed(given, max_concurrency=2)) as results:
        first = asyncio.ensure_future(anext(results))
        await model.release("a")
        assert (await first).index == 0
        await model.until("bad")
        assert inputs.closed == 0
    assert inputs.closed == 1
    assert not model.running


@pytest.mark.row("BATC-04")
@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
async def test_inputs_that_cannot_be_closed_do_not_hide_the_error(kind: str):
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    odd = ValueError("cannot be closed")
    inputs, model = Closing(odd), Held()
    task = asyncio.create_task(model.batch(getattr(inputs, kind)(), max_concurrency=2))
    await model.release("bad")
    with pytest.raises(llm.ProviderUnavailableError):
        await task
    assert [one["exception"] for one in told] == [odd]


@pytest.mark.row("BATC-02")
async def test_an_iterator_that_is_no_generator_is_left_open():
    """A file, for one, belongs to who opened it."""
    lines = io.StringIO("a\nbad\nc\n")
    model = Held()
    task = asyncio.create_task(model.batch(lines, max_concurrency=2))
    await model.release("bad\n")
    with pytest.raises(llm.ProviderUnavailableError):
        await task
    assert not lines.closed


@pytest.mark.row("BATC-02")
async def test_other_tasks_have_their_turn_where_answers_never_wait():
    turns, count = 0, 200

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(other())
    await MockChatModel(fallback="x").batch(["q"] * count, max_concurrency=1)
    task.cancel()
    assert turns > count / 20

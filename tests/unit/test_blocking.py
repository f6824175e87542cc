"""Calls without an event loop of one's own: one loop in a thread, and what ends it."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm import _loop_thread, blocking
from beluga_llm.testing import MockChatModel

THREAD = "beluga-llm-blocking"


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """Every test closes what it began, and no thread is left."""
    yield
    blocking.close()
    assert loop_threads() == []


class Told(MockChatModel):
    """Tells what happens to it, and may wait for ever after its first word."""

    def __init__(self, *, waits: bool = False) -> None:
        super().__init__(["one two"] * 10)
        self.waits = waits
        self.began = threading.Event()
        self.told: list[str] = []
        self.loops: set[asyncio.AbstractEventLoop] = set()

    async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
        self.loops.add(asyncio.get_running_loop())
        try:
            yield llm.StreamChunk("one ")
            self.began.set()
            if self.waits:
                await asyncio.Event().wait()
            yield llm.StreamChunk("two", finish_reason=llm.FinishReason.STOP)
            self.told.append("complete")
        except asyncio.CancelledError:
            self.told.append("cancelled")
            raise
        finally:
            self.told.append("left")

    async def _aclose(self) -> None:
        self.told.append("closed")


@pytest.mark.row("CHAT-28")
def test_an_answer_without_an_event_loop():
    reply = blocking.generate(MockChatModel(["4"]), "What is 2+2?", temperature=0)
    assert (reply.text, reply.finish_reason) == ("4", llm.FinishReason.STOP)


@pytest.mark.row("CHAT-28")
def test_a_named_model_is_made_once(beluga_registry: Any):
    made: list[llm.ChatModel] = []

    def factory(config: llm.ProviderConfig) -> llm.ChatModel:
        made.append(MockChatModel(["one", "two three"], config=config))
        return made[-1]

    llm.register("acme", factory)
    assert blocking.generate("acme/m", "hi").text == "one"
    assert blocking.stream("acme/m", "hi").response().text == "two three"
    assert len(made) == 1
    with pytest.raises(llm.ProviderNotFoundError):
        blocking.generate("nobody/m", "hi")


@pytest.mark.row("CHAT-28")
def test_tools_and_options_reach_the_model():
    seen: list[llm.ChatRequest] = []

    def answer(request: llm.ChatRequest) -> str:
        seen.append(request)
        return "ok"

    def weather(city: str) -> str:
        """The weather."""
        return city

    model = MockChatModel([answer, answer])
    layer = llm.GenerateOptions(seed=1)
    blocking.generate(model, "hi", options=layer, tools=[weather], temperature=0.5)
    blocking.stream(model, "hi", options=layer, tools=[weather], temperature=0.5).response()
    for request in seen:
        assert (request.options.seed, request.options.temperature) == (1, 0.5)
        assert [tool.name for tool in request.tools] == ["weather"]


@pytest.mark.row("CHAT-28")
def test_one_loop_serves_all_calls_and_threads():
    model = Told()
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: blocking.generate(model, "hi").text, range(40)))
    blocking.generate(model, "hi")
    assert replies == ["one two"] * 40
    assert len(model.loops) == 1
    assert len(loop_threads()) == 1
    assert loop_threads()[0].daemon


@pytest.mark.row("CHAT-28")
def test_a_stream_is_an_iterator_and_tells_what_it_knows():
    usage = llm.Usage(input_tokens=3, output_tokens=2)
    answer = llm.AIMessage("one two", usage=usage, finish_reason="stop", model_id="m-1")
    with blocking.stream(MockChatModel([answer]), "hi") as stream:
        assert (stream.state, stream.time_to_first_chunk) == ("pending", None)
        assert next(stream).delta == "one"
        assert stream.message.text == "one"
        assert repr(stream) == "<BlockingStream mock/mock-fixture open, 1 chunks>"
        assert "".join(chunk.delta for chunk in stream) == " two"
        assert stream.state == "complete"
        with pytest.raises(StopIteration):
            next(stream)
    assert stream.response() == stream.message
    assert stream.usage == usage
    assert stream.finish_reason is llm.FinishReason.STOP
    assert stream.model_id == "m-1"
    assert stream.error is None
    assert stream.suppressed_error is None
    assert stream.time_to_first_chunk is not None
    with pytest.raises(RuntimeError, match="iterated only once"):
        iter(stream)


@pytest.mark.row("CHAT-28")
def test_a_stream_as_text():
    stream = blocking.stream(MockChatModel(["one two three"]), "hi")
    assert list(stream.text()) == ["one", " two", " three"]


@pytest.mark.row("CHAT-28")
def test_leaving_a_stream_early_ends_the_call():
    model = Told(waits=True)
    with blocking.stream(model, "hi") as stream:
        for chunk in stream:
            assert chunk.delta == "one "
            break
    assert model.told == ["left"]
    assert stream.state == "closed"
    stream.close()


@pytest.mark.row("CHAT-28")
@pytest.mark.parametrize("text", [False, True])
def test_a_stream_that_was_closed_before_it_was_read_says_so(text: bool):
    """`anext` with a default would have the interpreter crash."""
    with blocking.stream(MockChatModel(["one two"]), "hi") as stream:
        pass
    with pytest.raises(RuntimeError, match="closed before it was iterated"):
        next(stream.text() if text else stream)


@pytest.mark.row("CHAT-28")
@pytest.mark.parametrize("reads_by", ["chunks", "text", "response"])
def test_another_thread_may_close_a_stream(reads_by: str):
    """A button that stops the answer, say; the reader is told, for a stream ends silently never."""
    model = Told(waits=True)
    stream = blocking.stream(model, "hi")
    read = {
        "chunks": lambda: list(stream),
        "text": lambda: list(stream.text()),
        "response": stream.response,
    }[reads_by]
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        assert model.began.wait(10)
        stream.close()
        with pytest.raises(llm.StreamInterruptedError, match="closed before its end") as caught:
            reader.result(10)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "one "
    assert (model.told, stream.state) == (["cancelled", "left"], "closed")
    stream.close()


@pytest.mark.row("CHAT-28")
def test_a_cancellation_of_the_models_own_stays_one():
    def cancelled(request: llm.ChatRequest) -> str:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        next(blocking.stream(MockChatModel([cancelled]), "hi"))


@pytest.mark.row("CHAT-28")
def test_errors_come_out_as_they_are_with_the_place_where_they_arose():
    def broken(request: llm.ChatRequest) -> str:
        raise ZeroDivisionError("in the model")

    for ask in (blocking.generate, lambda *args: list(blocking.stream(*args))):
        with pytest.raises(ZeroDivisionError, match="in the model") as caught:
            ask(MockChatModel([broken]), "hi")
        assert "broken" in [frame.name for frame in traceback.extract_tb(caught.tb)]
    stream = blocking.stream(MockChatModel([llm.RateLimitError("slow down")]), "hi")
    with pytest.raises(llm.RateLimitError, match="slow down") as limited:
        next(stream)
    assert stream.error is limited.value
    with pytest.raises(TypeError, match="temprature"):
        blocking.generate(MockChatModel(["4"]), "hi", temprature=1)  # type: ignore[call-arg]  # wrong


@pytest.mark.row("CHAT-28")
async def test_inside_a_running_loop_it_says_what_to_use():
    model = MockChatModel(["one", "two"])

    async def nothing() -> None: ...

    with pytest.raises(RuntimeError, match=r"use await model\.generate\(\.\.\.\) there"):
        blocking.generate(model, "hi")
    with pytest.raises(RuntimeError, match=r"use model\.stream\(\.\.\.\) there"):
        blocking.stream(model, "hi")
    with pytest.raises(RuntimeError, match=r"blocking\.run was called inside a running event loop"):
        blocking.run(nothing())
    with pytest.raises(RuntimeError, match=r"asyncio\.to_thread\(blocking\.close\)"):
        blocking.close()
    assert loop_threads() == []
    stream = await asyncio.to_thread(blocking.stream, model, "hi")
    with pytest.raises(RuntimeError, match="inside a running event loop"):
        next(stream)
    with pytest.raises(RuntimeError, match="inside a running event loop"):
        stream.close()
    assert (await asyncio.to_thread(stream.response)).text == "one"
    await asyncio.to_thread(blocking.close)


@pytest.mark.row("CHAT-28")
def test_run_serves_everything_else():
    model = MockChatModel(["1 2"])
    tokens = blocking.run(model.count_tokens("hi"))
    assert tokens.tokens > 0
    with pytest.raises(LookupError):
        blocking.run(fails(LookupError("lost")))
    with pytest.raises(asyncio.CancelledError):
        blocking.run(fails(asyncio.CancelledError()))


async def fails(error: BaseException) -> None:
    raise error


async def starts_what_fails(error: BaseException) -> None:
    task = asyncio.create_task(fails(error))
    try:
        await asyncio.wait([task])
    finally:
        task.exception()  # heard, or asyncio would complain of it later


@pytest.mark.row("CHAT-28")
def test_what_ends_a_program_does_not_end_the_loop():
    with pytest.raises(SystemExit):
        blocking.run(fails(SystemExit(3)))
    thread = loop_threads()
    assert blocking.generate(MockChatModel(["still here"]), "hi").text == "still here"
    assert loop_threads() == thread


@pytest.mark.row("CHAT-28")
@pytest.mark.leaves_tasks
def test_a_loop_that_was_ended_is_replaced():
    """A task that a call started may do what nobody can catch."""
    old = _loop_thread.loop_thread()
    with pytest.raises(RuntimeError, match="its event loop has ended"):
        blocking.run(starts_what_fails(SystemExit(3)))
    assert blocking.generate(MockChatModel(["a new one"]), "hi").text == "a new one"
    old.end()


_who = contextvars.ContextVar("who", default="nobody")


@pytest.mark.row("CHAT-28")
def test_calls_run_in_the_callers_context():
    async def chunks(request: llm.ChatRequest, call_next: Any) -> AsyncGenerator[Any, None]:
        token = _who.set(f"{_who.get()}, layer")
        async for chunk in call_next(request):
            yield chunk
        seen.append(_who.get())
        _who.reset(token)  # raises in another context than that of `set`

    seen: list[str] = []
    model = MockChatModel(["one two three"] * 2).with_middleware(chunks)
    _who.set("caller")
    blocking.generate(model, "hi")
    assert [chunk.delta for chunk in blocking.stream(model, "hi")][:2] == ["one", " two"]
    assert seen == ["caller, layer"] * 2
    assert _who.get() == "caller"


# --- interruptions ---------------------------------------------------------------------------


def interrupt_main(*_: object) -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


in_main = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals reach the main one"
)


@pytest.mark.row("CHAT-28")
@in_main
@pytest.mark.parametrize("streams", [False, True])
def test_ctrl_c_cancels_the_call_and_waits_for_its_end(streams: bool):
    model = Told(waits=True)
    watcher = threading.Thread(target=lambda: (model.began.wait(), interrupt_main()))
    watcher.start()
    with pytest.raises(KeyboardInterrupt):
        if streams:
            for _ in blocking.stream(model, "hi"):
                pass
        else:
            blocking.generate(model, "hi")
    watcher.join()
    assert model.told == ["cancelled", "left"]
    assert blocking.generate(MockChatModel(["next"]), "hi").text == "next"


class InterruptedCallError(Exception):
    """What a signal handler may raise."""


@pytest.mark.row("CHAT-28")
def test_an_interruption_before_the_call_began(monkeypatch: pytest.MonkeyPatch):
    thread = _loop_thread.loop_thread()

    def interrupted(call: Any) -> None:
        raise InterruptedCallError

    monkeypatch.setattr(thread, "_hand_over", interrupted)
    with pytest.raises(InterruptedCallError):
        thread.wait_for(fails(ValueError()))


@pytest.mark.row("CHAT-28")
def test_an_interruption_before_the_first_step(monkeypatch: pytest.MonkeyPatch):
    """Nothing is said of a coroutine that was never awaited: what is interrupted is closed."""
    thread = _loop_thread.loop_thread()

    def begins_and_ends(call: Any) -> None:
        thread._loop.call_soon_threadsafe(lambda: (thread._begin(call), call.cancel()))
        call.ended.exception()
        raise InterruptedCallError

    monkeypatch.setattr(thread, "_hand_over", begins_and_ends)
    coroutine = fails(ValueError())
    with pytest.raises(InterruptedCallError):
        thread.wait_for(coroutine)
    assert coroutine.cr_frame is None


# --- the end ---------------------------------------------------------------------------------


@pytest.mark.row("CHAT-28")
def test_close_ends_calls_of_other_threads_and_closes_models():
    model, idle = Told(waits=True), Told()
    blocking.generate(idle, "hi")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(blocking.generate, model, "hi")
        assert model.began.wait(10)
        blocking.close()
        with pytest.raises(RuntimeError, match="its event loop has ended"):
            call.result(10)
    assert model.told == ["cancelled", "left", "closed"]
    assert idle.told == ["complete", "left", "closed"]
    blocking.close()  # nothing is left to do
    assert loop_threads() == []


@pytest.mark.row("CHAT-28")
def test_a_stream_ends_with_the_loop():
    model = Told(waits=True)
    stream = blocking.stream(model, "hi")
    next(stream)
    blocking.close()
    assert sorted(model.told) == ["closed", "left"]
    with pytest.raises(RuntimeError, match="its event loop has ended"):
        next(stream)
    stream.close()
    assert stream.message.text == "one "


@pytest.mark.row("CHAT-28")
def test_failures_of_closing_are_told():
    class Stuck(MockChatModel):
        async def _aclose(self) -> None:
            raise OSError("stuck")

    model = Stuck(["4"])
    blocking.generate(model, "hi")
    with pytest.raises(ExceptionGroup, match="closing failed") as caught:
        blocking.close()
    assert [str(error) for error in caught.value.exceptions] == ["stuck"]


@pytest.mark.row("CHAT-28")
def test_what_is_forgotten_is_not_kept():
    model = Told()
    blocking.generate(model, "hi")
    told = model.told
    del model
    blocking.close()
    assert "closed" not in told


def program(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=50, check=False
    )


@pytest.mark.row("CHAT-28", "PAIN-01")
def test_the_thread_starts_with_the_first_call():
    done = program(
        "import threading\nfrom beluga_llm import blocking\nprint(threading.active_count())"
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.row("CHAT-28")
def test_models_are_closed_at_the_end_of_the_process():
    done = program(
        "from beluga_llm import blocking\n"
        "from beluga_llm.testing import MockChatModel\n"
        "class Told(MockChatModel):\n"
        "    async def _aclose(self):\n"
        "        print('closed')\n"
        "model = Told(['hello'])\n"
        "print(blocking.generate(model, 'hi').text)\n"
    )
    assert (done.stdout, done.stderr) == ("hello\nclosed\n", "")


@pytest.mark.row("CHAT-28")
def test_the_end_of_the_process_takes_no_thread():
    """Python has none work any more by then: a file is closed, and a name was looked up before."""
    done = program(
        "import asyncio\n"
        "from beluga_llm import blocking\n"
        "from beluga_llm.testing import MockChatModel\n"
        "class File(MockChatModel):\n"
        "    async def _aclose(self):\n"
        "        await asyncio.to_thread(print, 'closed')\n"
        "model = File(['hello'])\n"
        "blocking.run(asyncio.to_thread(print, 'looked up'))\n"
        "print(blocking.generate(model, 'hi').text)\n"
    )
    assert (done.stdout, done.stderr) == ("looked up\nhello\nclosed\n", "")


@pytest.mark.row("CHAT-28")
def test_at_the_end_the_loop_does_the_work_of_its_threads(monkeypatch: pytest.MonkeyPatch):
    """As in the process above, where Python 3.12 starts no thread either."""

    async def no_thread(*_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    thread = _loop_thread.loop_thread()
    assert blocking.run(asyncio.to_thread(threading.current_thread)) not in loop_threads()
    monkeypatch.setattr(_loop_thread, "_process_ends", lambda: True)
    monkeypatch.setattr(thread._loop, "shutdown_default_executor", no_thread)
    assert [blocking.run(asyncio.to_thread(threading.current_thread))] == loop_threads()
    with pytest.raises(ValueError, match="invalid literal"):
        blocking.run(asyncio.to_thread(int, "four"))
    blocking.close()
    assert thread._loop.is_closed()


@pytest.mark.row("CHAT-28")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_child_has_a_loop_of_its_own():
    done = program(
        "import os, sys, warnings\n"
        "warnings.simplefilter('ignore', DeprecationWarning)  # Python advises against it\n"
        "from beluga_llm import blocking\n"
        "from beluga_llm.testing import MockChatModel\n"
        "model = MockChatModel(['one two', 'parent', 'child', 'more'])\n"
        "stream = blocking.stream(model, 'hi')\n"
        "next(stream)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try:\n"
        "        next(stream)\n"
        "    except RuntimeError as error:\n"
        "        print(error)\n"
        "    print(blocking.generate(model, 'hi').text)\n"
        "    sys.exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "print(next(stream).delta.strip(), blocking.generate(model, 'hi').text)\n"
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{_loop_thread.CLOSED}",
        "parent",
        "7",
        "two parent",
    ]


@pytest.mark.row("CHAT-28")
def test_a_fork_before_the_first_call_needs_nothing():
    _loop_thread._forget()
    assert blocking.generate(MockChatModel(["hi"]), "hi").text == "hi"

"""The running call: order of layers, states of a stream, and closing."""

from __future__ import annotations

import asyncio
import functools
import gc
import math
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm import (
    AIMessage,
    ChatModel,
    ChatRequest,
    FinishReason,
    StreamChunk,
    ToolCallDelta,
    Usage,
)
from beluga_llm._call import Branch, Call

WORDS = ("one ", "two ", "three")
END = StreamChunk(finish_reason=FinishReason.STOP, usage=Usage(3, 4), model_id="s1")


class Scripted(ChatModel):
    """Yields what it is told to, and tells what became of its generators."""

    provider = "scripted"
    model_id = "s1"

    def __init__(self, *items: Any) -> None:
        self.items = items or (*(StreamChunk(delta=word) for word in WORDS), END)
        self.requests: list[ChatRequest] = []
        self.log: list[str] = []

    async def _stream(self, request: ChatRequest) -> AsyncGenerator[StreamChunk, None]:
        self.requests.append(request)
        self.log.append("open")
        if request.call is not None:
            request.call.on_drop.append(lambda: self.log.append("dropped"))
        try:
            for item in self.items:
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, asyncio.Event):
                    await item.wait()
                else:
                    yield item
        finally:
            self.log.append("closed")


def tracing(name: str, log: list[str]) -> llm.Middleware:
    async def layer(
        request: ChatRequest, call_next: llm.CallNext
    ) -> AsyncGenerator[StreamChunk, None]:
        log.append(f"{name} in")
        try:
            async for chunk in call_next(request):
                yield chunk
        finally:
            log.append(f"{name} out")

    return layer


class TestStream:
    @pytest.mark.row("STRE-01", "STRE-14", "CHAT-03")
    async def test_chunks_come_in_order_and_the_snapshot_grows(self) -> None:
        stream = Scripted().stream("hi")
        assert stream.state == "pending"
        assert stream.message == AIMessage()
        seen = []
        async with stream:
            async for chunk in stream:
                seen.append(chunk.delta)
                assert stream.message.text == "".join(seen)
        assert seen == [*WORDS, ""]
        assert stream.state == "complete"
        assert stream.finish_reason == "stop"
        assert stream.usage == Usage(3, 4, 7)
        assert await stream.response() == stream.message == await stream.response()

    @pytest.mark.row("STRE-02", "CHAT-11", "CHAT-12")
    @pytest.mark.parametrize(
        ("messages", "error", "text"),
        [
            ([], llm.InvalidRequestError, "no messages"),
            (3, TypeError, "invalid input type for messages: int"),
            ([3], TypeError, "invalid input type for messages: int"),
            ({"a": 1}, TypeError, "invalid input type for messages: dict"),
            (b"x", TypeError, "invalid input type for messages: bytes"),
        ],
    )
    async def test_bad_input_is_told_at_the_first_iteration(
        self, messages: Any, error: type[Exception], text: str
    ) -> None:
        model = Scripted()
        stream = model.stream(messages)
        with pytest.raises(error, match=text):
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        with pytest.raises(error, match=text):
            await model.generate(messages)
        assert model.requests == []
        assert stream.state == "failed"

    @pytest.mark.row("OPTI-01", "CHAT-03")
    def test_an_unknown_keyword_is_told_at_once(self) -> None:
        with pytest.raises(TypeError, match="unknown option 'temprature'.*'temperature'"):
            Scripted().stream("hi", temprature=1)  # type: ignore[call-arg]  # the point

    @pytest.mark.row("STRE-25", "STRE-19")
    async def test_a_stream_is_iterated_once(self) -> None:
        stream = Scripted().stream("hi")
        assert [text async for text in stream.text()] == list(WORDS)
        for again in (lambda: aiter(stream), stream.text):
            with pytest.raises(RuntimeError, match="stream can be iterated only once"):
                again()

    async def test_anext_may_come_before_the_loop(self) -> None:
        stream = Scripted().stream("hi")
        first = await anext(stream)
        assert [first.delta] + [chunk.delta async for chunk in stream] == [*WORDS, ""]

    @pytest.mark.row("STRE-15")
    async def test_time_to_first_chunk_counts_content_only(self) -> None:
        stream = Scripted(StreamChunk(model_id="m"), StreamChunk(delta="x"), END).stream("hi")
        await anext(stream)
        assert stream.time_to_first_chunk is None
        await anext(stream)
        assert stream.time_to_first_chunk is not None
        await stream.response()

    @pytest.mark.row("STRE-17")
    async def test_collect_takes_streams_and_any_chunks(self) -> None:
        async def chunks() -> AsyncGenerator[StreamChunk, None]:
            yield StreamChunk(delta="a")

        assert (await llm.collect(chunks())).text == "a"
        assert (await llm.collect(Scripted().stream("hi"))).text == "one two three"

    @pytest.mark.row("STRE-14")
    async def test_response_of_a_failed_stream_raises_its_error(self) -> None:
        stream = Scripted(StreamChunk(delta="a"), llm.OverloadedError("busy")).stream("hi")
        for _ in range(2):
            with pytest.raises(llm.OverloadedError) as caught:
                await stream.response()
        assert caught.value.partial is not None
        assert caught.value.partial.text == "a"
        assert caught.value.op == "chat.stream"
        assert str(caught.value) == "[scripted] overloaded: busy"

    async def test_response_of_a_closed_stream_is_no_success(self) -> None:
        async with Scripted().stream("hi") as stream:
            await anext(stream)
        with pytest.raises(llm.StreamInterruptedError, match="closed before its end") as caught:
            await stream.response()
        assert caught.value.partial == AIMessage("one ")

    @pytest.mark.row("STRE-04")
    async def test_aclose_is_idempotent_and_works_before_the_first_read(self) -> None:
        model = Scripted()
        stream = model.stream("hi")
        await stream.aclose()
        await stream.aclose()
        assert stream.state == "closed"
        with pytest.raises(RuntimeError, match="closed before it was iterated"):
            await anext(stream)
        assert model.requests == []

    @pytest.mark.row("STRE-04")
    async def test_aclose_during_somebodys_read_says_what_to_do(self) -> None:
        gate = asyncio.Event()
        model = Scripted(gate, END)
        stream = model.stream("hi")
        reader = asyncio.create_task(stream.response())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="cancel that task instead"):
            await stream.aclose()
        gate.set()
        assert (await reader).finish_reason == "stop"

    @pytest.mark.row("STRE-06", "CHAT-09", "ERRO-20")
    async def test_cancellation_passes_unchanged(self) -> None:
        model = Scripted(StreamChunk(delta="a"), asyncio.Event())
        stream = model.stream("hi")
        reader = asyncio.create_task(stream.response())
        while not stream.message.text:
            await asyncio.sleep(0)
        reader.cancel("why")
        with pytest.raises(asyncio.CancelledError, match="why"):
            await reader
        assert stream.state == "closed"
        assert stream.error is None
        assert model.log == ["open", "closed"]

    @pytest.mark.row("STRE-05", "STRE-07")
    async def test_a_dropped_stream_runs_its_synchronous_cleanup_at_once(self) -> None:
        model = Scripted()
        gc.disable()
        try:
            async for _ in model.stream("hi"):
                break
            assert model.log == ["open", "dropped"]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert model.log == ["open", "dropped", "closed"]
        finally:
            gc.enable()
        assert len(asyncio.all_tasks()) == 1

    @pytest.mark.row("STRE-05")
    async def test_a_cleanup_of_a_dropped_stream_that_fails_keeps_no_other_from_running(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail() -> None:
            raise ValueError("stuck")

        async def failing(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            async for chunk in call_next(request):
                assert request.call is not None
                request.call.on_drop.append(fail)
                yield chunk

        model = Scripted()
        async for _ in model.with_middleware(failing).stream("hi"):
            break
        assert model.log == ["open", "dropped"]
        assert "a clean-up of a dropped stream failed" in caplog.text

    @pytest.mark.row("STRE-04")
    async def test_aclose_while_it_is_being_closed_returns_at_once(self) -> None:
        gate = asyncio.Event()

        async def slow(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            try:
                async for chunk in call_next(request):
                    yield chunk
            finally:
                await gate.wait()

        stream = Scripted().with_middleware(slow).stream("hi")
        await anext(stream)
        closing = asyncio.create_task(stream.aclose())
        await asyncio.sleep(0)
        await stream.aclose()
        assert not closing.done()
        gate.set()
        await closing
        assert stream.state == "closed"

    @pytest.mark.row("STRE-04")
    async def test_the_text_of_a_stream_can_be_closed_too(self) -> None:
        model = Scripted()
        for reads in (0, 1):
            stream = model.stream("hi")
            texts: Any = stream.text()
            for _ in range(reads):
                await anext(texts)
            await texts.aclose()
            assert stream.state == "closed"
        assert model.log == ["open", "closed"]

    @pytest.mark.row("STRE-04")
    async def test_a_read_that_never_began_leaves_nothing_to_close(self) -> None:
        model = Scripted()
        stream = model.stream("hi")
        read: Any = stream.__anext__()
        read.close()
        await stream.aclose()
        assert (stream.state, model.log) == ("closed", [])

    @pytest.mark.row("STRE-14")
    async def test_a_long_answer_is_folded_while_it_comes(self) -> None:
        stream = Scripted(*[StreamChunk(delta="a")] * 1000, END).stream("hi")
        async for _ in stream:
            assert len(stream._call._pending) < 256
        assert stream.message.text == "a" * 1000

    async def test_the_repr_tells_the_state(self) -> None:
        stream = Scripted().stream("hi")
        assert repr(stream) == "<ChatStream scripted/s1 pending, 0 chunks>"
        await stream.response()
        assert repr(stream) == "<ChatStream scripted/s1 complete, 4 chunks>"


class TestMiddleware:
    @pytest.mark.row("MIDD-01", "MIDD-02", "MIDD-24")
    @pytest.mark.parametrize("streaming", [True, False])
    async def test_the_first_layer_is_outermost_and_nothing_runs_early(
        self, *, streaming: bool
    ) -> None:
        log: list[str] = []
        model = Scripted().with_middleware(tracing("a", log), tracing("b", log))
        call: Any = model.stream("hi") if streaming else model.generate("hi")
        assert log == []
        await (call.response() if streaming else call)
        assert log == ["a in", "b in", "b out", "a out"]
        assert model.requests[0].streaming is streaming

    @pytest.mark.row("MIDD-02", "CHAT-23")
    async def test_a_second_with_middleware_goes_outside(self) -> None:
        log: list[str] = []
        model = llm.apply_middleware(
            Scripted().with_middleware(tracing("in", log)), tracing("out", log)
        )
        await model.generate("hi")
        assert log[:2] == ["out in", "in in"]

    @pytest.mark.row("MIDD-02")
    def test_without_layers_the_model_itself_is_returned(self) -> None:
        model = Scripted()
        assert llm.apply_middleware(model) is model
        assert model.with_middleware() is model

    @pytest.mark.row("MIDD-29")
    @pytest.mark.parametrize("wrong", [lambda request, call_next: None, print, object()])
    def test_what_is_no_async_generator_function_is_refused(self, wrong: Any) -> None:
        with pytest.raises(TypeError, match="DelegatingChatModel"):
            llm.apply_middleware(Scripted(), wrong)

    @pytest.mark.row("MIDD-19")
    async def test_an_object_with_settings_is_a_middleware_and_is_closed(self) -> None:
        class Shouting:
            closed = 0

            async def __call__(
                self, request: ChatRequest, call_next: llm.CallNext
            ) -> AsyncGenerator[StreamChunk, None]:
                async for chunk in call_next(request):
                    yield llm.replace(chunk, delta=chunk.delta.upper())

            async def aclose(self) -> None:
                self.closed += 1

        shouting = Shouting()
        async with Scripted().with_middleware(shouting) as model:
            assert (await model.generate("hi")).text == "ONE TWO THREE"
        assert shouting.closed == 1

    @pytest.mark.row("MIDD-25", "STRE-04")
    @pytest.mark.parametrize("leave", ["break", "error", "aclose", "cancel"])
    async def test_layers_are_closed_innermost_first_however_it_is_left(self, leave: str) -> None:
        log: list[str] = []
        inner = Scripted()
        inner.log = log
        model = inner.with_middleware(tracing("a", log), tracing("b", log))

        async def consume() -> None:
            async with model.stream("hi") as stream:
                async for _ in stream:
                    if leave == "break":
                        break
                    if leave == "error":
                        raise KeyError("mine")
                    if leave == "aclose":
                        await stream.aclose()
                        break
                    asyncio.current_task().cancel()  # type: ignore[union-attr]  # in a task
                    await asyncio.sleep(0)

        expected = {"error": KeyError, "cancel": asyncio.CancelledError}.get(leave)
        task = asyncio.create_task(consume())
        if expected:
            with pytest.raises(expected):
                await task
        else:
            await task
        assert log == ["a in", "b in", "open", "closed", "b out", "a out"]

    @pytest.mark.row("MIDD-25", "MIDD-27")
    async def test_a_generator_that_a_layer_gave_up_is_closed_with_the_call(self) -> None:
        async def twice(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            async for chunk in call_next(request):
                yield chunk
                break
            async for chunk in call_next(request):
                yield chunk

        model = Scripted()
        reply = await model.with_middleware(twice).generate("hi")
        assert reply.text == "one one two three"
        assert model.log == ["open", "open", "closed", "closed"]

    @pytest.mark.row("MIDD-25")
    async def test_a_generator_that_somebody_else_is_closing_is_left_to_them(self) -> None:
        gate, inner = asyncio.Event(), []

        async def slow(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            try:
                async for chunk in call_next(request):
                    yield chunk
            finally:
                await gate.wait()

        async def keeping(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            inner.append(call_next(request))
            async for chunk in inner[0]:
                yield chunk

        model = Scripted()
        stream = model.with_middleware(keeping, slow).stream("hi")
        await anext(stream)
        closing = asyncio.create_task(inner[0].aclose())
        await asyncio.sleep(0)
        await stream.aclose()
        assert (stream.state, model.log) == ("closed", ["open", "closed"])
        gate.set()
        await closing

    @pytest.mark.row("MIDD-01")
    async def test_a_request_that_a_layer_made_itself_is_answered(self) -> None:
        async def anew(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            async for chunk in call_next(ChatRequest(request.messages, request.options)):
                yield chunk

        model = Scripted(StreamChunk(delta="a"), END)
        assert (await model.with_middleware(anew).generate("hi")).text == "a"
        assert model.log == ["open", "closed"]

    @pytest.mark.row("MIDD-01")
    async def test_a_layer_may_answer_itself_and_change_the_request(self) -> None:
        async def short(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            if request.messages[0].text == "ping":
                yield StreamChunk(delta="pong")
                return
            async for chunk in call_next(llm.replace(request, messages=(llm.HumanMessage("x"),))):
                yield chunk

        model = Scripted()
        layered = model.with_middleware(short)
        assert (await layered.generate("ping")).text == "pong"
        await layered.generate("other")
        assert [request.messages[0].text for request in model.requests] == ["x"]

    async def test_an_error_while_closing_hides_nothing(self, caplog: Any) -> None:
        async def bad(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            try:
                async for chunk in call_next(request):
                    yield chunk
            finally:
                raise ValueError("bad clean-up")

        model = Scripted()
        with pytest.raises(KeyError):
            async with model.with_middleware(bad).stream("hi") as stream:
                async for _ in stream:
                    raise KeyError
        assert model.log == ["open", "closed"]
        assert "failed while it was closed" in caplog.text

    async def test_a_cancel_while_closing_leaves_nothing_open(self) -> None:
        started = asyncio.Event()

        async def slow(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            try:
                async for chunk in call_next(request):
                    yield chunk
            finally:
                started.set()
                await asyncio.Event().wait()

        log: list[str] = []
        model = Scripted().with_middleware(tracing("outer", log), slow)

        async def consume() -> None:
            async with model.stream("hi") as stream:
                await anext(stream)

        task = asyncio.create_task(consume())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["outer in", "outer out"]

    @pytest.mark.row("MIDD-26")
    async def test_pull_holds_its_context_around_each_read_only(self) -> None:
        inside: list[bool] = []
        state = {"held": False}

        class Scope:
            def __enter__(self) -> None:
                state["held"] = True

            def __exit__(self, *exc_info: object) -> None:
                state["held"] = False

        class AsyncScope(Scope):
            async def __aenter__(self) -> None:
                self.__enter__()

            async def __aexit__(self, *exc_info: object) -> None:
                self.__exit__()

        async def source() -> AsyncGenerator[StreamChunk, None]:
            for _ in range(2):
                inside.append(state["held"])
                yield StreamChunk()

        for around in (Scope, AsyncScope, None):
            async for _ in llm.pull(source(), around=around):
                assert not state["held"]
        assert inside == [True, True, True, True, False, False]

    @pytest.mark.row("MIDD-26")
    async def test_a_generator_may_be_driven_by_different_tasks(self) -> None:
        stream = Scripted().stream("hi")
        seen = [(await asyncio.create_task(stream.__anext__())).delta for _ in WORDS]
        assert seen == list(WORDS)
        await asyncio.create_task(stream.aclose())
        assert stream.state == "closed"


class TestErrors:
    @pytest.mark.row("ERRO-32")
    @pytest.mark.parametrize(
        ("raised", "expected"),
        [
            (ConnectionResetError("gone"), llm.ConnectionFailedError),
            (TimeoutError(), llm.RequestTimeoutError),
            (KeyError("bug"), KeyError),
            (llm.RateLimitError("slow"), llm.RateLimitError),
        ],
    )
    async def test_foreign_errors_of_a_provider(
        self, raised: Exception, expected: type[Exception]
    ) -> None:
        model = Scripted(StreamChunk(delta="a"), raised)
        with pytest.raises(expected) as caught:
            await model.generate("hi")
        assert llm.is_retryable(caught.value) is (expected is not KeyError)
        assert model.log == ["open", "closed"]

    @pytest.mark.row("CHAT-10", "PAIN-08", "OPTI-23")
    @pytest.mark.parametrize("streaming", [True, False])
    async def test_the_deadline_ends_a_provider_that_watches_no_time(
        self, *, streaming: bool, skip_time: Callable[[float], None]
    ) -> None:
        model = Scripted(StreamChunk(delta="a"), asyncio.Event())
        call: Any = model.stream("hi", timeout=30) if streaming else None
        task = asyncio.create_task(
            call.response() if streaming else model.generate("hi", timeout=30)
        )
        while model.log != ["open"]:
            await asyncio.sleep(0)
        skip_time(29)
        await asyncio.sleep(0)
        assert not task.done()
        skip_time(2)
        with pytest.raises(llm.RequestTimeoutError, match="total") as caught:
            await task
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.partial == AIMessage("a")
        assert model.log == ["open", "closed"]

    @pytest.mark.row("CHAT-10")
    async def test_nothing_is_read_after_the_deadline(
        self, skip_time: Callable[[float], None]
    ) -> None:
        model = Scripted()
        stream = model.stream("hi", timeout=30)
        await anext(stream)
        skip_time(31)
        with pytest.raises(llm.RequestTimeoutError, match="total"):
            await anext(stream)
        assert model.log == ["open", "closed"]


class TestModel:
    @pytest.mark.row("CHAT-01", "CHAT-08")
    def test_a_model_without_a_stream_cannot_be_made(self) -> None:
        class Empty(ChatModel):
            pass

        with pytest.raises(TypeError, match="_stream"):
            Empty()  # type: ignore[abstract]  # the point

    @pytest.mark.row("CHAT-02", "STRE-11", "SCHE-34", "DIAL-09")
    async def test_generate_is_the_fold_of_the_stream(self) -> None:
        model = Scripted(
            StreamChunk(reasoning_delta="hm"),
            StreamChunk(delta="a", tool_calls=(ToolCallDelta(0, "c1", "f", "{}"),)),
            END,
        )
        chunks = [chunk async for chunk in model.stream("hi")]
        assert await model.generate("hi") == llm.fold(chunks)

    @pytest.mark.row("CHAT-04", "TOOL-01", "TOOL-02", "TOOL-03", "TOOL-06", "CHAT-22")
    async def test_copies_do_not_touch_the_original(self) -> None:
        model = Scripted()
        schema = {"type": "object", "properties": {"a": {"type": "string"}}}
        bound = model.bind_tools([llm.ToolDefinition("search", input_schema=schema)])
        other = model.bind_tools([{"name": "weather"}]).with_options(temperature=0)
        schema["properties"] = {}
        for one in (bound, other, model):
            await one.generate("hi")
            await one.stream("hi").response()
        names = [[tool.name for tool in request.tools] for request in model.requests]
        assert names == [["search"]] * 2 + [["weather"]] * 2 + [[]] * 2
        assert model.requests[0].tools[0].input_schema["properties"] == {"a": {"type": "string"}}
        assert [r.options.temperature for r in model.requests] == [None, None, 0, 0, None, None]
        assert type(bound) is Scripted

    @pytest.mark.row("TOOL-05", "OPTI-21")
    async def test_tools_are_added_or_replaced(self) -> None:
        model = Scripted().bind_tools([{"name": "a", "description": "bound"}])
        both = model.bind_tools([{"name": "b"}], replace=False)
        assert [t.name for t in both._tools] == ["a", "b"]
        assert [t.name for t in model.bind_tools([{"name": "b"}], replace=True)._tools] == ["b"]
        assert [t.name for t in model.bind_tools([{"name": "b"}])._tools] == ["b"]
        with pytest.raises(llm.InvalidRequestError, match="two tools are named 'a'"):
            model.bind_tools([{"name": "a"}], replace=False)
        with pytest.raises(llm.InvalidRequestError, match="two tools are named 'b'"):
            model.bind_tools([{"name": "b"}, {"name": "b"}])
        await model.generate("hi", tools=[{"name": "a", "description": "of the call"}])
        assert [t.description for t in model.requests[0].tools] == ["of the call"]

    @pytest.mark.row("OPTI-10", "OPTI-11")
    async def test_tool_choice_must_be_a_tool_and_needs_tools(self) -> None:
        model = Scripted()
        bound = model.bind_tools([{"name": "a"}, {"name": "b"}])
        with pytest.raises(llm.InvalidRequestError, match="'x' is not among the tools: a, b"):
            await bound.generate("hi", tool_choice="x")
        await bound.generate("hi", tool_choice="b")
        await model.generate("hi", tool_choice="required")
        assert [request.options.tool_choice for request in model.requests] == ["b", None]

    @pytest.mark.row("TOOL-01")
    async def test_what_has_a_definition_is_a_tool(self) -> None:
        class Search:
            definition = llm.ToolDefinition("search")

        model = Scripted()
        await model.generate("hi", tools=[Search()])  # type: ignore[list-item]  # any such object
        assert model.requests[0].tools == (Search.definition,)

    @pytest.mark.row("TOOL-01")
    @pytest.mark.parametrize(
        ("tool", "error", "text"),
        [
            (3, TypeError, "not a tool: int"),
            ({"description": "f"}, llm.InvalidRequestError, "a tool needs a name"),
            (
                {"name": "f", "schema": {}},
                llm.InvalidRequestError,
                "unknown keys of a tool: schema",
            ),
        ],
    )
    def test_what_is_no_tool_is_named(self, tool: Any, error: type[Exception], text: str) -> None:
        with pytest.raises(error, match=text):
            Scripted().bind_tools([tool])

    @pytest.mark.row("TOOL-21")
    @pytest.mark.parametrize("name", ["a b", "", "x" * 65, "auto", "none", "required", "é"])
    async def test_tool_names_that_nobody_accepts(self, name: str) -> None:
        model = Scripted()
        with pytest.raises(llm.InvalidRequestError, match="is not allowed by scripted: "):
            await model.bind_tools([{"name": name}]).generate("hi")
        assert model.requests == []

    @pytest.mark.row("TOOL-18")
    async def test_calls_and_results_must_pair_up(self) -> None:
        call = llm.ToolCall("c1", "f")
        ask, result = AIMessage(tool_calls=[call]), llm.ToolMessage("ok", tool_call_id="c1")
        human = llm.HumanMessage("hi")
        model = Scripted()
        for good in ([human, ask, result], [human, ask, result, human], [human]):
            await model.generate(good)
        bad: list[list[llm.Message]] = [
            [human, result],
            [human, ask, human],
            [human, ask],
            [human, ask, result, result],
            [human, ask, llm.ToolMessage("?", tool_call_id="c2")],
            [human, ask, AIMessage("x")],
        ]
        for messages in bad:
            with pytest.raises(llm.InvalidRequestError, match="'c[12]'"):
                await model.generate(messages)
            await model.generate(messages, validate_history=False)

    @pytest.mark.row("CHAT-05", "CHAT-21", "MIDD-21", "CHAT-20", "TOOL-04")
    async def test_a_wrapper_forwards_all_it_does_not_define(self) -> None:
        class Wrapper(llm.DelegatingChatModel):
            pass

        model = Scripted()
        wrapped = Wrapper(model).bind_tools([{"name": "a"}]).with_options(temperature=1)
        assert wrapped.qualified_id == "scripted/s1"
        assert wrapped.items == model.items
        assert wrapped.unwrap().provider == "scripted"
        assert wrapped.capabilities == model.capabilities
        assert (await wrapped.count_tokens("hello")).tokens > 0
        assert type(wrapped) is Wrapper
        with pytest.raises(AttributeError):
            wrapped.missing  # noqa: B018 -- the access is the test
        assert (await wrapped.generate("hi")).text == "one two three"
        assert model.requests[0].tools[0].name == "a"
        assert model.requests[0].options.temperature == 1
        assert (await Wrapper(model).unwrap().generate("hi")).text == "one two three"
        async with wrapped:
            pass

    async def test_handle_answers_a_request_made_by_hand(self) -> None:
        model = Scripted().with_options(temperature=0.5)
        request = ChatRequest(llm.ensure_messages("hi"), streaming=False)
        assert (await llm.collect(model.handle(request))).text == "one two three"
        assert model.requests[0].options.temperature == 0.5

    @pytest.mark.row("CHAT-07")
    async def test_one_model_serves_many_tasks(self) -> None:
        class Echo(ChatModel):
            async def _stream(self, request: ChatRequest) -> AsyncGenerator[StreamChunk, None]:
                for letter in request.messages[-1].text + "".join(t.name for t in request.tools):
                    await asyncio.sleep(0)
                    yield StreamChunk(delta=letter)

        model = Echo()

        async def ask(number: int) -> str:
            if number % 3 == 0:
                return (await model.generate(f"q{number}")).text
            if number % 3 == 1:
                return (await model.stream(f"q{number}").response()).text
            return (await model.bind_tools([{"name": f"t{number}"}]).generate(f"q{number}")).text

        answers = await asyncio.gather(*(ask(number) for number in range(100)))
        assert answers == [f"q{n}" + (f"t{n}" if n % 3 == 2 else "") for n in range(100)]

    @pytest.mark.row("CHAT-24", "CHAT-30", "CHAT-12")
    async def test_small_interfaces(self) -> None:
        model = Scripted()
        generates: llm.Generates = model
        streams: llm.Streams = model
        assert (await generates.generate("hi")).text == (await streams.stream("hi").response()).text
        count = await model.count_tokens(["one", llm.HumanMessage("two")])
        assert count.tokens > 0
        assert count.exact is False

    @pytest.mark.row("CHAT-13")
    async def test_all_is_closed_even_if_one_fails(self) -> None:
        class Bad:
            def __init__(self) -> None:
                self.closed = 0

            async def __call__(
                self, request: ChatRequest, call_next: llm.CallNext
            ) -> AsyncGenerator[StreamChunk, None]:
                async for chunk in call_next(request):
                    yield chunk

            async def aclose(self) -> None:
                self.closed += 1
                raise ValueError("stuck")

        one, two = Bad(), Bad()
        with pytest.raises(ExceptionGroup) as caught:
            await Scripted().with_middleware(one, two).aclose()
        assert (one.closed, two.closed, len(caught.value.exceptions)) == (1, 1, 2)
        with pytest.raises(ValueError, match="stuck"):
            await Scripted().with_middleware(one).aclose()

    @pytest.mark.row("CHAT-13")
    async def test_all_is_closed_even_if_it_is_cancelled(self) -> None:
        log: list[str] = []

        class Closing:
            def __init__(self, name: str, error: BaseException | None = None) -> None:
                self.name = name
                self.error = error

            async def __call__(
                self, request: ChatRequest, call_next: llm.CallNext
            ) -> AsyncGenerator[StreamChunk, None]:
                async for chunk in call_next(request):
                    yield chunk

            async def aclose(self) -> None:
                log.append(self.name)
                if self.error:
                    raise self.error

        cancelled = Closing("one", asyncio.CancelledError("why"))
        with pytest.raises(asyncio.CancelledError, match="why"):
            await Scripted().with_middleware(cancelled, Closing("two")).aclose()
        assert sorted(log) == ["one", "two"]

    @pytest.mark.row("CHAT-15")
    def test_only_models_and_names_stand_for_a_model(self) -> None:
        with pytest.raises(TypeError, match="expected a ChatModel or its name, got int"):
            llm.DelegatingChatModel(3)  # type: ignore[arg-type]  # the point


class TestWrappedModels:
    @pytest.mark.row("OPTI-03", "TOOL-04", "OPTI-11")
    async def test_tools_of_the_inner_model_may_be_chosen_from_outside(self) -> None:
        model = Scripted()
        wrapped = llm.DelegatingChatModel(model.bind_tools([{"name": "f"}]))
        await wrapped.generate("hi", tool_choice="f")
        await wrapped.generate("hi", tool_choice="required")
        assert [request.options.tool_choice for request in model.requests] == ["f", "required"]
        with pytest.raises(llm.InvalidRequestError, match="'x' is not among the tools: f"):
            await wrapped.generate("hi", tool_choice="x")

    @pytest.mark.row("OPTI-03")
    async def test_unset_reaches_the_inner_models_options(self) -> None:
        model = Scripted()
        wrapped = llm.DelegatingChatModel(model.with_options(temperature=1, stop="x"))
        await wrapped.generate("hi", temperature=llm.UNSET)
        await wrapped.with_options(stop=llm.UNSET).generate("hi", seed=3)
        first, second = (request.options for request in model.requests)
        assert (first.temperature, first.stop) == (None, ("x",))
        assert (second.temperature, second.stop, second.seed) == (1, (), 3)

    @pytest.mark.row("CHAT-17", "CHAT-18")
    async def test_a_request_tells_its_model_and_what_the_call_asked(self) -> None:
        seen: list[ChatRequest] = []

        async def look(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            seen.append(request)
            async for chunk in call_next(request):
                yield chunk

        inner = Scripted().with_options(temperature=1).with_middleware(look)
        await llm.DelegatingChatModel(inner).generate("hi", seed=3, model="other")
        request = seen[0]
        assert (request.model.provider, request.model.model_id) == ("scripted", "other")
        assert (request.options.temperature, request.options.seed) == (1, 3)
        assert request.asked == ({"seed": 3, "model": "other"},)
        assert request.info.call_id == request.call.call_id  # type: ignore[union-attr, attr-defined]  # a Call
        assert request.call.attempt == 1  # type: ignore[union-attr]  # likewise

    @pytest.mark.row("STRE-14")
    async def test_looking_at_a_stream_never_changes_what_it_gives(self) -> None:
        stream = Scripted(*(StreamChunk(delta=str(n)) for n in range(10))).stream("hi")
        async for chunk in stream:
            if chunk.delta == "3":
                assert stream.message.text == "0123"
            _ = stream.usage, stream.model_id, stream.finish_reason
        assert (await stream.response()).text == "0123456789"

    @pytest.mark.row("OPTI-03", "OPTI-30", "OPTI-07", "TOOL-18")
    async def test_a_keyword_that_is_the_default_overrides_what_is_bound(self) -> None:
        model = Scripted()
        bound = model.with_options(raw=True, stop="a", validate_history=False, metadata={"a": 1})
        for asked in (bound, llm.DelegatingChatModel(bound)):
            await asked.generate("hi", raw=False, stop=())
            with pytest.raises(llm.InvalidRequestError, match="'i'"):
                await asked.generate(
                    [llm.ToolMessage("r", tool_call_id="i")], validate_history=True
                )
        for request in model.requests:
            assert (request.options.raw, request.options.stop) == (False, ())

    @pytest.mark.row("REAS-03", "REAS-04", "OPTI-03", "OPTI-28")
    async def test_shortcuts_change_one_field_of_what_is_bound(self) -> None:
        model = Scripted()
        bound = model.with_options(reasoning_budget=100, reasoning_effort="high")
        for asked in (bound, llm.DelegatingChatModel(bound)):
            await asked.generate("hi", reasoning_effort="low")
            await asked.generate("hi", reasoning_effort=None)
        await model.generate("hi", reasoning_effort=None)
        configs = [request.options.reasoning for request in model.requests]
        low, high = llm.ReasoningConfig("low", 100), llm.ReasoningConfig("high", 100)
        assert configs == [low, high, low, high, None]
        with pytest.raises(llm.InvalidRequestError, match="must be a ReasoningConfig"):
            await model.generate("hi", reasoning="high", reasoning_effort="low")  # type: ignore[arg-type]  # the point

    @pytest.mark.row("MIDD-01", "OPTI-03")
    async def test_what_a_layer_of_a_wrapper_changes_reaches_the_inner_model(self) -> None:
        async def cooler(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            options = llm.replace(request.options, temperature=0.1, stop=())
            async for chunk in call_next(llm.replace(request, options=options)):
                yield chunk

        model = Scripted()
        inner = model.with_options(temperature=1, seed=3, stop="x")
        wrapped = llm.DelegatingChatModel(inner).with_middleware(cooler).with_options(stop="y")
        await wrapped.generate("hi", top_p=0.5)
        options = model.requests[0].options
        assert (options.temperature, options.seed, options.top_p) == (0.1, 3, 0.5)
        assert options.stop == ()

    @pytest.mark.row("TOOL-04", "TOOL-05")
    async def test_tools_of_a_wrapper_are_those_of_its_model(self) -> None:
        model = Scripted()
        wrapped = llm.DelegatingChatModel(model.bind_tools([{"name": "a"}]))
        await wrapped.bind_tools([{"name": "b"}]).generate("hi")
        await wrapped.bind_tools([{"name": "b"}], replace=False).generate("hi")
        names = [[tool.name for tool in request.tools] for request in model.requests]
        assert names == [["b"], ["a", "b"]]
        with pytest.raises(llm.InvalidRequestError, match="two tools are named 'a'"):
            wrapped.bind_tools([{"name": "a"}], replace=False)

    @pytest.mark.row("CHAT-10", "OPTI-23")
    @pytest.mark.parametrize("bound", [False, True])
    async def test_a_timeout_ends_wrapped_models_and_waiting_layers(
        self, skip_time: Callable[[float], None], *, bound: bool
    ) -> None:
        async def waiting(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            await asyncio.Event().wait()
            async for chunk in call_next(request):
                yield chunk

        class Waiting(llm.DelegatingChatModel):
            async def _stream(self, request: ChatRequest) -> AsyncGenerator[StreamChunk, None]:
                await asyncio.Event().wait()
                async for chunk in self.inner.handle(request):
                    yield chunk

        stuck = Scripted(asyncio.Event())
        limit: Any = {} if bound else {"timeout": 30}
        models: list[ChatModel] = [stuck, Scripted().with_middleware(waiting), Waiting(Scripted())]
        if bound:
            models = [model.with_options(timeout=30) for model in models]
        for model in models:
            for asked in (model, llm.DelegatingChatModel(model)):
                task = asyncio.create_task(asked.generate("hi", **limit))
                for _ in range(5):
                    await asyncio.sleep(0)
                assert not task.done()
                skip_time(31)
                with pytest.raises(llm.RequestTimeoutError, match="total"):
                    await task

    @pytest.mark.row("ERRO-32", "CHAT-20")
    async def test_errors_of_a_wrapper_of_ones_own_are_typed(self) -> None:
        class Failing(llm.DelegatingChatModel):
            async def _stream(self, request: ChatRequest) -> AsyncGenerator[StreamChunk, None]:
                yield StreamChunk(delta="a")
                raise ConnectionResetError("gone")

        with pytest.raises(llm.ConnectionFailedError):
            await Failing(Scripted()).generate("hi")

    @pytest.mark.row("CHAT-18", "ERRO-01")
    async def test_an_error_names_the_model_that_was_asked(self) -> None:
        model = llm.DelegatingChatModel(Scripted(llm.RateLimitError("slow")))
        with pytest.raises(llm.RateLimitError) as caught:
            await model.generate("hi", model="other")
        assert (caught.value.provider, caught.value.model_id) == ("scripted", "other")


class TestModelIds:
    @pytest.mark.row("SCHE-23")
    @pytest.mark.parametrize(("reported", "expected"), [("m-2", "m-2"), (None, "asked")])
    async def test_the_model_asked_stands_in_for_one_that_is_not_reported(
        self, reported: str | None, expected: str
    ) -> None:
        model = Scripted(StreamChunk(delta="a", model_id=reported))
        chunks = [chunk async for chunk in model.stream("hi", model="asked")]
        reply = await model.generate("hi", model="asked")
        assert reply.model_id == expected
        assert llm.fold(chunks) == reply


class TestMistakesOfAuthors:
    @pytest.mark.row("MIDD-19", "MIDD-29")
    async def test_an_inherited_call_and_a_partial_are_middleware(self) -> None:
        class Base:
            closed = 0

            async def __call__(
                self, request: ChatRequest, call_next: llm.CallNext, mark: str = ""
            ) -> AsyncGenerator[StreamChunk, None]:
                async for chunk in call_next(request):
                    yield llm.replace(chunk, delta=chunk.delta + mark)

            async def aclose(self) -> None:
                self.closed += 1

        class Inheriting(Base):
            pass

        layer = Inheriting()
        async with Scripted().with_middleware(functools.partial(layer, mark="!")) as model:
            assert (await model.generate("hi")).text == "one !two !three!!"
        assert layer.closed == 1

    @pytest.mark.row("CHAT-01")
    async def test_a_stream_that_is_no_generator_is_named(self) -> None:
        class Wrong(ChatModel):
            async def _stream(self, request: ChatRequest) -> Any:  # type: ignore[override]  # the point
                return ()

        with pytest.raises(TypeError, match=r"Wrong\._stream must be an async generator"):
            await Wrong().generate("hi")
        gc.collect()

        class Listed(ChatModel):
            def _stream(self, request: ChatRequest) -> Any:
                return [END]

        with pytest.raises(TypeError, match=r"Listed\._stream must be .* not give a list"):
            await Listed().generate("hi")

    async def test_what_is_no_chunk_is_refused_at_once(self) -> None:
        stream = Scripted(StreamChunk(delta="a"), 5).stream("hi")
        with pytest.raises(TypeError, match="made of StreamChunks, not int"):
            await stream.response()
        assert stream.message.text == "a"

    @pytest.mark.row("OPTI-01")
    @pytest.mark.parametrize("options", ["high", {"bogus": 1}, 3])
    def test_what_is_no_layer_of_options_is_refused_at_once(self, options: Any) -> None:
        with pytest.raises(TypeError):
            Scripted().stream("hi", options=options)

    @pytest.mark.row("TOOL-18")
    async def test_history_made_of_subclasses_and_odd_ids(self) -> None:
        class MyAI(AIMessage):
            pass

        class MyTool(llm.ToolMessage):
            pass

        ask = MyAI(tool_calls=[llm.ToolCall("i", "f")])
        model = Scripted()
        await model.generate(["hi", ask, MyTool("r", tool_call_id="i")])
        with pytest.raises(llm.InvalidRequestError, match="'j'"):
            await model.generate(["hi", ask, MyTool("r", tool_call_id="j")])
        twice = AIMessage(tool_calls=[llm.ToolCall("i", "f"), llm.ToolCall("i", "g")])
        with pytest.raises(llm.InvalidRequestError, match="have the id 'i'"):
            await model.generate(["hi", twice])

    @pytest.mark.row("STRE-05", "PAIN-05")
    async def test_a_stream_collected_in_another_thread_is_cleaned_up_in_its_own(self) -> None:
        model = Scripted()
        threads: list[int] = []

        async def note(
            request: ChatRequest, call_next: llm.CallNext
        ) -> AsyncGenerator[StreamChunk, None]:
            assert request.call is not None
            request.call.on_drop.append(lambda: threads.append(threading.get_ident()))
            async for chunk in call_next(request):
                yield chunk

        async def leave() -> None:
            stream = model.with_middleware(note).stream("hi")
            await anext(stream)
            ring: list[Any] = [stream]
            ring.append(ring)

        gc.collect()
        gc.disable()
        try:
            await leave()
            collector = threading.Thread(target=gc.collect)
            collector.start()
            collector.join()
            for _ in range(4):
                await asyncio.sleep(0)
        finally:
            gc.enable()
        assert threads == [threading.get_ident()]
        assert "closed" in model.log


class TestTime:
    @pytest.mark.row("CHAT-10", "STRE-05", "MIDD-25")
    @pytest.mark.parametrize("layers", [(), (tracing("a", []),)])
    async def test_what_watches_the_time_is_closed_with_the_call(self, layers: Any) -> None:
        """Else its generator would be left to the loop, which makes a task for it."""
        hooks = sys.get_asyncgen_hooks()
        left: list[Any] = []
        sys.set_asyncgen_hooks(firstiter=hooks.firstiter, finalizer=left.append)
        try:
            model = Scripted().with_middleware(*layers).with_options(timeout=60)
            for shape in (model, llm.DelegatingChatModel(model), llm.FailoverRouter(model)):
                async with shape.stream("hi") as stream:
                    async for _ in stream:
                        break
        finally:
            sys.set_asyncgen_hooks(*hooks)
        assert left == []


class TestBranch:
    @pytest.mark.row("MIDD-25", "ROUT-34")
    def test_facts_of_the_whole_call_are_shared_and_others_are_not(self) -> None:
        call = Call("chat.stream", "p", "m")
        inner = Branch(branch := Branch(call))
        inner.attempt += 1
        branch.attempt += 1
        call.cancelled = True
        error = inner.suppressed_error = KeyError()
        assert (call.attempt, inner.attempt, inner.cancelled) == (2, 2, True)
        assert call.suppressed_error is error
        inner.deadline, inner.scope_deadline = 5.0, 6.0
        assert (call.deadline, branch.scope_deadline) == (None, math.inf)
        inner.provider = "q"
        inner.join()
        branch.join()
        assert (call.provider, inner.scope_deadline) == ("q", math.inf)
        assert inner.opened is branch.opened is call.opened

"""What the streamed tool loop shows, and what it leaves behind: nothing."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from support.flaky import Flaky
from support.tools import calling

import beluga_llm as llm
from beluga_llm.testing import MockChatModel


@llm.tool
async def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@llm.tool
async def hang() -> None:
    """Hangs."""
    await asyncio.Event().wait()


def delta(name: str, arguments: str, index: int = 0) -> llm.StreamChunk:
    return llm.StreamChunk(
        tool_calls=(llm.ToolCallDelta(index, f"c{index}", name, arguments),), part_index=index
    )


@pytest.mark.row("TOOL-23")
async def test_events_stand_between_the_chunks_of_the_turns():
    answer = calling(("add", {"a": 1, "b": 2}), ("sub", {}), text="Let me see.")
    model = MockChatModel([answer, "Three."])
    shown: list[str] = []
    events: list[llm.ToolEvent] = []
    async with llm.stream_tools(model, "1+2?", [add]) as stream:
        assert stream.message == llm.AIMessage()
        async for item in stream:
            if isinstance(item, llm.ToolEvent):
                events.append(item)
                shown.append(f"<{item.call.name}>")
            elif item.delta:
                shown.append(item.delta)
    assert "".join(shown) == "Let me see.<add><sub>Three."
    one, two = events
    assert (one.call, one.result, one.error) == (
        answer.tool_calls[0],
        llm.ToolMessage("3", "c0", name="add"),
        None,
    )
    assert two.result.is_error
    assert isinstance(two.error, llm.ToolNotFoundError)
    assert stream.run.response.text == "Three."
    assert stream.run.messages == stream.messages
    assert stream.run.usage == stream.usage
    assert stream.message.text == "Three."


@pytest.mark.row("TOOL-23", "TOOL-24")
async def test_the_arguments_of_a_running_call_can_be_shown():
    pieces = ['{"a": 1', "2, ", '"b": ', "30", "}"]
    model = Flaky([delta("add", piece) for piece in pieces], [llm.StreamChunk("42")])
    async with llm.stream_tools(model, "hi", [add]) as stream:
        seen = [
            llm.partial_args(stream.message.tool_calls[0].arguments)
            async for item in stream
            if isinstance(item, llm.StreamChunk) and item.tool_calls
        ]
    assert seen == [{}, {"a": 12}, {"a": 12}, {"a": 12}, {"a": 12, "b": 30}]


@pytest.mark.row("TOOL-23")
async def test_events_come_in_order_as_soon_as_they_can():
    gates = [asyncio.Event() for _ in range(3)]

    async def wait(n: int) -> int:
        await gates[n].wait()
        return n

    answer = calling(*(("wait", {"n": n}) for n in range(3)))
    got: list[int] = []

    async def read() -> None:
        async with llm.stream_tools(MockChatModel([answer, "ok"]), "hi", [wait]) as stream:
            events = (item async for item in stream if isinstance(item, llm.ToolEvent))
            async for event in events:
                got.append(int(event.result.text))  # noqa: PERF401 -- it is watched meanwhile

    async def settle() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    task = asyncio.create_task(read())
    seen = []
    for n in (1, 0, 2):
        await settle()
        gates[n].set()
        await settle()
        seen.append(list(got))
    await task
    assert seen == [[], [0, 1], [0, 1, 2]]


@pytest.mark.row("TOOL-23")
async def test_events_before_a_failure_are_shown():
    async def fail() -> None:
        raise ValueError("boom")

    answer = calling(("add", {"a": 1, "b": 1}), ("fail", {}))
    got = []
    stream = llm.stream_tools(MockChatModel([answer]), "hi", [add, fail], parallel=False)
    with pytest.raises(llm.ToolFailedError) as caught:
        async with stream:
            async for item in stream:
                got.append(item)  # noqa: PERF401 -- it fails on the way
    assert isinstance(got[-1], llm.ToolEvent)
    roles = [message.role for message in caught.value.messages]
    assert roles == ["human", "ai", "tool", "tool"]
    with pytest.raises(RuntimeError, match="has not come to its end"):
        stream.run  # noqa: B018 -- it is asked for
    assert stream.messages == caught.value.messages


# --- leaving -------------------------------------------------------------------------------------


@pytest.mark.row("TOOL-23", "STRE-05")
@pytest.mark.parametrize("way", ["break", "error", "cancel"])
async def test_leaving_among_chunks_closes_the_stream_at_once(way: str):
    model = Flaky([llm.StreamChunk("a"), asyncio.Event()])
    before = asyncio.all_tasks()
    shown = asyncio.Event()

    async def read() -> None:
        async with llm.stream_tools(model, "hi", [add]) as stream:
            async for _ in stream:
                assert model.open == 1
                shown.set()
                if way == "break":
                    break
                if way == "error":
                    raise KeyError
        assert model.open == 0

    task = asyncio.create_task(read())
    await shown.wait()
    await asyncio.sleep(0)
    if way == "cancel":
        task.cancel()
    expected: Any = {"error": KeyError, "cancel": asyncio.CancelledError}.get(way)
    if expected:
        with pytest.raises(expected):
            await task
    await asyncio.wait([task])
    assert model.open == 0
    assert asyncio.all_tasks() == before


@pytest.mark.row("TOOL-23", "STRE-05")
@pytest.mark.parametrize("way", ["break", "error", "cancel"])
async def test_leaving_among_events_cancels_and_awaits_the_tools(way: str):
    ended, begun = [], asyncio.Event()
    go_on = asyncio.Event()

    async def slow() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("slow")

    answer = calling(("add", {"a": 1, "b": 1}), ("slow", {}))
    model = MockChatModel([answer])
    before = asyncio.all_tasks()

    async def read() -> None:
        async with llm.stream_tools(model, "hi", [add, slow]) as stream:
            async for item in stream:
                if isinstance(item, llm.ToolEvent):
                    await begun.wait()
                    go_on.set()
                    if way == "break":
                        break
                    if way == "error":
                        raise KeyError
        assert ended == ["slow"]

    task = asyncio.create_task(read())
    await go_on.wait()
    if way == "cancel":
        task.cancel()
    await asyncio.wait([task])
    expected: Any = {"error": KeyError, "cancel": asyncio.CancelledError}.get(way)
    if expected:
        with pytest.raises(expected):
            await task
    else:
        await task
    assert ended == ["slow"]
    assert asyncio.all_tasks() == before


@pytest.mark.row("TOOL-23", "TOOL-18")
async def test_the_conversation_of_a_stream_that_was_left_goes_on():
    answer = calling(("add", {"a": 1, "b": 1}), ("hang", {}))
    async with llm.stream_tools(MockChatModel([answer]), "hi", [add, hang]) as stream:
        async for item in stream:
            if isinstance(item, llm.ToolEvent):
                break
    assert [message.role for message in stream.messages] == ["human", "ai", "tool", "tool"]
    assert stream.messages[2] == llm.ToolMessage("2", "c0", name="add")
    assert (await MockChatModel(["ok"]).generate([*stream.messages, "Go on."])).text == "ok"


async def test_an_error_that_nobody_reads_is_silent():
    """The consumer leaves between an event and the error of another call."""
    failed = asyncio.Event()

    async def fail() -> None:
        failed.set()
        raise ValueError("boom")

    loop = asyncio.get_running_loop()
    complaints: list[Any] = []
    loop.set_exception_handler(lambda loop, context: complaints.append(context))
    answer = calling(("add", {"a": 1, "b": 1}), ("fail", {}))
    async with llm.stream_tools(MockChatModel([answer]), "hi", [add, fail]) as stream:
        async for item in stream:
            if isinstance(item, llm.ToolEvent):
                await failed.wait()
                for _ in range(5):
                    await asyncio.sleep(0)
                break
    del stream
    gc.collect()
    loop.set_exception_handler(None)
    assert complaints == []


async def test_on_cancel_hears_of_a_cancelled_stream():
    heard = []

    class Watch(llm.Hooks):
        def on_cancel(self, call: Any, partial: Any) -> None:
            heard.append(partial.text)

    model = Flaky([llm.StreamChunk("a"), llm.StreamChunk("b")])
    shown = asyncio.Event()

    async def read() -> None:
        watched = model.with_middleware(llm.with_hooks(Watch()))
        async with llm.stream_tools(watched, "hi", [add]) as stream:
            async for _ in stream:
                shown.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(read())
    await shown.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == ["a"]


async def test_it_is_read_inside_async_with_and_once():
    stream = llm.stream_tools(MockChatModel(["hi"]), "hi", [add])
    with pytest.raises(RuntimeError, match="inside `async with stream_tools"):
        await anext(stream)
    async with stream:
        assert [item async for item in stream]
        assert [item async for item in stream] == []
    with pytest.raises(RuntimeError, match="only once"):
        async with stream:
            pass
    with pytest.raises(RuntimeError, match="has not come to its end"):
        llm.stream_tools(MockChatModel([]), "hi", [add]).run  # noqa: B018 -- it is asked for


async def test_it_may_be_left_unread():
    async with llm.stream_tools(MockChatModel(["hi"]), "hi", [add]):
        pass


async def test_it_is_not_closed_under_its_reader():
    stream = llm.stream_tools(Flaky([asyncio.Event()]), "hi", [add])
    await stream.__aenter__()
    reader = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="being read by another task"):
        await stream.__aexit__(None, None, None)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await stream.__aexit__(None, None, None)


async def test_what_fails_to_close_is_told():
    class Odd(MockChatModel):
        async def _aclose(self) -> None:
            raise OSError("it is stuck")

    with llm.registry.isolated():
        llm.register("odd", lambda config: Odd(["hi"]))
        with pytest.raises(OSError, match="it is stuck"):
            async with llm.stream_tools("odd/x", "hi", [add]) as stream:
                async for _ in stream:
                    pass

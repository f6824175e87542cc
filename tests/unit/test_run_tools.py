"""The tool loop, whole and streamed."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
from support.tools import Loop, both, calling, results

import beluga_llm as llm
from beluga_llm.testing import MockChatModel


@llm.tool
async def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


def shout(text: str) -> str:
    """Shouts."""
    return text.upper()


@pytest.mark.row("TOOL-17", "TOOL-23")
@both
async def test_the_model_is_asked_until_it_answers(loop: Loop):
    first = calling(("add", {"a": 1, "b": 2}), ("shout", {"text": "hi"}), text="Let me see.")
    second = calling(("add", {"a": 3, "b": 3}), tokens=10)
    final = llm.AIMessage("Six.", usage=llm.Usage(100, 100), finish_reason="stop")
    model = MockChatModel([first, second, final])
    given = [llm.SystemMessage("Be exact."), llm.HumanMessage("1+2, then twice that?")]
    kept = list(given)
    run = await loop(model, given, tools=[add, shout], temperature=0.5)
    assert given == kept
    assert isinstance(run, llm.ToolRun)
    assert run.response.text == "Six."
    assert run.rounds == 3
    assert run.usage == llm.Usage(111, 111)
    assert [message.role for message in run.messages] == [
        "system", "human", "ai", "tool", "tool", "ai", "tool", "ai",
    ]  # fmt: skip
    assert run.messages[3:5] == (
        llm.ToolMessage("3", "c0", name="add"),
        llm.ToolMessage("HI", "c1", name="shout"),
    )
    assert run.messages[-1] is run.response
    assert [len(request.messages) for request in model.calls] == [2, 5, 7]
    assert all(request.options.temperature == 0.5 for request in model.calls)
    assert all([t.name for t in request.tools] == ["add", "shout"] for request in model.calls)
    assert {request.streaming for request in model.calls} == {loop is not llm.run_tools}


@pytest.mark.row("TOOL-17")
@both
async def test_an_answer_without_calls_is_the_end(loop: Loop):
    run = await loop(MockChatModel(["Hello"]), "hi", tools=[])
    assert (run.rounds, run.response.text, len(run.messages)) == (1, "Hello", 2)


@pytest.mark.row("TOOL-07", "TOOL-17")
@both
async def test_tools_stand_beside_the_bound_ones(loop: Loop):
    model = MockChatModel([calling(("shout", {"text": "a"})), "done"])
    bound = model.bind_tools([add, llm.ToolDefinition("shout", "only described")])
    run = await loop(bound, "hi", tools=llm.ToolSet([shout]))
    assert results(run) == [("A", False)]
    assert [(tool.name, tool.description) for tool in model.calls[0].tools] == [
        ("add", "Adds."),
        ("shout", "Shouts."),
    ]


@pytest.mark.row("CHAT-15", "TOOL-17")
@both
async def test_a_model_may_be_given_by_name(loop: Loop):
    closed = []

    class Mine(MockChatModel):
        async def _aclose(self) -> None:
            closed.append(self)

    with llm.registry.isolated():
        llm.register("mine", lambda config: Mine([calling(("add", {"a": 1, "b": 1})), "2"]))
        run = await loop("mine/any", "hi", tools=[add])
    assert run.response.text == "2"
    assert len(closed) == 1


@both
async def test_a_model_that_is_given_stays_open(loop: Loop):
    class Mine(MockChatModel):
        async def _aclose(self) -> None:
            raise AssertionError

    await loop(Mine(["hi"]), "hi", tools=[])


# --- what tools return ---------------------------------------------------------------------------


@dataclasses.dataclass
class Found:
    at: dt.date
    count: int = 1


class Dumped:
    def model_dump(self, mode: str) -> dict[str, str]:
        return {"mode": mode}


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Share(float):
    """Such as numpy's."""


IMAGE = llm.ImagePart(data=b"\x89PNG\r\n\x1a\n")


@pytest.mark.row("TOOL-09")
@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("text", [llm.TextPart("text")]),
        ("", [llm.TextPart("")]),
        (IMAGE, [IMAGE]),
        (["See:", IMAGE], [llm.TextPart("See:"), IMAGE]),
        ((IMAGE, IMAGE), [IMAGE, IMAGE]),
        (None, [llm.TextPart("null")]),
        (True, [llm.TextPart("true")]),
        (1.5, [llm.TextPart("1.5")]),
        (["a", "b"], [llm.TextPart('["a","b"]')]),
        ({"é": [1, {}]}, [llm.TextPart('{"é":[1,{}]}')]),
        (Found(dt.date(2024, 1, 2)), [llm.TextPart('{"at":"2024-01-02","count":1}')]),
        ([Dumped()], [llm.TextPart('[{"mode":"json"}]')]),
        (Share(0.5), [llm.TextPart("0.5")]),
        ({"a": Text("é"), "b": [Whole(3)]}, [llm.TextPart('{"a":"é","b":[3]}')]),
        ([IMAGE, 3], None),
        ([IMAGE, {"a": 1}], None),
        (llm.ToolCall("a", "b").__class__, None),
        (object(), None),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_results_are_text_parts_or_json(value: Any, parts: list[Any] | None):
    async def give() -> Any:
        return value

    model = MockChatModel([calling(("give", {})), "done"])
    if parts is not None:
        run = await llm.run_tools(model, "hi", [give])
        assert list(run.messages[2].parts) == parts
    else:
        text = "a tool returns (text, parts or JSON-able data|text beside parts), not"
        with pytest.raises(llm.ToolFailedError, match=text):
            await llm.run_tools(model, "hi", [give])


async def test_mappings_are_json():
    from types import MappingProxyType

    async def give() -> Any:
        return MappingProxyType({"a": 1})

    run = await llm.run_tools(MockChatModel([calling(("give", {})), "done"]), "hi", [give])
    assert results(run) == [('{"a":1}', False)]


# --- what goes wrong -----------------------------------------------------------------------------


def one_call(name: str, arguments: Any = None) -> MockChatModel:
    return MockChatModel([calling((name, arguments)), "done"])


async def fails(text: str = "boom") -> None:
    """Fails."""
    raise ValueError(text)


async def refuses() -> None:
    """Refuses."""
    raise llm.ToolError("the shop is closed")


async def hangs() -> None:
    """Hangs."""
    await asyncio.Event().wait()


@pytest.mark.row("TOOL-17")
@both
async def test_an_unknown_tool_is_told_with_the_known_ones(loop: Loop):
    run = await loop(one_call("sub"), "hi", tools=[shout, add])
    assert results(run) == [("unknown tool 'sub'; the tools are: add, shout", True)]
    assert run.messages[2].name == "sub"


@pytest.mark.row("TOOL-15", "TOOL-17")
@both
@pytest.mark.parametrize("text", ['{"a": 1, "b"', "[1, 2]", "nonsense"])
async def test_broken_arguments_are_told_with_their_text(loop: Loop, text: str):
    run = await loop(one_call("add", text), "hi", tools=[add])
    ((said, failed),) = results(run)
    assert failed
    assert said.startswith("arguments of 'add' are not ")
    assert said.endswith(f"The arguments were: {text}")


async def test_long_broken_arguments_are_told_in_part():
    run = await llm.run_tools(one_call("add", '{"a": "' + "x" * 9000), "hi", [add])
    ((said, _),) = results(run)
    assert 2000 < len(said) < 2200
    assert said.endswith("x...")


@pytest.mark.row("TOOL-08")
@both
async def test_wrong_arguments_are_told_with_paths(loop: Loop):
    run = await loop(one_call("add", {"a": "one"}), "hi", tools=[add])
    ((said, failed),) = results(run)
    assert failed
    assert "$.a: expected int, got str" in said
    assert "$.b: missing" in said


@pytest.mark.row("TOOL-09")
@both
async def test_a_tool_error_is_told(loop: Loop):
    run = await loop(one_call("refuses"), "hi", tools=[refuses])
    assert results(run) == [("the shop is closed", True)]


async def test_a_tool_error_without_words_is_told():
    @llm.tool
    async def silent() -> None:
        raise llm.ToolError

    run = await llm.run_tools(one_call("silent"), "hi", [silent])
    assert results(run) == [("the tool failed", True)]


@pytest.mark.row("TOOL-09")
@both
async def test_another_error_is_raised(loop: Loop):
    with pytest.raises(llm.ToolFailedError) as caught:
        await loop(one_call("fails"), "hi", tools=[fails])
    assert caught.value.message == "tool 'fails' failed: ValueError: boom"
    assert isinstance(caught.value.__cause__, ValueError)
    assert not caught.value.retryable
    assert caught.value.code == "tool_failed"
    assert [message.role for message in caught.value.messages] == ["human", "ai", "tool"]


@pytest.mark.row("TOOL-17", "TOOL-18")
@both
async def test_the_conversation_goes_on_after_a_failure(loop: Loop):
    """What was done is kept; what is unknown is said so, without the words of the error."""
    first = calling(("add", {"a": 1, "b": 1}))
    second = calling(("add", {"a": 2, "b": 2}), ("fails", {"text": "secret"}), ("hangs", {}))
    added = asyncio.Event()

    async def fail_later(text: str) -> None:
        await added.wait()
        raise ValueError(text)

    def hear(call: llm.ToolCall, result: llm.ToolMessage) -> None:
        if result.text == "4":
            added.set()

    tools = [add, llm.tool(fail_later, name="fails"), hangs]
    with pytest.raises(llm.ToolFailedError) as caught:
        await loop(MockChatModel([first, second]), "hi", tools=tools, after_tool=hear)
    messages = caught.value.messages
    unknown = "no result: the call failed or was stopped"
    assert [(m.text, m.is_error) for m in messages if isinstance(m, llm.ToolMessage)] == [
        ("2", False), ("4", False), (unknown, True), (unknown, True),
    ]  # fmt: skip
    run = await loop(MockChatModel(["Well."]), [*messages, "Go on."], tools=tools)
    assert run.response.text == "Well."


@pytest.mark.row("TOOL-09")
@both
async def test_another_error_is_told_if_asked(loop: Loop):
    run = await loop(one_call("fails", {"text": "no"}), "hi", tools=[fails], on_error="report")
    assert results(run) == [("ValueError: no", True)]


async def test_errors_of_ours_in_a_tool_end_the_run_too():
    async def agent() -> str:
        run = await llm.run_tools(one_call("fails"), "hi", [fails], max_rounds=1)
        return run.response.text

    with pytest.raises(llm.ToolFailedError, match="tool 'agent' failed: ToolFailedError: "):
        await llm.run_tools(one_call("agent"), "hi", [agent])


@pytest.mark.row("TOOL-12")
@both
async def test_a_tool_that_hangs_is_told(loop: Loop, skip_time: Callable[[float], None]):
    waiting = asyncio.Event()

    @llm.tool
    async def hang() -> None:
        waiting.set()
        await hangs()

    task = asyncio.ensure_future(loop(one_call("hang"), "hi", tools=[hang], tool_timeout=5))
    await waiting.wait()
    skip_time(6)
    run = await task
    assert results(run) == [("'hang' gave no result within 5 s", True)]


@pytest.mark.row("TOOL-12")
async def test_a_blocking_tool_that_hangs_is_told(skip_time: Callable[[float], None]):
    import threading

    waiting, go_on = asyncio.Event(), threading.Event()
    running = asyncio.get_running_loop()

    def hang() -> None:
        running.call_soon_threadsafe(waiting.set)
        go_on.wait()

    task = asyncio.ensure_future(llm.run_tools(one_call("hang"), "hi", [hang], tool_timeout=5))
    await waiting.wait()
    skip_time(6)
    assert results(await task) == [("'hang' gave no result within 5 s", True)]
    go_on.set()


@pytest.mark.row("TOOL-12")
async def test_the_tools_own_timeouts_are_its_own():
    async def slow() -> None:
        raise TimeoutError("of mine")

    with pytest.raises(llm.ToolFailedError, match="TimeoutError: of mine"):
        await llm.run_tools(one_call("slow"), "hi", [slow], tool_timeout=5)


@pytest.mark.row("TOOL-12")
@pytest.mark.parametrize(
    ("errors", "retries", "tries"),
    [
        ([ValueError], 1, 2),
        ([ValueError, TimeoutError], 2, 3),
        ([ValueError, ValueError], 1, None),
        ([llm.ToolError], 3, 1),
        ([llm.ToolArgumentsError], 3, 1),
    ],
)
async def test_failures_are_tried_again(
    errors: list[type[Exception]], retries: int, tries: int | None
):
    left, tried = list(errors), 0

    async def flaky() -> str:
        nonlocal tried
        tried += 1
        if left:
            raise left.pop(0)("not now")
        return "done"

    call = llm.run_tools(one_call("flaky"), "hi", [flaky], tool_retries=retries)
    if tries is None:
        with pytest.raises(llm.ToolFailedError):
            await call
        assert tried == retries + 1
    else:
        run = await call
        assert tried == tries
        assert run.messages[2].is_error is (errors[0] not in (ValueError, TimeoutError))


@pytest.mark.row("TOOL-12")
async def test_a_hang_is_tried_again(skip_time: Callable[[float], None]):
    waiting = asyncio.Event()
    tried = 0

    async def sometimes() -> str:
        nonlocal tried
        tried += 1
        if tried == 1:
            waiting.set()
            await hangs()
        return "done"

    tools = llm.ToolSet([sometimes])
    call = llm.run_tools(one_call("sometimes"), "hi", tools, tool_timeout=5, tool_retries=1)
    task = asyncio.ensure_future(call)
    await waiting.wait()
    skip_time(6)
    assert results(await task) == [("done", False)]


@pytest.mark.row("TOOL-17")
@both
@pytest.mark.parametrize(("most", "words"), [(10, "10 rounds"), (1, "1 round")])
async def test_there_is_an_end_to_rounds(loop: Loop, most: int, words: str):
    model = MockChatModel([calling(("add", {"a": 1, "b": n})) for n in range(20)])
    with pytest.raises(llm.ToolFailedError) as caught:
        await loop(model, "hi", tools=[add], max_rounds=most)
    assert caught.value.message == f"no final answer after {words}"
    assert len(model.calls) == most
    messages = caught.value.messages
    assert len(messages) == 1 + 2 * most
    assert messages[-1] == llm.ToolMessage(str(most), "c0", name="add")
    run = await loop(MockChatModel(["Enough."]), messages, tools=[add])
    assert run.response.text == "Enough."


@pytest.mark.row("TOOL-17")
async def test_ten_rounds_are_the_default():
    model = MockChatModel([calling(("add", {"a": 1, "b": 1}))] * 11)
    with pytest.raises(llm.ToolFailedError, match="no final answer after 10 rounds"):
        await llm.run_tools(model, "hi", [add])


@both
async def test_errors_of_the_model_pass(loop: Loop):
    model = MockChatModel([calling(("add", {"a": 1, "b": 1})), llm.RateLimitError("slow down")])
    with pytest.raises(llm.RateLimitError):
        await loop(model, "hi", tools=[add])


@both
@pytest.mark.parametrize("messages", [[], 3])
async def test_wrong_input_is_told(loop: Loop, messages: Any):
    with pytest.raises((llm.InvalidRequestError, TypeError)):
        await loop(MockChatModel([]), messages, tools=[])


@both
@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_rounds": 0}, "max_rounds must be an int of at least 1, got 0"),
        ({"max_rounds": True}, "max_rounds must be an int"),
        ({"tool_retries": -1}, "tool_retries must be an int of at least 0, got -1"),
        ({"tool_retries": 1.5}, "tool_retries must be an int"),
        ({"tool_timeout": 0}, "tool_timeout must be more than 0 seconds, got 0"),
        ({"tool_timeout": float("nan")}, "tool_timeout must be"),
        ({"tool_timeout": "5"}, "tool_timeout must be"),
        ({"tool_timeout": True}, "tool_timeout must be"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'report', got 'ignore'"),
        ({"before_tool": 3, "tool_retries": -1}, "got -1; before_tool must be callable, got int"),
    ],
)
async def test_wrong_settings_are_told_before_anything(
    loop: Loop, settings: dict[str, Any], text: str
):
    with pytest.raises(llm.ConfigError) as caught:
        await loop(MockChatModel([]), "hi", tools=[], **settings)
    assert text in caught.value.message


@both
async def test_unknown_options_are_told_before_anything(loop: Loop):
    with pytest.raises(TypeError, match="unknown option 'temprature'; did you mean"):
        await loop(MockChatModel([]), "hi", tools=[], temprature=1)
    with pytest.raises(TypeError, match="options must be GenerateOptions"):
        await loop(MockChatModel([]), "hi", tools=[], options=3)
    with pytest.raises(TypeError, match="expected a ChatModel or its name"):
        await loop(3, "hi", tools=[])


# --- options -------------------------------------------------------------------------------------


@pytest.mark.row("TOOL-17")
@both
@pytest.mark.parametrize("choice", ["required", "add"])
@pytest.mark.parametrize("way", ["keyword", "options", "bound"])
async def test_a_forced_tool_is_forced_once(loop: Loop, choice: str, way: str):
    """Else the model could never answer."""
    model: Any = MockChatModel([calling(("add", {"a": 1, "b": 1})), "2"])
    more: dict[str, Any] = {}
    if way == "keyword":
        more["tool_choice"] = choice
    elif way == "options":
        more["options"] = llm.GenerateOptions(tool_choice=choice)
    bound = model.with_options(tool_choice=choice) if way == "bound" else model
    run = await loop(bound, "hi", tools=[add], **more)
    assert run.response.text == "2"
    assert [request.options.tool_choice for request in model.calls] == [choice, None]


@pytest.mark.row("TOOL-17", "CHAT-10")
@both
async def test_timeout_is_for_one_call_of_the_model(loop: Loop, skip_time: Callable[[float], None]):
    async def slowly() -> str:
        skip_time(50)
        return "done"

    model = MockChatModel([calling(("slowly", {})), "ok"])
    run = await loop(model, "hi", tools=[slowly], timeout=10)
    assert results(run) == [("done", False)]

    async def stall(request: llm.ChatRequest) -> str:
        skip_time(50)
        await asyncio.sleep(60)
        return "late"

    model = MockChatModel([calling(("slowly", {})), stall])
    with pytest.raises(llm.RequestTimeoutError):
        await loop(model, "hi", tools=[slowly], timeout=10)


# --- observers -----------------------------------------------------------------------------------


@pytest.mark.row("TOOL-11")
@both
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_observers_hear_of_each_call(loop: Loop, kind: str):
    heard: list[Any] = []

    def observer(name: str) -> Any:
        def hear(*what: Any) -> None:
            heard.append((name, *what))

        async def hear_later(*what: Any) -> None:
            await asyncio.sleep(0)
            hear(*what)

        return hear if kind == "sync" else hear_later

    answer = calling(("add", {"a": 1, "b": 2}), ("refuses", {}), ("sub", {}))
    await loop(
        MockChatModel([answer, "done"]),
        "hi",
        tools=[add, refuses],
        parallel=False,
        before_tool=observer("before"),
        after_tool=observer("after"),
        on_tool_error=observer("error"),
    )
    one, two, three = answer.tool_calls
    shown = [(name, call, *map(type, rest)) for name, call, *rest in heard]
    assert shown == [
        ("before", one), ("after", one, llm.ToolMessage),
        ("before", two), ("error", two, llm.ToolError), ("after", two, llm.ToolMessage),
        ("before", three), ("error", three, llm.ToolNotFoundError),
        ("after", three, llm.ToolMessage),
    ]  # fmt: skip
    assert [rest[0].is_error for name, _, *rest in heard if name == "after"] == [False, True, True]


@pytest.mark.row("TOOL-11")
@both
async def test_a_call_can_be_refused(loop: Loop):
    ran = []

    async def erase(path: str) -> None:
        ran.append(path)

    def ask(call: llm.ToolCall) -> None:
        if call.args["path"] == "/":
            raise llm.ToolError("the user said no")

    answer = calling(("erase", {"path": "/"}), ("erase", {"path": "/tmp/x"}))
    run = await loop(MockChatModel([answer, "ok"]), "hi", tools=[erase], before_tool=ask)
    assert results(run) == [("the user said no", True), ("null", False)]
    assert ran == ["/tmp/x"]


@pytest.mark.row("TOOL-11")
@both
async def test_another_error_of_before_tool_ends_the_run_unchanged(loop: Loop):
    error = KeyError("mine")

    async def stop(call: llm.ToolCall) -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        await loop(one_call("refuses"), "hi", tools=[refuses], before_tool=stop)
    assert caught.value is error


@pytest.mark.row("TOOL-11")
async def test_observers_that_fail_are_logged(caplog: pytest.LogCaptureFixture):
    def fail(*what: Any) -> None:
        raise KeyError

    with caplog.at_level(logging.ERROR, logger="beluga_llm.tools"):
        run = await llm.run_tools(
            one_call("refuses"), "hi", [refuses], after_tool=fail, on_tool_error=fail
        )
    assert run.response.text == "done"
    assert [record.message for record in caplog.records] == ["an observer of tools failed"] * 2


# --- several at once -----------------------------------------------------------------------------


@pytest.mark.row("TOOL-17")
@both
async def test_calls_of_one_turn_run_at_once_and_results_keep_their_order(loop: Loop):
    """Each waits for the one after it."""
    done = [asyncio.Event() for _ in range(4)]
    done[3].set()

    async def wait(n: int) -> int:
        await done[n + 1].wait()
        done[n].set()
        return n

    answer = calling(*(("wait", {"n": n}) for n in range(3)))
    run = await loop(MockChatModel([answer, "done"]), "hi", tools=[wait])
    assert results(run) == [("0", False), ("1", False), ("2", False)]
    assert [m.tool_call_id for m in run.messages[2:5]] == ["c0", "c1", "c2"]  # type: ignore[union-attr]  # ToolMessages


@pytest.mark.row("TOOL-17")
@both
async def test_or_one_after_the_other(loop: Loop):
    running = most = 0

    async def step(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return n

    answer = calling(*(("step", {"n": n}) for n in range(3)))
    run = await loop(MockChatModel([answer, "done"]), "hi", tools=[step], parallel=False)
    assert [text for text, _ in results(run)] == ["0", "1", "2"]
    assert most == 1


@pytest.mark.row("TOOL-17")
@both
async def test_a_failure_cancels_the_calls_beside_it(loop: Loop):
    """Once: another failure in the clean-up of one call disturbs that of no other."""
    ended, begun = [], asyncio.Barrier(4)

    async def slow(n: int) -> None:
        await begun.wait()
        try:
            await hangs()
        finally:
            await asyncio.sleep(0)
            ended.append(n)

    async def fail() -> None:
        await begun.wait()
        raise ValueError("first")

    async def untidy() -> None:
        await begun.wait()
        try:
            await hangs()
        finally:
            raise KeyError("second")

    answer = calling(("slow", {"n": 1}), ("untidy", {}), ("fail", {}), ("slow", {"n": 2}))
    with pytest.raises(llm.ToolFailedError, match="ValueError: first"):
        await loop(MockChatModel([answer]), "hi", tools=[slow, fail, untidy])
    assert sorted(ended) == [1, 2]


@pytest.mark.row("TOOL-17")
@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks do not begin eagerly")
@both
async def test_a_failure_cancels_calls_that_begin_eagerly(loop: Loop):
    """The first one fails before the second one is made."""
    answer = calling(("fails", {}), ("hangs", {}))
    running = asyncio.get_running_loop()
    running.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 -- new in 3.12
    try:
        with pytest.raises(llm.ToolFailedError, match="ValueError: boom"):
            await loop(MockChatModel([answer]), "hi", tools=[fails, hangs])
    finally:
        running.set_task_factory(None)


@pytest.mark.row("TOOL-17", "CHAT-09")
@both
async def test_cancellation_cancels_and_awaits_all_tools(loop: Loop):
    begun, ended = asyncio.Barrier(4), []

    async def slow(n: int) -> None:
        await begun.wait()
        try:
            await hangs()
        finally:
            for _ in range(3):
                await asyncio.sleep(0)
            ended.append(n)

    answer = calling(*(("slow", {"n": n}) for n in range(3)))
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(loop(MockChatModel([answer]), "hi", tools=[slow]))
    await begun.wait()
    task.cancel("stop")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1, 2]
    assert asyncio.all_tasks() == before


@pytest.mark.row("TOOL-17", "CHAT-09")
@both
async def test_cancellation_is_not_hidden_behind_errors(loop: Loop):
    begun = asyncio.Barrier(3)

    async def untidy() -> None:
        try:
            await begun.wait()
            await hangs()
        finally:
            raise ValueError("in clean-up")

    answer = calling(("untidy", {}), ("untidy", {}))
    task = asyncio.ensure_future(loop(MockChatModel([answer]), "hi", tools=[untidy]))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@both
async def test_a_tool_that_cancels_itself_cancels_the_run(loop: Loop):
    async def odd() -> None:
        raise asyncio.CancelledError

    answer = calling(("odd", {}), ("add", {"a": 1, "b": 1}))
    with pytest.raises(asyncio.CancelledError):
        await loop(MockChatModel([answer]), "hi", tools=[odd, add])


@both
async def test_what_is_no_exception_comes_out_as_it_is(loop: Loop):
    """Such as that of `pytest.fail`; the calls beside it have ended."""
    ended = []

    class Verdict(BaseException):
        pass

    async def judge() -> None:
        await asyncio.sleep(0)
        raise Verdict

    async def wait() -> None:
        try:
            await hangs()
        finally:
            ended.append("wait")

    answer = calling(("judge", {}), ("wait", {}))
    with pytest.raises(Verdict):
        await loop(MockChatModel([answer]), "hi", tools=[judge, wait])
    assert ended == ["wait"]


@pytest.mark.row("CHAT-07")
async def test_loops_do_not_disturb_each_other():
    async def ask(n: int) -> str:
        model = MockChatModel([calling(("add", {"a": n, "b": n})), lambda r: r.messages[-1].text])
        return (await llm.run_tools(model, "hi", tools)).response.text

    tools = llm.ToolSet([add])
    found = await asyncio.gather(*(ask(n) for n in range(50)))
    assert found == [str(2 * n) for n in range(50)]


@pytest.mark.row("TOOL-04", "TOOL-17")
@both
@pytest.mark.parametrize("wrap", ["delegating", "router", "failover", "resilient"])
async def test_wrapped_models_use_tools_too(loop: Loop, wrap: str):
    answers = [calling(("add", {"a": 1, "b": 1})), llm.RateLimitError("busy", retry_after=0), "2"]
    inner = MockChatModel(answers).with_options(tool_choice="required")
    model: llm.ChatModel = inner
    if wrap == "delegating":
        model = llm.DelegatingChatModel(inner.with_middleware(llm.with_retry(initial=0)))
    elif wrap == "router":
        model = llm.Router([inner.with_middleware(llm.with_retry(initial=0))])
    elif wrap == "failover":
        model = llm.FailoverRouter(inner, inner)
    else:
        model = llm.resilient(inner, retry={"initial": 0}, limits=False)
    run = await loop(model, "1+1?", tools=[add])
    assert run.response.text == "2"
    assert [request.options.tool_choice for request in inner.calls] == ["required", None, None]
    assert all([tool.name for tool in request.tools] == ["add"] for request in inner.calls)

"""Conversations fitted into a number of tokens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beluga_llm import (
    AIMessage,
    ConfigError,
    ContextLengthError,
    ContextManager,
    FailoverRouter,
    HumanMessage,
    ImagePart,
    InvalidRequestError,
    Message,
    SimpleTokenizer,
    SlidingWindow,
    Summarize,
    SystemMessage,
    TokenLimitError,
    ToolCall,
    ToolDefinition,
    ToolMessage,
    Truncate,
    with_context,
    with_token_check,
)
from beluga_llm._context.groups import SUMMARY
from beluga_llm.testing import MockChatModel

tokenizer = SimpleTokenizer()
PIN = {"pin": True}
TOOL = ToolDefinition("look", "Looks something up.", {"type": "object"})


def long(kind: Any, name: str, **fields: Any) -> Any:
    """A message of 14 tokens."""
    return kind(name.ljust(40, "."), **fields)


def calls(*ids: str, **fields: Any) -> AIMessage:
    return AIMessage("", tool_calls=[ToolCall(one, "look", "{}") for one in ids], **fields)


def chat(turns: int) -> list[Message]:
    return [long((HumanMessage, AIMessage)[n % 2], f"m{n}") for n in range(turns)]


def size(messages: Iterable[Message]) -> int:
    return tokenizer.count_messages(messages)


def names(messages: Iterable[Message]) -> list[str]:
    return [message.text.strip(".") for message in messages]


async def fitted(strategy: Any, messages: Sequence[Message], budget: int, **settings: Any) -> Any:
    return await ContextManager(strategy, **settings).fit(messages, budget)


# --- what always holds -----------------------------------------------------------------------


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Tools called in parallel, orphans, several AI messages in a row, pins and system anywhere."""
    found: list[Message] = []
    for turn in range(draw(st.integers(1, 12))):
        metadata = PIN if draw(st.integers(0, 6)) == 0 else {}
        text = "x" * draw(st.integers(0, 60))
        match draw(st.sampled_from("hhaasto")):
            case "h":
                found.append(HumanMessage(text, metadata=metadata))
            case "a":
                found.append(AIMessage(text, metadata=metadata))
            case "s":
                found.append(SystemMessage(text, metadata=metadata))
            case "o":
                found.append(ToolMessage(text, f"orphan{turn}"))
            case _:
                ids = [f"{turn}-{n}" for n in range(draw(st.integers(1, 3)))]
                found.append(calls(*ids))
                if draw(st.booleans()):
                    found.append(SystemMessage("in between"))
                found += [ToolMessage(text, one, metadata=metadata) for one in ids]
    return found


def strategies() -> list[Any]:
    return [
        Truncate(),
        SlidingWindow(),
        SlidingWindow(3),
        Summarize(MockChatModel(responses=["short"] * 9), keep_last=2),
        Summarize(MockChatModel(responses=[ValueError("no")] * 9)),
    ]


def is_subsequence(some: Sequence[Message], whole: Sequence[Message]) -> bool:
    left = iter(whole)
    return all(any(one is other for other in left) for one in some)


@pytest.mark.row("CONT-01", "CONT-06", "CONT-09", "CONT-11", "CONT-12", "CONT-13", "CONT-17")
@given(
    conversations(),
    st.integers(1, 200),
    st.integers(0, 4),
    st.booleans(),
    st.sampled_from([0, 15]),
)
def test_whatever_is_fitted(
    messages: list[Message], budget: int, which: int, keep_system: bool, reserve: int
) -> None:
    manager = ContextManager(strategies()[which], keep_system=keep_system, reserve_output=reserve)
    try:
        found = asyncio.run(manager.fit(messages, budget, tools=[TOOL]))
    except ContextLengthError:
        assert tokenizer.count_messages(messages, [TOOL]) + reserve > budget
        return
    assert tokenizer.count_messages(found, [TOOL]) + reserve <= budget
    own = [one for one in found if any(one is other for other in messages)]
    assert is_subsequence(own, messages)
    assert len(found) - len(own) <= (which == 3)
    ids = set(map(id, own))
    for message in messages:
        if message.metadata.get("pin") or (keep_system and isinstance(message, SystemMessage)):
            assert id(message) in ids
        if isinstance(message, AIMessage) and message.tool_calls:
            asked = {call.id for call in message.tool_calls}
            results = [
                m for m in messages if isinstance(m, ToolMessage) and m.tool_call_id in asked
            ]
            assert len({id(one) in ids for one in (message, *results)}) == 1
    spoken = [m for m in messages if not (keep_system and isinstance(m, SystemMessage))]
    assert not spoken or id(spoken[-1]) in ids
    if tokenizer.count_messages(messages, [TOOL]) + reserve <= budget and which != 2:
        assert found == messages


class Counting(SimpleTokenizer):
    """Counts what it is asked to count."""

    seen = 0

    def count_messages(
        self, messages: Iterable[Message], tools: Iterable[ToolDefinition] = ()
    ) -> int:
        asked = list(messages)
        Counting.seen += len(asked)
        return super().count_messages(asked, tools)


@pytest.mark.row("CONT-01", "CONT-02", "CONT-03", "CONT-14")
@pytest.mark.parametrize("which", range(5))
async def test_each_message_is_counted_once_in_linear_time(which: int) -> None:
    messages = [
        long(HumanMessage, f"m{n}", metadata=PIN if n % 2 == 0 else {}) for n in range(10_000)
    ]
    messages[-1] = HumanMessage("last")
    Counting.seen = 0
    begun = time.process_time()
    found = await ContextManager(strategies()[which], tokenizer=Counting()).fit(messages, 75_000)
    assert time.process_time() - begun < 2  # a fifth of a second, where nothing looks on
    assert Counting.seen <= 10_001
    assert 5_000 < len(found) < 10_000


@pytest.mark.row("CONT-01")
@pytest.mark.parametrize("which", range(5))
async def test_other_tasks_run_while_much_is_fitted(which: int) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await ContextManager(strategies()[which]).fit(chat(5_000), 50_000)
    task.cancel()
    assert turns >= 19  # once for every 256 messages


# --- the manager -----------------------------------------------------------------------------


@pytest.mark.row("CONT-01")
async def test_what_fits_comes_back_as_a_new_list() -> None:
    messages = chat(4)
    found = await ContextManager().fit(messages, 1000)
    assert found == messages
    assert found is not messages
    assert await ContextManager().fit([], 1000) == await ContextManager().fit(iter(()), 9) == []
    assert await ContextManager().fit("hi", 9) == [HumanMessage("hi")]
    assert await ContextManager().fit(["hi", AIMessage("ho")], 99) == [
        HumanMessage("hi"),
        AIMessage("ho"),
    ]
    with pytest.raises(TypeError, match="invalid input type for messages: dict"):
        await ContextManager().fit({"role": "user"}, 9)


@pytest.mark.row("CONT-07", "CONT-13")
async def test_a_budget_is_positive() -> None:
    for budget in (0, -1):
        with pytest.raises(InvalidRequestError, match="budget must be positive"):
            await ContextManager().fit(chat(1), budget)
    for wrong in ("much", float("inf")):
        with pytest.raises(InvalidRequestError, match="a number or 'auto', not ('much'|inf)"):
            await ContextManager().fit(chat(1), wrong)  # type: ignore[arg-type]  # the point
    with pytest.raises(ContextLengthError, match="need 34 tokens, 20 for tools"):
        await fitted("truncate", chat(1), 20, reserve_output=20)
    for reserve in (-1, True):
        with pytest.raises(ConfigError, match="reserve_output must be"):
            ContextManager(reserve_output=reserve)


@pytest.mark.row("CONT-13")
async def test_auto_is_the_window_of_the_model() -> None:
    manager = ContextManager(reserve_output=20)
    with pytest.raises(ConfigError, match="window of no model is not known"):
        await manager.fit(chat(2), "auto")
    with pytest.raises(ConfigError, match="window of x/y is not known"):
        await manager.fit(chat(2), "auto", model="x/y")
    model = MockChatModel(capabilities={"context_window": 34})
    assert names(await manager.fit(chat(2), "auto", model=model)) == ["m1"]
    assert len(await manager.fit(chat(2), "auto", model="y", windows={"y": 99})) == 2


@pytest.mark.row("CONT-09", "CONT-17")
async def test_what_must_stay_is_too_large() -> None:
    for first in (long(SystemMessage, "s"), long(AIMessage, "p", metadata=PIN)):
        with pytest.raises(ContextLengthError, match=r"need 14 tokens, the budget is 10"):
            await fitted("truncate", [first, HumanMessage("hi")], 10)
    with pytest.raises(ContextLengthError, match=r"the last messages .* 14 tokens, .* is 10"):
        await fitted("truncate", chat(1), 10)


@pytest.mark.row("CONT-04")
def test_strategies_by_name() -> None:
    text = r"unknown context strategy 'x' \(known: sliding, summarize, truncate\)"
    with pytest.raises(ConfigError, match=text):
        ContextManager("x")
    with pytest.raises(ConfigError, match=r"needs a model: strategy=Summarize\(model\)"):
        ContextManager("summarize")
    with pytest.raises(ConfigError, match="has a fit method"):
        ContextManager(3)  # type: ignore[arg-type]  # the point
    with pytest.raises(ConfigError, match="not the class Truncate"):
        ContextManager(Truncate)  # type: ignore[arg-type]  # likewise
    assert repr(ContextManager()) == "ContextManager(Truncate(), reserve_output=0)"
    assert repr(ContextManager("sliding").strategy) == "SlidingWindow(None)"


class Own:
    """A strategy of your own; what it gives is made by a function of the groups."""

    def __init__(self, choose: Callable[[Any], Any]) -> None:
        self.choose = choose

    async def fit(self, groups: Any, budget: int, tokenizer: Any) -> Any:
        return self.choose(groups)


TALK: list[Message] = [
    SystemMessage("s"), HumanMessage("a"), calls("1"), ToolMessage("r", "1"), HumanMessage("z"),
]  # fmt: skip


@pytest.mark.row("CONT-04", "CONT-06")
async def test_a_strategy_of_your_own_cannot_lose_what_must_stay() -> None:
    mine = AIMessage("mine"), AIMessage("too")
    found = await fitted(Own(lambda groups: [mine[0], [], groups[2], mine[1]]), TALK, 100)
    assert names(found) == ["mine", "s", "", "r", "too", "z"]
    with pytest.raises(ContextLengthError, match="left 24 tokens, more than the budget of 15"):
        await fitted(Own(lambda groups: [groups[0], long(AIMessage, "m"), groups[3]]), TALK, 15)


@pytest.mark.row("CONT-04", "CONT-11", "CONT-12")
@pytest.mark.parametrize(
    ("choose", "expected"),
    [
        (lambda groups: [message for group in groups for message in group], TALK),
        (lambda groups: [list(group) for group in groups[1:]], TALK),
        (lambda groups: [groups[2], TALK[3], *groups[2:]], [TALK[0], *TALK[2:]]),
        (lambda groups: [TALK[2]], [TALK[0], *TALK[2:]]),
        (lambda groups: reversed(groups), TALK),
        (lambda groups: [one for one in groups if one[0].role == "human"], [*TALK[:2], TALK[4]]),
        (lambda groups: [TALK[1], TALK[1]], [*TALK[:2], TALK[4]]),
    ],
    ids=["messages", "lists", "twice", "half", "backwards", "indexed", "repeated"],
)
async def test_what_a_strategy_gives_is_there_once_whole_and_in_order(
    choose: Any, expected: list[Message]
) -> None:
    assert await fitted(Own(choose), TALK, 100) == expected


@pytest.mark.row("CONT-04", "CONT-11")
async def test_of_equal_messages_the_newest_are_meant() -> None:
    again = HumanMessage("again")
    said = [again, AIMessage("1"), again, AIMessage("2"), again]
    chosen = Own(lambda groups: [message for group in groups[-3:] for message in group])
    assert names(await fitted(chosen, said, 100)) == ["again", "2", "again"]


@pytest.mark.row("CONT-04")
@pytest.mark.parametrize("given", [None, 3, ["text"], [3]])
async def test_a_strategy_gives_messages(given: Any) -> None:
    with pytest.raises(ConfigError, match="gives groups and messages, not (NoneType|int|str)"):
        await fitted(Own(lambda groups: given), TALK, 100)


# --- the strategies --------------------------------------------------------------------------


@pytest.mark.row("CONT-02", "CONT-06", "CONT-12", "CONT-17")
async def test_the_oldest_goes_first() -> None:
    system = long(SystemMessage, "s")
    pinned = [calls("1"), long(ToolMessage, "r", tool_call_id="1", metadata=PIN)]
    messages = [system, *chat(2), *pinned, *chat(3)]
    found = await fitted("truncate", messages, 14 + size(pinned) + 2 * 14)
    assert names(found) == ["s", "", "r", "m1", "m2"]
    found = await fitted("truncate", messages, size(pinned) + 2 * 14, keep_system=False)
    assert names(found) == ["", "r", "m1", "m2"]


@pytest.mark.row("CONT-03")
async def test_a_window_starts_at_a_human_message() -> None:
    assert names(await fitted("sliding", chat(7), 4 * 14)) == ["m4", "m5", "m6"]
    assert names(await fitted(SlidingWindow(4), chat(7), 999)) == ["m4", "m5", "m6"]
    assert names(await fitted(SlidingWindow(3), chat(7), 999)) == ["m4", "m5", "m6"]
    assert names(await fitted(SlidingWindow(7), chat(7)[1:], 999)) == names(chat(7)[1:])
    alone = [long(AIMessage, f"a{n}") for n in range(4)]
    assert names(await fitted(SlidingWindow(2), alone, 999)) == ["a2", "a3"]
    several = [*chat(1), calls("1", "2"), ToolMessage("r", "1"), ToolMessage("q", "2")]
    assert await fitted(SlidingWindow(2), several, 999) == several[1:]
    system = [long(SystemMessage, "s"), *chat(3)]
    assert names(await fitted(SlidingWindow(1), system, 999)) == ["s", "m2"]
    with pytest.raises(ConfigError, match="max_messages must be at least 1, got 0"):
        SlidingWindow(0)


@pytest.mark.row("CONT-14")
async def test_older_messages_are_summarized() -> None:
    model = MockChatModel(responses=["they said things", SUMMARY + "more"])
    strategy = Summarize(model, keep_last=2)
    asked = calls("1")
    said: list[Message] = [
        SystemMessage("s"), HumanMessage("h", name="ada"), asked,
        ToolMessage(ImagePart(url="https://x.test/a.png"), "1"), *chat(12),
    ]  # fmt: skip
    found = await fitted(strategy, said, 100)
    assert names(found) == ["s", SUMMARY + "they said things", "m10", "m11"]
    assert isinstance(found[1], SystemMessage)
    told = model.calls[0].messages[1].text
    assert "human ada: h" in told
    assert "ai: calls look({})" in told
    assert "tool 1: [image]" in told
    again = await fitted(strategy, [*found, *chat(8)], 100)
    assert names(again) == ["s", SUMMARY + "more", "m6", "m7"]
    assert "they said things" in model.calls[1].messages[1].text
    assert repr(strategy).endswith("keep_last=2)")
    with pytest.raises(ConfigError, match="keep_last must be at least 1"):
        Summarize(model, keep_last=0)


@pytest.mark.row("CONT-14")
@pytest.mark.parametrize(
    ("answer", "budget", "why"),
    [
        (ValueError("broken"), 60, "no summary, older messages are dropped: broken"),
        ("", 60, "the summary is empty"),
        ("long " * 100, 60, "a summary of 137 tokens does not fit into 32"),
        ("short", 30, "there is no room for one"),
    ],
)
async def test_without_a_summary_the_oldest_goes(
    answer: Any, budget: int, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    strategy = Summarize(MockChatModel(responses=[answer]), keep_last=2)
    with caplog.at_level(logging.WARNING, "beluga_llm.context"):
        found = await fitted(strategy, chat(9), budget)
    assert why in caplog.text
    assert names(found) == names(chat(9)[-(budget // 14) :])


@pytest.mark.row("CONT-14")
async def test_a_summary_is_cancelled_with_its_call() -> None:
    model = MockChatModel(responses=[asyncio.CancelledError()])
    with pytest.raises(asyncio.CancelledError):
        await fitted(Summarize(model), chat(9), 90)


@pytest.mark.row("CONT-14", "CONT-17")
async def test_there_may_be_nothing_to_summarize() -> None:
    model = MockChatModel(responses=[])
    assert await fitted(Summarize(model), chat(3), 99) == chat(3)
    found = await fitted(Summarize(model, 1), [SystemMessage(SUMMARY + "a"), *chat(2)], 30)
    assert names(found) == [SUMMARY + "a", "m1"]
    old = [SystemMessage(SUMMARY + "a" * 50), *chat(1)]
    assert names(await fitted(Summarize(model, 1), old, 20, keep_system=False)) == ["m0"]


# --- the layer -------------------------------------------------------------------------------


@pytest.mark.row("MIDD-28", "CONT-13")
async def test_what_is_sent_is_fitted() -> None:
    inner = MockChatModel(responses=["a"] * 9, capabilities={"context_window": 40})
    model = inner.with_middleware(with_context(ContextManager(reserve_output=10)))
    await model.generate(chat(5))
    assert names(inner.calls[0].messages) == ["m3", "m4"]
    async with model.stream([*chat(1), HumanMessage("z")], tools=[TOOL]) as stream:
        async for _ in stream:
            pass
    assert names(inner.calls[1].messages) == ["z"]
    await model.generate("fits")
    assert names(inner.calls.pop().messages) == ["fits"]
    with pytest.raises(ConfigError, match=r"window of mock/other is not known: set with_context"):
        await model.generate("x", model="other")
    pair = [
        MockChatModel(model=f"m{n}", responses=["a"], capabilities={"context_window": n})
        for n in (500, 30)
    ]
    router = FailoverRouter(*pair).with_middleware(with_context())
    await router.generate(chat(5))
    assert names(pair[0].calls[0].messages) == ["m3", "m4"]
    layer = with_context("sliding", 15, reserve_output=1)
    await inner.with_middleware(layer).generate(chat(3), model="other")
    assert names(inner.calls[2].messages) == ["m2"]
    assert repr(layer) == (
        "with_context(ContextManager(SlidingWindow(None), reserve_output=1), budget=15)"
    )


@pytest.mark.row("MIDD-28", "TOKE-07", "TOKE-09")
async def test_models_that_a_request_does_not_tell_apart_share_a_layer() -> None:
    fitting, checking = with_context(), with_token_check()
    pair = [
        MockChatModel(responses=["a"] * 9, capabilities={"context_window": n}) for n in (30, 90)
    ]
    pair[1]._where = pair[0]._where  # as of two models of one server, with one key
    small, large = (one.with_middleware(fitting) for one in pair)
    await small.generate(chat(5))
    await large.generate(chat(5))
    assert names(pair[0].calls[0].messages) == names(pair[1].calls[0].messages) == ["m3", "m4"]
    small, large = (one.with_middleware(checking) for one in pair)
    await small.generate(chat(5))  # 70 tokens: who answers has perhaps room for them
    with pytest.raises(TokenLimitError, match=r"window \(90\)"):
        await large.generate(chat(7))


@pytest.mark.row("MIDD-28")
def test_the_settings_of_the_layer() -> None:
    with pytest.raises(ConfigError, match="give one or the other"):
        with_context(ContextManager(), reserve_output=3)
    given = repr(with_context(strategy="sliding", reserve_output=3))
    assert given == repr(with_context("sliding", reserve_output=3))
    with pytest.raises(ConfigError, match="the strategy is given twice"):
        with_context("sliding", strategy="truncate")
    with pytest.raises(ConfigError, match="with_context: .*'colour'"):
        with_context(colour=3)
    with pytest.raises(ConfigError, match="budget must be a positive integer or 'auto', got 0"):
        with_context(budget=0)

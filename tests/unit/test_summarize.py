"""Summaries: remembered, held to the window of the model that writes them, and replaced."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beluga_llm import (
    AIMessage,
    ContextLengthError,
    ContextManager,
    HumanMessage,
    Message,
    SimpleTokenizer,
    Summarize,
    SystemMessage,
    request_context,
    with_context,
)
from beluga_llm._context import summarize
from beluga_llm._context.groups import SUMMARY
from beluga_llm._request_context import context_values
from beluga_llm.testing import MockChatModel

tokenizer = SimpleTokenizer()


def said(*numbers: int) -> list[Message]:
    """Messages of 14 tokens."""
    kinds = HumanMessage, AIMessage
    return [kinds[n % 2](f"m{n}".ljust(40, ".")) for n in numbers]


def names(messages: list[Message]) -> list[str]:
    return [message.text.strip(".") for message in messages]


def writer(answer: Callable[[str], Any] | str, window: int | None = None) -> MockChatModel:
    """A model that answers to a transcript."""
    responses: list[Any] = [
        answer if isinstance(answer, str) else lambda request: answer(request.messages[1].text)
    ]
    return MockChatModel(responses=responses * 99, capabilities={"context_window": window})


# --- remembered ------------------------------------------------------------------------------


@pytest.mark.row("CONT-14")
async def test_a_conversation_that_grows_is_not_summarized_at_every_turn() -> None:
    model = writer(lambda text: f"[{text.count(': m')} more]")
    manager = ContextManager(Summarize(model, keep_last=2))
    talk = [SystemMessage("s"), *said(*range(20))]
    first = await manager.fit(talk, 150)
    assert names(first) == ["s", SUMMARY + "[18 more]", "m18", "m19"]
    for turn in range(20, 60, 2):
        talk += said(turn, turn + 1)
        found = await manager.fit(list(talk), 150)
        assert tokenizer.count_messages(found) <= 150
        assert names(found)[-2:] == [f"m{turn}", f"m{turn + 1}"]
    assert len(model.calls) < 9
    told = model.calls[1].messages[1].text
    assert told.startswith(f"system: {SUMMARY}[18 more]\n\nhuman: m18..")  # and nothing older
    assert "m17" not in told


@pytest.mark.row("CONT-14", "MIDD-28")
async def test_a_layer_remembers_them_for_messages_that_were_read_anew() -> None:
    model = writer("short")
    inner = writer("ok", window=150)
    asked = inner.with_middleware(with_context(Summarize(model, keep_last=2)))
    await asked.generate(said(*range(20)))
    await asked.generate(said(*range(22)))
    assert len(model.calls) == 1
    assert names(list(inner.calls[1].messages))[0] == SUMMARY + "short"
    assert len(inner.calls[1].messages) == 5
    await asked.generate([*said(1), *said(*range(22))])  # it begins otherwise
    assert len(model.calls) == 2


@pytest.mark.row("CONT-14", "HOOK-16")
async def test_a_summary_is_asked_for_in_the_name_of_whoever_asks() -> None:
    writing = writer("short")
    inner = writer("ok", window=150)
    asked = inner.with_middleware(with_context(Summarize(writing)))
    with request_context(session_id="s", tenant="t"):
        stream = asked.stream(said(*range(20)))
    await stream.response()
    assert context_values().tenant is None
    for model in (inner, writing):
        info = model.calls[0].info
        assert (info.session_id, info.request_id, info.tenant) == ("s", None, "t")


@pytest.mark.row("CONT-14")
async def test_the_last_groups_stay_also_where_they_were_summarized_once() -> None:
    model = writer("short")
    manager = ContextManager(Summarize(model, keep_last=2))
    await manager.fit(said(*range(20)), 150)
    assert names(await manager.fit(said(*range(16)), 150))[1:] == ["m14", "m15"]
    assert len(model.calls) == 2


@pytest.mark.row("CONT-14")
async def test_what_is_remembered_is_made_shorter_where_it_must(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = writer(lambda text: "x" if SUMMARY in text else "long " * 20)
    manager = ContextManager(Summarize(model, keep_last=1))
    assert len(await manager.fit(said(*range(20)), 150)) == 2
    assert names(await manager.fit(said(*range(20)), 50)) == [SUMMARY + "x", "m19"]
    assert names(await manager.fit(said(*range(20)), 150)) == [SUMMARY + "x", "m19"]
    assert len(model.calls) == 2


@pytest.mark.row("CONT-14")
async def test_the_latest_summaries_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summarize, "REMEMBERED", 2)
    model = writer("short")
    manager = ContextManager(Summarize(model, keep_last=1))
    for begin in (0, 1, 0, 2, 0, 1):
        await manager.fit(said(begin, *range(20)), 150)
    assert len(model.calls) == 4


# --- an old summary among the messages --------------------------------------------------------


@pytest.mark.row("CONT-14", "CONT-09")
@pytest.mark.parametrize("between", [[], said(1, 2, 3)])
@pytest.mark.parametrize("fails", [False, True])
async def test_an_old_summary_that_does_not_fit_is_replaced(
    between: list[Message], fails: bool
) -> None:
    model = MockChatModel(responses=[ValueError("no") if fails else "new"])
    old = SystemMessage(SUMMARY + "x" * 400)
    talk = [SystemMessage("s"), old, *between, *said(4)]
    found = await ContextManager(Summarize(model, keep_last=1)).fit(talk, 60)
    assert names(found) == (
        ["s", *names(between)[1:], "m4"] if fails else ["s", SUMMARY + "new", "m4"]
    )
    assert ("x" * 400) in model.calls[0].messages[1].text


@pytest.mark.row("CONT-14", "CONT-06", "CONT-17")
async def test_an_old_summary_is_a_system_message_to_the_others() -> None:
    old = SystemMessage(SUMMARY + "old")
    for strategy in ("truncate", "sliding"):
        found = await ContextManager(strategy).fit([old, *said(0, 1, 2)], 40)
        assert found[0] is old
        with pytest.raises(ContextLengthError, match="left 27 tokens, more than the budget of 20"):
            await ContextManager(strategy).fit([old, *said(0)], 20)
    pinned = SystemMessage(SUMMARY + "old", metadata={"pin": True})
    manager = ContextManager(Summarize(writer("new"), keep_last=1), keep_system=False)
    found = await manager.fit([pinned, *said(*range(9))], 60)
    assert names(found) == [SUMMARY + "old", SUMMARY + "new", "m8"]
    alone = [SystemMessage(SUMMARY + "a"), SystemMessage(SUMMARY + "b")]
    assert await ContextManager("truncate", keep_system=False).fit(alone, 14) == alone[1:]


# --- what the model reads ---------------------------------------------------------------------


@pytest.mark.row("CONT-14")
async def test_a_transcript_is_held_to_the_window_of_the_model() -> None:
    asked: list[int] = []

    def answer(request: Any) -> str:
        asked.append(tokenizer.count_messages(request.messages))
        return f"part {len(asked)} " + "x" * 2000  # many more words than it was asked for

    model = MockChatModel(responses=[answer] * 99, capabilities={"context_window": 1000})
    talk = [*(HumanMessage(f"m{n} " + "word " * 200) for n in range(9)), *said(9)]
    talk[4] = HumanMessage("begin " + "word " * 4000 + "end")
    found = await ContextManager(Summarize(model, keep_last=1)).fit(talk, 700)
    assert len(asked) > 3
    assert max(asked) <= 1000
    assert names(found)[0].startswith(f"{SUMMARY}part {len(asked)} ")
    texts = [call.messages[1].text for call in model.calls]
    assert texts[1].startswith(f"system: {SUMMARY}part 1 xx")
    assert all(f"m{n} " in "".join(texts) for n in (0, 1, 2, 3, 5, 6, 7, 8))
    assert any("begin word" in text and " [...] " in text and "word end" in text for text in texts)


@pytest.mark.row("CONT-14")
async def test_a_window_that_holds_no_request(caplog: pytest.LogCaptureFixture) -> None:
    model = writer("short", window=40)
    with caplog.at_level(logging.WARNING, "beluga_llm.context"):
        found = await ContextManager(Summarize(model)).fit(said(*range(9)), 70)
    assert "the context window of the model that summarizes is too small" in caplog.text
    assert names(found) == ["m4", "m5", "m6", "m7", "m8"]
    assert model.calls == []


@pytest.mark.row("CONT-14")
@pytest.mark.parametrize(("budget", "words"), [(100_000, 1000), (200, 86)])
async def test_a_summary_is_asked_for_in_few_words(budget: int, words: int) -> None:
    model = writer("short")
    talk = [*(HumanMessage("x" * 4000) for _ in range(200)), *said(1, 2)]
    await ContextManager(Summarize(model, keep_last=2)).fit(talk, budget)
    assert f"in at most {words} words" in model.calls[0].messages[0].text


# --- what always holds ------------------------------------------------------------------------


@st.composite
def turns(draw: st.DrawFn) -> list[list[Message]]:
    """A conversation with summaries, system messages and pins anywhere, as it grows."""
    kinds = st.sampled_from([HumanMessage, AIMessage, HumanMessage, AIMessage, SystemMessage])
    begins = st.sampled_from(["", "", "", SUMMARY])
    metadata = st.sampled_from([{}, {}, {}, {}, {"pin": True}])
    message = st.builds(
        lambda kind, begin, size, data: kind(begin + "x" * size, metadata=data),
        kinds, begins, st.integers(0, 60), metadata,
    )  # fmt: skip
    return draw(st.lists(st.lists(message, min_size=1, max_size=4), min_size=1, max_size=5))


@pytest.mark.row("CONT-06", "CONT-09", "CONT-11", "CONT-12", "CONT-14", "CONT-17")
@given(
    turns(),
    st.integers(20, 150),
    st.integers(1, 3),
    st.booleans(),
    st.lists(st.sampled_from([*"abc", "long " * 30, ValueError("no")]), min_size=9, max_size=9),
    st.sampled_from([None, 200]),
)
def test_whatever_is_said_and_remembered(
    grown: list[list[Message]],
    budget: int,
    keep_last: int,
    keep_system: bool,
    answers: list[Any],
    window: int | None,
) -> None:
    model = MockChatModel(responses=answers * 9, capabilities={"context_window": window})
    manager = ContextManager(Summarize(model, keep_last), keep_system=keep_system)
    talk: list[Message] = []
    for more in grown:
        talk += more
        spoken = [one for one in talk if not (keep_system and isinstance(one, SystemMessage))]
        must = {
            id(one)
            for one in talk
            if one.metadata.get("pin")
            or any(one is last for last in spoken[-1:])
            or (keep_system and isinstance(one, SystemMessage) and SUMMARY not in one.text)
        }
        needed = tokenizer.count_messages([one for one in talk if id(one) in must])
        if needed > budget:
            with pytest.raises(ContextLengthError):
                asyncio.run(manager.fit(talk, budget))
            continue
        found = asyncio.run(manager.fit(talk, budget))
        assert tokenizer.count_messages(found) <= budget
        places = [n for one in found for n, other in enumerate(talk) if one is other]
        assert places == sorted(places)
        assert must <= set(map(id, found))
        new = [one for one in found if all(one is not other for other in talk)]
        assert len(new) <= 1
        assert all(one.text.startswith(SUMMARY) for one in new)
        if new:
            before = found[: found.index(new[0])]
            assert all(isinstance(one, SystemMessage) for one in before)
    for call in model.calls:
        assert window is None or tokenizer.count_messages(call.messages) <= window

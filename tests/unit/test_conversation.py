"""A conversation is kept whole: no turn is lost, doubled or half-written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import messages as any_messages

import beluga_llm as llm
from beluga_llm import (
    AIMessage,
    ConfigError,
    Conversation,
    HumanMessage,
    InvalidRequestError,
    MemoryStore,
    ProviderUnavailableError,
    SQLiteStore,
    StoreError,
    StreamChunk,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from beluga_llm._context.groups import places_together
from beluga_llm._conversation import turns
from beluga_llm._conversation.named import open_store, stores
from beluga_llm._conversation.session import Session, newest, read
from beluga_llm.testing import MockChatModel, VirtualClock
from beluga_llm.testing._otel import OtelSpans

KEY = "beluga_llm:session:s"


class Held:
    """A response of a mock model that waits until it is let."""

    def __init__(self, text: str = "late") -> None:
        self.asked, self.gate = asyncio.Event(), asyncio.Event()
        self._text = text

    async def __call__(self, request: llm.ChatRequest) -> str:
        self.asked.set()
        await self.gate.wait()
        return self._text


def talk(
    *script: Any, store: Any = None, clock: VirtualClock | None = None, **settings: Any
) -> Conversation:
    settings.setdefault("session_id", "s")
    model = MockChatModel(list(script))
    return Conversation(model, store, clock=clock or VirtualClock(1000), **settings)


async def texts(conversation: Conversation) -> list[str]:
    return [message.text for message in await conversation.messages()]


async def saved(store: Any, **settings: Any) -> list[str]:
    """What somebody else reads in the store."""
    return await texts(talk(store=store, **settings))


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    clock = VirtualClock(1000)
    made: Any = (
        MemoryStore(clock=clock)
        if request.param == "memory"
        else SQLiteStore(tmp_path / "deep" / "chats.db", clock=clock)
    )
    yield made
    await made.aclose()


# --- talking


@pytest.mark.row("MEMO-01", "MEMO-06", "MEMO-12")
async def test_what_was_said_goes_to_the_model_and_is_kept(store):
    first = talk("Hello Ada", store=store, system="Be brief.")
    answer = await first.send("I am Ada", temperature=0.5)
    assert answer.text == "Hello Ada"
    second = talk("Ada", store=store)
    await second.send([HumanMessage("What is"), HumanMessage("my name?")])
    (request,) = second.model.calls  # type: ignore[attr-defined]
    said = ["Be brief.", "I am Ada", "Hello Ada", "What is", "my name?"]
    assert [message.text for message in request.messages] == said
    assert await saved(store) == [*said, "Ada"]
    assert isinstance(store, llm.SessionStore)


@pytest.mark.row("MEMO-01")
async def test_a_conversation_of_its_own():
    model = MockChatModel(["a", "b"])
    one, two = Conversation(model), Conversation(model)
    assert one.session_id != two.session_id
    await one.send("x")
    assert (await texts(one), await texts(two)) == (["x", "a"], [])
    assert repr(one) == f"<Conversation {one.session_id} with mock/mock-fixture>"


@pytest.mark.row("MEMO-01")
async def test_a_prefix_keeps_applications_apart():
    store = MemoryStore()
    await talk("a", store=store).send("x")
    await talk("b", store=store, prefix="mine").send("y")
    assert sorted(store.keys()) == ["beluga_llm:session:s", "mine:s"]


@pytest.mark.row("MEMO-06", "CHAT-09")
async def test_options_and_tools_of_a_call(store):
    def look(word: str) -> str:
        """Looks a word up."""
        return word

    chat = talk("a", store=store)
    options = llm.GenerateOptions(max_tokens=9)
    await chat.send("x", options=options, temperature=0.5, tools=[look])
    (request,) = chat.model.calls  # type: ignore[attr-defined]
    assert (request.options.max_tokens, request.options.temperature) == (9, 0.5)
    assert [tool.name for tool in request.tools] == ["look"]
    with pytest.raises(TypeError):
        await chat.send("x", temprature=1)  # type: ignore[call-arg]


@pytest.mark.row("MEMO-07")
async def test_a_stream_is_saved_at_its_end(store):
    call = ToolCall("c1", "look", '{"word": "x"}')
    chat = talk(AIMessage("so far", tool_calls=[call]), store=store)
    async with chat.stream("x") as stream:
        async for _ in stream:
            assert await saved(store) == []
    kept = await talk(store=store).messages()
    assert [message.text for message in kept] == ["x", "so far"]
    assert kept[1].tool_calls == (call,)  # type: ignore[union-attr]
    assert (await stream.response()).text == "so far"


@pytest.mark.row("MEMO-07")
@pytest.mark.parametrize("save_partial", [False, True])
@pytest.mark.parametrize("end", ["break", "error", "dropped"])
async def test_a_stream_that_does_not_reach_its_end(store, save_partial, end):
    async def broken(request: Any) -> Any:
        return [StreamChunk("half"), StreamChunk(" of it")]

    class Breaks(llm.DelegatingChatModel):
        async def _stream(self, request: llm.ChatRequest) -> Any:
            async for chunk in self.inner.handle(request):
                yield chunk
                if end == "error":
                    raise ProviderUnavailableError("down")

    chat = Conversation(Breaks(MockChatModel([broken])), store, "s")
    if end == "error":
        with pytest.raises(ProviderUnavailableError):
            await chat.stream("x", save_partial=save_partial).response()
    elif end == "break":
        async with chat.stream("x", save_partial=save_partial) as stream:
            async for _ in stream:
                break
    else:
        stream = chat.stream("x", save_partial=save_partial)
        await anext(stream)
        await stream.aclose()
    kept = await chat.messages()
    if not save_partial:
        assert kept == []
        return
    assert [message.text for message in kept] == ["x", "half"]
    assert kept[1].metadata == {"interrupted": True}


@pytest.mark.row("MEMO-07")
async def test_a_stream_that_is_dropped_lets_the_next_one_talk():
    chat = talk("a", "b")
    stream = chat.stream("x")
    await anext(stream)
    del stream
    assert (await chat.send("y")).text == "b"
    for _ in range(5):  # until the dropped one is closed
        await asyncio.sleep(0)
    assert await texts(chat) == ["y", "b"]


@pytest.mark.row("MEMO-07")
async def test_nothing_that_came_is_nothing_to_save():
    chat = talk(ProviderUnavailableError("down"))
    with pytest.raises(ProviderUnavailableError):
        await chat.stream("x", save_partial=True).response()
    assert await texts(chat) == []


@pytest.mark.row("MEMO-07")
async def test_half_a_tool_call_is_not_saved():
    call = llm.ToolCallDelta(0, id="c", name="look", arguments='{"wor')
    chat = talk([StreamChunk("hm", tool_calls=(call,)), StreamChunk("more")])
    async with chat.stream("x", save_partial=True) as stream:
        await anext(stream)
    kept = (await chat.messages())[1]
    assert (kept.text, kept.tool_calls) == ("hm", ())  # type: ignore[union-attr]


@pytest.mark.row("MEMO-06")
async def test_a_failed_call_leaves_the_history_as_it_was(store):
    chat = talk("a", ProviderUnavailableError("down"), store=store)
    await chat.send("x")
    with pytest.raises(ProviderUnavailableError):
        await chat.send("y")
    assert await saved(store) == ["x", "a"]


# --- at once


@pytest.mark.row("MEMO-04")
async def test_turns_of_a_session_wait_for_each_other(store):
    one, two = (talk(*[f"{name}{n}" for n in range(5)], store=store) for name in ("a", "b"))
    await asyncio.gather(*[chat.send(str(n)) for n in range(5) for chat in (one, two)])
    kept = await saved(store)
    assert sorted(kept[::2]) == sorted([str(n) for n in range(5)] * 2)
    assert sorted(kept[1::2]) == sorted(f"{name}{n}" for n in range(5) for name in "ab")
    assert not turns._LINES


@pytest.mark.row("MEMO-04")
async def test_two_stores_on_one_file_are_one(tmp_path):
    opened = [SQLiteStore(tmp_path / "chats.db") for _ in range(2)]
    chats = [talk("a", "b", store=store) for store in opened]
    await asyncio.gather(*[chat.send("x") for chat in chats for _ in range(2)])
    assert len(await texts(chats[0])) == 8
    for store in opened:
        await store.aclose()


@pytest.mark.row("MEMO-04")
def test_turns_wait_across_threads_and_loops():
    store = MemoryStore()
    failures: list[BaseException] = []

    def work(name: str) -> None:
        async def main() -> None:
            chat = talk(*[name] * 10, store=store)
            for n in range(10):
                await chat.send(f"{name}{n}")

        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 -- shown below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    kept = asyncio.run(saved(store))
    assert len(kept) == 60
    assert sorted(kept[::2]) == sorted(f"{name}{n}" for name in "abc" for n in range(10))
    assert all(said[0] == answer for said, answer in zip(kept[::2], kept[1::2], strict=True))


@pytest.mark.row("MEMO-04", "CHAT-27")
def test_three_event_loops_one_after_the_other(tmp_path):
    store = SQLiteStore(tmp_path / "chats.db")
    chat = talk("a", "b", "c", store=store)
    for said in "xyz":
        asyncio.run(chat.send(said))
    assert asyncio.run(texts(chat)) == ["x", "a", "y", "b", "z", "c"]
    asyncio.run(store.aclose())


@pytest.mark.row("MEMO-04")
async def test_a_lost_race_tells_what_was_not_saved(store):
    """Somebody in another process, whom no line in this one holds up."""
    held = Held()
    chat = talk(held, "again", store=store)
    task = asyncio.create_task(chat.send("mine"))
    await held.asked.wait()
    data = Session(messages=(HumanMessage("theirs"),)).written(1000)[1]
    await store.save(KEY, data, None, None)
    held.gate.set()
    with pytest.raises(
        StoreError, match="changed by somebody else meanwhile: 2 messages"
    ) as caught:
        await task
    error = caught.value
    assert error.conflict
    assert [message.text for message in error.unsaved] == ["mine", "late"]
    assert error.partial is not None
    assert error.partial.text == "late"
    assert await saved(store) == ["theirs"]
    await chat.send("mine")
    assert await saved(store) == ["theirs", "mine", "again"]


@pytest.mark.row("MEMO-04")
async def test_a_race_that_a_partial_answer_loses_is_told(store):
    told: list[StoreError] = []
    chat = talk([StreamChunk("half"), StreamChunk("rest")], store=store, on_save_error=told.append)
    async with chat.stream("x", save_partial=True) as stream:
        await anext(stream)
        await store.save(KEY, Session().written(1000)[1], None, None)
    assert [error.conflict for error in told] == [True]
    assert await saved(store) == []


@pytest.mark.row("MEMO-04", "CHAT-09")
@pytest.mark.parametrize("waiting", [False, True])
async def test_a_cancelled_turn_leaves_nothing(store, waiting):
    held = Held()
    chat = talk(held, "next", store=store)
    first = asyncio.create_task(chat.send("x"))
    await held.asked.wait()
    if waiting:
        task = asyncio.create_task(chat.send("y"))
        await asyncio.sleep(0)
    else:
        task = first
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    held.gate.set()
    if waiting:
        await first
    assert await saved(store) == (["x", "late"] if waiting else [])
    await chat.send("z")
    assert (await saved(store))[-2:] == ["z", "next"]


async def test_a_turn_that_comes_together_with_the_cancellation_goes_on_to_the_next():
    first = await turns.take_turn("t")
    waiting = asyncio.create_task(turns.take_turn("t"))
    third = asyncio.create_task(turns.take_turn("t"))
    await asyncio.sleep(0)
    first.end()
    first.end()
    await asyncio.sleep(0)  # the turn is in its hands; it did not run yet
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    (await third).end()
    assert "t" not in turns._LINES


async def test_a_waiter_that_is_gone_is_passed_over():
    first = await turns.take_turn("t")
    waiting, third = (asyncio.create_task(turns.take_turn("t")) for _ in range(2))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    first.end()
    (await third).end()
    assert "t" not in turns._LINES


def test_a_turn_whose_loop_was_closed_is_over():
    async def take() -> turns.Turn:
        return await turns.take_turn("t")

    async def wait() -> None:
        future = asyncio.get_running_loop().create_future()
        turns._LINES["t"].waiting.append((asyncio.get_running_loop(), future))

    lost = asyncio.new_event_loop()
    lost.run_until_complete(take())
    lost.run_until_complete(wait())
    lost.close()
    turn = asyncio.run(take())
    turn.end()  # those who waited there are gone too
    assert "t" not in turns._LINES


def test_a_line_that_was_replaced_leaves_the_other_one_alone():
    old, new = turns._Line("t"), turns._Line("t")
    turns._LINES["t"] = new
    loop = asyncio.new_event_loop()
    turn = old.take(loop)
    assert turn is not None
    turn.end()
    loop.close()
    assert turns._LINES.pop("t") is new


# --- stores that fail


@pytest.mark.row("MEMO-08", "TEST-21")
@pytest.mark.parametrize("kind", ["plain", "async", "broken", None])
async def test_a_failed_save_costs_neither_the_answer_nor_the_history(kind, caplog):
    told: list[StoreError] = []

    def plain(error: StoreError) -> None:
        told.append(error)

    async def later(error: StoreError) -> None:
        told.append(error)

    def broken(error: StoreError) -> None:
        told.append(error)
        raise ValueError("on its own")

    heard: Any = {"plain": plain, "async": later, "broken": broken, None: None}[kind]
    store = MemoryStore()
    chat = talk("a", "b", "c", store=store, on_save_error=heard)
    store.fail_next(OSError("disk full"), on="save", times=3)
    assert (await chat.send("x")).text == "a"
    assert "disk full" in caplog.text
    assert ("on_save_error failed" in caplog.text) is (kind == "broken")
    assert await texts(chat) == ["x", "a"]
    assert await saved(store) == []
    await chat.send("y")  # both of its saves fail too
    assert len(told) == (0 if kind is None else 3)
    await chat.send("z")
    assert await saved(store) == ["x", "a", "y", "b", "z", "c"]


@pytest.mark.row("MEMO-08")
@pytest.mark.parametrize("retry_too", [False, True])
async def test_a_save_that_happened_though_it_failed_is_not_done_twice(retry_too):
    class Deaf(MemoryStore):
        """Loses the answer to a save."""

        async def save(self, id: str, data: bytes, ttl: Any, expected: Any) -> None:
            await super().save(id, data, ttl, expected)
            self._fault("answer")

    store = Deaf()
    chat = talk("a", "b", "c", store=store)
    if retry_too:
        store.fail_next(OSError("full"), on="save")
    store.fail_next(TimeoutError("late"), on="answer")
    await chat.send("x")
    await chat.send("y")
    await chat.send("z")
    assert await saved(store) == ["x", "a", "y", "b", "z", "c"]


@pytest.mark.row("MEMO-04", "MEMO-08")
async def test_what_is_unsaved_does_not_undo_what_others_saved():
    store = MemoryStore()
    chat, other = talk("a", "b", store=store), talk("o", store=store)
    store.fail_next(OSError("full"), on="save")
    await chat.send("x")
    await other.send("y")
    with pytest.raises(StoreError) as caught:
        await chat.send("z")
    assert [message.text for message in caught.value.unsaved] == ["x", "a"]
    assert await texts(chat) == ["y", "o"]
    assert (await chat.send("z")).text == "b"


@pytest.mark.row("MEMO-08", "CHAT-09")
async def test_a_cancelled_retry_loses_and_doubles_nothing():
    class Slow(MemoryStore):
        gate: asyncio.Event | None = None

        async def save(self, id: str, data: bytes, ttl: Any, expected: Any) -> None:
            await super().save(id, data, ttl, expected)
            if self.gate is not None:
                await self.gate.wait()

    store = Slow()
    chat = talk("a", "b", "c", store=store)
    store.fail_next(OSError("full"), on="save", times=2)
    await chat.send("x")
    store.gate = asyncio.Event()
    task = asyncio.create_task(chat.send("y"))  # the first is not saved again; the second is
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    store.gate = None
    await chat.send("z")
    assert await saved(store) == ["x", "a", "y", "b", "z", "c"]


@pytest.mark.row("MEMO-03")
async def test_a_store_that_cannot_be_read_is_not_overwritten(store):
    await talk("a", store=store).send("x")
    data = await store.load(KEY)
    for bad in (b"{", b"[]", b'{"v": 1}', b'{"v": 2}', data.replace(b'"human"', b'"alien"')):
        assert bad != data
        await store.save(KEY, bad, None, await store.load(KEY))
        chat = talk("b", store=store)
        with pytest.raises(StoreError, match="session 's'"):
            await chat.send("y")
        assert chat.model.calls == []  # type: ignore[attr-defined]
        assert await store.load(KEY) == bad


@pytest.mark.row("MEMO-03", "TEST-21")
@pytest.mark.parametrize("error", [OSError("gone"), StoreError("gone")])
async def test_a_store_error_is_raised_before_the_model_is_asked(error):
    store = MemoryStore()
    chat = talk("a", store=store)
    for act in (lambda: chat.send("x"), chat.messages, chat.metadata):
        store.fail_next(error, on="load")
        with pytest.raises(StoreError, match="gone"):
            await act()
    assert chat.model.calls == []  # type: ignore[attr-defined]
    for failing, act in (("delete", chat.delete), ("save", lambda: chat.set_metadata(a=1))):
        store.fail_next(error, on=failing)
        with pytest.raises(StoreError, match="gone"):
            await act()
    assert await chat.metadata() == {}


@pytest.mark.row("MEMO-03")
async def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "chats.db"
    path.write_bytes(b"something else entirely" * 100)
    store = SQLiteStore(path)
    await store.aclose()
    with pytest.raises(StoreError, match="session 's' cannot be loaded: file is not a database"):
        await talk("a", store=store).send("x")
    assert path.read_bytes().startswith(b"something else")


@pytest.mark.row("TEST-21")
async def test_what_tests_ask_of_a_memory_store():
    store = MemoryStore()
    await store.save("a", b"1", None, None)
    assert (store.keys(), repr(store)) == (["a"], "<MemoryStore 1 sessions>")
    store.fail_next(OSError("no"), on=("save", "clear"))
    assert await store.load("a") == b"1"
    with pytest.raises(OSError, match="no"):
        await store.clear()
    await store.clear()
    assert store.keys() == []
    store.fail_next(OSError("any"))
    with pytest.raises(OSError, match="any"):
        await store.load("a")


# --- limits


@pytest.mark.row("MEMO-02")
async def test_the_newest_are_kept(store):
    chat = talk("a", "b", "c", store=store, system="S", max_messages=4)
    for said in "xyz":
        await chat.send(said)
    assert await saved(store) == ["S", "b", "z", "c"]


@pytest.mark.row("MEMO-02", "CONT-12")
async def test_a_call_and_its_results_are_kept_or_dropped_together():
    calls = [ToolCall("1", "f", "{}"), ToolCall("2", "f", "{}")]
    asked = AIMessage("", tool_calls=calls)
    one, two = ToolMessage("r1", tool_call_id="1"), ToolMessage("r2", tool_call_id="2")
    said = (HumanMessage("q"), asked, one, two, AIMessage("a"))
    assert newest(said, 4) == said[1:]
    assert newest(said, 3) == said[4:]
    assert newest(said, None) == said
    apart = (asked, HumanMessage("wait"), one, ToolMessage("r", tool_call_id="?"))
    assert places_together(apart) == [[0, 2], [1], [3]]
    assert newest(apart, 2) == apart[1:2] + apart[3:]


_said = st.one_of(
    st.builds(HumanMessage, st.text(max_size=2)),
    st.builds(SystemMessage, st.text(max_size=2)),
    st.builds(
        lambda name: AIMessage("", tool_calls=[ToolCall(name, "f", "{}")]), st.sampled_from("ab")
    ),
    st.builds(lambda name: ToolMessage("r", tool_call_id=name), st.sampled_from("ab")),
)


@pytest.mark.row("MEMO-02")
@given(st.lists(_said, max_size=12), st.integers(1, 12))
def test_a_limit_always_holds(said, most):
    """Law: at most so many, in order, system messages all there, and groups whole."""
    systems = [message for message in said if isinstance(message, SystemMessage)]
    if len(systems) > most:
        with pytest.raises(ConfigError):
            newest(said, most)
        return
    kept = newest(said, most)
    assert len(kept) <= most
    places = iter(range(len(said)))
    found = [next(place for place in places if said[place] is message) for message in kept]
    assert [message for message in kept if isinstance(message, SystemMessage)] == systems
    for group in places_together(said):
        assert len(set(group) & set(found)) in (0, len(group))


@pytest.mark.row("MEMO-02")
async def test_system_messages_need_their_places(store):
    chat = talk("a", store=store, max_messages=1)
    with pytest.raises(ConfigError, match="max_messages=1 has no place for all system messages"):
        await chat.send([SystemMessage("a"), SystemMessage("b"), HumanMessage("x")])
    assert chat.model.calls == []  # type: ignore[attr-defined]
    assert await saved(store) == []


@pytest.mark.row("MEMO-02")
async def test_every_save_sets_the_time_again(store):
    clock = store._clock
    chat = talk("a", "b", "c", store=store, clock=clock, ttl=60, system="S")
    await chat.send("x")
    clock._now += 59
    await chat.send("y")
    clock._now += 59
    assert await saved(store) == ["S", "x", "a", "y", "b"]
    clock._now += 1
    assert await saved(store) == []
    await chat.send("z")
    assert await saved(store) == ["S", "z", "c"]


@pytest.mark.row("MEMO-02")
async def test_a_session_whose_time_ends_during_a_turn_is_saved_whole(store):
    clock, held = store._clock, Held()
    chat = talk("a", held, store=store, clock=clock, ttl=60)
    await chat.send("x")
    task = asyncio.create_task(chat.send("y"))
    await held.asked.wait()
    clock._now += 61
    held.gate.set()
    await task
    assert await saved(store) == ["x", "a", "y", "late"]


async def test_what_is_over_does_not_stay_in_the_store(store):
    clock = store._clock
    await store.save("old", b"1", 10, None)
    clock._now += 11
    await store.save("new", b"2", None, None)
    if isinstance(store, MemoryStore):
        assert list(store._sessions) == ["new"]
    else:
        rows = await store._file.run(
            lambda base: base.execute("SELECT id FROM sessions").fetchall()
        )
        assert rows == [("new",)]


@pytest.mark.row("MEMO-01", "MEMO-02")
@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"max_messages": 0}, "max_messages must be at least 1, got 0"),
        ({"ttl": 0}, "ttl must be > 0, got 0"),
        ({"session_id": ""}, "session_id is empty"),
    ],
)
def test_settings_that_are_wrong(settings, match):
    with pytest.raises(ConfigError, match=match):
        talk(**settings)


# --- the system message, and looking after it


@pytest.mark.row("MEMO-09")
async def test_a_system_message_is_stored_once_and_replaced_when_it_is_given_again(store):
    await talk("a", store=store, system="First").send("x")
    assert (await saved(store))[0] == "First"
    same = talk("b", store=store, system=SystemMessage("First"))
    await same.send("y")
    other = talk("c", store=store, system="Second")
    assert (await texts(other))[0] == "Second"
    await other.send("z")
    assert await saved(store) == ["Second", "x", "a", "y", "b", "z", "c"]


@pytest.mark.row("MEMO-10")
async def test_management(store):
    clock = VirtualClock(1000)
    chat = talk("a", store=store, clock=clock, system="S")
    assert (chat.created_at, chat.updated_at) == (None, None)
    await chat.append()
    assert chat.created_at is None
    await chat.append(HumanMessage("one"), AIMessage("two"))
    clock._now = 2000
    await chat.set_metadata(user="ada", n=1)
    await chat.set_metadata(n=2)
    assert await chat.metadata() == {"user": "ada", "n": 2}
    assert chat.created_at == datetime.fromtimestamp(1000, UTC)
    assert chat.updated_at == datetime.fromtimestamp(2000, UTC)
    assert await saved(store) == ["S", "one", "two"]
    await chat.clear()
    assert await saved(store) == ["S"]
    assert await chat.metadata() == {"user": "ada", "n": 2}
    await chat.delete()
    assert await store.load(KEY) is None
    assert (chat.created_at, await chat.metadata()) == (None, {})
    await chat.send("x")
    assert await saved(store) == ["S", "x", "a"]


@pytest.mark.row("MEMO-10")
async def test_changes_hold_to_the_limit():
    chat = talk(max_messages=2)
    await chat.append(*map(HumanMessage, "abc"))
    assert await texts(chat) == ["b", "c"]


@pytest.mark.row("MEMO-08", "MEMO-10")
async def test_a_change_saves_what_is_unsaved_first_or_fails():
    store = MemoryStore()
    chat = talk("a", store=store)
    store.fail_next(OSError("full"), on="save", times=2)
    await chat.send("x")
    with pytest.raises(StoreError, match="full"):
        await chat.append(HumanMessage("y"))
    assert await texts(chat) == ["x", "a"]
    await chat.append(HumanMessage("y"))
    assert await saved(store) == ["x", "a", "y"]


@pytest.mark.row("MEMO-01")
async def test_what_is_sent_fits_and_all_is_kept():
    sent = llm.ContextManager(llm.SlidingWindow(max_messages=1))
    model = MockChatModel(["a", "b"], model="gpt-4o")
    chat = Conversation(model, session_id="s", system="S", context=sent)
    await chat.send("x")
    await chat.send("y")
    assert [message.text for message in model.calls[1].messages] == ["S", "y"]
    assert await texts(chat) == ["S", "x", "a", "y", "b"]


# --- what is kept


@pytest.mark.row("MEMO-06", "SCHE-29")
@given(st.lists(any_messages, min_size=1, max_size=4))
def test_whatever_can_be_said_is_read_back_as_it_was(said):
    """Law: parts of every kind, signatures, metadata and usage survive."""
    session, data = Session(messages=tuple(said)).written(1.0)
    assert read(data, "s") == session


@pytest.mark.row("MEMO-06")
async def test_what_is_no_json_is_refused_before_the_model_is_asked():
    chat = talk("a")
    odd = HumanMessage("x", metadata={"when": object()})
    for act in (
        lambda: chat.send(odd),
        lambda: chat.append(odd),
        lambda: chat.set_metadata(x=object()),
    ):
        with pytest.raises(InvalidRequestError):
            await act()
    assert chat.model.calls == []  # type: ignore[attr-defined]


@pytest.mark.row("MEMO-08")
async def test_an_answer_that_is_no_json_is_given_and_told():
    told: list[StoreError] = []
    odd = AIMessage("a", metadata={"when": object()})

    class Odd(llm.DelegatingChatModel):
        async def _stream(self, request: llm.ChatRequest) -> Any:
            yield StreamChunk("a", metadata={"when": object()})

    chat = Conversation(Odd(MockChatModel([odd])), MemoryStore(), "s", on_save_error=told.append)
    assert (await chat.send("x")).text == "a"
    assert "the answer cannot be saved" in told[0].message
    assert await texts(chat) == []


# --- names of stores


@pytest.mark.row("MEMO-12")
async def test_stores_by_name(tmp_path):
    assert isinstance(open_store("memory"), MemoryStore)
    path = tmp_path / "chats.db"
    chat = Conversation(MockChatModel(["a"]), f"sqlite:///{path}", "s")
    await chat.send("x")
    assert isinstance(chat.store, SQLiteStore)
    assert chat.store.path == path
    assert repr(chat.store) == "<SQLiteStore chats.db>"
    await chat.store.aclose()
    with pytest.raises(ConfigError, match="names no file"):
        open_store("sqlite")
    with pytest.raises(llm.ProviderNotFoundError):
        open_store("no-such-store")


@pytest.mark.row("MEMO-12")
def test_stores_of_plugins():
    assert stores.group == "beluga_llm.stores"
    asked: list[tuple[str, ...]] = []

    def factory(*url: str) -> MemoryStore:
        asked.append(url)
        return MemoryStore()

    stores.register("disk", factory)
    try:
        open_store("disk")
        open_store("disk://host/1")
    finally:
        stores.unregister("disk")
    assert asked == [(), ("disk://host/1",)]


# --- who asks


@pytest.mark.row("MEMO-13")
async def test_the_session_is_named_in_spans_and_hooks(otel_spans: OtelSpans):
    seen: list[str | None] = []

    def note(call: llm.CallContext) -> None:
        seen.append(call.session_id)

    layers = (
        llm.with_hooks(llm.Hooks.from_callables(before_generate=note)),
        llm.with_tracing(otel_spans.provider),
    )
    model = MockChatModel(["a", "b", "c"]).with_middleware(*layers)
    chat = Conversation(model, session_id="s")
    await chat.send("x")
    await chat.stream("x").response()
    with llm.request_context(session_id="outer"):
        await chat.send("x")
    assert seen == ["s", "s", "outer"]
    named = [(span.attributes or {})["gen_ai.conversation.id"] for span in otel_spans.spans]
    assert named == ["s", "s", "outer"]

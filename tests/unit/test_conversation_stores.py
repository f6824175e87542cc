"""What a conversation makes of odd stores: deaf, repeating, forgetful, or without comparison."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from beluga_llm import Conversation, HumanMessage, MemoryStore, SQLiteStore, StoreError
from beluga_llm._conversation import turns
from beluga_llm._conversation.named import stores
from beluga_llm._conversation.session import REMEMBERED, Session, read
from beluga_llm.testing import MockChatModel, VirtualClock

KEY = "beluga_llm:session:s"


class Plain:
    """A store that compares nothing; it is empty, and so false, at first."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self.kept)

    async def load(self, id: str) -> bytes | None:
        return self.kept.get(id)

    async def save(self, id: str, data: bytes, ttl: float | None, expected: bytes | None) -> None:
        self.kept[id] = data

    async def delete(self, id: str) -> None:
        self.kept.pop(id, None)


class Deaf(MemoryStore):
    """Loses the answer to a save, where that is planned."""

    async def save(self, id: str, data: bytes, ttl: Any, expected: Any) -> None:
        await super().save(id, data, ttl, expected)
        self._fault("answer")


def talk(*script: Any, store: Any, clock: Any = None, **settings: Any) -> Conversation:
    clock = clock or VirtualClock(1000)
    return Conversation(MockChatModel(list(script)), store, "s", clock=clock, **settings)


async def texts(conversation: Conversation) -> list[str]:
    return [message.text for message in await conversation.messages()]


async def go_on(store: MemoryStore, *said: str, times: int = 1) -> None:
    """What another process says, whom no line in this one holds up."""
    for _ in range(times):
        data = await store.load(KEY)
        session = read(data, "s").said([HumanMessage(text) for text in said], most=None)
        await MemoryStore.save(store, KEY, session.written(1000)[1], None, data)


@pytest.mark.row("MEMO-12")
async def test_a_store_that_is_false_while_it_is_empty():
    store = Plain()
    await talk("a", store=store).send("x")
    assert list(store.kept) == [KEY]


# --- writes that happened though they failed


@pytest.mark.row("MEMO-04", "MEMO-08")
async def test_a_store_that_repeats_a_write_does_not_lose_a_race_against_itself():
    class Repeating(MemoryStore):
        """Its first answer was lost on the way."""

        async def save(self, id: str, data: bytes, ttl: Any, expected: Any) -> None:
            await super().save(id, data, ttl, expected)
            await super().save(id, data, ttl, expected)

    chat = talk("a", "b", store=Repeating())
    await chat.send("x")
    await chat.send("y")
    assert await texts(chat) == ["x", "a", "y", "b"]


@pytest.mark.row("MEMO-04", "MEMO-08")
async def test_others_may_go_on_from_a_save_that_happened_though_it_failed():
    store = Deaf()
    chat = talk("a", "b", store=store)
    store.fail_next(TimeoutError("late"), on="answer")
    await chat.send("x")
    await go_on(store, "theirs")
    await chat.send("y")
    assert await texts(chat) == ["x", "a", "theirs", "y", "b"]


@pytest.mark.row("MEMO-04", "MEMO-08")
async def test_what_was_saved_after_all_is_not_said_to_be_unsaved():
    store = Deaf()

    async def meanwhile(request: Any) -> str:
        await go_on(store, "theirs")
        return "b"

    chat = talk("a", meanwhile, store=store)
    store.fail_next(OSError("full"), on="save")
    await chat.send("x")
    store.fail_next(TimeoutError("late"), on="answer")  # the save of x happens now, and fails
    with pytest.raises(StoreError, match="2 messages were not saved") as caught:
        await chat.send("y")
    assert [message.text for message in caught.value.unsaved] == ["y", "b"]
    assert await texts(chat) == ["x", "a", "theirs"]


@pytest.mark.row("MEMO-08", "MEMO-10")
async def test_a_change_that_happened_though_it_failed_is_no_error():
    store = Deaf()
    chat = talk("a", store=store)
    store.fail_next(TimeoutError("late"), on="answer")
    await chat.append(HumanMessage("x"))  # who is told of an error says it again
    assert await texts(chat) == ["x"]
    store.fail_next(TimeoutError("late"), on="answer")
    with pytest.raises(StoreError, match="down"):
        await _append_without_looking(store, chat)


async def _append_without_looking(store: Deaf, chat: Conversation) -> None:
    """The store can be read before the write, and not after it."""
    before = await store.load(KEY)

    async def save(id: str, data: bytes, ttl: Any, expected: Any) -> None:
        store.fail_next(OSError("down"), on="load")
        raise OSError("down")

    store.save = save  # type: ignore[method-assign]  # this one store
    try:
        await chat.append(HumanMessage("y"))
    finally:
        assert await store.load(KEY) == before


@pytest.mark.row("MEMO-04")
async def test_a_state_names_those_that_it_was_made_from():
    store = MemoryStore()
    first = Session().written(1000)[0].revisions
    assert len(first) == 1
    await go_on(store, "x", times=REMEMBERED + 5)
    found = read(await store.load(KEY), "s")
    assert len(set(found.revisions)) == REMEMBERED
    after, data = found.written(1001, 60)
    assert after.revisions[1:] == found.revisions[:-1]
    assert read(data, "s") == after
    assert after.until == 1061


# --- a time that is over


@pytest.mark.row("MEMO-02", "MEMO-04")
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("fails", [False, True])
async def test_an_old_session_may_be_given_a_time(kind, fails, tmp_path):
    """It is older than the time that its next save gives it."""
    clock = VirtualClock(1000)
    store: Any = (
        Deaf(clock=clock) if kind == "memory" else SQLiteStore(tmp_path / "a.db", clock=clock)
    )
    await talk("a", store=store, clock=clock).send("x")
    clock._now += 100
    chat = talk("b", "c", store=store, clock=clock, ttl=60)
    if fails and kind == "memory":
        store.fail_next(OSError("full"), on="save")
    await chat.send("y")
    await chat.send("z")
    assert await texts(chat) == ["x", "a", "y", "b", "z", "c"]
    await store.aclose()


@pytest.mark.row("MEMO-02", "MEMO-04")
async def test_a_session_whose_time_was_set_by_another_ends_during_a_turn():
    clock = VirtualClock(1000)
    store = MemoryStore(clock=clock)
    await talk("a", store=store, clock=clock, ttl=60).send("x")

    async def slowly(request: Any) -> str:
        clock._now += 61
        return "b"

    chat = talk(slowly, store=store, clock=clock)
    await chat.send("y")
    assert await texts(chat) == ["x", "a", "y", "b"]


# --- dropped streams, and lines


@pytest.mark.row("MEMO-04", "MEMO-07")
async def test_a_dropped_stream_is_saved_after_those_who_talk_now():
    """Also in a store that compares nothing: what came between is not undone."""
    store, gate = Plain(), asyncio.Event()

    async def later(request: Any) -> str:
        await gate.wait()
        return "b"

    chat = talk("half of it", later, store=store)
    stream = chat.stream("x", save_partial=True)
    first = await anext(stream)
    del stream
    turn = asyncio.create_task(chat.send("y"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert await texts(chat) == []
    gate.set()
    await turn
    for _ in range(20):
        await asyncio.sleep(0)
    assert await texts(chat) == ["y", "b", "x", first.delta]
    assert not turns._LINES


@pytest.mark.row("MEMO-04")
async def test_those_who_name_one_url_wait_for_each_other():
    shared = Plain()
    stores.register("disk", lambda url: shared if url == "disk://host" else Plain())
    try:
        pair = [talk(*"abcde", store="disk://host") for _ in range(2)]
    finally:
        stores.unregister("disk")
    await asyncio.gather(*(pair[i % 2].send(str(i)) for i in range(10)))
    assert len(await texts(pair[0])) == 20


@pytest.mark.row("MEMO-04")
async def test_those_who_name_the_memory_have_each_their_own():
    async def inside(request: Any) -> str:
        return (await talk("inner", store="memory").send("x")).text

    assert (await talk(inside, store="memory").send("x")).text == "inner"

"""Whatever is to be closed is an async context manager, and its block closes it."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm._conversation import conversation as module
from beluga_llm.testing import MockChatModel


class Noted(llm.MemoryStore):
    """Notes that it was closed."""

    def __init__(self, notes: list[str], name: str = "store", error: str = "") -> None:
        super().__init__()
        self.notes, self.name, self.error = notes, name, error

    async def aclose(self) -> None:
        self.notes.append(self.name)
        if self.error:
            raise OSError(self.error)


class Model(MockChatModel):
    """Likewise."""

    notes: list[str]
    error = ""

    async def _aclose(self) -> None:
        self.notes.append("model")
        if self.error:
            raise OSError(self.error)


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def by_name(notes: list[str], monkeypatch: pytest.MonkeyPatch) -> Model:
    """What the names of a conversation stand for."""
    model = Model([], fallback="Hello")
    model.notes = notes
    monkeypatch.setattr(module, "as_model", lambda given: model)
    monkeypatch.setattr(
        module, "opened", lambda store: Noted(notes) if isinstance(store, str) else store
    )
    return model


@pytest.mark.row("HEAL-07")
@pytest.mark.parametrize("kind", ["memory", "sqlite", "memory cache", "sqlite cache"])
async def test_stores_are_closed_by_their_block(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.db"
    store: Any = {
        "memory": llm.MemoryStore,
        "sqlite": lambda: llm.SQLiteStore(path),
        "memory cache": llm.MemoryCache,
        "sqlite cache": lambda: llm.SQLiteCache(path),
    }[kind]()
    assert isinstance(store, AbstractAsyncContextManager)
    closed, close = [], type(store).aclose

    async def noted(self: Any) -> None:
        closed.append(self)
        await close(self)

    monkeypatch.setattr(type(store), "aclose", noted)
    async with store as entered:
        assert entered is store
        if "cache" in kind:
            await store.set("a", b"1", 60.0)
        else:
            await store.save("a", b"1", None, None)
    assert closed == [store]


@pytest.mark.row("HEAL-07")
async def test_a_conversation_closes_what_it_opened(notes: list[str], by_name: Model) -> None:
    async with llm.Conversation("some/model", "some://store") as chat:
        assert (await chat.send("hi")).text == "Hello"
        assert notes == []
    assert notes == ["model", "store"]


@pytest.mark.row("HEAL-07")
async def test_what_a_conversation_was_given_stays_open(notes: list[str], by_name: Model) -> None:
    async with llm.Conversation(by_name, Noted(notes)) as chat:
        await chat.send("hi")
    assert notes == []


@pytest.mark.row("HEAL-07")
@pytest.mark.parametrize("both", [False, True])
async def test_all_is_closed_where_one_fails(
    notes: list[str], by_name: Model, monkeypatch: pytest.MonkeyPatch, *, both: bool
) -> None:
    by_name.error = "no"
    store = Noted(notes, error="neither" if both else "")
    monkeypatch.setattr(module, "opened", lambda given: store)
    chat = llm.Conversation("some/model", "some://store", "ada")
    kind = ExceptionGroup if both else OSError
    with pytest.raises(kind) as caught:
        await chat.aclose()
    assert notes == ["model", "store"]
    assert str(caught.value) == (
        "closing conversation ada failed (2 sub-exceptions)" if both else "no"
    )


@pytest.mark.row("HEAL-07")
async def test_a_cancellation_while_closing_leaves_nothing_open(
    notes: list[str], by_name: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def stuck(self: Model) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def talk() -> None:
        async with llm.Conversation("some/model", "some://store") as chat:
            await chat.send("hi")

    monkeypatch.setattr(Model, "_aclose", stuck)
    task = asyncio.create_task(talk())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert notes == ["store"]


@pytest.mark.row("HEAL-07")
async def test_what_ended_a_block_is_told_where_closing_fails_too(notes: list[str]) -> None:
    with pytest.raises(OSError, match="no") as caught:
        async with Noted(notes, error="no"):
            raise ValueError("in the block")
    assert isinstance(caught.value.__context__, ValueError)
    assert notes == ["store"]


@pytest.mark.row("HEAL-07")
async def test_a_stack_closes_in_the_reverse_order(notes: list[str]) -> None:
    async with AsyncExitStack() as stack:
        for name in ("first", "second", "third"):
            await stack.enter_async_context(Noted(notes, name))
    assert notes == ["third", "second", "first"]

"""Whatever fails, in whatever order: no turn is lost, doubled or half-written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from beluga_llm import (
    ChatModel,
    ChatRequest,
    Conversation,
    MemoryStore,
    ProviderUnavailableError,
    StoreError,
    StreamChunk,
)

WHO = st.sampled_from([0, 1])


class Deaf(MemoryStore):
    """One process's look at a store: it may lose the answer to a save that happened."""

    def __init__(self, shared: MemoryStore) -> None:
        super().__init__()
        self._sessions = shared._sessions

    async def save(self, id: str, data: bytes, ttl: Any, expected: bytes | None) -> None:
        await super().save(id, data, ttl, expected)
        self._fault("answer")


class Answers(ChatModel):
    """Answers in two pieces, unless it is down."""

    down = False

    async def _stream(self, request: ChatRequest) -> AsyncGenerator[StreamChunk, None]:
        if self.down:
            raise ProviderUnavailableError("down")
        yield StreamChunk("ans")
        await asyncio.sleep(0)  # others may save meanwhile
        yield StreamChunk("wer")


class Talks(RuleBasedStateMachine):
    """Two that talk in one conversation, as if in two processes, with a store that fails."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        logging.getLogger("beluga_llm.conversation").disabled = True  # failures are the point
        self.store = MemoryStore()
        self.model = Answers()
        self.chats = [self.process() for _ in range(2)]
        self.count = 0
        self.answered: list[str] = []  # each is in the history, or unsaved, or was told as lost
        self.lost: set[str] = set()
        self.told: set[str] = set()

    def process(self) -> Conversation:
        """Somebody with whom no line in this process is shared."""
        return Conversation(self.model, Deaf(self.store), "s")

    def note(self, error: StoreError) -> None:
        """Somebody else was there first; what is in no store was told."""
        assert error.conflict
        self.told |= {message.text for message in error.unsaved} - {"answer"}

    @rule(who=WHO, save=st.integers(0, 2), answer=st.integers(0, 2))
    def send(self, who: int, save: int, answer: int) -> None:
        self.count += 1
        said = f"{who}-{self.count}"
        store = self.chats[who].store
        assert isinstance(store, Deaf)
        for on, times in (("save", save), ("answer", answer)):
            store.fail_next(OSError("no"), on=on, times=times)
        try:
            self.loop.run_until_complete(self.chats[who].send(said))
        except StoreError as error:
            self.note(error)
            self.told.add(said)
        else:
            self.answered.append(said)
        store._planned = ()

    @rule()
    def both_at_once(self) -> None:
        async def both() -> list[Any]:
            sends = [chat.send(text) for chat, text in zip(self.chats, said, strict=True)]
            return await asyncio.gather(*sends, return_exceptions=True)

        self.count += 1
        said = [f"{who}-{self.count}" for who in (0, 1)]
        for text, end in zip(said, self.loop.run_until_complete(both()), strict=True):
            if isinstance(end, StoreError):
                self.note(end)
                self.told.add(text)
            else:
                assert end.text == "answer"
                self.answered.append(text)

    @rule(who=WHO)
    def model_fails(self, who: int) -> None:
        self.model.down = True
        try:
            self.loop.run_until_complete(self.chats[who].send("never"))
        except ProviderUnavailableError:
            pass
        except StoreError as error:
            self.note(error)
        self.model.down = False

    @rule(who=WHO)
    def leave_a_stream(self, who: int) -> None:
        async def leave() -> None:
            async with self.chats[who].stream("never") as stream:
                await anext(stream)

        try:
            self.loop.run_until_complete(leave())
        except StoreError as error:
            self.note(error)

    @rule(who=WHO)
    def a_process_that_is_killed(self, who: int) -> None:
        """What it could not save goes with it; the others' turns do not."""
        waits = self.chats[who]._keeper._unsaved
        if waits is not None:
            self.lost |= {message.text for message in waits.messages}
        self.chats[who] = self.process()

    @invariant()
    def nothing_is_lost_doubled_or_halved(self) -> None:
        fresh = Conversation(self.model, self.store, "s")
        kept = [message.text for message in self.loop.run_until_complete(fresh.messages())]
        said, answers = kept[::2], kept[1::2]
        assert answers == ["answer"] * len(said)
        assert len(set(said)) == len(said)
        assert "never" not in said
        unsaved: set[str] = set()
        for chat in self.chats:
            if chat._keeper._unsaved is not None:
                unsaved |= {message.text for message in chat._keeper._unsaved.messages}
        assert set(self.answered) <= set(said) | unsaved | self.told | self.lost

    def teardown(self) -> None:
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        logging.getLogger("beluga_llm.conversation").disabled = False


TestTalks = Talks.TestCase
TestTalks.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)

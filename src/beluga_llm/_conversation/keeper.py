"""How one session is read from its store and written to it.

Theory of operation. A write says what the store is expected to hold, so that of two processes that
talk at once one fails instead of undoing the other's turn. A write that fails does not cost the
answer: the session is remembered here, and written at the next turn. It may have happened all the
same, so what was tried is looked for first; then nothing is lost and nothing doubled. Whoever calls
has the turn of the session.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from attrs import frozen

from beluga_llm._clock import Clock
from beluga_llm._conversation.session import Session, newest, read
from beluga_llm._conversation.stores import SessionStore
from beluga_llm._errors import InvalidRequestError, StoreError
from beluga_llm._messages import AIMessage, Message, SystemMessage, replace

logger = logging.getLogger("beluga_llm.conversation")

OnSaveError: TypeAlias = Callable[[StoreError], Awaitable[None] | None]


@frozen
class Held:
    """A session, and what its store holds of it.

    Attributes:
        session: with all turns that are known here.
        data: what the store held; None for nothing.
        saved_at: unix seconds of the save that this was.
    """

    session: Session
    data: bytes | None
    saved_at: float | None


@frozen
class _Unsaved:
    """A session that the store did not take.

    Attributes:
        held: the session, and what the store held before.
        messages: those that are in no store.
        tried: data that may be in the store all the same; the last are the session's.
    """

    held: Held
    messages: tuple[Message, ...]
    tried: tuple[bytes, ...]


class Keeper:
    """One session in its store.

    Attributes:
        known: the session as it was last read or written.
    """

    def __init__(
        self,
        store: SessionStore,
        session_id: str,
        *,
        key: str,
        system: SystemMessage | None,
        most: int | None,
        ttl: float | None,
        on_save_error: OnSaveError | None,
        clock: Clock,
    ) -> None:
        self.known = Session()
        self._store = store
        self._name, self._key = session_id, key
        self._system = system
        self._most, self._ttl = most, ttl
        self._on_save_error = on_save_error
        self._clock = clock
        self._unsaved: _Unsaved | None = None

    # --- reading -----------------------------------------------------------------------------

    async def now(self) -> Session:
        """The session, with what is not saved yet; nothing is written."""
        if self._unsaved is not None:
            return self._unsaved.held.session
        return (await self._read()).session

    async def load(self, *, must_save: bool = False) -> Held:
        """The session, after saving what is not saved yet.

        Args:
            must_save: raise where that fails again, instead of going on with it unsaved.

        Raises:
            StoreError: it cannot be read, or was changed by somebody else.
        """
        unsaved = self._unsaved
        if unsaved is None:
            return await self._read()
        data = await self._load()
        expected = self._expected(unsaved.held)
        if data is not None and data in unsaved.tried:
            expected = data  # the write had happened, though it failed
        if data != expected:
            self._unsaved = None
            raise self._conflict(unsaved.messages)
        held = Held(unsaved.held.session, data, unsaved.held.saved_at)
        last = unsaved.tried[-1]
        if data != last:
            try:
                await self._save(last, expected, unsaved.messages)
            except StoreError as error:
                if error.conflict or must_save:
                    raise
                await self._tell(error)
                return held
        self._unsaved, self.known = None, held.session
        return Held(held.session, last, held.session.updated_at)

    async def _read(self) -> Held:
        data = await self._load()
        self.known = read(data, self._name)
        return Held(self.known.instructed(self._system), data, self.known.updated_at)

    async def _load(self) -> bytes | None:
        try:
            return await self._store.load(self._key)
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"session {self._name!r} cannot be loaded: {error}") from error

    # --- writing -----------------------------------------------------------------------------

    def check_room(self, held: Held, said: Sequence[Message]) -> None:
        """Raises ConfigError where there are more system messages than places."""
        newest((*held.session.messages, *said), self._most)

    def with_more(self, session: Session, messages: Sequence[Message]) -> Session:
        """The session with more messages, and no more than may be kept."""
        return session.said(messages, most=self._most)

    async def add_turn(self, held: Held, new: tuple[Message, ...]) -> None:
        """Saves a turn; where that fails, the next one does.

        Raises:
            StoreError: somebody else changed the session meanwhile.
        """
        before = self._unsaved
        messages = (*(before.messages if before else ()), *new)
        try:
            made, data = self.with_more(held.session, new).written(self._clock.time())
        except InvalidRequestError as error:
            await self._tell(StoreError(f"the answer cannot be saved: {error.message}"))
            return
        tried = (*(before.tried if before else ()), data)
        unsaved = _Unsaved(Held(made, held.data, held.saved_at), messages, tried)
        if before:  # from here on its write may have happened, also for a caller who is cancelled
            self._unsaved = unsaved
        try:
            expected = self._expected(held)
            if before and (found := await self._load()) in before.tried:
                expected = found  # the retry before this turn had happened, though it failed
            await self._save(data, expected, messages)
        except StoreError as error:
            if error.conflict:
                raise
            self._unsaved = unsaved
            await self._tell(error)
        else:
            self.known, self._unsaved = made, None

    async def add_partial(self, held: Held, said: tuple[Message, ...], answer: AIMessage) -> None:
        """Saves what came of an answer, if anything did; what fails is only told."""
        if not (answer.parts or answer.refusal):
            return
        metadata = {**answer.metadata, "interrupted": True}
        kept = replace(answer, tool_calls=(), metadata=metadata)
        try:
            await self.add_turn(held, (*said, kept))
        except StoreError as error:
            await self._tell(error)

    async def change(self, change: Callable[[Session], Session]) -> None:
        """Saves the session changed, after what is not saved yet.

        Raises:
            InvalidRequestError: it is no JSON.
            StoreError: it was not saved.
        """
        held = await self.load(must_save=True)
        made, data = change(held.session).written(self._clock.time())
        await self._save(data, self._expected(held), ())
        self.known = made

    async def delete(self) -> None:
        """Removes the session.

        Raises:
            StoreError: it could not be removed.
        """
        try:
            await self._store.delete(self._key)
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"session {self._name!r} cannot be deleted: {error}") from error
        self._unsaved, self.known = None, Session()

    def _expected(self, held: Held) -> bytes | None:
        """What the store holds if nobody else wrote: nothing, once the session's time is over."""
        if self._ttl is not None and held.saved_at is not None:
            over = self._clock.time() >= held.saved_at + self._ttl
            return None if over else held.data
        return held.data

    async def _save(self, data: bytes, expected: bytes | None, new: tuple[Message, ...]) -> None:
        """Writes data.

        Raises:
            StoreError: they were not written, or may not have been.
        """
        try:
            await self._store.save(self._key, data, self._ttl, expected)
        except StoreError as error:
            if not error.conflict:
                raise
            self._unsaved = None
            raise self._conflict(new) from error
        except Exception as error:
            raise StoreError(f"session {self._name!r} cannot be saved: {error}") from error

    def _conflict(self, new: tuple[Message, ...]) -> StoreError:
        return StoreError(
            f"session {self._name!r} was changed by somebody else meanwhile: "
            f"{len(new)} messages were not saved",
            conflict=True,
            unsaved=new,
        )

    async def _tell(self, error: StoreError) -> None:
        """Logs a failed save, and tells whoever wants to know."""
        logger.error("session %r: %s", self._name, error.message)
        if self._on_save_error is None:
            return
        try:
            told = self._on_save_error(error)
            if inspect.isawaitable(told):
                await told
        except Exception:
            logger.exception("on_save_error failed")

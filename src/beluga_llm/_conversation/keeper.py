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

from attrs import evolve

from beluga_llm._clock import Clock
from beluga_llm._conversation.session import Session, newest, read
from beluga_llm._conversation.stores import SessionStore
from beluga_llm._conversation.wanted import Held, Try, Wanted
from beluga_llm._errors import InvalidRequestError, StoreError
from beluga_llm._messages import AIMessage, Message, SystemMessage, replace

logger = logging.getLogger("beluga_llm.conversation")

OnSaveError: TypeAlias = Callable[[StoreError], Awaitable[None] | None]


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
        self._unsaved: Wanted | None = None

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
        found = read(data, self._name)
        if unsaved.is_in(found):
            self._unsaved = None
            return self._held(found, data)
        if not unsaved.may_replace(data, self._clock.time()):
            raise self._conflict(unsaved, found)
        session = unsaved.held.session
        held = Held(session, data, found.until)
        try:
            await self._save(evolve(unsaved, held=held))
        except StoreError as error:
            if error.conflict or must_save:
                raise
            await self._tell(error)
            return held
        self._unsaved, self.known = None, session
        return Held(session, unsaved.tries[-1].data, session.until)

    async def _read(self) -> Held:
        data = await self._load()
        return self._held(read(data, self._name), data)

    def _held(self, found: Session, data: bytes | None) -> Held:
        self.known = found
        return Held(found.instructed(self._system), data, found.until)

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
        try:
            wanted = self._wanted(held, self.with_more(held.session, new), new)
        except InvalidRequestError as error:
            await self._tell(StoreError(f"the answer cannot be saved: {error.message}"))
            return
        if before:  # from here on its write may have happened, also for a caller who is cancelled
            self._unsaved = wanted
        try:
            await self._save(wanted)
        except StoreError as error:
            if error.conflict:
                raise
            self._unsaved = wanted
            await self._tell(error)
        else:
            self.known, self._unsaved = wanted.held.session, None

    def _wanted(self, held: Held, session: Session, new: tuple[Message, ...] = ()) -> Wanted:
        """The session as it is to be saved, after what is not saved yet.

        Raises:
            InvalidRequestError: it is no JSON.
        """
        before = self._unsaved
        messages = (*(before.messages if before else ()), *new)
        made, data = session.written(self._clock.time(), self._ttl)
        last = Try(data, made.revisions[0], len(messages))
        tries = (*(before.tries if before else ()), last)
        return Wanted(Held(made, held.data, held.until), messages, tries)

    async def add_partial(
        self, held: Held | None, said: tuple[Message, ...], answer: AIMessage
    ) -> None:
        """Saves what came of an answer, if anything did; what fails is only told.

        Args:
            held: the session; None: as it is now.
            said: what was said.
            answer: what came.
        """
        if not (answer.parts or answer.refusal):
            return
        metadata = {**answer.metadata, "interrupted": True}
        kept = replace(answer, tool_calls=(), metadata=metadata)
        try:
            await self.add_turn(held or await self.load(), (*said, kept))
        except StoreError as error:
            await self._tell(error)

    async def change(self, change: Callable[[Session], Session]) -> None:
        """Saves the session changed, after what is not saved yet.

        Raises:
            InvalidRequestError: it is no JSON.
            StoreError: it was not saved.
        """
        held = await self.load(must_save=True)
        wanted = self._wanted(held, change(held.session))
        try:
            await self._save(wanted)
        except StoreError as error:
            if error.conflict or not await self._happened(wanted):
                raise
        self.known = wanted.held.session

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

    async def _save(self, wanted: Wanted) -> None:
        """Writes a session over what the store held before, or what was tried since.

        Raises:
            StoreError: it was not written, or may not have been.
        """
        expected = wanted.held.data
        while True:
            try:
                return await self._write(wanted.tries[-1].data, expected)
            except StoreError as error:
                if not error.conflict:
                    raise
                lost = error
            # It may be our own doing: a write that was repeated below us or that failed after it
            # had happened; or the session's time is over.
            data = await self._load()
            found = read(data, self._name)
            if wanted.is_in(found):
                return None
            if data == expected or not wanted.may_replace(data, self._clock.time()):
                raise self._conflict(wanted, found) from lost
            expected = data

    async def _write(self, data: bytes, expected: bytes | None) -> None:
        try:
            await self._store.save(self._key, data, self._ttl, expected)
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(f"session {self._name!r} cannot be saved: {error}") from error

    async def _happened(self, wanted: Wanted) -> bool:
        """Whether a write that failed is in the store all the same."""
        try:
            return wanted.is_in(read(await self._load(), self._name))
        except StoreError:
            return False

    def _conflict(self, wanted: Wanted, found: Session) -> StoreError:
        self._unsaved = None
        missing = wanted.missing_in(found)
        return StoreError(
            f"session {self._name!r} was changed by somebody else meanwhile: "
            f"{len(missing)} messages were not saved",
            conflict=True,
            unsaved=missing,
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

"""What is to be in a store, and what was tried to get it there."""

from __future__ import annotations

from attrs import frozen

from beluga_llm._conversation.session import Session
from beluga_llm._messages import Message


@frozen
class Held:
    """A session, and what its store holds of it.

    Attributes:
        session: with all turns that are known here.
        data: what the store held; None for nothing.
        until: unix seconds at which the store forgets that; None: never.
    """

    session: Session
    data: bytes | None
    until: float | None


@frozen
class Try:
    """A write that may have happened.

    Attributes:
        data: what was written.
        revision: its own.
        count: how many of the new messages are in it.
    """

    data: bytes
    revision: str
    count: int


@frozen
class Wanted:
    """A session that is to be in the store.

    Attributes:
        held: the session, and what the store held before.
        messages: those that are new.
        tries: all writes since then; the last one has the session.
    """

    held: Held
    messages: tuple[Message, ...]
    tries: tuple[Try, ...]

    def is_in(self, found: Session) -> bool:
        """Whether what the store holds is the session, or was made from it."""
        return self.tries[-1].revision in found.revisions

    def missing_in(self, found: Session) -> tuple[Message, ...]:
        """The new messages that never were in what the store holds."""
        counts = [one.count for one in self.tries if one.revision in found.revisions]
        return self.messages[max(counts, default=0) :]

    def may_replace(self, data: bytes | None, now: float) -> bool:
        """Whether nobody else wrote what the store holds."""
        if data is None and self.held.until is not None and now >= self.held.until:
            return True
        return data == self.held.data or any(data == one.data for one in self.tries)

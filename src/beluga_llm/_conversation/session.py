"""The data of a conversation: messages, metadata and times, as one JSON text.

Every saved state has a random revision, and names those that it was made from. So two states are
never equal bytes, and whoever failed to hear of a success can find out that it was one, also after
somebody else went on from there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import evolve, field, frozen

from beluga_llm import _json
from beluga_llm._context.groups import places_together
from beluga_llm._errors import ConfigError, InvalidRequestError, StoreError
from beluga_llm._messages import Message, SystemMessage
from beluga_llm._serialize import from_dict, to_dict

VERSION = 1
REMEMBERED = 32
"""Revisions that a state names, its own included."""


@frozen
class Session:
    """A conversation at one moment.

    Attributes:
        messages: in order, system messages included.
        metadata: the application's.
        created_at, updated_at: unix seconds; None before the first save.
        until: unix seconds at which the store forgets it; None: never.
        revisions: its own, then those that it was made from, the newest first.
    """

    messages: tuple[Message, ...] = ()
    metadata: Mapping[str, Any] = field(factory=dict)
    created_at: float | None = None
    updated_at: float | None = None
    until: float | None = None
    revisions: tuple[str, ...] = ()

    def said(self, messages: Sequence[Message], *, most: int | None) -> Session:
        """With more messages, and no more than `most` of them.

        Raises:
            ConfigError: there are more system messages than places.
        """
        return evolve(self, messages=newest((*self.messages, *messages), most))

    def instructed(self, system: SystemMessage | None) -> Session:
        """With this system message first, instead of the one that was."""
        if system is None or self.messages[:1] == (system,):
            return self
        return evolve(self, messages=(system, *self.messages[self.instructed_by :]))

    @property
    def instructed_by(self) -> int:
        """How many system messages it begins with: one or none."""
        return int(bool(self.messages) and isinstance(self.messages[0], SystemMessage))

    def written(self, now: float, ttl: float | None = None) -> tuple[Session, bytes]:
        """The session as it is saved now, and its data.

        Args:
            now: unix seconds.
            ttl: seconds after which the store forgets it.

        Raises:
            InvalidRequestError: the metadata, or those of a message, are no JSON.
        """
        session = evolve(
            self,
            created_at=now if self.created_at is None else self.created_at,
            updated_at=now,
            until=None if ttl is None else now + ttl,
            revisions=(os.urandom(8).hex(), *self.revisions[: REMEMBERED - 1]),
        )
        data = {
            "v": VERSION,
            "revisions": session.revisions,
            "created_at": session.created_at,
            "updated_at": session.updated_at,
            "until": session.until,
            "metadata": dict(self.metadata),
            "messages": [to_dict(message) for message in self.messages],
        }
        return session, _dumps(data)


def check_json(messages: Sequence[Message]) -> None:
    """Holds messages to what can be saved, before anything is asked.

    Raises:
        InvalidRequestError: their metadata are no JSON.
    """
    _dumps([to_dict(message) for message in messages])


def _dumps(data: Any) -> bytes:
    try:
        return _json.dumps(data)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"a conversation is saved as JSON: {error}") from error


def read(data: bytes | None, id: str) -> Session:
    """The session of some data; an empty one of none.

    Raises:
        StoreError: they are no session, or of a newer version.
    """
    if data is None:
        return Session()
    try:
        found = _json.loads(data)
        if found["v"] != VERSION:
            raise StoreError(f"session {id!r} is of version {found['v']!r}, which is not supported")
        return Session(
            tuple(map(from_dict, found["messages"])),
            dict(found["metadata"]),
            float(found["created_at"]),
            float(found["updated_at"]),
            None if (until := found.get("until")) is None else float(until),
            tuple(found.get("revisions", ())),
        )
    except StoreError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"session {id!r} cannot be read: {error}") from error


def newest(messages: Sequence[Message], most: int | None) -> tuple[Message, ...]:
    """At most so many messages: all system messages, then the newest groups that fit whole.

    Raises:
        ConfigError: there are more system messages than places.
    """
    if most is None or len(messages) <= most:
        return tuple(messages)
    spoken = [
        group
        for group in places_together(messages)
        if not isinstance(messages[group[0]], SystemMessage)
    ]
    left = most - (len(messages) - sum(map(len, spoken)))
    if left < 0:
        raise ConfigError(f"max_messages={most} has no place for all system messages")
    kept: set[int] = set()
    for group in reversed(spoken):  # pragma: no branch -- there is no room for all
        if len(group) > left:
            break
        left -= len(group)
        kept.update(group)
    return tuple(
        message
        for place, message in enumerate(messages)
        if place in kept or isinstance(message, SystemMessage)
    )


def moment(seconds: float | None) -> datetime | None:
    """Unix seconds as a time in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

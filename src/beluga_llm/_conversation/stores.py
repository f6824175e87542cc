"""Where conversations are kept: in memory, and in one SQLite file.

A store keeps bytes under ids; a Redis or any other one is an object with the same three methods.
The group of entry points `beluga_llm.stores` gives them names.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from beluga_llm._clock import SYSTEM_CLOCK, WALL_CLOCK, Clock
from beluga_llm._closing import Closing
from beluga_llm._errors import StoreError
from beluga_llm._faults import Faults
from beluga_llm._sqlite import SQLiteFile


@runtime_checkable
class SessionStore(Protocol):
    """Keeps the data of conversations. What it raises becomes a StoreError."""

    async def load(self, id: str) -> bytes | None:
        """The data; None where there are none, or their time is over."""
        ...

    async def save(self, id: str, data: bytes, ttl: float | None, expected: bytes | None) -> None:
        """Keeps data for `ttl` seconds, whole or not at all; None: for ever.

        Args:
            id: whose data.
            data: what to keep.
            ttl: seconds from now.
            expected: what `load` gave before. A store that can compare raises `conflict_of(id)`
                where it holds anything else, and writes nothing; None: nothing may be there.
        """
        ...

    async def delete(self, id: str) -> None:
        """Removes data, if there are any."""
        ...


def conflict_of(id: str) -> StoreError:
    """What a store raises where it does not hold what is expected."""
    return StoreError(f"session {id!r} was changed by somebody else", conflict=True)


class MemoryStore(Faults, Closing):
    """A store in this process, for any number of threads and event loops.

    Tests look into it with `keys()` and have it fail with `fail_next(error)`.

    Args:
        clock: what tells the time.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SYSTEM_CLOCK
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[bytes, float | None]] = {}

    async def load(self, id: str) -> bytes | None:
        """The data; None where there are none, or their time is over."""
        self._fault("load")
        with self._lock:
            return self._get(id)

    async def save(self, id: str, data: bytes, ttl: float | None, expected: bytes | None) -> None:
        """Keeps data, if the expected ones are there.

        Raises:
            StoreError: others are.
        """
        self._fault("save")
        with self._lock:
            if self._get(id) != expected:
                raise conflict_of(id)
            now = self._clock.time()
            self._sessions[id] = data, None if ttl is None else now + ttl
            over = [one for one, (_, until) in self._sessions.items() if _over(until, now)]
            for one in over:
                del self._sessions[one]

    async def delete(self, id: str) -> None:
        """Removes data, if there are any."""
        self._fault("delete")
        with self._lock:
            self._sessions.pop(id, None)

    async def clear(self) -> None:
        """Removes the data of all conversations."""
        self._fault("clear")
        with self._lock:
            self._sessions.clear()

    def keys(self) -> list[str]:
        """The ids whose time is not over."""
        with self._lock:
            return [known for known in self._sessions if self._get(known) is not None]

    async def aclose(self) -> None:
        """Does nothing: the conversations stay for whoever asks again."""

    def _get(self, id: str) -> bytes | None:
        data, until = self._sessions.get(id, (None, None))
        return None if _over(until, self._clock.time()) else data

    def __repr__(self) -> str:
        return f"<MemoryStore {len(self._sessions)} sessions>"


def _over(until: float | None, now: float) -> bool:
    return until is not None and now >= until


_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, data BLOB NOT NULL, until REAL);
CREATE INDEX IF NOT EXISTS sessions_until ON sessions (until);
"""

# Each is one statement: it waits for the lock of other processes and then sees what they wrote.
_ADD = """
INSERT INTO sessions (id, data, until) VALUES (:id, :data, :until)
ON CONFLICT (id) DO UPDATE SET data = :data, until = :until WHERE sessions.until <= :now
"""
_CHANGE = """
UPDATE sessions SET data = :data, until = :until
WHERE id = :id AND data = :expected AND (until IS NULL OR until > :now)
"""


class SQLiteStore(Closing):
    """A store in one file, for several processes and the next start.

    The file is opened at the first use, and all work is done in threads. A process that is killed
    in the middle of a write leaves the conversation as it was before.

    Args:
        path: the file; it is made where it does not exist.
        clock: what tells the time, in unix seconds.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None) -> None:
        self.path = Path(path)
        self._clock = clock or WALL_CLOCK
        self._file = SQLiteFile(path, _SCHEMA)

    async def load(self, id: str) -> bytes | None:
        """The data; None where there are none, or their time is over."""
        now = self._clock.time()
        found = await self._file.run(
            lambda base: base.execute(
                "SELECT data FROM sessions WHERE id = ? AND (until IS NULL OR until > ?)",
                (id, now),
            ).fetchone()
        )
        return None if found is None else bytes(found[0])

    async def save(self, id: str, data: bytes, ttl: float | None, expected: bytes | None) -> None:
        """Keeps data, if the expected ones are there.

        Raises:
            StoreError: others are.
        """
        now = self._clock.time()
        until = None if ttl is None else now + ttl
        facts = {"id": id, "data": data, "until": until, "expected": expected, "now": now}

        def write(base: Any) -> bool:
            count: int = base.execute(_ADD if expected is None else _CHANGE, facts).rowcount
            base.execute("DELETE FROM sessions WHERE until <= ?", (now,))
            return count == 1

        if not await self._file.run(write):
            raise conflict_of(id)

    async def delete(self, id: str) -> None:
        """Removes data, if there are any."""
        await self._file.run(lambda base: base.execute("DELETE FROM sessions WHERE id = ?", (id,)))

    async def aclose(self) -> None:
        """Closes the file; a later use opens it again."""
        await self._file.aclose()

    def __repr__(self) -> str:
        return f"<SQLiteStore {self.path.name}>"

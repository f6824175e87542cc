"""Stores of cached answers: in memory, and in one SQLite file.

A store keeps bytes under keys; a Redis or any other one is an object with the same five methods.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from beluga_llm._clock import SYSTEM_CLOCK, WALL_CLOCK, Clock
from beluga_llm._closing import Closing
from beluga_llm._errors import ConfigError
from beluga_llm._faults import Faults
from beluga_llm._sqlite import SQLiteFile


@runtime_checkable
class CacheStore(Protocol):
    """Keeps bytes for some time."""

    async def get(self, key: str) -> bytes | None:
        """The value; None where there is none, or its time is over."""
        ...

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Keeps a value for `ttl` seconds; None: for ever."""
        ...

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one."""
        ...

    async def clear(self) -> None:
        """Removes all values."""
        ...

    async def aclose(self) -> None:
        """Closes what the store opened."""
        ...


class MemoryCache(Faults, Closing):
    """A store in this process; when it is full, the value goes that was not asked for longest.

    Tests look into it with `keys()` and have it fail with `fail_next(error)`.

    Args:
        max_size: how many values it keeps.
        clock: what tells the time.

    Raises:
        ConfigError: the size is smaller than 1.
    """

    def __init__(self, max_size: int = 1000, *, clock: Clock | None = None) -> None:
        if not max_size >= 1:
            raise ConfigError(f"max_size must be at least 1, got {max_size!r}")
        self.max_size = max_size
        self._clock = clock or SYSTEM_CLOCK
        self._lock = threading.Lock()
        self._values: OrderedDict[str, tuple[bytes, float | None]] = OrderedDict()

    async def get(self, key: str) -> bytes | None:
        """The value; None where there is none, or its time is over."""
        self._fault("get")
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            value, until = found
            if until is not None and self._clock.time() >= until:
                del self._values[key]
                return None
            self._values.move_to_end(key)
            return value

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Keeps a value for `ttl` seconds; None: for ever."""
        self._fault("set")
        until = None if ttl is None else self._clock.time() + ttl
        with self._lock:
            self._values[key] = value, until
            self._values.move_to_end(key)
            while len(self._values) > self.max_size:
                self._values.popitem(last=False)

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one."""
        self._fault("delete")
        with self._lock:
            self._values.pop(key, None)

    async def clear(self) -> None:
        """Removes all values."""
        self._fault("clear")
        with self._lock:
            self._values.clear()

    def keys(self) -> list[str]:
        """The keys whose time is not over, the longest unused first."""
        now = self._clock.time()
        with self._lock:
            return [key for key, (_, until) in self._values.items() if until is None or now < until]

    async def aclose(self) -> None:
        """Does nothing: the values stay for whoever asks again."""

    def __repr__(self) -> str:
        return f"<MemoryCache {len(self._values)} of {self.max_size}>"


_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, value TEXT NOT NULL, until REAL);
CREATE INDEX IF NOT EXISTS answers_until ON answers (until);
"""


class SQLiteCache(Closing):
    """A store in one file, for several processes and the next start; its values are JSON text.

    The file is opened at the first use, and all work is done in threads. A process that is killed
    in the middle of a write leaves the value before it.

    Args:
        path: the file; it is made where it does not exist.
        clock: what tells the time, in unix seconds.
    """

    def __init__(self, path: str | Path, *, clock: Clock | None = None) -> None:
        self.path = Path(path)
        self._clock = clock or WALL_CLOCK
        self._file = SQLiteFile(path, _SCHEMA)

    async def get(self, key: str) -> bytes | None:
        """The value; None where there is none, or its time is over."""
        now = self._clock.time()
        found = await self._file.run(
            lambda base: base.execute(
                "SELECT value FROM answers WHERE key = ? AND (until IS NULL OR until > ?)",
                (key, now),
            ).fetchone()
        )
        return None if found is None else str(found[0]).encode("utf-8", "surrogatepass")

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Keeps a value for `ttl` seconds; None: for ever."""
        now = self._clock.time()
        text = value.decode("utf-8", "surrogatepass")
        until = None if ttl is None else now + ttl

        def write(base: Any) -> None:
            base.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, text, until))
            base.execute("DELETE FROM answers WHERE until <= ?", (now,))

        await self._file.run(write)

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one."""
        await self._file.run(lambda base: base.execute("DELETE FROM answers WHERE key = ?", (key,)))

    async def clear(self) -> None:
        """Removes all values."""
        await self._file.run(lambda base: base.execute("DELETE FROM answers"))

    async def aclose(self) -> None:
        """Closes the file; a later use opens it again."""
        await self._file.aclose()

    def __repr__(self) -> str:
        return f"<SQLiteCache {self.path.name}>"

"""Stores of cached answers: in memory, and in one SQLite file.

A store keeps bytes under keys; a Redis or any other one is an object with the same five methods.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from beluga_llm._clock import SYSTEM_CLOCK, WALL_CLOCK, Clock
from beluga_llm._errors import ConfigError

T = TypeVar("T")


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


class MemoryCache:
    """A store in this process; when it is full, the value goes that was not asked for longest.

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
        until = None if ttl is None else self._clock.time() + ttl
        with self._lock:
            self._values[key] = value, until
            self._values.move_to_end(key)
            while len(self._values) > self.max_size:
                self._values.popitem(last=False)

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one."""
        with self._lock:
            self._values.pop(key, None)

    async def clear(self) -> None:
        """Removes all values."""
        with self._lock:
            self._values.clear()

    async def aclose(self) -> None:
        """Does nothing: the values stay for whoever asks again."""

    def __repr__(self) -> str:
        return f"<MemoryCache {len(self._values)} of {self.max_size}>"


_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, value TEXT NOT NULL, until REAL);
CREATE INDEX IF NOT EXISTS answers_until ON answers (until);
"""


class SQLiteCache:
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
        self._lock = threading.Lock()
        self._connection: Any = None

    async def get(self, key: str) -> bytes | None:
        """The value; None where there is none, or its time is over."""
        now = self._clock.time()
        found = await self._run(
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

        await self._run(write)

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one."""
        await self._run(lambda base: base.execute("DELETE FROM answers WHERE key = ?", (key,)))

    async def clear(self) -> None:
        """Removes all values."""
        await self._run(lambda base: base.execute("DELETE FROM answers"))

    async def aclose(self) -> None:
        """Closes the file; a later use opens it again."""
        await asyncio.to_thread(self._close)

    async def _run(self, work: Callable[[Any], T]) -> T:
        return await asyncio.to_thread(self._locked, work)

    def _locked(self, work: Callable[[Any], T]) -> T:
        with self._lock:
            if self._connection is None:
                self._connection = self._open()
            with self._connection as base:  # one transaction
                return work(base)

    def _open(self) -> Any:
        import sqlite3

        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=30, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __repr__(self) -> str:
        return f"<SQLiteCache {self.path.name}>"

"""One SQLite file: opened at its first use, worked on in threads, one transaction at a time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from beluga_llm._closing import until_done

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds to wait for other processes that write."""


class SQLiteFile:
    """A file with tables; a process that is killed in the middle of a write leaves it as before.

    Args:
        path: the file; it and its folder are made where they do not exist.
        schema: statements that make the tables where they do not exist.
    """

    def __init__(self, path: str | Path, schema: str) -> None:
        self.path = Path(path)
        self._schema = schema
        self._lock = threading.Lock()
        self._connection: Any = None
        self._process = 0

    async def run(self, work: Callable[[Any], T]) -> T:
        """What a function of the connection gives; what it writes is one transaction.

        A cancelled caller waits for its end too: nothing is written behind its back.
        """
        task = asyncio.ensure_future(asyncio.to_thread(self._locked, work))
        try:
            return await asyncio.shield(task)
        finally:
            await until_done(task)

    async def aclose(self) -> None:
        """Closes the file; a later use opens it again."""
        await asyncio.to_thread(self._close)

    def _locked(self, work: Callable[[Any], T]) -> T:
        with self._lock:
            if self._connection is None or self._process != os.getpid():
                self._connection, self._process = self._open(), os.getpid()
            with self._connection as base:  # one transaction
                return work(base)

    def _open(self) -> Any:
        import sqlite3

        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=PATIENCE, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(self._schema)
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None and self._process == os.getpid():
            connection.close()

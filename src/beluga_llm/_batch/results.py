"""The output of a batch: one line for each line of the input, written when it is there.

A line is written by one system call where the system takes it whole, so that a process that is
killed leaves whole lines and, at most, the beginning of one, which the next run removes. What was
written is not held back in a buffer. The file is locked while it is written, where the system has
such locks (not on Windows), for as long as the process lives and no longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import tempfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from stat import S_IMODE
from typing import Any

from beluga_llm import _json
from beluga_llm._batch.cut import may_be_cut
from beluga_llm._batch.lines import Line, LineId
from beluga_llm._errors import BelugaError, StoreError
from beluga_llm._messages import AIMessage
from beluga_llm._serialize import to_dict

STEP = 1 << 18
"""Bytes that are read at a time, between which other tasks have their turn."""

PART = ".part"
"""The end of the name of a file that is to take the output's place."""


class Finished:
    """What an output holds already.

    Attributes:
        ids: of the lines that have one.
        numbers: of the other lines.
        failed: how many of all are failures.
    """

    def __init__(self) -> None:
        self.ids: set[LineId] = set()
        self.numbers: set[int] = set()
        self.failed = 0

    def __len__(self) -> int:
        return len(self.ids) + len(self.numbers)

    def add(self, result: Mapping[str, Any]) -> None:
        """A result that is there."""
        if result["id"] is None:
            self.numbers.add(result["line"])
        else:
            self.ids.add(result["id"])
        self.failed += "error" in result


class Output:
    """An output file, open and locked; made by `opened`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _locked(path)
        self.finished = Finished()

    def write(self, line: Line, outcome: AIMessage | Exception) -> None:
        """Writes the result of a line, so that it outlives this process.

        Raises:
            OSError: it cannot be written; it names the file.
        """
        try:
            text = _json.dumps(_result(line, outcome))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:  # no data
            text = json.dumps(_result(line, error), separators=(",", ":")).encode()
        before = os.lseek(self._file, 0, os.SEEK_CUR)
        try:
            self._write(self._file, memoryview(text + b"\n"))
        except OSError:
            with contextlib.suppress(OSError):  # what comes after half a line would be lost too
                os.ftruncate(self._file, before)
                os.lseek(self._file, before, os.SEEK_SET)
            raise

    async def read(self, *, retry_failed: bool) -> None:
        """Learns what is there, and removes half a line at the end; a whole one gets its newline.

        Args:
            retry_failed: remove failures too, so that their lines are asked again.
        """
        whole, failures, ended = 0, False, True
        async with contextlib.aclosing(lines_of(self._file)) as lines:
            async for number, text in lines:
                ended = text.endswith(b"\n")
                if not ended and _is_cut(text):
                    break
                result = self._checked(number, text)
                failures = failures or "error" in result
                self.finished.add(result)
                whole += len(text)
        if whole != os.fstat(self._file).st_size:
            with self._named():
                os.ftruncate(self._file, whole)
        elif not ended:
            self._write(self._file, memoryview(b"\n"))
        if retry_failed and failures:
            await self._without_failures()
        os.lseek(self._file, 0, os.SEEK_END)

    async def _without_failures(self) -> None:
        """Puts a copy without the failures in the file's place, at once."""
        path = self._path.resolve()  # a link stays one
        with self._named():
            copy, part = tempfile.mkstemp(PART, f"{path.name}.", path.parent)
        try:
            _lock(copy, path)
            with self._named():
                os.chmod(part, S_IMODE(os.fstat(self._file).st_mode))
            self.finished = Finished()
            async with contextlib.aclosing(lines_of(self._file)) as lines:
                async for number, text in lines:
                    result = self._checked(number, text)
                    if "error" not in result:
                        self._write(copy, memoryview(text))
                        self.finished.add(result)
            with self._named():
                os.replace(part, path)
        except BaseException:
            os.close(copy)
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise
        os.close(self._file)
        self._file = copy

    def _checked(self, number: int, text: bytes) -> Mapping[str, Any]:
        """A line of the file, if it is a result of ours: nobody's data are to be spoilt."""
        with contextlib.suppress(_json.JsonError):
            match result := _json.loads(text):
                case {"id": str() | int() | None, "line": int(), "error": {}} | {
                    "id": str() | int() | None,
                    "line": int(),
                    "message": {},
                }:
                    return dict(result)
        raise StoreError(f"{self._path}: line {number} is no result of a batch; name another file")

    def _write(self, file: int, data: memoryview) -> None:
        with self._named():
            while data:
                data = data[os.write(file, data) :]

    @contextlib.contextmanager
    def _named(self) -> Any:
        """Errors of the system with the name of the file."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def close(self) -> None:
        """Gives the file free."""
        os.close(self._file)


def _is_cut(text: bytes) -> bool:
    try:
        _json.loads(text)
    except _json.JsonError:
        return may_be_cut(text)
    return False


async def lines_of(file: int) -> AsyncGenerator[tuple[int, bytes], None]:
    """The lines of an open file with their numbers, in small steps; the last may have no end."""
    os.lseek(file, 0, os.SEEK_SET)
    number, pieces = 0, list[bytes]()
    while data := os.read(file, STEP):
        *whole, rest = data.split(b"\n")
        for text in whole:
            number += 1
            line = b"".join((*pieces, text, b"\n"))
            pieces.clear()
            yield number, line
        pieces.append(rest)
        await asyncio.sleep(0)
    if last := b"".join(pieces):
        yield number + 1, last


def _locked(path: Path) -> int:
    """The file, made if it is not there, for this process alone.

    Raises:
        OSError: it cannot be opened for writing.
        StoreError: another process writes it.
    """
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            _lock(file, path)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.stat(path)):
                    return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # another process has just put another file in its place


def _lock(file: int, path: Path) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:  # pragma: no cover -- Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):  # pragma: no cover -- no locks there
            return
        raise StoreError(f"{path} is being written by another process") from error


def _result(line: Line, outcome: AIMessage | Exception) -> dict[str, Any]:
    found: dict[str, Any] = {"id": line.id, "line": line.number}
    if isinstance(outcome, AIMessage):
        return {**found, "text": outcome.text, "message": to_dict(outcome)}
    return {**found, "error": _failure(outcome)}


def _failure(error: Exception) -> dict[str, Any]:
    """An error as data: what it is, and what is known of it."""
    if not isinstance(error, BelugaError):
        return {"code": "error", "type": type(error).__name__, "message": str(error)}
    facts = {
        name: value
        for name in ("status", "provider_code", "request_id", "retry_after")
        if (value := getattr(error, name)) is not None
    }
    return {
        "code": error.code,
        "type": type(error).__name__,
        "message": error.message,
        "retryable": error.retryable,
        **facts,
    }

"""Utilities over streams: change their text, read ahead, share one among several consumers.

All take a `ChatStream` or any async iterable of chunks, own it from then on, and close it when
nobody reads it any more:

    async with streams.tee(model.stream("..."), 2) as (shown, logged):
        ...

`buffer` and `tee` read in one task of their own, which begins when the `async with` is entered and
has ended, with the source closed, when it is left. That task waits for room before it reads, so
never more chunks are held than asked for. What the source raises, each consumer sees after the
chunks that came before it. A consumer that is cancelled only stops itself waiting: it loses no
chunk, and the others go on.

The slowest open consumer of a `tee` bounds the others. Read them in tasks of their own, and close
one that you leave early, or its buffer fills and the others wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from typing import Any, Generic, Literal, Self, TypeVar

from beluga_llm._chunks import StreamChunk
from beluga_llm._closing import until_done
from beluga_llm._messages import replace

__all__ = ["Branch", "MappedStream", "SharedStream", "buffer", "map_text", "tee"]

T = TypeVar("T")


def map_text(stream: AsyncIterable[StreamChunk], function: Callable[[str], str]) -> MappedStream:
    """The stream with every text delta changed by a function; all else as it is.

    Use it as `async with map_text(stream, str.upper) as chunks:`, or iterate it at once.
    """
    return MappedStream(stream, function)


def buffer(stream: AsyncIterable[StreamChunk], n: int) -> SharedStream[Branch]:
    """The stream, read up to `n` chunks ahead of its consumer.

    `async with buffer(stream, 16) as chunks:`
    """
    return SharedStream(stream, (1, n), lambda branches: branches[0])


def tee(
    stream: AsyncIterable[StreamChunk], n: int = 2, *, size: int = 256
) -> SharedStream[tuple[Branch, ...]]:
    """The stream `n` times: each consumer gets every chunk.

    Args:
        stream: what to share.
        n: how many consumers.
        size: how many chunks a consumer may be ahead of the slowest open one.
    """
    return SharedStream(stream, (n, size), lambda branches: branches)


class MappedStream:
    """What `map_text` gives."""

    def __init__(self, source: AsyncIterable[StreamChunk], function: Callable[[str], str]) -> None:
        self._source = source
        self._chunks = _mapped(source, function)

    def __aiter__(self) -> AsyncIterator[StreamChunk]:
        return self._chunks

    async def aclose(self) -> None:
        """Closes the source."""
        await self._chunks.aclose()
        await _close(self._source)  # a generator that never began has no clean-up

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


async def _mapped(
    source: AsyncIterable[StreamChunk], function: Callable[[str], str]
) -> AsyncGenerator[StreamChunk, None]:
    try:
        async for chunk in source:
            yield replace(chunk, delta=function(chunk.delta)) if chunk.delta else chunk
    finally:
        await _close(source)


async def _close(source: Any) -> None:
    aclose = getattr(source, "aclose", None)
    if aclose is not None:
        await aclose()


class SharedStream(Generic[T]):
    """What `buffer` and `tee` give: `async with` it to get its consumers' views."""

    def __init__(
        self,
        source: AsyncIterable[StreamChunk],
        limits: tuple[int, int],
        give: Callable[[tuple[Branch, ...]], T],
    ) -> None:
        if min(limits) < 1:
            raise ValueError(
                f"a number of consumers or chunks must be at least 1, got {min(limits)}"
            )
        self._source = source
        self._limits = limits
        self._give = give
        self._reader: _Reader | None = None

    async def __aenter__(self) -> T:
        if self._reader is not None:
            raise RuntimeError("stream can be shared only once")
        self._reader = _Reader(self._source, *self._limits)
        return self._give(self._reader.branches)

    async def __aexit__(self, *exc: object) -> None:
        if self._reader is not None:
            await self._reader.close()


class Branch:
    """One consumer's view of a shared stream: every chunk, in order.

    It is closed by `aclose()`, by leaving `async with branch`, and with the whole; it then ends.
    """

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._chunks: deque[StreamChunk] = deque()
        self._news = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamChunk:
        while not self._chunks:
            if self._reader.is_over(self):
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        self._reader.room.set()
        return self._chunks.popleft()

    async def aclose(self) -> None:
        """Takes this consumer out; the last one closes the source."""
        await self._reader.leave(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


class _Reader:
    """The task that reads the source for all consumers."""

    def __init__(self, source: AsyncIterable[StreamChunk], consumers: int, size: int) -> None:
        self.room = asyncio.Event()
        self.branches = tuple(Branch(self) for _ in range(consumers))
        self._open = set(self.branches)
        self._source = source
        self._size = size
        self._error: BaseException | None = None
        self._state: Literal["new", "reading", "ended"] = "new"
        self._closing = False
        self._task = asyncio.create_task(self._read(), name="beluga-llm stream reader")

    def is_over(self, branch: Branch) -> bool:
        """Whether nothing more comes; raises the source's error once for each consumer."""
        if branch not in self._open:
            return True
        if self._state != "ended":
            return False
        self._open.discard(branch)
        if self._error is not None:
            raise self._error
        return True

    async def leave(self, branch: Branch) -> None:
        self._drop(branch)
        if not self._open:
            await self.close()

    async def close(self) -> None:
        """Ends the task and the source; a cancellation of the caller is passed on after that."""
        for branch in self.branches:
            self._drop(branch)
        if not self._closing:
            self._closing = True
            self._task.cancel()
        await until_done(self._task)
        if self._state == "new":  # cancelled before its first step
            self._state = "ended"
            await _close(self._source)

    def _drop(self, branch: Branch) -> None:
        self._open.discard(branch)
        branch._chunks.clear()
        branch._news.set()
        self.room.set()

    async def _read(self) -> None:
        self._state = "reading"
        try:
            await self._copy()
        except BaseException as error:
            self._error = error
            if not isinstance(error, Exception):
                raise
        finally:
            self._state = "ended"
            for branch in self._open:
                branch._news.set()

    async def _copy(self) -> None:
        try:
            chunks = aiter(self._source)
            while True:
                await self._wait_for_room()
                # Not anext(chunks, None): where __anext__ itself raises, as that of a closed stream
                # does, a default has CPython 3.11 to 3.13 crash.
                try:
                    chunk = await anext(chunks)
                except StopAsyncIteration:
                    return
                for branch in self._open:
                    branch._chunks.append(chunk)
                    branch._news.set()
        finally:
            await _close(self._source)

    async def _wait_for_room(self) -> None:
        while any(len(branch._chunks) >= self._size for branch in self._open):
            self.room.clear()
            await self.room.wait()

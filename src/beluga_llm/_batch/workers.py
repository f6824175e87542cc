"""A bounded number of workers for any number of items, which are read only when a worker is free.

The workers are one task group, and errors are values inside it: no ExceptionGroup comes out, and a
cancellation from outside is never hidden behind an error. The first error cancels the others; all
have ended before it is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
)
from typing import Any, Generic, TypeAlias, TypeVar

from beluga_llm._errors import InvalidRequestError
from beluga_llm._messages import Message

T = TypeVar("T")

Items: TypeAlias = Iterable[T] | AsyncIterable[T]

_TURN = 16
"""Items after which other tasks have their turn, where answers, as those of a cache, never wait."""


class Workers(Generic[T]):
    """Has `answer(index, item)` awaited for every item, so many at the same time.

    Args:
        answer: what is done with an item; what it raises ends everything.
        items: read one by one, each when there is a place for it.
        limit: how many places there are.
    """

    def __init__(
        self, answer: Callable[[int, T], Awaitable[None]], items: Items[T], *, limit: int
    ) -> None:
        self._answer = answer
        self._items = items
        self._limit = limit
        self._read = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._failures: list[Exception] = []

    async def run(self) -> None:
        """Returns when all items were answered, and a generator of items is closed.

        Raises:
            Exception: the first error, in time, of an answer or of reading the items.
        """
        try:
            await self._run()
        finally:
            await _closed(self._items)

    async def _run(self) -> None:
        self._reading = asyncio.Lock()
        self._next = _reader(self._items)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._one_more()
        except BaseExceptionGroup as failed:  # with what is no Exception, such as pytest.fail's
            raise failed.exceptions[0] from None
        if self._failures:
            raise self._failures[0]
        for task in self._tasks:
            task.result()  # raises CancelledError where an answer did so of its own accord

    def _one_more(self) -> None:
        self._tasks.append(self._group.create_task(self._work()))

    async def _work(self) -> None:
        try:
            while not self._failures and (found := await self._item()) is not None:
                if len(self._tasks) < self._limit:
                    self._one_more()  # it waits for the next item
                await self._answer(*found)
        except Exception as error:  # noqa: BLE001 -- raised by `run`, when all have ended
            self._failures.append(error)
            if len(self._failures) == 1:  # once, so that nobody's clean-up is interrupted
                for task in self._tasks:
                    if task is not asyncio.current_task():
                        task.cancel()

    async def _item(self) -> tuple[int, T] | None:
        async with self._reading:
            try:
                item = await self._next()
            except StopAsyncIteration:
                return None
            self._read += 1
            if self._read % _TURN == 0:
                await asyncio.sleep(0)
            return self._read - 1, item


def _reader(items: Items[T]) -> Callable[[], Awaitable[T]]:
    """Gives the next item, or raises StopAsyncIteration, now and whenever it is asked again."""
    if isinstance(items, AsyncIterable):
        return items.__aiter__().__anext__
    iterator = iter(items)

    async def read() -> T:
        for item in iterator:
            return item
        raise StopAsyncIteration

    return read


async def _closed(items: Any) -> None:
    """Ends a generator that was not read to its end now, not when it is collected.

    What goes wrong here must not hide why nobody reads it any more.
    """
    try:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
        elif isinstance(items, Generator):
            items.close()
    except Exception as error:  # noqa: BLE001 -- told as asyncio tells it of generators
        told = {"message": "closing the inputs of a batch failed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(told)


def check_items(inputs: Any) -> None:
    """Raises TypeError for what is no iterable, or one input that would be taken apart."""
    one = isinstance(inputs, str | bytes | bytearray | Mapping | Message)
    if one or not isinstance(inputs, Iterable | AsyncIterable):
        kind = type(inputs).__name__
        raise TypeError(f"a batch takes an iterable of inputs, not one {kind}: write [input]")


def places(asked: int | None, configured: int) -> int:
    """How many calls may be under way.

    Raises:
        InvalidRequestError: the number is none, or less than 1.
    """
    if asked is None:
        return configured
    if type(asked) is not int or asked < 1:
        raise InvalidRequestError(
            f"max_concurrency must be an integer of at least 1, got {asked!r}"
        )
    return asked

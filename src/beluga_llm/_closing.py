"""Closing several things: all of them, whatever happens to one."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType


class Closing:
    """What has an `aclose` is an async context manager: it is closed when its block is left."""

    @abstractmethod
    async def aclose(self) -> None:
        """Closes what was opened here."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


async def close_each(closers: Iterable[Callable[[], Awaitable[None]]]) -> list[Exception]:
    """Calls all closers, one after the other; gives what failed.

    A cancellation is passed on when all were called.
    """
    errors: list[Exception] = []
    interrupted: BaseException | None = None
    for close in closers:
        try:
            await close()
        except Exception as error:  # noqa: BLE001 -- all are closed, then all are told
            errors.append(error)
        except BaseException as error:  # noqa: BLE001 -- cancelled: passed on below
            interrupted = error
    if interrupted is not None:
        raise interrupted
    return errors


async def until_done(task: asyncio.Task[Any]) -> None:
    """Waits for a task that was told to end, as asyncio.TaskGroup does for its own."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled

"""One of something for each event loop: connections belong to the loop that opened them.

Each has a *keeper*, an async generator that waits for nothing: the loop closes it when the loop
itself shuts down, and with it what nobody has closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any, Generic, NamedTuple, Self, TypeVar

T = TypeVar("T")


class _Kept(NamedTuple):
    thing: Any
    keeper: AsyncGenerator[None, None]


class PerLoop(Generic[T]):
    """Things of event loops, each made at its first use.

    Args:
        make: makes one, in the loop that it is for.
        close: closes one; a use while it closes makes another.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._of: dict[asyncio.AbstractEventLoop, _Kept] = {}

    def get(self) -> T:
        """That of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._of:
            for dead in [known for known in tuple(self._of) if known.is_closed()]:
                self._of.pop(dead, None)
            made = self._make()
            self._of[loop] = _Kept(made, _begun(self._keep(loop, made)))
        thing: T = self._of[loop].thing
        return thing

    def here(self) -> Iterator[T]:
        """That of the running loop, if there is one."""
        if (kept := self._of.get(asyncio.get_running_loop())) is not None:
            yield kept.thing

    def all(self) -> Iterator[T]:
        """Those of all loops that have not ended."""
        for loop, kept in tuple(self._of.items()):
            if not loop.is_closed():
                yield kept.thing

    async def aclose(self) -> None:
        """Closes that of the running loop."""
        if (kept := self._of.get(asyncio.get_running_loop())) is not None:
            await kept.keeper.aclose()

    async def _keep(self, loop: asyncio.AbstractEventLoop, thing: T) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._of.pop(loop, None)
            await self._close(thing)


class Closing:
    """What holds something for each event loop: its block closes that of the running one."""

    _open: PerLoop[Any]

    async def aclose(self) -> None:
        """Closes the connections of this event loop; a later use opens others."""
        await self._open.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _begun(keeper: AsyncGenerator[None, None]) -> AsyncGenerator[None, None]:
    """The loop knows of a generator that has run to its first yield, and closes it at its end."""
    with contextlib.suppress(StopIteration):
        keeper.__anext__().send(None)
    return keeper

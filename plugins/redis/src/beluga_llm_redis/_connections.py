"""The connections of one event loop: few, which many commands share.

A command takes a millisecond. Many at once want no connection each, which would have to be opened,
with TLS at that; and redis-py refuses the hundred and first.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AsyncExitStack
from typing import Any

MOST = 8


class Connections:
    """A client, and how many may use it at the same time: `async with connections as client`.

    Args:
        client: of redis-py.
        count: connections that it may open.
        patience: seconds to wait for one while Redis answers nobody; None: without end.
    """

    def __init__(self, client: Any, count: int, patience: float | None) -> None:
        self._client = client
        self._count = count
        self._free = asyncio.Semaphore(count)
        self._patience = patience
        self._answered = -math.inf

    async def __aenter__(self) -> Any:
        """The client, for one command.

        Raises:
            TimeoutError: all connections wait for an answer, and none has come for too long.
        """
        await self._wait()
        return self._client

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._answered = time.monotonic()
        self._free.release()

    async def _wait(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    await self._free.acquire()
                    return
            except TimeoutError:
                if time.monotonic() - self._answered >= (self._patience or math.inf):
                    raise TimeoutError("there is no answer on any connection") from None

    async def aclose(self) -> None:
        """Closes all of them, when the commands under way have ended; at once, if cancelled."""
        async with AsyncExitStack() as under_way:
            try:
                for _ in range(self._count):
                    await under_way.enter_async_context(self._free)
            finally:
                await self._client.aclose()

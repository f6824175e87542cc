"""One client per event loop: connections belong to the loop that opened them."""

from __future__ import annotations

import asyncio
from typing import Any


class Clients:
    """Clients of one server, made at first use.

    Args:
        url: of the server; it may hold a password, and is never shown.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._of: dict[asyncio.AbstractEventLoop, Any] = {}

    def get(self) -> Any:
        """The client of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._of:
            from redis import asyncio as redis

            for dead in [known for known in self._of if known.is_closed()]:
                del self._of[dead]
            self._of[loop] = redis.Redis.from_url(self._url)
        return self._of[loop]

    async def aclose(self) -> None:
        """Closes the client of the running loop; a later use opens another."""
        client = self._of.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

"""Runs the script of shared limits, and knows whether there is a Redis to run it."""

from __future__ import annotations

import logging
import time
from typing import Any

from beluga_llm.plugin import dumps
from beluga_llm_redis._clients import Clients
from beluga_llm_redis._script import SCRIPT, SHA

logger = logging.getLogger("beluga_llm.limits")

FIRST_PAUSE = 0.2
"""Seconds until a Redis that did not answer is tried again; doubled each time."""


class UnreachableError(Exception):
    """There is no answer from Redis.

    Attributes:
        sent: whether the script may have run all the same.
    """

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


class Door:
    """The way to the script.

    Args:
        clients: of the server.
        lease: seconds; all who hold slots must be back within half of it.
        timeout: seconds after which it counts as unreachable.
        instead: what happens without Redis, for the warning.

    Attributes:
        trips: how often the script was run.
    """

    def __init__(self, clients: Clients, *, lease: float, timeout: float, instead: str) -> None:
        self.trips = 0
        self._clients = clients
        self._timeout = timeout
        self._instead = instead
        self._longest = lease / 6
        self._pause = 0.0
        self._closed_until = 0.0

    @property
    def failing(self) -> bool:
        """Whether Redis did not answer the last time."""
        return self._pause > 0

    @property
    def closed(self) -> bool:
        """Whether Redis did not answer, and is not to be tried now."""
        return time.monotonic() < self._closed_until

    async def run(self, keys: list[bytes], request: dict[str, Any]) -> list[str]:
        """The answer of the script.

        Raises:
            UnreachableError: Redis is not there, or refuses.
        """
        from redis.exceptions import RedisError

        if self.closed:
            raise UnreachableError("Redis did not answer a moment ago", sent=False)
        if self._pause:  # one tries, and all others go on without
            self._closed_until = time.monotonic() + self._timeout
        try:
            answer = await self._run(keys, request)
        except (RedisError, OSError) as error:
            text = f"{type(error).__name__}: {self._clients.blot(str(error))}"
            self._lost(text)
            raise UnreachableError(text, sent=True) from None
        self._found()
        return answer

    async def _run(self, keys: list[bytes], request: dict[str, Any]) -> list[str]:
        from redis.exceptions import ConnectionError as Broken

        try:
            return await self._once(keys, request)
        except Broken:  # the server may have closed a kept connection, when it was restarted
            if request.get("take"):
                request = {**request, "take": {**request["take"], "repeated": True}}
            return await self._once(keys, request)

    async def _once(self, keys: list[bytes], request: dict[str, Any]) -> list[str]:
        from redis.exceptions import NoScriptError

        client, arguments = self._clients.get(), [*keys, dumps(request)]
        self.trips += 1
        try:
            answer = await client.evalsha(SHA, len(keys), *arguments)
        except NoScriptError:
            answer = await client.eval(SCRIPT, len(keys), *arguments)
        said: str = answer.decode()
        return said.split("|")

    def _lost(self, text: str) -> None:
        if not self._pause:
            where, instead = self._clients.where, self._instead
            logger.warning("no shared limits, Redis at %s fails (%s): %s", where, text, instead)
        self._pause = min(max(self._pause * 2, FIRST_PAUSE), self._longest)
        self._closed_until = time.monotonic() + self._pause

    def _found(self) -> None:
        if self._pause:
            logger.info("limits are shared again, Redis at %s is back", self._clients.where)
        self._pause = self._closed_until = 0.0

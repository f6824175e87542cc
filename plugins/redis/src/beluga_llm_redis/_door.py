"""Runs the script of shared limits, and knows whether there is a Redis to run it."""

from __future__ import annotations

import logging
import time
from typing import Any

from beluga_llm.plugin import dumps
from beluga_llm_redis._script import limits_script
from beluga_llm_redis._server import Server, failures

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
        server: where it runs.
        lease: seconds; all who hold slots must be back within half of it.
        timeout: seconds after which it counts as unreachable.
        instead: what happens without Redis, for the warning.

    Attributes:
        trips: how often the script was run.
    """

    def __init__(self, server: Server, *, lease: float, timeout: float, instead: str) -> None:
        self.trips = 0
        self._server = server
        self._timeout = timeout
        self._instead = instead
        self._longest = lease / 6
        self._pause = 0.0
        self._closed_until = 0.0
        self._why = ""

    @property
    def failing(self) -> bool:
        """Whether Redis did not answer the last time."""
        return self._pause > 0

    @property
    def closed(self) -> bool:
        """Whether Redis did not answer, and is not to be tried now."""
        return time.monotonic() < self._closed_until

    async def run(self, client: Any, keys: list[bytes], request: dict[str, Any]) -> list[str]:
        """The answer of the script.

        Args:
            client: of the running event loop.
            keys: what the script reads and writes.
            request: what it is asked and told.

        Raises:
            UnreachableError: Redis is not there, or refuses.
        """
        if self.closed:
            raise UnreachableError(f"{self._why}, a moment ago", sent=False)
        if self._pause:  # one tries, and all others go on without
            self._closed_until = time.monotonic() + self._timeout
        try:
            answer = await self._run(client, keys, request)
        except failures() as error:
            self._lost(self._server.explain(error))
            raise UnreachableError(self._why, sent=True) from None
        self._found()
        return answer

    async def _run(self, client: Any, keys: list[bytes], request: dict[str, Any]) -> list[str]:
        from redis.exceptions import ConnectionError as Broken

        try:
            return await self._once(client, keys, request)
        except Broken:  # the server may have closed a kept connection, when it was restarted
            if request.get("take"):
                request = {**request, "take": {**request["take"], "repeated": True}}
            return await self._once(client, keys, request)

    async def _once(self, client: Any, keys: list[bytes], request: dict[str, Any]) -> list[str]:
        from redis.exceptions import NoScriptError

        script, arguments = limits_script(), [*keys, dumps(request)]
        self.trips += 1
        try:
            answer = await client.evalsha(script.sha, len(keys), *arguments)
        except NoScriptError:
            answer = await client.eval(script.text, len(keys), *arguments)
        said: str = answer.decode()
        return said.split("|")

    def _lost(self, why: str) -> None:
        if not self._pause:
            where, instead = self._server.where, self._instead
            logger.warning("no shared limits, Redis at %s fails (%s): %s", where, why, instead)
        self._why = why
        self._pause = min(max(self._pause * 2, FIRST_PAUSE), self._longest)
        self._closed_until = time.monotonic() + self._pause

    def _found(self) -> None:
        if self._pause:
            logger.info("limits are shared again, Redis at %s is back", self._server.where)
        self._pause = self._closed_until = 0.0

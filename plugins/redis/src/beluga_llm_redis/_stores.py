"""Cached answers and conversations in Redis.

Redis forgets what is over by itself. A conversation is compared and written by one script, which
nothing comes between.
"""

from __future__ import annotations

import math

import beluga_llm as llm
from beluga_llm_redis._connections import Connections
from beluga_llm_redis._loops import Closing, PerLoop
from beluga_llm_redis._server import Server

URL = "redis://localhost:6379/0"
TIMEOUT = 2.0
"""Seconds to wait for Redis: a cache that hangs must not be slower than the model."""

SAVE = """
local held = redis.call('GET', KEYS[1])
if ARGV[1] == '1' then
    if held ~= ARGV[2] then return 0 end
elseif held then
    return 0
end
if ARGV[4] == '' then
    redis.call('SET', KEYS[1], ARGV[3])
else
    redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
end
return 1
"""


class _Keyed(Closing):
    """Keys below a prefix, on one server.

    Args:
        url: of the server: `redis://`, `rediss://` or `unix://`.
        prefix: goes before every key.
        timeout: seconds to wait for Redis.

    Raises:
        ConfigError: the URL or the timeout is not valid.
    """

    _PREFIX = ""

    def __init__(
        self, url: str = URL, *, prefix: str | None = None, timeout: float = TIMEOUT
    ) -> None:
        if not timeout > 0:
            raise llm.ConfigError(f"timeout must be > 0 seconds, got {timeout!r}")
        self._server = Server(url, timeout=timeout)
        self._open: PerLoop[Connections] = PerLoop(
            lambda: self._server.open(patience=timeout), Connections.aclose
        )
        self.prefix = self._PREFIX if prefix is None else prefix

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.prefix!r}>"


class RedisCache(_Keyed):
    """A store of cached answers, for several processes. What fails in Redis is a StoreError."""

    _PREFIX = "beluga:cache:"

    async def get(self, key: str) -> bytes | None:
        """The value; None where there is none, or its time is over."""
        with self._server.raising("the cache cannot be read"):
            async with self._open.get() as client:
                value: bytes | None = await client.get(self.prefix + key)
        return value

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Keeps a value for `ttl` seconds; None: for ever."""
        with self._server.raising("the cache cannot be written"):
            async with self._open.get() as client:
                await client.set(self.prefix + key, value, px=_milliseconds(ttl))

    async def delete(self, key: str) -> None:
        """Removes a value, if there is one."""
        with self._server.raising("the cache cannot be written"):
            async with self._open.get() as client:
                await client.delete(self.prefix + key)

    async def clear(self) -> None:
        """Removes all values below the prefix, and nothing else."""
        with self._server.raising("the cache cannot be cleared"):
            async with self._open.get() as client:
                async for key in client.scan_iter(match=_literal(self.prefix) + "*", count=500):
                    await client.delete(key)


class RedisSessionStore(_Keyed):
    """A store of conversations, for several processes. What fails in Redis is a StoreError."""

    _PREFIX = "beluga:session:"

    async def load(self, id: str) -> bytes | None:
        """The data; None where there are none, or their time is over."""
        with self._server.raising(f"session {id!r} cannot be loaded"):
            async with self._open.get() as client:
                data: bytes | None = await client.get(self.prefix + id)
        return data

    async def save(self, id: str, data: bytes, ttl: float | None, expected: bytes | None) -> None:
        """Keeps data, if the expected ones are there.

        Raises:
            StoreError: others are (`conflict`), or Redis fails.
        """
        held = ("0", b"") if expected is None else ("1", expected)
        until = "" if ttl is None else _milliseconds(ttl)
        with self._server.raising(f"session {id!r} cannot be saved"):
            async with self._open.get() as client:
                saved = await client.eval(SAVE, 1, self.prefix + id, *held, data, until)
        if not saved:
            text = f"session {id!r} was changed by somebody else"
            raise llm.StoreError(text, conflict=True)

    async def delete(self, id: str) -> None:
        """Removes data, if there are any."""
        with self._server.raising(f"session {id!r} cannot be deleted"):
            async with self._open.get() as client:
                await client.delete(self.prefix + id)


def _milliseconds(ttl: float | None) -> int | None:
    """Whole milliseconds, at least one: Redis takes no less."""
    return None if ttl is None else max(1, math.ceil(ttl * 1000))


def _literal(text: str) -> str:
    """A pattern that only this text matches."""
    return "".join("\\" + one if one in "*?[]\\" else one for one in text)

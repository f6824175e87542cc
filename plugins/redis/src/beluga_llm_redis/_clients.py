"""One client per event loop: connections belong to the loop that opened them.

Each client has a *keeper*, an async generator that waits for nothing: the loop closes it when the
loop itself shuts down, and with it what nobody has closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from beluga_llm import ConfigError

SCHEMES = ("redis", "rediss", "unix")


class _Opened(NamedTuple):
    client: Any
    keeper: AsyncGenerator[None, None]


class Clients:
    """Clients of one server, made at first use.

    Args:
        url: of the server; it may hold a password, and is never shown.
        cluster: the server is a node of a cluster.
        timeout: seconds to wait for the server.
        once: a command is sent once; else the library repeats it when its connection breaks.
        before_close: is awaited before the client of the running loop is closed.

    Attributes:
        where: the server, without what is secret.

    Raises:
        ConfigError: the URL is none of Redis.
    """

    def __init__(
        self,
        url: str,
        *,
        cluster: bool = False,
        timeout: float,
        once: bool = False,
        before_close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.where, self._secrets = _parts(url)
        self._url = url
        self._cluster = cluster
        self._timeout = timeout
        self._once = once
        self._before_close = before_close
        self._of: dict[asyncio.AbstractEventLoop, _Opened] = {}

    def get(self) -> Any:
        """The client of the running loop.

        Raises:
            ConfigError: the URL has a parameter that redis-py does not take.
        """
        loop = asyncio.get_running_loop()
        if loop not in self._of:
            for dead in [known for known in self._of if known.is_closed()]:
                del self._of[dead]
            self._of[loop] = _Opened(self._open(), _begun(self._keep()))
        return self._of[loop].client

    def _open(self) -> Any:
        from redis import asyncio as redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        settings: dict[str, Any] = dict.fromkeys(
            ("socket_timeout", "socket_connect_timeout"), self._timeout
        )
        if self._once:
            settings["retry"] = Retry(NoBackoff(), 0)
        kind: Any = redis.RedisCluster if self._cluster else redis.Redis
        try:
            client = kind.from_url(self._url, **settings)
            if not self._cluster:
                client.connection_pool.make_connection()  # which looks at the parameters
        except (TypeError, ValueError):  # the text may repeat what is secret
            text = f"redis-py does not take the parameters in the URL of Redis at {self.where}"
            raise ConfigError(text) from None
        return client

    async def aclose(self) -> None:
        """Closes the client of the running loop; a later use opens another."""
        opened = self._of.get(asyncio.get_running_loop())
        await self._close()
        if opened is not None:
            await opened.keeper.aclose()

    async def _close(self) -> None:
        if self._before_close is not None:
            await self._before_close()
        opened = self._of.pop(asyncio.get_running_loop(), None)
        if opened is not None:
            await opened.client.aclose()

    async def _keep(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self._close()

    def blot(self, text: str) -> str:
        """A text without the secrets of the URL."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _begun(keeper: AsyncGenerator[None, None]) -> AsyncGenerator[None, None]:
    """The loop knows of a generator that has run to its first yield, and closes it at its end."""
    with contextlib.suppress(StopIteration):
        keeper.__anext__().send(None)
    return keeper


def _parts(url: str) -> tuple[str, list[str]]:
    """Where a URL leads, and what is secret in it; no text of an error repeats any of it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigError("the port in the URL of Redis is not valid") from None
    if parts.scheme not in SCHEMES:
        expected = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise ConfigError(f"the URL of Redis must begin with one of {expected}")
    where = parts.path if parts.scheme == "unix" else f"{host or 'localhost'}:{port or 6379}"
    query = parse_qs(parts.query, keep_blank_values=True)
    if "decode_responses" in query:
        raise ConfigError("decode_responses in the URL of Redis: answers are read as bytes here")
    password = parts.password or ""
    secrets = {password, unquote(password), *query.get("password", ())} - {""}
    return where, sorted(secrets, key=len, reverse=True)

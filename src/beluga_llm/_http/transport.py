"""The transport over aiohttp: the only module outside the testing kit that imports it.

Theory of operation. A session belongs to an event loop, so there is one `Pool` for each loop, made
at the first request there. `aclose` takes the loop's pool out of use: it is closed at once, or by
the last call that is still using it, and a later request makes a new one; no call ever fails
because of it.
"""

from __future__ import annotations

import asyncio
import functools
import io
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from beluga_llm._errors import (
    ConnectionFailedError,
    InvalidRequestError,
    RequestTimeoutError,
)
from beluga_llm._http.failures import clean, failed
from beluga_llm._http.forbidden import check_allowed
from beluga_llm._http.pool import Pool, Reminder, keep
from beluga_llm._http.response import AiohttpResponse
from beluga_llm._http.wire import Response, WireRequest

if TYPE_CHECKING:
    import ssl as ssl_module

    import aiohttp

KEEP_ALIVE = 15.0
"""Seconds that an idle connection is kept."""

STALE_CONNECTIONS = 5
"""How many kept connections in a row may turn out to be closed before a request is given up."""

LARGE = 2**20
"""Bytes from which on aiohttp wants a body as a file."""

ONE_PIECE = 65_536
"""Bytes of a body that aiohttp writes at once, together with the head."""


class AiohttpTransport:
    """Carries requests over aiohttp, with one connection pool for each event loop.

    Args:
        session: a session of the caller's, used as it is and never closed.
        pool_limit: connections at a time.
        proxy, ssl, trust_env: handed to aiohttp.
        owner: whose transport it is, for the warning about an unclosed one.
    """

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession | None = None,
        pool_limit: int = 1000,
        proxy: str | None = None,
        ssl: ssl_module.SSLContext | bool | None = None,
        trust_env: bool = False,
        owner: str = "model",
    ) -> None:
        self._session = session
        self._pool_limit = pool_limit
        self._proxy = proxy
        self._ssl: Any = True if ssl is None else ssl
        self._trust_env = trust_env
        self._reminder = Reminder(owner)
        self._pools: dict[asyncio.AbstractEventLoop, Pool] = {}
        self._keepers: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}

    async def request(self, request: WireRequest, *, until: float | None) -> Response:
        """Sends a request; see `Transport.request`."""
        import aiohttp

        check_allowed(request.url, proxy=self._proxy, trust_env=self._trust_env)
        pool = self._pools.get(asyncio.get_running_loop()) or await self._open()
        if pool.session.closed:
            raise ConnectionFailedError("the session given to the model is closed")
        pool.calls += 1
        try:
            return await self._send(pool, request, until)
        except aiohttp.ServerTimeoutError as error:
            pool.release()
            limit = request.connect or 0.0
            raise RequestTimeoutError(f"no connection within {limit:g} s (connect)") from clean(
                error
            )
        except TimeoutError:
            pool.release()
            raise
        except aiohttp.InvalidURL:
            pool.release()
        except (aiohttp.ClientError, OSError) as error:
            pool.release()
            raise failed("connection failed", error) from clean(error)
        except ValueError as error:
            pool.release()
            raise InvalidRequestError(f"the request cannot be sent: {error}") from error
        except BaseException:
            pool.release()
            raise
        # Here, where it has no context: an invalid address may hold a password.
        raise InvalidRequestError("the address of the API or of the proxy is not valid")

    async def _send(self, pool: Pool, request: WireRequest, until: float | None) -> Response:
        import aiohttp
        import yarl

        url = yarl.URL(request.url, encoded=True)
        kind, headers = (url.authority, request.streaming), request.headers
        tries = STALE_CONNECTIONS
        if pool.reuse.is_open:
            await pool.reuse.settle(url.authority)
        if not pool.reuse.keeps(kind):
            headers = {**headers, "Connection": "close"}
        async with asyncio.timeout_at(until):
            while True:
                try:
                    answer = await pool.session.request(
                        request.method,
                        url,
                        data=_sendable(request.body),
                        headers=headers,
                        allow_redirects=False,
                        raise_for_status=False,
                        proxy=self._proxy,
                        ssl=self._ssl,
                        timeout=_connecting(request.connect),
                    )
                    break
                except aiohttp.ClientOSError as error:
                    tries -= 1
                    if not tries or not _was_unsent(request, error):
                        raise
        pool.reuse.begun(kind, answer)
        return AiohttpResponse(answer, pool, kind)

    async def aclose(self) -> None:
        """Closes the running loop's connections, or has its last call close them."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is None:
            return
        if pool.calls:
            pool.closing = True
        elif pool.owned:
            await pool.session.close()
        if keeper := self._keepers.pop(pool.loop, None):
            await keeper.aclose()

    @property
    def connections(self) -> int:
        """Connections in use on the running loop, for tests and diagnosis."""
        pool = self._pools.get(asyncio.get_running_loop())
        if pool is None or pool.session.connector is None:
            return 0
        return len(pool.session.connector._acquired)

    async def _open(self) -> Pool:
        import aiohttp

        loop = asyncio.get_running_loop()
        for dead in [known for known in self._pools if known.is_closed()]:
            self._pools.pop(dead).forget()
            self._keepers.pop(dead, None)
        if self._session is not None:
            if getattr(self._session, "_loop", loop) is not loop:
                raise ConnectionFailedError(
                    "the session given to the model belongs to another event loop"
                )
            pool = self._pools[loop] = Pool(self._session, owned=False)
            return pool
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._pool_limit, keepalive_timeout=KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._trust_env,
        )
        session._retry_connection = False  # aiohttp's own switch for repeating requests
        pool = self._pools[loop] = Pool(session, owned=True)
        keeper = self._keepers[loop] = keep(pool, self._reminder)
        await anext(keeper)
        return pool

    def __del__(self) -> None:
        forgotten = [p for p in self._pools.values() if p.owned and not p.session.closed]
        if forgotten:
            self._reminder.tell()
        for pool in forgotten:
            pool.forget()


@functools.lru_cache
def _connecting(seconds: float | None) -> aiohttp.ClientTimeout:
    """The one limit that is aiohttp's."""
    import aiohttp

    return aiohttp.ClientTimeout(total=None, sock_connect=seconds)


def _was_unsent(request: WireRequest, error: BaseException) -> bool:
    """Whether not one byte of a request was handed to the network.

    aiohttp says so of a kept connection that the server had closed meanwhile: it refuses to write
    to it. Only a body of one piece counts: of a longer one the beginning may be gone.
    """
    import aiohttp

    small = len(request.body or b"") <= ONE_PIECE
    return small and isinstance(error.__cause__, aiohttp.ClientConnectionResetError)


def _sendable(body: bytes | None) -> Any:
    """The body as aiohttp wants it: it warns of large bytes, and writes a BytesIO in pieces."""
    return io.BytesIO(body) if body is not None and len(body) > LARGE else body

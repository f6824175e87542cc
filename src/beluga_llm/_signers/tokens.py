"""Tokens that a blocking library gives: asked for in a thread, kept until shortly before their end.

    signer = TokenSigner(fetch)            # fetch() -> Token, blocking

One fetch serves all tasks of all event loops that wait for it, and goes on if they are cancelled.
Its errors are this library's: what else it raises becomes an AuthenticationError.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import msgspec
from msgspec.structs import replace

from beluga_llm._errors import AuthenticationError, BelugaError
from beluga_llm._http.outgoing import merged_headers
from beluga_llm._http.wire import WireRequest

MARGIN = 300.0
"""Seconds before its end at which a value is fetched anew."""


class Token(msgspec.Struct, frozen=True):
    """A bearer token.

    Attributes:
        value: never shown.
        expires_at: its end in unix seconds; None for never.
    """

    value: str
    expires_at: float | None = None

    def __repr__(self) -> str:
        return "Token(***)"


class TokenSigner:
    """Sends a token as `Authorization: Bearer ...`.

    Args:
        fetch: gives the current token; it may block, and runs in a thread of its own.
        clock: unix seconds.
    """

    def __init__(
        self, fetch: Callable[[], Token], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._pending: Future[Token] | None = None

    async def sign(self, request: WireRequest) -> WireRequest:
        """The request with the token.

        Raises:
            AuthenticationError: no token could be had.
        """
        token = await self.token()
        authorization = {"Authorization": f"Bearer {token.value}"}
        return replace(request, headers=merged_headers(request.headers, authorization))

    async def token(self) -> Token:
        """The current token, fetched if the kept one ends within five minutes.

        Raises:
            AuthenticationError: none could be had.
        """
        with self._lock:
            kept = self._token
            if kept is not None and self._lasts(kept, MARGIN):
                return kept
            pending = self._pending
            if pending is None:
                pending = self._pending = Future()
                pending.set_running_or_notify_cancel()  # a waiter that is cancelled stops nobody
                threading.Thread(target=self._run, args=(pending,), daemon=True).start()
        try:
            return await asyncio.wrap_future(pending)
        except Exception:
            if kept is not None and self._lasts(kept, 0.0):
                return kept
            raise

    def _lasts(self, token: Token, seconds: float) -> bool:
        return token.expires_at is None or token.expires_at - seconds > self._clock()

    def _run(self, pending: Future[Token]) -> None:
        token, error = None, None
        try:
            token = self._fetch()
        except BelugaError as ours:
            error = ours
        except Exception as theirs:  # noqa: BLE001 -- whatever a library of credentials raises
            error = AuthenticationError(f"no token: {type(theirs).__name__}: {theirs}")
            error.__cause__ = theirs
        with self._lock:
            self._token, self._pending = token or self._token, None
        if error is not None:
            pending.set_exception(error)
        elif token is not None:
            pending.set_result(token)

"""Bearer tokens that a blocking library gives, and that end.

signer = TokenSigner(fetch)            # fetch() -> Token, blocking
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec
from msgspec.structs import replace

from beluga_llm._frozen import EMPTY
from beluga_llm._http.outgoing import merged_headers
from beluga_llm._http.wire import WireRequest
from beluga_llm._signers.kept import Kept


class Token(msgspec.Struct, frozen=True):
    """A bearer token.

    Attributes:
        value: never shown.
        expires_at: its end in unix seconds; None for never.
        headers: what is sent beside it.
    """

    value: str
    expires_at: float | None = None
    headers: Mapping[str, str] = EMPTY

    def __repr__(self) -> str:
        return "Token(***)"


class TokenSigner:
    """Sends a token as `Authorization: Bearer ...`.

    Args:
        fetch: gives the current token; it may block, and runs in a thread of its own. One fetch
            serves all requests that wait for it. What it raises that is no error of this library
            becomes an AuthenticationError.
        clock: unix seconds.
    """

    def __init__(
        self, fetch: Callable[[], Token], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._kept = Kept(fetch, self._lasts, what="token")

    async def sign(self, request: WireRequest) -> WireRequest:
        """The request with the token.

        Raises:
            AuthenticationError: no token could be had.
        """
        token = await self.token()
        authorization = {"Authorization": f"Bearer {token.value}"}
        headers = merged_headers(request.headers, token.headers, authorization)
        return replace(request, headers=headers)

    async def token(self) -> Token:
        """The current token, fetched if the kept one ends within five minutes.

        Raises:
            AuthenticationError: none could be had.
        """
        return await self._kept.get()

    def _lasts(self, token: Token, seconds: float) -> bool:
        return token.expires_at is None or token.expires_at - seconds > self._clock()

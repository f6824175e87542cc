"""A transport that answers from memory, so that an answer can be cut in a hundred places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from beluga_llm._http.wire import WireRequest


class MemoryTransport:
    """Gives every request the same answer; `body` is set before each.

    Args:
        content_type: what the body is.
    """

    def __init__(self, content_type: str) -> None:
        self.headers: Mapping[str, str] = {"content-type": content_type}
        self.body = b""
        self.cut = 0

    async def request(self, request: WireRequest, *, until: float | None) -> MemoryResponse:
        """The answer."""
        return MemoryResponse(self.headers, (self.body[: self.cut], self.body[self.cut :]))

    async def aclose(self) -> None:
        """Nothing is open."""


class MemoryResponse:
    """An answer in memory, in pieces."""

    status = 200

    def __init__(self, headers: Mapping[str, str], pieces: tuple[bytes, ...]) -> None:
        self.headers = headers
        self._pieces: Iterator[bytes] = iter([piece for piece in pieces if piece])

    async def read(self, until: float | None) -> bytes:
        """The next piece."""
        return next(self._pieces, b"")

    def close(self) -> None:
        """Nothing is open."""

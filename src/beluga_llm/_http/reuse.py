"""Which servers keep the connections that they say they keep.

Some servers announce keep-alive and close the connection right after a streamed answer all the
same (llama.cpp's does). A request sent into that gap fails, and it must not be sent twice. So for
each origin and kind of answer one connection is the *probe*: as long as nothing is known, the
others are not used again, and the first request after the probe's end waits a moment to see whether
the server closes it. That decides, once, whether connections are used again after such answers.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

Kind: TypeAlias = tuple[str, bool]
"""An origin, and whether the answer was streamed."""

GAP = 0.1
"""A connection that was given back longer ago than this, in seconds, has had time to close."""

GRACE = 0.002
"""How long the requests wait that find out, in seconds."""


class Reuse:
    """What is known about the origins that one pool talks to."""

    __slots__ = ("_ended", "_keeps", "_probes")

    def __init__(self) -> None:
        self._keeps: dict[Kind, bool] = {}
        self._probes: dict[Kind, asyncio.Transport] = {}
        self._ended: dict[Kind, tuple[asyncio.Transport, float]] = {}

    @property
    def is_open(self) -> bool:
        """Whether it is to be seen if connections that were given back are kept."""
        return bool(self._ended)

    def keeps(self, kind: Kind) -> bool:
        """Whether a connection may be used again after such an answer, as far as is known."""
        return self._keeps.get(kind, True)

    def begun(self, kind: Kind, answer: Any) -> None:
        """The head of an answer came, an aiohttp.ClientResponse."""
        if answer.url.scheme != "http":  # vendors keep their word, and TLS is dear to set up anew
            return
        known = self._keeps.get(kind)
        if known:
            return
        connection = answer.connection
        if connection is not None and (known is False or kind in self._probes):
            connection.protocol.force_close()  # after this answer
            return
        # An answer that came whole with its head has given its connection back already.
        protocol = getattr(answer, "_protocol", None) if connection is None else connection.protocol
        transport = getattr(protocol, "transport", None)
        if transport is not None:
            self._probes.setdefault(kind, transport)
            answer.content.on_eof(lambda: self._end(kind, transport))

    def closed(self, kind: Kind, transport: asyncio.Transport | None) -> None:
        """An answer was closed before its end: if it was the probe, another is taken."""
        if transport is not None and self._probes.get(kind) is transport:
            del self._probes[kind]

    def _end(self, kind: Kind, transport: asyncio.Transport) -> None:
        self._ended[kind] = transport, asyncio.get_running_loop().time()

    async def settle(self, origin: str) -> None:
        """Waits until it is known whether the last connections were kept, if that is open."""
        for kind in ((origin, True), (origin, False)):
            if (ended := self._ended.get(kind)) is None:
                continue
            transport, when = ended
            if asyncio.get_running_loop().time() - when < GAP:
                await asyncio.sleep(GRACE)
            self._keeps.setdefault(kind, not transport.is_closing())
            self._ended.pop(kind, None)
            self._probes.pop(kind, None)

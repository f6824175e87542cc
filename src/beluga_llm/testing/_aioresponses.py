"""aioresponses with an aiohttp that it does not know yet.

aioresponses 0.7.9 makes a `ClientResponse` by hand, and does not give it the `stream_writer` that
newer versions of aiohttp want. While the block is entered, it makes one of a class that needs none.
A test of ours fails on the day on which aioresponses can do without.

Good for whole bodies only: it hands out all bytes at once, and nobody can leave, stall or cut.
Streams are tested on the fake server.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import aiohttp
import aioresponses
from aioresponses import core


class _Writer:
    """What aiohttp asks for of a request that was sent."""

    output_size = 0


class CompatResponse(aiohttp.ClientResponse):
    """An answer that can be made without the writer of its request."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        keywords.setdefault("stream_writer", _Writer())
        super().__init__(*args, **keywords)


def needs_writer() -> bool:
    """Whether the installed aiohttp makes no answer without one."""
    return "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters


@contextlib.contextmanager
def aioresponses_compat(**keywords: Any) -> Iterator[aioresponses.aioresponses]:
    """A block in which aiohttp's requests are answered by aioresponses.

    Args:
        **keywords: those of `aioresponses.aioresponses`.
    """
    known: Any = core
    original = known.ClientResponse
    known.ClientResponse = CompatResponse if needs_writer() else original
    try:
        with aioresponses.aioresponses(**keywords) as mocked:
            yield mocked
    finally:
        known.ClientResponse = original

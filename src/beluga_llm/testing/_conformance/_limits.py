"""Limits of time: every wait ends, with an error that says which limit it was."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from beluga_llm._errors import RequestTimeoutError, StreamTimeoutError
from beluga_llm._model import ChatModel
from beluga_llm._option_types import Timeouts
from beluga_llm.testing._conformance._base import Conformance, ask, check
from beluga_llm.testing._server import FakeServer

SHORT = 0.05
"""Seconds that a stall is waited for."""


class Stall(NamedTuple):
    """A server that stops, and the limit that ends the wait."""

    kind: str
    reply: Mapping[str, Any]
    limit: float | Timeouts
    error: type[RequestTimeoutError]


STALLS: Mapping[str, Stall] = {
    "first_chunk": Stall(
        "stream", {"silent": True}, Timeouts(first_chunk=SHORT), StreamTimeoutError
    ),
    "idle": Stall(
        "stream",
        {"answer": "one two three " * 500, "stall_after": 8000},
        Timeouts(idle=SHORT),
        StreamTimeoutError,
    ),
    "whole": Stall("generate", {"silent": True}, Timeouts(whole=SHORT), RequestTimeoutError),
    "total": Stall("generate", {"silent": True}, SHORT, RequestTimeoutError),
    "total of a stream": Stall("stream", {"silent": True}, SHORT, RequestTimeoutError),
}


class LimitChecks(Conformance):
    """Silence at every point of an answer."""

    @pytest.mark.parametrize("name", STALLS)
    @check
    async def test_a_stall_ends(self, model: ChatModel, server: FakeServer, name: str) -> None:
        """The call fails at its limit with a typed error that names it, and leaves the server."""
        self.wire()
        stall = STALLS[name]
        if stall.kind == "stream":
            self.able(model, "streaming")
        self.says(server, **stall.reply)
        began = time.monotonic()
        with pytest.raises(stall.error, match=rf"\({name.split()[0]}\)") as caught:
            await ask(model, stall.kind, timeout=stall.limit)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.retryable
        assert time.monotonic() - began >= SHORT
        await server.disconnected(server.requests[0], within=self.patience / 2)
        assert len(server.requests) == 1, "it was tried again by itself"

    @check
    async def test_a_time_that_has_passed_sends_nothing_late(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """A call ends at its time also where the server sends without end."""
        self.wire()
        self.able(model, "streaming")
        self.says(server, "word " * 5000, chunk_delay=0.005)
        with pytest.raises(RequestTimeoutError, match=r"\(total\)") as caught:
            await ask(model, "stream", timeout=0.1)
        partial = caught.value.partial
        assert partial is None or ("word " * 5000).startswith(partial.text)

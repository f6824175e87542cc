"""Limits of time: every wait ends, with an error that says which limit it was."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from beluga_llm._errors import RequestTimeoutError, StreamTimeoutError
from beluga_llm._model import ChatModel
from beluga_llm._option_types import Timeouts
from beluga_llm.testing._conformance._base import Conformance, ask, check, no_tasks_left
from beluga_llm.testing._reply import Reply
from beluga_llm.testing._server import FakeServer

SHORT = (0.05, 0.5)
"""Seconds that a stall is waited for; more where a busy machine sent nothing in that time."""


class Stall(NamedTuple):
    """A server that stops, and the limit that ends the wait."""

    kind: str
    reply: Mapping[str, Any]
    limit: Callable[[float], float | Timeouts]
    error: type[RequestTimeoutError]


STALLS: Mapping[str, Stall] = {
    "first_chunk": Stall(
        "stream", {"silent": True}, lambda s: Timeouts(first_chunk=s), StreamTimeoutError
    ),
    "idle": Stall(
        "stream",
        {"answer": "one two three " * 500, "stall_after": 8000},
        lambda s: Timeouts(idle=s),
        StreamTimeoutError,
    ),
    "whole": Stall("generate", {"silent": True}, lambda s: Timeouts(whole=s), RequestTimeoutError),
    "total": Stall("generate", {"silent": True}, float, RequestTimeoutError),
    "total of a stream": Stall("stream", {"silent": True}, float, RequestTimeoutError),
}


class LimitChecks(Conformance):
    """Silence at every point of an answer."""

    @pytest.mark.parametrize("name", STALLS)
    @check
    async def test_a_stall_ends(self, model: ChatModel, server: FakeServer, name: str) -> None:
        """The call fails at its limit with a typed error that names it, and leaves the server."""
        self.http()
        stall = STALLS[name]
        if stall.kind == "stream":
            self.able(model, "streaming")
        self.says(server, **stall.reply)
        for seconds in SHORT:  # pragma: no branch  # the second one is long enough
            await self._stalls(model, stall, seconds, f"({name.split()[0]})")
            with contextlib.suppress(TimeoutError):
                await server.received(within=1.0)
                break
        await server.disconnected(server.requests[0], within=self.patience / 2)
        assert len(server.requests) == 1, "it was tried again by itself"

    async def _stalls(self, model: ChatModel, stall: Stall, seconds: float, word: str) -> None:
        began = time.monotonic()
        with pytest.raises(stall.error, match=re.escape(word)) as caught:
            await ask(model, stall.kind, timeout=stall.limit(seconds))
        await no_tasks_left()
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.retryable
        assert time.monotonic() - began >= seconds

    @check
    async def test_a_time_that_has_passed_sends_nothing_late(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """A call ends at its time also where the server sends without end."""
        self.wire()
        self.able(model, "streaming")
        self.always(server, Reply("word " * 5000, chunk_delay=0.005))
        with pytest.raises(RequestTimeoutError, match=r"\(total\)") as caught:
            await ask(model, "stream", timeout=0.1)
        partial = caught.value.partial
        assert partial is None or ("word " * 5000).startswith(partial.text)

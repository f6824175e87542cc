"""Until when the next read may take: the time limits of one request, as arithmetic.

A limit belongs to a read, not to a chunk: a slow consumer is not a stall. All times are the event
loop's, in seconds.
"""

from __future__ import annotations

import functools

import attrs

from beluga_llm._errors import RequestTimeoutError, StreamTimeoutError
from beluga_llm._option_types import Timeouts
from beluga_llm._request import NO_BOUNDS, ChatRequest, earliest

LINGER = 1.0
"""Seconds to wait for the end of the body after the API's own end marker."""


class ReadLimits:
    """The limits of one request.

    Attributes:
        content: set once the first content has come.
        deadline: when the whole call must have ended; None for never.
    """

    __slots__ = (
        "_fired", "_first", "_fresh", "_kind", "_quiet", "_streaming", "_timeouts",
        "content", "deadline",
    )  # fmt: skip

    def __init__(
        self, timeouts: Timeouts, *, streaming: bool, began: float, deadline: float | None
    ) -> None:
        self._timeouts = timeouts
        self._streaming = streaming
        self.deadline = deadline
        self.content = False
        self._fresh = False
        self._quiet = began
        self._fired = ""
        # Until when the first content has to be there, and by which limit.
        self._kind = "first_chunk" if streaming else "whole"
        first = timeouts.first_chunk if streaming else timeouts.whole
        self._first = None if first is None else began + first
        if deadline is not None and (self._first is None or deadline < self._first):
            self._first, self._kind = deadline, "total"

    @classmethod
    def of(cls, timeouts: Timeouts, request: ChatRequest, now: float) -> ReadLimits:
        """The limits of a request that begins now: the model's, and the call's own below them."""
        bounds = request.bounds
        deadline = None if request.call is None else request.call.deadline
        if timeouts.total is not None:
            deadline = earliest(deadline, now + timeouts.total)
        if bounds is not NO_BOUNDS:
            deadline = earliest(deadline, bounds.deadline)
            first_chunk = earliest(timeouts.first_chunk, bounds.first_chunk)
            idle = earliest(timeouts.idle, bounds.idle)
            timeouts = _with(timeouts, first_chunk, idle)
        return cls(timeouts, streaming=request.streaming, began=now, deadline=deadline)

    @property
    def connect(self) -> float | None:
        """Seconds that connecting may take."""
        return self._timeouts.connect

    def heard(self) -> None:
        """Data came: more than a comment or a ping."""
        self._fresh = True

    def check_total(self, now: float) -> None:
        """Raises RequestTimeoutError if the call's time is over, data or not."""
        if self.deadline is not None and now >= self.deadline:
            self._fired = "total"
            raise self.expired()

    def until(self, now: float) -> float | None:
        """Until when a read that begins now may take; None for ever."""
        if self._fresh:
            self._fresh, self._quiet = False, now
        if not (self.content and self._streaming):
            self._fired = self._kind
            return self._first
        limits, deadline = self._timeouts, self.deadline
        self._fired = "idle"
        if limits.idle is None:
            when = None
        else:
            when = now + limits.idle
            if limits.keepalive is not None:  # comments and pings alone may come no longer
                when = min(when, self._quiet + max(limits.idle, limits.keepalive))
        if deadline is not None and (when is None or deadline < when):
            when, self._fired = deadline, "total"
        return when

    def expired(self) -> RequestTimeoutError:
        """The error for the limit that `until` gave last."""
        limits = self._timeouts
        if self._fired == "first_chunk":
            return StreamTimeoutError(f"no content within {limits.first_chunk:g} s (first_chunk)")
        if self._fired == "idle":
            return StreamTimeoutError(f"no data for {limits.idle:g} s (idle)")
        if self._fired == "whole":
            return RequestTimeoutError(f"no complete answer within {limits.whole:g} s (whole)")
        return RequestTimeoutError("the call took longer than its timeout (total)")


@functools.lru_cache
def _with(timeouts: Timeouts, first_chunk: float | None, idle: float | None) -> Timeouts:
    """Timeouts with two of them changed: the same for all calls through a layer."""
    return attrs.evolve(timeouts, first_chunk=first_chunk, idle=idle)

"""Reads that end at a deadline, whatever they wait for.

One timer serves all reads of an answer. It stops a read that is under way, and nothing else: what
happens between two reads is the consumer's. `asyncio.timeout` around each read would do the same,
for a new timer with every chunk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import RequestTimeoutError

GRACE = 0.05
"""Seconds after its deadline at which a call is stopped from outside: whoever watches the time
inside it has the word first, with an error that says more."""


class Reads:
    """Chunks whose reads end with an error a little after a deadline.

    Args:
        read: gives the next chunk, as `__anext__` does.
        deadline: the event loop's time, asked before each read; None for never.
    """

    __slots__ = (
        "_cancelling", "_deadline", "_read", "_stopped", "_task", "_time", "_timer", "_until",
    )  # fmt: skip

    def __init__(self, read: Callable[[], Any], deadline: Callable[[], float | None]) -> None:
        self._read = read
        self._deadline = deadline
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._time = asyncio.get_running_loop().time
        self._stopped = False

    def __aiter__(self) -> Reads:
        return self

    async def __anext__(self) -> StreamChunk:
        until = self._deadline()
        if until != self._until:
            self._arm(until)
        if until is None or self._time() < until + GRACE:
            self._task = task = cast("asyncio.Task[Any]", asyncio.current_task())
            self._cancelling, self._stopped = task.cancelling(), False
            try:
                chunk: StreamChunk = await self._read()
            except BaseException as error:
                if not self._was_stopped(task) or not isinstance(error, asyncio.CancelledError):
                    raise
            else:
                self._was_stopped(task)  # what a layer made of it does not stay with the task
                return chunk
        raise RequestTimeoutError("the call took longer than its timeout (total)")

    def close(self) -> None:
        """Forgets the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, until: float | None) -> None:
        self.close()
        self._until, self._timer = until, None
        if until is not None:
            self._timer = asyncio.get_running_loop().call_at(until + GRACE, self._stop)

    def _stop(self) -> None:
        if self._task is not None:
            self._stopped = True
            self._task.cancel()

    def _was_stopped(self, task: asyncio.Task[Any]) -> bool:
        """Whether the read ends because of the deadline, and of nothing else."""
        self._task = None
        return self._stopped and task.uncancel() <= self._cancelling

"""How long a layer may wait before the call's time is over."""

from __future__ import annotations

import asyncio
import math

from beluga_llm._request import ChatRequest


def time_left(request: ChatRequest) -> float:
    """Seconds until the call must have ended; infinite where nothing ends it.

    Both `timeout=` and the deadline of an enclosing anyio cancel scope count. That of a plain
    `asyncio.timeout` cannot be read: it cancels the wait when it is over.
    """
    import anyio

    now = asyncio.get_running_loop().time()
    deadline = math.inf if request.call is None else request.call.deadline or math.inf
    return min(deadline, anyio.current_effective_deadline()) - now

"""How long a layer may wait before the call's time is over."""

from __future__ import annotations

import asyncio
import math

from beluga_llm._request import ChatRequest, earliest


def time_left(request: ChatRequest) -> float:
    """Seconds until the call must have ended; infinite where nothing ends it.

    `timeout=`, `with_timeout` and the deadline of an enclosing anyio cancel scope count. That of a
    plain `asyncio.timeout` cannot be read: it cancels the wait when it is over.
    """
    import anyio

    now = asyncio.get_running_loop().time()
    deadline = None if request.call is None else request.call.deadline
    ours = earliest(deadline, request.bounds.deadline)
    return min(math.inf if ours is None else ours, anyio.current_effective_deadline()) - now

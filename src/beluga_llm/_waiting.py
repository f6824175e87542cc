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
    call, ours = request.call, request.bounds.deadline
    scopes = scope_deadline()
    if call is not None:
        ours = earliest(ours, call.deadline)
        scopes = min(scopes, call.scope_deadline)
    return min(math.inf if ours is None else ours, scopes) - asyncio.get_running_loop().time()


def scope_deadline() -> float:
    """The event loop's time at which an anyio cancel scope around this task ends; or infinity.

    Scopes belong to tasks: asyncio's task groups do not hand them on to theirs.
    """
    import anyio

    return anyio.current_effective_deadline()

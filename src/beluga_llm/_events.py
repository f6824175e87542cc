"""What layers tell each other of a call: a retry, a switch to another model, a wait.

Whoever wants to know puts a listener on the running call while it is in charge (hooks, tracing);
whoever does something worth knowing tells it. Listeners are called in the order in which they were
put there, the outermost layer's first; their results are awaited where they are awaitable.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from beluga_llm._request import RunningCall

EventName: TypeAlias = Literal["retry", "fallback", "hedge", "cache", "limit_wait", "breaker"]


class Event(msgspec.Struct, frozen=True):
    """Something that happened within a call.

    Attributes:
        name: what happened.
        facts: by name: `attempt`, `error` and `wait` of a retry, and so on.
    """

    name: EventName
    facts: Mapping[str, Any]


Listener: TypeAlias = Callable[[Event], Awaitable[None] | None]


async def tell(call: RunningCall | None, name: EventName, **facts: Any) -> None:
    """Tells the call's listeners; an error of theirs is the teller's."""
    if call is None or not call.listeners:
        return
    event = Event(name, facts)
    for listener in tuple(call.listeners):
        answer = listener(event)
        if inspect.isawaitable(answer):
            await answer

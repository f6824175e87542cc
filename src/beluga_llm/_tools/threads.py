"""Functions that block, run beside the event loop.

Each call has a thread of its own, for `asyncio.to_thread` has only a few, which name look-ups of
all connections share: some tools that hang would stop the whole application there, and
`asyncio.run` would wait for them at its end. These threads are daemons, so that nobody does.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar, cast

T = TypeVar("T")
Outcome: TypeAlias = tuple[Any, BaseException | None]


async def in_thread(function: Callable[[], T], *, name: str) -> T:
    """What a function returns that runs in a thread, in a copy of the caller's context.

    A cancelled caller stops waiting at once; the function goes on to its end, unheard.
    """
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[Outcome] = loop.create_future()
    context = contextvars.copy_context()

    def settle(outcome: Outcome) -> None:
        if not heard.done():  # else the caller was cancelled
            heard.set_result(outcome)

    def work() -> None:
        outcome = context.run(_outcome, function)
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=work, name=name, daemon=True).start()
    value, error = await heard
    if error is None:
        return cast("T", value)
    try:
        raise error
    finally:
        del error  # its traceback holds this frame


def _outcome(function: Callable[[], Any]) -> Outcome:
    """What a function returns, or raises: a future does not take every exception."""
    try:
        return function(), None
    except BaseException as error:  # noqa: BLE001 -- it is raised where it is waited for
        return None, error

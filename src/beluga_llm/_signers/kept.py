"""What a blocking library gives: asked for in a thread, kept while it lasts.

One fetch serves all tasks of all event loops that wait for it, and goes on if they are cancelled.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from beluga_llm._errors import AuthenticationError, BelugaError

T = TypeVar("T")

MARGIN = 300.0
"""Seconds before its end at which a value is fetched anew."""


class Kept(Generic[T]):
    """A value with an end.

    Args:
        fetch: gives a new value; it may block, and runs in a thread of its own. What it raises
            that is no error of this library becomes an AuthenticationError.
        lasts: whether a value is still good in so many seconds; quick.
        what: the value's name, for errors.
    """

    def __init__(
        self, fetch: Callable[[], T], lasts: Callable[[T, float], bool], *, what: str
    ) -> None:
        self._fetch = fetch
        self._lasts = lasts
        self._what = what
        self._lock = threading.Lock()
        self._value: T | None = None
        self._pending: Future[T] | None = None

    async def get(self) -> T:
        """The value; fetched if the kept one ends within five minutes.

        Where that fails, the kept one is given for as long as it is good.

        Raises:
            AuthenticationError: none could be had.
            BelugaError: what else `fetch` raises.
        """
        with self._lock:
            kept = self._value
            if kept is not None and self._lasts(kept, MARGIN):
                return kept
            pending = self._pending or self._begin()
        try:
            return await asyncio.wrap_future(pending)
        except BelugaError as error:
            if kept is not None and self._lasts(kept, 0.0):
                return kept
            # Each waiter gets an error of its own: tracebacks and facts are added to it.
            raise copy.copy(error) from error.__cause__

    def _begin(self) -> Future[T]:
        pending: Future[T] = Future()
        pending.set_running_or_notify_cancel()  # a waiter that is cancelled stops nobody
        threading.Thread(target=self._run, args=(pending,), daemon=True).start()
        self._pending = pending
        return pending

    def _run(self, pending: Future[T]) -> None:
        try:
            value = self._fetch()
        except BaseException as error:  # noqa: BLE001 -- whatever it is, nobody may wait for ever
            with self._lock:
                self._pending = None
            pending.set_exception(self._ours(error))
        else:
            with self._lock:
                self._value, self._pending = value, None
            pending.set_result(value)

    def _ours(self, error: BaseException) -> BelugaError:
        if isinstance(error, BelugaError):
            return error
        found = AuthenticationError(f"no {self._what}: {type(error).__name__}: {error}")
        found.__cause__ = error
        return found

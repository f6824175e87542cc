"""One event loop in a daemon thread, for callers that have no loop of their own.

A caller hands it a coroutine and waits. What interrupts the caller, such as Ctrl-C, cancels the
coroutine, and the caller waits until that has closed its connection. Everything that the two
threads share goes through the loop's own queue, which keeps its order: a cancellation never
overtakes the call that it is for, and the end comes after the calls that were handed over before.

A child process that was forked has no such thread; it forgets its parent's and starts its own.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent import futures
from contextlib import suppress
from typing import Any, Generic, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from beluga_llm._chat_stream import ChatStream
from beluga_llm._closing import close_each
from beluga_llm._model import ChatModel
from beluga_llm._registry import create

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 5.0
"""Seconds for which the end of the process waits for calls and models to end."""

CLOSED = "its event loop has ended, by blocking.close() or a fork: a new call starts another"


class _Call(Generic[T]):
    """A coroutine on its way through the loop, and how it ended."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], context: contextvars.Context) -> None:
        self.coroutine = coroutine
        self.context = context
        self.ended: futures.Future[T] = futures.Future()
        self.task: asyncio.Task[T] | None = None

    def cancel(self) -> None:
        """Ends it early; in the loop's thread."""
        if self.task is not None:
            self.task.cancel()
        else:  # the caller was interrupted before it was handed over
            self.refuse()

    def refuse(self) -> None:
        """Ends it before it began."""
        self.coroutine.close()
        self.ended.set_exception(RuntimeError(CLOSED))


class _Threads(futures.ThreadPoolExecutor):
    """The threads that the loop has for what blocks, such as closing a file.

    Python lets none work any more when the process ends, just when everything is to be closed. Then
    the loop's own thread does their work.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> futures.Future[T]:
        """Has a function called, and gives what will tell how it ended."""
        if not _process_ends():
            return super().submit(fn, *args, **kwargs)
        ended: futures.Future[T] = futures.Future()
        try:
            ended.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 -- it is raised where it is waited for
            ended.set_exception(error)
        return ended


def _process_ends() -> bool:
    """Whether the program is over, and only the end of the process is left."""
    return not threading.main_thread().is_alive()


class LoopThread:
    """The loop, its thread, and what is to be closed with them."""

    def __init__(self) -> None:
        self.closed = False
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_Threads(thread_name_prefix="beluga-llm-blocking"))
        self._stop = asyncio.Event()
        self._calls: set[asyncio.Task[Any]] = set()
        self._models: dict[str, ChatModel] = {}
        self._opened: WeakValueDictionary[int, ChatStream | ChatModel] = WeakValueDictionary()
        self._errors: list[Exception] = []
        self._thread = threading.Thread(target=self._serve, name="beluga-llm-blocking", daemon=True)
        self._thread.start()

    def wait_for(
        self, coroutine: Coroutine[Any, Any, T], context: contextvars.Context | None = None
    ) -> T:
        """What a coroutine returns, or raises.

        Args:
            coroutine: runs as a task of its own.
            context: what it runs in; a copy of the caller's by default.

        Raises:
            RuntimeError: the loop was closed, before or meanwhile.
        """
        call = _Call(coroutine, context or contextvars.copy_context())
        try:
            self._hand_over(call)
            return call.ended.result()
        except BaseException:
            if not call.ended.done():  # Ctrl-C, or what another signal handler raised
                with suppress(RuntimeError):  # the loop has ended, and the call with it
                    self._loop.call_soon_threadsafe(call.cancel)
                    futures.wait((call.ended,))
            raise
        finally:
            del call  # its error's traceback holds this frame

    def model(self, name: str) -> ChatModel:
        """The model of a name, made once; in the caller's thread, for plugins are imported."""
        found = self._models.get(name)
        return found or self._models.setdefault(name, create(name))

    def close_at_end(self, opened: ChatStream | ChatModel) -> None:
        """Has something closed at the end, if it is still there; in the loop's thread."""
        self._opened[id(opened)] = opened

    def end(self, patience: float | None = None) -> None:
        """Cancels what runs, closes what was opened, and ends the thread.

        Args:
            patience: seconds to wait for that; None waits until it is done.

        Raises:
            ExceptionGroup: something failed to close; all was tried.
        """
        with suppress(RuntimeError):  # it ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(patience)
        if self._errors:
            errors, self._errors = self._errors, []
            raise ExceptionGroup("closing failed", errors)

    def _hand_over(self, call: _Call[Any]) -> None:
        with _state.lock:  # so that it is in the queue before the end is
            if self.closed:
                call.refuse()
            else:
                self._loop.call_soon_threadsafe(self._begin, call)

    def _begin(self, call: _Call[Any]) -> None:
        task = self._loop.create_task(_guarded(call.coroutine), context=call.context)
        call.task = task
        self._calls.add(task)

        def settle(task: asyncio.Task[Any]) -> None:
            self._calls.discard(task)
            call.coroutine.close()  # it may have been cancelled before its first step
            if task.cancelled():
                why = RuntimeError(CLOSED) if self.closed else asyncio.CancelledError()
                call.ended.set_exception(why)
                return
            value, error = task.result()
            if error is None:
                call.ended.set_result(value)
            else:
                call.ended.set_exception(error)

        task.add_done_callback(settle)

    def _serve(self) -> None:
        runner = asyncio.Runner(loop_factory=lambda: self._loop)
        try:
            # Those two end a loop when a task that some call has started raises them.
            with suppress(KeyboardInterrupt, SystemExit):
                runner.run(self._live())
        finally:
            # As its last act a loop waits for its threads, in a thread that Python 3.12 does not
            # start any more when the process ends; by then they have ended.
            refused = (RuntimeError,) if _process_ends() else ()
            with suppress(*refused):
                runner.close()

    async def _live(self) -> None:
        try:
            await self._stop.wait()
        finally:
            with _state.lock:
                self.closed = True
            await asyncio.sleep(0)  # what was handed over begins, to be cancelled
            while self._calls:
                for task in self._calls:
                    task.cancel()
                await asyncio.wait(self._calls)
            opened = list(self._opened.values())
            self._errors += await close_each(one.aclose for one in opened)


async def _guarded(coroutine: Coroutine[Any, Any, T]) -> tuple[T | None, BaseException | None]:
    """What a coroutine returns, or raises: what ends the process must not end the loop."""
    try:
        return await coroutine, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 -- it is raised where it is waited for
        return None, error


class _State:
    """The one loop of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.current: LoopThread | None = None
        self.is_known = False
        """Whether the ends of the process, and its forks, are listened for."""


_state = _State()


def loop_thread() -> LoopThread:
    """The loop of this process; it is started where there is none."""
    with _state.lock:
        if _state.current is None or _state.current.closed:
            _listen()
            _state.current = LoopThread()
        return _state.current


def end_loop_thread(patience: float | None = None) -> None:
    """Ends the loop of this process, if there is one."""
    with _state.lock:
        ended, _state.current = _state.current, None
    if ended is not None:
        ended.end(patience)


def _listen() -> None:
    if _state.is_known:
        return
    _state.is_known = True
    atexit.register(end_loop_thread, PATIENCE)
    if hasattr(os, "register_at_fork"):  # pragma: no branch -- Windows has none
        os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    """Leaves the parent's loop alone: its sockets are the parent's, closing would disturb them."""
    _state.lock = threading.Lock()
    if _state.current is not None:
        _state.current.closed = True
        _inherited.append(_state.current)
        _state.current = None


_inherited: list[LoopThread] = []
"""Loops of parents, kept so that nothing tidies them up."""


def refuse_running_loop(name: str, instead: str) -> None:
    """Raises where the calling thread runs an event loop, which would stand still.

    Args:
        name: what was called.
        instead: what to write there.

    Raises:
        RuntimeError: it runs one.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError(
            f"blocking.{name} was called inside a running event loop, which would stand still: "
            f"use {instead} there"
        )

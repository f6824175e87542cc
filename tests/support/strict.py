"""Two checks on every test: no task is left behind, and nothing of ours blocks an event loop.

Warnings as errors and asyncio's debug mode are settings of pytest. A task that is still there when
its loop is closed is cancelled by asyncio without a word; here it fails the test. A call that
blocks is seen by an audit hook of the interpreter, where code of ours makes it inside a loop.
"""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio import runners
from collections.abc import Generator
from typing import Any

import pytest

OURS = ("beluga_llm", "beluga_llm_")
BLOCKING = frozenset(
    ("socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "os.system")
)
LEFT: list[str] = []
BLOCKED: list[str] = []
_cancel_all_tasks: Any = runners._cancel_all_tasks  # type: ignore[attr-defined]  # the only place

_sleep = time.sleep


def _note_tasks(loop: asyncio.AbstractEventLoop) -> None:
    LEFT.extend(repr(task) for task in asyncio.all_tasks(loop) if not _closes_a_generator(task))
    _cancel_all_tasks(loop)


def _closes_a_generator(task: asyncio.Task[Any]) -> bool:
    """Whether it is asyncio's own, for a generator that a test has dropped on purpose."""
    return type(task.get_coro()).__name__ in ("async_generator_athrow", "async_generator_aclose")


def _note_blocking(event: str, arguments: tuple[Any, ...]) -> None:
    if event in BLOCKING:
        _note_call(event)


def _note_call(event: str) -> None:
    if asyncio._get_running_loop() is None:
        return
    caller = sys._getframe(2)
    while caller.f_globals.get("__name__", "").partition(".")[0] in (
        "time",
        "socket",
        "subprocess",
    ):
        assert caller.f_back is not None
        caller = caller.f_back
    if caller.f_globals.get("__name__", "").startswith(OURS):
        BLOCKED.append(f"{event} in {caller.f_code.co_qualname}")


def _noted_sleep(seconds: float) -> None:
    _note_call("time.sleep")
    _sleep(seconds)


def pytest_configure() -> None:
    """Begins to look, once, for the rest of the process."""
    if time.sleep is _noted_sleep:  # the suites of tests and of plugins both ask for it
        return
    runners._cancel_all_tasks = _note_tasks  # type: ignore[attr-defined]
    sys.addaudithook(_note_blocking)
    time.sleep = _noted_sleep  # before Python 3.13 it tells no audit hook


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Fails a test that has left a task, or has blocked its loop."""
    yield
    left, blocked = LEFT.copy(), BLOCKED.copy()
    LEFT.clear()
    BLOCKED.clear()
    if left and item.get_closest_marker("leaves_tasks") is None:
        pytest.fail(f"tasks were left behind: {left}", pytrace=False)
    if blocked:
        pytest.fail(f"the event loop was blocked: {blocked}", pytrace=False)

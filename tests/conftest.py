"""What all tests share: time that is moved by hand, and what happens where a plugin is missing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Generator

import pytest
import pytest_asyncio
from hypothesis import settings
from support.strict import pytest_configure as pytest_configure
from support.strict import pytest_runtest_teardown as pytest_runtest_teardown

from beluga_llm import ProviderNotFoundError

settings.register_profile("traced", settings.get_profile("ci"), max_examples=30)
"""For runs that are traced for coverage, which take twice the time: a third of the examples."""

NO_PLUGINS = bool(os.environ.get("BELUGA_NO_PLUGINS"))
"""Set by `nox -s core` and `nox -s lowest`, which install none."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where no plugin is installed, a test that needs one is skipped, and says so."""
    if (
        NO_PLUGINS
        and call.excinfo is not None
        and call.excinfo.errisinstance(ProviderNotFoundError)
    ):
        try:
            pytest.skip(f"needs a plugin: {call.excinfo.value}")
        except pytest.skip.Exception:
            call.excinfo = pytest.ExceptionInfo.from_current()
    return (yield)


@pytest_asyncio.fixture
async def skip_time() -> AsyncIterator[Callable[[float], None]]:
    """Moves the running loop's clock forward, so that its timers fire without anybody waiting."""
    loop = asyncio.get_running_loop()
    real, skipped = loop.time, 0.0

    def skip(seconds: float) -> None:
        nonlocal skipped
        skipped += seconds

    loop.time = lambda: real() + skipped  # type: ignore[method-assign]  # the point
    yield skip
    del loop.time  # type: ignore[method-assign]  # the class's own again

"""The fixtures that come with beluga-llm, for every test suite it is installed in.

Only pytest is imported here; what a fixture needs is imported when a test asks for it. The fake
server runs in a thread of its own, so that its fixture works with any scope of event loop, in
pytest-asyncio's auto and strict mode, with other async plugins, and in tests without a loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from beluga_llm import Registry
    from beluga_llm.testing import FakeServer, MockChatModel

pytest.register_assert_rewrite("beluga_llm.testing._conformance")


@pytest.fixture(scope="session")
def beluga_conformance_server() -> Iterator[FakeServer]:
    """The fake server that all conformance checks of a process share."""
    from beluga_llm.testing import FakeServer

    with FakeServer() as server:
        yield server


@pytest.fixture
def fake_llm_server() -> Iterator[FakeServer]:
    """A fake LLM server on this machine: script it with `.reply(...)`."""
    from beluga_llm.testing import FakeServer

    with FakeServer() as server:
        yield server


@pytest.fixture
def mock_model() -> Iterator[MockChatModel]:
    """A mock model: script it with `.script(...)`; the test must use all of its responses."""
    from beluga_llm.testing import MockChatModel

    model = MockChatModel(())
    yield model
    model.assert_exhausted()


@pytest.fixture
def beluga_registry() -> Iterator[Registry]:
    """The registry; what the test registers and unregisters is undone after it."""
    from beluga_llm import registry

    with registry.isolated():
        yield registry

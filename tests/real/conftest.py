"""Servers that one test session shares."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.real import aimock_is_installed, llama_is_built, server

ASKED = bool(os.environ.get("BELUGA_REAL_SERVERS"))


@pytest.fixture(scope="session")
def llama() -> Iterator[str]:
    """The address of a llama.cpp server with a small working model."""
    if not ASKED:
        pytest.skip("real servers are asked for by BELUGA_REAL_SERVERS=1 (nox -s real)")
    if not llama_is_built():
        pytest.skip("the llama.cpp server is not built here")
    with server("llama") as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def aimock() -> Iterator[str]:
    """The address of a server that emulates the vendors' APIs, five characters at a time."""
    if not ASKED:
        pytest.skip("real servers are asked for by BELUGA_REAL_SERVERS=1 (nox -s real)")
    if not aimock_is_installed():
        pytest.skip("aimock is not installed here")
    with server("aimock", "--chunk-size", "5") as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def faults(llama: str) -> Iterator[str]:
    """The address of a proxy that misbehaves on demand, in front of llama.cpp."""
    with server("faultproxy", llama.rpartition(":")[2]) as port:
        yield f"http://127.0.0.1:{port}"

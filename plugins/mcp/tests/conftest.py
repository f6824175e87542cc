"""Real servers, over both transports."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from beluga_llm_mcp import mcp_tools

COMMAND = [sys.executable, str(Path(__file__).parent / "server.py")]


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _http_server() -> Iterator[str]:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*COMMAND, str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:  # type: ignore[call-overload]  # mypy loses the types
        while not _listens(port):
            assert process.poll() is None, "the server does not start"
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.kill()


@pytest.fixture
def command() -> list[str]:
    """What starts a server that speaks over stdio."""
    return COMMAND


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """The address of a server that all tests share."""
    with _http_server() as address:
        yield address


@pytest.fixture(params=["stdio", "http"])
def opened(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`mcp_tools` of a real server."""
    where = COMMAND if request.param == "stdio" else request.getfixturevalue("url")
    return lambda **more: mcp_tools(where, **more)


@pytest.fixture(params=["stdio", "http"])
def mortal(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """`mcp_tools` of a real server that nobody else needs."""
    if request.param == "stdio":
        yield lambda **more: mcp_tools(COMMAND, **more)
    else:
        with _http_server() as address:
            yield lambda **more: mcp_tools(address, **more)

"""A real server, which is started here; tests that need it are skipped where it is missing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

HOME = Path(os.environ.get("SERVERS_WORK", Path.home() / ".cache" / "beluga-servers"))


class RedisServer:
    """A server without persistence, at a port that it keeps.

    Attributes:
        url: where it listens, once it has been started.
    """

    def __init__(self, *options: str) -> None:
        path = f"{HOME / 'bin'}{os.pathsep}{os.environ['PATH']}"
        binary = shutil.which("redis-server", path=path)
        if binary is None:
            pytest.skip("there is no redis-server")
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", *options]
        self._command += ["--save", "", "--dir", "/tmp"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, with nothing in it."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        while not self._listens():
            assert self._process.poll() is None, "the server does not start"
            time.sleep(0.02)

    def _listens(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Kills it; its connections break."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _free_port() -> int:
    """A port whose number still is one with 10,000 more: there the nodes of a cluster talk."""
    while True:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 2**16 - 10_000:
            return port


def _running(*options: str) -> Iterator[RedisServer]:
    server = RedisServer(*options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def shared_server() -> Iterator[RedisServer]:
    """The server of all tests that leave it alone."""
    yield from _running()


@pytest.fixture
def url(shared_server: RedisServer) -> str:
    """The address of a server; tests use names of their own in it."""
    return shared_server.url


@pytest.fixture
def mortal() -> Iterator[RedisServer]:
    """A server that nobody else needs."""
    yield from _running()


@pytest.fixture
def absent() -> RedisServer:
    """A server that was not started."""
    return RedisServer()


@pytest.fixture
def cluster() -> Iterator[RedisServer]:
    """A cluster of one node, which has all slots."""
    options = ("--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{os.getpid()}.conf")
    yield from _running(*options)
    (Path("/tmp") / f"nodes-{os.getpid()}.conf").unlink(missing_ok=True)

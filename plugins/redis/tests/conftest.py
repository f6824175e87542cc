"""A real server, which is started here; tests that need it are skipped where it is missing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

HOME = Path(os.environ.get("SERVERS_WORK", Path.home() / ".cache" / "beluga-servers"))


class RedisServer:
    """A server without persistence, at a port that it keeps.

    Args:
        *options: of its command line.
        scheme: `redis`, or `rediss` for one that speaks nothing but TLS.

    Attributes:
        url: where it listens, once it has been started.
    """

    def __init__(self, *options: str, scheme: str = "redis") -> None:
        path = f"{HOME / 'bin'}{os.pathsep}{os.environ['PATH']}"
        binary = shutil.which("redis-server", path=path)
        if binary is None:
            pytest.skip("there is no redis-server")
        self.port = _free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}/0"
        ports = [f"--{name}" for name in ("port", "tls-port")]
        plain, tls = (ports[0], str(self.port)), (ports[0], "0", ports[1], str(self.port))
        self._command = [binary, *(tls if scheme == "rediss" else plain), "--bind", "127.0.0.1"]
        self._command += [*options, "--save", "", "--dir", "/tmp"]
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def begin(self) -> None:
        """Starts it, with nothing in it, and does not wait for it."""
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdout=pipe, stderr=pipe, text=True)

    def start(self) -> None:
        """Starts it, and waits until it listens."""
        self.begin()
        self.wait_for("Ready to accept connections")

    def wait_for(self, text: str) -> None:
        """It has logged that.

        Raises:
            RuntimeError: it has ended; with what it has logged.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        logged = []
        for line in self._process.stdout:
            logged.append(line)
            if text in line:
                return
        raise RuntimeError("".join(logged) + self._process.communicate()[1])

    def stop(self) -> None:
        """Kills it; its connections break."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _free_port() -> int:
    """A port whose number still is one with 10,000 more: there the nodes of a cluster talk."""
    while True:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 2**16 - 10_000:
            return port


def _running(server: RedisServer) -> Iterator[RedisServer]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def shared_server(early_node: RedisServer) -> Iterator[RedisServer]:
    """The server of all tests that leave it alone."""
    yield from _running(RedisServer())


@pytest.fixture
def url(shared_server: RedisServer) -> str:
    """The address of a server; tests use names of their own in it."""
    return shared_server.url


@pytest.fixture
def mortal() -> Iterator[RedisServer]:
    """A server that nobody else needs."""
    yield from _running(RedisServer())


@pytest.fixture
def absent() -> RedisServer:
    """A server that was not started."""
    return RedisServer()


@pytest.fixture(scope="session")
def early_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A node of a cluster, begun with the first test: it does nothing in its first two seconds.

    Then it waits for the timeout of nodes, from the moment at which it has slots.
    """
    config = str(tmp_path_factory.mktemp("cluster") / "nodes.conf")
    options = ("--cluster-enabled", "yes", "--cluster-config-file", config)
    node = RedisServer(*options, "--cluster-node-timeout", "500")
    node.begin()
    try:
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def cluster(early_node: RedisServer) -> RedisServer:
    """A cluster of one node, which has all slots."""
    redis = pytest.importorskip("redis")
    early_node.wait_for("Ready to accept connections")
    with redis.Redis.from_url(early_node.url) as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    early_node.wait_for("Cluster state changed: ok")
    return early_node

"""Real servers for optional tests: found in BELUGA_SHARED and here, or skipped visibly."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def scripts() -> Path:
    """The folder of the start scripts."""
    shared = os.environ.get("BELUGA_SHARED")
    if not shared:
        pytest.skip("BELUGA_SHARED is not set: no real servers")
    return Path(shared) / "servers"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def server(name: str, *arguments: str) -> Iterator[int]:
    """A server started by its script, and stopped at the end; its port."""
    port, folder = free_port(), scripts()
    start = ["bash", str(folder / f"start_{name}.sh"), str(port), *arguments]
    ran = subprocess.run(start, capture_output=True, text=True, timeout=60, check=False)
    if ran.returncode:
        pytest.skip(f"{name} does not start here: {ran.stdout.strip()[-200:]}")
    try:
        yield port
    finally:
        stop = ["bash", str(folder / "stop.sh"), name, str(port)]
        subprocess.run(stop, capture_output=True, timeout=30, check=False)


def llama_is_built() -> bool:
    """Whether the llama.cpp server was built on this machine."""
    return (_work() / "bin" / "llama-server").exists()


def aimock_is_installed() -> bool:
    """Whether aimock, which emulates the vendors' APIs, is on this machine."""
    return (_work() / "npm" / "node_modules" / ".bin" / "llmock").exists()


def _work() -> Path:
    """Where servers are installed."""
    return Path(os.environ.get("SERVERS_WORK") or Path.home() / ".cache" / "beluga-servers")

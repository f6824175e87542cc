"""What the settings of our own suites, and `support.strict`, let no test get away with."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import strict

pytestmark = pytest.mark.row("TEST-26")
ROOT = Path(__file__).parents[2]
FORGETFUL = {
    "a warning": "import warnings\ndef test_it(): warnings.warn('old', DeprecationWarning)",
    "an open socket": "import socket\ndef test_it(): socket.socket()",
    "a lost coroutine": "async def nothing(): pass\ndef test_it(): nothing()",
    "a pending task": (
        "import asyncio\n"
        "async def test_it():\n"
        "    global task\n"
        "    task = asyncio.ensure_future(asyncio.sleep(60))"
    ),
    "a blocked loop": (
        "import time\n__name__ = 'beluga_llm_acme'\nasync def test_it(): time.sleep(0)"
    ),
    "a name looked up in the loop": (
        "import socket\n"
        "__name__ = 'beluga_llm._http.acme'\n"
        "async def test_it(): socket.getaddrinfo('127.0.0.1', 1)"
    ),
}
TIDY = (
    "import asyncio, socket, time\n"
    "async def test_it():\n"
    "    task = asyncio.ensure_future(asyncio.sleep(0))\n"
    "    await task\n"
    "    time.sleep(0)  # no code of ours\n"
    "    await asyncio.to_thread(socket.getaddrinfo, '127.0.0.1', 1)\n"
)


def run(folder: Path, source: str) -> str:
    (folder / "test_it.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-c", ROOT / "pyproject.toml",
         "-p", "support.strict", "-p", "no:cacheprovider", folder / "test_it.py"],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize("source", FORGETFUL.values(), ids=FORGETFUL)
def test_it_fails(tmp_path: Path, source: str):
    output = run(tmp_path, source)
    assert "1 failed" in output or "1 error" in output, output


def test_a_tidy_test_passes(tmp_path: Path):
    output = run(tmp_path, TIDY)
    assert "1 passed" in output, output
    assert "error" not in output, output


async def test_the_loop_is_in_debug_mode():
    assert asyncio.get_running_loop().get_debug()


def test_this_suite_has_the_checks(pytestconfig: pytest.Config):
    hooks = pytestconfig.hook.pytest_runtest_teardown.get_hookimpls()
    assert strict.pytest_runtest_teardown in [hook.function for hook in hooks]
    assert time.sleep is strict._noted_sleep
    assert pytestconfig.getini("filterwarnings")[0] == "error"

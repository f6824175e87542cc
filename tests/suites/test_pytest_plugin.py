"""The pytest plugin in test suites of users: any mode, any loop, workers, live tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEN_LINES = """
import pytest
from beluga_llm.testing import MockChatModel

async def greet(model, name):
    return (await model.generate(f"Greet {name}")).text.upper()

@pytest.mark.asyncio
@pytest.mark.usefixtures("forbid_requests")
async def test_greet():
    model = MockChatModel(["hello ada"])
    assert await greet(model, "Ada") == "HELLO ADA"
    assert model.calls[0].messages[0].text == "Greet Ada"
    model.assert_exhausted()
"""
LOOPS = """
import pytest
from test_ten import greet

@pytest.mark.parametrize("number", range(2))
@pytest.mark.asyncio(loop_scope="{scope}")
async def test_{scope}(mock_model, fake_llm_server, forbid_requests, otel_spans, number):
    mock_model.script("hello")
    assert await greet(mock_model, "Ada") == "HELLO"
"""
SCOPES = ("function", "class", "module", "package", "session")
LIVE = """
import pytest

@pytest.mark.live("openai-compatible")
def test_no_key_needed(): pass

@pytest.mark.live("nobody")
def test_nobody(): pass

@pytest.mark.live
def test_any(): pass
"""


def run_pytest(path: Path, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider",
         "-p", "no:randomly", "-rs", "-o", "asyncio_default_fixture_loop_scope=function", *args],
        cwd=path, capture_output=True, text=True, check=False,
        env={**os.environ, "OPENAI_API_KEY": ""},
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.row("TEST-28", "NONE-05", "PAIN-14")
@pytest.mark.parametrize("mode", ["auto", "strict"])
@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_a_users_test_in_ten_lines(tmp_path: Path, mode: str, workers: tuple[str, ...]):
    """In every mode, with every scope of loop, alone and with workers, without anyio's plugin."""
    (tmp_path / "test_ten.py").write_text(TEN_LINES)
    for scope in SCOPES:
        (tmp_path / f"test_{scope}.py").write_text(LOOPS.format(scope=scope))
    output = run_pytest(tmp_path, f"--asyncio-mode={mode}", "-p", "no:anyio", *workers)
    assert "11 passed" in output, output


@pytest.mark.row("TEST-25")
def test_live_tests_are_asked_for(tmp_path: Path):
    (tmp_path / "test_live.py").write_text(LIVE)
    strict = ("--strict-markers",)
    output = run_pytest(tmp_path, *strict)
    assert "3 skipped" in output, output
    assert "give --live" in output
    output = run_pytest(tmp_path, *strict, "--live")
    assert "2 passed, 1 skipped" in output, output
    assert "live test of nobody" in output

"""The fixtures of the testing kit, with any async plugin of pytest and with none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FIXTURE_TEST = """
import asyncio
import pytest
import beluga_llm as llm

async def ask(server):
    server.reply("Hello")
    url = server.base_url("chat")
    async with llm.create("openai-compatible", model="m", base_url=url) as model:
        return (await model.generate("hi")).text

def test_without_a_loop(fake_llm_server):
    assert asyncio.run(ask(fake_llm_server)) == "Hello"

def test_registry(beluga_registry):
    llm.register("mine", lambda config: None)
    assert "mine" in llm.list_providers()

def test_registry_is_restored():
    assert "mine" not in llm.list_providers()

def test_mock_used(mock_model):
    mock_model.script("Hello")
    assert asyncio.run(mock_model.generate("hi")).text == "Hello"

def test_mock_unused(mock_model):
    mock_model.script("Hello")
"""
LOOPS_TEST = """
import pytest
from test_plain import ask

@pytest.mark.asyncio(loop_scope="function")
async def test_function_loop(fake_llm_server):
    assert await ask(fake_llm_server) == "Hello"

@pytest.mark.asyncio(loop_scope="module")
async def test_module_loop(fake_llm_server):
    assert await ask(fake_llm_server) == "Hello"

@pytest.mark.asyncio(loop_scope="session")
async def test_session_loop(fake_llm_server):
    assert await ask(fake_llm_server) == "Hello"
"""


def run_pytest(path: Path, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider",
         "-p", "no:randomly", *args],
        cwd=path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.row("TEST-34")
@pytest.mark.row("TEST-15")
@pytest.mark.row("REGI-18")
def test_the_fixtures_work_without_an_async_plugin(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(FIXTURE_TEST)
    output = run_pytest(tmp_path, "-p", "no:asyncio", "-p", "no:aiohttp", "-p", "no:anyio")
    assert "5 passed, 1 error" in output, output
    assert "MockExhaustedError: mock: 1 of 1 responses were not used" in output


@pytest.mark.row("TEST-28")
@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_the_fixtures_work_with_any_loop(tmp_path: Path, mode: str) -> None:
    (tmp_path / "test_plain.py").write_text(FIXTURE_TEST)
    (tmp_path / "test_loops.py").write_text(LOOPS_TEST)
    scope = "asyncio_default_fixture_loop_scope=function"  # unset, it is a warning
    output = run_pytest(tmp_path, f"--asyncio-mode={mode}", "-o", scope, "test_loops.py")
    assert "3 passed" in output, output

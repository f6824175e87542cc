"""Every example runs as a program, without a key, with warnings as errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.py"))

SAYS = {
    "batch": "1: failed, ",
    "blocking_script": "-- 71 tokens",
    "budget": "call 3 was not sent: ",
    "caching": "What is 2+2? from the cache in ",
    "conversation": "-- 5 messages kept",
    "custom_provider": "Tell me more about your code.",
    "hooks": "You said: Greet Ada Lovelace",
    "resilient_service": "the first was asked 5 times, the second 3 times",
    "streaming": "-- only five words: Once upon a time a ...",
    "structured_folder": '{"file":"3.txt","letter":{"writer":',
    "testing_an_app": "5 passed",
    "tool_assistant": "the list: ['item']",
    "web_chat": "Once upon a time a small whale",
}
"""What each shows, among other things."""


@pytest.mark.row("DOCS-19")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path):
    if path.stem == "resilient_service":
        pytest.importorskip("opentelemetry.sdk")
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.endswith("_API_KEY") and key != "BELUGA_MODEL"
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=50, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert SAYS[path.stem] in done.stdout
    if path.stem != "structured_folder":  # which shows its progress there
        assert done.stderr == ""


@pytest.mark.row("DOCS-19")
def test_every_example_is_listed():
    listed = (EXAMPLES[0].parent / "README.md").read_text("utf-8")
    assert [path.name for path in EXAMPLES if f"]({path.name})" not in listed] == []


@pytest.mark.row("DOCS-19")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_enough_to_read(path: Path):
    assert len(path.read_text("utf-8").splitlines()) <= 95

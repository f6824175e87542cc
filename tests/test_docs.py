"""Every Python block of the README and the docs runs; the blocks of one file belong together."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from beluga_llm import ChatModel

pytest.importorskip("beluga_llm_openai", reason="the README shows this plugin")
pytest.importorskip("beluga_llm_anthropic", reason="the README shows this plugin")

ROOT = Path(__file__).parent.parent
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def python_blocks(path: Path) -> list[str]:
    """The blocks of a file, each at the line where it stands."""
    text = path.read_text("utf-8")
    return ["\n" * text[: m.start(1)].count("\n") + m[1] for m in _BLOCK.finditer(text)]


async def execute(block: str, path: Path, names: dict[str, Any]) -> None:
    """Runs a block as the prompt of `python -m asyncio` does."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(block, str(path), "exec", flags=flags, dont_inherit=True)
    result = eval(code, names)
    if inspect.iscoroutine(result):
        await result


@pytest.mark.row("DOCS-25", "DOCS-26")
@pytest.mark.parametrize(
    "path", [path for path in FILES if python_blocks(path)], ids=lambda path: path.name
)
async def test_blocks_run(path: Path, monkeypatch: pytest.MonkeyPatch):
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(variable, "test-key")
    names: dict[str, Any] = {"__name__": "__main__"}
    models: list[ChatModel] = []
    for block in python_blocks(path):
        await execute(block, path, names)
        models += [value for value in names.values() if isinstance(value, ChatModel)]
    for model in models:
        await model.aclose()


_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.row("DOCS-26")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path):
    places = [path.parent / place for place in _LINK.findall(path.read_text("utf-8"))]
    assert [str(place) for place in places if not place.exists()] == []


@pytest.mark.row("PAIN-14")
def test_each_guarantee_names_tests_that_hold_it():
    """The tests that a line of docs/guarantees.md links to are marked with its number."""
    text = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 16))
    for number, held_by in rows:
        for place in _LINK.findall(held_by):
            assert f"PAIN-{int(number):02}" in (ROOT / "docs" / place).read_text("utf-8"), place

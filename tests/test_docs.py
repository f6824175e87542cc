"""The README and the docs: their Python runs and prints what they show; their links lead somewhere.

How a page shows what is printed is told in support/doc_blocks.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.doc_blocks import agrees, python_blocks, run_page

pytest.importorskip("beluga_llm_openai", reason="the README shows this plugin")
pytest.importorskip("beluga_llm_anthropic", reason="the README shows this plugin")

ROOT = Path(__file__).parent.parent
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "MISTRAL_API_KEY")


@pytest.mark.row("DOCS-25", "DOCS-26")
@pytest.mark.parametrize(
    "path", [path for path in FILES if python_blocks(path)], ids=lambda path: path.name
)
async def test_blocks_run_and_print_what_is_shown(path: Path, monkeypatch: pytest.MonkeyPatch):
    for variable in KEYS:
        monkeypatch.setenv(variable, "test-key")
    wrong = [
        f"line {block.code.count(chr(10))}: printed {printed!r}"
        async for block, printed in run_page(path)
        if not agrees(block.shown, printed)
    ]
    assert wrong == [], f"python tests/support/doc_blocks.py {path} --write"


@pytest.mark.row("DOCS-25")
@pytest.mark.parametrize(
    ("shown", "printed", "agreed"),
    [
        ("", "", True),
        ("4\n", "4\n", True),
        ("4\n", "4", True),
        ("id ...\n", "id 7f\n", True),
        ("4\n", "5\n", False),
        ("4\n", "4\n5\n", False),
        ("", "4\n", False),
        ("4\n", "", False),
        ("a.c\n", "abc\n", False),
    ],
)
def test_what_is_shown_is_compared(shown: str, printed: str, agreed: bool):
    assert agrees(shown, printed) is agreed


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

"""The page about scaling: its figures are those of the page that measures, its sums are right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.doc_blocks import python_blocks

pytestmark = pytest.mark.row("DIST-04")

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "scaling.md"
MEASURED = (DOCS / "performance.md").read_text("utf-8")


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the block with the arithmetic defines."""
    found: dict[str, Any] = {}
    exec(python_blocks(PAGE)[0].code, found)
    return found


def figures(row: str, after: str = "") -> list[float]:
    """The numbers of a row of the measured table, but for those of its first cell."""
    lines = MEASURED[MEASURED.index(after) :].splitlines()
    cells = next(line for line in lines if line.startswith(f"| {row}")).split("|")[2:]
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", " ".join(cells))]


def test_the_figures_are_those_that_were_measured(names: dict[str, Any]):
    stack = "the same with the recommended stack"
    (whole, *_) = figures(stack, "| `generate`")
    (layered, *_) = figures(stack, "| a chunk, 2000 together")
    plain = figures("a chunk, 2000 together")[1]
    busy = figures("100 streams at 100 chunks/s")[1] / 100
    (stream, *_) = figures(stack, "| memory of an open stream")
    assert names["CALL"] == pytest.approx(whole * 1e-6)
    alone = busy / (100 * 100)
    assert names["CHUNK"] == pytest.approx(alone + (layered - plain) * 1e-6)
    assert names["STREAM"] == pytest.approx(stream / 1024)


def test_a_fleet_is_as_large_as_its_calls(names: dict[str, Any]):
    need = names["fleet"](100, seconds=3, chunks=0, tokens=10)
    assert need["calls under way"] == 300
    assert need["cores"] == pytest.approx(100 * (names["CALL"] + names["SHARED"]), abs=0.01)
    assert (need["processes"], need["connections of each"]) == (1, 300)
    assert (need["provider: RPM"], need["provider: TPM"]) == (6000, 60_000)


def test_twice_the_calls_need_twice_of_everything(names: dict[str, Any]):
    one, two = (names["fleet"](n, seconds=8, chunks=400, tokens=1500) for n in (200, 400))
    for what in ("calls under way", "provider: RPM", "provider: TPM", "Redis: commands/s"):
        assert two[what] == 2 * one[what]
    assert two["cores"] == pytest.approx(2 * one["cores"], abs=0.02)
    assert two["processes"] * names["FULL"] >= two["cores"] - 0.01

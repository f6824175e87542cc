"""What calls and chunks cost stays what it is; see tests/unit/test_cost.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

OPCODES = Path(__file__).parents[3] / "tests" / "benchmarks" / "opcodes.py"
KNOWN = {"call": 2805, "chunk": 126}


@pytest.mark.row("NONE-07")
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="instructions of Python 3.11")
def test_nothing_got_a_fifth_dearer():
    command = [sys.executable, OPCODES, "messages"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    counts = json.loads(ran.stdout)
    assert counts.keys() == KNOWN.keys()
    assert not {what: counts[what] for what in KNOWN if not 0 < counts[what] <= KNOWN[what] * 1.2}

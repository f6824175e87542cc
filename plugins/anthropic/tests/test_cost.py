"""What a chunk costs stays what it is: instructions are counted, see tests/unit/test_cost.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

OPCODES = Path(__file__).parents[3] / "tests" / "benchmarks" / "opcodes.py"
KNOWN = 183


@pytest.mark.row("NONE-07")
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="instructions of Python 3.11")
def test_a_chunk_got_no_fifth_dearer():
    command = [sys.executable, OPCODES, "messages"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    assert 0 < json.loads(ran.stdout)["chunk"] <= KNOWN * 1.2

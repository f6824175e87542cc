"""Test suites as others have them, run by a pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_pytest(where: Path, *arguments: str, **variables: str) -> str:
    """What pytest says, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=where,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr

"""The command `beluga-llm`, also `python -m beluga_llm`.

    beluga-llm chat "Tell me a story"
    beluga-llm providers

It is built on click and rich, which the extra `cli` brings; without them `main` says so. Exit
codes: 0 ok, 1 failure, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import io
import signal
import sys
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Runs the command line of this process, and ends the process with its exit code."""
    try:
        app = _loaded()
    except KeyboardInterrupt:  # there is no command yet that would say so
        sys.exit(128 + signal.SIGINT)
    if isinstance(sys.stdout, io.TextIOWrapper):  # it is None where it was closed
        sys.stdout.reconfigure(errors="replace")  # a locale without the letters shows ?
    app(prog_name="beluga-llm")


def _loaded() -> Any:
    try:
        import click  # noqa: F401 -- only whether it is there
        import rich  # noqa: F401 -- likewise
    except ModuleNotFoundError as missing:
        sys.exit(f"the command line needs {missing.name}: pip install 'beluga-llm[cli]'")
    from beluga_llm.cli._app import app

    return app

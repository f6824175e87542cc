"""`python -m beluga_llm.testing`: the fake LLM server, for programs in any language.

    python -m beluga_llm.testing --port 8123 --reply "Hello" --rate-limit 2 --reply "Hello again"

Replies are given in the order of the arguments; after the last one the demo model answers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import Any

from beluga_llm.testing._answers import WIRES
from beluga_llm.testing._rate_limited import rate_limited
from beluga_llm.testing._reply import Reply, Seen
from beluga_llm.testing._server import FakeServer
from beluga_llm.testing.demo import DemoChatModel

_EPILOG = """\
examples:
  --port 8123                          the demo model answers everything
  --rate-limit 2 --reply Hello         a 429 that asks for 2 s, then an answer
  --cut 300 --reset 300 --status 500   three ways to fail, one after the other
"""


class _Script(argparse.Action):
    """Puts a reply at the end of the script, in the order of the arguments."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """One more reply."""
        namespace.script = [*namespace.script, (self.dest, values)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is interrupted."""
    given = _parser().parse_args(arguments)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(given))
    except OSError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m beluga_llm.testing",
        description="A fake LLM server on this machine that speaks every vendor's wire format.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(script=[])
    parser.add_argument("--port", type=int, default=0, help="by default a free one")
    parser.add_argument("--key", help="refuse requests with another API key")
    script = parser.add_argument_group("script", "replies, in this order; all may be repeated")
    for name, kind, text in (
        ("reply", str, "answer this text"),
        ("status", int, "fail with this HTTP status"),
        ("rate-limit", float, "a 429 that asks to wait this many seconds"),
        ("cut", int, "close the connection after this many bytes"),
        ("reset", int, "reset the connection after this many bytes"),
        ("stall", int, "say nothing more after this many bytes"),
        ("trickle", float, "send an answer with this many seconds between its pieces"),
    ):
        script.add_argument(
            f"--{name}", dest=name, type=kind, action=_Script, help=text, metavar=kind.__name__
        )
    return parser


def scripted(name: str, value: Any) -> Reply:
    """The reply that an argument stands for."""
    if name == "reply":
        return Reply(value)
    if name == "status":
        return Reply(status=value)
    if name == "rate-limit":
        return rate_limited(value)
    if name == "trickle":
        return Reply(DemoChatModel(), chunk_delay=value)
    return Reply(DemoChatModel(), **{f"{name}_after": value})


async def _serve(given: argparse.Namespace) -> None:
    async with FakeServer(DemoChatModel(), key=given.key, port=given.port) as server:
        for name, value in given.script:
            server.reply(scripted(name, value))
        sys.stdout.write(f"fake LLM server at {server.url}; end it with Ctrl-C\n")
        for name in WIRES:
            sys.stdout.write(f"  {name:<18} base_url={server.base_url(name)}\n")
        sys.stdout.flush()
        number = 0
        while True:
            number += 1
            seen = await server.received(number, within=_FOR_EVER)
            sys.stdout.write(f"{_line(number, seen)}\n")
            sys.stdout.flush()


_FOR_EVER = 10.0**8


def _line(number: int, seen: Seen) -> str:
    kind = "stream" if seen.streaming else "whole"
    return f"{number:>4}  {seen.method} {seen.path}  {kind}, {len(seen.body)} bytes"


if __name__ == "__main__":
    sys.exit(main())

"""`python -m beluga_llm.testing.record`: asks a real model, and writes down what came.

    python -m beluga_llm.testing.record openai/gpt-4o-mini "What is 2+2?" -o answers.json --stream

The file holds no keys; `replay("answers.json")` plays it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import beluga_llm as llm
from beluga_llm.testing._recorded_bytes import record_bytes

_EPILOG = """\
examples:
  %(prog)s openai/gpt-4o-mini "What is 2+2?" -o tests/sum.json
  %(prog)s anthropic/claude-haiku-4-5 "Tell me a story" "And another" -o tests/story.json --stream
  %(prog)s openai-compatible/llama "hi" -o hi.json --base-url http://127.0.0.1:8080/v1

The key is read from the environment, as `create` does, and is not written. In a test:
  llm.create("openai/gpt-4o-mini", api_key="test-key", transport=replay("tests/sum.json"))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 where the provider failed (which is recorded too), 2 for bad usage."""
    given = _parser().parse_args(arguments)
    try:
        return asyncio.run(_record(given))
    except llm.BelugaError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m beluga_llm.testing.record",
        description="Ask a model and record the answers, byte for byte and without keys.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="such as openai/gpt-4o-mini")
    parser.add_argument("prompts", nargs="+", metavar="prompt", help="what to ask, one call each")
    parser.add_argument("-o", "--out", required=True, type=Path, help="the file to write")
    parser.add_argument("--stream", action="store_true", help="use the streaming endpoint")
    parser.add_argument("--system", help="a system message before each prompt")
    parser.add_argument("--base-url", help="the API's address")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the calls, its value as JSON: temperature=0 (repeatable)",
    )
    return parser


async def _record(given: argparse.Namespace) -> int:
    options = dict(map(_option, given.option))
    fields = {} if given.base_url is None else {"base_url": given.base_url}
    model = llm.create(given.model, transport=record_bytes(given.out), **fields)
    failed = 0
    async with model:
        try:
            asked = model.with_options(**options)
        except TypeError as error:  # of an option that there is not
            raise llm.ConfigError(str(error)) from None
        for prompt in given.prompts:
            failed += not await _ask(asked, prompt, given)
    if not given.out.exists():
        return 2
    size = given.out.stat().st_size
    sys.stdout.write(f"\nrecorded in {given.out} ({size} bytes, no keys)\n")
    return 1 if failed else 0


async def _ask(model: llm.ChatModel, prompt: str, given: argparse.Namespace) -> bool:
    """Asks and prints; whether it went well."""
    messages: list[llm.Message] = [llm.SystemMessage(given.system)] if given.system else []
    messages.append(llm.HumanMessage(prompt))
    try:
        if given.stream:
            async with model.stream(messages) as stream:
                async for chunk in stream:
                    sys.stdout.write(chunk.delta)
                    sys.stdout.flush()
        else:
            sys.stdout.write((await model.generate(messages)).text)
    except llm.BelugaError as error:
        sys.stderr.write(f"error: {error}\n")
        return False
    sys.stdout.write("\n")
    return True


def _option(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value


if __name__ == "__main__":
    sys.exit(main())

"""The Python blocks of a page, run one after another, and what they print.

What a block prints stands in a block of `text` right after it. `...` there stands for anything, as
in doctest: for an id, a path, a time.

    python tests/support/doc_blocks.py docs/tools.md --write  # shows what is printed today
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from beluga_llm import ChatModel

_BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```$)?", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A block of Python.

    Attributes:
        code: with as many empty lines before it as stand before it in the page.
        shown: what it prints, as the page says; "" where the page shows nothing.
        end: where its own fence ends in the page's text.
    """

    code: str
    shown: str
    end: int


def python_blocks(path: Path) -> list[Block]:
    """The blocks of a page, in their order."""
    text = path.read_text("utf-8")
    return [
        Block(
            "\n" * text[: found.start("code")].count("\n") + found["code"],
            found["shown"] or "",
            found.end("code") + len("```\n"),
        )
        for found in _BLOCK.finditer(text)
    ]


async def execute(code: str, path: Path, names: dict[str, Any]) -> str:
    """Runs a block as the prompt of `python -m asyncio` does; gives what it prints."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compiled = compile(code, str(path), "exec", flags=flags, dont_inherit=True)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = eval(compiled, names)
        if inspect.iscoroutine(result):
            await result
    return printed.getvalue()


async def run_page(path: Path) -> AsyncIterator[tuple[Block, str]]:
    """Each block of a page with what it printed; models that it leaves open are closed."""
    names: dict[str, Any] = {"__name__": "__main__"}
    models: list[ChatModel] = []
    for block in python_blocks(path):
        yield block, await execute(block.code, path, names)
        models += [value for value in names.values() if isinstance(value, ChatModel)]
    for model in models:
        await model.aclose()


def agrees(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed; empty lines at the end do not count."""
    pattern = re.escape(shown.rstrip("\n")).replace(re.escape("..."), ".*?")
    return re.fullmatch(pattern, printed.rstrip("\n"), re.DOTALL) is not None


async def _written(path: Path, text: str) -> str:
    parts, done = [], 0
    async for block, printed in run_page(path):
        parts.append(text[done : block.end])
        done = block.end
        if block.shown and not agrees(block.shown, printed):
            done = text.index("```", text.index("```text\n", done) + 3) + len("```\n")
        if printed and not agrees(block.shown, printed):
            parts.append(f"\n```text\n{printed.rstrip(chr(10))}\n```\n")
    return "".join([*parts, text[done:]])


if __name__ == "__main__":
    for name in sys.argv[1:]:
        if not name.startswith("-"):
            made = asyncio.run(_written(Path(name), Path(name).read_text("utf-8")))
            if "--write" in sys.argv:
                Path(name).write_text(made, "utf-8")
            else:
                print(made, end="")

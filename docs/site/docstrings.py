"""Our docstrings, which are Markdown with Google's sections, as reStructuredText."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_STARS = re.compile(r'(?<=[("])\*+|(?<=\w )\*+(?=\w)')


def as_rst(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Changes the lines of a docstring in place; the arguments are those of Sphinx's event."""
    lines[:] = [*_blocks(lines)]


def _blocks(lines: list[str]) -> Iterator[str]:
    """Indented paragraphs as literal blocks, and stars that are no emphasis."""
    before, empty, literal = "", True, False
    for line in lines:
        indented = line.startswith("    ")
        if indented and empty and before and not before.startswith(" "):
            yield "::"
            yield ""
            literal = True
        if line.strip():
            literal = literal and indented
            before = line
        empty = not line.strip()
        yield line if literal else _inline(line)


def _inline(line: str) -> str:
    """Code in double quotes, and stars between other signs escaped: they are no emphasis."""
    parts = _CODE.split(line)
    parts[::2] = [_STARS.sub(lambda found: "\\*" * len(found[0]), text) for text in parts[::2]]
    parts[1::2] = [f"``{code}``" for code in parts[1::2]]
    return "".join(parts)

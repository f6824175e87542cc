"""Docstrings: what they say first, and what they say of each parameter.

Google style: https://google.github.io/styleguide/pyguide.html#383-functions-and-methods
NumPy style: https://numpydoc.readthedocs.io/en/latest/format.html
Sphinx style: https://www.sphinx-doc.org/en/master/usage/domains/python.html#info-field-lists
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator

_SECTIONS = (
    r"args|arguments|parameters|other parameters|attributes|returns?|yields?|receives|raises"
    r"|examples?|notes?|todo|warns|warnings?|see also|references"
)
_HEADING = re.compile(rf"({_SECTIONS}):", re.IGNORECASE)
_UNDERLINED = re.compile(rf"({_SECTIONS})", re.IGNORECASE)
_UNDERLINE = re.compile(r"-{3,}")
_NAMING = frozenset(("args", "arguments", "parameters", "other parameters", "attributes"))
_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\(.*?\))?:(?:\s+(.*))?")
_NUMPY_ENTRY = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?")

_FIELD = re.compile(
    r":(param|parameter|arg|argument|key|keyword|kwarg|ivar|var|cvar|type|vartype|returns?|rtype"
    r"|yields?|ytype|raises?|except|exception|meta)\b([^:]*):(?:\s+(.*))?"
)
_NAMING_FIELDS = frozenset(
    ("param", "parameter", "arg", "argument", "key", "keyword", "kwarg", "ivar", "var", "cvar")
)


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The text before the first section, and the texts of parameters or attributes by name."""
    before: list[str] = []
    google: list[str] = []
    numpy: list[str] = []
    sphinx: list[str] = []
    into = before
    lines = inspect.cleandoc(text).splitlines()
    underlines = {
        number
        for number, line in enumerate(lines)
        if number and _UNDERLINE.fullmatch(line) and _UNDERLINED.fullmatch(lines[number - 1])
    }
    for number, line in enumerate(lines):
        if number in underlines:
            continue
        if number + 1 in underlines:
            into = numpy if line.lower() in _NAMING else []
        elif heading := _HEADING.fullmatch(line.rstrip()):
            into = google if heading[1].lower() in _NAMING else []
        else:
            if _FIELD.fullmatch(line):
                into = sphinx
            elif into is sphinx and line and not line[0].isspace():
                into = before
            into.append(line)
    told: dict[str, str] = {}
    for name, said in [*_google(google), *_numpy(numpy), *_sphinx(sphinx)]:
        told[name] = f"{told[name]} {said}".strip() if name in told else said
    return "\n".join(before).strip(), {key: value for key, value in told.items() if value}


def _indented(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines that say something, and how far they are indented."""
    for line in lines:
        if stripped := line.strip():
            yield len(line) - len(line.lstrip()), stripped


def _google(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """`name (type): text`, and further text more indented than the name."""
    margin: int | None = None
    name = ""
    for indent, line in _indented(lines):
        margin = indent if margin is None else margin
        if indent > margin and name:
            yield name, line
        elif entry := _ENTRY.fullmatch(line):
            name = entry[1]
            yield name, entry[2] or ""


def _numpy(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """`name, other : type`, and the text for all of them below, indented."""
    names: list[str] = []
    for indent, line in _indented(lines):
        if indent:
            yield from ((name, line) for name in names)
        else:
            entry = _NUMPY_ENTRY.fullmatch(line)
            names = [name.strip(" *") for name in entry[1].split(",")] if entry else []
            yield from ((name, "") for name in names)


def _sphinx(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """`:param type name: text`, and further text below, indented."""
    name = ""
    for _, line in _indented(lines):
        said = line
        if field := _FIELD.fullmatch(line):
            words = field[2].replace("*", "").split()
            name = words[-1] if words and field[1] in _NAMING_FIELDS else ""
            said = field[3] or ""
        if name:
            yield name, said

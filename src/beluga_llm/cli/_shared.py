"""What several commands share: the option --debug, tables, and what stdout is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _set_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta["debug"] = True


def debug_option(command: F) -> F:
    """The option --debug, which `CommandLine` reads."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_set_debug,
        help="Show the traceback of an error.",
    )(command)


def on_terminal() -> bool:
    """Whether somebody watches stdout, which may also be a pipe, a file, or closed."""
    return sys.stdout is not None and sys.stdout.isatty()


def has_styles() -> bool:
    """Whether bold words and colours are wanted: on a terminal that has them, without NO_COLOR."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return on_terminal() and not plain


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: drawn on a terminal, elsewhere plain columns that are never cut.

    Where a terminal is too narrow, the last column stands below the others.
    """
    if on_terminal():
        _draw(headings, rows)
        return
    for line in _lines([headings, *rows]):
        click.echo(line)


def _lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with columns of one width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _draw(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    beneath = [""] * (len(rows) + 1)
    whole = [headings, *rows]
    lines = _lines(whole)
    if max(map(len, lines)) > console.width:
        lines = _lines([row[:-1] for row in whole])
        beneath = ["" if row[-1] == "-" else row[-1] for row in whole]
    for number, (line, last) in enumerate(zip(lines, beneath, strict=True)):
        style = "" if number else "bold"
        console.print(Text(line, style=style))
        if last:
            console.print(Padding(Text(last, style=style), (0, 0, 0, 4)))

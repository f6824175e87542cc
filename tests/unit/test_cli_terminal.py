"""What the command line shows on terminals: styles of Markdown, tables, other locales."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beluga_llm.cli import _shared
from beluga_llm.cli._markdown import BOLD, CODE, DIM, PLAIN, MarkdownStyle, harmless

MARKDOWN = st.text(alphabet="#`* \nab", max_size=40)


def styled(*pieces: str) -> str:
    style = MarkdownStyle()
    return "".join([*map(style.feed, pieces), style.end()])


@pytest.mark.row("CLI-04")
@given(MARKDOWN)
def test_nothing_is_taken_away(text: str):
    assert re.sub(r"\x1b\[\d+m", "", styled(text)) == text


@pytest.mark.row("CLI-04")
@given(MARKDOWN, st.integers(0, 40), st.integers(0, 40))
def test_how_it_is_cut_makes_no_difference(text: str, one: int, other: int):
    first, second = sorted((one, other))
    assert styled(text[:first], text[first:second], text[second:]) == styled(text)
    assert styled(*text) == styled(text)


@pytest.mark.row("CLI-04")
@given(MARKDOWN)
def test_styles_end_with_their_line(text: str):
    for line in styled(text).split("\n"):
        marks = re.findall(r"\x1b\[\d+m", line)
        assert not marks or marks[-1] == PLAIN


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("# Title\nbody", f"{BOLD}# Title{PLAIN}\nbody"),
        ("#hashtag", "#hashtag"),
        ("a **b** c", f"a {BOLD}**b**{PLAIN} c"),
        ("2 ** 3 * 4", "2 ** 3 * 4"),
        ("**open\nnext", f"{BOLD}**open{PLAIN}\nnext"),
        ("a `b**c**` d", f"a {CODE}`b**c**`{PLAIN} d"),
        (
            "```py\n# x\n**y**\n```\nz",
            f"{DIM}```py{PLAIN}\n{CODE}# x{PLAIN}\n{CODE}**y**{PLAIN}\n{DIM}```{PLAIN}\nz",
        ),
        ("* item\n*", "* item\n*"),
    ],
)  # fmt: skip
def test_headings_strong_words_and_code(text: str, shown: str):
    assert styled(text) == shown


@pytest.mark.row("CLI-04")
def test_words_are_shown_when_they_arrive():
    style = MarkdownStyle()
    assert [style.feed(piece) for piece in ("Hello", " **wor", "ld", "*", "* !")] == [
        "Hello", f" {BOLD}**wor", "ld", "", f"**{PLAIN} !",
    ]  # fmt: skip
    assert style.end() == ""


@pytest.mark.row("CLI-04")
def test_a_model_cannot_steer_the_terminal():
    assert harmless("a\x1b]0;title\x07b\n\tc\x9b2J") == "a�]0;title�b\n\tc�2J"


class Screen(io.StringIO):
    """A terminal for what is written to it."""

    def isatty(self) -> bool:
        return True


def table(monkeypatch: pytest.MonkeyPatch, columns: int, **environment: str) -> str:
    screen = Screen()
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", "COLUMNS": str(columns), **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", screen)
    _shared.show_table(("name", "environment"), [("openai", "KEY set, URL unset"), ("demo", "-")])
    return screen.getvalue()


@pytest.mark.row("CLI-01", "CLI-02")
def test_a_table_that_fits_has_columns(monkeypatch: pytest.MonkeyPatch):
    shown = table(monkeypatch, 80)
    assert "openai  KEY set, URL unset\ndemo    -\n" in shown
    assert shown.startswith("\x1b[1mname")


@pytest.mark.row("CLI-01", "CLI-02")
def test_a_narrow_terminal_has_the_last_column_below(monkeypatch: pytest.MonkeyPatch):
    shown = re.sub(r"\x1b\[\d+m", "", table(monkeypatch, 20))
    lines = [line.rstrip() for line in shown.splitlines()]
    assert lines == ["name", "    environment", "openai", "    KEY set, URL", "    unset", "demo"]


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize(
    ("environment", "wanted"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, False)],
    ids=str,
)
def test_styles_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], wanted: bool
):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert not _shared.has_styles()  # captured: no terminal
    monkeypatch.setattr(sys, "stdout", Screen())
    assert _shared.has_styles() is wanted


def command(*args: str, **kwargs: Any) -> subprocess.CompletedProcess[Any]:
    return subprocess.run(
        [sys.executable, "-m", "beluga_llm", *args], capture_output=True, check=False, **kwargs
    )


@pytest.mark.row("CLI-04")
def test_what_a_locale_has_no_letters_for_is_a_question_mark():
    latin = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = command("chat", "-m", "demo", "Grüße 世界", env=latin)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("Grüße ??".encode("latin-1"))
    done = command("chat", "-m", "demo", "--json", "世", env=latin)
    assert rb"\u4e16" in done.stdout


@pytest.mark.row("CLI-04")
def test_bytes_that_are_no_text_are_refused():
    utf8 = {**os.environ, "PYTHONUTF8": "1"}
    done = command("chat", "-m", "demo", input=b"Gr\xfc\xdfe", env=utf8)
    assert done.returncode == 2
    assert b"error: stdin is no text in UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr
    done = command("chat", "-m", "demo", "Gr\udcfc\udcdfe", env=utf8)
    assert done.returncode == 2
    assert b"error: the prompt is no text in UTF-8" in done.stderr
    done = command("chat", "-m", "demo", "hi", "--system", "Gr\udcfc\udcdfe", env=utf8)
    assert done.returncode == 2
    assert b"error: the text of --system is no text in UTF-8" in done.stderr


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(shell: str):
    """What docs/cli.md tells to put into the shell's settings, and what that asks for then."""
    name = "_BELUGA_LLM_COMPLETE"
    environment = {key: value for key, value in os.environ.items() if key != name}
    words = {"COMP_WORDS": "beluga-llm chat --at", "COMP_CWORD": "--at" if shell == "fish" else "2"}
    program = "from beluga_llm.cli import main; main()"
    for instruction, expected in ((f"{shell}_source", name), (f"{shell}_complete", "--attach")):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False,
            env={**environment, **words, name: instruction},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout


@pytest.mark.row("CLI-04")
def test_every_command_says_what_it_does_in_one_line_and_gives_examples():
    from click.testing import CliRunner

    from beluga_llm.cli._app import app

    listed = CliRunner().invoke(app, ["--help"], prog_name="beluga-llm").output
    assert "..." not in listed.partition("Commands:")[2]
    for name in app.commands:
        shown = CliRunner().invoke(app, [name, "--help"], prog_name="beluga-llm").output
        assert f"  beluga-llm {name}" in shown.partition("Example")[2]

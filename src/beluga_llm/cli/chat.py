"""`beluga-llm chat`: one answer, or a conversation."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import click

import beluga_llm as llm
from beluga_llm._parts import ContentPart
from beluga_llm.cli._attach import read_attachment
from beluga_llm.cli._choice import choose
from beluga_llm.cli._failures import describe
from beluga_llm.cli._session import Conversation, opened_model
from beluga_llm.cli._shared import debug_option, on_terminal

COMMANDS = """\
/help            shows this
/quit, Ctrl-D    ends
Ctrl-C           stops an answer, and ends"""
"""What is no question to the model."""


@click.command(short_help="Ask a model, or talk with it.")
@click.argument("prompt", required=False)
@click.option("-m", "--model", "name", metavar="MODEL", help="provider/model, as in openai/gpt-4o.")
@click.option("--system", metavar="TEXT", help="Instructions that go before the conversation.")
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="An option of the call or the provider; the value is JSON, else text. Repeatable.",
)
@click.option(
    "--attach",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="An image, PDF, audio or text file, for the first message. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the whole answer as JSON.")
@click.option("--usage", "show_usage", is_flag=True, help="Tell the tokens on stderr.")
@debug_option
def chat(
    prompt: str | None,
    name: str | None,
    system: str | None,
    options: tuple[str, ...],
    files: tuple[Path, ...],
    as_json: bool,
    show_usage: bool,
) -> None:
    """Ask a model, and see its answer as it arrives.

    PROMPT is read from stdin where it is not given; on a terminal a conversation begins. Without
    -m the model is $BELUGA_MODEL, else that of the first provider with a key in the environment,
    else of a server on this machine, else an embedded demo that needs neither key nor network.

    \b
    Examples:
      beluga-llm chat "Tell me a story"
      beluga-llm chat -m anthropic/claude-sonnet-4-5 --system "Be brief." "What is asyncio?"
      beluga-llm chat -m openai/gpt-4o --attach photo.png "What is this?"
      beluga-llm chat --option temperature=0 --option max_tokens=200 --usage < question.txt
      beluga-llm chat -m openai-compatible/my-model --option base_url=http://localhost:8000/v1
    """  # noqa: D301 -- click looks for the character \b, not for the two signs
    talk = prompt is None and sys.stdin is not None and sys.stdin.isatty()
    if not talk:
        prompt = _text(prompt)
    if not _is_unicode(system or ""):
        raise click.UsageError("the text of --system is no text in UTF-8")
    parts = [read_attachment(path) for path in files]
    with asyncio.Runner() as runner:
        choice = runner.run(choose(name))
        if choice.why:
            click.echo(f"using {choice.model}: {choice.why}", err=True)
        with opened_model(runner, choice.model, options, watched=on_terminal()) as model:
            conversation = Conversation(
                model, system=system, as_json=as_json, show_usage=show_usage
            )
            if talk:
                _talk(runner, conversation, parts)
            else:
                runner.run(conversation.ask([*parts, prompt or ""]))


def _text(prompt: str | None) -> str:
    text = _stdin() if prompt is None else prompt
    if not text.strip():
        raise click.UsageError("there is no prompt: give one, or write it to stdin")
    if not _is_unicode(text):
        where = "stdin" if prompt is None else "the prompt"
        raise click.UsageError(f"{where} is no text in UTF-8; files go with --attach")
    return text


def _is_unicode(text: str) -> bool:
    """Whether it was text: bytes that were not become lone surrogates in the C locale."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _stdin() -> str:
    if sys.stdin is None:  # closed, as with <&-
        return ""
    try:
        return sys.stdin.read().strip()
    except UnicodeDecodeError as error:
        raise click.UsageError("stdin is no text in UTF-8; files go with --attach") from error


def _talk(runner: asyncio.Runner, conversation: Conversation, parts: list[ContentPart]) -> None:
    """Turn after turn, until /quit or the end of the input."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 -- gives `input` a line editor and a history
    click.echo("/help lists the commands, /quit or Ctrl-D ends", err=True)
    while (line := _line()) is not None:
        if not line:
            continue
        if line == "/help":
            click.echo(COMMANDS, err=True)
            continue
        if not _is_unicode(line):
            click.echo("this is no text in UTF-8", err=True)
            continue
        try:
            runner.run(conversation.ask([*parts, line]))
            parts = []
        except llm.BelugaError as error:
            click.echo("\n".join(describe(error).lines), err=True)


def _line() -> str | None:
    """What the user typed; None at the end."""
    if not on_terminal():
        click.echo("> ", nl=False, err=True)
    try:
        line = input("> " if on_terminal() else "").strip()
    except EOFError:
        click.echo(err=True)
        return None
    return None if line == "/quit" else line

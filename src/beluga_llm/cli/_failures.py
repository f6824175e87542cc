"""What is said when a command fails: one line what happened, one line what to do."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

import click

from beluga_llm import _errors as errors

FAILURE, USAGE = 1, 2
INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended: 128 + SIGINT."""

_ADVICE: tuple[tuple[type[BaseException], str], ...] = (
    (errors.AuthenticationError, "check the key: beluga-llm doctor shows which variables are read"),
    (errors.PermissionDeniedError, "check what the key may do, or use another model with -m"),
    (errors.ModelNotFoundError, "check the model id and the base URL"),
    (errors.QuotaExceededError, "check the account's credit, or use another provider with -m"),
    (errors.RateLimitError, "wait a little, or use another provider with -m"),
    (errors.OverloadedError, "try again a little later, or use another provider with -m"),
    (errors.RequestTimeoutError, "try again, or wait longer with --option timeout=SECONDS"),
    (
        errors.ConnectionFailedError,
        "check the network, the address (--option base_url=URL) and that the server runs",
    ),
    (errors.ProviderUnavailableError, "try again a little later, or use another provider with -m"),
    (errors.ContentFilterError, "change the prompt, or use another model with -m"),
    (errors.MalformedResponseError, "check that the base URL is that of the provider's API"),
    (errors.StreamInterruptedError, "the answer is incomplete: try again"),
    (errors.ContextLengthError, "shorten the prompt, or use another model with -m"),
    (errors.InvalidRequestError, "change the prompt or the options: it would fail again as it is"),
    (errors.ProviderNotFoundError, "beluga-llm providers lists those that are installed"),
    (errors.PluginError, "beluga-llm doctor tells which plugins cannot be used, and why"),
)


class Failure(NamedTuple):
    """An exit code, and the lines that go before it."""

    exit_code: int
    lines: tuple[str, ...]


def describe(error: Exception) -> Failure:
    """What to tell about an error, its notes among it, and how to exit."""
    failure = _described(error)
    notes = error.__notes__ if hasattr(error, "__notes__") else ()
    return failure._replace(lines=(*failure.lines, *notes))


def _described(error: Exception) -> Failure:
    if isinstance(error, click.ClickException):
        text = _as_typed(error.format_message())
        return Failure(error.exit_code, (f"error: {text}", *_help_line(error)))
    if not isinstance(error, errors.BelugaError):
        return Failure(FAILURE, _of_others(error))
    text = _unreachable(error) or _as_typed(" ".join(str(error).split()))
    if isinstance(error, errors.RateLimitError) and error.retry_after is not None:
        return Failure(FAILURE, (f"error: {text}", f"wait {error.retry_after:g} s"))
    advice = next((words for kind, words in _ADVICE if isinstance(error, kind)), None)
    return Failure(FAILURE, (f"error: {text}", advice) if advice else (f"error: {text}",))


def _of_others(error: Exception) -> tuple[str, ...]:
    """The lines for errors that are not ours."""
    from beluga_llm.testing import MockExhaustedError

    if isinstance(error, MockExhaustedError):
        advice = "give it more fixtures: --option fixtures_file=FILE, or $BELUGA_MOCK_FIXTURES"
        return (f"error: {error}", advice)
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return (f"error: {name}{error.strerror}",)
    text = f"error: {type(error).__name__}: {error}"
    return (text, "this is a bug: run it again with --debug for its place")


def _unreachable(error: errors.BelugaError) -> str | None:
    """That nobody was reached, in few words; None for errors of other kinds."""
    cause = error.__cause__
    host, port, failure = (getattr(cause, name, None) for name in ("host", "port", "os_error"))
    if host is None or not isinstance(failure, OSError):
        return None
    why = str(failure)
    if isinstance(failure, ConnectionError | TimeoutError) and failure.errno:
        why = os.strerror(failure.errno)
    elif failure.strerror:
        why = failure.strerror
    where = f"[{error.provider}] " if error.provider else ""
    return f"{where}cannot connect to {host}:{port}: {why[:1].lower()}{why[1:]}"


def _as_typed(text: str) -> str:
    """A message with keyword arguments as they are given on a command line."""
    return re.sub(r"\bpass (\w+=)", r"pass --option \1", text)


def _help_line(error: click.ClickException) -> tuple[str, ...]:
    ctx = getattr(error, "ctx", None)
    return (f"see {ctx.command_path} --help",) if ctx is not None else ()

"""How far a batch is: the numbers, and a bar of them on a terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import msgspec

from beluga_llm._usage import NO_USAGE, Usage


class BatchProgress(msgspec.Struct, frozen=True):
    """How far a batch is.

    Attributes:
        total: how many items there are; None where that is not known beforehand.
        done: how many have a result, failures among them.
        failed: how many of them failed.
        skipped: how many of them an earlier run had done.
        usage: the tokens of this run, as far as they were reported.
        elapsed: how long this run has taken, in seconds.
    """

    total: int | None = None
    done: int = 0
    failed: int = 0
    skipped: int = 0
    usage: Usage = NO_USAGE
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        """Items per second of this run."""
        return (self.done - self.skipped) / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """How long it will go on at this rate, in seconds; None where nobody can tell."""
        if self.total is None or not self.rate:
            return None
        return max(self.total - self.done, 0) / self.rate


Listener: TypeAlias = Callable[[BatchProgress], object]


class Counter:
    """Counts what has been done, and tells it.

    Args:
        total: how many items there are, if that is known.
        tell: hears of every result.
    """

    def __init__(self, total: int | None, tell: Listener | None = None) -> None:
        self._tell = tell
        self._begun = time.monotonic()
        self._state = BatchProgress(total)

    @property
    def now(self) -> BatchProgress:
        """How far it is."""
        elapsed = time.monotonic() - self._begun
        return msgspec.structs.replace(self._state, elapsed=elapsed)

    def add(self, *, failed: bool = False, skipped: int = 0, usage: Usage = NO_USAGE) -> None:
        """One result more; or so many that were there before."""
        state = self._state
        self._state = BatchProgress(
            total=state.total,
            done=state.done + (skipped or 1),
            failed=state.failed + failed,
            skipped=state.skipped + skipped,
            usage=state.usage if usage is NO_USAGE else state.usage + usage,
        )
        if self._tell is not None:
            self._tell(self.now)

    def known(self, *, done: int, failed: int) -> None:
        """What an earlier run had done."""
        self._state = msgspec.structs.replace(self._state, done=done, failed=failed, skipped=done)
        if self._tell is not None:
            self._tell(self.now)


@contextlib.contextmanager
def shown(progress: bool | Listener) -> Iterator[Listener | None]:
    """What hears of the progress: the caller's function, a bar on a terminal, or nothing.

    Raises:
        ImportError: a bar was asked for, and rich is not installed.
    """
    if callable(progress):
        yield progress
        return
    if not progress:
        yield None
        return
    try:
        import rich.progress as bars
        from rich.console import Console
    except ModuleNotFoundError as missing:
        raise ImportError(
            "a progress bar needs rich: pip install 'beluga-llm[cli]', "
            "or give a function as progress="
        ) from missing
    if not _on_terminal():
        yield None
        return
    console = Console(stderr=True)

    class Bar(bars.Progress):
        """Leaves room for the ^C that a terminal shows, which would break a full line in two."""

        def make_tasks_table(self, tasks: Any) -> Any:
            table = super().make_tasks_table(tasks)
            table.width = max(console.width - 3, 1)
            return table

    with Bar(
        bars.BarColumn(bar_width=None),
        bars.TextColumn("{task.description}"),
        console=console,
        expand=True,
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda state: bar.update(
            task, completed=state.done, total=state.total, description=in_words(state)
        )


def in_words(state: BatchProgress) -> str:
    """The progress as one short line."""
    total = "" if state.total is None else f"/{state.total}"
    words = [f"{state.done}{total}", f"{state.rate:.1f}/s"]
    if state.failed:
        words.append(f"{state.failed} failed")
    if (tokens := state.usage.total_tokens) is not None:
        words.append(f"{_short(tokens)} tokens")
    if (left := state.remaining) is not None and state.done != state.total:
        words.append(f"{_clock(left)} left")
    return "  ".join(words)


def _short(number: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _on_terminal() -> bool:
    stream: Any = sys.stderr
    return stream is not None and stream.isatty()

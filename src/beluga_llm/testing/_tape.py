"""A file of recorded questions and answers: how it is written, and who gets which answer.

    {"v": 1, "kind": "calls", "about": {...}, "entries": [{"request": {...}, ...}, ...]}

JSON, indented, to be read and reviewed. A request that is equal to a recorded one gets its answer;
of several equal ones each answers once, in their order.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from beluga_llm import _json
from beluga_llm._errors import ConfigError

VERSION = 1
_SHOWN = 60
Entry: TypeAlias = dict[str, Any]
Key: TypeAlias = Callable[[Mapping[str, Any]], Any]


class ReplayError(AssertionError):
    """A recording has no answer to what was asked, or has answers that nobody asked for."""


class TapeWriter:
    """Writes a recording, anew after each entry, so that none is lost.

    Entries stand in the order in which they were begun.

    Args:
        path: the file; an existing one is replaced at the first entry.
        kind: what is recorded.
    """

    def __init__(self, path: str | os.PathLike[str], kind: str) -> None:
        self.path = Path(path)
        self.about: dict[str, Any] = {}
        self._kind = kind
        self._lock = threading.Lock()
        self._entries: list[Entry | None] = []

    def begin(self) -> int:
        """Reserves a place."""
        with self._lock:
            self._entries.append(None)
            return len(self._entries) - 1

    def put(self, place: int, entry: Entry) -> None:
        """Writes what came of it."""
        with self._lock:
            self._entries[place] = entry
            entries = [entry for entry in self._entries if entry is not None]
            about = {"about": self.about} if self.about else {}
            whole = {"v": VERSION, "kind": self._kind, **about, "entries": entries}
            text = json.dumps(whole, indent=1, ensure_ascii=False)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
            beside.write_text(text + "\n", "utf-8", "surrogatepass")
            beside.replace(self.path)


class Tape:
    """A recording that is played.

    Args:
        path: the file.
        kind: what it must hold.
        strict: answer equal requests only; False: answer in the recorded order, whatever is asked.
        key: what of a request counts.

    Raises:
        ConfigError: the file cannot be read, or is no such recording.
    """

    def __init__(self, path: str | os.PathLike[str], kind: str, *, strict: bool, key: Key) -> None:
        self.path = Path(path)
        whole = _read(self.path, kind)
        self.about: Mapping[str, Any] = whole.get("about") or {}
        self.entries: list[Entry] = whole["entries"]
        self._strict, self._key = strict, key
        self._lock = threading.Lock()
        self._left = list(range(len(self.entries)))

    @property
    def unused(self) -> list[Entry]:
        """The entries that nobody has taken yet."""
        return [self.entries[place] for place in self._left]

    def take(self, request: Mapping[str, Any]) -> tuple[int, Entry]:
        """The entry that answers a request, and its place.

        Raises:
            ReplayError: there is none left.
        """
        asked = self._key(request)
        with self._lock:
            for place in self._left:
                entry = self.entries[place]
                if not self._strict or self._key(entry["request"]) == asked:
                    self._left.remove(place)
                    return place, entry
            raise ReplayError(self._why(asked))

    def reset(self) -> None:
        """All entries again."""
        with self._lock:
            self._left = list(range(len(self.entries)))

    def assert_exhausted(self) -> None:
        """Fails unless every entry was used.

        Raises:
            ReplayError: some were not.
        """
        if self._left:
            places = ", ".join(map(str, self._left))
            raise ReplayError(
                f"{self.path.name}: {len(self._left)} of {len(self.entries)} recorded answers were "
                f"not used (numbers {places})"
            )

    def _why(self, asked: Any) -> str:
        name, total = self.path.name, len(self.entries)
        keys = [self._key(entry["request"]) for entry in self.entries]
        if not self._left or asked in keys:
            return f"{name}: all {total} recorded answers to this request were used already"
        nearest = min(
            (list(differences(keys[place], asked)) for place in self._left),
            key=lambda found: len(found),
        )
        return (
            f"{name}: no recorded request is equal to this one; the nearest of {len(self._left)} "
            f"differs in {'; '.join(nearest[:3])}"
        )

    def __repr__(self) -> str:
        return f"{self.path.name}, {len(self._left)} of {len(self.entries)} left"


def differences(recorded: Any, asked: Any, where: str = "") -> Iterator[str]:
    """Where two JSON values differ, in words."""
    if isinstance(recorded, dict) and isinstance(asked, dict):
        for key in dict.fromkeys((*recorded, *asked)):
            place = f"{where}.{key}" if where else str(key)
            yield from differences(recorded.get(key), asked.get(key), place)
    elif isinstance(recorded, list) and isinstance(asked, list) and len(recorded) == len(asked):
        for number, pair in enumerate(zip(recorded, asked, strict=True)):
            yield from differences(*pair, f"{where}[{number}]")
    elif recorded != asked:
        yield f"{where}: {_short(asked)}, recorded was {_short(recorded)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _read(path: Path, kind: str) -> dict[str, Any]:
    try:
        whole = _json.loads(path.read_bytes())
    except (OSError, _json.JsonError) as error:
        raise ConfigError(f"recording {str(path)!r}: {error}") from error
    if not isinstance(whole, dict) or not isinstance(whole.get("entries"), list):
        raise ConfigError(f"recording {str(path)!r}: it holds no recording")
    if whole.get("v") != VERSION:
        raise ConfigError(
            f"recording {str(path)!r}: version {whole.get('v')!r} is not known (known: {VERSION})"
        )
    if whole.get("kind") != kind:
        raise ConfigError(f"recording {str(path)!r}: it holds {whole.get('kind')!r}, not {kind!r}")
    return whole

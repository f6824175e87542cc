"""Names that installed distributions and running programs give to things: providers, caches, ...

A `PluginRegistry` knows two kinds of names: those registered at run time, and those of entry
points. Entry points are read once, on first need, which imports nothing; a plugin is imported when
its name is first used, and only that one. A plugin that cannot be imported, is made for another
plugin API, or shares its name with another distribution's hurts only that name: listing never
raises, `info` and `errors` tell without importing.

Two locks keep this safe from any thread: the registry's, held for dictionary work only, and one
for each plugin, held while it is imported. So a plugin may register things while it is imported.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, overload

import msgspec

from beluga_llm._errors import (
    ConfigError,
    DuplicateProviderError,
    PluginError,
    ProviderNotFoundError,
)
from beluga_llm._frozen import EMPTY
from beluga_llm._installed import InstalledPlugin, installed_entry_points

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
U = TypeVar("U")
Status: TypeAlias = Literal["ok", "unloaded", "broken", "conflict"]

_NOTHING: Any = object()
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class ProviderInfo(msgspec.Struct, frozen=True):
    """What is known of a name without importing its plugin.

    Attributes:
        name: the entry name.
        distribution, version: who provides it; None for a runtime registration.
        target: where the factory is, as "module:attribute".
        source: "entry_point" or "runtime".
        status: "unloaded" until it is first used, then "ok" or "broken"; "conflict" where two
            things claim the name.
    """

    name: str
    distribution: str | None
    version: str | None
    target: str
    source: Literal["entry_point", "runtime"]
    status: Status


class Registration(NamedTuple):
    """Something that a program registered; `replaces`: it may shadow an installed plugin."""

    value: Any
    replaces: bool


class PluginRegistry(Generic[T]):
    """Names of one kind and what they stand for, loaded when they are first used.

        tokenizers: PluginRegistry[Tokenizer] = PluginRegistry("tokenizer")

    Args:
        kind: what the names are of, for messages: "provider", "cache", "tokenizer", ...
        group: the entry-point group; `beluga_llm.<kind>s` where it is not given.
        discover: gives entry points, of any groups; those of the environment where it is not given.
    """

    def __init__(
        self,
        kind: str,
        group: str | None = None,
        *,
        discover: Callable[[], Iterable[EntryPoint]] | None = None,
    ) -> None:
        self.kind = kind
        self.group = group or f"beluga_llm.{kind}s"
        self._discover = discover or installed_entry_points
        self._lock = threading.RLock()
        self._installed: dict[str, InstalledPlugin] | None = None
        self._runtime: dict[str, Registration] = {}
        self._hidden: set[str] = set()

    def __repr__(self) -> str:
        read = "not read yet" if self._installed is None else f"{len(self._installed)} installed"
        return f"<{type(self).__name__} of {self.kind}s: {len(self._runtime)} registered, {read}>"

    # --- names -------------------------------------------------------------------------------

    @overload
    def register(self, name: str, value: T, *, replace: bool = False) -> T: ...
    @overload
    def register(self, name: str, *, replace: bool = False) -> Callable[[U], U]: ...
    def register(self, name: str, value: Any = _NOTHING, *, replace: bool = False) -> Any:
        """Gives a name to something, or decorates it with one: `@register("mine")`.

        Args:
            name: small letters, digits, "-" and "_".
            value: what it stands for, such as a factory; it is returned.
            replace: take the name from what has it, registered or installed.

        Raises:
            ConfigError: the name or the value is not usable.
            DuplicateProviderError: the name is already registered. Whether a plugin has it is
                found out when it is first used.
        """
        if value is _NOTHING:
            return lambda decorated: self.register(name, decorated, replace=replace)
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise ConfigError(f"{self.kind} names must match {_NAME.pattern}, got {name!r}")
        if reason := self._unusable(value):
            raise ConfigError(f"{self.kind} {name!r} cannot be registered: {reason}")
        with self._lock:
            if name in self._runtime and not replace:
                raise self._taken(name)
            self._runtime[name] = Registration(value, replace or name in self._hidden)
        return value

    def unregister(self, name: str) -> None:
        """Takes a name away: a registered one, else an installed one for this process.

        Raises:
            ProviderNotFoundError: there is no such name.
        """
        with self._lock:
            if self._runtime.pop(name, None) is None:
                self._find(name)
                self._hidden.add(name)

    @contextmanager
    def isolated(self) -> Iterator[None]:
        """Undoes on exit whatever was registered and unregistered inside."""
        with self._lock:
            saved = self._runtime.copy(), self._hidden.copy()
        try:
            yield
        finally:
            with self._lock:
                self._runtime, self._hidden = saved

    def names(self) -> list[str]:
        """All names, sorted: registered and installed ones; imports no plugin."""
        with self._lock:
            return sorted({*self._runtime, *self._plugins()} - (self._hidden - {*self._runtime}))

    def __contains__(self, name: object) -> bool:
        """Whether there is such a name; imports no plugin."""
        with self._lock:
            if name in self._runtime:
                return True
            return name in self._plugins() and name not in self._hidden

    # --- what they stand for -----------------------------------------------------------------

    def load(self, name: str) -> T:
        """What a name stands for; imports its plugin when it is first asked for.

        Raises:
            ProviderNotFoundError: there is no such name.
            PluginLoadError: its plugin cannot be imported, or is for another plugin API.
            DuplicateProviderError: two things claim it.
        """
        with self._lock:
            found = self._find(name)
            if conflict := self._conflict(name, found):
                raise conflict
        value: T
        if isinstance(found, Registration):
            value = found.value
        else:
            value = found.load(name, self._label(name, found), self._unusable)
        return value

    def info(self, name: str) -> ProviderInfo:
        """What is known of a name; imports nothing.

        Raises:
            ProviderNotFoundError: there is no such name.
        """
        with self._lock:
            found = self._find(name)
            conflict = self._conflict(name, found) is not None
        if isinstance(found, Registration):
            status: Status = "conflict" if conflict else "ok"
            return ProviderInfo(name, None, None, _target(found.value), "runtime", status)
        if conflict:
            status = "conflict"
        elif found.error is not None:
            status = "broken"
        else:
            status = "ok" if found.loaded else "unloaded"
        return ProviderInfo(name, *found.origin, found.target, "entry_point", status)

    def errors(self, load: bool = False) -> dict[str, PluginError]:
        """Names that cannot be used, and why; never raises.

        Args:
            load: import every plugin to find out; else what is known so far.
        """
        errors: dict[str, PluginError] = {}
        for name in self.names():
            try:
                if load:
                    self.load(name)
                elif problem := self._problem(name):
                    errors[name] = problem
            except PluginError as error:
                errors[name] = error
            except ProviderNotFoundError:  # pragma: no cover  # another thread unregistered it
                continue
        return errors

    # --- for subclasses ----------------------------------------------------------------------

    def _unusable(self, value: Any) -> str | None:
        """Why something cannot stand behind a name of this kind; None where it can."""
        return None

    def _known(self) -> Mapping[str, str]:
        """Names that exist somewhere, and the distributions to install for them: a hint."""
        return EMPTY

    # --- inside ------------------------------------------------------------------------------

    def _plugins(self) -> dict[str, InstalledPlugin]:
        if self._installed is None:
            found: dict[str, InstalledPlugin] = {}
            for entry in self._discover():
                if entry.group == self.group:
                    found.setdefault(entry.name, InstalledPlugin()).add(entry)
            self._installed = found
        return self._installed

    def _find(self, name: str) -> Registration | InstalledPlugin:
        if (registered := self._runtime.get(name)) is not None:
            return registered
        installed = None if name in self._hidden else self._plugins().get(name)
        if installed is None:
            raise self._unknown(name)
        return installed

    def _problem(self, name: str) -> PluginError | None:
        with self._lock:
            found = self._find(name)
            conflict = self._conflict(name, found)
        return conflict or (found.error if isinstance(found, InstalledPlugin) else None)

    def _conflict(
        self, name: str, found: Registration | InstalledPlugin
    ) -> DuplicateProviderError | None:
        if isinstance(found, Registration):
            shadows = not found.replaces and name in self._plugins()
            return self._taken(name) if shadows else None
        if not (rivals := found.rivals()):
            return None
        count = "two" if len(rivals) == 2 else str(len(rivals))
        return DuplicateProviderError(
            f"{self.kind} {name!r} is provided by {count} distributions: {', '.join(rivals)}; "
            f"uninstall one or register {name!r} with replace=True",
            provider=name,
        )

    def _unknown(self, name: str) -> ProviderNotFoundError:
        names, known = self.names(), self._known()
        text = f"unknown {self.kind} {name!r} (registered: {', '.join(names) or 'none'})"
        meant = name.lower()
        if meant not in known or meant in names:
            import difflib

            near = difflib.get_close_matches(meant, sorted({*names, *known}), n=1)
            if near:
                meant = near[0]
                text += f"; did you mean {meant!r}?"
        if meant in known and meant not in names:
            text += f"; install it with: pip install {known[meant]}"
        return ProviderNotFoundError(text)

    def _taken(self, name: str) -> DuplicateProviderError:
        return DuplicateProviderError(
            f"{self.kind} {name!r} is already registered; pass replace=True to replace it",
            provider=name,
        )

    def _label(self, name: str, found: Registration | InstalledPlugin) -> str:
        distribution, version = (None, None) if isinstance(found, Registration) else found.origin
        return f"{self.kind} {name!r}" + (f" ({distribution} {version})" if distribution else "")


def _target(value: Any) -> str:
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}:{named.__qualname__}"

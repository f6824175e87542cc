"""Stores by name or URL: `Conversation(store="sqlite:///chats.db")`.

`memory` and `sqlite` are in the core. Others come from entry points in the group
`beluga_llm.stores`: something that is called without arguments for its name alone, and with the URL
for `name://...`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeAlias

from beluga_llm._conversation.stores import MemoryStore, SessionStore, SQLiteStore
from beluga_llm._errors import ConfigError
from beluga_llm._plugins import PluginRegistry

StoreFactory: TypeAlias = Callable[..., SessionStore]

stores: PluginRegistry[StoreFactory] = PluginRegistry("store")


def open_store(name: str) -> SessionStore:
    """The store of a name or URL.

    Raises:
        ProviderNotFoundError: no store has that name.
        ConfigError: the URL says too little.
    """
    kind, mark, rest = name.partition("://")
    if kind == "memory":
        return MemoryStore()
    if kind == "sqlite":
        path = rest.removeprefix("/")
        if not path:
            raise ConfigError(f"{name!r} names no file: use 'sqlite:///chats.db'")
        return SQLiteStore(path)
    factory = stores.load(kind)
    return factory(name) if mark else factory()


def opened(store: SessionStore | str | None) -> SessionStore:
    """A store as it was given; that of a name; one in memory for None."""
    if isinstance(store, str):
        return open_store(store)
    return MemoryStore() if store is None else store


def place_of(store: SessionStore, given: SessionStore | str | None) -> Hashable:
    """What is the same for all who talk in one store: its file, its URL, or the object."""
    if isinstance(store, SQLiteStore):
        return store.path.resolve()
    return given if isinstance(given, str) and not isinstance(store, MemoryStore) else id(store)

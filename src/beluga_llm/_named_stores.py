"""Stores of limits and of cached answers by URL: `with_limits(rpm=600, store="redis://host/0")`.

They come from entry points in the groups `beluga_llm.limit_stores` and `beluga_llm.cache_stores`:
something that is called without arguments for its name alone, and with the URL for `name://...`.
"""

from __future__ import annotations

from collections.abc import Callable

from beluga_llm._caching.stores import CacheStore
from beluga_llm._plugins import PluginRegistry, T
from beluga_llm._rate.store import LimitStore

limit_stores: PluginRegistry[Callable[..., LimitStore]] = PluginRegistry(
    "limit store", "beluga_llm.limit_stores"
)
cache_stores: PluginRegistry[Callable[..., CacheStore]] = PluginRegistry(
    "cache store", "beluga_llm.cache_stores"
)


def open_named(stores: PluginRegistry[Callable[..., T]], name: str) -> T:
    """The store of a name or URL.

    Raises:
        ProviderNotFoundError: no store has that name.
        ConfigError: the URL is not valid.
    """
    kind, mark, _ = name.partition("://")
    factory = stores.load(kind)
    return factory(name) if mark else factory()

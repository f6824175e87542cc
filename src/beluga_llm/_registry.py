"""Providers by name: `create("openai/gpt-4o")` finds a plugin, imports it and makes a model.

There is no list of providers or models in here. `data/providers.json` is only a hint for people
who ask for a provider that is not installed; a name that it lacks works as well.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import evolve

from beluga_llm import _json
from beluga_llm._config import FIELD_NAMES, KeySource, ProviderConfig
from beluga_llm._config_checks import time_limits
from beluga_llm._errors import ConfigError, PluginError
from beluga_llm._installed import PLUGIN_API, installed_entry_points
from beluga_llm._model import ChatModel
from beluga_llm._option_types import Timeouts
from beluga_llm._plugins import PluginRegistry, ProviderInfo

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import aiohttp

    from beluga_llm._call import Middleware

__all__ = [
    "PLUGIN_API", "PluginRegistry", "ProviderFactory", "ProviderInfo", "Registry", "create",
    "create_from_config", "is_registered", "list_providers", "plugin_errors", "provider_info",
    "register", "registry", "unregister",
]  # fmt: skip

ProviderFactory: TypeAlias = Callable[..., ChatModel]
"""Makes a model of a ProviderConfig: a function, a ProviderSpec, or a ChatModel class, whose
`from_config` is called. One that has a parameter `registry` gets the registry that is creating."""

LAYER_KEYS = ("cache", "fallback", "retry", "circuit_breaker", "limits")
"""Keys of a configuration that stand for layers, outermost first."""

CONFIG_KEYS = FIELD_NAMES | set(LAYER_KEYS)
"""What a mapping given to `create_from_config` may have."""


class Registry(PluginRegistry[ProviderFactory]):
    """The providers that can be created by name.

    Args:
        discover: gives entry points; those of the environment where it is not given.
    """

    def __init__(self, *, discover: Callable[[], Iterable[EntryPoint]] | None = None) -> None:
        super().__init__("provider", discover=discover)

    def create(
        self,
        provider: str | ProviderConfig,
        *,
        model: str | None = None,
        api_key: KeySource | None = None,
        base_url: str | None = None,
        timeout: float | Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        session: aiohttp.ClientSession | None = None,
        options: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> ChatModel:
        """A new model of a provider.

            create("openai/gpt-4o", api_key=...)
            create("openai", model="gpt-4o")
            create(ProviderConfig(provider="openai", model="gpt-4o"))

        Args:
            provider: the entry name, alone or with "/" and the model, or a configuration, over
                which the keywords go.
            model: the model id.
            api_key: instead of the provider's own variable.
            base_url: another address of the API, with its version path.
            timeout: total seconds of a call, or Timeouts.
            headers: added to every request.
            session: a session of the caller's, never closed by us.
            options: what only this provider knows.
            **more: other fields of ProviderConfig; what is no field goes to `options`.

        Raises:
            ConfigError: the configuration is wrong; lists all problems.
            AuthenticationError: the provider needs a key.
            ProviderNotFoundError: no such provider is installed.
            PluginLoadError, DuplicateProviderError: its plugin cannot be used.
            PluginError: its factory made something else than a ChatModel.

        Other exceptions of a factory are a plugin's bugs and pass as they are.
        """
        if isinstance(provider, ProviderConfig):
            base, named = provider, provider.provider
        elif isinstance(provider, str):
            base, named = None, provider
        else:
            raise ConfigError(
                f"provider must be a name or a ProviderConfig, got {type(provider).__name__}"
            )
        fields = {
            "model": model,
            "api_key": api_key,
            "base_url": base_url,
            "timeout": timeout,
            "headers": headers,
            "session": session,
            "options": options,
        }
        made = _with_model(ProviderConfig.of(base, **fields, **more), named)
        created = _call(self.load(made.provider), made, self)
        if not isinstance(created, ChatModel):
            if inspect.iscoroutine(created):
                created.close()
            raise PluginError(
                f"{self._label(made.provider, self._find(made.provider))}: "
                f"its factory returned {type(created).__name__}, not a ChatModel",
                provider=made.provider,
            )
        return created

    def create_from_config(self, config: Mapping[str, Any]) -> ChatModel:
        """A new model of a mapping, such as a part of an application's settings file.

        Args:
            config: `provider`, `model` and the other fields of ProviderConfig; `timeout` may be
                a mapping of limits. `retry`, `circuit_breaker`, `limits` and `cache` are settings
                by name, or True for the usual ones; `fallback` is a list of such mappings, model
                strings or models.

        Raises:
            ConfigError: it has unknown keys, all of which are named, or `create` finds problems.
        """
        if not isinstance(config, Mapping):
            raise ConfigError(f"config must be a mapping, got {type(config).__name__}")
        if unknown := sorted(str(key) for key in config if key not in CONFIG_KEYS):
            known = ", ".join(sorted(CONFIG_KEYS))
            raise ConfigError(f"unknown keys: {', '.join(unknown)} (known: {known})")
        values = {key: value for key, value in config.items() if key not in LAYER_KEYS}
        values["timeout"] = time_limits(config.get("timeout"))
        if not values.get("provider") and "/" in str(values.get("model") or ""):
            values["provider"] = values.pop("model")
        layers: list[Middleware] = []
        wrong = None
        if any(config.get(key) not in (None, False) for key in LAYER_KEYS):
            from beluga_llm._resilient import layers_of

            try:
                layers = layers_of(config, self.create_from_config)
            except ConfigError as error:
                wrong = error
        try:
            model = self.create(values.pop("provider", ""), **values)
        except ConfigError as error:
            if wrong is not None:
                error.message = f"{error.message}; {wrong.message}"
            raise
        if wrong is not None:
            raise wrong
        return model.with_middleware(*layers)

    def _unusable(self, value: Any) -> str | None:
        return None if callable(value) else f"a {type(value).__name__} is no factory"

    def _known(self) -> Mapping[str, str]:
        return _known_distributions()


def _with_model(config: ProviderConfig, named: str) -> ProviderConfig:
    """The configuration with "provider/model" taken apart."""
    provider, _, model = named.partition("/")
    if not provider:
        raise ConfigError("provider is required")
    if model and config.model and model != config.model:
        raise ConfigError(
            f"model is given twice: {model!r} and {config.model!r}",
            provider=provider,
            op=f"{provider}.new",
        )
    return evolve(config, provider=provider, model=model or config.model)


def _call(factory: ProviderFactory, config: ProviderConfig, registry: Registry) -> Any:
    make = getattr(factory, "from_config", factory) if isinstance(factory, type) else factory
    return make(config, registry=registry) if _takes_registry(make) else make(config)


def _takes_registry(make: Callable[..., Any]) -> bool:
    try:
        return "registry" in inspect.signature(make).parameters
    except (TypeError, ValueError):  # some callables written in C have no signature
        return False


@functools.cache
def _known_distributions() -> Mapping[str, str]:
    rows = _json.loads((Path(__file__).parent / "data" / "providers.json").read_bytes())
    return {
        row["entry"]: row["distribution"] for row in rows if row["distribution"] != "beluga-llm"
    }


_shared_entry_points = functools.cache(installed_entry_points)

registry = Registry(discover=_shared_entry_points)
create = registry.create
create_from_config = registry.create_from_config
register = registry.register
unregister = registry.unregister


def list_providers() -> list[str]:
    """The sorted names of all providers, registered and installed; imports no plugin."""
    return registry.names()


def is_registered(name: str) -> bool:
    """Whether a provider of this name is registered or installed; imports no plugin."""
    return name in registry


def provider_info(name: str) -> ProviderInfo:
    """Who provides a name and in what state it is; imports no plugin.

    Raises:
        ProviderNotFoundError: there is no such name.
    """
    return registry.info(name)


def plugin_errors(load: bool = False) -> dict[str, PluginError]:
    """Names of providers that cannot be used, and why; never raises.

    Args:
        load: import every plugin to find out; else what is known so far.
    """
    return registry.errors(load)

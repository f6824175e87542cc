"""The provider `llama`: Meta's models, at whoever serves them.

    llm.create("llama/meta-llama/Llama-3.3-70B-Instruct-Turbo", backend="together")

It is no provider of its own: `options["backend"]` names one, which gets the same configuration
and which the model reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm import ChatModel, ConfigError, Registry, replace
from beluga_llm.plugin import ProviderConfig

BACKENDS = ("together", "fireworks", "groq", "sambanova", "cerebras", "ollama")


def llama(config: ProviderConfig, *, registry: Registry) -> ChatModel:
    """A model of the backend.

    Raises:
        ConfigError: the backend is one of another kind, or its provider finds problems.
        ProviderNotFoundError: there is no such provider, or it is not installed.
    """
    options: Any = config.options
    backend = (options.get("backend") if isinstance(options, Mapping) else None) or BACKENDS[0]
    if not isinstance(backend, str) or (backend not in BACKENDS and backend in registry):
        known = ", ".join(BACKENDS)
        raise ConfigError(
            f"option 'backend' must be one of {known}, got {backend!r}",
            provider="llama",
            op="llama.new",
        )
    if isinstance(options, Mapping):  # what is no mapping is for the backend to name
        options = {name: value for name, value in options.items() if name != "backend"}
    return registry.create(replace(config, provider=backend, options=options))

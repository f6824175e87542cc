"""Tests against real providers: why one cannot run here."""

from __future__ import annotations

from beluga_llm import registry
from beluga_llm._environment import variable
from beluga_llm._errors import PluginError, ProviderNotFoundError
from beluga_llm._provider import ProviderSpec


def why_not(provider: str) -> str | None:
    """What is missing for calls of a provider; None where they can be made.

    A provider that needs no key, or gets its credentials elsewhere, is taken at its word.
    """
    try:
        factory = registry.load(provider)
    except (ProviderNotFoundError, PluginError) as error:
        return error.message
    spec = factory if isinstance(factory, ProviderSpec) else getattr(factory, "spec", None)
    if not isinstance(spec, ProviderSpec) or not spec.key_required or not spec.env:
        return None
    if any(map(variable, spec.env)):
        return None
    return f"{' or '.join(spec.env)} is not set"

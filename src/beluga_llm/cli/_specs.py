"""What the installed providers say about themselves, for choosing one and for the doctor."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import beluga_llm as llm
from beluga_llm._provider import ProviderSpec


class Installed(NamedTuple):
    """An entry name and the specification behind it."""

    entry: str
    spec: ProviderSpec


@functools.cache
def known_distributions() -> Mapping[str, str]:
    """The known entry names, in the order in which they are tried, and what brings each."""
    text = Path(llm.__file__).parent.joinpath("data", "providers.json").read_text("utf-8")
    return {row["entry"]: row["distribution"] for row in json.loads(text)}


def in_order(names: list[str]) -> list[str]:
    """Names in the order of the table of providers, then the others by name."""
    places = {entry: place for place, entry in enumerate(known_distributions())}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))


def spec_of(entry: str) -> ProviderSpec | None:
    """The specification of a provider; None for one that is made in another way.

    Raises:
        BelugaError: there is no such provider, or its plugin cannot be used.
    """
    with plugins_print_to_stderr():
        factory = llm.registry.load(entry)
    spec = factory if isinstance(factory, ProviderSpec) else getattr(factory, "spec", None)
    return spec if isinstance(spec, ProviderSpec) else None


def plugins_print_to_stderr() -> contextlib.AbstractContextManager[object]:
    """What a plugin prints while it is imported: no part of an answer, so not for stdout."""
    return contextlib.redirect_stdout(sys.stderr)


def installed_specs(
    on_error: Callable[[str, llm.BelugaError], None] | None = None,
) -> Iterator[Installed]:
    """The providers that can be used, in the order of the table; each is loaded when its turn is.

    Args:
        on_error: is told the names of those that cannot be used, and why.
    """
    for entry in in_order(llm.list_providers()):
        try:
            spec = spec_of(entry)
        except llm.BelugaError as error:
            if on_error is not None:
                on_error(entry, error)
            continue
        if spec is not None:
            yield Installed(entry, spec)


def variables_of(spec: ProviderSpec) -> list[str]:
    """The environment variables that a provider reads: keys, address, options, headers."""
    options = (name for names in spec.option_env.values() for name in names)
    return [*spec.env, spec.base_url_variable, *options, *spec.env_headers]


def usual_key_variable(entry: str) -> str:
    """The variable that holds a provider's key by convention, for one that cannot be asked."""
    return f"{entry.upper().replace('-', '_')}_API_KEY"

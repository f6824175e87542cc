"""Which model `chat` talks to, and why.

In this order: what was asked for, $BELUGA_MODEL, the first installed provider with a key in the
environment, a server on this machine, the embedded demo. Only the first two can be a model that
does not exist; the others are known to be there.

Plugins are loaded one after the other until one has a key. A key that leads nowhere is told on
stderr: its plugin is broken, or not installed, or names no model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

import click

import beluga_llm as llm
from beluga_llm._environment import variable
from beluga_llm.cli._local import served_model
from beluga_llm.cli._specs import (
    Installed,
    installed_specs,
    known_distributions,
    usual_key_variable,
)

DEMO = "demo"
BELUGA_MODEL = "BELUGA_MODEL"


class Choice(NamedTuple):
    """A model as `create` takes it, and the reason for it; None where the user named it."""

    model: str
    why: str | None = None


async def choose(asked: str | None) -> Choice:
    """The model to talk to."""
    if asked:
        return Choice(asked)
    if named := variable(BELUGA_MODEL):
        return Choice(named, f"{BELUGA_MODEL} is set")
    passed = PassedOver()
    installed: list[Installed] = []
    for one in installed_specs(passed.broken):
        if any(one.spec is other.spec for other in installed):
            continue  # another name of a provider that was asked already
        if choice := _with_key(one, passed):
            return choice
        installed.append(one)
    passed.tell_unused_keys()
    return await _on_this_machine(installed) or Choice(DEMO, passed.why_demo)


class PassedOver:
    """Keys that are set and yet lead to no model."""

    def __init__(self) -> None:
        self._found_broken = False
        self._unused: list[str] = []

    def broken(self, entry: str, error: llm.BelugaError) -> None:
        """Tells of a plugin that has a key and cannot be used, as far as names of keys tell."""
        if variable(usual_key_variable(entry)):
            self._found_broken = True
            text = " ".join(error.message.split())
            click.echo(f"passed over {entry}: {text}; see beluga-llm doctor", err=True)

    def without_model(self, entry: str, key: str) -> None:
        """Remembers a provider with a key whose model nobody has named."""
        self._unused.append(
            f"passed over {entry}: {key} is set, name a model with -m {entry}/MODEL"
        )

    def tell_unused_keys(self) -> None:
        """Tells of keys that would be used if a model were named or a plugin installed."""
        there = set(llm.list_providers())
        absent = [entry for entry in known_distributions() if entry not in there]
        for entry in absent:
            if variable(key := usual_key_variable(entry)):
                install = f"pip install {known_distributions()[entry]}"
                self._unused.append(f"{key} is set, but {entry} is not installed: {install}")
        for text in self._unused:
            click.echo(text, err=True)

    @property
    def why_demo(self) -> str:
        """The reason for the demo."""
        if self._found_broken or self._unused:
            return "no provider whose key is set can be used and no local server answers"
        return "no key of an installed provider is set and no local server answers"


def _with_key(one: Installed, passed: PassedOver) -> Choice | None:
    entry, spec = one
    key = next((name for name in spec.env if variable(name)), None)
    if key is None:
        return None
    if model := spec.default_model or spec.chat_example:
        return Choice(f"{entry}/{model}", f"{key} is set")
    passed.without_model(entry, key)
    return None


_LOCAL = ("ollama", "lmstudio", "llamacpp", "vllm")
"""Servers on this machine, in the order in which they are taken; others follow."""


def _local_place(one: Installed) -> int:
    return _LOCAL.index(one.entry) if one.entry in _LOCAL else len(_LOCAL)


async def _on_this_machine(installed: Iterable[Installed]) -> Choice | None:
    local = sorted((one for one in installed if one.spec.local), key=_local_place)
    answers = await asyncio.gather(*(served_model(spec) for _, spec in local))
    for (entry, _), served in zip(local, answers, strict=True):
        if served is not None:
            return Choice(f"{entry}/{served.model}", f"it answers at {served.base_url}")
    return None

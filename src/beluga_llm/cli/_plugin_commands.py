"""Commands that other distributions bring, through the entry-point group `beluga_llm.commands`.

    [project.entry-points."beluga_llm.commands"]
    costs = "acme_costs:command"     # a click.Command

They are found like providers are: listing reads entry points only, and a command is imported when
it is run, or when the help shows what it does. One that cannot be used says so in its own place.
"""

from __future__ import annotations

from typing import Any

import click

from beluga_llm._errors import PluginError
from beluga_llm._plugins import PluginRegistry
from beluga_llm.cli._specs import plugins_print_to_stderr


class CommandRegistry(PluginRegistry[click.Command]):
    """The commands of plugins."""

    def _unusable(self, value: Any) -> str | None:
        if isinstance(value, click.Command):
            return None
        return f"it must be a click.Command, got {type(value).__name__}"


registry = CommandRegistry("command")


def plugin_command(name: str) -> click.Command | None:
    """The command of a plugin, or one in its place that fails; None where there is none."""
    if name not in registry:
        return None
    try:
        with plugins_print_to_stderr():
            return registry.load(name)
    except PluginError as error:
        return _unusable_command(name, error)


def _unusable_command(name: str, error: PluginError) -> click.Command:
    def fail(**arguments: Any) -> None:
        raise error

    return click.Command(
        name,
        callback=fail,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        add_help_option=False,
        short_help="(cannot be used: run it to see why)",
    )

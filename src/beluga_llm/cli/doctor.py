"""`beluga-llm doctor`: whether everything that is installed can be used."""

from __future__ import annotations

import json
import platform
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import click
import msgspec

import beluga_llm as llm
from beluga_llm._environment import variable
from beluga_llm.cli import _plugin_commands
from beluga_llm.cli._choice import BELUGA_MODEL
from beluga_llm.cli._shared import debug_option, show_table
from beluga_llm.cli._specs import plugins_print_to_stderr, spec_of, variables_of

GENERAL = (BELUGA_MODEL, "BELUGA_MOCK_FIXTURES")
"""Variables that belong to no provider's specification."""


@click.command(short_help="Show what cannot be used, and which keys are set.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@debug_option
def doctor(as_json: bool) -> None:
    """Load every plugin and show what is wrong, and which variables are set.

    Values of variables are never shown. Exits with 1 where a plugin, or a command that one brings,
    cannot be used.

    \b
    Examples:
      beluga-llm doctor
      beluga-llm doctor --json
    """  # noqa: D301 -- click looks for the character \b, not for the two signs
    with plugins_print_to_stderr():
        errors = llm.plugin_errors(load=True)
        failed = _plugin_commands.registry.errors(load=True)
    commands = {name: error.message for name, error in failed.items()}
    found = [_examine(name, errors.get(name)) for name in llm.list_providers()]
    versions = {"beluga-llm": llm.__version__, "python": platform.python_version()}
    general = _set_ones(GENERAL)
    if as_json:
        report = {
            **versions,
            "plugin_api": llm.PLUGIN_API,
            "ok": not errors and not commands,
            "variables": general,
            "providers": found,
            "broken_commands": commands,
        }
        click.echo(json.dumps(report, indent=2))
    else:
        _show(versions, general, found)
        for problem in commands.values():
            click.echo(_indented(problem))
    if errors or commands:
        raise click.exceptions.Exit(1)


def _examine(name: str, error: llm.PluginError | None) -> dict[str, Any]:
    info: dict[str, Any] = msgspec.to_builtins(llm.provider_info(name))
    spec = spec_of(name) if error is None else None
    variables = variables_of(spec) if spec is not None else []
    return {
        **{key: info[key] for key in ("name", "distribution", "version", "status")},
        "variables": _set_ones(variables),
        "error": None if error is None else error.message,
    }


def _set_ones(variables: Iterable[str]) -> dict[str, bool]:
    """Whether each is set; never what to."""
    return {name: variable(name) is not None for name in variables}


def _show(
    versions: Mapping[str, str], general: Mapping[str, bool], found: list[dict[str, Any]]
) -> None:
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    click.echo(f"{said}, plugin API {llm.PLUGIN_API}")
    click.echo(f"{_environment(general)}\n")
    show_table(
        ("provider", "distribution", "version", "status", "environment"),
        [
            (
                one["name"],
                one["distribution"] or "-",
                one["version"] or "-",
                one["status"],
                _environment(one["variables"]),
            )
            for one in found
        ],
    )
    broken = [one for one in found if one["error"]]
    click.echo(f"\n{len(broken)} of {len(found)} cannot be used" if broken else "\nall well")
    for one in broken:
        click.echo(_indented(one["error"]))


def _indented(text: str) -> str:
    return textwrap.indent(text, "  ")


def _environment(variables: Mapping[str, bool]) -> str:
    """Which variables are set, and which would be read if they were."""
    words = [f"{name} {'set' if is_set else 'unset'}" for name, is_set in variables.items()]
    return ", ".join(words) or "-"

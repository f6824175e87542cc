"""`beluga-llm probe`: whether models answer, and how fast."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from typing import Any

import click

import beluga_llm as llm
from beluga_llm.cli._session import opened_model
from beluga_llm.cli._shared import debug_option, show_table


@click.command(short_help="Show whether models answer, and how fast.")
@click.argument("names", metavar="MODEL...", nargs=-1, required=True)
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="An option of the provider; the value is JSON, else text. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Write a JSON object for each, in lines.")
@debug_option
def probe(names: tuple[str, ...], options: tuple[str, ...], as_json: bool) -> None:
    """Ask the cheapest thing of each model's provider, and show how it stands.

    That is the list of models where the provider has one, else one token. Exits with 1 where a
    model is unhealthy.

    \b
    Examples:
      beluga-llm probe openai/gpt-4o
      beluga-llm probe anthropic/claude-sonnet-4-5 ollama/llama3.2 --json
    """  # noqa: D301 -- click looks for the character \b, not for the two signs
    import aiohttp  # noqa: F401 -- now, since loading it is no latency of a provider

    async def run(models: dict[str, llm.ChatModel]) -> dict[str, llm.Health]:
        try:
            return await llm.check_all(models, probe=True)
        finally:  # what is found is told, also where a model cannot be closed
            closing = (model.aclose() for model in models.values())
            await asyncio.gather(*closing, return_exceptions=True)

    with asyncio.Runner() as runner, ExitStack() as stack:
        models = {
            name: stack.enter_context(opened_model(runner, name, options))
            for name in dict.fromkeys(names)
        }
        found = runner.run(run(models))
    if as_json:
        for health in found.values():
            click.echo(json.dumps(health.as_dict()))
    else:
        _show(found)
    if any(health.state is llm.HealthState.UNHEALTHY for health in found.values()):
        raise click.exceptions.Exit(1)


def _show(found: dict[str, llm.Health]) -> None:
    rows: list[Any] = [
        (name, health.state.value, f"{(health.latency or 0) * 1000:.0f} ms", health.detail or "-")
        for name, health in found.items()
    ]
    show_table(("model", "state", "latency", "detail"), rows)

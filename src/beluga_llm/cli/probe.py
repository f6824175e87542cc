"""`beluga-llm probe`: whether models answer, and how fast."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from typing import Any

import click

import beluga_llm as llm
from beluga_llm.cli._failures import describe
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

    That is the list of models where the provider has one, else one token. A model that cannot be
    asked, since its key is missing say, is unhealthy. Exits with 1 where a model is unhealthy.

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

    names = tuple(dict.fromkeys(names))
    models: dict[str, llm.ChatModel] = {}
    unusable: dict[str, Exception] = {}
    with asyncio.Runner() as runner, ExitStack() as stack:
        for name in names:
            try:
                models[name] = stack.enter_context(opened_model(runner, name, options))
            except click.BadParameter:
                raise  # an option, which is wrong for all
            except Exception as error:  # noqa: BLE001 -- also of a plugin; the others are asked
                unusable[name] = error
        if len(names) == len(unusable) == 1 and not as_json:
            raise unusable[names[0]]  # it is told with what to do
        found = runner.run(run(models))
    told = {name: found.get(name) or _unusable(name, unusable[name]) for name in names}
    if as_json:
        for health in told.values():
            click.echo(json.dumps({**health.as_dict(), "detail": health.detail}))
    else:
        _show(told)
    if any(health.state is llm.HealthState.UNHEALTHY for health in told.values()):
        raise click.exceptions.Exit(1)


def _unusable(name: str, error: Exception) -> llm.Health:
    """The health of a model that could not be made."""
    provider, _, model = name.partition("/")
    return llm.Health(
        llm.HealthState.UNHEALTHY,
        provider,
        model,
        timestamp=time.time(),
        api_key_set=False,
        tools_count=0,
        detail=describe(error).lines[0].removeprefix("error: "),
    )


def _show(found: dict[str, llm.Health]) -> None:
    rows: list[Any] = [
        (name, health.state.value, _milliseconds(health.latency), health.detail or "-")
        for name, health in found.items()
    ]
    show_table(("model", "state", "latency", "detail"), rows)


def _milliseconds(latency: float | None) -> str:
    return "-" if latency is None else f"{latency * 1000:.0f} ms"

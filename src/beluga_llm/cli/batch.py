"""`beluga-llm batch`: from a file of questions to a file of answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

import beluga_llm as llm
from beluga_llm.cli._choice import BELUGA_MODEL
from beluga_llm.cli._failures import INTERRUPTED
from beluga_llm.cli._session import opened_model, usage_line
from beluga_llm.cli._shared import debug_option


@click.command(short_help="Ask a model every line of a file.")
@click.argument("questions", metavar="IN.jsonl", type=click.Path(path_type=Path))
@click.argument("answers", metavar="OUT.jsonl", type=click.Path(path_type=Path))
@click.option(
    "-m",
    "--model",
    "name",
    metavar="MODEL",
    envvar=BELUGA_MODEL,
    required=True,
    help="provider/model, as in openai/gpt-4o; $BELUGA_MODEL where it is not given.",
)
@click.option(
    "--max-concurrency",
    metavar="N",
    type=click.IntRange(min=1),
    help="How many calls may be under way; 5 by default.",
)
@click.option("--retry-failed", is_flag=True, help="Ask those again that failed in earlier runs.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress bar.")
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="An option of the calls or the provider; the value is JSON, else text. Repeatable.",
)
@debug_option
def batch(
    questions: Path,
    answers: Path,
    name: str,
    max_concurrency: int | None,
    retry_failed: bool,
    quiet: bool,
    options: tuple[str, ...],
) -> None:
    """Ask a model every line of a file, and write one line for each into another.

    A line of IN.jsonl is {"id": "a", "prompt": "..."}, or has "messages" and "options"; the lines
    of OpenAI's Batch API are read too. OUT.jsonl gets {"id", "line", "text", "message"} or {"id",
    "line", "error"} for each. Run the same command again after an interruption: it goes on with
    what is left. Exits with 1 where a line failed.

    \b
    Examples:
      beluga-llm batch questions.jsonl answers.jsonl -m openai/gpt-4o-mini
      beluga-llm batch in.jsonl out.jsonl -m groq/llama-3.3-70b-versatile --max-concurrency 20
      beluga-llm batch in.jsonl out.jsonl -m openai/gpt-4o-mini --retry-failed
    """  # noqa: D301 -- click looks for the character \b, not for the two signs

    async def run(model: llm.ChatModel) -> llm.BatchProgress:
        async with model:
            return await llm.batch_jsonl(
                model,
                questions,
                answers,
                max_concurrency=max_concurrency,
                retry_failed=retry_failed,
                progress=not quiet,
            )

    try:
        with asyncio.Runner() as runner, opened_model(runner, name, options) as model:
            done = runner.run(run(model))
    except llm.InvalidRequestError as error:  # a file; what is wrong with a line is in OUT
        raise click.UsageError(error.message) from error
    except KeyboardInterrupt:
        click.echo(f"\ninterrupted: what is done is in {answers}", err=True)
        click.echo("the same command goes on with what is left", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    before = f", {done.skipped} of them before" if done.skipped else ""
    click.echo(f"{done.done} done{before}, {done.failed} failed", err=True)
    if done.usage.total_tokens is not None:
        click.echo(f"tokens: {usage_line(done.usage)}", err=True)
    if done.failed:
        click.echo(f"the errors are in {answers}; --retry-failed asks again", err=True)
        raise click.exceptions.Exit(1)

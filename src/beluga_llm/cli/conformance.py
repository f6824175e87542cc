"""`beluga-llm conformance`: the contract kit on an installed provider, with the fake server.

What runs is the test file that the provider's author would write; it is made from what is asked
here, and pytest runs it in this process without the settings and plugins of any project.
"""

from __future__ import annotations

from pathlib import Path

import click

from beluga_llm.cli._shared import debug_option
from beluga_llm.cli._specs import plugins_print_to_stderr
from beluga_llm.cli._suite import Subject, run_suite, suite_of


@click.command()
@click.argument("name")
@click.option("-m", "--model", help="The model to ask, where the provider has one in particular.")
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="A field of the configuration, as `create` takes it; JSON, else text. Repeatable.",
)
@click.option("--api", help="The wire format of the fake server, where it is not found out.")
@click.option(
    "--recorded",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with hello.sse and hello.json: answers in a wire format of the vendor's own.",
)
@click.option("-k", "only", metavar="WORDS", help="Run only checks whose names have these words.")
@click.option("-v", "--verbose", is_flag=True, help="Tell every check, and why one is skipped.")
@debug_option
def conformance(
    name: str,
    model: str | None,
    options: tuple[str, ...],
    api: str | None,
    recorded: Path | None,
    only: str | None,
    verbose: bool,
) -> None:
    """Check that a provider keeps its promises.

    NAME is its entry name, as `beluga-llm providers` lists it. A server on this machine stands in
    for the vendor, so that neither key nor network are needed. Exits with 1 where a check fails.

    \b
    Examples:
      beluga-llm conformance openai
      beluga-llm conformance vertex --option project=my-project -k errors
      beluga-llm conformance acme --recorded tests/fixtures -v
    """  # noqa: D301 -- click looks for the character \b, not for the two signs
    subject = Subject.of(name, model, options)
    if recorded is None and api is None and subject.is_http and subject.api is None:
        raise click.UsageError(
            f"the fake server does not speak the wire format of {name}: give answers of its vendor "
            "with --recorded FOLDER"
        )
    suite = suite_of(subject, api=api, recorded=recorded)
    with plugins_print_to_stderr():
        report = run_suite(suite, only=only)
    report.show(verbose=verbose)
    if report.failed or not report.passed:
        raise click.exceptions.Exit(1)

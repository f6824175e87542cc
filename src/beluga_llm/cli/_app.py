"""The commands together, and what all have in common: how they fail."""

from __future__ import annotations

import warnings
from typing import Any

import click

from beluga_llm import __version__
from beluga_llm.cli._failures import INTERRUPTED, describe
from beluga_llm.cli._plugin_commands import plugin_command
from beluga_llm.cli._plugin_commands import registry as plugin_commands
from beluga_llm.cli.batch import batch
from beluga_llm.cli.chat import chat
from beluga_llm.cli.conformance import conformance
from beluga_llm.cli.demo import demo
from beluga_llm.cli.doctor import doctor
from beluga_llm.cli.new_provider import new_provider
from beluga_llm.cli.probe import probe
from beluga_llm.cli.providers import providers


class CommandLine(click.Group):
    """A group whose commands fail with one or two lines and an exit code, not a traceback.

    Plugins may bring further commands, but none in the place of ours.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of our commands and those of plugins; imports no plugin."""
        return sorted({*super().list_commands(ctx), *plugin_commands.names()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command of ours, or else of a plugin."""
        return super().get_command(ctx, cmd_name) or plugin_command(cmd_name)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Reads the command line; a help text may be what cannot be written."""
        try:
            return super().make_context(*args, **kwargs)
        except (BrokenPipeError, click.exceptions.NoArgsIsHelpError):
            raise
        except (click.UsageError, OSError) as error:
            raise _told(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command that was asked for."""
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except (KeyboardInterrupt, click.Abort):
            click.echo(err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise  # click ends quietly when nobody reads what is written
        except Exception as error:
            if ctx.meta.get("debug"):
                raise
            if isinstance(error, click.UsageError) and error.ctx is None:
                error.ctx = self._of_subcommand(ctx)  # click's own parser leaves it out
            raise _told(error) from None

    def _of_subcommand(self, ctx: click.Context) -> click.Context:
        name = ctx.invoked_subcommand or ""
        return click.Context(self.get_command(ctx, name) or self, parent=ctx, info_name=name)


def _told(error: Exception) -> click.exceptions.Exit:
    """The end of the program, after its reason was told on stderr."""
    failure = describe(error)
    click.echo("\n".join(failure.lines), err=True)
    return click.exceptions.Exit(failure.exit_code)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """A warning without the place in our source, which says nothing to a user."""
    click.echo(f"warning: {message}", err=True)


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="beluga-llm")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def app(ctx: click.Context, debug: bool) -> None:
    """Talk to language models, and look at what is installed for it.

    \b
    Examples:
      beluga-llm chat "Tell me a story"
      beluga-llm chat -m openai/gpt-4o-mini
      beluga-llm demo
      beluga-llm doctor
    """  # noqa: D301 -- click looks for the character \b, not for the two signs
    if debug:
        ctx.meta["debug"] = True


for command in (batch, chat, conformance, demo, doctor, new_provider, probe, providers):
    app.add_command(command)

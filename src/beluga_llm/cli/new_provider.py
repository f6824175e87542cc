"""`beluga-llm new-provider`: the folder of a new plugin, whose tests pass as written.

The files are those of a vendor "acme" that does not exist, in `data/new_provider`; only the name is
put in its place. `shared` is in every plugin, beside one of the two forms.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path

import click

import beluga_llm as llm
from beluga_llm.cli._shared import debug_option
from beluga_llm.cli._specs import known_distributions

TEMPLATES = Path(llm.__file__).parent / "data" / "new_provider"
SUFFIX = ".txt"
"""After the name of every template, so that no tool takes it for a file of ours."""

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_LONGEST = 24
_WITHOUT_PROVIDERS = ("beluga-llm-mcp", "beluga-llm-ray", "beluga-llm-redis", "beluga-llm-testing")
"""Distributions whose names are taken, though no provider has them."""


@click.command("new-provider")
@click.argument("name")
@click.option(
    "--chat-compatible",
    is_flag=True,
    help="The vendor speaks chat completions, like OpenAI: a few lines of data are enough.",
)
@click.option(
    "--into",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where the plugin's folder is made; here, where it is not given.",
)
@debug_option
def new_provider(name: str, chat_compatible: bool, into: Path) -> None:
    """Write the plugin of a new provider.

    NAME is what users write before the model, as in "acme/acme-1": small letters, digits and
    hyphens. The folder is called beluga-llm-NAME.

    \b
    Examples:
      beluga-llm new-provider acme
      beluga-llm new-provider acme --chat-compatible --into plugins
    """  # noqa: D301 -- click looks for the character \b, not for the two signs
    if problem := _problem(name):
        raise click.BadParameter(problem, param_hint="NAME")
    folder = into / f"beluga-llm-{name}"
    if folder.exists():
        raise click.UsageError(f"{folder} exists already: remove it, or choose another name")
    files = plugin_files(name, "chat" if chat_compatible else "dialect")
    for place, text in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    click.echo("\n".join(_told(folder, files)))


def plugin_files(name: str, form: str) -> Mapping[str, str]:
    """The files of a plugin: text by path.

    Args:
        name: the entry name.
        form: "dialect" or "chat".
    """
    found = {**_templates("shared"), **_templates(form)}
    steps = found.pop("STEPS.md").rstrip()
    found["README.md"] = found["README.md"].replace("@STEPS@", steps)
    return {
        _named(place, name): _named(text.replace("@CORE@", core_range()), name)
        for place, text in sorted(found.items())
    }


def core_range(version: str = llm.__version__) -> str:
    """The versions of the core that a plugin made with this one works with."""
    major, minor = (int(number) for number in version.split(".")[:2])
    end = f"0.{minor + 1}" if major == 0 else f"{major + 1}"
    return f">={major}.{minor},<{end}"


def _problem(name: str) -> str | None:
    """Why a provider cannot be called so."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        return (
            f"{name!r} is no name for a provider: use small letters, digits and hyphens, at most "
            f"{_LONGEST}, a letter first"
        )
    distribution, known = f"beluga-llm-{name}".replace("_", "-"), known_distributions()
    if by := known.get(name):
        return f"{name!r} is taken: {by} provides it"
    if distribution in (*known.values(), *_WITHOUT_PROVIDERS):
        return f"{name!r} is taken: {distribution} is another distribution of ours"
    if name in llm.list_providers():
        return f"{name!r} is taken: {llm.provider_info(name).distribution or 'it'} is installed"
    if importlib.util.find_spec(package := _package(name)) is not None:
        return f"{name!r} is taken: a package {package} is installed"
    return None


def _templates(form: str) -> dict[str, str]:
    base = TEMPLATES / form
    return {
        path.relative_to(base).as_posix().removesuffix(SUFFIX): path.read_text("utf-8")
        for path in base.rglob(f"*{SUFFIX}")
    }


def _package(name: str) -> str:
    return f"beluga_llm_{name.replace('-', '_')}"


def _named(text: str, name: str) -> str:
    """A text about acme, about another provider."""
    words = re.split("[-_]", name)
    spellings = {
        "beluga_llm_acme": _package(name),
        "acme": name,
        "Acme": "".join(word.capitalize() for word in words),
        "ACME": "_".join(words).upper(),
    }
    return re.sub("|".join(spellings), lambda found: spellings[found[0]], text)


def _told(folder: Path, files: Mapping[str, str]) -> list[str]:
    return [
        f"made {folder}:",
        *(f"  {place}" for place in files),
        "",
        "Its tests pass as they are, for a vendor that does not exist:",
        f"  cd {folder}",
        "  pip install -e '.[test]'",
        "  pytest",
        "",
        "README.md says how to make it yours.",
    ]

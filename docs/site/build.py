"""Builds the site of the documentation, and fails where a link leads nowhere.

    nox -s docs                                      # here, with what is needed installed
    python docs/site/build.py                        # into .nox/site, see index.html there
    python docs/site/build.py --to DIRECTORY

The pages are those of docs/, the files at the top level and the READMEs of the plugins; the
reference of the interface is made from docstrings, by the lists in site.toml. Sphinx reads a copy,
in which the links suit the site.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).parent
DOCS = HERE.parent
ROOT = DOCS.parent
SITE: dict[str, Any] = tomllib.loads((HERE / "site.toml").read_text("utf-8"))
TOP = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files of the top level that are pages too."""
PLUGINS = {
    readme: f"plugin-{readme.parent.name}.md" for readme in sorted(ROOT.glob("plugins/*/README.md"))
}
"""What each plugin says of itself: a page too."""

_LINK = re.compile(r"(?<=\]\()([^)#:\s]+)(?=[)#])")
PUBLIC = {
    name: f"beluga_llm.{name}"
    for section in SITE["api"]
    if "module" not in section
    for name in section["names"]
}
"""The names of `beluga_llm`, and where the reference has them."""

_PROSE = re.compile(r"(^```.*?^```$|^#.*?$)|^[^\n]+$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"(?<![\[`])`(%s)`(?![`\]])" % "|".join(sorted(PUBLIC)))  # noqa: UP031
INHERITS = {"ChatModel", "ChatModelConformance", "DialectConformance"}
"""Classes whose public methods stand in private bases."""


def main() -> int:
    """Builds; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--to", type=Path, default=ROOT / ".nox" / "site", metavar="DIRECTORY")
    target = parser.parse_args().to.resolve()
    source = target.with_name(target.name + "-source")
    assemble(source)
    shutil.rmtree(target, ignore_errors=True)
    words = ["-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-c", str(HERE)]
    command = [sys.executable, *words, str(source), str(target)]
    done = subprocess.run(command, check=False)  # noqa: S603 -- ours
    broken = sorted(broken_links(target))
    lines = [f"broken link: {place}" for place in broken]
    if not (done.returncode or broken):
        lines.append(f"the site is {target / 'index.html'}")
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return done.returncode or bool(broken)


# --- what Sphinx reads ---------------------------------------------------------------------------


def assemble(source: Path) -> None:
    """Writes all that Sphinx reads into a folder."""
    shutil.rmtree(source, ignore_errors=True)
    (source / "api").mkdir(parents=True)
    for page in DOCS.glob("*.md"):
        copied(page, source / page.name)
    for name, page in TOP.items():
        copied(ROOT / name, source / page)
    for readme, page in PLUGINS.items():
        copied(readme, source / page)
    with (source / "index.md").open("a", encoding="utf-8") as index:
        index.write("".join(navigation()))
    for section in SITE["api"]:
        (source / "api" / f"{section['page']}.md").write_text(api_page(section), "utf-8")


def copied(page: Path, to: Path) -> None:
    """Copies a page, with links that suit the site, and to the reference of names."""
    to.write_text(with_references(adapted(page.read_text("utf-8"), page.parent)), "utf-8")


def adapted(text: str, folder: Path) -> str:
    """Markdown whose links suit the site; one to what is no page becomes its text, in code.

    Args:
        text: the Markdown.
        folder: where it stands.
    """
    linked = _LINK.sub(lambda found: on_site(folder / "x", found[1]), text)
    return re.sub(r"\[`?([^\]`]+)`?\]\(!file\)", r"`\1`", linked)


def with_references(text: str) -> str:
    """Markdown in which public names in code, but for headings and blocks, are links."""
    return _PROSE.sub(lambda found: found[0] if found[1] else _referring(found[0]), text)


def _referring(line: str) -> str:
    return _NAME.sub(lambda found: f"{{py:obj}}`{found[1]} <{PUBLIC[found[1]]}>`", line)


def on_site(page: Path, link: str) -> str:
    """Where a link of a page leads on the site; "!file" where its file is no page."""
    place = (page.parent / link).resolve()
    if place.suffix == ".md" and place.parent == DOCS:
        return place.name
    if place.parent == ROOT:
        return TOP.get(place.name, "index.md")
    return PLUGINS.get(place, "!file")


def navigation() -> Iterator[str]:
    """The hidden tables of contents, which the side bar shows."""
    for group in SITE["pages"]:
        yield _toctree(group["title"], group["names"])
    yield _toctree("Plugins", [Path(page).stem for page in PLUGINS.values()])
    yield _toctree("API", [f"api/{section['page']}" for section in SITE["api"]])
    yield _toctree("Project", [Path(page).stem for page in TOP.values()])


def _toctree(title: str, names: list[str]) -> str:
    short = SITE["titles"]
    lines = [f"{short[name]} <{name}>" if name in short else name for name in names]
    options = [":hidden:", ":titlesonly:", f":caption: {title}"]
    return "\n".join(["\n```{toctree}", *options, "", *lines, "```\n"])


def api_page(section: dict[str, Any]) -> str:
    """The page of a section of the reference."""
    module = section.get("module", "beluga_llm")
    parts = [f"# {section['title']}\n\n{section['about']}\n"]
    parts += [_entry(module, name) for name in section["names"]]
    return "\n".join(parts)


def _entry(module: str, name: str) -> str:
    thing = getattr(importlib.import_module(module), name)
    if isinstance(thing, type) and not isinstance(thing, types.GenericAlias):
        kind = "autoexception" if issubclass(thing, BaseException) else "autoclass"
        lines = [f".. {kind}:: {module}.{name}", "   :members:"]
        lines += ["   :inherited-members:"] if name in INHERITS else []
        lines += ["   :show-inheritance:"] if kind == "autoexception" else []
    elif callable(thing) and hasattr(thing, "__name__") and not hasattr(thing, "__origin__"):
        lines = [f".. autofunction:: {module}.{name}"]
    else:
        lines = [
            f".. py:data:: {module}.{name}",
            "",
            *(f"   {line}" for line in _told(module, name)),
        ]
    return "```{eval-rst}\n" + "\n".join(lines) + "\n```\n"


def _told(module: str, name: str) -> list[str]:
    """What stands below a value in the module where it is made."""
    from sphinx.pycode import ModuleAnalyzer

    face = importlib.import_module(module)
    home = next(where for where, names in face._WHERE.items() if name in names)
    told = ModuleAnalyzer.for_module(f"beluga_llm.{home}").find_attr_docs()
    lines = told.get(("", name), [f"See `{name}` in the source."])
    return [re.sub(r"`([^`]+)`", r"``\1``", line) for line in lines]


# --- links ---------------------------------------------------------------------------------------


class _Page(HTMLParser):
    """Where a page links to, and the places in it that may be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


def broken_links(target: Path) -> Iterator[str]:
    """The links inside the site that lead nowhere, with the page where they stand."""
    pages = {path: _Page(path) for path in target.rglob("*.html")}
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            if not there.exists() or (
                place and there in pages and place not in pages[there].places
            ):
                yield f"{path.relative_to(target)}: {link}"


if __name__ == "__main__":
    sys.exit(main())

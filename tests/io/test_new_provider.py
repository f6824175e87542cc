"""New plugins: what `new-provider` writes works as written, and so does what the docs show."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

pytest.importorskip("click", reason="the extra `cli` is not installed")

from click.testing import CliRunner, Result

import beluga_llm as llm
from beluga_llm.cli import new_provider as command
from beluga_llm.cli._app import app
from beluga_llm.cli.new_provider import core_range, plugin_files

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "writing-a-provider.md"
FORMS = ("dialect", "chat")
NAMES = ("acme", "my-vendor", "a", "z-name-that-is-longis-24", "my_vendor")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="beluga-llm")


@pytest.mark.row("CLI-09")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_a_new_plugin_is_whole_whatever_its_name(name: str, form: str):
    files = plugin_files(name, form)
    package = f"src/beluga_llm_{name.replace('-', '_')}"
    assert {
        "pyproject.toml", "README.md", f"{package}/__init__.py", f"{package}/py.typed",
        "tests/test_contract.py", "tests/fixtures/hello.sse", "tests/fixtures/hello.json",
    } <= set(files)  # fmt: skip
    for place, text in files.items():
        assert name == "acme" or "acme" not in f"{place} {text}".lower()
        assert "@" not in text.replace("@pytest", "").replace("@property", "")
        if place.endswith(".py"):
            ast.parse(text)
            assert max(map(len, text.splitlines())) <= 100
    assert f'"beluga-llm{core_range()}"' in files["pyproject.toml"]


@pytest.mark.row("CLI-09")
@pytest.mark.parametrize("form", FORMS)
def test_all_files_are_written_into_a_new_folder(tmp_path: Path, form: str):
    arguments = ["--chat-compatible"] if form == "chat" else []
    done = run("new-provider", "acme", "--into", str(tmp_path), *arguments)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "beluga-llm-acme"
    assert f"cd {folder}" in done.output
    files = plugin_files("acme", form)
    assert {place: (folder / place).read_text("utf-8") for place in files} == files
    assert len([path for path in folder.rglob("*") if path.is_file()]) == len(files)


@pytest.mark.row("CLI-09")
def test_the_core_is_pinned_to_a_range():
    assert core_range("0.1.7") == ">=0.1,<0.2"
    assert core_range("2.3.0") == ">=2.3,<3"


@pytest.mark.row("CLI-09")
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Acme", "is no name for a provider"),
        ("1st", "a letter first"),
        ("a b", "small letters, digits and hyphens"),
        ("../acme", "is no name for a provider"),
        ("a" * 25, "at most 24"),
        ("openai", "is taken: beluga-llm-openai provides it"),
        ("compatible", "is taken: beluga-llm-compatible is another distribution of ours"),
        ("mcp", "is taken: beluga-llm-mcp"),
        ("ray", "is taken: beluga-llm-ray"),
        ("redis", "is taken: beluga-llm-redis"),
        ("taken-at-run-time", "is taken: it is installed"),
    ],
)
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str, problem: str):
    with llm.registry.isolated():
        llm.register("taken-at-run-time", lambda config: llm.create("demo"))
        done = run("new-provider", name, "--into", str(tmp_path))
    assert done.exit_code == 2
    assert problem in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.row("CLI-09")
def test_a_package_that_is_there_is_not_shadowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(command, "_package", lambda name: "beluga_llm")
    done = run("new-provider", "acme", "--into", str(tmp_path))
    assert "a package beluga_llm is installed" in done.output


@pytest.mark.row("CLI-09")
def test_a_folder_that_exists_is_left_alone(tmp_path: Path):
    (tmp_path / "beluga-llm-acme").mkdir()
    done = run("new-provider", "acme", "--into", str(tmp_path))
    assert done.exit_code == 2
    assert "exists already" in done.output
    assert list((tmp_path / "beluga-llm-acme").iterdir()) == []


# --- docs ----------------------------------------------------------------------------------------


@pytest.mark.row("DOCS-01", "DOCS-05")
def test_the_docs_quote_what_is_really_said():
    page = PAGE.read_text("utf-8")
    assert len(re.findall(r"^\*\*\d\. ", page, re.MULTILINE)) == 6
    assert page.count("- [ ] ") >= 8
    source = "\n".join(
        path.read_text("utf-8") for path in (ROOT / "src" / "beluga_llm").rglob("*.py")
    )
    for text in (
        "failed to load: ", "is provided by ", "api_key is required: ", "base_url is required: ",
        "no HTTP service: `api` is not set", "it was taken for a whole answer",
        "neither sent nor noted", "it was tried again by itself", "a call hangs: no end within ",
        "connections are still in use", "tasks are left", "the event loop stood still",
    ):  # fmt: skip
        assert text in page
        assert text in source

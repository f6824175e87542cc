"""The suites of new plugins: as `new-provider` writes them, and as the docs show one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

pytest.importorskip("click", reason="the extra `cli` is not installed")

from click.testing import CliRunner

from beluga_llm.cli._app import app

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-provider.md"
FORMS = ("dialect", "chat")


def written(where: Path, files: Mapping[str, str]) -> Path:
    for place, text in files.items():
        (where / place).parent.mkdir(parents=True, exist_ok=True)
        (where / place).write_text(text, "utf-8")
    return where


def installed(where: Path, name: str, target: str) -> dict[str, str]:
    """An environment in which a plugin is found beside what is installed already."""
    info = where / "site" / f"beluga_llm_{name}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: beluga-llm-{name}\nVersion: 0.1.0\n"
    )
    (info / "entry_points.txt").write_text(f"[beluga_llm.providers]\n{name} = {target}\n")
    return {**os.environ, "PYTHONPATH": f"{where / 'site'}{os.pathsep}{where / 'src'}"}


def output_of(where: Path, variables: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", *arguments],
        cwd=where, env=variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.row("CLI-09", "NONE-05", "TEST-07")
@pytest.mark.parametrize("form", FORMS)
def test_the_tests_of_a_new_plugin_pass_as_written(tmp_path: Path, form: str):
    arguments = ["--chat-compatible"] if form == "chat" else []
    words = ["new-provider", "acme", "--into", str(tmp_path), *arguments]
    done = CliRunner().invoke(app, words, prog_name="beluga-llm")
    assert done.exit_code == 0, done.output
    folder = tmp_path / "beluga-llm-acme"
    variables = installed(folder, "acme", "beluga_llm_acme:AcmeChatModel")
    assert " passed" in output_of(folder, variables)


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.row("DOCS-01")
def test_the_provider_of_the_docs_keeps_the_contract(tmp_path: Path):
    """In at most 40 lines."""
    provider, contract = blocks()
    assert len(provider.splitlines()) <= 40
    written(
        tmp_path,
        {
            "src/beluga_llm_acme/__init__.py": provider,
            "tests/test_contract.py": "from beluga_llm_acme import AcmeDialect\n" + contract,
        },
    )
    variables = installed(tmp_path, "acme", "beluga_llm_acme:AcmeChatModel")
    assert " passed" in output_of(tmp_path, variables, "tests")

"""The READMEs of the plugins: their Python runs, against servers on this machine.

Every provider finds the fake server by its variable, as an application would find a gateway. The
page of beluga-llm-ray, which needs a Ray, is run by that plugin's own tests.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.doc_blocks import agrees, python_blocks, run_page

from beluga_llm.testing import FakeServer, Reply, forbid_requests

PLUGINS = Path(__file__).parent.parent / "plugins"
PAGES = sorted(PLUGINS.glob("*/README.md"))
RUN = [path for path in PAGES if path.parent.name != "ray"]

KEYS = (
    "ANTHROPIC_API_KEY",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AZURE_OPENAI_API_KEY",
    "COHERE_API_KEY",
    "GOOGLE_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "OPENAI_API_KEY",
)
ADDRESSES = {
    "ANTHROPIC_BASE_URL": "messages",
    "AZURE_OPENAI_ENDPOINT": "chat",
    "BEDROCK_BASE_URL": "converse",
    "COHERE_BASE_URL": "cohere",
    "GOOGLE_BASE_URL": "generate_content",
    "GROQ_BASE_URL": "chat",
    "MISTRAL_BASE_URL": "chat",
    "OLLAMA_HOST": "ollama",
    "OPENAI_BASE_URL": "chat",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server that answers in the place of all vendors; nobody else is asked."""
    with FakeServer(Reply("It is 15:04 in Lisbon.")) as server, forbid_requests():
        for variable in KEYS:
            monkeypatch.setenv(variable, "test-key")
        for variable, api in ADDRESSES.items():
            monkeypatch.setenv(variable, server.base_url(api))
        yield server


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`uvx` without a network: whatever it is to fetch is the MCP server of our own tests."""
    uvx = tmp_path / "uvx"
    uvx.write_text(f"#!/bin/sh\nexec {sys.executable} {PLUGINS}/mcp/tests/server.py\n")
    uvx.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


@pytest.mark.row("DOCS-25")
@pytest.mark.parametrize("path", RUN, ids=lambda path: path.parent.name)
async def test_blocks_run_and_print_what_is_shown(path: Path, server: FakeServer, programs: None):
    package = f"beluga_llm_{path.parent.name}"
    pytest.importorskip(package, reason=f"this is the page of {package}")
    wrong = [
        f"line {block.code.count(chr(10))}: printed {printed!r}"
        async for block, printed in run_page(path)
        if not agrees(block.shown, printed)
    ]
    assert wrong == [], f"python tests/support/doc_blocks.py {path} --write"


@pytest.mark.row("DOCS-25")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_every_block_of_python_is_found(path: Path):
    """One that is indented would never be run."""
    fences = re.findall(r"^\s*```python", path.read_text("utf-8"), re.MULTILINE)
    assert len(fences) == len(python_blocks(path)) >= 1

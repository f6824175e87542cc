"""The code of other clients in docs/migration.md: it is Python, and runs where they are installed.

`nox -s docs` installs them. Each block runs in a process of its own against the fake server, to
which the clients' own variables lead.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

import beluga_llm as llm
from beluga_llm import testing
from beluga_llm.testing import FakeServer

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "migration.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = dict(re.findall(r"^```python ([a-z-]+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
MODULES = {"google-genai": "google.genai", "pydantic-ai": "pydantic_ai"}
RUN = (
    "import asyncio, sys; from pathlib import Path; from support.doc_blocks import execute;"
    "print(asyncio.run(execute(sys.stdin.read(), Path('migration'), {})))"
)


def is_installed(client: str) -> bool:
    """Whether a client can be imported."""
    try:
        return importlib.util.find_spec(MODULES.get(client, client)) is not None
    except ModuleNotFoundError:  # of the package around it
        return False


@pytest.mark.row("DOCS-20")
@pytest.mark.parametrize(
    "title", ["openai", "anthropic", "google-genai", "LiteLLM", "LangChain", "pydantic-ai"]
)
def test_each_client_has_its_code_ours_and_a_table_of_names(title: str):
    section = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert f"```python {title.lower()}\n" in section
    assert "```python\n" in section
    assert f"\n| {title} | beluga-llm |\n" in section


@pytest.mark.row("DOCS-20")
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("`WithMetadata(...)`", "`provider_options="), ("returning nil", "`return Suppress()`")],
)
def test_what_is_called_otherwise_is_in_a_table(theirs: str, ours: str):
    assert [line for line in TEXT.splitlines() if theirs in line and ours in line]


@pytest.mark.row("DOCS-20")
def test_our_names_in_the_tables_exist():
    ours = " ".join(re.findall(r"^\|.*\| (.*) \|$", TEXT, re.MULTILINE))
    code = re.sub(r'"[^"]*"', "", " ".join(re.findall(r"`([^`]+)`", ours)))
    names = set(re.findall(r"\w+(?=\()|with_\w+|[A-Z]\w*[a-z]\w*", code))
    assert len(names) > 40
    known = {*llm.__all__, *testing.__all__, *dir(llm.ChatModel), *dir(llm.ChatStream)}
    assert names - known == {"OpenAIChatModel", "True"}  # of a plugin, and of Python


@pytest.mark.row("DOCS-20", "DOCS-25")
@pytest.mark.parametrize("client", BLOCKS)
async def test_their_code_runs(client: str):
    compile(BLOCKS[client], "migration", "exec", flags=0x2000)  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    if not is_installed(client):
        pytest.skip(f"{client} is not installed")
    async with FakeServer() as server:
        for _ in range(4):
            server.reply("Four.")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            RUN,
            env=environment(server),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(BLOCKS[client].encode())
    assert process.returncode == 0, err.decode()
    assert out.decode().count("Four.") >= 1


def environment(server: FakeServer) -> dict[str, str]:
    """Variables by which the clients find the fake server."""
    chat = server.base_url("chat")
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "tests"),
        "OPENAI_API_KEY": "test-key",
        "OPENAI_BASE_URL": chat,
        "OPENAI_API_BASE": chat,
        "ANTHROPIC_API_KEY": "test-key",
        "ANTHROPIC_BASE_URL": server.base_url("messages"),
        "GOOGLE_API_KEY": "test-key",
        "GOOGLE_GEMINI_BASE_URL": server.url,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }

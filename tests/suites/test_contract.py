"""The contract kit in the suites of third parties, however these are set up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.suites import run_pytest

PROVIDER = """
import beluga_llm as llm
from beluga_llm.plugin import OpenAIChatDialect, ProviderModel, ProviderSpec
from beluga_llm.testing import ChatModelConformance

class AcmeModel(ProviderModel):
    spec = ProviderSpec(name="acme", dialect=lambda config: OpenAIChatDialect("acme"))

class TestAcme(ChatModelConformance):
    api = "chat"

    def make(self, server, **fields):
        url = server.base_url(self.api)
        given = {"model": "m", "base_url": url, "api_key": self.api_key}
        return AcmeModel(**{**given, **fields})
"""
MODULE_LOOP = """
import pytest
import beluga_llm as llm

pytestmark = pytest.mark.asyncio(loop_scope="session")

async def test_before(fake_llm_server):
    fake_llm_server.reply("Hello")
    url = fake_llm_server.base_url("chat")
    async with llm.create("openai-compatible/m", base_url=url) as model:
        assert (await model.generate("hi")).text == "Hello"

test_after = test_before
"""


@pytest.mark.row("TEST-28", "TEST-26", "NONE-05")
@pytest.mark.parametrize(
    "arguments",
    [
        ["-n2", "--asyncio-mode=strict", "-k", "before or after or loops or key or cancel"],
        ["-n0", "-p", "randomly", "--asyncio-mode=auto", "-k", "before or after or loops or stops"],
        ["-n0", "-p", "no:asyncio", "-k", "answer or hundred or error"],
    ],
    ids=["strict, in parallel", "auto, in random order", "without an async plugin"],
)
def test_a_third_party_runs_it_in_any_suite(tmp_path: Path, arguments: Sequence[str]) -> None:
    """Warnings are errors, the event loop is in debug mode, and other tests keep a loop open."""
    (tmp_path / "test_acme.py").write_text(PROVIDER)
    if "no:asyncio" not in arguments:
        (tmp_path / "test_loops.py").write_text(MODULE_LOOP)
        arguments = [*arguments, "-o", "asyncio_default_fixture_loop_scope=session"]
    output = run_pytest(tmp_path, "-W", "error", *arguments, PYTHONASYNCIODEBUG="1")
    assert " passed" in output, output
    assert "failed" not in output, output
    assert "error" not in output.rpartition("\n=")[2], output

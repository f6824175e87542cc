"""Every row keeps the contract of a provider: one test class for each, and for each of its APIs."""

from __future__ import annotations

from typing import Any

import pytest
from support.compatible import dialect_of, entries, spec_of

from beluga_llm.testing import ChatModelConformance, DialectConformance

pytestmark = pytest.mark.row("PROV-03", "PROV-23", "TEST-06")

OWN: dict[str, dict[str, Any]] = {
    "databricks": {"usage_unasked": True},  # in every frame
    "perplexity": {"usage_unasked": True},  # likewise
    "qwen": {"quota_code": "Arrearage"},  # its insufficient_quota passes with the minute
}

for entry in entries():
    name = entry.title().replace("-", "")
    for api in spec_of(entry).options.get("api", ("chat",)):
        facts = {"entry": entry, "api": api, "fields": {"model": "m", "api": api}}
        facts = {**facts, **OWN.get(entry, {})}
        test = f"Test{name}{api.title()}"
        globals()[test] = type(test, (ChatModelConformance,), facts)
    test = f"Test{name}Dialect"
    globals()[test] = type(
        test, (DialectConformance,), {"dialect": dialect_of(entry), "api": "chat"}
    )


class TestLlama(ChatModelConformance):
    """The provider of another provider."""

    entry = "llama"
    api = "chat"
    fields = {"model": "m", "backend": "groq"}

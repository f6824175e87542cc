"""Mistral keeps the contract of a provider."""

from __future__ import annotations

import pytest

from beluga_llm.testing import ChatModelConformance, DialectConformance
from beluga_llm_mistral import MistralDialect

pytestmark = pytest.mark.row("PROV-23", "TEST-06")


class TestMistral(ChatModelConformance):
    entry = "mistral"
    api = "chat"
    usage_unasked = True


class TestMistralDialect(DialectConformance):
    dialect = MistralDialect()
    api = "chat"

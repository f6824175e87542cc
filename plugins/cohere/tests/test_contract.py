"""Cohere keeps the contract of a provider."""

from __future__ import annotations

import pytest

from beluga_llm.testing import ChatModelConformance, DialectConformance
from beluga_llm_cohere import CohereDialect

pytestmark = pytest.mark.row("PROV-23", "TEST-06")


class TestCohere(ChatModelConformance):
    entry = "cohere"
    api = "cohere"


class TestCohereDialect(DialectConformance):
    dialect = CohereDialect()
    api = "cohere"

"""Gemini keeps the contract of a provider, on both of Google's APIs."""

from __future__ import annotations

import pytest

from beluga_llm.testing import ChatModelConformance, DialectConformance
from beluga_llm_google import GeminiDialect

pytestmark = pytest.mark.row("PROV-23", "TEST-06")


class TestGoogle(ChatModelConformance):
    entry = "google"
    api = "generate_content"
    fields = {"model": "gemini-3-pro"}


class TestVertex(ChatModelConformance):
    entry = "vertex"
    api = "generate_content"
    fields = {"model": "gemini-2.5-flash", "project": "my-project"}


class TestGeminiDialect(DialectConformance):
    dialect = GeminiDialect()
    api = "generate_content"

"""Ollama keeps the contract of a provider, with both of its APIs."""

from __future__ import annotations

import pytest

from beluga_llm.testing import ChatModelConformance, DialectConformance
from beluga_llm_ollama import OllamaChatDialect, OllamaDialect

pytestmark = pytest.mark.row("PROV-23", "TEST-06")


class TestOllama(ChatModelConformance):
    entry = "ollama"
    api = "ollama"
    fields = {"model": "llama3.2"}


class TestOllamaChat(ChatModelConformance):
    entry = "ollama"
    api = "chat"
    fields = {"model": "llama3.2", "api": "chat"}


class TestOllamaDialect(DialectConformance):
    dialect = OllamaDialect()
    api = "ollama"


class TestOllamaChatDialect(DialectConformance):
    dialect = OllamaChatDialect()
    api = "chat"

"""Bedrock keeps the contract of a provider, with each of its APIs."""

from __future__ import annotations

import pytest

from beluga_llm.testing import ChatModelConformance, DialectConformance
from beluga_llm_bedrock import ConverseDialect

pytestmark = pytest.mark.row("PROV-23", "TEST-06")


class TestConverse(ChatModelConformance):
    entry = "bedrock"
    api = "converse"
    fields = {"model": "amazon.nova-lite-v1:0"}


class TestChat(ChatModelConformance):
    entry = "bedrock"
    api = "chat"
    fields = {"model": "openai.gpt-oss-20b", "api": "chat"}


class TestResponses(ChatModelConformance):
    entry = "bedrock"
    api = "responses"
    fields = {"model": "openai.gpt-oss-20b", "api": "responses"}


class TestConverseDialect(DialectConformance):
    dialect = ConverseDialect()
    api = "converse"

"""OpenAI and Azure keep the contract of a provider, with both of their APIs."""

from __future__ import annotations

import pytest

from beluga_llm.testing import ChatModelConformance, DialectConformance
from beluga_llm_openai import AzureChatDialect, ChatDialect, ResponsesDialect

pytestmark = pytest.mark.row("PROV-23", "TEST-06")


class TestOpenAI(ChatModelConformance):
    entry = "openai"
    api = "chat"
    fields = {"model": "gpt-4.1-mini"}


class TestOpenAIResponses(ChatModelConformance):
    entry = "openai"
    api = "responses"
    fields = {"model": "gpt-5.4-mini", "api": "responses"}


class TestAzure(ChatModelConformance):
    entry = "azure"
    api = "chat"
    fields = {"model": "my-deployment"}


class TestAzureResponses(ChatModelConformance):
    entry = "azure"
    api = "responses"
    fields = {"model": "my-deployment", "api": "responses"}


class TestChatDialect(DialectConformance):
    dialect = ChatDialect()
    api = "chat"


class TestResponsesDialect(DialectConformance):
    dialect = ResponsesDialect()
    api = "responses"


class TestAzureDialect(DialectConformance):
    dialect = AzureChatDialect()
    api = "chat"

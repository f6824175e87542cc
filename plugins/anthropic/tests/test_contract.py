"""Claude keeps the contract of a provider, at Anthropic and on both clouds."""

from __future__ import annotations

import pytest

from beluga_llm.testing import ChatModelConformance, DialectConformance
from beluga_llm_anthropic import AnthropicDialect, BedrockAnthropicDialect

pytestmark = pytest.mark.row("PROV-23", "TEST-06")


class TestAnthropic(ChatModelConformance):
    entry = "anthropic"
    api = "messages"
    fields = {"model": "claude-haiku-4-5"}


class TestVertex(ChatModelConformance):
    entry = "vertex-anthropic"
    api = "vertex_messages"
    fields = {"model": "claude-opus-4-7", "project": "my-project"}


class TestBedrock(ChatModelConformance):
    entry = "bedrock-anthropic"
    api = "bedrock_messages"
    fields = {"model": "anthropic.claude-opus-4-7"}


class TestAnthropicDialect(DialectConformance):
    dialect = AnthropicDialect()
    api = "messages"


class TestBedrockDialect(DialectConformance):
    dialect = BedrockAnthropicDialect()
    api = "bedrock_messages"

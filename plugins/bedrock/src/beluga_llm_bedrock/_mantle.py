"""Bedrock's endpoint for OpenAI's formats, `bedrock-mantle`: the shared dialects.

Its errors may be those of OpenAI, and of AWS where a request does not reach the model.
Source: "Responses API" and "Chat Completions API" of the Amazon Bedrock user guide.
"""

from __future__ import annotations

from beluga_llm.plugin import (
    Dialect,
    OpenAIChatDialect,
    OpenAIResponsesDialect,
    ProviderConfig,
)
from beluga_llm_bedrock._errors import with_aws_rules


def mantle_dialect(config: ProviderConfig) -> Dialect:
    """The dialect that `options["api"]` names."""
    kind = OpenAIResponsesDialect if config.options["api"] == "responses" else OpenAIChatDialect
    dialect = kind(config.provider)
    dialect.error_rules = with_aws_rules(dialect.error_rules)
    return dialect

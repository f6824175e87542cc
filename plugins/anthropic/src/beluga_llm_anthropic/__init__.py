"""Claude for beluga-llm: the Anthropic Messages API, at Anthropic and on two clouds.

    model = llm.create("anthropic/claude-haiku-5-5")        # the key: ANTHROPIC_API_KEY
    model = llm.create("vertex-anthropic/claude-haiku-5-5", project="my-project")
    model = llm.create("bedrock-anthropic/us.anthropic.claude-sonnet-4-5-20250929-v1:0")

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm.plugin import lazy_face

if TYPE_CHECKING:
    from beluga_llm_anthropic._bedrock import BedrockAnthropicDialect as BedrockAnthropicDialect
    from beluga_llm_anthropic._dialect import AnthropicDialect as AnthropicDialect
    from beluga_llm_anthropic._envelope import Envelope as Envelope
    from beluga_llm_anthropic._model import AnthropicChatModel as AnthropicChatModel
    from beluga_llm_anthropic._model import (
        BedrockAnthropicChatModel as BedrockAnthropicChatModel,
    )
    from beluga_llm_anthropic._model import VertexAnthropicChatModel as VertexAnthropicChatModel
    from beluga_llm_anthropic._vertex import VertexAnthropicDialect as VertexAnthropicDialect

_WHERE = {
    "_bedrock": ("BedrockAnthropicDialect",),
    "_dialect": ("AnthropicDialect",),
    "_envelope": ("Envelope",),
    "_model": ("AnthropicChatModel", "BedrockAnthropicChatModel", "VertexAnthropicChatModel"),
    "_vertex": ("VertexAnthropicDialect",),
}
__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)

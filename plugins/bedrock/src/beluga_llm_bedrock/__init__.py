"""Amazon Bedrock for beluga-llm: Converse, and OpenAI's formats on its compatible endpoint.

    model = llm.create("bedrock/us.amazon.nova-2-lite-v1:0")   # AWS credentials, or an API key

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm.plugin import lazy_face

if TYPE_CHECKING:
    from beluga_llm_bedrock._dialect import ConverseDialect as ConverseDialect
    from beluga_llm_bedrock._model import BedrockChatModel as BedrockChatModel

_WHERE = {
    "_dialect": ("ConverseDialect",),
    "_model": ("BedrockChatModel",),
}
__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)

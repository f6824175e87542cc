"""OpenAI for beluga-llm: Chat Completions and Responses, at OpenAI and at Azure.

    model = llm.create("openai/gpt-5.4-mini")               # the key: OPENAI_API_KEY
    model = llm.create("openai/gpt-5.4-mini", api="responses")
    model = llm.create("azure/my-deployment", base_url="https://my-resource.openai.azure.com")

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm.plugin import lazy_face

if TYPE_CHECKING:
    from beluga_llm_openai._azure import AzureChatDialect as AzureChatDialect
    from beluga_llm_openai._azure import AzureResponsesDialect as AzureResponsesDialect
    from beluga_llm_openai._azure_model import AzureOpenAIChatModel as AzureOpenAIChatModel
    from beluga_llm_openai._chat import ChatDialect as ChatDialect
    from beluga_llm_openai._model import OpenAIChatModel as OpenAIChatModel
    from beluga_llm_openai._responses import ResponsesDialect as ResponsesDialect

_WHERE = {
    "_azure": ("AzureChatDialect", "AzureResponsesDialect"),
    "_azure_model": ("AzureOpenAIChatModel",),
    "_chat": ("ChatDialect",),
    "_model": ("OpenAIChatModel",),
    "_responses": ("ResponsesDialect",),
}
__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)

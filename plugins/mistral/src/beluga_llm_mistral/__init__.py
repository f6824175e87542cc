"""Mistral for beluga-llm: the chat API of La Plateforme.

    model = llm.create("mistral/mistral-small-latest")        # the key: MISTRAL_API_KEY

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm.plugin import lazy_face

if TYPE_CHECKING:
    from beluga_llm_mistral._dialect import MistralDialect as MistralDialect
    from beluga_llm_mistral._model import MistralChatModel as MistralChatModel

_WHERE = {
    "_dialect": ("MistralDialect",),
    "_model": ("MistralChatModel",),
}
__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)

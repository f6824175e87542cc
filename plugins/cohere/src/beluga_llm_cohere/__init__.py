"""Cohere for beluga-llm: the Chat API, version 2.

    model = llm.create("cohere/command-a-03-2025")        # the key: COHERE_API_KEY

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm.plugin import lazy_face

if TYPE_CHECKING:
    from beluga_llm_cohere._dialect import CohereDialect as CohereDialect
    from beluga_llm_cohere._model import CohereChatModel as CohereChatModel

_WHERE = {
    "_dialect": ("CohereDialect",),
    "_model": ("CohereChatModel",),
}
__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)

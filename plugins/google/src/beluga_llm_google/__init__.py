"""Gemini for beluga-llm: the Gemini API, and Vertex AI.

    model = llm.create("google/gemini-3.8-flash")        # the key: GOOGLE_API_KEY
    model = llm.create("vertex/gemini-3.8-flash", project="my-project")

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm.plugin import lazy_face

if TYPE_CHECKING:
    from beluga_llm_google._dialect import GeminiDialect as GeminiDialect
    from beluga_llm_google._model import GeminiChatModel as GeminiChatModel
    from beluga_llm_google._model import VertexChatModel as VertexChatModel
    from beluga_llm_google._vertex import VertexDialect as VertexDialect

_WHERE = {
    "_dialect": ("GeminiDialect",),
    "_model": ("GeminiChatModel", "VertexChatModel"),
    "_vertex": ("VertexDialect",),
}
__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)

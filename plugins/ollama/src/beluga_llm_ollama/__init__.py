"""Ollama for beluga-llm: models on this machine, and Ollama Cloud.

    model = llm.create("ollama/qwen3")        # the server: OLLAMA_HOST, else http://localhost:11434

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm.plugin import lazy_face

if TYPE_CHECKING:
    from beluga_llm_ollama._chat import OllamaChatDialect as OllamaChatDialect
    from beluga_llm_ollama._dialect import OllamaDialect as OllamaDialect
    from beluga_llm_ollama._model import OllamaChatModel as OllamaChatModel

_WHERE = {
    "_chat": ("OllamaChatDialect",),
    "_dialect": ("OllamaDialect",),
    "_model": ("OllamaChatModel",),
}
__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)

"""What is known of each Mistral model, by the beginning of its id.

The longest beginning counts. Nothing is refused on behalf of a name that is not here, nor of an
alias whose model changes with time (`mistral-large-latest`).

Sources, pages of https://docs.mistral.ai: "Reasoning", "Native reasoning (deprecated)", "Vision",
"Offline transcription" (chat with audio), "Document QnA", and the model cards. What is said of
models before 2025 is unverified.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import msgspec

from beluga_llm import Capabilities

Reasoning = Literal["effort", "always", "never"]


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about one model; None where unknown.

    Attributes:
        reasoning: whether it takes `reasoning_effort`, reasons unasked, or cannot.
        images: whether it takes images.
        audio: whether it takes sound.
    """

    reasoning: Reasoning | None = None
    images: bool | None = None
    audio: bool | None = False

    @property
    def capabilities(self) -> Capabilities:
        """The same, as the model tells it."""
        return Capabilities(
            tools=True,
            tool_choice=frozenset(("auto", "none", "required", "named")),
            parallel_tool_calls=True,
            json_object=True,
            json_schema=True,
            images=self.images,
            audio=self.audio,
            video=False,
            files=True,
            reasoning=None if self.reasoning is None else self.reasoning != "never",
            streaming=True,
            stream_usage=True,
            n=True,
            seed=True,
            prefill=False,
        )


_SEES = ModelFacts(reasoning="never", images=True)
_READS = ModelFacts(reasoning="never", images=False)
_THINKS = ModelFacts(reasoning="effort", images=True)
_ALWAYS_THINKS = ModelFacts(reasoning="always", images=True)
_HEARS = ModelFacts(reasoning="never", images=False, audio=True)

_TABLE: dict[str, ModelFacts] = {
    "mistral-large-4": _THINKS,
    "mistral-large-25": _SEES,
    "mistral-large-latest": ModelFacts(images=True),
    "mistral-large-24": _READS,
    "mistral-medium-3-5": _THINKS,
    "mistral-medium-3.5": _THINKS,
    "mistral-medium-25": _SEES,
    "mistral-medium-latest": ModelFacts(images=True),
    "mistral-small-4": _THINKS,
    "mistral-small-26": _THINKS,
    "mistral-small-latest": _THINKS,
    "mistral-small-2506": _SEES,
    "mistral-small-2503": _SEES,
    "mistral-small-2501": _READS,
    "mistral-small-24": _READS,
    "magistral-": _ALWAYS_THINKS,
    "ministral-": _SEES,
    "ministral-3b-2410": _READS,
    "ministral-8b-2410": _READS,
    "pixtral-": _SEES,
    "codestral-": _READS,
    "voxtral-small-": _HEARS,
    "open-mistral-": _READS,
    "open-mixtral-": _READS,
    "mistral-tiny": _READS,
}

UNKNOWN = ModelFacts(audio=None)
_BY_LENGTH = sorted(_TABLE.items(), key=lambda row: -len(row[0]))


@lru_cache(maxsize=256)
def model_facts(model: str) -> ModelFacts:
    """What is known of a model; nothing of a name that is not in the table."""
    return next((facts for prefix, facts in _BY_LENGTH if model.startswith(prefix)), UNKNOWN)

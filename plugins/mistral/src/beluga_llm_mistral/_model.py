"""The provider `mistral`."""

from __future__ import annotations

from typing import ClassVar

from beluga_llm.plugin import ProviderConfig, ProviderModel, ProviderSpec
from beluga_llm_mistral._dialect import MistralDialect


def _dialect(config: ProviderConfig) -> MistralDialect:
    return MistralDialect(config.provider)


class MistralChatModel(ProviderModel):
    """A model at Mistral's own API.

    MistralChatModel(model="mistral-small-latest")
    """

    spec: ClassVar[ProviderSpec] = ProviderSpec(
        name="mistral",
        dialect=_dialect,
        env=("MISTRAL_API_KEY",),
        base_url="https://api.mistral.ai/v1",
        default_model="mistral-large-latest",
        chat_example="mistral-small-latest",
    )

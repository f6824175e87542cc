"""The provider `cohere`."""

from __future__ import annotations

from typing import ClassVar

from beluga_llm.plugin import ProviderConfig, ProviderModel, ProviderSpec
from beluga_llm_cohere._dialect import CohereDialect


def _dialect(config: ProviderConfig) -> CohereDialect:
    return CohereDialect(config.provider)


class CohereChatModel(ProviderModel):
    """A model at Cohere's own API.

    CohereChatModel(model="command-a-03-2025")
    """

    spec: ClassVar[ProviderSpec] = ProviderSpec(
        name="cohere",
        dialect=_dialect,
        env=("COHERE_API_KEY", "CO_API_KEY"),
        base_url="https://api.cohere.com",
        default_model="command-a-03-2025",
        chat_example="command-a-03-2025",
    )

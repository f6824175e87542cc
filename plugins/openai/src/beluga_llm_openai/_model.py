"""The provider `openai`."""

from __future__ import annotations

from typing import ClassVar

from beluga_llm.plugin import Dialect, ProviderConfig, ProviderModel, ProviderSpec


def _dialect(config: ProviderConfig) -> Dialect:
    if config.option("api", str) == "responses":
        from beluga_llm_openai._responses import ResponsesDialect

        return ResponsesDialect(config.provider)
    from beluga_llm_openai._chat import ChatDialect

    return ChatDialect(config.provider)


class OpenAIChatModel(ProviderModel):
    """A model at OpenAI's own API.

    Options of its own: `api` ("chat", the default, or "responses"), `organization` and `project`.

        OpenAIChatModel(model="gpt-5.4-mini", api="responses")
    """

    spec: ClassVar[ProviderSpec] = ProviderSpec(
        name="openai",
        dialect=_dialect,
        env=("OPENAI_API_KEY",),
        base_url="https://api.openai.com/v1",
        options={"api": ("chat", "responses"), "organization": str, "project": str},
        option_headers={"organization": "OpenAI-Organization", "project": "OpenAI-Project"},
        env_headers={
            "OPENAI_ORG_ID": "OpenAI-Organization",
            "OPENAI_PROJECT_ID": "OpenAI-Project",
        },
        chat_example="gpt-5.4-mini",
    )

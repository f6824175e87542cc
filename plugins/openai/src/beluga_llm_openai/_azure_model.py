"""The provider `azure`."""

from __future__ import annotations

from typing import Any, ClassVar

from beluga_llm import replace
from beluga_llm.plugin import (
    Dialect,
    ProviderConfig,
    ProviderModel,
    ProviderSpec,
    Signer,
    entra_signer,
)

SCOPE = "https://ai.azure.com/.default"


def _dialect(config: ProviderConfig) -> Dialect:
    from beluga_llm_openai._azure import AzureChatDialect, AzureResponsesDialect

    responses = config.option("api", str) == "responses"
    return (AzureResponsesDialect if responses else AzureChatDialect).from_config(config)


def _signer(config: ProviderConfig) -> Signer | None:
    if config.api_key is not None:
        return None
    return entra_signer(config, scope=config.option("scope", str) or SCOPE)


class AzureOpenAIChatModel(ProviderModel):
    """A deployment of a model at Azure; `model` is the deployment's name.

    A text as `api_key=` is sent as `api-key`, what a function gives as an Entra token. Options of
    its own: `api` ("chat", the default, or "responses"), `api_version`, `auth` ("key" or "entra",
    to say what `api_key` is; "entra" without one takes the credentials that azure-identity finds)
    and `scope` (of these).

        AzureOpenAIChatModel(model="my-gpt", base_url="https://my-resource.openai.azure.com")
    """

    spec: ClassVar[ProviderSpec] = ProviderSpec(
        name="azure",
        dialect=_dialect,
        env=("AZURE_OPENAI_API_KEY",),
        base_url_env="AZURE_OPENAI_ENDPOINT",
        options={
            "api": ("chat", "responses"),
            "api_version": str,
            "auth": ("key", "entra"),
            "scope": str,
        },
        signer=_signer,
        chat_example="my-deployment",
    )

    def __init__(
        self,
        config: ProviderConfig | None = None,
        /,
        *,
        spec: ProviderSpec | None = None,
        **fields: Any,
    ) -> None:
        given = ProviderConfig.of(config, **fields)
        spec = spec or self.spec
        if given.options.get("auth") == "entra":  # the variable would hold a key, not a token
            spec = replace(spec, env=(), key_required=False)
        super().__init__(given, spec=spec)

"""The provider `bedrock`."""

from __future__ import annotations

import re
from typing import ClassVar

from beluga_llm import ConfigError
from beluga_llm.plugin import (
    Dialect,
    ProviderConfig,
    ProviderModel,
    ProviderSpec,
    Signer,
    aws_signer,
)

DEFAULT_REGION = "us-east-1"
_REGION = re.compile(r"[a-z0-9-]+")


def _is_converse(config: ProviderConfig) -> bool:
    return config.option("api", str, "converse") == "converse"


def _dialect(config: ProviderConfig) -> Dialect:
    if _is_converse(config):
        from beluga_llm_bedrock._dialect import ConverseDialect

        return ConverseDialect(config.provider)
    from beluga_llm_bedrock._mantle import mantle_dialect

    return mantle_dialect(config)


def _base_url(config: ProviderConfig) -> str:
    region = (config.option("region", str) or "").strip() or DEFAULT_REGION
    if not _REGION.fullmatch(region):  # it names a server, which is sent the credentials
        text = f"region must be a name such as 'us-east-1', got {region!r}"
        raise ConfigError.of([text], provider=config.provider, op=f"{config.provider}.new")
    if _is_converse(config):
        return f"https://bedrock-runtime.{region}.amazonaws.com"
    return f"https://bedrock-mantle.{region}.api.aws/v1"


def _signer(config: ProviderConfig) -> Signer | None:
    """A signature with AWS credentials, where no API key was given.

    The names that the services sign with: the service model "bedrock-runtime" of botocore, and
    `providers/bedrock.py` of the OpenAI SDK.
    """
    if config.api_key is not None:
        return None
    return aws_signer(config, service="bedrock" if _is_converse(config) else "bedrock-mantle")


class BedrockChatModel(ProviderModel):
    """A model on Amazon Bedrock.

    Options of its own: `api` ("converse", the default, "chat" or "responses"), `region` and
    `profile`. With a key, or AWS_BEARER_TOKEN_BEDROCK, requests carry that; else they are signed
    with the AWS credentials that botocore finds.

        BedrockChatModel(model="us.amazon.nova-2-lite-v1:0", region="eu-west-1")
    """

    spec: ClassVar[ProviderSpec] = ProviderSpec(
        name="bedrock",
        dialect=_dialect,
        env=("AWS_BEARER_TOKEN_BEDROCK",),
        base_url=_base_url,
        key_required=False,
        options={"api": ("converse", "chat", "responses"), "region": str, "profile": str},
        option_env={
            "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
            "profile": ("AWS_PROFILE",),
        },
        signer=_signer,
        chat_example="us.amazon.nova-2-lite-v1:0",
    )

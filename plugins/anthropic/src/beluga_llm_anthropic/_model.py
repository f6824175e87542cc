"""The providers `anthropic`, `vertex-anthropic` and `bedrock-anthropic`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from beluga_llm.plugin import (
    ProviderConfig,
    ProviderModel,
    ProviderSpec,
    Signer,
    aws_signer,
    google_signer,
)
from beluga_llm_anthropic._bedrock import BedrockAnthropicDialect
from beluga_llm_anthropic._dialect import AnthropicDialect
from beluga_llm_anthropic._vertex import VertexAnthropicDialect, base_url_of, server_name

DEFAULT_REGION = "us-east-1"


class AnthropicChatModel(ProviderModel):
    """A Claude model at Anthropic's own API.

    Options of its own: `api_version` (the `anthropic-version` header, default 2023-06-01) and
    `betas` (names for the `anthropic-beta` header, a list or one text with commas).

        AnthropicChatModel(model="claude-haiku-5-5", betas=["context-management-2025-06-27"])
    """

    spec: ClassVar[ProviderSpec] = ProviderSpec(
        name="anthropic",
        dialect=AnthropicDialect.from_config,
        env=("ANTHROPIC_API_KEY",),
        base_url="https://api.anthropic.com",
        options={"api_version": str, "betas": Sequence},
        chat_example="claude-haiku-5-5",
    )


def _google_signer(config: ProviderConfig) -> Signer | None:
    return google_signer(config) if config.api_key is None else None


class VertexAnthropicChatModel(ProviderModel):
    """A Claude model on Google Cloud.

    Options of its own: `project` (required; GOOGLE_CLOUD_PROJECT), `location`
    (GOOGLE_CLOUD_LOCATION, default "global"), `api_version` and `betas`. Credentials are found by
    google-auth, unless `api_key` is an access token, or a callable that gives the current one.

        VertexAnthropicChatModel(model="claude-haiku-5-5", project="my-project", location="eu")
    """

    spec: ClassVar[ProviderSpec] = ProviderSpec(
        name="vertex-anthropic",
        dialect=VertexAnthropicDialect.from_config,
        base_url=base_url_of,
        key_required=False,
        options={"api_version": str, "betas": Sequence, "project": str, "location": str},
        option_env={
            "project": ("GOOGLE_CLOUD_PROJECT",),
            "location": ("GOOGLE_CLOUD_LOCATION",),
        },
        required_options=("project",),
        signer=_google_signer,
        chat_example="claude-haiku-5-5",
    )


def _bedrock_url(config: ProviderConfig) -> str:
    region = (config.option("region", str) or "").strip() or DEFAULT_REGION
    return f"https://bedrock-runtime.{server_name('region', region, config)}.amazonaws.com"


def _aws_signer(config: ProviderConfig) -> Signer | None:
    return aws_signer(config, service="bedrock") if config.api_key is None else None


class BedrockAnthropicChatModel(ProviderModel):
    """A Claude model on Amazon Bedrock, through InvokeModel.

    Options of its own: `region` (AWS_REGION, AWS_DEFAULT_REGION, default "us-east-1"), `profile`
    (AWS_PROFILE), `api_version` and `betas`. With a key, or AWS_BEARER_TOKEN_BEDROCK, requests
    carry that; else they are signed with the AWS credentials that botocore finds.

        BedrockAnthropicChatModel(model="us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    """

    spec: ClassVar[ProviderSpec] = ProviderSpec(
        name="bedrock-anthropic",
        dialect=BedrockAnthropicDialect.from_config,
        env=("AWS_BEARER_TOKEN_BEDROCK",),
        base_url=_bedrock_url,
        key_required=False,
        options={"api_version": str, "betas": Sequence, "region": str, "profile": str},
        option_env={
            "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
            "profile": ("AWS_PROFILE",),
        },
        signer=_aws_signer,
        chat_example="global.anthropic.claude-sonnet-4-5-20250929-v1:0",
    )

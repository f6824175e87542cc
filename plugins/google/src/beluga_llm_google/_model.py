"""The providers `google` (also under the name `gemini`) and `vertex`."""

from __future__ import annotations

from typing import ClassVar

from beluga_llm.plugin import ProviderConfig, ProviderModel, ProviderSpec, Signer, google_signer
from beluga_llm_google._dialect import GeminiDialect
from beluga_llm_google._vertex import VertexDialect, base_url_of


class GeminiChatModel(ProviderModel):
    """A Gemini model at the Gemini API.

    GeminiChatModel(model="gemini-3.8-flash", api_key="...")
    """

    spec: ClassVar[ProviderSpec] = ProviderSpec(
        name="google",
        dialect=GeminiDialect.from_config,
        env=("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENAI_API_KEY"),
        base_url="https://generativelanguage.googleapis.com/v1beta",
        chat_example="gemini-3.8-flash",
    )


def _signer(config: ProviderConfig) -> Signer | None:
    """Google's own credentials, where no access token is given."""
    return google_signer(config) if config.api_key is None else None


class VertexChatModel(ProviderModel):
    """A Gemini model on Vertex AI.

    Options of its own: `project` (required; GOOGLE_CLOUD_PROJECT) and `location`
    (GOOGLE_CLOUD_LOCATION, default "global"). Credentials are found by google-auth, unless
    `api_key` is an access token, or a callable that gives the current one.

        VertexChatModel(model="gemini-3.8-flash", project="my-project", location="eu")
    """

    spec: ClassVar[ProviderSpec] = ProviderSpec(
        name="vertex",
        dialect=VertexDialect.from_config,
        base_url=base_url_of,
        key_required=False,
        options={"project": str, "location": str},
        option_env={
            "project": ("GOOGLE_CLOUD_PROJECT",),
            "location": ("GOOGLE_CLOUD_LOCATION",),
        },
        required_options=("project",),
        signer=_signer,
        chat_example="gemini-3.8-flash",
    )

"""Claude on Google Cloud: the Messages API through `rawPredict` of Vertex AI.

The model stands in the path and the version in the body; betas stay a header. A location has a
server of its own; the multi-regions `us` and `eu` have one whose name is made in another way; the
location `global` has the one without a prefix.

Sources: "Claude on Google Cloud" of the Claude Platform docs, "Count tokens" of the partner models
of Google Cloud, and the vendor's own client (`AnthropicVertex`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from beluga_llm import ConfigError
from beluga_llm.plugin import ProviderConfig
from beluga_llm_anthropic._dialect import RULES, AnthropicDialect, beta_names
from beluga_llm_anthropic._envelope import Envelope

GLOBAL = "global"
_MULTI_REGIONS = ("us", "eu")
_NAME = re.compile(r"[a-z0-9-]+")
_ENVELOPE = Envelope(
    path="{models}/{model}:rawPredict",
    stream_path="{models}/{model}:streamRawPredict",
    count_path="{models}/count-tokens:rawPredict",
    models_path=None,
    version_in_body=True,
    model_in_body=False,
    only_data=True,
)


def location_of(config: ProviderConfig) -> str:
    """Where a configuration's models run."""
    return (config.option("location", str) or "").strip() or GLOBAL


def base_url_of(config: ProviderConfig) -> str:
    """The server of a configuration's location.

    Raises:
        ConfigError: the location is no name of one.
    """
    location = server_name("location", location_of(config), config)
    if location == GLOBAL:
        return "https://aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def server_name(option: str, value: str, config: ProviderConfig) -> str:
    """An option that becomes part of a server's name, to which the credentials are sent.

    Raises:
        ConfigError: it would be more than part of a name.
    """
    if not _NAME.fullmatch(value):
        text = f"{option} must be a name such as 'us-east-1', got {value!r}"
        raise ConfigError.of([text], provider=config.provider, op=f"{config.provider}.new")
    return value


class VertexAnthropicDialect(AnthropicDialect):
    """The wire format of Claude on Google Cloud, for `HttpModel`."""

    provider = "vertex-anthropic"
    default_version = "vertex-2023-10-16"
    rules = RULES.extended(
        statuses={
            "failed_precondition": 400,
            "invalid_argument": 400,
            "unauthenticated": 401,
            "resource_exhausted": 429,
            "internal": 500,
            "deadline_exceeded": 504,
        }
    )

    def __init__(
        self,
        provider: str | None = None,
        *,
        project: str,
        location: str = GLOBAL,
        **settings: Any,
    ) -> None:
        """A dialect.

        Args:
            provider: the entry name, where it is not the class's own.
            project: the id or number of the project that pays.
            location: where the models run.
            settings: for `AnthropicDialect`.
        """
        super().__init__(provider, **settings)
        place = f"projects/{quote(project, safe='')}/locations/{quote(location, safe='')}"
        models = f"/v1/{place}/publishers/anthropic/models"
        paths = {
            name: getattr(_ENVELOPE, name).replace("{models}", models)
            for name in ("path", "stream_path", "count_path")
        }
        self.envelope = msgspec.structs.replace(_ENVELOPE, **paths)

    @classmethod
    def from_config(cls, config: ProviderConfig) -> VertexAnthropicDialect:
        """The dialect that a configuration asks for."""
        return cls(
            project=(config.option("project", str) or "").strip(),
            location=location_of(config),
            api_version=config.option("api_version", str),
            betas=beta_names(config.options.get("betas")),
        )

    def auth(self, key: str) -> Mapping[str, str]:
        """The header that carries an access token."""
        return {"Authorization": f"Bearer {key}"}

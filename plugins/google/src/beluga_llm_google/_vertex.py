"""Gemini on Vertex AI (Gemini Enterprise Agent Platform): the same body at another address.

A location has a server of its own; the multi-regions `us` and `eu` have one whose name is made in
another way; the location `global` has the one without a prefix. Sources: "Deployments and
endpoints" of the Vertex AI docs, and the vendor's own client (google-genai).
"""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import quote

from beluga_llm import ConfigError
from beluga_llm.plugin import ChatRequest, HttpRequest, ProviderConfig
from beluga_llm_google._dialect import GeminiDialect

GLOBAL = "global"
_MULTI_REGIONS = ("us", "eu")
_LOCATION = re.compile(r"[a-z0-9-]+")


def base_url_of(config: ProviderConfig) -> str:
    """The server of a configuration's location.

    Raises:
        ConfigError: the location is no name of one.
    """
    location = location_of(config)
    if not _LOCATION.fullmatch(location):  # it names a server, which is sent the credentials
        text = f"location must be a name such as 'us-central1', got {location!r}"
        raise ConfigError.of([text], provider=config.provider, op=f"{config.provider}.new")
    if location == GLOBAL:
        return "https://aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def location_of(config: ProviderConfig) -> str:
    """Where a configuration's models run."""
    return (config.option("location", str) or "").strip() or GLOBAL


class VertexDialect(GeminiDialect):
    """The wire format of Gemini on Vertex AI, for `HttpModel`."""

    provider = "vertex"
    on_vertex: ClassVar[bool] = True
    files: ClassVar[str | None] = None
    names: ClassVar[tuple[str, ...]] = ("vertex", "google")

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
            settings: for `Dialect`.
        """
        super().__init__(provider, **settings)
        place = f"projects/{quote(project, safe='')}/locations/{quote(location, safe='')}"
        self._place = f"/v1/{place}"

    @classmethod
    def from_config(cls, config: ProviderConfig) -> VertexDialect:
        """The dialect that a configuration asks for."""
        project = config.option("project", str, default="").strip()
        return cls(project=project, location=location_of(config))

    def auth(self, key: str) -> dict[str, str]:
        """The header that carries an access token."""
        return {"Authorization": f"Bearer {key}"}

    def probe_request(self, request: ChatRequest) -> HttpRequest | None:
        """None: the list of Google's models tells nothing of the project."""
        return None

    def model_path(self, model: str) -> str:
        """Where a model is: one of Google's, of `publisher/name`, or of its whole name."""
        name = quote(model, safe="/")
        if name.startswith("projects/"):  # a tuned model's endpoint
            return f"/v1/{name}"
        if name.startswith("publishers/"):
            return f"{self._place}/{name}"
        publisher, _, name = name.removeprefix("models/").rpartition("/")
        return f"{self._place}/publishers/{publisher or 'google'}/models/{name}"

    def _counted_body(self, model: str, prompt: dict[str, Any]) -> dict[str, Any]:
        return prompt

"""OpenAI's two APIs as Azure serves them: other addresses, another header for the key.

An address without a path is the endpoint of a resource. Requests go to its v1 API, or, with an
`api_version` that is a date, to the deployment's own address. Any other address is kept.

Source: "Azure OpenAI in Microsoft Foundry Models v1 API", "API version lifecycle" and the REST
reference of https://learn.microsoft.com/azure/foundry/openai.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from beluga_llm import ChatRequest, replace
from beluga_llm.plugin import (
    ChatQuirks,
    HttpRequest,
    OpenAIChatDialect,
    OpenAIResponsesDialect,
    ProviderConfig,
)
from beluga_llm_openai._fit import KnownModels

QUIRKS = ChatQuirks(
    max_tokens_field="max_completion_tokens",  # the newer models refuse `max_tokens`
    unsupported=frozenset(("top_k",)),
    refusals=True,
)
_OLD = replace(
    QUIRKS,
    max_tokens_field="max_tokens",
    stream_usage="never",  # "Unrecognized request argument supplied: stream_options"
)
_WITH_NEW_FIELDS = "2024-09-01"
"""From this version on `stream_options` and `max_completion_tokens` are known."""

_DATED = re.compile(r"\d{4}-\d{2}-\d{2}")
_ENDPOINT_PATHS = ("", "/openai")


class AtAzure(KnownModels):
    """What Azure changes in a dialect of OpenAI; it stands before that in the bases.

    Args:
        base_url: the address that the model was given.
        api_version: for the query; None for none.
        bearer: the key is an Entra token.
        settings: for the dialect.
    """

    provider = "azure"
    path: str
    by_deployment: bool
    """Whether the dated API has the deployment in its address."""

    def __init__(
        self,
        *,
        base_url: str = "",
        api_version: str | None = None,
        bearer: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._query = {"api-version": api_version} if api_version else {}
        self._bearer = bearer
        self._path = self._template(urlsplit(base_url).path.rstrip("/"), api_version or "")

    @classmethod
    def from_config(cls, config: ProviderConfig) -> AtAzure:
        """The dialect that a prepared configuration asks for."""
        return cls(
            base_url=config.base_url or "",
            api_version=config.option("api_version", str),
            bearer=bears_token(config),
        )

    def _template(self, given: str, version: str) -> str:
        """The path after the address, in which `{model}` stands for the deployment."""
        if given not in _ENDPOINT_PATHS:
            return "" if given.endswith(self.path) else self.path
        root = "" if given else "/openai"
        if not _DATED.match(version):
            return f"{root}/v1{self.path}"
        return (
            f"{root}/deployments/{{model}}{self.path}" if self.by_deployment else root + self.path
        )

    def encode(self, request: ChatRequest) -> HttpRequest:
        """The request at its address."""
        deployment = quote(request.options.model or "", safe="")
        path = self._path.replace("{model}", deployment)
        return replace(super().encode(request), path=path, query=self._query)

    def probe_request(self, request: ChatRequest) -> HttpRequest | None:
        """The list of the models that the resource can use.

        Source: "Models - List" of the Azure OpenAI REST reference; the v1 API has it too.
        """
        if not self._path:  # the address is that of the one endpoint
            return None
        root = self._path.removesuffix(self.path).removesuffix("/deployments/{model}")
        return HttpRequest(path=f"{root}/models", method="GET", query=self._query)

    def auth(self, key: str) -> Mapping[str, str]:
        """The one header that carries the key, or the token."""
        return {"Authorization": f"Bearer {key}"} if self._bearer else {"api-key": key}


class AzureChatDialect(AtAzure, OpenAIChatDialect):
    """POST .../chat/completions at Azure."""

    by_deployment = True

    def __init__(self, *, api_version: str | None = None, **settings: Any) -> None:
        version = api_version or ""
        old = _DATED.match(version) is not None and version < _WITH_NEW_FIELDS
        super().__init__(api_version=api_version, quirks=_OLD if old else QUIRKS, **settings)


class AzureResponsesDialect(AtAzure, OpenAIResponsesDialect):
    """POST .../responses at Azure."""

    by_deployment = False


def bears_token(config: ProviderConfig) -> bool:
    """Whether the key is an Entra token: as `auth` says, else where a function gives it."""
    auth = config.option("auth", str)
    return callable(config.api_key) if auth is None else auth == "entra"

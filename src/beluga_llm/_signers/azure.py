"""Tokens of Microsoft Entra, by azure-identity's default chain.

The chain is azure-identity's own: variables of a service principal, workload and managed
identities, the login of the Azure CLI and its like. azure-identity is imported with the first
request, in a thread.

Source: "Credential chains in the Azure Identity library for Python"
(https://learn.microsoft.com/azure/developer/python/sdk/authentication/credential-chains).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from beluga_llm._config import ProviderConfig
from beluga_llm._errors import AuthenticationError, BelugaError, ConnectionFailedError
from beluga_llm._signers.installed import require
from beluga_llm._signers.tokens import Token, TokenSigner


def entra_signer(config: ProviderConfig, *, scope: str) -> TokenSigner:
    """A signer with tokens of Microsoft Entra.

    Credentials are found with the first request; a token is asked for anew 5 minutes before it
    ends.

    Args:
        config: its provider is named in errors.
        scope: what the token is for, such as "https://ai.azure.com/.default".

    Raises:
        ConfigError: azure-identity is not installed.
    """
    require(
        "azure.identity",
        what="Entra credentials",
        install="azure-identity",
        provider=config.provider,
    )
    return TokenSigner(EntraTokens(config.provider, scope).fetch)


class EntraTokens:
    """Fetches tokens; its credentials are found once.

    Args:
        provider: the entry name, for errors.
        scope: what the tokens are for.
    """

    def __init__(self, provider: str, scope: str) -> None:
        self._provider = provider
        self._scope = scope
        self._credential: Any = None

    def fetch(self) -> Token:
        """A new token; blocks.

        Raises:
            AuthenticationError: there are no credentials, or they are not accepted.
            ConnectionFailedError: what gives tokens cannot be reached.
        """
        try:
            if self._credential is None:
                self._credential = import_module("azure.identity").DefaultAzureCredential()
            found = self._credential.get_token(self._scope)
        except Exception as error:
            raise self._explained(error) from error
        return Token(found.token, float(found.expires_on))

    def _explained(self, error: Exception) -> BelugaError:
        known = import_module("azure.core.exceptions")
        unreached = isinstance(error, (known.ServiceRequestError, known.ServiceResponseError))
        kind: type[BelugaError] = ConnectionFailedError if unreached else AuthenticationError
        text = f"no Entra token: {type(error).__name__}: {error}"
        return kind(text, provider=self._provider or None)

"""Access tokens of Google Cloud, by application default credentials.

The chain is google-auth's own: the variable GOOGLE_APPLICATION_CREDENTIALS, the login of gcloud,
the metadata service of Google's machines. google-auth is imported with the first request, in a
thread. It needs `requests`, its one transport that the metadata service can be asked with.

Source: "How Application Default Credentials works" of the Google Cloud documentation
(https://cloud.google.com/docs/authentication/application-default-credentials), and "Set the quota
project" there for the header `x-goog-user-project`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from beluga_llm._config import ProviderConfig
from beluga_llm._errors import (
    AuthenticationError,
    BelugaError,
    ConnectionFailedError,
    ProviderUnavailableError,
)
from beluga_llm._frozen import EMPTY
from beluga_llm._signers.installed import require
from beluga_llm._signers.tokens import Token, TokenSigner

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_HELP = (
    "run `gcloud auth application-default login`, "
    "or set GOOGLE_APPLICATION_CREDENTIALS to a credentials file"
)


def google_signer(config: ProviderConfig) -> TokenSigner:
    """A signer with access tokens of Google Cloud.

    Credentials are found with the first request; a token is asked for anew 5 minutes before it
    ends. The quota project of the credentials, if any, goes into `x-goog-user-project`.

    Args:
        config: its provider is named in errors.

    Raises:
        ConfigError: google-auth or requests is not installed.
    """
    require(
        "google.auth",
        "requests",
        what="Google credentials",
        install="google-auth[requests]",
        provider=config.provider,
    )
    return TokenSigner(GoogleTokens(config.provider).fetch)


class GoogleTokens:
    """Fetches tokens; its credentials are found once.

    Args:
        provider: the entry name, for errors.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._credentials: Any = None

    def fetch(self) -> Token:
        """A new token; blocks.

        Raises:
            AuthenticationError: there are no credentials, or they are not accepted.
            ConnectionFailedError: what gives tokens cannot be reached.
            ProviderUnavailableError: it cannot give one now.
        """
        try:
            request = import_module("google.auth.transport.requests").Request()
            credentials = self._credentials
            if credentials is None:
                google_auth = import_module("google.auth")
                credentials, _ = google_auth.default(scopes=[SCOPE], request=request)
            credentials.refresh(request)
        except Exception as error:
            raise self._explained(error) from error
        self._credentials = credentials
        project = getattr(credentials, "quota_project_id", None)
        headers = {"x-goog-user-project": project} if project else EMPTY
        return Token(credentials.token, _unix(credentials.expiry), headers)

    def _explained(self, error: Exception) -> BelugaError:
        provider = self._provider or None
        known = import_module("google.auth.exceptions")
        if isinstance(error, known.DefaultCredentialsError):
            text = f"no Google credentials found: {_HELP} ({error})"
            return AuthenticationError(text, provider=provider)
        kind: type[BelugaError] = AuthenticationError
        unreached = (known.TransportError, known.TimeoutError)
        if isinstance(error, unreached) or isinstance(error.__cause__, unreached):
            kind = ConnectionFailedError
        elif getattr(error, "retryable", False):
            kind = ProviderUnavailableError
        text = f"no Google access token: {type(error).__name__}: {error}"
        return kind(text, provider=provider)


def _unix(time: datetime | None) -> float | None:
    """Unix seconds of a time in UTC, which google-auth gives without its zone."""
    if time is None:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()

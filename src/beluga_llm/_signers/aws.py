"""Signatures of AWS, with the credentials that botocore finds.

The chain is botocore's own: variables, files and profiles, SSO, containers and instances. botocore
is imported with the first request, in a thread; signing needs no botocore and no waiting.

Source: "Credentials" of the Boto3 documentation
(https://docs.aws.amazon.com/boto3/latest/guide/credentials.html).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from beluga_llm._config import ProviderConfig
from beluga_llm._errors import AuthenticationError, BelugaError, ConnectionFailedError
from beluga_llm._http.wire import Signer, WireRequest
from beluga_llm._signers.installed import require
from beluga_llm._signers.kept import Kept
from beluga_llm._signers.sigv4 import AwsKeys, signed

REGION = "us-east-1"
_HELP = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
    "or run `aws configure` or `aws sso login`"
)


def aws_signer(config: ProviderConfig, *, service: str = "bedrock") -> Signer:
    """A signer with AWS Signature Version 4.

    Credentials are found with the first request, and again 5 minutes before they end.

    Args:
        config: its option "region" is where requests go (us-east-1 if not set), its option
            "profile" the profile whose credentials are taken.
        service: the name that the service signs with.

    Raises:
        ConfigError: botocore is not installed, or an option is no text.
    """
    require("botocore", what="AWS credentials", install="botocore", provider=config.provider)
    return AwsSigner(
        region=(config.option("region", str) or "").strip() or REGION,
        profile=(config.option("profile", str) or "").strip() or None,
        service=service,
        provider=config.provider,
    )


class _Found(NamedTuple):
    """Keys, and the object of botocore that they came from and that knows their end."""

    keys: AwsKeys
    source: Any


class AwsSigner:
    """Signs requests; `aws_signer` makes one.

    Args:
        region: where requests go.
        profile: whose credentials are taken; None for botocore's choice.
        service: the name that the service signs with.
        provider: the entry name, for errors.
        clock: unix seconds.
    """

    def __init__(
        self,
        *,
        region: str,
        profile: str | None,
        service: str,
        provider: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._region, self._profile, self._service = region, profile, service
        self._provider = provider
        self._clock = clock
        self._source: Any = None
        self._found = Kept(self._fetch, _lasts, what="AWS credentials")

    async def sign(self, request: WireRequest) -> WireRequest:
        """The request with its signature.

        Raises:
            AuthenticationError: there are no credentials.
            ConnectionFailedError: what gives them cannot be reached.
        """
        keys = (await self._found.get()).keys
        return signed(request, keys, region=self._region, service=self._service, now=self._clock())

    def _fetch(self) -> _Found:
        try:
            source = self._source or self._resolve()
            frozen = source.get_frozen_credentials()
        except BelugaError:
            raise
        except Exception as error:
            raise self._explained(error) from error
        self._source = source
        return _Found(AwsKeys(frozen.access_key, frozen.secret_key, frozen.token), source)

    def _resolve(self) -> Any:
        session = import_module("botocore.session").Session(profile=self._profile)
        if (source := session.get_credentials()) is None:
            raise AuthenticationError(
                f"no AWS credentials found: {_HELP}", provider=self._provider or None
            )
        return source

    def _explained(self, error: Exception) -> BelugaError:
        kind: type[BelugaError] = AuthenticationError
        known = import_module("botocore.exceptions")
        if isinstance(
            error, (known.ConnectionError, known.HTTPClientError, known.MetadataRetrievalError)
        ):
            kind = ConnectionFailedError
        text = f"no AWS credentials: {type(error).__name__}: {error}"
        return kind(text, provider=self._provider or None)


def _lasts(found: _Found, seconds: float) -> bool:
    """Whether keys are good so much longer; those of files and variables never end."""
    ends = getattr(found.source, "refresh_needed", None)
    return ends is None or not ends(int(seconds))

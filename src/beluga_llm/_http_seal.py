"""What a model puts around a dialect's request: address, key, headers, body and signature."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from beluga_llm._config import ProviderConfig, Secret
from beluga_llm._errors import AuthenticationError
from beluga_llm._frozen import EMPTY
from beluga_llm._http.dialect import Dialect, HttpRequest
from beluga_llm._http.outgoing import BaseUrl, body_of, merged_headers, secret_values
from beluga_llm._http.wire import Signer, WireRequest
from beluga_llm._option_ranges import unsendable
from beluga_llm._redaction import Secrets
from beluga_llm._request import ChatRequest
from beluga_llm._version import __version__

USER_AGENT = f"beluga-llm/{__version__}"
_SHORT_KEY = 4
"""Keys shorter than this are no secrets, and too common to be blotted out."""


class _Usual:
    """What is the same for every request of a model; it holds the key, so this has no repr."""

    __slots__ = ("encoded", "headers", "key", "model", "secrets")

    def __init__(self, key: str | None, model: str | None, encoded: Mapping[str, str]) -> None:
        self.key = key
        self.model = model
        self.encoded = dict(encoded)
        self.headers: dict[str, str] = {}
        self.secrets = Secrets()

    def suits(self, key: str | None, model: str | None, encoded: Mapping[str, str]) -> bool:
        """Whether it is of the same key, model and headers of the dialect."""
        return self.key == key and self.model == model and self.encoded == encoded


class Sealer:
    """Makes requests complete.

    Args:
        config: with the base URL and the key.
        provider: the entry name, for errors.
        dialect: says which headers carry a key, and which one tells repeated requests.
        signer: credentials that are more than a header from the key.

    Attributes:
        base: the API's address.
        waits: whether credentials may have to be waited for.
    """

    def __init__(
        self,
        config: ProviderConfig,
        provider: str,
        dialect: Dialect,
        signer: Signer | None,
    ) -> None:
        self.base = BaseUrl.of(config.base_url)
        self.waits = signer is not None or callable(config.api_key)
        self._config, self._provider, self._dialect, self._signer = (
            config,
            provider,
            dialect,
            signer,
        )
        self._secrets = Secrets(
            self.base.secrets
            | BaseUrl.of(config.proxy).secrets
            | secret_values(config.headers, config.query)
        )
        self._usual: dict[bool, _Usual] = {}

    def seal(
        self, encoded: HttpRequest, request: ChatRequest, *, connect: float | None
    ) -> tuple[WireRequest, Secrets]:
        """The request as it is sent, and what of it must not be shown; where nothing `waits`."""
        return self._sealed(encoded, request, _constant(self._config.api_key), connect)

    async def seal_waiting(
        self, encoded: HttpRequest, request: ChatRequest, *, connect: float | None
    ) -> tuple[WireRequest, Secrets]:
        """The same with credentials that may have to be waited for."""
        wire, secrets = self._sealed(encoded, request, await self._key(), connect)
        if self._signer is not None:
            unsigned, wire = wire, await self._signer.sign(wire)
            secrets = self._hidden(secrets | _signatures(unsigned, wire), request.options.model)
        return wire, secrets

    def _sealed(
        self, encoded: HttpRequest, request: ChatRequest, key: str | None, connect: float | None
    ) -> tuple[WireRequest, Secrets]:
        options = request.options
        body = body_of(encoded.json, options.extra_body)
        repeats = self._repeats(request.info.call_id, body)
        kept = None
        if not (repeats or options.extra_headers or options.extra_query):
            kept = self._usual.get(request.streaming)
        if kept is None or not kept.suits(key, options.model, encoded.headers):
            kept = self._of_its_own(encoded, request, key, repeats)
        wire = WireRequest(
            method=encoded.method,
            url=self.base.url(encoded.path, encoded.query, self._config.query, options.extra_query),
            headers=kept.headers.copy(),
            body=body,
            connect=connect,
            streaming=request.streaming,
        )
        return wire, kept.secrets

    def _of_its_own(
        self,
        encoded: HttpRequest,
        request: ChatRequest,
        key: str | None,
        repeats: Mapping[str, str],
    ) -> _Usual:
        """Headers and secrets; kept for the next request, if they hold nothing of this one only."""
        options, model = request.options, request.options.model
        headers = merged_headers(
            {
                "Accept": "text/event-stream" if request.streaming else "application/json",
                "Content-Type": "application/json",
                "User-Agent": USER_AGENT,
            },
            repeats,
            encoded.headers,
            self.base.authorization,
            self._dialect.auth(key) if key else EMPTY,
            self._config.headers,
            options.extra_headers,
        )
        secrets = self._secrets | secret_values(options.extra_headers, options.extra_query)
        if key and len(key) >= _SHORT_KEY:
            secrets |= {key}
        made = _Usual(key, model, encoded.headers)
        made.headers, made.secrets = headers, self._hidden(secrets, model)
        if not (repeats or options.extra_headers or options.extra_query):
            self._usual[request.streaming] = made
        return made

    def _hidden(self, secrets: frozenset[str], model: str | None) -> Secrets:
        """Secrets; the names of the provider and of the model are none."""
        return Secrets(secrets - {self._provider, model or ""})

    def _repeats(self, call_id: str, body: bytes | None) -> Mapping[str, str]:
        """The header that tells a server that a request repeats another one of its call."""
        name = self._dialect.idempotency_header
        if not name or not call_id or body is None:
            return EMPTY
        import hashlib

        return {name: f"{call_id}-{hashlib.sha256(body).hexdigest()[:16]}"}

    @property
    def credential(self) -> str:
        """A fingerprint of the key; "" where a callable gives it anew for each request."""
        source = self._config.api_key
        if not isinstance(source, Secret):
            return "" if source else "none" if self._signer is None else "signed"
        import hashlib

        return hashlib.sha256(source.reveal().encode()).hexdigest()[:16]

    async def _key(self) -> str | None:
        source = self._config.api_key
        if source is None or isinstance(source, Secret):
            return _constant(source)
        given = source()
        key = await given if inspect.isawaitable(given) else given
        if not isinstance(key, str):
            text = f"the api_key callable must give a str, got {type(key).__name__}"
            raise AuthenticationError(text, provider=self._provider)
        key = (key.reveal() if isinstance(key, Secret) else key).strip()
        if what := unsendable(key):
            text = f"the api_key callable gave a key with {what}"
            raise AuthenticationError(text, provider=self._provider)
        return key


def _constant(source: object) -> str | None:
    """The key where it is always the same."""
    return (source.reveal() or None) if isinstance(source, Secret) else None


def _signatures(unsigned: WireRequest, signed: WireRequest) -> set[str]:
    """What a signer put into the headers and the query."""
    before, after = (
        secret_values(request.headers, dict(parse_qsl(urlsplit(request.url).query)))
        for request in (unsigned, signed)
    )
    return after - before

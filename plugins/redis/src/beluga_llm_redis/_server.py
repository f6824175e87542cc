"""What the URL of a Redis says: where it is, how it is reached, and what of it is secret.

The form of a URL and its parameters are redis-py's:
https://redis.io/docs/latest/develop/clients/connection-urls/
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from beluga_llm import ConfigError, StoreError
from beluga_llm_redis._connections import MOST, Connections

SCHEMES = ("redis", "rediss", "unix")
SECRETS = ("password", "ssl_password")
"""Parameters that no text repeats."""
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""Parameters that name a file of certificates or keys."""
UNKNOWN_AUTHORITY = ("self-signed certificate", "self signed", "local issuer certificate")
"""What OpenSSL says of a certificate whose authority it does not know."""


class Server:
    """A Redis, or a node of a cluster.

    Args:
        url: of the server; it may hold a password, and is never shown.
        timeout: seconds to wait for the server.
        cluster: it is a node of a cluster.
        once: a command is sent once; else the library repeats it when its connection breaks.

    Attributes:
        where: the server, without what is secret.

    Raises:
        ConfigError: the URL is none of Redis, or has parameters that are not valid.
    """

    def __init__(
        self, url: str, *, timeout: float, cluster: bool = False, once: bool = False
    ) -> None:
        parts = _parts(url)
        query = parse_qs(parts.query)
        self.where = _where(parts)
        self._secrets = _secrets(parts, query)
        self._files = {name: query[name][0] for name in FILES if name in query}
        self._url = url
        self._timeout = timeout
        self._cluster = cluster
        self._once = once
        self._count = MOST
        self._tls: Any = None
        self._check()

    def open(self, *, patience: float | None = None) -> Connections:
        """Connections for the running event loop; none is made before it is used.

        Args:
            patience: seconds to wait for a free one while Redis answers nobody.
        """
        return Connections(self._client(), self._count, patience)

    def _client(self) -> Any:
        from redis import asyncio as redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        settings: dict[str, Any] = dict.fromkeys(
            ("socket_timeout", "socket_connect_timeout"), self._timeout
        )
        if self._once:
            settings["retry"] = Retry(NoBackoff(), 0)
        kind: Any = redis.RedisCluster if self._cluster else redis.Redis
        client = kind.from_url(self._url, **settings)
        if self._tls is not None and not self._cluster:
            client.connection_pool.connection_class = _with_context(self._tls)
        return client

    def explain(self, error: Exception) -> str:
        """What went wrong, and what may be done about it, without the secrets of the URL."""
        text = f"{type(error).__name__}: {self._blot(str(error))}"
        if any(sign in text for sign in UNKNOWN_AUTHORITY):
            text += " Name the file of its authority in the URL: ?ssl_ca_certs=/path/to/ca.pem"
        return text

    @contextmanager
    def raising(self, what: str) -> Iterator[None]:
        """Makes a StoreError of what fails in the block; `what` could not be done."""
        try:
            yield
        except failures() as error:  # its own text may repeat what is secret
            explained = self.explain(error)
            raise StoreError(f"{what}: Redis at {self.where} fails ({explained})") from None

    def _check(self) -> None:
        """Refuses what would fail at each attempt to connect, and would look like an outage."""
        from redis.asyncio.connection import SSLConnection, parse_url

        refused: tuple[type[Exception], ...] = (TypeError, ValueError, *failures())
        try:
            settings: dict[str, Any] = dict(parse_url(self._url))
            client = self._client()
            if not self._cluster:
                client.connection_pool.make_connection()  # which looks at the parameters
            self._count = min(MOST, settings.get("max_connections") or MOST)
            if settings.get("connection_class") is SSLConnection:
                tls = {name: value for name, value in settings.items() if name.startswith("ssl_")}
                self._tls = SSLConnection(**tls).ssl_context.get()  # which reads the files
        except OSError as error:
            files = "".join(f", {name}={value!r}" for name, value in self._files.items())
            text = f"the TLS settings in the URL of Redis at {self.where} are not valid"
            raise ConfigError(f"{text}: {self._blot(str(error))}{files}") from None
        except refused:  # the text may repeat what is secret
            text = f"redis-py does not take the parameters in the URL of Redis at {self.where}"
            raise ConfigError(text) from None

    def _blot(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def failures() -> tuple[type[Exception], ...]:
    """What redis-py raises where there is no Redis, or it refuses."""
    from redis.exceptions import RedisClusterException, RedisError

    return RedisError, RedisClusterException, OSError  # the second is none of the first


def _with_context(context: Any) -> type:
    """Connections that share a TLS context: to make one reads all authorities of the system."""
    from redis.asyncio.connection import SSLConnection

    class Shared(SSLConnection):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.ssl_context.context = context

    return Shared


def _parts(url: str) -> SplitResult:
    """A URL that is one of Redis; no text of an error repeats any of it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigError("the port in the URL of Redis is not valid") from None
    if parts.scheme not in SCHEMES:
        expected = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise ConfigError(f"the URL of Redis must begin with one of {expected}")
    if parts.fragment or not (_is_database(parts) and _is_query(parts.query)):
        raise ConfigError(
            "the URL of Redis has more than a number of a database and parameters behind the host; "
            "/, ? and # in a password are written as %2F, %3F and %23"
        )
    if "decode_responses" in parse_qs(parts.query, keep_blank_values=True):
        raise ConfigError("decode_responses in the URL of Redis: answers are read as bytes here")
    return parts


def _is_database(parts: SplitResult) -> bool:
    path = parts.path.strip("/")
    return parts.scheme == "unix" or not path or path.isdecimal()


def _is_query(text: str) -> bool:
    return not text or all("=" in one for one in text.split("&"))


def _where(parts: SplitResult) -> str:
    if parts.scheme == "unix":
        return unquote(parts.path)
    host = parts.hostname or "localhost"
    return f"[{host}]:{parts.port or 6379}" if ":" in host else f"{host}:{parts.port or 6379}"


def _secrets(parts: SplitResult, query: dict[str, list[str]]) -> list[str]:
    """What is secret, the longest first: one may be a part of another."""
    password = parts.password or ""
    secrets = {password, unquote(password)}
    secrets.update(value for name in SECRETS for value in query.get(name, ()))
    return sorted(secrets - {""}, key=len, reverse=True)

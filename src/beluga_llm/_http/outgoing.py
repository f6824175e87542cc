"""What is put around a dialect's request: the address, the headers, the body, and what is secret.

Pure. In headers, query and body alike a later layer goes over an earlier one: ours, the dialect's,
the key's, the configuration's, the call's.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlsplit

from attrs import field, frozen

from beluga_llm import _json
from beluga_llm._frozen import EMPTY

_SHORT_VALUE = 8
"""Header and query values shorter than this are no secrets, and too common to be blotted out."""


@frozen
class BaseUrl:
    """An API's address, taken apart.

    Attributes:
        address: scheme, host and path, without a slash at the end.
        query: for every request, as it was given.
        credentials: what stood before the host, "user:password"; it is sent as a header.
    """

    address: str = ""
    query: str = field(default="", repr=False)
    credentials: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str | None) -> BaseUrl:
        """The parts of an address that was checked."""
        address, _, query = (url or "").partition("#")[0].partition("?")
        scheme, mark, rest = address.partition("://")
        authority, slash, path = rest.partition("/")
        credentials, _, host = authority.rpartition("@")
        return cls(f"{scheme}{mark}{host}{slash}{path}".rstrip("/"), query, unquote(credentials))

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.address).netloc

    @property
    def authorization(self) -> Mapping[str, str]:
        """The header that carries the credentials."""
        if not self.credentials:
            return EMPTY
        return {"Authorization": f"Basic {b64encode(self.credentials.encode()).decode()}"}

    @property
    def secrets(self) -> set[str]:
        """What of it must not be shown."""
        given = {"password": self.credentials.partition(":")[2], **dict(parse_qsl(self.query))}
        return secret_values(given, self.authorization)

    def url(self, path: str, *queries: Mapping[str, str]) -> str:
        """The address of an endpoint; a query goes over the earlier ones and the base URL's."""
        if not (self.query or any(queries)):
            return self.address + path
        query = {str(name): str(value) for given in queries for name, value in given.items()}
        own = (pair for pair in self.query.split("&") if pair)
        pairs = [pair for pair in own if unquote_plus(pair.partition("=")[0]) not in query]
        pairs += [
            f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items()
        ]
        return f"{self.address}{path}{'?' if pairs else ''}{'&'.join(pairs)}"


def merged_headers(*layers: Mapping[str, str]) -> dict[str, str]:
    """Headers whose names are compared without regard to case; the last layer's spelling stays."""
    merged: dict[str, tuple[str, str]] = {}
    for layer in layers:
        for name, value in layer.items():
            merged[name.lower()] = name, value
    return dict(merged.values())


def body_of(json: Any, extra: Mapping[str, Any]) -> bytes | None:
    """The JSON text with `extra` merged deeply over it; None where there is no body."""
    if json is None:
        return None
    return _json.dumps(_merged(json, extra) if extra else json)


def _merged(base: Any, over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` merged deeply over `base`; a None in it deletes the key."""
    merged = dict(base) if isinstance(base, Mapping) else {}
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            merged[key] = _merged(merged.get(key), value)
        else:
            merged[key] = value
    return merged


def secret_values(*layers: Mapping[str, str]) -> set[str]:
    """The values of headers and queries that are long enough to be secrets.

    Of `Bearer abc` the `abc` is one by itself.
    """
    if not any(layers):
        return set()
    values = [str(value) for layer in layers for value in layer.values()]
    tokens = [
        str(value).partition(" ")[2]
        for layer in layers
        for name, value in layer.items()
        if "authorization" in name.lower()
    ]
    return {value for value in (*values, *tokens) if len(value) >= _SHORT_VALUE}

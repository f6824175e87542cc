"""Addresses as Ollama's own clients write them: `OLLAMA_HOST`, and `base_url=` likewise.

    11.2.3.4 -> http://11.2.3.4:11434     :9000 -> http://127.0.0.1:9000     https://host -> itself

Without a scheme it is http, and the port is 11434 where none is given; with a scheme the port is
the scheme's usual one. The same variable tells the server where to listen, so addresses that only
a server can use mean this machine. Source: `envconfig` of ollama/ollama and `_parse_host` of
ollama/ollama-python.
"""

from __future__ import annotations

PORT = 11434

_LISTENING = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 -- not bound
_API_PATHS = ("/api", "/v1")
"""What the paths of the two APIs begin with; the dialects add it."""


def host_url(text: str) -> str:
    """The address that such a text means; nothing is checked."""
    text = text.strip("\"' ")
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = "http", text
    place, slash, path = rest.partition("/")
    user, at, place = place.rpartition("@")
    host, port = _host_and_port(place)
    if not port and not found:
        port = f":{PORT}"
    path = f"{slash}{path}".rstrip("/")
    for known in _API_PATHS:
        path = path.removesuffix(known)
    return f"{scheme}://{user}{at}{_LISTENING.get(host, host)}{port}{path}"


def _host_and_port(place: str) -> tuple[str, str]:
    """The host, IPv6 in brackets, and the port with its colon, "" where there is none."""
    if place.count(":") > 1 and not place.startswith("["):
        return f"[{place}]", ""
    host, bracket, rest = place.rpartition("]")
    name, colon, port = rest.partition(":")
    return host + bracket + name, colon + port if port else ""

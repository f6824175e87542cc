"""AWS Signature Version 4, computed: keys, a request and the time give the headers. Pure.

Signed are the host, the content type, the `x-amz-*` headers, the path, the query and the body;
other headers may be changed on the way.

Source: "Create a signed AWS API request" of the IAM User Guide
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from msgspec.structs import replace

from beluga_llm._http.outgoing import merged_headers
from beluga_llm._http.wire import WireRequest

_ALGORITHM = "AWS4-HMAC-SHA256"
_PORTS = {"http": 80, "https": 443}


class AwsKeys(NamedTuple):
    """An access key; `token` belongs to one that ends."""

    access: str
    secret: str
    token: str | None = None

    def __repr__(self) -> str:
        return "AwsKeys(***)"


def signed(
    request: WireRequest, keys: AwsKeys, *, region: str, service: str, now: float
) -> WireRequest:
    """The request with its signature.

    Args:
        request: complete, but for the signature.
        keys: whose it is.
        region: where it goes, such as "us-east-1".
        service: the name that the service signs with, such as "bedrock".
        now: unix seconds; the service allows 5 minutes of difference.
    """
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    own = {"X-Amz-Date": stamp}
    if keys.token:
        own["X-Amz-Security-Token"] = keys.token
    headers = merged_headers(request.headers, own)
    covered = _covered(headers, request.url)
    names = ";".join(covered)
    scope = (stamp[:8], region, service, "aws4_request")
    text = "\n".join(
        (_ALGORITHM, stamp, "/".join(scope), _digest(_canonical(request, covered, names).encode()))
    )
    key = f"AWS4{keys.secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = (
        f"{_ALGORITHM} Credential={keys.access}/{'/'.join(scope)}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return replace(request, headers=merged_headers(headers, {"Authorization": authorization}))


def _covered(headers: dict[str, str], url: str) -> dict[str, str]:
    """The headers that are signed, by their names in lower case, sorted."""
    found = {"host": _host(url)}
    for name, value in headers.items():
        lower = name.lower()
        if lower in ("host", "content-type") or lower.startswith("x-amz-"):
            found[lower] = " ".join(value.split())
    return dict(sorted(found.items()))


def _host(url: str) -> str:
    """The host as the transport sends it, with its port only where that is not the usual one."""
    parts = urlsplit(url)
    usual = parts.port == _PORTS.get(parts.scheme)
    return parts.netloc.removesuffix(f":{parts.port}") if usual else parts.netloc


def _canonical(request: WireRequest, covered: dict[str, str], names: str) -> str:
    parts = urlsplit(request.url)
    pairs = sorted(pair.partition("=")[::2] for pair in parts.query.split("&") if pair)
    return "\n".join((
        request.method,
        _path(parts.path),
        "&".join(f"{name}={value}" for name, value in pairs),
        *(f"{name}:{value}" for name, value in covered.items()),
        "",
        names,
        _digest(request.body or b""),
    ))  # fmt: skip


def _path(path: str) -> str:
    """The path without empty and dotted segments, encoded once more than it is sent."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{end}", safe="/~")


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()

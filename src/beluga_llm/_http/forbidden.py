"""A switch that keeps requests on this machine, for test suites.

It is on while `forbid_requests()` is entered anywhere in the process, and where the environment
variable BELUGA_FORBID_REQUESTS is "1". The transport asks before it connects; while
`forbid_requests()` is entered, an audit hook of the interpreter does so for all other libraries.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_VARIABLE = "BELUGA_FORBID_REQUESTS"
_OFF = frozenset(("", "0", "false", "no", "off"))


class RequestForbiddenError(AssertionError):
    """A test was about to talk to a host other than this machine.

    No error of the library: nothing retries it, answers it from elsewhere or hides it.

    Attributes:
        host: which host.
        path: the path that was asked for, "" where only a connection was seen.
    """

    def __init__(self, host: str, path: str = "") -> None:
        super().__init__(
            f"a request to {host}{path} was forbidden: tests are to stay on this machine; use a "
            "mock, a recording or the fake server"
        )
        self.host = host
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.host, self.path)


class _Switch:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth = 0
        self.hooked = False


_SWITCH = _Switch()


def is_forbidden() -> bool:
    """Whether requests have to stay on this machine."""
    return _SWITCH.depth > 0 or _said().strip().lower() not in _OFF


def _said() -> str:
    """What the variable says, "" where it is not set: of that, `os.environ` takes microseconds."""
    known = getattr(os.environ, "_data", None)
    if known is not None and os.environ.encodekey(_VARIABLE) not in known:
        return ""
    return os.environ.get(_VARIABLE, "")


def check_allowed(url: str, *, proxy: str | None = None, trust_env: bool = False) -> None:
    """Does nothing, unless requests are forbidden and this one would leave the machine.

    Args:
        url: its query and credentials are not shown.
        proxy: the address of the proxy that carries it.
        trust_env: without such, the environment chooses the proxy.

    Raises:
        RequestForbiddenError: it is forbidden.
    """
    if is_forbidden():
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not is_loopback(host):
            raise RequestForbiddenError(host, parts.path)
        if proxy is None and trust_env and not proxy_bypass(host):
            proxy = getproxies().get(parts.scheme)
        carrier = host if proxy is None else urlsplit(proxy).hostname or ""
        if not is_loopback(carrier):
            raise RequestForbiddenError(carrier)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: localhost, 127.0.0.0/8, ::1."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


@contextlib.contextmanager
def forbid_requests() -> Iterator[None]:
    """A block in which nothing in this process may talk to another machine.

        with forbid_requests():
            await model.generate("hi")  # RequestForbiddenError: a request to api.openai.com/...

    Also the name of a pytest fixture. Connections of other libraries are refused as well, as far
    as Python's own sockets make them.
    """
    with _SWITCH.lock:
        _SWITCH.depth += 1
        if not _SWITCH.hooked:
            _SWITCH.hooked = True
            sys.addaudithook(_audit)
    try:
        yield
    finally:
        with _SWITCH.lock:
            _SWITCH.depth -= 1


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _SWITCH.depth and event in _ASKED_FOR and (host := _ASKED_FOR[event](arguments)):
        raise RequestForbiddenError(host)


_audit.__cantrace__ = True  # type: ignore[attr-defined]  # so that coverage and debuggers see it


def _looked_up(arguments: tuple[Any, ...]) -> str:
    host = arguments[0]
    text = host.decode("utf-8", "replace") if isinstance(host, bytes) else host or ""
    return "" if not text or is_loopback(text) or _is_unspecified(text) else text


def _connected(arguments: tuple[Any, ...]) -> str:
    address = arguments[1]
    inet = isinstance(address, tuple) and address and isinstance(address[0], str)
    return _looked_up(address) if inet else ""


def _is_unspecified(host: str) -> bool:
    """Whether it is an address to listen at."""
    return host in ("0.0.0.0", "::")  # noqa: S104 -- compared with, not bound to


_ASKED_FOR = {
    "socket.getaddrinfo": _looked_up,
    "socket.gethostbyname": _looked_up,
    "socket.connect": _connected,
    "socket.sendto": _connected,
}
"""The events that tell of a connection, and the host that each is about; "" for this machine."""

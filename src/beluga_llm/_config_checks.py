"""What can be wrong with a configuration: every check gives its problems as text.

Nothing raises here, so that one error can list all of them (`check_config`, `ProviderSpec`).
The texts name the field and never show a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import attrs

from beluga_llm._capabilities import COUNTS, Capabilities
from beluga_llm._config import FIELD_NAMES, ProviderConfig, Secret
from beluga_llm._errors import ConfigError
from beluga_llm._option_ranges import (
    check_headers,
    check_timeout,
    option_problems,
    unsendable,
)
from beluga_llm._option_types import ReasoningConfig, Timeouts
from beluga_llm._options import KEYWORDS, NO_OPTIONS, SHORTCUTS, GenerateOptions, merge_options
from beluga_llm._redaction import public_url

OptionKind: TypeAlias = type[Any] | tuple[str, ...]
"""What a provider-specific option takes: a type, or the words that it may be."""

_CHOICES = {
    "unsupported_options": ("warn", "error", "ignore"),
    "unsupported_content": ("error", "drop"),
}
_NO_HOST = re.compile(r"[^\w.:%-]")
"""What stands in no host; quotes come from files of variables that keep them."""
_CAPABILITIES = frozenset(attribute.name for attribute in attrs.fields(Capabilities))


def check_config(
    config: ProviderConfig, options: Mapping[str, OptionKind], *, provider: str
) -> None:
    """Raises one ConfigError for everything that is wrong with a configuration.

    For providers without a ProviderSpec, which checks this and more by itself.

    Args:
        config: as given to the factory.
        options: the provider-specific options that exist, and what they take.
        provider: the entry name, for the error.

    Raises:
        ConfigError: lists all problems.
    """
    if problems := list(config_problems(config, options)):
        raise ConfigError.of(problems, provider=provider, op=f"{provider}.new")


def config_problems(config: ProviderConfig, options: Mapping[str, OptionKind]) -> Iterator[str]:
    """Everything wrong with the fields of a configuration that does not need a provider."""
    if config.model is not None and not isinstance(config.model, str):
        yield f"model must be a str, got {type(config.model).__name__}"
    yield from key_problems(config.api_key)
    if (problem := _timeout_problem(config.timeout)) is not None:
        yield problem
    if config.proxy is not None:
        yield from url_problems("proxy", config.proxy)
    yield from _network_problems(config)
    for name in ("headers", "query"):
        if problem := check_headers(name, getattr(config, name)):
            yield problem
    yield from _default_problems(config.defaults)
    yield from _option_problems(config.options, options)
    yield from _capability_problems(config.capabilities)
    for name, words in _CHOICES.items():
        if (value := getattr(config, name)) not in words:
            yield f"{name} must be {_either(words)}, got {value!r}"
    for name in ("trust_env", "parse_think_tags"):
        if not isinstance(value := getattr(config, name), bool):
            yield f"{name} must be a bool, got {value!r}"
    for name in ("pool_limit", "max_concurrency"):
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield f"{name} must be an integer of at least 1, got {value!r}"


def _network_problems(config: ProviderConfig) -> Iterator[str]:
    """What the transport could not work with, found without importing it."""
    session, transport, ssl = config.session, config.transport, config.ssl
    if session is not None and not hasattr(session, "closed"):
        yield f"session must be an aiohttp.ClientSession, got {type(session).__name__}"
    if transport is not None and not _can(transport, "request", "aclose"):
        yield f"transport must have request() and aclose(), got {type(transport).__name__}"
    if ssl is not None and not isinstance(ssl, bool) and not _can(ssl, "wrap_socket"):
        yield f"ssl must be an SSLContext or a bool, got {type(ssl).__name__}"


def _can(value: object, *methods: str) -> bool:
    return all(callable(getattr(value, method, None)) for method in methods)


def key_problems(key: Any) -> Iterator[str]:
    """What is wrong with a key: its type, or what no header can carry."""
    if key is None or callable(key):
        return
    if not isinstance(key, Secret):
        yield f"api_key must be a str, a Secret or a callable, got {type(key).__name__}"
    elif not isinstance(value := key.reveal(), str):
        yield f"api_key must be a str, got {type(value).__name__}"
    elif what := unsendable(value.strip()):
        yield f"api_key must not contain {what}"


def url_problems(name: str, url: Any) -> Iterator[str]:
    """What is wrong with an address; the texts show neither credentials nor a query."""
    if not isinstance(url, str):
        yield f"{name} must be a str, got {type(url).__name__}"
        return
    shown = public_url(url)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        why = "" if "@" in url else f" ({error})"  # the text may quote a password
        yield f"{name} is not an address: {shown!r}{why}"
        return
    if parts.scheme not in ("http", "https"):
        yield f"{name} must start with http:// or https://, got {shown!r}"
    elif not host:
        yield f"{name} has no host: {shown!r}"
    elif "#" in url:
        yield f"{name} must not have a fragment, got {shown!r}"
    elif any(sign.isspace() for sign in url):
        yield f"{name} must not contain spaces, got {shown!r}"
    elif what := unsendable(url):
        yield f"{name} must not contain {what}"
    elif _NO_HOST.search(host):
        yield f"{name} has a host that cannot be one: {shown!r}"


def _timeout_problem(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return "timeout must be > 0" if number and not value > 0 else check_timeout("timeout", value)


def _default_problems(defaults: Any) -> Iterator[str]:
    if isinstance(defaults, GenerateOptions):
        yield from option_problems(defaults)
        return
    if not isinstance(defaults, Mapping):
        yield f"defaults must be a mapping of options, got {type(defaults).__name__}"
        return
    for name in defaults:
        if name not in KEYWORDS:
            yield f"unknown option {name!r} in defaults{_near(name, KEYWORDS)}"
    known = {name: value for name, value in defaults.items() if name in KEYWORDS}
    if not isinstance(known.get("reasoning"), ReasoningConfig | None):
        known = {name: value for name, value in known.items() if name not in SHORTCUTS}
    yield from option_problems(merge_options(NO_OPTIONS, known))


def _option_problems(given: Any, known: Mapping[str, OptionKind]) -> Iterator[str]:
    if not isinstance(given, Mapping):
        yield f"options must be a mapping, got {type(given).__name__}"
        return
    for name, value in given.items():
        if name in known:
            if value is not None and (problem := _kind_problem(value, known[name])):
                yield f"option {name!r} must be {problem}"
        elif name == "max_retries":
            yield "max_retries is not an option: use model.with_middleware(with_retry())"
        else:
            listed = f"known: {', '.join(sorted(known))}" if known else "there are none"
            hint = (
                "; pass it in defaults="
                if name in KEYWORDS
                else _near(name, {*known, *FIELD_NAMES, *KEYWORDS})
            )
            yield f"unknown option {name!r} ({listed}){hint}"


def _kind_problem(value: Any, kind: OptionKind) -> str | None:
    if isinstance(kind, tuple):
        return None if value in kind else f"{_either(kind)}, got {value!r}"
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return None
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return None
    return f"{kind.__name__}, got {type(value).__name__}"


def _capability_problems(given: Any) -> Iterator[str]:
    if given is None or isinstance(given, Capabilities):
        return
    if not isinstance(given, Mapping):
        yield f"capabilities must be Capabilities or a mapping, got {type(given).__name__}"
        return
    if unknown := sorted(str(name) for name in given if name not in _CAPABILITIES):
        known = ", ".join(sorted(_CAPABILITIES))
        yield f"unknown capabilities: {', '.join(unknown)} (known: {known})"
    for name, value in given.items():
        if name == "tool_choice":
            words = isinstance(value, list | tuple | set | frozenset)
            if value is not None and not (words and all(isinstance(word, str) for word in value)):
                yield f"capability 'tool_choice' must be a set of str, got {value!r}"
        elif name in COUNTS:
            if value is not None and (type(value) is not int or value < 1):
                yield f"capability {name!r} must be a number of tokens or None, got {value!r}"
        elif name in _CAPABILITIES and not isinstance(value, bool | None):
            yield f"capability {name!r} must be a bool or None, got {value!r}"


def capabilities_of(given: Capabilities | Mapping[str, Any] | None) -> Capabilities | None:
    """Checked capabilities as a value; lists, as files have them, become sets."""
    if given is None or isinstance(given, Capabilities):
        return given
    choices = given.get("tool_choice")
    values = {**given, "tool_choice": None if choices is None else frozenset(choices)}
    return Capabilities(**values)


def time_limits(value: Any) -> Any:
    """A mapping of limits, as files have it, as Timeouts; every other value as it is.

    Raises:
        ConfigError: the mapping has other names.
    """
    if not isinstance(value, Mapping):
        return value
    known = [attribute.name for attribute in attrs.fields(Timeouts)]
    if unknown := [str(name) for name in value if name not in known]:
        raise ConfigError(f"unknown limits in timeout: {', '.join(unknown)} ({', '.join(known)})")
    return Timeouts(**value)


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(repr(word) for word in words)


def _near(name: Any, known: Any) -> str:
    import difflib

    near = difflib.get_close_matches(str(name), sorted(known), n=1, cutoff=0.7)
    return f"; did you mean {near[0]!r}?" if near else ""

"""What a provider is configured with."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, TypeAlias, TypeVar, overload

from attrs import evolve, field, fields, frozen

from beluga_llm._capabilities import Capabilities
from beluga_llm._errors import ConfigError
from beluga_llm._frozen import EMPTY, freeze_mapping
from beluga_llm._option_types import Timeouts
from beluga_llm._redaction import HIDDEN, public_url

if TYPE_CHECKING:
    import ssl as ssl_module

    import aiohttp

T = TypeVar("T")
_NOTHING: Any = object()


class Secret(str):
    """A value that shows "***" everywhere; `reveal()` gives it away. It cannot be pickled.

    It is a str whose text is "***", so that JSON encoders, `%`, `join` and `encode` show no more
    than `str` and `repr` do.
    """

    __slots__ = ("_value",)
    _value: str

    def __new__(cls, value: str) -> Self:
        made = super().__new__(cls, HIDDEN)
        made._value = value.reveal() if isinstance(value, Secret) else value
        return made

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def __str__(self) -> str:
        return HIDDEN  # an exact str, not this object

    def __repr__(self) -> str:
        return f"Secret({HIDDEN!r})"

    def __bool__(self) -> bool:
        return bool(self._value.strip())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __ne__(self, other: object) -> bool:  # str has its own
        return not self == other

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self


KeySource: TypeAlias = str | Secret | Callable[[], str | Awaitable[str]]


def _key(value: KeySource | None) -> Secret | Callable[[], str | Awaitable[str]] | None:
    return Secret(value) if isinstance(value, str) else value


def _hidden_key(value: Any) -> str:
    return repr(value) if value is None or isinstance(value, Secret) or callable(value) else HIDDEN


def _timeouts(value: float | Timeouts | None) -> float | Timeouts:
    return Timeouts() if value is None else value


def _options(value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A read-only copy; what is no mapping stays, for the check to name."""
    return freeze_mapping(value) if value is None or isinstance(value, Mapping) else value


def _strings(value: Mapping[str, str] | None) -> Mapping[str, str]:
    """A read-only copy; what is no mapping stays, for the check to name."""
    return freeze_mapping(value) if value is None or isinstance(value, Mapping) else value


def _hidden(values: Mapping[str, str]) -> str:
    return str(dict.fromkeys(values, HIDDEN)) if isinstance(values, Mapping) else HIDDEN


_TELLING = re.compile(r"key|secret|token(?!s)|password|credential|auth|extra_", re.IGNORECASE)


def shown_options(values: Mapping[str, Any]) -> str:
    """Options without those whose name says that they may be secret."""
    if not isinstance(values, Mapping):
        return HIDDEN
    return str({k: HIDDEN if _TELLING.search(str(k)) else v for k, v in values.items()})


def _public_url(value: Any) -> str:
    return repr(public_url(value) if isinstance(value, str) else value)


@frozen(kw_only=True)
class ProviderConfig:
    """What a provider is made from; checked when the model is made, not before.

    Attributes:
        provider: the entry name.
        model: the model id.
        api_key: a str, a Secret, or a callable (sync or async) that gives the current key and is
            asked for every request.
        base_url: the API's address with its version path.
        timeout: total seconds of a call, or Timeouts.
        headers, query: added to every request.
        defaults: options of every call, the lowest layer.
        options: what only this provider knows, such as a region.
        capabilities: facts about the model that go before the provider's own.
        unsupported_options: what to do with options that the provider lacks.
        unsupported_content: what to do with parts that the provider cannot take.
        session: an aiohttp.ClientSession of the caller's; used as it is, never closed by us.
        transport: an object with the Transport protocol, instead of aiohttp.
        proxy, ssl, trust_env: network settings, handed to aiohttp.
        pool_limit: connections at a time.
        max_concurrency: how many calls a batch has under way.
        parse_think_tags: turn inline `<think>` text into reasoning.
    """

    provider: str = ""
    model: str | None = None
    api_key: Secret | Callable[[], str | Awaitable[str]] | None = field(
        default=None, converter=_key, repr=_hidden_key
    )
    base_url: str | None = field(default=None, repr=_public_url)
    timeout: float | Timeouts = field(default=None, converter=_timeouts)
    headers: Mapping[str, str] = field(default=EMPTY, converter=_strings, repr=_hidden)
    query: Mapping[str, str] = field(default=EMPTY, converter=_strings, repr=_hidden)
    defaults: Mapping[str, Any] = field(default=EMPTY, converter=_options, repr=shown_options)
    options: Mapping[str, Any] = field(default=EMPTY, converter=_options, repr=shown_options)
    capabilities: Capabilities | Mapping[str, Any] | None = None
    unsupported_options: Literal["warn", "error", "ignore"] = "warn"
    unsupported_content: Literal["error", "drop"] = "error"
    session: aiohttp.ClientSession | None = field(default=None, repr=False)
    transport: Any = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    ssl: ssl_module.SSLContext | bool | None = None
    trust_env: bool = False
    pool_limit: int = 1000
    max_concurrency: int = 5
    parse_think_tags: bool = False
    from_file: frozenset[str] = field(default=frozenset(), repr=False, eq=False)

    @classmethod
    def of(cls, base: ProviderConfig | None = None, /, **values: Any) -> ProviderConfig:
        """A configuration from keywords; what is no field of this class goes to `options`.

        Values that are None leave those of `base`.
        """
        base = base or cls()
        given = {name: value for name, value in values.items() if value is not None}
        changes = {name: given.pop(name) for name in list(given) if name in FIELD_NAMES}
        options = changes.get("options", {})
        from_file = base.from_file - set(changes) - set(given)
        if isinstance(options, Mapping) and isinstance(base.options, Mapping):
            changes["options"] = {**base.options, **options, **given}
            from_file -= set(options)
        return evolve(base, **changes, from_file=from_file)

    @classmethod
    def from_env(cls, provider: str, prefix: str) -> ProviderConfig:
        """A configuration from PREFIX_MODEL, _API_KEY, _BASE_URL and _TIMEOUT (seconds).

        Raises:
            ConfigError: a variable cannot be parsed; the message names it.
        """
        from beluga_llm._environment import config_from_env

        return config_from_env(provider, prefix)

    @overload
    def option(self, name: str, kind: type[T]) -> T | None: ...
    @overload
    def option(self, name: str, kind: type[T], default: T) -> T: ...
    def option(self, name: str, kind: type[T], default: Any = None) -> T | None:
        """A provider-specific option of the type given, or the default where it is not set.

        Raises:
            ConfigError: it has another type.
        """
        value = self.options.get(name, _NOTHING)
        if value is _NOTHING or value is None:
            return default  # type: ignore[no-any-return]  # T or None
        wrong_bool = isinstance(value, bool) and kind in (int, float)
        if kind is float and isinstance(value, int) and not wrong_bool:
            value = float(value)
        if wrong_bool or not isinstance(value, kind):
            raise ConfigError(
                f"option {name!r} must be {kind.__name__}, got {type(value).__name__}",
                provider=self.provider or None,
            )
        return value


FIELD_NAMES = frozenset(attribute.name for attribute in fields(ProviderConfig)) - {"from_file"}

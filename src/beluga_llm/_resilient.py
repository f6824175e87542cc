"""The layers that keep an application up, in the order in which they belong.

Outermost first: cache, fallback, retry, circuit breaker, limits. Every attempt takes a limiter
slot; an open breaker is not retried but is failed over; each model has a breaker of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from beluga_llm._breaker import BreakerPolicy
from beluga_llm._caching.stores import CacheStore
from beluga_llm._call import Middleware
from beluga_llm._delegating import as_model
from beluga_llm._errors import ConfigError
from beluga_llm._model import ChatModel
from beluga_llm._rate.settings import ProviderLimits
from beluga_llm._registry import LAYER_KEYS
from beluga_llm.middleware.breaker import CircuitBreaker, with_circuit_breaker
from beluga_llm.middleware.cache import Cache, with_cache
from beluga_llm.middleware.fallback import with_fallback
from beluga_llm.middleware.limits import Limiter, with_limits
from beluga_llm.middleware.retry import Retry, RetryPolicy, with_retry

Switch: TypeAlias = Mapping[str, Any] | bool | None
"""Settings by name; True or None for the usual ones, False for no such layer."""


def resilient(
    model: ChatModel | str,
    fallbacks: Iterable[ChatModel | str] = (),
    *,
    retry: RetryPolicy | Retry | Switch = None,
    limits: ProviderLimits | Limiter | Switch = None,
    breaker: BreakerPolicy | Switch = None,
) -> ChatModel:
    """The model with retries, a circuit breaker and limits, and other models to fall back to.

        model = resilient("openai/gpt-5.4-mini", ["anthropic/claude-haiku-5-5"])

    Each model, the fallbacks too, gets a retry, a breaker and a limiter of its own.

    Args:
        model: the model, or its name.
        fallbacks: models that answer, in order, when it cannot.
        retry: a RetryPolicy or its fields by name; None: the usual one; False: no retries.
        limits: ProviderLimits or their fields by name; None: only what the provider's 429 teach;
            False: none at all.
        breaker: a BreakerPolicy or its fields by name; None: the usual one; False: none.

    Raises:
        ConfigError: settings are wrong.
    """
    if isinstance(breaker, CircuitBreaker):
        raise ConfigError("breaker: give its settings, since each model gets one of its own")
    given = {"retry": retry, "circuit_breaker": breaker, "limits": limits}
    wanted = {key: value for key, value in given.items() if value is not False}

    def guarded(one: ChatModel | str) -> ChatModel:
        return as_model(one).with_middleware(*_made(wanted, _layer))

    first, others = guarded(model), [guarded(one) for one in fallbacks]
    return first.with_middleware(with_fallback(*others)) if others else first


def _made(wanted: Mapping[str, Any], make: Callable[[str, Any], Middleware]) -> list[Middleware]:
    """The layers that are wanted, in their order.

    Raises:
        ConfigError: lists all problems, each with its key.
    """
    found: list[Middleware] = []
    problems = []
    for key, given in wanted.items():
        try:
            found.append(make(key, given))
        except ConfigError as error:
            problems.append(f"{key}: {error.message}")
        except TypeError as error:  # an unknown keyword
            problems.append(f"{key}: {error}")
    if problems:
        raise ConfigError.of(problems)
    return found


class _Kind(NamedTuple):
    """A kind of layer: what makes it, what it is, and what settings for it may be."""

    make: Callable[..., Middleware]
    layer: type[Middleware]
    settings: type


_KINDS: Mapping[str, _Kind] = {
    "cache": _Kind(with_cache, Cache, CacheStore),
    "retry": _Kind(with_retry, Retry, RetryPolicy),
    "circuit_breaker": _Kind(with_circuit_breaker, CircuitBreaker, BreakerPolicy),
    "limits": _Kind(with_limits, Limiter, ProviderLimits),
}


def _layer(key: str, given: Any) -> Middleware:
    """The layer that settings in any form mean."""
    kind = _KINDS[key]
    if given is None or given is True:
        return kind.make()
    if isinstance(given, Mapping):
        return kind.make(**given)
    if isinstance(given, kind.layer):
        return given
    if isinstance(given, kind.settings):
        return kind.make(given)
    raise ConfigError(
        f"settings by name or a {kind.settings.__name__} are expected, got {type(given).__name__}"
    )


def layers_of(
    config: Mapping[str, Any], create: Callable[[Mapping[str, Any]], ChatModel]
) -> list[Middleware]:
    """The layers that a configuration asks for, outermost first.

    Args:
        config: `retry`, `circuit_breaker`, `limits` and `cache`: settings by name, a settings
            object, or True for the usual ones; `fallback`: a list of configurations, model strings
            or models. A key that is missing, None or False is no layer.
        create: makes a model of a configuration.

    Raises:
        ConfigError: lists the keys whose settings are wrong.
    """

    def make(key: str, given: Any) -> Middleware:
        if key == "fallback":
            return with_fallback(*_models(given, create))
        return _layer(key, given)

    given = {key: config.get(key) for key in LAYER_KEYS}
    return _made({k: v for k, v in given.items() if v is not None and v is not False}, make)


def _models(given: Any, create: Callable[[Mapping[str, Any]], ChatModel]) -> list[ChatModel]:
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise ConfigError(f"a list of models is expected, got {type(given).__name__}")
    found, problems = [], []
    for one in given:
        try:
            named = {"provider": one} if isinstance(one, str) else one
            found.append(create(named) if isinstance(named, Mapping) else as_model(named))
        except ConfigError as error:
            problems.append(error.message)
    if problems:
        raise ConfigError.of(problems)
    return found

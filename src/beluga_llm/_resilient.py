"""The layers that keep an application up, in the order in which they belong.

Outermost first: cache, fallback, retry, circuit breaker, limits. Every attempt takes a limiter
slot; an open breaker is not retried but is failed over; each model has a breaker of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from beluga_llm._breaker import BreakerPolicy
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

    def guarded(one: ChatModel | str) -> ChatModel:
        layers = _layers(
            (retry, with_retry), (breaker, with_circuit_breaker), (limits, with_limits)
        )
        return as_model(one).with_middleware(*layers)

    first, others = guarded(model), [guarded(one) for one in fallbacks]
    return first.with_middleware(with_fallback(*others)) if others else first


def _layers(*wanted: tuple[Any, Callable[..., Any]]) -> Iterator[Middleware]:
    for given, make in wanted:
        if given is not False:
            yield _layer(given, make)


def _layer(given: Any, make: Callable[..., Any]) -> Any:
    """The layer that settings in any form mean."""
    if given is None or given is True:
        return make()
    if isinstance(given, Mapping):
        return make(**given)
    if isinstance(given, Retry | Limiter | CircuitBreaker | Cache):
        return given
    if isinstance(given, RetryPolicy | ProviderLimits | BreakerPolicy) or hasattr(given, "aclose"):
        return make(given)
    raise ConfigError(f"settings by name are expected, got {type(given).__name__}")


_MAKERS: Mapping[str, Callable[..., Any]] = {
    "cache": with_cache,
    "retry": with_retry,
    "circuit_breaker": with_circuit_breaker,
    "limits": with_limits,
}


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
    found: list[Middleware] = []
    problems = []
    for key in LAYER_KEYS:
        given = config.get(key)
        if given is None or given is False:
            continue
        try:
            if key == "fallback":
                found.append(with_fallback(*_models(given, create)))
            else:
                found.append(_layer(given, _MAKERS[key]))
        except ConfigError as error:
            problems.append(f"{key}: {error.message}")
        except TypeError as error:  # an unknown keyword
            problems.append(f"{key}: {error}")
    if problems:
        raise ConfigError.of(problems)
    return found


def _models(
    given: Any, create: Callable[[Mapping[str, Any]], ChatModel]
) -> Iterator[ChatModel | str]:
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise ConfigError(f"a list of models is expected, got {type(given).__name__}")
    for one in given:
        yield create(one) if isinstance(one, Mapping) else one

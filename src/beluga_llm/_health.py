"""Whether models can be used: `check_health` and `check_all`.

Without a probe nothing is sent, and what is known here is told. A probe asks the provider itself,
past all middleware, for the cheapest thing that it has: its list of models, else one token. So a
check neither waits for limits nor counts in a circuit breaker, but an open breaker shows in it.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from beluga_llm._accept import begin
from beluga_llm._breaker import BreakerState
from beluga_llm._call import Call, complete
from beluga_llm._errors import BelugaError, RateLimitError
from beluga_llm._options import GenerateOptions

if TYPE_CHECKING:
    from beluga_llm._model import ChatModel

PROBE = "health.probe"
PROBE_TIMEOUT = 10.0
"""Seconds within which a probe must have been answered."""

_LONGEST_DETAIL = 500


class HealthState(StrEnum):
    """How well a model can be used."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class Health(msgspec.Struct, frozen=True):
    """What a check of a model found.

    Attributes:
        state: healthy, degraded (rate limited, or a circuit breaker is not closed) or unhealthy.
        provider: the model's provider.
        model: the model's id.
        timestamp: when the check ended, in unix seconds.
        api_key_set: whether there is a key; whether it is a good one, only a probe tells.
        tools_count: how many tools are bound.
        latency: how long the probe took, in seconds; None where nothing was sent.
        detail: why the model is not healthy, with the code of the error; "" where it is.
    """

    state: HealthState
    provider: str
    model: str
    timestamp: float
    api_key_set: bool
    tools_count: int
    latency: float | None = None
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Six keys in plain types, ready for JSON; after a probe `latency` and `detail` too."""
        found = msgspec.to_builtins(self)
        if self.latency is None:
            del found["latency"], found["detail"]
        return dict(found)


async def check_all(models: Mapping[str, ChatModel], *, probe: bool = False) -> dict[str, Health]:
    """The health of several models, checked at the same time, under the same names.

        health = await check_all({"main": main, "backup": backup}, probe=True)

    Args:
        models: models by name.
        probe: send each the cheapest request that its provider has.

    Raises:
        TypeError: these are no models by name.
    """
    _check_models(models)
    found = await checked(models.values(), probe=probe)
    return dict(zip(models, found, strict=True))


def _check_models(models: Any) -> None:
    from beluga_llm._model import ChatModel

    if not isinstance(models, Mapping):
        kind = type(models).__name__
        raise TypeError(f"check_all takes models by name, as in {{'main': model}}, not a {kind}")
    for name, model in models.items():
        if not isinstance(model, ChatModel):
            raise TypeError(f"{name!r} must be a ChatModel, not a {type(model).__name__}")


async def checked(models: Iterable[ChatModel], *, probe: bool) -> list[Health]:
    """The health of each of some models, in their order."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_safely(model, probe)) for model in models]
    return [task.result() for task in tasks]


async def _safely(model: ChatModel, probe: bool) -> Health:
    """Also of a model whose own check fails."""
    begun = time.monotonic()
    try:
        return await model.check_health(probe=probe)
    except Exception as error:  # noqa: BLE001 -- a check tells, it does not raise
        state, detail = _judged(error)
        latency = time.monotonic() - begun if probe else None
        return _health(model, state=state, latency=latency, detail=detail)


async def own_health(model: ChatModel, *, probe: bool) -> Health:
    """The health of a model that asks a provider itself."""
    if not probe:
        return _health(model)
    begun, state, detail = time.monotonic(), HealthState.HEALTHY, ""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            await model._probe()
    except Exception as error:  # noqa: BLE001 -- likewise
        state, detail = _judged(error)
    return _health(model, state=state, latency=time.monotonic() - begun, detail=detail)


async def joint_health(model: ChatModel, models: Iterable[ChatModel], *, probe: bool) -> Health:
    """The health of a model that uses several: unhealthy where none of them can be used."""
    each = list(models)
    found = await checked(each, probe=probe)
    states = {health.state for health in found}
    state = states.pop() if len(states) == 1 else HealthState.DEGRADED
    detail = "; ".join(
        f"{one.qualified_id}: {health.detail or health.state.value}"
        for one, health in zip(each, found, strict=True)
        if health.state is not HealthState.HEALTHY
    )
    latencies = [health.latency for health in found if health.latency is not None]
    return msgspec.structs.replace(
        _health(model, state=state, latency=max(latencies, default=None), detail=detail),
        api_key_set=all(health.api_key_set for health in found),
    )


def with_breakers(health: Health, layers: Iterable[Any]) -> Health:
    """The health of what has these layers around it: a breaker that is not closed degrades it."""
    states = (getattr(layer, "state", None) for layer in layers)
    waiting = [state for state in states if state in (BreakerState.OPEN, BreakerState.HALF_OPEN)]
    if not waiting:
        return health
    state = max(health.state, HealthState.DEGRADED, key=list(HealthState).index)
    told = f"circuit breaker {BreakerState(waiting[0]).value}"
    detail = f"{told}; {health.detail}" if health.detail else told
    return msgspec.structs.replace(health, state=state, detail=detail)


async def one_token(model: ChatModel) -> None:
    """Asks a model for one token, without its layers, tools and what it is asked otherwise."""
    own = model._options
    options = GenerateOptions(
        model=own.model,
        max_tokens=1,
        provider_options=own.provider_options,
        extra_headers=own.extra_headers,
        extra_query=own.extra_query,
        extra_body=own.extra_body,
    )
    bare = model._copy(_layers=(), _tools=(), _options=options)
    call = Call(PROBE, model.provider, model.model_id)
    await complete(functools.partial(begin, bare, "Hi", None, {}), call)


def _health(
    model: ChatModel,
    *,
    state: HealthState = HealthState.HEALTHY,
    latency: float | None = None,
    detail: str = "",
) -> Health:
    return Health(
        state,
        model.provider,
        model.model_id,
        timestamp=time.time(),
        api_key_set=bool(model._config.api_key),
        tools_count=len(model._tools),
        latency=latency,
        detail=detail,
    )


def _judged(error: Exception) -> tuple[HealthState, str]:
    """What an error says of a model. Of foreign errors the text is not shown: who knows it?"""
    if isinstance(error, BelugaError):
        limited = isinstance(error, RateLimitError)
        state = HealthState.DEGRADED if limited else HealthState.UNHEALTHY
        return state, " ".join(str(error).split())[:_LONGEST_DETAIL]
    if isinstance(error, TimeoutError):
        return HealthState.UNHEALTHY, f"timeout: no answer within {PROBE_TIMEOUT:g} s"
    return HealthState.UNHEALTHY, f"error: {type(error).__name__}"

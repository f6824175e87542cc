"""Calls that are not made while a provider is down.

    breaker = with_circuit_breaker(failure_threshold=3)
    model = model.with_middleware(with_fallback(other), with_retry(), breaker)
    breaker.state

One breaker for each model: several models behind one value would be judged together. Put it inside
of retry and fallback: an open breaker is not retried, but is failed over at once.
"""

from __future__ import annotations

from typing import Any

from beluga_llm._breaker import (
    BreakerPolicy,
    BreakerState,
    BreakerStats,
    Circuit,
    Failure,
)
from beluga_llm._call import CallNext, Chunks
from beluga_llm._clock import SYSTEM_CLOCK, Clock
from beluga_llm._errors import BelugaError, CircuitOpenError, RateLimitError
from beluga_llm._events import tell
from beluga_llm._request import ChatRequest
from beluga_llm._routing.attempts import is_transient
from beluga_llm.middleware._settings import configured


class CircuitBreaker:
    """The layer of `with_circuit_breaker`: it fails at once where calls have failed too often.

    Attributes:
        policy: when it opens and closes.

    Args:
        policy: likewise; its fields may be given as keywords instead, or over it.
        clock: what tells the time.
        **settings: fields of BreakerPolicy.

    Raises:
        ConfigError: lists all settings that are wrong.
    """

    def __init__(
        self, policy: BreakerPolicy | None = None, *, clock: Clock | None = None, **settings: Any
    ) -> None:
        self.policy = configured(policy or BreakerPolicy(), settings)
        self._circuit = Circuit(self.policy, clock or SYSTEM_CLOCK)
        self._told = BreakerState.CLOSED

    @property
    def state(self) -> BreakerState:
        """Whether calls are let through: closed, open or half_open."""
        return self._circuit.state

    def stats(self) -> BreakerStats:
        """How it stands."""
        return self._circuit.stats()

    def trip(self) -> None:
        """Opens it now, for `reset_timeout`."""
        self._circuit.trip()

    def reset(self) -> None:
        """Closes it now, and forgets all results."""
        self._circuit.reset()

    async def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the call, if it is let through."""
        circuit = self._circuit
        permit = circuit.enter()
        if isinstance(permit, float):
            raise self._refusal(request, permit)
        try:
            if request.call is not None and permit.expires is not None:
                request.call.on_drop.append(lambda: circuit.left(permit))
            await self._tell(request)
            async for chunk in call_next(request):
                yield chunk
            circuit.succeeded(permit)
        except Exception as error:
            if _counts(error):
                asked = error.retry_after if isinstance(error, BelugaError) else None
                circuit.failed(permit, Failure.of(error), asked)
            await self._tell(request)
            raise
        finally:
            circuit.left(permit)
        await self._tell(request)

    def _refusal(self, request: ChatRequest, seconds: float) -> CircuitOpenError:
        info = request.model
        return CircuitOpenError(
            f"circuit open for {info.provider}/{info.model_id}, retry in {seconds:.1f} s",
            state=self._circuit.state.value,
            last_error=self._circuit.last_error,
            provider=info.provider or None,
            model_id=info.model_id or None,
            retry_after=seconds,
        )

    async def _tell(self, request: ChatRequest) -> None:
        """Tells the state where it is another one than was told last."""
        state = self._circuit.state
        if state is not self._told:
            self._told, info = state, request.model
            facts = {"provider": info.provider, "model_id": info.model_id}
            await tell(request.call, "breaker", state=state.value, **facts)

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.state.value}>"


def _counts(error: Exception) -> bool:
    """Whether an error says that the provider is in trouble."""
    if isinstance(error, CircuitOpenError):
        return False  # of another breaker, further inside: nothing was sent
    if isinstance(error, RateLimitError) and error.governed:
        return False  # limits inside of the breaker hold requests back already
    return is_transient(error)


def with_circuit_breaker(
    breaker: CircuitBreaker | BreakerPolicy | None = None,
    *,
    clock: Clock | None = None,
    **settings: Any,
) -> CircuitBreaker:
    """A layer that makes no calls while a provider is down: they fail at once instead.

        breaker = with_circuit_breaker(failure_threshold=3, reset_timeout=20)

    Use one for each model; all copies of that model share it.

    Args:
        breaker: one that exists, or when to open and close; fields of BreakerPolicy may be given
            as keywords instead, or over it.
        clock: what tells the time.
        **settings: fields of BreakerPolicy.

    Raises:
        ConfigError: lists all settings that are wrong.
        TypeError: settings are given for a breaker that exists.
    """
    if not isinstance(breaker, CircuitBreaker):
        return CircuitBreaker(breaker, clock=clock, **settings)
    if settings or clock is not None:
        raise TypeError("a CircuitBreaker has its settings already: give them where it is made")
    return breaker

"""No more requests than the provider allows.

    model = model.with_middleware(with_retry(), with_limits(rpm=600, tpm=200_000))

Limits that are declared hold exactly; those that are not are learned from 429 answers, together by
all who use the same model with the same key. A request waits until it has a place in all limits,
takes them at once, and holds its slot until it has ended. What waits takes nothing.

Put it inside of a retry: every attempt needs a place.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from typing import Any

import attrs

from beluga_llm._call import CallNext, Chunks
from beluga_llm._chunks import StreamChunk
from beluga_llm._clock import SYSTEM_CLOCK, Clock
from beluga_llm._errors import InvalidRequestError, RateLimitError
from beluga_llm._events import tell
from beluga_llm._log_records import log_facts
from beluga_llm._rate.line import Line
from beluga_llm._rate.local import LocalLimits
from beluga_llm._rate.settings import ProviderLimits
from beluga_llm._rate.store import LimitDemand, LimitPlace, LimitRefusal, LimitStore
from beluga_llm._rate.window import NEAR
from beluga_llm._request import ChatRequest
from beluga_llm._tokens import SimpleTokenizer, Tokenizer
from beluga_llm._usage import NO_USAGE
from beluga_llm._waiting import time_left
from beluga_llm.middleware._settings import configured

logger = logging.getLogger("beluga_llm.limits")

OUTPUT = 512
"""Tokens that an answer is thought to have, where `max_tokens` does not say."""

NOTICED = 1.0
"""Seconds; longer waits are logged."""

PATIENCE = 600.0
"""Seconds that a provider may ask to wait for, where `max_wait` says nothing; more is an error."""


class Limiter:
    """The layer of `with_limits`: all models that it is put around share its limits.

    Attributes:
        limits: the settings.
    """

    def __init__(
        self, limits: ProviderLimits, *, store: LimitStore, tokenizer: Tokenizer, clock: Clock
    ) -> None:
        self.limits = limits
        self._store = store
        self._tokenizer = tokenizer
        self._clock = clock
        self._lines: dict[asyncio.AbstractEventLoop, Line] = {}

    @property
    def running(self) -> int:
        """How many requests hold a place."""
        return self._store.running

    @property
    def waiting(self) -> int:
        """How many requests wait for a place."""
        return sum(line.count for line in tuple(self._lines.values()) if not line.loop.is_closed())

    async def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the answer, once there is a place for the request."""
        demand, began = self._demand(request), self._clock.time()
        run = _Run(self, await self._enter(request, demand))
        try:
            if request.call is not None:
                request.call.on_drop.append(run.end)
            waited = self._clock.time() - began
            if waited > NEAR:
                await _tell(request, waited)
            async for chunk in call_next(request):
                if not run.answered or chunk.usage is not None:
                    run.heard(chunk)
                yield chunk
            run.complete()
        except Exception as error:
            run.failed(error)
            await self._store.flush()
            raise
        finally:
            run.end()
        await self._store.flush()

    def _demand(self, request: ChatRequest) -> LimitDemand:
        limits, tokens = self.limits, 0
        if limits.tpm:
            tokens = self._tokenizer.count_messages(request.messages, request.tools)
            tokens += request.options.max_tokens or OUTPUT
            if tokens > limits.tpm:
                raise InvalidRequestError(
                    f"request needs about {tokens} tokens but the limit is {limits.tpm} per minute"
                )
        return LimitDemand(request.model.state_key, limits, tokens)

    # --- waiting -----------------------------------------------------------------------------

    async def _enter(self, request: ChatRequest, demand: LimitDemand) -> LimitPlace:
        if self.limits.on_limit == "raise":
            return await self._enter_or_raise(request, demand)
        line, until = self._line(), self._clock.time() + self.limits.patience
        if line.count and min(self.limits.patience, time_left(request)) < math.inf:
            self._look_ahead(request, demand, line)
        waiter, refused = line.join(demand.key, demand.tokens), False
        try:
            while True:
                waiter.listen()
                rest = left = until - self._clock.time()
                if line.is_turn_of(waiter):
                    answer = await self._store.take(demand)
                    refused = isinstance(answer, LimitRefusal)
                    if not isinstance(answer, LimitRefusal):
                        return answer
                    line.hold(waiter, by_gate=answer.name == "provider")
                    self._check(answer, request, left)
                    rest = min(left, answer.rest)
                if left <= NEAR:
                    raise _governed(f"no place within {self.limits.patience:g} s (max_wait)")
                await waiter.rest(self._clock, rest)
        finally:
            if refused:
                self._store.leave(demand)
            line.leave(waiter)

    def _look_ahead(self, request: ChatRequest, demand: LimitDemand, line: Line) -> None:
        """Raises RateLimitError where the line is too long already."""
        ahead = line.ahead_of(demand.key)
        count, tokens = sum(map(len, ahead)), 0
        if demand.tokens:
            tokens = sum(waiter.tokens for queue in ahead for waiter in queue)
        outlook = self._store.outlook(demand, count=count, tokens=tokens)
        if outlook is not None:
            self._check(outlook, request, self.limits.patience)

    async def _enter_or_raise(self, request: ChatRequest, demand: LimitDemand) -> LimitPlace:
        answer = await self._store.take(demand)
        cooldown = self.limits.cooldown or math.inf
        in_time = cooldown < math.inf and cooldown <= min(self.limits.patience, time_left(request))
        if isinstance(answer, LimitRefusal) and in_time:
            await self._clock.sleep(cooldown)
            answer = await self._store.take(demand)
        if isinstance(answer, LimitRefusal):
            raise _no_place(answer)
        return answer

    def _check(self, refusal: LimitRefusal, request: ChatRequest, left: float) -> None:
        """Raises RateLimitError where a wait is known to be too long."""
        seconds, in_time = refusal.seconds, time_left(request)
        if seconds == math.inf:
            return
        if seconds > left + NEAR:
            raise _no_place(refusal, f"later than max_wait ({self.limits.patience:g} s) allows")
        if seconds > in_time:
            raise _no_place(refusal, f"after the deadline in {max(in_time, 0.0):.1f} s")
        if refusal.name == "provider" and left == math.inf and seconds > PATIENCE:
            raise _no_place(refusal, "set max_wait to wait for so long")

    def _line(self) -> Line:
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            for dead in [known for known in tuple(self._lines) if known.is_closed()]:
                self._lines.pop(dead, None)
            line = self._lines[loop] = Line(loop)
        return line

    def ring(self) -> None:
        """Has those ask again who wait: something was given back."""
        for line in tuple(self._lines.values()):
            line.ring()

    def __repr__(self) -> str:
        fields = attrs.fields(ProviderLimits)
        given = [(one.name, getattr(self.limits, one.name), one.default) for one in fields]
        shown = ", ".join(f"{name}={value!r}" for name, value, usual in given if value != usual)
        return f"with_limits({shown})"


class _Run:
    """One request that has a place.

    Attributes:
        answered: whether anything has come.
    """

    def __init__(self, limiter: Limiter, place: LimitPlace) -> None:
        self._limiter, self._place = limiter, place
        self.answered = False
        self._usage = NO_USAGE
        self._failed = False
        self._ended = False

    def heard(self, chunk: StreamChunk) -> None:
        """Takes note of the first chunk, and of usage."""
        if not self.answered:
            self.answered = True
            facts = chunk.metadata.get("rate_limit")
            self._place.accepted(facts if isinstance(facts, Mapping) else None)
            self._limiter.ring()
        if chunk.usage is not None:
            self._usage = self._usage.merged(chunk.usage)

    def complete(self) -> None:
        """The answer has come to its end."""
        if not self.answered:
            self._place.accepted(None)
        self.end()

    def failed(self, error: Exception) -> None:
        """The request failed; a 429 is told to all who ask the same model."""
        self._failed = True
        if isinstance(error, RateLimitError) and not error.governed:
            self._place.refused(error.retry_after)
            error.governed = self._limiter.limits.adaptive
        self.end()

    def end(self) -> None:
        """Gives the place back; once, and synchronously."""
        if self._ended:
            return
        self._ended = True
        tokens = self._usage.total_tokens
        if tokens is None and (self._failed or not self.answered):
            tokens = 0
        self._place.release(tokens)
        self._limiter.ring()


def with_limits(
    limits: ProviderLimits | None = None,
    store: LimitStore | str | None = None,
    *,
    tokenizer: Tokenizer | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> Limiter:
    """A layer that keeps requests within a provider's limits.

        model = model.with_middleware(with_limits(rpm=600, max_concurrent=20))

    All models and copies around which the same value is put share its limits. Without any limit it
    still learns from 429 answers; `adaptive=False` turns that off.

    Args:
        limits: what is allowed; its fields may be given as keywords instead, or over it.
        store: keeps the counts for several processes, or its URL, such as "redis://host/0"; None:
            in the memory of this one.
        tokenizer: estimates the tokens of requests.
        clock: what tells the time and waits.
        **settings: fields of ProviderLimits.

    Raises:
        ConfigError: lists all settings that are wrong.
        ProviderNotFoundError: no plugin that is installed has stores of that name.
    """
    clock = clock or SYSTEM_CLOCK
    if isinstance(store, str):
        from beluga_llm._named_stores import limit_stores, open_named

        store = open_named(limit_stores, store)
    return Limiter(
        configured(limits or ProviderLimits(), settings),
        store=store or LocalLimits(clock=clock),
        tokenizer=tokenizer or SimpleTokenizer(),
        clock=clock,
    )


async def _tell(request: ChatRequest, seconds: float) -> None:
    """Tells of a wait; one that somebody notices is logged."""
    info = request.model
    if seconds > NOTICED:
        logger.info(
            "waited %.1f s for a place to ask %s/%s",
            seconds,
            info.provider,
            info.model_id,
            extra={**log_facts(request), "seconds": seconds},
        )
    facts = {"provider": info.provider, "model_id": info.model_id}
    await tell(request.call, "limit_wait", seconds=seconds, **facts)


def _no_place(refusal: LimitRefusal, why: str = "") -> RateLimitError:
    text = "the provider's limit is reached"
    if refusal.name != "provider":
        text = f"{refusal.name} limit exceeded"
    if why:
        text += f": a place is free in {refusal.seconds:.1f} s, {why}"
    return _governed(text, None if refusal.seconds == math.inf else refusal.seconds)


def _governed(text: str, retry_after: float | None = None) -> RateLimitError:
    error = RateLimitError(text, retry_after=retry_after)
    error.governed = True
    return error

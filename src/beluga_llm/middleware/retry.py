"""Trying again: the only place that repeats a request.

    model = model.with_middleware(with_retry(max_attempts=5))

A failure is tried again where its error says that this may help, after the time that the provider
asked for or else a growing one, and never once content was shown, unless `mid_stream=` says so.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from attrs import field, frozen

from beluga_llm._call import CallNext, Chunks, Layer
from beluga_llm._clock import SYSTEM_CLOCK, Clock
from beluga_llm._errors import (
    AllModelsFailedError,
    BelugaError,
    CircuitOpenError,
    ConfigError,
)
from beluga_llm._events import tell
from beluga_llm._log_records import log_facts
from beluga_llm._model import ChatModel
from beluga_llm._request import ChatRequest
from beluga_llm._routing.attempts import (
    MidStream,
    Plan,
    check_mid_stream,
    check_prefill,
    in_turn,
    is_transient,
)
from beluga_llm._waiting import time_left
from beluga_llm.middleware._settings import configured
from beluga_llm.middleware._stamina import attempts_allowed, waits_are_off

logger = logging.getLogger("beluga_llm.retry")

ErrorRule: TypeAlias = type[BaseException] | str
RetryOn: TypeAlias = ErrorRule | Iterable[ErrorRule] | Callable[[Exception], bool]


@frozen(kw_only=True)
class RetryPolicy:
    """How often, and after how long, a failed attempt is repeated; times are seconds.

    Attributes:
        max_attempts: how many attempts there are, the first included; 1 never repeats.
        initial: the first wait.
        max: the longest wait.
        factor: how much longer each wait is than the one before.
        jitter: the share by which a wait is varied, up and down.
        max_elapsed: no wait ends later than this after the first attempt began; None: no limit.
        max_retry_after: a provider that asks for more is not waited for.
        retry_on: error classes, codes, or a predicate, instead of the errors' own `retryable`.

    Raises:
        ConfigError: lists all values that are out of range.
    """

    max_attempts: int = 3
    initial: float = 0.5
    max: float = 30.0
    factor: float = 2.0
    jitter: float = 0.25
    max_elapsed: float | None = None
    max_retry_after: float | None = 60.0
    retry_on: RetryOn | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        if problems := list(_problems(self)):
            raise ConfigError.of(problems)

    def wait(self, attempt: int, chance: random.Random) -> float:
        """Seconds to wait after so many attempts."""
        try:
            grown = self.initial * self.factor ** (attempt - 1)
        except OverflowError:
            grown = math.inf
        return min(self.max, grown) * chance.uniform(1 - self.jitter, 1 + self.jitter)


def _problems(policy: RetryPolicy) -> Iterator[str]:
    attempts = policy.max_attempts
    if not isinstance(attempts, int) or isinstance(attempts, bool) or not 1 <= attempts <= 100:
        yield f"max_attempts must be an integer from 1 to 100, got {attempts!r}"
    lowest = {"initial": 0, "max": 0, "factor": 1, "jitter": 0, "max_elapsed": 0}
    for name, least in {**lowest, "max_retry_after": 0}.items():
        value = getattr(policy, name)
        if value is None and name in ("max_elapsed", "max_retry_after"):
            continue
        if not _is_number(value) or not value >= least:
            yield f"{name} must be a number of at least {least}, got {value!r}"
        elif name == "jitter" and value > 1:
            yield f"jitter must be between 0 and 1, got {value!r}"
    if (problem := _rule_problem(policy.retry_on)) is not None:
        yield problem


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rule_problem(rule: Any) -> str | None:
    if rule is None or isinstance(rule, str | type) or callable(rule):
        return None
    if isinstance(rule, Iterable) and all(isinstance(item, str | type) for item in rule):
        return None
    return f"retry_on must be error classes, codes or a predicate, got {rule!r}"


class Retry(Layer):
    """The layer of `with_retry`.

    Attributes:
        policy: when it tries again.
        mid_stream: what follows a failure after content was shown.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        mid_stream: MidStream,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        check_mid_stream(mid_stream)
        self.policy = policy
        self.mid_stream = mid_stream
        self._clock = clock
        self._chance = chance
        self._retries = _retries(policy.retry_on)

    def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the attempt that succeeds."""
        return in_turn(request, _Tries(self, request, call_next), self.mid_stream)

    def check_model(self, model: ChatModel) -> None:
        """Raises ConfigError if the model cannot continue answers and may have to."""
        check_prefill(self.mid_stream, model)

    def retries(self, error: Exception) -> bool:
        """Whether the rule allows another attempt after this error."""
        if self._retries is not None:
            return self._retries(error)
        if isinstance(error, CircuitOpenError | AllModelsFailedError):
            return False
        return is_transient(error)

    def __repr__(self) -> str:
        return f"with_retry({self.policy!r}, mid_stream={self.mid_stream!r})"


class _Tries(Plan):
    """The attempts of one call."""

    def __init__(self, layer: Retry, request: ChatRequest, call_next: CallNext) -> None:
        self._layer, self._call_next = layer, call_next
        self._request = request
        self._began = layer._clock.time()
        self._count = 0

    def open(self, request: ChatRequest) -> Chunks:
        """The same request once more."""
        self._count += 1
        return self._call_next(request)

    async def again(self, error: Exception) -> bool:
        """Waits, if there is to be another attempt; a note on the error says why there is none."""
        layer, policy = self._layer, self._layer.policy
        wait = None
        if layer.retries(error) and self._count < attempts_allowed(policy.max_attempts):
            wait = self._wait(error)
        if wait is None:
            _count_on(error, self._count)
            return False
        await self._tell(error, wait)
        await layer._clock.sleep(wait)
        return True

    def _wait(self, error: Exception) -> float | None:
        """Seconds until the next attempt; None if there is no time for it."""
        policy = self._layer.policy
        if waits_are_off():
            return 0.0
        asked = error.retry_after if isinstance(error, BelugaError) else None
        if asked is None:
            wait = policy.wait(self._count, self._layer._chance)
        elif policy.max_retry_after is not None and asked > policy.max_retry_after:
            error.add_note(
                f"not retried: the provider asks to wait {asked:.1f} s, "
                f"more than max_retry_after ({policy.max_retry_after:g} s)"
            )
            return None
        else:
            wait = max(asked, 0.0)
        left = time_left(self._request)
        if policy.max_elapsed is not None:
            left = min(left, self._began + policy.max_elapsed - self._layer._clock.time())
        if wait > left:
            error.add_note(
                f"not retried: {wait:.1f} s wait exceeds the deadline in {max(left, 0.0):.1f} s"
            )
            return None
        return wait

    async def _tell(self, error: Exception, wait: float) -> None:
        info = self._request.model
        code = error.code if isinstance(error, BelugaError) else type(error).__name__
        logger.warning(
            "attempt %d of %s/%s failed (%s), the next follows in %.1f s",
            self._count,
            info.provider,
            info.model_id,
            code,
            wait,
            extra={**log_facts(self._request), "attempt": self._count, "code": code},
        )
        facts = {"provider": info.provider, "model_id": info.model_id}
        await tell(
            self._request.call, "retry", attempt=self._count, error=error, wait=wait, **facts
        )


def _count_on(error: Exception, count: int) -> None:
    """Says on the error how many attempts there were."""
    if isinstance(error, BelugaError) and getattr(error, "attempts", None) is None:
        error.attempts = count


def _retries(rule: RetryOn | None) -> Callable[[Exception], bool] | None:
    """A rule as a predicate; None for the errors' own word."""
    if rule is None:
        return None
    if callable(rule) and not isinstance(rule, type):
        return rule
    rules = (rule,) if isinstance(rule, str | type) else tuple(rule)
    classes = tuple(item for item in rules if isinstance(item, type))
    codes = frozenset(item for item in rules if isinstance(item, str))
    return lambda error: isinstance(error, classes) or getattr(error, "code", None) in codes


def with_retry(
    policy: RetryPolicy | None = None,
    *,
    mid_stream: MidStream = "raise",
    clock: Clock | None = None,
    random: random.Random | None = None,
    **settings: Any,
) -> Retry:
    """A layer that repeats attempts which failed for a reason that may pass.

        model = model.with_middleware(with_retry(max_attempts=5, max_elapsed=60))

    Args:
        policy: when to try again; its fields may be given as keywords instead, or over it.
        mid_stream: what follows a failure after content was shown: "raise" the error; "restart"
            after a chunk with `reset=True`; or "continue" from the text so far, where the model
            can.
        clock: what tells the time and waits.
        random: the source of the jitter.
        **settings: fields of RetryPolicy.

    Raises:
        ConfigError: lists all settings that are wrong.
    """
    return Retry(
        configured(policy or RetryPolicy(), settings),
        mid_stream=mid_stream,
        clock=clock or SYSTEM_CLOCK,
        chance=random or _CHANCE,
    )


_CHANCE = random.Random()  # noqa: S311 -- spreads waits, keeps no secrets

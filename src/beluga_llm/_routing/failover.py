"""Which model answers next when one fails: what with_fallback and FailoverRouter share.

Theory of operation. A `Failover` holds the settings and, for `cooldown`, what it learned: it is
one for all calls. Each call has a plan of its own, which goes through the candidates in order;
those that failed lately come last.
"""

from __future__ import annotations

import copy
import warnings
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import msgspec
from attrs import frozen
from msgspec.structs import replace

from beluga_llm._call import Chunks
from beluga_llm._chunks import StreamChunk
from beluga_llm._clock import Clock
from beluga_llm._errors import (
    AllModelsFailedError,
    BelugaError,
    CircuitOpenError,
    ConfigError,
    ModelNotFoundError,
    QuotaExceededError,
)
from beluga_llm._events import tell
from beluga_llm._fold import fold
from beluga_llm._messages import AIMessage
from beluga_llm._model import ChatModel
from beluga_llm._options import NO_OPTIONS, GenerateOptions, OptionLayer
from beluga_llm._request import ChatRequest
from beluga_llm._routing.attempts import MidStream, Plan, check_mid_stream, is_transient
from beluga_llm._waiting import time_left


@frozen
class Attempt:
    """How one model of several did.

    Attributes:
        provider: the model's provider.
        model_id: the model's id.
        error: what it failed with, without its traceback; None where its answer was refused.
        duration: seconds.
        skipped: whether its open circuit breaker let no request through.
    """

    provider: str
    model_id: str
    error: Exception | None = None
    duration: float = 0.0
    skipped: bool = False


class Candidate(msgspec.Struct, frozen=True):
    """A model that may answer: who it is, what tells it from the others, and how it is asked."""

    provider: str
    model_id: str
    key: Hashable
    open: Callable[[ChatRequest], Chunks]


_ADDRESSED = ("model", "extra_headers", "extra_query", "extra_body")
"""Options that are meant for one provider; in its headers there may be a key."""


def candidate(model: ChatModel, *, is_first: bool = False) -> Candidate:
    """A model with an id and options of its own; what is addressed to the first is not for it."""
    hand_on = model.handle if is_first else lambda asked: model.handle(readdressed(asked))
    return Candidate(model.provider, model.model_id, id(model), hand_on)


def readdressed(request: ChatRequest) -> ChatRequest:
    """The request without the options that were addressed to another model's provider."""
    asked = tuple(layer for layer in map(_for_anybody, request.asked) if layer)
    merged = request.merged
    options = replace(request.options, **{name: getattr(merged, name) for name in _ADDRESSED})
    if options == merged:
        options = merged
    return replace(request, asked=asked, options=options)


def _for_anybody(layer: OptionLayer) -> OptionLayer:
    if isinstance(layer, GenerateOptions):
        return replace(layer, **{name: getattr(NO_OPTIONS, name) for name in _ADDRESSED})
    return {name: value for name, value in layer.items() if name not in _ADDRESSED}


class Failover:
    """Settings of a failover, and which models failed lately.

    Args:
        when: which errors turn to the next model; None: those that may pass, a missing model, and
            a spent quota.
        when_response: which complete answers do; not asked for streams.
        cooldown: seconds for which a model that failed is tried last.
        mid_stream: what follows a failure after content was shown.
        clock: what tells the time.

    Raises:
        ConfigError: lists all settings that are wrong.
    """

    def __init__(
        self,
        *,
        when: Callable[[Exception], bool] | None,
        when_response: Callable[[AIMessage], bool] | None,
        cooldown: float,
        mid_stream: MidStream,
        clock: Clock,
    ) -> None:
        check_mid_stream(mid_stream)
        if not cooldown >= 0:
            raise ConfigError(f"cooldown must be >= 0, got {cooldown!r}")
        self.mid_stream = mid_stream
        self.when = when or _usual
        self.when_response = when_response
        self.cooldown = cooldown
        self.clock = clock
        self._cold: dict[Hashable, float] = {}
        self._warned = False

    def plan(self, request: ChatRequest, candidates: Sequence[Candidate]) -> FailoverPlan:
        """The attempts of one call."""
        if self.when_response is not None and request.streaming and not self._warned:
            self._warned = True
            warnings.warn(
                "when_response is not asked for streams: their content is shown as it comes",
                UserWarning,
                stacklevel=2,
            )
        return FailoverPlan(self, request, self._order(candidates))

    def _order(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The candidates, those that failed lately last."""
        if not self._cold:
            return candidates
        now = self.clock.time()
        known = tuple(self._cold.items())  # other threads may add to it
        self._cold = {key: until for key, until in known if until > now}
        return sorted(candidates, key=lambda one: one.key in self._cold)

    def chill(self, failed: Candidate) -> None:
        """Has a model tried last for a while."""
        if self.cooldown:
            self._cold[failed.key] = self.clock.time() + self.cooldown


def _usual(error: Exception) -> bool:
    return is_transient(error) or isinstance(error, QuotaExceededError | ModelNotFoundError)


class FailoverPlan(Plan):
    """The attempts of one call."""

    def __init__(
        self,
        rules: Failover,
        request: ChatRequest,
        candidates: Sequence[Candidate],
    ) -> None:
        self._rules, self._request = rules, request
        self._left = deque(candidates)
        self._attempts: list[Attempt] = []
        self._current = self._left.popleft()
        self._began = 0.0

    def open(self, request: ChatRequest) -> Chunks:
        """Asks the model whose turn it is."""
        self._began = self._rules.clock.time()
        return self._current.open(request)

    async def again(self, error: Exception) -> bool:
        """Turns to the next model, if this error is a reason to, and there is one and time for it.

        Raises:
            AllModelsFailedError: this was the last of several.
        """
        if time_left(self._request) <= 0 or not self._rules.when(error):
            return False
        self._note(error)
        if not self._left:
            if len(self._attempts) == 1:
                return False
            raise _all_failed(self._attempts, error) from error
        await self._turn(error)
        return True

    async def refuses(self, chunks: Sequence[StreamChunk]) -> bool:
        """Whether the whole answer is refused and another model is left."""
        refused = self._rules.when_response
        if refused is None or self._request.streaming or not self._left:
            return False
        if not refused(fold(chunks)):
            return False
        self._note(None)
        await self._turn(None)
        return True

    def facts(self) -> dict[str, Any]:
        """Which model answered after how many attempts, where the first did not."""
        if not self._attempts:
            return {}
        now = self._current
        made = {"provider": now.provider, "model_id": now.model_id}
        return {"fallback": {**made, "attempts": len(self._attempts) + 1}}

    async def _turn(self, error: Exception | None) -> None:
        """Turns to the next model, and tells of it."""
        now = self._current = self._left.popleft()
        facts = {"provider": now.provider, "model_id": now.model_id}
        failed = self._attempts[-1]
        await tell(self._request.call, "fallback", failed=failed, error=error, **facts)

    def _note(self, error: Exception | None) -> None:
        now, clock = self._current, self._rules.clock
        self._rules.chill(now)
        self._attempts.append(
            Attempt(
                now.provider,
                now.model_id,
                None if error is None else without_traceback(error),
                clock.time() - self._began,
                isinstance(error, CircuitOpenError),
            )
        )


def without_traceback(error: Exception) -> Exception:
    """A copy that keeps nothing alive; the error itself where it cannot be copied."""
    try:
        made = copy.copy(error)
    except Exception:  # noqa: BLE001 -- an exception whose class cannot be called again
        return error
    return made.with_traceback(None)


def _all_failed(attempts: Sequence[Attempt], last: Exception) -> AllModelsFailedError:
    text = f"all {len(attempts)} models failed, last error: {last}"
    return all_failed(text, tuple(attempts), last)


def all_failed(text: str, attempts: tuple[Attempt, ...], last: Exception) -> AllModelsFailedError:
    """The error of several models, with the code of the last one."""
    if not isinstance(last, BelugaError):
        return AllModelsFailedError(text, attempts=attempts)
    error = AllModelsFailedError(
        text,
        attempts=attempts,
        code=last.code,
        retryable=last.retryable,
        retry_after=last.retry_after,
    )
    error.partial = last.partial
    return error

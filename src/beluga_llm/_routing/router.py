"""Models that are several models: one is chosen for each call, or each is tried in turn."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from beluga_llm._call import Chunks
from beluga_llm._call_context import CallContext
from beluga_llm._clock import SYSTEM_CLOCK, Clock
from beluga_llm._delegating import as_model
from beluga_llm._errors import ConfigError
from beluga_llm._messages import AIMessage
from beluga_llm._model import ChatModel
from beluga_llm._request import ChatRequest
from beluga_llm._routing.attempts import MidStream, check_prefill, in_turn
from beluga_llm._routing.composite import CompositeChatModel
from beluga_llm._routing.failover import Failover, candidate
from beluga_llm._routing.strategies import RoundRobin, SelectFunction, Selector


class Router(CompositeChatModel):
    """A model that lets one of several answer each call.

        Router([fast, cheap, "ollama/llama3.2"], strategy=RoundRobin())

    Args:
        models: models, or names that `create` takes.
        strategy: what chooses; an object with `select(models, call)` or a function like it.
        clock: what measures the calls.

    Raises:
        ConfigError: there are no models, or the strategy is none.
    """

    model_id = "router"

    def __init__(
        self,
        models: Iterable[ChatModel | str],
        strategy: Selector | SelectFunction | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(models)
        self.strategy = strategy or RoundRobin()
        self._clock = clock or SYSTEM_CLOCK
        select: Any = getattr(self.strategy, "select", self.strategy)
        if not callable(select):
            raise ConfigError(f"{self.strategy!r} is no strategy: it has no select(models, call)")
        self._select: Callable[..., Any] = select

    async def _stream(self, request: ChatRequest) -> Chunks:
        chosen = self._select(self.models, CallContext(request))
        if inspect.isawaitable(chosen):
            chosen = await chosen
        model = as_model(chosen)
        began, first = self._clock.time(), None
        _call(self.strategy, "begun", model)
        try:
            async for chunk in model.handle(request):
                if first is None and chunk.is_content:
                    first = self._clock.time() - began
                yield chunk
        finally:
            _call(self.strategy, "ended", model, first)


def _call(strategy: object, name: str, *facts: Any) -> None:
    """Tells a strategy that wants to know."""
    method = getattr(strategy, name, None)
    if method is not None:
        method(*facts)


class FailoverRouter(CompositeChatModel):
    """A model that asks several models in order, until one answers.

        FailoverRouter("openai/gpt-5.4-mini", "anthropic/claude-haiku-5-5", cooldown=30)

    Args:
        *models: models, or names that `create` takes; a call's `model=` and `extra_...` options are
            for the first.
        when: which errors turn to the next model, instead of those that may pass, a missing model
            and a spent quota.
        when_response: which complete answers do; not asked for streams.
        cooldown: seconds for which a model that failed is tried last; 0: it is not.
        mid_stream: what follows a failure after content was shown; see `with_retry`.
        clock: what tells the time.

    Raises:
        ConfigError: there are no models, or settings are wrong.
    """

    model_id = "failover-router"
    _watches_time = True  # it waits for its models alone

    def __init__(
        self,
        *models: ChatModel | str,
        when: Callable[[Exception], bool] | None = None,
        when_response: Callable[[AIMessage], bool] | None = None,
        cooldown: float = 0,
        mid_stream: MidStream = "raise",
        clock: Clock | None = None,
    ) -> None:
        super().__init__(models)
        self._rules = Failover(
            when=when,
            when_response=when_response,
            cooldown=cooldown,
            mid_stream=mid_stream,
            clock=clock or SYSTEM_CLOCK,
        )
        for model in self.models:
            check_prefill(mid_stream, model)
        first, *others = self.models
        self._candidates = (candidate(first, is_first=True), *map(candidate, others))

    def _stream(self, request: ChatRequest) -> Chunks:
        rules = self._rules
        return in_turn(request, rules.plan(request, self._candidates), rules.mid_stream)

"""A model that answers each call with the cheapest kind of model that will do.

    CostAware({"small": "openai/gpt-5.4-nano", "large": "anthropic/claude-sonnet-4-5"})

A classifier says which tier a conversation needs. The models of that tier are asked in their order,
then all others, the cheapest input first: where one fails as for a FailoverRouter, or its cost has
no room in the budget.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from beluga_llm._call import CallNext, Chunks
from beluga_llm._clock import SYSTEM_CLOCK, Clock
from beluga_llm._errors import (
    AllModelsFailedError,
    BudgetExhaustedError,
    ConfigError,
    ModelNotFoundError,
    QuotaExceededError,
)
from beluga_llm._messages import Message, SystemMessage
from beluga_llm._model import ChatModel
from beluga_llm._pricing.budget import Budget
from beluga_llm._pricing.table import PriceTable, Spent
from beluga_llm._request import ChatRequest
from beluga_llm._routing.attempts import in_turn, is_transient
from beluga_llm._routing.composite import CompositeChatModel
from beluga_llm._routing.failover import Candidate, Failover, candidate, readdressed
from beluga_llm._usage import Usage

Tier: TypeAlias = ChatModel | str | Sequence[ChatModel | str]


class Classifier(Protocol):
    """Says which tier of models a conversation needs."""

    def classify(self, messages: Sequence[Message], /) -> str | Awaitable[str]:
        """The name of a tier."""
        ...


ClassifyFunction: TypeAlias = Callable[[Sequence[Message]], str | Awaitable[str]]


class HeuristicClassifier:
    """By size: "small", "medium" or "large".

    Large are more than 10 messages, more than 5000 characters, or more than 2000 with a system
    message among them; small are at most 2 messages with less than 500 characters.
    """

    def classify(self, messages: Sequence[Message]) -> str:
        """The tier: "small", "medium" or "large"."""
        characters = sum(len(message.text) for message in messages)
        instructed = any(isinstance(message, SystemMessage) for message in messages)
        if len(messages) > 10 or characters > 5000 or (instructed and characters > 2000):
            return "large"
        return "small" if len(messages) <= 2 and characters < 500 else "medium"

    def __repr__(self) -> str:
        return "HeuristicClassifier()"


class CostAware(CompositeChatModel):
    """A model that answers each call with the cheapest kind of model that will do.

    Args:
        tiers: name to models, or names that `create` takes, the preferred first.
        classifier: says which tier a conversation needs; an object with `classify(messages)` or a
            function like it, plain or async.
        budget: what all answers together may cost; every candidate needs a known price then.
        fallback_tier: where the classifier names a tier that is not there.
        clock: what measures the calls.

    Raises:
        ConfigError: there are no models, or the classifier is none.
    """

    model_id = "cost-aware"
    _watches_time = True  # it waits for its models alone

    def __init__(
        self,
        tiers: Mapping[str, Tier],
        classifier: Classifier | ClassifyFunction | None = None,
        budget: Budget | None = None,
        *,
        fallback_tier: str = "medium",
        clock: Clock | None = None,
    ) -> None:
        named = {name: _as_list(models) for name, models in tiers.items()}
        super().__init__(model for models in named.values() for model in models)
        made = iter(self.models)
        self.tiers = {name: tuple(next(made) for _ in models) for name, models in named.items()}
        self.classifier = classifier or HeuristicClassifier()
        classify: Any = getattr(self.classifier, "classify", self.classifier)
        if not callable(classify):
            raise ConfigError(f"{self.classifier!r} is no classifier: it has no classify(messages)")
        self._classify: Callable[..., Any] = classify
        self.budget = budget
        self.fallback_tier = fallback_tier
        self._prices = PriceTable() if budget is None else budget.prices
        self._rules = Failover(
            when=_next_one,
            when_response=None,
            cooldown=0,
            mid_stream="raise",
            clock=clock or SYSTEM_CLOCK,
        )

    async def _stream(self, request: ChatRequest) -> Chunks:
        tier = self._classify(request.messages)
        if inspect.isawaitable(tier):
            tier = await tier
        candidates = [self._candidate(model) for model in self._in_order(tier)]
        try:
            async for chunk in in_turn(request, self._rules.plan(request, candidates)):
                yield chunk
        except AllModelsFailedError as error:
            raise _exhausted(error) from error.__cause__

    def _in_order(self, tier: str) -> list[ChatModel]:
        """Those of the tier as they were given, then the others by the price of their input."""
        first = self.tiers.get(tier) or self.tiers.get(self.fallback_tier, ())
        others = sorted((model for model in self.models if model not in first), key=self._price)
        return list(dict.fromkeys((*first, *others)))

    def _price(self, model: ChatModel) -> Decimal:
        """Of a thousand tokens of input; what is not known comes last."""
        found = self._prices.cost(
            Spent(Usage(1000, 0)), model_id=model.model_id, provider=model.provider
        )
        return Decimal("Infinity") if found is None else found

    def _candidate(self, model: ChatModel) -> Candidate:
        plain = candidate(model)
        if self.budget is None:
            return plain
        return Candidate(plain.provider, plain.model_id, plain.key, _within(self.budget, model))


def _within(budget: Budget, model: ChatModel) -> CallNext:
    """A model whose every answer is paid from a budget."""
    from beluga_llm.middleware.budget import BudgetLayer

    paid = model.with_middleware(BudgetLayer(budget))
    return lambda request: paid.handle(readdressed(request))


def _as_list(models: Tier) -> Sequence[ChatModel | str]:
    return (models,) if isinstance(models, ChatModel | str) else tuple(models)


def _next_one(error: Exception) -> bool:
    others = BudgetExhaustedError | QuotaExceededError | ModelNotFoundError
    return is_transient(error) or isinstance(error, others)


def _exhausted(error: AllModelsFailedError) -> Exception:
    """The budget's error, where nothing but the budget was in the way."""
    errors: Iterable[Exception | None] = [attempt.error for attempt in error.attempts]
    spent = [one for one in errors if isinstance(one, BudgetExhaustedError)]
    if len(spent) < len(error.attempts):
        return error
    last = spent[-1]
    return BudgetExhaustedError(
        f"no model has room in the budget; the last: {last.message}",
        limit=last.limit,
        spent=last.spent,
        reserved=last.reserved,
        needed=min(one.needed for one in spent),
    )

"""No more money than a budget has.

    budget = Budget(5)  # US dollars a day
    model = model.with_middleware(with_retry(), with_budget(budget), with_limits(rpm=600))

Every attempt reserves what it may cost, and settles what it did cost. Put it inside of retry and
fallback, and outside of limits; where a request goes to several models, around each of them.

What is counted at the end of an attempt: a whole answer costs what its usage says, or the
reservation where none was reported. An answer that was left early, or broke off after something had
come, costs what was reported; what was not is estimated from the request and the text that came. An
attempt of which nothing came costs nothing, and nor does an answer that a cache inside remembers.
Where the end cannot be priced (the provider reports parts that are more than the whole, or the
prices fail), the reservation counts: money is a matter of the next call, the answer is given.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from beluga_llm._call import CallNext, Chunks, Layer
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import ConfigError
from beluga_llm._messages import AIMessage
from beluga_llm._pricing.budget import Budget, Reservation
from beluga_llm._pricing.cost import spent_on
from beluga_llm._pricing.table import Spent
from beluga_llm._request import ChatRequest
from beluga_llm._routing.composite import CompositeChatModel
from beluga_llm._transcript import Transcript
from beluga_llm._usage import Usage

logger = logging.getLogger("beluga_llm.prices")


class BudgetLayer(Layer):
    """The layer of `with_budget`.

    Attributes:
        budget: what it keeps to.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def check_model(self, model: Any) -> None:
        """Raises ConfigError for a model made of several: their prices differ."""
        if isinstance(model, CompositeChatModel):
            raise ConfigError(
                f"{type(model).__name__} has several models: put with_budget around each of them, "
                "with one Budget"
            )

    async def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the answer, if there is money for it."""
        run = _Run(self.budget, request)
        try:
            if request.call is not None:
                request.call.on_drop.append(run.end)
            async for chunk in call_next(request):
                run.hear(chunk)
                yield chunk
            run.whole = True
        finally:
            run.end()

    def __repr__(self) -> str:
        return f"with_budget({self.budget!r})"


class _Run:
    """One attempt: money is reserved for it."""

    def __init__(self, budget: Budget, request: ChatRequest) -> None:
        self.whole = False
        self._budget = budget
        self._model, self._provider = request.model.model_id, request.model.provider
        given = budget.tokenizer.count_messages(request.messages, request.tools)
        most = request.options.max_tokens or budget.expected_output
        self._given = given
        usage = Usage(given, most * (request.options.n or 1))
        self._reservation: Reservation = budget.reserve(
            budget.cost(Spent(usage), model_id=self._model, provider=self._provider)
        )
        self._heard: Transcript | None = None

    def hear(self, chunk: StreamChunk) -> None:
        """Takes note of what came."""
        if self._heard is None:
            self._heard = Transcript()
        self._heard.hear(chunk)

    def end(self) -> None:
        """Settles the reservation; once, and synchronously."""
        if not self._reservation.open:
            return
        if self._heard is None:
            self._reservation.release()
            return
        message = self._heard.message()
        if _is_remembered(message):
            self._reservation.release()
            return
        try:
            cost = self._cost_of(message)
        except Exception:
            logger.exception("an answer of %s cannot be priced", self._model)
            cost = None
        self._reservation.settle(self._reservation.amount if cost is None else cost)

    def _cost_of(self, message: AIMessage) -> Decimal | None:
        """What an answer cost; None where that cannot be told."""
        spent = spent_on(message) if self.whole else self._seen(message)
        prices, provider = self._budget.prices, self._provider or None
        for model_id in dict.fromkeys((message.model_id, self._model)):
            if model_id:
                cost = prices.cost(spent, model_id=model_id, provider=provider)
                if cost is not None:
                    return cost
        return None

    def _seen(self, message: AIMessage) -> Spent:
        """What was taken by an answer that has no end: as reported, or as it looks."""
        known = spent_on(message)
        usage = known.usage
        count = self._budget.tokenizer.count
        shown = count(message.text) + count(message.thinking)
        shown += sum(count(call.arguments) for call in message.tool_calls)
        given = usage.input_tokens
        if given is None:
            cached = (usage.cached_tokens or 0) + (usage.cache_write_tokens or 0)
            given = max(self._given, cached)
        seen = Usage(
            given,
            max(usage.output_tokens or 0, shown),
            cached_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_write_tokens,
        )
        return Spent(seen, known.written_1h, known.service_tier)


def _is_remembered(message: AIMessage) -> bool:
    """Whether a cache between the budget and the provider had the answer."""
    cache = message.provider_metadata.get("cache")
    return isinstance(cache, Mapping) and cache.get("hit") is True


def with_budget(budget: Budget | None = None, **settings: Any) -> BudgetLayer:
    """A layer that keeps a model to so much money a day.

        model = model.with_middleware(with_budget(daily_limit=5))

    All models around which it, or another layer with the same Budget, is put share the money. A
    model whose price is not known is refused with a ConfigError; give one in the budget's `prices`.

    Args:
        budget: what it keeps to.
        **settings: arguments of a new Budget, instead.

    Raises:
        ConfigError: both are given, or a setting is wrong.
    """
    if budget is not None and settings:
        raise ConfigError("give a Budget, or the settings of a new one, not both")
    if budget is None and "daily_limit" not in settings:
        raise ConfigError("with_budget needs a Budget, or daily_limit=")
    return BudgetLayer(Budget(**settings) if budget is None else budget)

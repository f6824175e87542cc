"""The measurements of calls.

Instruments are made once for each meter provider, at first use. What is measured of a stream's
chunks is a reading of the clock while it runs; it is recorded at the end, so that the chunks do not
wait for it. Recording costs the SDK some 10 us: of a stream of more than `MOST_GAPS` chunks as many
gaps are recorded, spread evenly.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from beluga_llm._answer_facts import AnswerFacts
from beluga_llm._events import Event
from beluga_llm._messages import AIMessage
from beluga_llm._telemetry import meter, names
from beluga_llm._telemetry.attributes import about_model, provider_name
from beluga_llm._telemetry.spans import answerer, cache_result
from beluga_llm._watching import Aborted, Watch, error_code

if TYPE_CHECKING:
    from beluga_llm._request import ChatRequest
    from beluga_llm._telemetry import MeterProvider

MOST_GAPS = 64


class Instruments:
    """All instruments of one meter provider, each made when it is first used."""

    def __init__(self, provider: MeterProvider) -> None:
        self._meter = meter(provider)

    def seconds(self, name: str, about: str) -> Any:
        """A histogram of seconds."""
        return self._histogram(name, "s", about, names.SECONDS)

    def _histogram(self, name: str, unit: str, about: str, bounds: tuple[float, ...]) -> Any:
        return self._meter.create_histogram(
            name, unit, about, explicit_bucket_boundaries_advisory=bounds
        )

    @functools.cached_property
    def duration(self) -> Any:
        return self.seconds(names.DURATION, "GenAI operation duration.")

    @functools.cached_property
    def tokens(self) -> Any:
        about = "Number of input and output tokens used."
        return self._histogram(names.TOKEN_USAGE, "{token}", about, names.TOKENS)

    @functools.cached_property
    def first_chunk(self) -> Any:
        return self.seconds(names.FIRST_CHUNK, "Time to receive the first chunk.")

    @functools.cached_property
    def output_chunk(self) -> Any:
        return self.seconds(names.OUTPUT_CHUNK, "Time per output chunk, after the first one.")

    @functools.cached_property
    def limit_wait(self) -> Any:
        return self.seconds(names.LIMIT_WAIT, "Time that a request waited for a limit.")

    @functools.cached_property
    def requests(self) -> Any:
        about = "Calls that run."
        return self._meter.create_up_down_counter(names.ACTIVE_REQUESTS, "{request}", about)

    @functools.cached_property
    def streams(self) -> Any:
        about = "Streams that run."
        return self._meter.create_up_down_counter(names.ACTIVE_STREAMS, "{stream}", about)

    @functools.cached_property
    def breaker(self) -> Any:
        about = "State of a circuit breaker: 0 closed, 1 half-open, 2 open."
        return self._meter.create_gauge(names.BREAKER, "", about)

    @functools.cached_property
    def tool_calls(self) -> Any:
        about = "Calls of tools that models asked for."
        return self._meter.create_counter(names.TOOL_CALLS, "{call}", about)

    @functools.cached_property
    def cost(self) -> Any:
        return self._meter.create_counter(names.COST, "USD", "What the answers cost.")

    @functools.cached_property
    def retries(self) -> Any:
        return self._meter.create_counter(names.RETRIES, "{retry}", "Attempts that were repeated.")

    @functools.cached_property
    def fallbacks(self) -> Any:
        about = "Switches to another model."
        return self._meter.create_counter(names.FALLBACKS, "{fallback}", about)

    @functools.cached_property
    def hedges(self) -> Any:
        about = "Second calls that were made because the first was slow."
        return self._meter.create_counter(names.HEDGES, "{hedge}", about)

    @functools.cached_property
    def cache(self) -> Any:
        about = "Questions to the cache, by their result."
        return self._meter.create_counter(names.CACHE, "{request}", about)


_MADE: WeakKeyDictionary[MeterProvider, Instruments] = WeakKeyDictionary()


def instruments(provider: MeterProvider) -> Instruments:
    """The instruments of a provider; a second set under the same names would be warned of."""
    found = _MADE.get(provider)
    if found is None:
        found = _MADE[provider] = Instruments(provider)
    return found


class CallMetrics(Watch):
    """The measurements of one call."""

    kind: ClassVar[str] = "metrics"

    def __init__(self, request: ChatRequest, made: Instruments, prices: Any) -> None:
        super().__init__(request)
        self._made, self._prices = made, prices
        self._about = about_model(request.model)
        self.timed = request.streaming
        self._remembered = False

    def begin(self) -> None:
        """Counts it as running."""
        self._running(1)

    def event(self, event: Event) -> None:
        """Counts what happened."""
        facts, made = event.facts, self._made
        about = {
            names.PROVIDER: provider_name(facts.get("provider") or self.request.model.provider),
            names.REQUEST_MODEL: facts.get("model_id") or self.request.model.model_id,
        }
        match event.name:
            case "retry":
                made.retries.add(1, about)
            case "fallback":
                made.fallbacks.add(1, about)
            case "hedge":
                made.hedges.add(1, about)
            case "cache":
                self._remembered = bool(facts["hit"])
                made.cache.add(1, {**about, names.CACHE_RESULT: cache_result(facts["hit"])})
            case "limit_wait":
                made.limit_wait.record(facts["seconds"], about)
            case "breaker":
                made.breaker.set(names.BREAKER_STATES[facts["state"]], about)

    def finish(self, error: BaseException | None, aborted: Aborted | None) -> None:
        """Records all that is known."""
        self._running(-1)
        made, heard = self._made, self.heard
        answer = heard.answer
        about = {**self._about, **answerer(self.request)}
        if answer.model_id is not None:
            about[names.RESPONSE_MODEL] = answer.model_id
        for tool in answer.tool_names:
            made.tool_calls.add(1, {**self._about, names.TOOL_NAME: tool})
        if not self._remembered:  # what a cache remembers was spent once
            self._spent(answer, about)
        if heard.first is not None:
            made.first_chunk.record(heard.first, about)
            for gap in _gaps(heard.times or []):
                made.output_chunk.record(gap, about)
        failed = {} if error is None else {names.ERROR_TYPE: error_code(error)}
        made.duration.record(heard.duration, {**about, **failed})

    def _spent(self, answer: AnswerFacts, about: Mapping[str, Any]) -> None:
        made, usage = self._made, answer.usage
        for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if count is not None:
                made.tokens.record(count, {**about, names.TOKEN_TYPE: kind})
        if self._prices is not None:
            from beluga_llm._pricing import cost_of

            who = getattr(self.request.call, "provider", None) or self.request.model.provider
            spent = AIMessage(
                usage=usage, model_id=answer.model_id, provider_metadata=answer.metadata
            )
            cost = cost_of(spent, self._prices, provider=who)
            if cost is not None:
                made.cost.add(float(cost), about)

    def _running(self, change: int) -> None:
        self._made.requests.add(change, self._about)
        if self.request.streaming:
            self._made.streams.add(change, self._about)


def _gaps(times: list[float]) -> Iterator[float]:
    """The gaps between some moments, or those of them that are recorded."""
    count = len(times) - 1
    recorded = min(count, MOST_GAPS)
    for number in range(recorded):
        at = number * count // recorded
        yield times[at + 1] - times[at]

"""Other models that answer when one cannot.

    model = model.with_middleware(with_fallback("anthropic/claude-haiku-5-5"))

The next model is asked where an error may pass, the model is missing or its quota is spent; other
errors are raised at once. Once content was shown, nothing is spliced to it, unless `mid_stream=`
says so.
"""

from __future__ import annotations

from collections.abc import Callable

from beluga_llm._call import CallNext, Chunks, Layer
from beluga_llm._clock import SYSTEM_CLOCK, Clock
from beluga_llm._delegating import as_model
from beluga_llm._errors import ConfigError
from beluga_llm._messages import AIMessage
from beluga_llm._model import ChatModel
from beluga_llm._request import ChatRequest
from beluga_llm._routing.attempts import MidStream, check_prefill, in_turn
from beluga_llm._routing.composite import close_models
from beluga_llm._routing.failover import Candidate, Failover, candidate


class Fallback(Layer):
    """The layer of `with_fallback`.

    Attributes:
        models: the models that are asked after the one it is put around.
    """

    def __init__(self, models: tuple[ChatModel, ...], rules: Failover) -> None:
        if not models:
            raise ConfigError("no models configured")
        self.models = models
        self._rules = rules
        self._others = tuple(map(candidate, models))
        for model in models:
            self.check_model(model)

    def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the first model that answers."""
        info = request.model
        own = Candidate(info.provider, info.model_id, info.state_key, call_next)
        rules = self._rules
        return in_turn(request, rules.plan(request, (own, *self._others)), rules.mid_stream)

    def check_model(self, model: ChatModel) -> None:
        """Raises ConfigError if the model cannot continue answers and may have to."""
        check_prefill(self._rules.mid_stream, model)

    async def aclose(self) -> None:
        """Closes the models that are asked after the first."""
        await close_models(self.models)

    def __repr__(self) -> str:
        return f"with_fallback({', '.join(model.qualified_id for model in self.models)})"


def with_fallback(
    *models: ChatModel | str,
    when: Callable[[Exception], bool] | None = None,
    when_response: Callable[[AIMessage], bool] | None = None,
    cooldown: float = 0,
    mid_stream: MidStream = "raise",
    clock: Clock | None = None,
) -> Fallback:
    """A layer that asks other models, in order, when the model fails.

        model = model.with_middleware(with_fallback(backup, "ollama/llama3.2", cooldown=30))

    Args:
        *models: with options and tools of their own; those of the call go to them too, but for
            what is addressed to one provider: `model`, `extra_headers`, `extra_query`,
            `extra_body`.
        when: which errors turn to the next model, instead of those that may pass, a missing model
            and a spent quota.
        when_response: which complete answers do, such as filtered ones; not asked for streams.
        cooldown: seconds for which a model that failed is tried last; 0: it is not.
        mid_stream: what follows a failure after content was shown; see `with_retry`.
        clock: what tells the time.

    Raises:
        ConfigError: no models, or wrong settings.
    """
    rules = Failover(
        when=when,
        when_response=when_response,
        cooldown=cooldown,
        mid_stream=mid_stream,
        clock=clock or SYSTEM_CLOCK,
    )
    return Fallback(tuple(map(as_model, models)), rules)

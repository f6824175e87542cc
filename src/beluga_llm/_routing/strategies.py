"""How a Router chooses: by turns, by weight, by load, by speed.

A strategy is an object with `select(models, call)`, or a function of the same two; both may be
async. One that wants to know how the calls went has `begun(model)` and `ended(model, seconds)` too.
All of these are safe for concurrent tasks and threads.
"""

from __future__ import annotations

import random as random_module
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from beluga_llm._call_context import CallContext
from beluga_llm._errors import ConfigError
from beluga_llm._model import ChatModel


class Selector(Protocol):
    """Chooses the model of a call."""

    def select(
        self, models: Sequence[ChatModel], call: CallContext, /
    ) -> ChatModel | Awaitable[ChatModel]:
        """The model that is to answer; one that is not among the models is used as it is."""
        ...


SelectFunction: TypeAlias = Callable[
    [Sequence[ChatModel], CallContext], ChatModel | Awaitable[ChatModel]
]


class First:
    """Always the first model; it is no failover."""

    def select(self, models: Sequence[ChatModel], call: CallContext) -> ChatModel:
        """The first model."""
        return models[0]

    def __repr__(self) -> str:
        return "First()"


class RoundRobin:
    """One model after the other, from the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0

    def select(self, models: Sequence[ChatModel], call: CallContext) -> ChatModel:
        """The next model."""
        with self._lock:
            number, self._next = self._next, self._next + 1
        return models[number % len(models)]

    def __repr__(self) -> str:
        return "RoundRobin()"


class Weighted:
    """By chance, each model as often as its weight says.

    Args:
        weights: model to weight, at least 0; a model that is not named is not chosen.
        random: the source of chance; one with a seed always chooses the same.

    Raises:
        ConfigError: a weight is negative, or all are 0.
    """

    def __init__(
        self, weights: Mapping[ChatModel, float], *, random: random_module.Random | None = None
    ) -> None:
        if any(not weight >= 0 for weight in weights.values()) or not sum(weights.values()) > 0:
            raise ConfigError("weights must be >= 0, and one of them > 0")
        self._weights = dict(weights)
        self._random = random or random_module.Random()  # noqa: S311 -- keeps no secret

    def select(self, models: Sequence[ChatModel], call: CallContext) -> ChatModel:
        """A model by chance; the first where none of them has a weight."""
        weights = [self._weights.get(model, 0.0) for model in models]
        if not sum(weights) > 0:
            return models[0]
        return self._random.choices(models, weights)[0]

    def __repr__(self) -> str:
        shown = {model.qualified_id: weight for model, weight in self._weights.items()}
        return f"Weighted({shown})"


class LeastBusy:
    """The model with the fewest calls under way; of equals the one before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: dict[int, int] = {}

    def select(self, models: Sequence[ChatModel], call: CallContext) -> ChatModel:
        """The least busy model."""
        return min(models, key=lambda model: self._busy.get(id(model), 0))

    def begun(self, model: ChatModel) -> None:
        """A call of the model has begun."""
        self._change(model, 1)

    def ended(self, model: ChatModel, seconds: float | None) -> None:
        """A call of the model has ended."""
        self._change(model, -1)

    def _change(self, model: ChatModel, by: int) -> None:
        with self._lock:
            self._busy[id(model)] = self._busy.get(id(model), 0) + by

    def __repr__(self) -> str:
        return "LeastBusy()"


class LowestLatency:
    """The model whose answers begin soonest, by the mean of its latest calls.

    A model that was never measured comes first, so that each is.

    Args:
        window: how many calls of each model count.

    Raises:
        ConfigError: the window is smaller than 1.
    """

    def __init__(self, window: int = 20) -> None:
        if not window >= 1:
            raise ConfigError(f"window must be at least 1, got {window!r}")
        self.window = window
        self._lock = threading.Lock()
        self._times: dict[int, deque[float]] = {}

    def select(self, models: Sequence[ChatModel], call: CallContext) -> ChatModel:
        """The fastest model."""
        return min(models, key=lambda model: _mean(self._times.get(id(model), ())))

    def ended(self, model: ChatModel, seconds: float | None) -> None:
        """A call of the model has ended; `seconds` until its first content, None if none came."""
        if seconds is None:
            return
        with self._lock:
            times = self._times.setdefault(id(model), deque(maxlen=self.window))
            times.append(seconds)

    def __repr__(self) -> str:
        return f"LowestLatency(window={self.window})"


def _mean(times: Iterable[float]) -> float:
    known = tuple(times)
    return sum(known) / len(known) if known else 0.0

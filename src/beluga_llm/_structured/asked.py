"""What the options of a call and of a model mean for a structured answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from beluga_llm._errors import InvalidRequestError, RequestTimeoutError
from beluga_llm._model import ChatModel
from beluga_llm._option_types import ReasoningConfig, Timeouts
from beluga_llm._options import UNSET, GenerateOptions, OptionLayer, merge_options

_OURS = ("response_format", "tools", "tool_choice")


def check_asked(model: ChatModel, *layers: OptionLayer | None) -> None:
    """Holds a call to the options that leave the form of the answer to us.

    Args:
        model: the model with its own options.
        *layers: what the call asks, the highest layer first.

    Raises:
        InvalidRequestError: an option is in the way.
    """
    for name in _OURS:
        if _first(name, layers) not in (None, UNSET, ()):
            raise InvalidRequestError(
                f"{name} cannot be combined with structured output: its strategy sets it"
            )
    number = _first("n", layers)
    numbers = _bound("n", model) if number is None else iter((number,))
    if any(isinstance(one, int) and one > 1 for one in numbers):
        raise InvalidRequestError("n cannot be combined with structured output")


def asks_to_think(model: ChatModel, *layers: OptionLayer | None) -> bool:
    """Whether a call asks for reasoning."""
    options = GenerateOptions(reasoning=next(_bound("reasoning", model), None))
    for layer in reversed(layers):
        options = merge_options(options, _options_of(layer))
    config = options.reasoning
    if not isinstance(config, ReasoningConfig):
        return False
    return config.effort not in (None, "none") or config.budget_tokens not in (None, 0)


def time_limits(model: ChatModel, *layers: OptionLayer | None) -> Timeouts:
    """The limits that hold for a call."""
    asked = _first("timeout", layers)
    if asked is None:
        asked = next(_bound("timeout", model), None)
    if asked is None or asked is UNSET:
        asked = model._config.timeout
    return Timeouts.of(asked)


def time_left(limits: Timeouts, began: float) -> dict[str, Any]:
    """The option that gives a further attempt what the earlier ones left of the time.

    Raises:
        RequestTimeoutError: they left nothing.
    """
    if limits.total is None:
        return {}
    left = began + limits.total - asyncio.get_running_loop().time()
    if left <= 0:
        raise RequestTimeoutError("the call took longer than its timeout (total)")
    return {"timeout": attrs.evolve(limits, total=left)}


def _options_of(layer: OptionLayer | None) -> OptionLayer | None:
    """A layer without what is no option."""
    if not isinstance(layer, Mapping):
        return layer
    return {name: value for name, value in layer.items() if name != "tools"}


def _first(name: str, layers: tuple[OptionLayer | None, ...]) -> Any:
    """What the highest layer says that says anything."""
    for layer in layers:
        value = layer.get(name) if isinstance(layer, Mapping) else getattr(layer, name, None)
        if value is not None:
            return value
    return None


def _bound(name: str, model: ChatModel) -> Iterator[Any]:
    """What a model, or else the ones inside of it, have for a default."""
    own = getattr(model._options, name)
    if own is not None:
        yield own
        return
    inside = vars(model)
    for one in inside.get("models") or filter(None, (inside.get("inner"),)):
        yield from _bound(name, one)

"""What is asked of the layers around a model: what they must be, and to close what they hold."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from beluga_llm._call import Layer


def check_middleware(layer: Callable[..., Any]) -> None:
    """Raises TypeError for what is no async-generator function around a call."""
    function = _unwrapped(layer)
    if (
        isinstance(function, Layer)
        or inspect.isasyncgenfunction(function)
        or inspect.isasyncgenfunction(
            getattr(type(function), "__call__", None)  # noqa: B004 -- the function is wanted
        )
    ):
        return
    raise TypeError(
        f"{layer!r} is not a middleware: it must be an async-generator function "
        "(request, call_next); to replace a model's methods, subclass DelegatingChatModel"
    )


def closer_of(layer: Any) -> Callable[[], Awaitable[None]] | None:
    """The `aclose` of a middleware object, also of one behind a partial."""
    found: Callable[[], Awaitable[None]] | None = getattr(_unwrapped(layer), "aclose", None)
    return found


def _unwrapped(layer: Any) -> Any:
    while isinstance(layer, functools.partial):
        layer = layer.func
    return layer

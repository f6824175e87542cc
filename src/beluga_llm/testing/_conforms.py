"""Whether an object is the ChatModel that it says it is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from beluga_llm._capabilities import Capabilities
from beluga_llm._model import ChatModel
from beluga_llm._tool_types import ToolDefinition

_COROUTINES = ("generate", "count_tokens", "aclose")


def assert_conforms(model: Any) -> None:
    """Fails unless a model keeps the form of ChatModel; nothing is sent.

    It looks at signatures and properties: `_stream` is an async generator of one request, the
    public methods still take what callers pass, identity and capabilities have the right types,
    and copies are copies.

    Raises:
        AssertionError: lists everything that is wrong.
    """
    if not isinstance(model, ChatModel):
        raise AssertionError(f"{model!r} is not a ChatModel")
    problems = [*_methods(model), *_identity(model), *_copies(model)]
    if problems:
        raise AssertionError(f"{type(model).__name__}: " + "; ".join(problems))


def _methods(model: ChatModel) -> Iterator[str]:
    implementation = type(model)._stream
    is_delegating = hasattr(model, "inner")
    if not inspect.isasyncgenfunction(implementation) and not is_delegating:
        yield "_stream must be an async generator: `async def` with `yield`"
    if not _accepts(model._stream, 1):
        yield "_stream must take one argument, the request"
    for name in _COROUTINES:
        if not inspect.iscoroutinefunction(getattr(model, name)):
            yield f"{name} must be `async def`"
    if inspect.iscoroutinefunction(model.stream) or inspect.isasyncgenfunction(model.stream):
        yield "stream must be a plain method that returns a ChatStream"
    for name in ("generate", "stream"):
        if not _accepts(getattr(model, name), 1, options=None, temperature=0.5, tools=()):
            yield f"{name} must take (messages, *, options=None, **options)"
    if not _accepts(model.bind_tools, 1, replace=True):
        yield "bind_tools must take (tools, *, replace=True)"


def _accepts(function: Any, positional: int, **keywords: Any) -> bool:
    try:
        inspect.signature(function).bind(*[None] * positional, **keywords)
    except TypeError:
        return False
    return True


def _identity(model: ChatModel) -> Iterator[str]:
    for name in ("provider", "model_id"):
        value = getattr(model, name)
        if not isinstance(value, str) or not value:
            yield f"{name} must be a non-empty str, got {value!r}"
    if model.qualified_id != f"{model.provider}/{model.model_id}":
        yield f"qualified_id must be provider/model_id, got {model.qualified_id!r}"
    if not isinstance(model.capabilities, Capabilities):
        yield f"capabilities must be Capabilities, got {type(model.capabilities).__name__}"
    if not isinstance(model.unwrap(), ChatModel):
        yield f"unwrap() must give a ChatModel, got {type(model.unwrap()).__name__}"


def _copies(model: ChatModel) -> Iterator[str]:
    before = dict(vars(model))
    tool = ToolDefinition("conformance_probe")
    copies = {
        "bind_tools": model.bind_tools([tool]),
        "with_options": model.with_options(temperature=0.5),
    }
    for name, made in copies.items():
        if made is model or type(made) is not type(model):
            yield f"{name} must give a copy of the same type"
        elif (made.provider, made.model_id) != (model.provider, model.model_id):
            yield f"{name} must keep provider and model_id"
    if vars(model) != before:
        yield "copies must not change the original"

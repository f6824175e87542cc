"""The way of a request into a model: completed, checked, and through the layers around it.

`begin` makes a request of what a user asked; `accept` takes it, or that of another model, adds
what belongs to the model (options, tools, limits of time) and hands it to the outermost layer. All
is checked before anything is sent.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from beluga_llm._call import Call, Chunks, compose, foreign, limited
from beluga_llm._options import NO_OPTIONS, GenerateOptions, changed_options, merge_options
from beluga_llm._request import Bounds, ChatRequest, InnerModel, ModelInfo, RequestInfo, earliest
from beluga_llm._request_context import context_values
from beluga_llm._tool_types import ToolDefinition
from beluga_llm._validate import (
    MessageInput,
    check_options,
    check_pairing,
    ensure_messages,
    join_tools,
)
from beluga_llm._watching import span_of

if TYPE_CHECKING:
    from beluga_llm._keywords import CallKeywords
    from beluga_llm._model import ChatModel


def begin(
    model: ChatModel,
    messages: MessageInput,
    options: GenerateOptions | None,
    keywords: CallKeywords,
    call: Call,
) -> Chunks:
    """The answer to what a user asked."""
    layer = {name: value for name, value in keywords.items() if name != "tools"}
    more = keywords.get("tools")
    request = ChatRequest(
        ensure_messages(messages),
        tools=join_tools((), more, win=False) if more else (),
        streaming=call.op == "chat.stream",
        asked=tuple(given for given in (options, layer) if given),
    )
    return accept(model, request, call)


def accept(model: ChatModel, request: ChatRequest, call: Call) -> Chunks:
    """A request completed with what belongs to the model, checked, and on its way."""
    asked = request.asked
    if request.options is not request.merged:
        asked = (*asked, changed_options(request.merged, request.options))
    options = functools.reduce(merge_options, asked, model._options)
    tools = model._tools
    if request.tools:
        tools = join_tools(tools, request.tools, win=True)
    if model._hands_on:
        asked = (*model._asked, *asked)
        check_options(options, None)
    else:
        options = _checked(model, request, options=options, tools=tools)
        call.provider, call.model_id = model.provider, options.model or model.model_id
    deadline, bounds = model._deadline(options), request.bounds
    if request.call is None:
        call.deadline = deadline
    elif deadline is not None:  # of one model among several: the others have their own time
        bounds = bounds.narrowed(Bounds(deadline))
    completed = ChatRequest(
        request.messages,
        options,
        tools,
        request.streaming,
        _info(call, options),
        call,
        asked,
        options,
        info_of(model, options.model or model.model_id),
        bounds,
    )
    chunks = compose(model._open, model._layers, call)(completed)
    if deadline is not None and (model._layers or not model._watches_time):
        until = earliest(call.deadline, bounds.deadline)
        chunks = limited(chunks, lambda: until)
        call.opened.append(chunks)
    return chunks


def attempt(model: ChatModel, request: ChatRequest) -> Chunks:
    """What the provider itself gives: one attempt, inside of all layers."""
    if request.call is not None and not model._hands_on:
        request.call.attempt += 1
    chunks = model._stream(request)
    if not hasattr(chunks, "athrow"):
        if inspect.iscoroutine(chunks):
            chunks.close()
        raise TypeError(
            f"{type(model).__name__}._stream must be an async generator, "
            f"not give a {type(chunks).__name__}"
        )
    if model._watches_time:
        return chunks
    if (span := span_of(request.call)) is not None:
        from beluga_llm._telemetry.spans import opening

        chunks = opening(chunks, span)
    return foreign(chunks, request.model.model_id)


def info_of(model: ChatModel, model_id: str) -> ModelInfo:
    """Who a model is to middleware, when it is asked for this id."""
    inside = tuple(map(_inner, model._inside()))
    return ModelInfo(model.provider, model_id, *model._where, model._variant, inside)


def _info(call: Call, options: GenerateOptions) -> RequestInfo:
    values = call.values
    if (running := context_values()) is not values:
        values = values.within(running)
    return RequestInfo(
        call.call_id, values.session_id, values.request_id, values.tenant, options.metadata
    )


def _inner(model: ChatModel) -> InnerModel:
    return InnerModel(info_of(model, model.model_id), model._options, model._tools)


def _checked(
    model: ChatModel,
    request: ChatRequest,
    *,
    options: GenerateOptions,
    tools: Sequence[ToolDefinition],
) -> GenerateOptions:
    """Options with the model's id, and without a choice among no tools; all is checked."""
    known = model._accepted
    if options is known[0] and tools is known[1] and model.model_id == known[2]:
        completed: GenerateOptions = known[3]
    else:
        completed = _completed(model, options, tools)
        if options is model._options and tools is model._tools:  # as most calls have them
            model._accepted = options, tools, model.model_id, completed
    if completed.validate_history:
        check_pairing(request.messages)
    return completed


def _completed(
    model: ChatModel, options: GenerateOptions, tools: Sequence[ToolDefinition]
) -> GenerateOptions:
    if options is not NO_OPTIONS:
        check_options(options, tools)
    if tools:
        model._check_tools(tools)
    changes: dict[str, Any] = {}
    if options.model is None:
        changes["model"] = model.model_id
    if options.tool_choice is not None and not tools:
        changes["tool_choice"] = None
    return msgspec.structs.replace(options, **changes) if changes else options

"""The way of a request into a model: completed, checked, and through the layers around it.

`begin` makes a request of what a user asked; `accept` takes it, or that of another model, adds
what belongs to the model (options, tools, limits of time) and hands it to the outermost layer. All
is checked before anything is sent.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from beluga_llm._around import foreign, limited
from beluga_llm._call import Call, Chunks, compose
from beluga_llm._options import (
    NO_OPTIONS,
    GenerateOptions,
    OptionLayer,
    changed_options,
    merge_options,
)
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
    asked: tuple[OptionLayer, ...] = (options,) if options else ()
    more = None
    if keywords:
        more = keywords.get("tools")
        if layer := {name: value for name, value in keywords.items() if name != "tools"}:
            asked += (layer,)
    request = ChatRequest(
        ensure_messages(messages),
        tools=join_tools((), more, win=False) if more else (),
        streaming=call.op == "chat.stream",
        asked=asked,
    )
    return accept(model, request, call)


def accept(model: ChatModel, request: ChatRequest, call: Call) -> Chunks:
    """A request completed with what belongs to the model, checked, and on its way."""
    asked = request.asked
    if request.options is not request.merged:
        asked = (*asked, changed_options(request.merged, request.options))
    tools = join_tools(model._tools, request.tools, win=True) if request.tools else model._tools
    if model._hands_on:
        options = functools.reduce(merge_options, asked, model._options)
        check_options(options, None)
        asked = (*model._asked, *asked)
        info = info_of(model, options.model or model.model_id)
    else:
        ready = _ready(model, asked, tools)
        options, info = ready.options, ready.info
        call.provider, call.model_id = info.provider, info.model_id
        if options.validate_history:
            check_pairing(request.messages)
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
        info,
        bounds,
    )
    if model._layers:
        chunks = compose(model._open, model._layers, call)(completed)
    else:
        chunks = model._open(completed)
        call.opened.append(chunks)
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


# --- what a model makes of options ---------------------------------------------------------------


class Ready(msgspec.Struct, frozen=True):
    """What a model makes of the options that calls ask: checked once, used by all that are alike.

    Attributes:
        base, tools, model_id: the model's own, of which it was made.
        options: complete, with the model's id, and without a choice among no tools.
        info: the model, as it is asked.
    """

    base: GenerateOptions
    tools: tuple[ToolDefinition, ...]
    model_id: str
    options: GenerateOptions
    info: ModelInfo

    def suits(self, model: ChatModel) -> bool:
        """Whether the model is still as it was."""
        return (
            self.base is model._options
            and self.tools is model._tools
            and self.model_id == model.model_id
            and self.info.provider == model.provider
        )


_MOST = 16
"""How many sets of options a model remembers."""

_SIMPLE = frozenset((str, int, float, bool, type(None)))
_Alike: TypeAlias = tuple[tuple[Any, ...], ...]


def _ready(
    model: ChatModel, asked: Sequence[OptionLayer], tools: Sequence[ToolDefinition]
) -> Ready:
    """The options of a call, merged and checked, or those of a call before that asked the same."""
    alike = _alike(asked) if tools is model._tools else None
    if alike is not None and (known := model._ready.get(alike)) and known.suits(model):
        return known
    merged = functools.reduce(merge_options, asked, model._options)
    options = _completed(model, merged, tools)
    info = info_of(model, options.model or model.model_id)
    ready = Ready(model._options, model._tools, model.model_id, options, info)
    if alike is not None:
        if len(model._ready) >= _MOST:
            model._ready.clear()
        model._ready[alike] = ready
    return ready


def _alike(asked: Sequence[OptionLayer]) -> _Alike | None:
    """Equal for layers that ask for the same, None where that is not told at a glance.

    True, 1 and 1.0 are equal, but not the same.
    """
    found: list[tuple[Any, ...]] = []
    for layer in asked:
        if type(layer) is not dict or not _SIMPLE.issuperset(map(type, layer.values())):
            return None
        found += (*layer.items(),), (*map(type, layer.values()),)
    return tuple(found)


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

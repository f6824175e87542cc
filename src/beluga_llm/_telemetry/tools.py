"""The spans of tools that a loop runs: `execute_tool {name}`, current while the tool runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from beluga_llm._json import dumps_text
from beluga_llm._messages import Content, ToolMessage
from beluga_llm._model import ChatModel
from beluga_llm._telemetry import content, mark_failed, names, start, tracer, within
from beluga_llm._tool_types import ToolCall
from beluga_llm._watching import error_code
from beluga_llm.middleware.tracing import Tracing

if TYPE_CHECKING:
    from beluga_llm._telemetry import Span, Tracer

Around: TypeAlias = Callable[[ToolCall, Awaitable[Content]], Awaitable[Content]]


def tool_spans(model: ChatModel) -> Around | None:
    """What stands around each call of a tool; None where nobody records spans.

    The model's own `with_tracing` says who records, and whether content; else the global provider
    does, without content.
    """
    layer = _tracing_of(model)
    made_by = tracer(None if layer is None else layer.tracer_provider)
    if made_by is None:
        return None
    captures = layer is not None and layer.capture in ("SPAN_ONLY", "SPAN_AND_EVENT")
    return ToolSpans(made_by, captures=captures)


def _tracing_of(model: ChatModel) -> Tracing | None:
    found = next((layer for layer in model._layers if isinstance(layer, Tracing)), None)
    inner = getattr(model, "inner", None)
    return _tracing_of(inner) if found is None and isinstance(inner, ChatModel) else found


class ToolSpans:
    """Makes a span around each call of a tool."""

    def __init__(self, made_by: Tracer, *, captures: bool) -> None:
        self._tracer, self._captures = made_by, captures

    async def __call__(self, call: ToolCall, running: Awaitable[Content]) -> Content:
        """The result of the call."""
        span = start(self._tracer, f"{names.EXECUTE_TOOL} {call.name}", _about(call), client=False)
        try:
            if self._captures:
                span.set_attribute(names.TOOL_ARGUMENTS, _json(content.arguments(call.arguments)))
            with within(span):
                result = await running
            if self._captures:
                message = ToolMessage(result, call.id)
                span.set_attribute(names.TOOL_RESULT, _json(content.result(message)))
            return result
        except asyncio.CancelledError:
            span.set_attribute(names.ABORTED, "cancelled")
            raise
        except Exception as error:
            _fail(span, error)
            raise
        finally:
            span.end()


def _fail(span: Span, error: Exception) -> None:
    """A tool's own words are content: only the class of its error is told."""
    span.set_attribute(names.ERROR_TYPE, error_code(error))
    mark_failed(span, type(error).__name__)


def _about(call: ToolCall) -> dict[str, Any]:
    return {
        names.OPERATION: names.EXECUTE_TOOL,
        names.TOOL_NAME: call.name,
        names.TOOL_CALL_ID: call.id,
        names.TOOL_TYPE: "function",
    }


def _json(value: Any) -> str:
    return value if isinstance(value, str) else dumps_text(value)

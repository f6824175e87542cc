"""The door to OpenTelemetry: the only module that imports it, when something first asks for it.

Only the API is imported. Without an SDK, or a provider that an application hands in, `tracer`,
`meter` and `logger` give None, and nothing is measured. Names are in `names.py`.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from opentelemetry._logs import Logger as Logger
    from opentelemetry._logs import LoggerProvider as LoggerProvider
    from opentelemetry.context import Context as Context
    from opentelemetry.metrics import Meter as Meter
    from opentelemetry.metrics import MeterProvider as MeterProvider
    from opentelemetry.trace import Span as Span
    from opentelemetry.trace import Tracer as Tracer
    from opentelemetry.trace import TracerProvider as TracerProvider

SCOPE = "beluga_llm"
"""What spans, metrics and events are said to come from."""


@functools.cache
def _trace() -> ModuleType:
    """`opentelemetry.trace`; an import statement would cost each call a few percent of its span."""
    from opentelemetry import trace

    return trace


@functools.cache
def _metrics() -> ModuleType:
    from opentelemetry import metrics

    return metrics


@functools.cache
def _context() -> ModuleType:
    from opentelemetry import context

    return context


def tracer(provider: TracerProvider | None) -> Tracer | None:
    """What makes spans; None where nobody records them."""
    provider = _trace().get_tracer_provider() if provider is None else provider
    if _is_idle(provider):
        return None
    found = _TRACERS.get(provider)
    if found is None:
        from beluga_llm._version import __version__

        found = _TRACERS[provider] = provider.get_tracer(SCOPE, __version__)
    return found


_TRACERS: WeakKeyDictionary[TracerProvider, Tracer] = WeakKeyDictionary()
"""Making one costs as much as a fifth of a span."""


def meter_provider(given: MeterProvider | None) -> MeterProvider | None:
    """What makes meters; None where nobody records metrics."""
    provider = _metrics().get_meter_provider() if given is None else given
    return None if _is_idle(provider) else provider


def meter(provider: MeterProvider) -> Meter:
    """What makes instruments."""
    from beluga_llm._version import __version__

    return provider.get_meter(SCOPE, __version__)


def emit(
    provider: LoggerProvider | None,
    name: str,
    span: Span,
    attributes: dict[str, Any],
    *,
    warn: bool,
) -> None:
    """Emits an event as a log record that belongs to a span."""
    from opentelemetry import _logs, trace

    from beluga_llm._version import __version__

    provider = _logs.get_logger_provider() if provider is None else provider
    if _is_idle(provider):
        return
    severity = _logs.SeverityNumber.WARN if warn else _logs.SeverityNumber.INFO
    provider.get_logger(SCOPE, __version__).emit(
        _logs.LogRecord(
            context=trace.set_span_in_context(span),
            severity_number=severity,
            severity_text=severity.name,
            attributes=attributes,
            event_name=name,
        )
    )


def start(made_by: Tracer, name: str, attributes: dict[str, Any], *, client: bool) -> Span:
    """A span under the current one; it is not made the current one."""
    kinds = _trace().SpanKind
    kind = kinds.CLIENT if client else kinds.INTERNAL
    return made_by.start_span(name, kind=kind, attributes=attributes)


def mark_failed(span: Span, text: str) -> None:
    """Sets the status of a span to ERROR."""
    trace = _trace()
    span.set_status(trace.Status(trace.StatusCode.ERROR, text))


class within:  # noqa: N801 -- reads as the preposition it is: `with within(span):`
    """Makes a span the current one in a `with` block that holds no yield; None changes nothing."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span | None) -> None:
        self._span = span
        self._token: Any = None

    def __enter__(self) -> None:
        if self._span is not None:
            self._token = _context().attach(_trace().set_span_in_context(self._span))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A coroutine that is destroyed unfinished may be so in any context.
        if self._token is not None and kind is not GeneratorExit:
            _context().detach(self._token)


def ids(span: Span | None) -> dict[str, str]:
    """The ids of a span, or of the current one, as W3C writes them; none where there is none."""
    trace = _trace()
    context = (trace.get_current_span() if span is None else span).get_span_context()
    if not context.is_valid:
        return {}
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


def _is_idle(provider: object) -> bool:
    """Whether a provider is the API's own, which records nothing."""
    return type(provider).__module__.startswith(_OF_THE_API)


_OF_THE_API = ("opentelemetry.trace", "opentelemetry.metrics", "opentelemetry._logs")

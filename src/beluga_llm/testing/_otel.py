"""What OpenTelemetry records, in memory, with providers of a test's own.

Nothing global is set or read: a test hands `.provider` to `with_tracing` or `with_metrics`. Needs
the distribution opentelemetry-sdk; only the fixtures import this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON


class OtelSpans(InMemorySpanExporter):
    """The spans that have ended: OpenTelemetry's own exporter, and what tests ask of it.

    Attributes:
        provider: the tracer provider whose spans these are, for `with_tracing`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.provider = TracerProvider(
            sampler=ALWAYS_ON, resource=Resource.get_empty(), shutdown_on_exit=False
        )
        self.provider.add_span_processor(SimpleSpanProcessor(self))

    tracer_provider = property(lambda self: self.provider)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended, in the order in which they did."""
        return self.get_finished_spans()

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [span.name for span in self.spans]

    def one(self, name: str | None = None) -> ReadableSpan:
        """The only span, or the only one of this name.

        Raises:
            AssertionError: there is none, or there are several.
        """
        found = [span for span in self.spans if name in (None, span.name)]
        if len(found) != 1:
            asked = "" if name is None else f" {name!r}"
            raise AssertionError(f"{len(found)} spans{asked} have ended, of {self.names}")
        return found[0]

    def close(self) -> None:
        """Ends the provider."""
        self.provider.shutdown()


class OtelMetrics(InMemoryMetricReader):
    """The metrics so far: OpenTelemetry's own reader, and what tests ask of it.

    Attributes:
        provider: the meter provider whose metrics these are, for `with_metrics`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.provider = MeterProvider(
            metric_readers=[self], resource=Resource.get_empty(), shutdown_on_exit=False
        )

    meter_provider = property(lambda self: self.provider)

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The metrics by their names, each with `unit` and `data.data_points`."""
        data = self.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str, **attributes: Any) -> list[Any]:
        """The data points of a metric that have these attributes; none where there is no such.

        Args:
            name: of the metric.
            **attributes: a dot in a name is written as two underscores: `error__type="timeout"`.
        """
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        metric = self.metrics.get(name)
        return [
            point
            for point in (metric.data.data_points if metric else ())
            if wanted.items() <= dict(point.attributes).items()
        ]

    def close(self) -> None:
        """Ends the provider."""
        self.provider.shutdown()

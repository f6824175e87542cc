"""Measurements of calls, as OpenTelemetry's conventions for generative AI have them.

    model = model.with_middleware(with_tracing(), with_metrics(), with_retry())

Nothing is recorded, and nothing costs, until the application has set up OpenTelemetry's SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm._call import CallNext, Chunks, Layer
from beluga_llm._request import ChatRequest
from beluga_llm._telemetry import meter_provider as usable
from beluga_llm._telemetry.metrics import CallMetrics, instruments
from beluga_llm._watching import is_watched, watched

if TYPE_CHECKING:
    from beluga_llm._pricing.table import Prices, Pricing
    from beluga_llm._telemetry import MeterProvider


class Metrics(Layer):
    """The layer of `with_metrics`."""

    def __init__(self, meter_provider: MeterProvider | None, prices: Pricing | bool | None) -> None:
        self._meter_provider = meter_provider
        self._prices: Prices | None = None
        if prices is not None and prices is not False:
            from beluga_llm._pricing.table import to_prices

            self._prices = to_prices(None if prices is True else prices)

    def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the call, which is measured."""
        provider = usable(self._meter_provider)
        if provider is None or is_watched(request, CallMetrics.kind):
            return call_next(request)
        watch = CallMetrics(request, instruments(provider), self._prices)
        return watched(request, call_next, watch)

    def __repr__(self) -> str:
        return "with_metrics()"


def with_metrics(
    meter_provider: MeterProvider | None = None, *, prices: Pricing | bool | None = None
) -> Metrics:
    """A layer that measures calls: how long they take, what they use, what goes wrong.

        model = model.with_middleware(with_metrics())

    Put it outside of caches, fallbacks and retries, which it counts too. Of several such layers
    around one call the outermost measures it. Times are in seconds.

    Args:
        meter_provider: what makes the instruments; None: the global one.
        prices: counts what calls cost too, in USD: True by the prices of the extra `prices`, or a
            table as for `cost_of`.

    Raises:
        ConfigError: the prices are not installed, or are none.
    """
    return Metrics(meter_provider, prices)

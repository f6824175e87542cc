"""A service that keeps answering: retries, limits, a second provider, and traces of it all.

Two fake servers stand in for two vendors. The first one is over its limit, then broken; every
question is answered all the same, and the trace tells by whom and why. In earnest:

    llm.resilient("openai/gpt-4o-mini", ["anthropic/claude-haiku-4-5"], limits={"rpm": 600})

Needs opentelemetry-sdk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

import beluga_llm as llm
from beluga_llm.testing import FakeServer, rate_limited


class Printed(SpanExporter):
    """Prints a line for each span and its events; a collector takes its place."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Prints them."""
        for span in spans:
            facts = span.attributes or {}
            print(f"  span {span.name!r} by {facts.get('gen_ai.response.model')}")
            for event in span.events:
                print(f"    {event.name} {dict(event.attributes or {})}")
        return SpanExportResult.SUCCESS


def service(first: FakeServer, second: FakeServer) -> llm.ChatModel:
    """The model of the service: tracing outermost, then fallback, retry, breaker and limits."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Printed()))
    main = llm.create("openai-compatible/large", base_url=first.base_url("chat"))
    spare = llm.create("openai-compatible/small", base_url=second.base_url("chat"))
    model = llm.resilient(
        main,
        [spare],
        retry={"max_attempts": 2, "initial": 0.01},
        breaker={"failure_threshold": 3, "reset_timeout": 30},
        limits={"max_concurrent": 50},
    )
    return model.with_middleware(llm.with_tracing(provider))


async def main() -> None:
    """Four questions, while the first provider goes from busy to broken."""
    async with FakeServer("from the first") as first, FakeServer("from the second") as second:
        async with service(first, second) as model:
            first.reply(rate_limited(0.05, "milliseconds"))
            print("busy for a moment: it is asked again when it says so")
            print((await model.generate("one", timeout=10)).text)

            first.reply(status=500, times=3)
            for question in ("two", "three", "four"):
                print(f"broken: question {question}")
                print((await model.generate(question, timeout=10)).text)
        asked = len(first.requests), len(second.requests)
        print(f"the first was asked {asked[0]} times, the second {asked[1]} times")


if __name__ == "__main__":
    asyncio.run(main())

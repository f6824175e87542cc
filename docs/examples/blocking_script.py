"""A program without asyncio: plain functions, threads, and a stream in a `for` loop.

All calls share one event loop in the background, and with it the connections.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import beluga_llm as llm
from beluga_llm import blocking

MODEL = os.environ.get("BELUGA_MODEL", "demo")


@llm.tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"18 C and sunny in {city}"


def main() -> None:
    """An answer, a stream, several threads, and the tool loop."""
    print(blocking.generate(MODEL, "What is 2+2?").text)

    with blocking.stream(MODEL, "Tell me a story") as stream:
        for chunk in stream:
            print(chunk.delta, end="", flush=True)
    print(f"\n-- {stream.usage.output_tokens} tokens")

    with ThreadPoolExecutor(4) as pool:
        for reply in pool.map(lambda city: blocking.generate(MODEL, city), ["Oslo", "Lima"]):
            print(reply.text)

    run = blocking.run(llm.run_tools(MODEL, "What is the weather in Oslo?", [weather]))
    print(run.response.text)


if __name__ == "__main__":
    main()

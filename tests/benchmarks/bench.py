"""What beluga-llm costs, as ratios to a hand-written aiohttp client in the same run.

    python tests/benchmarks/bench.py [--rounds N] [--json FILE]

CPU time of the client process only (`time.process_time`); the server runs in another process and
the candidates take turns in interleaved rounds. Medians are shown with minimum and maximum.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import aiohttp
import orjson

import beluga_llm as llm

CALLS = 200
CHUNKS = 2000
Task = Callable[[], Awaitable[int]]


class Floor:
    """What one would write by hand: aiohttp, orjson, nothing checked."""

    def __init__(self, base_url: str) -> None:
        self.url = f"{base_url}/chat/completions"
        self.session = aiohttp.ClientSession()

    def body(self, model: str, *, stream: bool) -> bytes:
        """The request."""
        messages = [{"role": "user", "content": "What is 2+2?"}]
        return orjson.dumps({"model": model, "messages": messages, "stream": stream})

    async def generate(self) -> int:
        """Several calls, one after the other."""
        headers = {"Content-Type": "application/json", "Authorization": "Bearer key"}
        for _ in range(CALLS):
            data = self.body("whole", stream=False)
            async with self.session.post(self.url, data=data, headers=headers) as answer:
                body = orjson.loads(await answer.read())
                text = body["choices"][0]["message"]["content"]
        return len(text) and CALLS

    async def stream(self) -> int:
        """One long stream."""
        headers = {"Content-Type": "application/json", "Authorization": "Bearer key"}
        data = self.body(f"burst-{CHUNKS}", stream=True)
        count, rest = 0, b""
        async with self.session.post(self.url, data=data, headers=headers) as answer:
            async for part in answer.content.iter_any():
                *events, rest = (rest + part).split(b"\n\n")
                for event in events:
                    if event == b"data: [DONE]":
                        continue
                    delta = orjson.loads(event[6:])["choices"][0]["delta"]
                    if delta.get("content"):
                        count += 1
        return count


class Ours:
    """The same through beluga-llm."""

    def __init__(self, base_url: str, *layers: llm.Middleware) -> None:
        model = llm.create("openai-compatible/whole", base_url=base_url, api_key="key")
        self.model = model.with_middleware(*layers)
        self.burst = f"burst-{CHUNKS}"

    async def generate(self) -> int:
        """Several calls, one after the other."""
        for _ in range(CALLS):
            reply = await self.model.generate("What is 2+2?")
        return len(reply.text) and CALLS

    async def stream(self) -> int:
        """One long stream."""
        count = 0
        async with self.model.stream("What is 2+2?", model=self.burst) as stream:
            async for chunk in stream:
                if chunk.delta:
                    count += 1
        return count


async def passing(
    request: llm.ChatRequest, call_next: llm.CallNext
) -> AsyncGenerator[llm.StreamChunk, None]:
    """A layer that does nothing."""
    async for chunk in call_next(request):
        yield chunk


def recommended() -> list[llm.Middleware]:
    """The layers of docs/middleware.md, all at once, and none that holds a stream back."""
    return [
        llm.with_guard(input=lambda messages: None),
        llm.with_hooks(llm.Hooks.from_callables(after_generate=lambda call, reply, error: None)),
        llm.with_cache(only=lambda request: False),
        llm.with_fallback("demo"),
        llm.with_hedge(delay=60),
        llm.with_retry(),
        llm.with_circuit_breaker(),
        llm.with_limits(max_concurrent=100),
        llm.with_timeout(idle=60),
    ]


async def cost(task: Task, expected: int) -> float:
    """CPU microseconds for each unit of a task."""
    begun = time.process_time()
    done = await task()
    spent = time.process_time() - begun
    if done != expected:
        raise AssertionError(f"{task} did {done} of {expected}")
    return spent / done * 1e6


async def measure(base_url: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Microseconds by scenario and candidate, one figure for each round."""
    floor, bare = Floor(base_url), Ours(base_url)
    four, whole = Ours(base_url, *[passing] * 4), Ours(base_url, *recommended())
    candidates = {
        "floor": floor,
        "beluga-llm": bare,
        "beluga-llm, 4 layers": four,
        "beluga-llm, recommended stack": whole,
    }
    figures: dict[str, dict[str, list[float]]] = {"call": {}, "chunk": {}}
    for turn in range(rounds + 1):
        for name, candidate in candidates.items():
            calls = await cost(candidate.generate, CALLS)
            chunks = await cost(candidate.stream, CHUNKS)
            if turn:  # the first round warms up
                figures["call"].setdefault(name, []).append(calls)
                figures["chunk"].setdefault(name, []).append(chunks)
    await floor.session.close()
    for ours in (bare, four, whole):
        await ours.model.aclose()
    return figures


def import_cost(statement: str, rounds: int) -> list[float]:
    """CPU milliseconds of an import in fresh processes."""
    code = f"import time; a = time.process_time(); {statement}; print(time.process_time() - a)"
    found = []
    for _ in range(rounds):
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        found.append(float(ran.stdout) * 1e3)
    return found


def import_figures(rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds of `import asyncio`, and of ours after it, with what a first use loads."""
    return {
        "floor": import_cost("import asyncio", rounds),
        "import beluga_llm": import_cost("import asyncio, beluga_llm", rounds),
        "and its values": import_cost(
            "import asyncio, beluga_llm; beluga_llm.ChatModel, beluga_llm.create", rounds
        ),
    }


def table(figures: dict[str, dict[str, list[float]]]) -> str:
    """The figures as Markdown."""
    lines = ["| what | who | median | min to max | ratio |", "|---|---|---|---|---|"]
    for what, candidates in figures.items():
        floor = statistics.median(candidates["floor"])
        unit = "ms" if what == "import" else "us"
        for name, values in candidates.items():
            median = statistics.median(values)
            spread = f"{min(values):.2f} to {max(values):.2f}"
            lines.append(
                f"| {what} | {name} | {median:.2f} {unit} | {spread} | {median / floor:.2f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Runs the server, the rounds, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    script = Path(__file__).with_name("server.py")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            figures = asyncio.run(measure(f"http://127.0.0.1:{port}/v1", chosen.rounds))
        finally:
            server.kill()
    figures["import"] = import_figures(chosen.rounds)
    print(table(figures))
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()

"""What is measured, and in which unit; each scenario takes a client and gives figures by name.

CPU is the client process's (`time.process_time`), so that the server does not count.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from clients import Beluga, Client, history, now_ns, plain_history

Figures = dict[str, float]
CALLS, CHUNKS, SINGLES = 100, 2000, 300


class Scenario(NamedTuple):
    """Something that is measured.

    Attributes:
        run: gives figures by name; one round.
        units: of each figure, by name.
        goals: of each figure, as text, where there is one: beluga-llm's by the figure, that of
            another client by "figure, client".
    """

    run: Callable[[Client], Awaitable[Figures]]
    units: Mapping[str, str]
    goals: Mapping[str, str]


async def cpu(work: Awaitable[Any], parts: int) -> float:
    """CPU microseconds for each part of some work."""
    begun = time.process_time()
    await work
    return (time.process_time() - begun) / parts * 1e6


async def calls(client: Client) -> Figures:
    """Short answers, one after the other."""

    async def work() -> None:
        for _ in range(CALLS):
            await client.generate()

    return {"call": await cpu(work(), CALLS)}


async def counted(client: Client, model: str, expected: int) -> None:
    """One stream whose pieces are counted."""
    if (count := await client.stream(model)) not in (expected, expected + 1):
        raise AssertionError(f"{model}: {count} pieces instead of {expected}")


async def bursts(client: Client) -> Figures:
    """Chunks that arrive together, in streams of 1000, 2000 and 8000."""
    found = {
        f"{size} chunks": await cpu(counted(client, f"burst-{size}", size), size)
        for size in (1000, CHUNKS, 8000)
    }
    return {
        "chunk": found[f"{CHUNKS} chunks"],
        "8000 to 1000": found["8000 chunks"] / found["1000 chunks"],
    }


async def fragments(client: Client) -> Figures:
    """Fragments of one tool call that arrive together."""
    return {"fragment": await cpu(counted(client, f"tools-{CHUNKS}", CHUNKS), CHUNKS)}


async def singles(client: Client) -> Figures:
    """Chunks that arrive one by one."""
    return {"single": await cpu(counted(client, f"single-{SINGLES}", SINGLES), SINGLES)}


async def histories(client: Client) -> Figures:
    """Calls with ten tools and a history of 10 and of 1000 messages."""
    found = {}
    for turns, times in ((10, 30), (1000, 10)):
        talk = history(turns) if isinstance(client, Beluga) else plain_history(turns)

        async def work(talk: Any = talk, times: int = times) -> None:
            for _ in range(times):
                await client.generate(talk)

        found[turns] = await cpu(work(), times)
    return {"history": found[1000], "message": (found[1000] - found[10]) / 990}


async def crowds(client: Client) -> Figures:
    """A hundred and a thousand streams at a time, and the longest stall of the event loop."""
    found = {}
    for crowd in (100, 1000):
        stall = [0.0]
        watch = asyncio.create_task(watching(stall))
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(crowd):
                group.create_task(counted(client, "burst-20", 20))
        found[f"{crowd} streams"] = (time.perf_counter() - begun) / crowd * 1e6
        found[f"stall of {crowd}"] = stall[0] * 1e3
        watch.cancel()
    return found


async def watching(stall: list[float]) -> None:
    """Keeps the longest time in which the loop did nothing else."""
    last = time.perf_counter()
    while True:
        await asyncio.sleep(0)
        now = time.perf_counter()
        stall[0], last = max(stall[0], now - last), now


async def paced(client: Client) -> Figures:
    """A hundred streams at a hundred chunks a second: CPU, and how late texts are seen."""
    late: list[float] = []

    def seen(text: str) -> None:
        if text.isdigit():
            late.append((now_ns() - int(text)) / 1e3)

    begun, spent = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(client.stream("paced-100", seen))
    took = time.perf_counter() - begun
    used = (time.process_time() - spent) / took * 100
    return {"core": used, "latency": statistics.median(late)}


async def first_token(client: Client) -> Figures:
    """Wall time from the call to the first text."""
    waits = []
    for _ in range(30):
        begun, first = time.perf_counter(), []

        def seen(text: str, begun: float = begun, first: list[float] = first) -> None:
            first.append(time.perf_counter() - begun)

        await client.stream("single-2", seen)
        waits.append(first[0] * 1e6)
    return {"first token": statistics.median(waits)}


async def memory(client: Client) -> Figures:
    """Memory of an open stream, of 200 that are open at a time."""
    await client.stream("burst-2")
    opened = asyncio.Semaphore(0)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tasks = [
        asyncio.create_task(client.stream("open", lambda text: opened.release()))
        for _ in range(200)
    ]
    for _ in tasks:
        await opened.acquire()
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"open stream": used / len(tasks) / 1024}


SCENARIOS: dict[str, Scenario] = {
    "calls": Scenario(calls, {"call": "us"}, {"call": "<= 1.25"}),
    "bursts": Scenario(
        bursts,
        {"chunk": "us", "8000 to 1000": "times"},
        {"chunk": "<= 1.25, <= 2 with the recommended stack", "8000 to 1000": "equal"},
    ),
    "fragments": Scenario(fragments, {"fragment": "us"}, {"fragment": "<= 1.3"}),
    "singles": Scenario(singles, {"single": "us"}, {"single": "<= 6 us more"}),
    "histories": Scenario(
        histories, {"history": "us", "message": "us"}, {"message": "<= 0.6 us more"}
    ),
    "crowds": Scenario(
        crowds,
        {
            "100 streams": "us each",
            "1000 streams": "us each",
            "stall of 100": "ms",
            "stall of 1000": "ms",
        },
        {
            "100 streams": "<= 1.11",
            "1000 streams": "<= 1.11",
            "stall of 100": "<= 1.1",
            "stall of 1000": "<= 1.1",
        },
    ),
    "paced": Scenario(
        paced, {"core": "%", "latency": "us"}, {"core": "<= 50 %", "latency": "<= 1.25"}
    ),
    "first token": Scenario(first_token, {"first token": "us"}, {"first token": "<= 1.1"}),
    "memory": Scenario(memory, {"open stream": "KiB"}, {"open stream": "<= 30 KiB"}),
}
"""Each scenario by its name."""

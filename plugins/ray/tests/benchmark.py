"""How fast a dataset goes through, and what it takes: Ray beside one process with `batch`.

    python benchmark.py [rows] [calls at a time] [actors]

The server is that of tests/benchmarks, in a process of its own. Each way runs in a process of its
own too, which is watched with all that it starts. Memory is the sum of the proportional shares
(PSS) of these processes at its highest, so that what they share is counted once.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
SERVER = ROOT / "tests" / "benchmarks" / "server.py"


def config(port: str) -> dict[str, Any]:
    """The model: whole answers, and nothing around it."""
    url = f"http://127.0.0.1:{port}/v1"
    return {"provider": "openai", "model": "whole", "base_url": url, "api_key": "sk-none"}


def by_ray(port: str, rows: int, at_a_time: int, actors: int) -> dict[str, Any]:
    """A dataset through actors, which share the calls at a time."""
    import ray

    from beluga_llm_ray import generate

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    dataset = ray.data.range(rows).map_batches(
        lambda batch: {"id": batch["id"], "q": [f"What is {i} + {i}?" for i in batch["id"]]}
    )
    began = time.monotonic()
    answers = generate(
        dataset,
        model=config(port),
        prompt="q",
        actors=actors,
        max_concurrency=at_a_time // actors,
        batch_size=500,
    )
    good = number = 0
    for batch in answers.iter_batches(batch_size=5000, batch_format="pyarrow"):
        ids = batch.column("id").to_pylist()
        assert ids == [*range(number, number + len(ids))]  # all are there, once, in order
        number += len(ids)
        good += batch.num_rows - batch.column("text").null_count
    seconds = time.monotonic() - began
    ray.shutdown()
    return {"seconds": seconds, "rows": number, "good": good}


def by_batch(port: str, rows: int, at_a_time: int, actors: int) -> dict[str, Any]:
    """The same in one event loop."""
    import beluga_llm as llm

    async def run() -> int:
        async with llm.create_from_config(config(port)) as model:
            found = await model.batch(
                (f"What is {i} + {i}?" for i in range(rows)),
                max_concurrency=at_a_time,
                return_exceptions=True,
            )
            return sum(isinstance(one, llm.AIMessage) for one in found)

    began = time.monotonic()
    good = asyncio.run(run())
    return {"seconds": time.monotonic() - began, "rows": rows, "good": good}


def watched(name: str, *arguments: str) -> dict[str, Any]:
    """What a way prints, with the highest memory of its processes, and their CPU time."""
    command = [sys.executable, __file__, name, *arguments]
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        peak: dict[str, Any] = {"mib": 0.0, "processes": 0}
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.5):
                sizes = [pss(one) for one in family(process.pid)]
                if sum(sizes) > peak["mib"]:
                    peak.update(mib=sum(sizes), processes=len(sizes))

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        ended.set()
        watcher.join()
    return {**json.loads(lines[-1]), **peak}


def family(first: int) -> list[int]:
    """A process and all that descends from it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [first]
    for one in found:
        found += parents.get(one, [])
    return found


def pss(process: int) -> float:
    """The memory of a process in MiB, with its share of what it shares."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line[:4] == "Pss:") / 1024


def main() -> None:
    """Runs one way, or compares both."""
    if sys.argv[1:2] and sys.argv[1] in WAYS:
        name, port, *numbers = sys.argv[1:]
        print(json.dumps(WAYS[name](port, *map(int, numbers))))
        return
    given = sys.argv[1:4]
    rows, at_a_time, actors = [*given, *USUAL[len(given) :]]
    with subprocess.Popen([sys.executable, SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        try:
            for name in WAYS:
                found = watched(name, port, rows, at_a_time, actors)
                rate = found["rows"] / found["seconds"]
                print(
                    f"{name:6} {found['good']} of {found['rows']} rows, {found['seconds']:.1f} s, "
                    f"{rate:.0f} rows/s; {found['mib']:.0f} MiB in {found['processes']} processes",
                    flush=True,
                )
        finally:
            server.kill()


USUAL = ["100000", "64", "2"]
WAYS = {"batch": by_batch, "ray": by_ray}

if __name__ == "__main__":
    main()

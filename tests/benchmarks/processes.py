"""Figures that need a process of their own: imports, the first call, what is left, the size."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

_TIMED = "import time; a = time.process_time(); {}; print(time.process_time() - a)"
_RAW_CALL = """
import time; a = time.process_time()
import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession() as session:
        async with session.post({url!r}, data=b'{{"model": "whole"}}') as answer:
            await answer.json()
asyncio.run(main()); print(time.process_time() - a)
"""
_OUR_CALL = """
import time; a = time.process_time()
import asyncio, beluga_llm as llm
async def main():
    async with llm.create("openai-compatible/whole", base_url={url!r}, api_key="key") as model:
        await model.generate("hi")
asyncio.run(main()); print(time.process_time() - a)
"""
_ABANDONED = """
import asyncio, gc, os, beluga_llm as llm
gc.disable()
async def first(model):
    async for chunk in (stream := model.stream("hi", model="open")):
        return stream
async def main():
    model = llm.create("openai-compatible/whole", base_url={url!r}, api_key="key")
    async def broken():
        async with model.stream("hi", model="open") as stream:
            async for chunk in stream:
                break
    async def closed():
        await (await first(model)).aclose()
    async def cancelled():
        got = asyncio.Event()
        async def read():
            async with model.stream("hi", model="open") as stream:
                async for chunk in stream:
                    got.set()
        task = asyncio.create_task(read())
        await got.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await broken()
    before = len(os.listdir("/proc/self/fd"))
    for leave in (broken, closed, cancelled):
        for _ in range(334):
            await leave()
    for _ in range(3):
        await asyncio.sleep(0)
    print(model._transport.connections, len(asyncio.all_tasks()) - 1,
          len(os.listdir("/proc/self/fd")) - before)
    await model.aclose()
asyncio.run(main())
"""


def line(what: str, figure: str, ratio: str, goal: str) -> str:
    """A line of the table."""
    return f"| {what} | beluga-llm | {figure} | | {ratio} | {goal} |"


def printed(code: str) -> str:
    """What a program prints in a fresh process."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return ran.stdout.strip()


def milliseconds(code: str, rounds: int) -> float:
    """CPU of a program that prints seconds, the median of fresh processes."""
    return statistics.median(float(printed(code)) * 1e3 for _ in range(rounds))


def imports(base_url: str, rounds: int) -> list[str]:
    """CPU of imports, and of the first call in a fresh process."""
    rounds = max(rounds, 5)
    bare = milliseconds(_TIMED.format("import asyncio"), rounds)
    ours = milliseconds(_TIMED.format("import asyncio, beluga_llm"), rounds)
    count = (
        "import sys, asyncio; b = len(sys.modules); import beluga_llm; print(len(sys.modules) - b)"
    )
    raw_call = milliseconds(_RAW_CALL.format(url=f"{base_url}/chat/completions"), rounds)
    our_call = milliseconds(_OUR_CALL.format(url=base_url), rounds)
    more = f"(+{our_call - raw_call:.1f})"
    return [
        f"| import | asyncio | {bare:.1f} ms | | | |",
        line("import", f"{ours:.1f} ms", f"{ours / bare:.2f}", "<= 2.5"),
        line("import", f"{printed(count)} modules beyond asyncio", "", "<= 150"),
        f"| import and first call | aiohttp | {raw_call:.1f} ms | | | |",
        line("import and first call", f"{our_call:.1f} ms", more, "<= 30 ms more"),
    ]


def left_behind(base_url: str, rounds: int) -> list[str]:
    """What 1000 abandoned streams leave behind, without any garbage collection."""
    connections, tasks, descriptors = printed(_ABANDONED.format(url=base_url)).split()
    left = f"{connections} connections, {tasks} tasks, {descriptors} descriptors"
    return [line("1000 abandoned streams", left, "", "0")]


def footprint(base_url: str, rounds: int) -> list[str]:
    """Distributions and megabytes of the core in a fresh environment."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        place = Path(folder).glob("lib/python*/site-packages")
        packages = next(iter(place))
        before = {path.name for path in packages.iterdir()}
        subprocess.run([python, "-m", "pip", "install", "-q", str(ROOT)], check=True)
        new = [path for path in packages.iterdir() if path.name not in before]
        count = sum(path.name.endswith(".dist-info") for path in new)
        size = sum(
            file.stat().st_size
            for path in new
            for file in (path.rglob("*") if path.is_dir() else [path])
            if file.is_file() and "__pycache__" not in file.parts
        )
    return [line("footprint", f"{count} distributions, {size / 2**20:.1f} MiB", "", "<= 20, 16 MB")]

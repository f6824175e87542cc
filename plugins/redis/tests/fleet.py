"""Processes that share limits, and a provider that counts what arrives from them."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

WORKER = Path(__file__).parent / "worker.py"
SLACK = 0.002
"""Seconds by which two times of this process may be wrong."""


LATE = 1.0
"""Seconds that a request may be on its way. On a machine with more processes than processors it may
be longer, which no limiter knows; such a request is taken to have come after this time."""


class Arrival(NamedTuple):
    """A request: when it came, of whom, what it cost, and when its process had it in hand."""

    at: float
    who: str
    tokens: int
    asked: float


class Provider:
    """Speaks as much of chat completions as is needed.

    Attributes:
        arrivals: what came, in order.
        latest: seconds that a request was on its way, at most.
        refusals: when 429 was answered.
        running, most: how many requests run, and how many did at most.
        hold: seconds that a request takes.
        refuse: how many of the next requests are answered with 429, and a second to wait.
        tokens: what a request costs.
    """

    def __init__(self, *, hold: float = 0.02, tokens: int = 40) -> None:
        self.arrivals: list[Arrival] = []
        self.latest = 0.0
        self.refusals: list[float] = []
        self.running = self.most = self.refuse = 0
        self.hold, self.tokens = hold, tokens
        self.base_url = ""

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Provider]:
        """It listens inside of this."""
        asyncio.get_running_loop().set_debug(False)  # which costs more than what is measured
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=500)
        self.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        tasks = asyncio.all_tasks()
        try:
            yield self
        finally:
            server.close()
            for task in asyncio.all_tasks() - tasks:
                task.cancel()
                await asyncio.wait([task])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode(), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    async def _answer(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        await reader.readexactly(int(fields["content-length"]))
        if self.refuse:
            self.refuse -= 1
            self.refusals.append(self.now)
            _send(writer, "429 Too Many Requests\r\nretry-after: 1", {"error": {}})
            return
        who = fields["x-who"]
        begun = float(fields["x-begun"])
        self.latest = max(self.latest, self.now - begun)
        self.arrivals.append(
            Arrival(min(self.now, begun + LATE), who, self.tokens, float(fields["x-asked"]))
        )
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.hold)
        finally:
            self.running -= 1
        usage = {"prompt_tokens": self.tokens - 10, "completion_tokens": 10}
        choice = {"message": {"role": "assistant", "content": who}, "finish_reason": "stop"}
        _send(writer, "200 OK", {"choices": [choice], "usage": usage})

    def most_overtaken(self) -> int:
        """By how many requests of others, made after it, a request was overtaken at most."""
        return max(
            sum(other.asked > late.asked and other.who != late.who for other in self.arrivals[:at])
            for at, late in enumerate(self.arrivals)
        )

    def most_within(self, seconds: float, *, since: float = 0.0) -> int:
        """How many requests came in any window."""
        times = [one.at for one in self.arrivals if one.at >= since]
        return max(
            (sum(at <= one < at + seconds - SLACK for one in times) for at in times), default=0
        )

    def most_tokens_within(self, seconds: float) -> int:
        """How many tokens the requests of any window cost."""
        return max(
            sum(one.tokens for one in self.arrivals if at <= one.at < at + seconds - SLACK)
            for at in [one.at for one in self.arrivals]
        )


def _send(writer: asyncio.StreamWriter, status: str, body: dict[str, Any]) -> None:
    data = json.dumps({"id": "x", "model": "m", **body}).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}"
    writer.write(f"{head}\r\n\r\n".encode() + data)


class Worker:
    """A process that makes calls; `answers` and `warnings` are of its last job."""

    def __init__(self, who: str) -> None:
        pipe = subprocess.PIPE
        self.who = who
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER)], stdin=pipe, stdout=pipe, text=True
        )
        self._thread = ThreadPoolExecutor(1)
        self.answers: list[str] = []
        self.warnings: list[str] = []
        self.trips = 0

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"gone": True}

    def wait_ready(self) -> None:
        """It has imported what it needs."""
        assert self._read() == {"ready": True}

    def _work(self, job: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.answers, self.warnings, self.trips = [], [], 0
        self.process.stdin.write(json.dumps({**job, "who": self.who}) + "\n")
        self.process.stdin.flush()
        while "answer" in (said := self._read()):
            self.answers.append(said["answer"])
        self.warnings, self.trips = said.get("warnings", []), said.get("trips", 0)

    async def run(self, job: dict[str, Any]) -> None:
        """Has it make the calls of a job, or be killed."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._work, job)

    def kill(self) -> None:
        """Ends it without a good-bye."""
        self.process.kill()
        self._thread.shutdown()
        self.process.communicate()


def job_for(provider: Provider, url: str, **changes: Any) -> dict[str, Any]:
    """What workers are told; a minute has two seconds, where nothing else is said."""
    job = {
        "url": url, "base_url": provider.base_url, "name": secrets.token_hex(4), "lease": 1.0,
        "minute": 2.0, "late": LATE, "tasks": 3, "calls": 6, "tokens": 60, "limits": {},
    }  # fmt: skip
    return job | changes

"""Processes that share limits, and a provider that counts what arrives from them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

WORKER = Path(__file__).parent / "worker.py"
SLACK = 0.002
"""Seconds by which two times of this process may be wrong."""

MINUTE = 1.5
"""Seconds of a minute, where nothing else is said."""
LATE = 1.0
"""Seconds that a request may be on its way. On a machine with more processes than processors it may
be longer, which no limiter knows; such a request is taken to have come after this time."""


class Tally:
    """A number that grows, and that may be waited for."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def add(self) -> None:
        """One more."""
        self.count += 1
        for enough, reached in self._waiting:
            if enough <= self.count and not reached.done():
                reached.set_result(None)

    async def reach(self, enough: int) -> None:
        """It is so great."""
        if self.count < enough:
            reached = asyncio.get_running_loop().create_future()
            self._waiting.append((enough, reached))
            await reached


class Arrival(NamedTuple):
    """A request: when it came, of whom, what it cost, and when its process had it in hand and let
    it go."""

    at: float
    who: str
    tokens: int
    asked: float
    begun: float


class Provider:
    """Speaks as much of chat completions as is needed.

    Attributes:
        arrivals: what came, in order.
        arrived: how many that are.
        latest: seconds that a request was on its way, at most.
        refusals: when 429 was answered.
        running, most: how many requests run, and how many did at most.
        hold: seconds that a request takes.
        refuse: how many of the next requests are answered with 429, and a second to wait.
        tokens: what a request costs.
    """

    def __init__(self, *, hold: float = 0.02, tokens: int = 40) -> None:
        self.arrivals: list[Arrival] = []
        self.arrived = Tally()
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
        at, asked = min(self.now, begun + LATE), float(fields["x-asked"])
        self.arrivals.append(Arrival(at, who, self.tokens, asked, begun))
        self.running += 1
        self.most = max(self.most, self.running)
        self.arrived.add()
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
        return _most([one.at for one in self.arrivals if one.at >= since], seconds)

    def most_begun_within(self, seconds: float) -> int:
        """How many requests were let go in any window."""
        return _most([one.begun for one in self.arrivals], seconds)

    def most_tokens_within(self, seconds: float) -> int:
        """How many tokens the requests of any window cost."""
        return max(
            sum(one.tokens for one in self.arrivals if at <= one.at < at + seconds - SLACK)
            for at in [one.at for one in self.arrivals]
        )


def _most(times: list[float], seconds: float) -> int:
    within = (sum(at <= one < at + seconds - SLACK for one in times) for at in times)
    return max(within, default=0)


def _send(writer: asyncio.StreamWriter, status: str, body: dict[str, Any]) -> None:
    data = json.dumps({"id": "x", "model": "m", **body}).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}"
    writer.write(f"{head}\r\n\r\n".encode() + data)


class Worker:
    """A process that does jobs.

    Attributes:
        who: what the provider knows it by.
        renewals: how often it has renewed its leases.
        answers, warnings, trips: of its last job.
    """

    def __init__(self, who: str, line: socket.socket) -> None:
        self.who = who
        self._line = line
        with line.makefile("r") as said:
            self._pid = json.loads(said.readline())["pid"]
        self.renewals = Tally()
        self.answers: list[str] = []
        self.warnings: list[str] = []
        self.trips = 0

    async def run(self, job: dict[str, Any]) -> None:
        """Has it do a job, or be killed."""
        self.answers, self.warnings, self.trips = [], [], 0
        reader, writer = await asyncio.open_connection(sock=self._line.dup())
        writer.write(json.dumps({**job, "who": self.who}).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            while (line := await reader.readline()) and not self._hear(json.loads(line)):
                pass
        writer.close()

    def _hear(self, said: dict[str, Any]) -> bool:
        """Whether the job is done."""
        if "answer" in said:
            self.answers.append(said["answer"])
        elif "renewed" in said:
            self.renewals.add()
        else:
            self.warnings, self.trips = said["warnings"], said.get("trips", 0)
        return "done" in said

    def kill(self) -> None:
        """Ends it without a good-bye."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self._line.close()


@contextmanager
def nursery() -> Iterator[Callable[[str], Worker]]:
    """Makes processes, which have imported what they need; all have ended after the block."""
    workers = list[Worker]()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        command = [sys.executable, str(WORKER), str(listener.getsockname()[1])]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as parent:
            assert parent.stdin is not None

            def born(who: str) -> Worker:
                assert parent.stdin is not None
                parent.stdin.write(b"\n")
                parent.stdin.flush()
                line, _ = listener.accept()
                workers.append(Worker(who, line))
                return workers[-1]

            try:
                yield born
            finally:
                for one in workers:
                    one.kill()
                parent.stdin.close()


def job_for(provider: Provider, url: str, **changes: Any) -> dict[str, Any]:
    """What workers are told; a minute has 1.5 seconds, where nothing else is said."""
    job = {
        "url": url, "base_url": provider.base_url, "name": secrets.token_hex(4), "lease": 1.0,
        "minute": MINUTE, "late": LATE, "tasks": 3, "calls": 6, "tokens": 60, "limits": {},
        "processes": 1, "counts": False,
    }  # fmt: skip
    return job | changes

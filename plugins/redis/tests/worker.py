"""Processes that ask the same provider: `python worker.py PORT`.

It imports what they need, once, and forks one for each line on stdin. Each connects to the port,
where it reads a job, a line of JSON, does it, and tells what happens in lines of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from typing import Any, TextIO

import beluga_llm as llm
from beluga_llm_redis import RedisLimiter, RedisSessionStore, _place
from beluga_llm_redis._session import Session, Terms

NOBODY = "127.0.0.1:1"
"""Where nothing listens."""


class Heard(logging.Handler):
    """Keeps what was logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


class Process:
    """One of several; `test` is where it is told what to do."""

    def __init__(self, test: TextIO) -> None:
        self._test = test
        self._heard = Heard()
        logging.getLogger("beluga_llm").addHandler(self._heard)

    def say(self, **facts: Any) -> None:
        print(json.dumps(facts), file=self._test, flush=True)

    def serve(self) -> None:
        """Does one job after the other."""
        renew = Session._renew

        async def renew_and_tell(session: Session) -> None:
            await renew(session)
            self.say(renewed=True)

        Session._renew = renew_and_tell  # type: ignore[method-assign]  # to hear of it
        self.say(pid=os.getpid())
        for line in self._test:
            self._heard.texts.clear()
            job = json.loads(line)
            work = self.count if job["counts"] else self.ask
            facts = asyncio.run(work(job))
            self.say(done=True, warnings=self._heard.texts, **facts)

    async def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Makes calls, a few at a time, and tells of each."""
        limiter = self._limiter(job)
        base = llm.create(
            "openai-compatible",
            model="m",
            base_url=job["base_url"],
            api_key="key",
            headers={"x-who": job["who"]},
        )
        layers = (
            asked,
            llm.with_retry(max_attempts=5),
            llm.with_limits(llm.ProviderLimits(**job["limits"]), store=limiter),
            stamped,
        )
        async with limiter, base:
            model = base.with_middleware(*layers)
            calls = iter(range(job["calls"]))

            async def some() -> None:
                for number in calls:
                    reply = await model.generate(f"{number}", max_tokens=job["tokens"])
                    self.say(answer=reply.text)

            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for _ in range(job["tasks"]):
                    group.create_task(some())
            return {"trips": limiter._door.trips, "seconds": time.monotonic() - began}

    def _limiter(self, job: dict[str, Any]) -> RedisLimiter:
        """A limiter whose minute may be shorter than that of others."""
        _place.COLD = _place.LATE = job["late"]
        lease, minute = job["lease"], job["minute"]
        options = {"name": job["name"], "lease": lease, "processes": job["processes"]}
        limiter = RedisLimiter(job["url"], timeout=9.0, **options)
        periods = (1.0, minute, minute)
        limiter._terms = Terms(lease, limiter.prefix, time.monotonic, periods=periods)
        return limiter

    async def count(self, job: dict[str, Any]) -> dict[str, Any]:
        """Counts in one conversation, together with the others."""
        conflicts = 0
        async with RedisSessionStore(job["url"]) as store:
            for _ in range(job["calls"]):
                while True:
                    held = await store.load(job["name"])
                    try:
                        await store.save(job["name"], b"%d" % (int(held or b"0") + 1), 60, held)
                        break
                    except llm.StoreError as error:
                        if not error.conflict:
                            raise
                        conflicts += 1
        return {"conflicts": conflicts}


async def asked(request: llm.ChatRequest, call_next: Any) -> Any:
    """Tells the provider when a request was made, before it waited for its turn."""
    headers = {"x-asked": repr(time.monotonic())}
    options = llm.replace(request.options, extra_headers=headers)
    async for chunk in call_next(llm.replace(request, options=options)):
        yield chunk


async def stamped(request: llm.ChatRequest, call_next: Any) -> Any:
    """Tells the provider when a request was allowed: the clock is the same on one machine."""
    headers = {**request.options.extra_headers, "x-begun": repr(time.monotonic())}
    options = llm.replace(request.options, extra_headers=headers)
    async for chunk in call_next(llm.replace(request, options=options)):
        yield chunk


async def rehearse() -> None:
    """Imports all that a call needs: it takes a second, in which an event loop stands still."""
    base_url, url = f"http://{NOBODY}/v1", f"redis://{NOBODY}/0"
    model = llm.create("openai-compatible", model="m", base_url=base_url, api_key="key")
    async with model, RedisLimiter(url) as limiter:
        with contextlib.suppress(llm.ConnectionFailedError):
            await model.with_middleware(llm.with_limits(rpm=9, store=limiter)).generate("hi")


def main() -> None:
    """Forks as many as it is told to; it has no other thread."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    asyncio.run(rehearse())
    for _ in sys.stdin:
        if os.fork() == 0:
            with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as test:
                Process(test.makefile("rw")).serve()
            os._exit(0)


if __name__ == "__main__":
    main()

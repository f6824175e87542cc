"""One of several processes that ask the same provider: a job is a line of JSON on stdin.

It prints a line for each answer, and one at the end of a job with what its limiter did.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from typing import Any

import beluga_llm as llm
from beluga_llm_redis import RedisLimiter, _limiter
from beluga_llm_redis._session import Terms


class Heard(logging.Handler):
    """Keeps what was logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def limiter_of(job: dict[str, Any]) -> RedisLimiter:
    """A limiter whose minute may be shorter than that of others."""
    _limiter.COLD = _limiter.LATE = job["late"]
    limiter = RedisLimiter(job["url"], name=job["name"], lease=job["lease"], timeout=9.0)
    minute = job["minute"]
    limiter._terms = Terms(
        job["lease"], limiter.prefix, time.monotonic, periods=(1.0, minute, minute)
    )
    return limiter


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


async def work(job: dict[str, Any]) -> dict[str, Any]:
    """Makes calls, a few at a time, and tells of each."""
    limiter = limiter_of(job)
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
                say(answer=reply.text)

        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(job["tasks"]):
                group.create_task(some())
        return {"trips": limiter._door.trips, "seconds": time.monotonic() - began}


def main() -> None:
    """Does one job after the other."""
    heard = Heard()
    logging.getLogger("beluga_llm").addHandler(heard)
    say(ready=True)
    for line in sys.stdin:
        heard.texts.clear()
        done = asyncio.run(work(json.loads(line)))
        say(done=True, warnings=heard.texts, **done)


if __name__ == "__main__":
    main()

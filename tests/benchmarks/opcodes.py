"""How many Python instructions a call, a chunk and a message of a history cost, as JSON.

    python opcodes.py [messages]    with "messages", of Anthropic's messages

Counted, not timed: the same on every machine and on every run. Only what this process executes
counts, over a transport that answers from memory.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import clients
import server

import beluga_llm as llm
from beluga_llm.plugin import WireRequest

WHOLE = (server.WHOLE[b"chat"],)


class Ready:
    """A transport, and its answer, that are ready-made."""

    def __init__(self, kind: str, pieces: tuple[bytes, ...]) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {"content-type": kind}
        self.pieces = [*pieces, b""]

    async def request(self, request: WireRequest, *, until: float | None) -> Ready:
        """The answer."""
        return Ready(self.headers["content-type"], tuple(self.pieces[:-1]))

    async def read(self, until: float | None) -> bytes:
        """The next piece."""
        return self.pieces.pop(0)

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Likewise."""


def model(kind: str, *pieces: bytes) -> llm.ChatModel:
    """A model that is answered from memory."""
    transport = Ready(kind, pieces)
    return llm.create("openai-compatible/m", base_url="http://x", api_key="k", transport=transport)


async def instructions(work: Coroutine[Any, Any, Any], place: str = "") -> int:
    """The Python instructions that some work takes, those of files within a folder."""
    count = 0

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "opcode"
        return local

    def entered(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(place):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return local

    sys.settrace(entered)
    try:
        await work
    finally:
        sys.settrace(None)
    return count


async def read(made: llm.ChatModel) -> None:
    """Reads a stream to its end."""
    async with made.stream("hi") as stream:
        async for _ in stream:
            pass


def burst(size: int, *layers: llm.Middleware) -> llm.ChatModel:
    """A model that streams so many chunks, 64 to a piece."""
    text = (server.CHUNK[b"chat"] % b" word") * 64
    pieces = [text] * (size // 64)
    return model("text/event-stream", *pieces, server.END[b"chat"]).with_middleware(*layers)


def fragments(size: int) -> llm.ChatModel:
    """A model that streams one tool call in so many fragments, 64 to a piece."""
    pieces = [server.FRAGMENT * 64] * (size // 64)
    return model("text/event-stream", server.CALL, *pieces, server.END[b"chat"])


def messages(size: int) -> llm.ChatModel:
    """A model of Anthropic's that streams so many chunks, 64 to a piece."""
    text = (server.CHUNK[b"messages"] % b" word") * 64
    pieces = (server.BEGIN[b"messages"], *[text] * (size // 64), server.END[b"messages"])
    transport = Ready("text/event-stream", pieces)
    return llm.create("anthropic/m", base_url="http://x", api_key="k", transport=transport)


async def of_messages() -> dict[str, float]:
    """Instructions of Anthropic's messages."""
    transport = Ready("application/json", (server.WHOLE[b"messages"],))
    whole = llm.create("anthropic/m", base_url="http://x", api_key="k", transport=transport)
    await whole.generate("hi")
    return {"call": await instructions(whole.generate("hi")), "chunk": await each(messages)}


async def each(made: Callable[[int], llm.ChatModel]) -> float:
    """Instructions for each further chunk of a stream."""
    await read(made(64))
    few, many = [await instructions(read(made(size))) for size in (640, 6400)]
    return (many - few) / 5760


async def telemetry() -> dict[str, float]:
    """What tracing and metrics add to calls and chunks: our own instructions, none of the SDK's."""
    from telemetry import meter_provider, tracer_provider

    ours = str(Path(llm.__file__).parent)
    plain = model("application/json", *WHOLE)
    off = llm.with_tracing(), llm.with_metrics()
    on = llm.with_tracing(tracer_provider()), llm.with_metrics(meter_provider())
    found = {}
    for layers in ((), off, on):
        made = plain.with_middleware(*layers)
        await made.generate("hi")
        await read(burst(64, *layers))
        few, many = [await instructions(read(burst(size, *layers)), ours) for size in (640, 6400)]
        found[layers] = await instructions(made.generate("hi"), ours), (many - few) / 5760
    return {
        f"{what}, {where}": found[layers][at] - found[()][at]
        for where, layers in (("no SDK", off), ("SDK", on))
        for at, what in enumerate(("telemetry", "telemetry, per chunk"))
    }


async def counts() -> dict[str, float]:
    """Instructions by what they are for."""
    plain = model("application/json", *WHOLE)
    stack = plain.with_middleware(*clients.recommended())
    short, long = clients.history(10), clients.history(1010)
    for warm in (plain, stack, burst(64), burst(64, clients.passing)):
        await warm.generate("hi")
        await read(warm)
    few, many = [await instructions(read(burst(size))) for size in (640, 6400)]
    layered_few, layered_many = [
        await instructions(read(burst(size, clients.passing))) for size in (640, 6400)
    ]
    near, far = [await instructions(plain.generate(talk)) for talk in (short, long)]
    near_again, far_again = [await instructions(plain.generate(talk)) for talk in (short, long)]
    return {
        "call": await instructions(plain.generate("hi")),
        "call with the recommended stack": await instructions(stack.generate("hi")),
        "chunk": (many - few) / 5760,
        "tool fragment": await each(fragments),
        "layer, per chunk": (layered_many - layered_few - many + few) / 5760,
        "message": (far - near) / 1000,
        "message, sent again": (far_again - near_again) / 1000,
        **await telemetry(),
    }


if __name__ == "__main__":
    if "messages" in sys.argv:
        print(json.dumps(asyncio.run(of_messages())))
    else:
        print(json.dumps(asyncio.run(counts())))

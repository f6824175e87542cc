"""Who is measured: a hand-written loop over aiohttp and orjson, beluga-llm, and other clients.

Each can answer a conversation whole, and count the non-empty pieces of a streamed answer.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Protocol

import aiohttp

import beluga_llm as llm

try:
    import orjson
except ImportError:  # only the floor needs it
    orjson = None

QUESTION = "What is 2+2?"
Seen = Callable[[str], None]


class Client(Protocol):
    """What a scenario asks for."""

    async def generate(self, talk: Any = None) -> None:
        """One whole answer to a conversation that `conversation` made."""

    async def stream(self, model: str, seen: Seen | None = None) -> int:
        """The number of pieces of a streamed answer; `seen` is called with each text."""

    async def aclose(self) -> None:
        """Closes the connections."""


def plain_history(turns: int) -> list[dict[str, str]]:
    """A conversation as the API has it."""
    roles = ("user", "assistant")
    history = [{"role": roles[at % 2], "content": f"message {at} of a talk"} for at in range(turns)]
    return [*history, {"role": "user", "content": QUESTION}]


def plain_tools() -> list[dict[str, Any]]:
    """Ten tools as the API has them."""
    return [{"type": "function", "function": tool} for tool in map(_tool, range(10))]


def _tool(number: int) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
        "required": ["query"],
    }
    return {"name": f"tool_{number}", "description": "Looks something up.", "parameters": schema}


class Floor:
    """What one would write by hand for chat completions: nothing is checked."""

    headers = {"Content-Type": "application/json", "Authorization": "Bearer key"}
    path = "/chat/completions"

    def __init__(self, base_url: str) -> None:
        self.url = base_url + self.path
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2000))

    def body(self, model: str, talk: Any = None, *, stream: bool) -> bytes:
        """The request."""
        data = {"model": model, "messages": talk or plain_history(0), "stream": stream}
        return orjson.dumps({**data, "tools": plain_tools()} if talk else data)

    def text(self, body: Any) -> str:
        """The text of a whole answer."""
        return str(body["choices"][0]["message"]["content"])

    def piece(self, event: bytes) -> str:
        """The text of an event."""
        if event == b"data: [DONE]":
            return ""
        delta = orjson.loads(event[6:])["choices"][0]["delta"]
        if calls := delta.get("tool_calls"):
            return str(calls[0]["function"]["arguments"])
        return delta.get("content") or ""

    async def generate(self, talk: Any = None) -> None:
        """One call."""
        data = self.body("whole", talk, stream=False)
        async with self.session.post(self.url, data=data, headers=self.headers) as answer:
            assert self.text(orjson.loads(await answer.read()))

    async def stream(self, model: str, seen: Seen | None = None) -> int:
        """One stream."""
        data = self.body(model, stream=True)
        count, rest = 0, b""
        async with self.session.post(self.url, data=data, headers=self.headers) as answer:
            async for part in answer.content.iter_any():
                *events, rest = (rest + part).split(b"\n\n")
                for event in events:
                    if text := self.piece(event):
                        count += 1
                        if seen is not None:
                            seen(text)
        return count

    async def aclose(self) -> None:
        """Closes the session."""
        await self.session.close()


class MessagesFloor(Floor):
    """The same for Anthropic's messages."""

    headers = {"Content-Type": "application/json", "x-api-key": "key"}
    path = "/messages"

    def body(self, model: str, talk: Any = None, *, stream: bool) -> bytes:
        """The request."""
        messages = talk or plain_history(0)
        return orjson.dumps({
            "model": model, "messages": messages, "stream": stream, "max_tokens": 4096,
        })  # fmt: skip

    def text(self, body: Any) -> str:
        """The text of a whole answer."""
        return str(body["content"][0]["text"])

    def piece(self, event: bytes) -> str:
        """The text of an event."""
        data = orjson.loads(event[event.index(b"\ndata: ") + 7 :])
        return data["delta"]["text"] if data["type"] == "content_block_delta" else ""


class Beluga:
    """beluga-llm, with or without layers."""

    def __init__(self, model: llm.ChatModel, layers: Sequence[llm.Middleware] = ()) -> None:
        self.model = model.with_middleware(*layers)
        self.bound = self.model.bind_tools(
            llm.ToolDefinition(tool["name"], tool["description"], tool["parameters"])
            for tool in map(_tool, range(10))
        )

    async def generate(self, talk: Any = None) -> None:
        """One call."""
        if talk is None:
            assert (await self.model.generate(QUESTION)).text
        else:
            assert (await self.bound.generate(talk)).text

    async def stream(self, model: str, seen: Seen | None = None) -> int:
        """One stream."""
        count = 0
        async with self.model.stream(QUESTION, model=model) as stream:
            async for chunk in stream:
                if chunk.delta or chunk.tool_calls:
                    count += 1
                    if seen is not None:
                        seen(chunk.delta)
        return count

    async def aclose(self) -> None:
        """Closes the model."""
        await self.model.aclose()


def history(turns: int) -> list[llm.Message]:
    """`plain_history` as our messages."""
    kinds = {"user": llm.HumanMessage, "assistant": llm.AIMessage}
    return [kinds[one["role"]](one["content"]) for one in plain_history(turns)]


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
        llm.with_limits(max_concurrent=2000),
        llm.with_timeout(idle=60),
    ]


def chat(base_url: str, *layers: llm.Middleware) -> Beluga:
    """beluga-llm on chat completions."""
    model = llm.create("openai-compatible/whole", base_url=base_url, api_key="key", pool_limit=2000)
    return Beluga(model, layers)


def messages(base_url: str) -> Beluga:
    """beluga-llm on Anthropic's messages."""
    root = base_url.removesuffix("/v1")
    return Beluga(llm.create("anthropic/whole", base_url=root, api_key="key"))


def now_ns() -> int:
    """The clock that the server writes into paced streams."""
    return time.monotonic_ns()

"""A fake LLM server on a real socket of this machine.

    with FakeServer() as server:                      # in a thread of its own, or
    async with FakeServer(DemoChatModel()) as server: # in the running event loop
        server.reply("Hello")
        server.reply("Hello, again", chunk_delay=0.01, cut_after=300)
        server.reply(status=429, headers={"retry-after": "1"})
        model = llm.create("openai-compatible", model="m", base_url=server.base_url("chat"))

Theory of operation. The path says which wire format a request has; the next reply of the queue, or
else the default, says what is answered. In a thread the server works with every event loop of the
tests and with none, and stays out of the way of tests that look for leaked tasks.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from types import TracebackType
from typing import Any, Self, TypeAlias

from beluga_llm.testing._answers import (
    WIRES,
    counted,
    explain,
    json_payload,
    payload_of,
    refusal,
    wire_of,
)
from beluga_llm.testing._http1 import Connection
from beluga_llm.testing._reply import Answer, Reply, Seen
from beluga_llm.testing._sender import Payload, send
from beluga_llm.testing._threads import Bell, ServerThread
from beluga_llm.testing._wire import Failure

Brain: TypeAlias = Callable[[Seen], "Reply | Answer | Awaitable[Reply | Answer]"]
Default: TypeAlias = Reply | Answer | Brain

_MODELS = {
    "object": "list",
    "data": [
        {
            "id": "fake-model",
            "object": "model",
            "created": 1735689600,
            "owned_by": "fake",
            "type": "model",
            "display_name": "Fake",
            "created_at": "2025-01-01T00:00:00Z",
        }
    ],
    "has_more": False,
    "models": [{"name": "models/fake-model", "supportedGenerationMethods": ["generateContent"]}],
}
_KEY = {"data": {"label": "fake", "usage": 0}}
"""What OpenRouter tells of a key."""
_TAGS = {"models": [{"name": "fake-model", "model": "fake-model", "details": {}}]}
"""The same as Ollama lists it."""


class FakeServer:
    """A server that speaks the wire formats of all providers; the path says which one is meant.

    Lists of models (`GET .../models`, and Ollama's `GET /api/tags`), `GET .../key` (OpenRouter's
    word on a key) and requests that count tokens are answered without a script, unless a reply has
    such a path.

    Args:
        default: what is answered when the queue of replies is empty: a Reply, what a Reply may
            answer (a text, a message, a ChatModel), or a function of the Seen request that gives
            one of these. None answers 500.
        key: refuses requests with another key, in any of the vendors' headers.
        port: where to listen; 0 for a free port.

    Attributes:
        requests: all requests, in the order in which they came.
        errors: what went wrong in the server itself, such as a script that cannot be sent.
        default: may be set at any time.
    """

    def __init__(
        self, default: Default | None = None, *, key: str | None = None, port: int = 0
    ) -> None:
        self.default = default
        self.key = key
        self._wanted = port
        self.requests: list[Seen] = []
        self.errors: list[Exception] = []
        self.connections: set[Connection] = set()
        self._replies: deque[tuple[str | None, Reply]] = deque()
        self._bell = Bell()
        self._port: int | None = None
        self._server: asyncio.Server | None = None
        self._thread: ServerThread | None = None

    # --- the script ------------------------------------------------------------------------------

    def reply(
        self, answer: Any = None, *, times: int = 1, path: str | None = None, **fields: Any
    ) -> None:
        """Puts a reply at the end of the queue.

        Args:
            answer: a Reply, what a Reply may answer, raw bytes, or an error of ours.
            times: how often.
            path: only for requests whose path ends like this, such as "/models".
            **fields: fields of the Reply.
        """
        made = Reply.of(answer, **fields)
        self._replies.extend([(path, made)] * times)

    @property
    def unused(self) -> tuple[Reply, ...]:
        """The replies that no request has taken yet."""
        return tuple(reply for _, reply in self._replies)

    def reset(self) -> None:
        """Forgets all replies and requests."""
        self._replies.clear()
        self.requests.clear()
        self.errors.clear()

    # --- where it is -----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address, without a path."""
        if self._port is None:
            raise RuntimeError("the fake server is not running: use `with` or `async with`")
        return f"http://127.0.0.1:{self._port}"

    def base_url(self, api: str = "chat") -> str:
        """What to pass as `base_url=`.

        Args:
            api: the wire format: "chat", "responses", "messages".
        """
        return self.url + WIRES[api].base

    # --- what has happened -----------------------------------------------------------------------

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return len(self.connections)

    # These wait for at most `within` seconds, and then raise TimeoutError.

    async def received(self, count: int = 1, *, within: float = 5.0) -> Seen:
        """Waits until so many requests have come; gives the last of these."""
        await self._bell.until(lambda: len(self.requests) >= count, within, f"{count} requests")
        return self.requests[count - 1]

    async def finished(self, seen: Seen, *, within: float = 5.0) -> None:
        """Waits until the answer to a request was written."""
        await self._bell.until(lambda: seen.finished, within, f"the end of {seen!r}")

    async def disconnected(self, seen: Seen | None = None, *, within: float = 1.0) -> float:
        """Waits until the client of a request (of the last one) has closed the connection.

        Returns:
            When that was, by `time.monotonic`.
        """
        if seen is None:
            await self.received()
        asked = seen or self.requests[-1]
        await self._bell.until(
            lambda: asked.disconnected_at is not None, within, f"a disconnect of {asked!r}"
        )
        return asked.disconnected_at or 0.0

    async def idle(self, *, besides: Collection[Connection] = (), within: float = 1.0) -> None:
        """Waits until no connection is open, besides those that are none of the caller's."""
        others = frozenset(besides)
        await self._bell.until(
            lambda: self.connections <= others, within, "the last connection's end"
        )

    def changed(self) -> None:
        """Wakes those who wait for something to happen."""
        self._bell.ring()

    # --- answering -------------------------------------------------------------------------------

    async def answer(self, connection: Connection, seen: Seen) -> bool:
        """Answers a request; whether the connection stays open."""
        self.requests.append(seen)
        number = len(self.requests)
        self.changed()
        reply = Reply()
        try:
            reply, payload = await self._prepared(seen, number)
        except Exception as error:  # noqa: BLE001 -- a mistake in a test's script, which it must see
            self.errors.append(error)
            payload = explain(500, f"fake server: {type(error).__name__}: {error}")
        try:
            seen.finished = await send(connection, reply, payload)
        except Exception as error:  # noqa: BLE001 -- likewise, found in the middle of the answer
            self.errors.append(error)
            connection.abort()
        self.changed()
        return seen.finished and not reply.close

    async def _prepared(self, seen: Seen, number: int) -> tuple[Reply, Payload]:
        wire = wire_of(seen.path)
        if wire is not None and isinstance(seen.json, dict):
            seen.streaming = wire.streams(seen.path.rstrip("/"), seen.json)
        if self.key is not None and seen.key != self.key:
            failure = Failure(code="auth_error")
            if wire is not None:
                return Reply(), refusal(wire, failure, number, seen)
            return Reply(), explain(401, "fake server: this is not the key")
        reply = self._next(seen)
        if reply is None and (payload := _unscripted(seen)) is not None:
            return Reply(), payload
        if reply is None:
            reply = await self._by_default(seen)
        if reply is None:
            return Reply(), explain(
                500,
                f"fake server: no reply is left for request {number} ({seen.method} {seen.path}); "
                "script one with server.reply(...) or set server.default",
            )
        return reply, await payload_of(reply, seen, number)

    def _next(self, seen: Seen) -> Reply | None:
        builtin = _unscripted(seen) is not None
        for entry in list(self._replies):
            path, reply = entry
            if seen.path.endswith(path) if path is not None else not builtin:
                self._replies.remove(entry)
                return reply
        return None

    async def _by_default(self, seen: Seen) -> Reply | None:
        default: Any = self.default
        if callable(default):
            default = default(seen)
            if inspect.isawaitable(default):
                default = await default
        return None if default is None else Reply.of(default)

    # --- running ---------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self._wanted)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        tasks = [connection.task for connection in self.connections if connection.task]
        for connection in list(self.connections):
            connection.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.idle(within=5.0)
        await server.wait_closed()
        self._port = None

    def __enter__(self) -> Self:
        self._thread = ServerThread(self)
        self._thread.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._thread.end()
            self._thread = None

    def __repr__(self) -> str:
        where = "not running" if self._port is None else self.url
        seen, left = len(self.requests), len(self._replies)
        return f"<FakeServer {where}, {seen} requests, {left} replies left>"


def _unscripted(seen: Seen) -> Payload | None:
    """What is answered without a script."""
    path = seen.path.rstrip("/")
    if seen.method == "GET" and path.endswith("/models"):
        return json_payload(_MODELS)
    if seen.method == "GET" and path.endswith("/key"):
        return json_payload(_KEY)
    if seen.method == "GET" and path.endswith("/api/tags"):
        return json_payload(_TAGS)
    if path.endswith(("/messages/count_tokens", "/count-tokens:rawPredict")):
        return json_payload({"input_tokens": counted(seen.json, "").input_tokens})
    if path.endswith(":countTokens"):
        return json_payload({"totalTokens": counted(seen.json, "").input_tokens})
    return None


@contextlib.asynccontextmanager
async def demo_server(**options: Any) -> AsyncIterator[str]:
    """A server whose answers the demo model gives, as the base URL of its chat completions.

    async with demo_server() as base_url:
        model = llm.create("openai-compatible", model="demo", base_url=base_url)

    Args:
        **options: those of the DemoChatModel.

    Raises:
        ConfigError: an option is wrong.
    """
    from beluga_llm.testing.demo import DemoChatModel

    async with FakeServer(DemoChatModel(**options)) as server:
        yield server.base_url("chat")

"""Every limit fires at its time and says which it was; the clock is moved by hand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest

import beluga_llm as llm
from beluga_llm.testing import FakeServer

pytest.importorskip("beluga_llm_anthropic", reason="its wire format has pings")

Skip = Callable[[float], None]
LIMITS = llm.Timeouts(first_chunk=100, idle=50, keepalive=200, whole=300)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as running:
        yield running


@pytest.fixture
async def model(server: FakeServer) -> AsyncIterator[llm.ChatModel]:
    url = server.base_url("messages")
    async with llm.create("anthropic/m", base_url=url, api_key="key-1", timeout=LIMITS) as made:
        yield made


async def settle() -> None:
    """Lets what has arrived be read."""
    for _ in range(20):
        await asyncio.sleep(0.001)


@pytest.mark.row("PAIN-08", "OPTI-23", "STRE-23")
@pytest.mark.parametrize(
    ("reply", "streaming", "seconds", "words", "kind"),
    [
        ({"silent": True}, True, 100, "first_chunk", llm.StreamTimeoutError),
        ({"silent": True}, False, 300, "whole", llm.RequestTimeoutError),
        (
            {"answer": "one two", "stall_after": 20},
            True,
            100,
            "first_chunk",
            llm.StreamTimeoutError,
        ),
        ({"answer": "one two", "stall_after": 20}, False, 300, "whole", llm.RequestTimeoutError),
        (
            {"answer": "one two three " * 50, "stall_after": 900},
            True,
            50,
            "idle",
            llm.StreamTimeoutError,
        ),
    ],
)
async def test_a_stall_ends_at_its_limit(
    server: FakeServer,
    model: llm.ChatModel,
    skip_time: Skip,
    reply: dict[str, object],
    seconds: float,
    words: str,
    kind: type[llm.RequestTimeoutError],
    *,
    streaming: bool,
) -> None:
    server.reply(**reply)
    call = model.stream("hi").response() if streaming else model.generate("hi")
    task = asyncio.ensure_future(call)
    seen = await server.received()
    await settle()
    skip_time(seconds - 2)
    await settle()
    assert not task.done()
    skip_time(2.5)
    with pytest.raises(kind, match=rf"\({words}\)") as caught:
        await task
    assert caught.value.retryable
    assert isinstance(caught.value, TimeoutError)
    await server.disconnected(seen)


@pytest.mark.row("PAIN-08", "CHAT-10", "OPTI-23")
@pytest.mark.parametrize("streaming", [True, False])
async def test_total_ends_the_whole_call(
    server: FakeServer, model: llm.ChatModel, skip_time: Skip, *, streaming: bool
) -> None:
    server.reply("one two three", stall_after=900 if streaming else 20)
    call = model.stream("hi", timeout=7) if streaming else None
    task = asyncio.ensure_future(call.response() if call else model.generate("hi", timeout=7))
    await server.received()
    await settle()
    skip_time(6)
    await settle()
    assert not task.done()
    skip_time(1.5)
    with pytest.raises(llm.RequestTimeoutError, match=r"\(total\)"):
        await task


@pytest.mark.row("STRE-23", "PAIN-08")
@pytest.mark.parametrize(("keepalive", "alive_for"), [(200, 200), (0, 50), (None, 1000)])
async def test_pings_extend_idle_only_as_far_as_keepalive(
    server: FakeServer, skip_time: Skip, keepalive: float | None, alive_for: float
) -> None:
    pings = b'event: ping\ndata: {"type": "ping"}\n\n: comment\n\n'
    gate, over = asyncio.Event(), asyncio.Event()
    start = (
        b'event: message_start\ndata: {"type":"message_start","message":{"type":"message",'
        b'"role":"assistant","content":[],"model":"m","usage":{"input_tokens":1}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":"hi"}}\n\n'
    )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + start)
        try:
            while not over.is_set():
                await gate.wait()
                gate.clear()
                writer.write(pings)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    limits = llm.Timeouts(first_chunk=100, idle=50, keepalive=keepalive)
    async with llm.create(
        "anthropic/m", base_url=f"http://127.0.0.1:{port}", api_key="key-1", timeout=limits
    ) as model:
        task = asyncio.ensure_future(model.stream("hi").response())
        await settle()
        waited = 0.0
        while waited < alive_for - 40:
            skip_time(40)
            waited += 40
            gate.set()
            await settle()
            assert not task.done(), waited
        if keepalive is None:
            task.cancel()
        else:
            skip_time(45)
            with pytest.raises(llm.StreamTimeoutError, match=r"\(idle\)"):
                await task
        await asyncio.gather(task, return_exceptions=True)
    over.set()
    gate.set()
    listening.close()
    await listening.wait_closed()
    await settle()


@pytest.mark.row("STRE-23")
async def test_a_slow_consumer_is_no_stall(
    server: FakeServer, model: llm.ChatModel, skip_time: Skip
) -> None:
    server.reply("one two three four five", chunk_delay=0.001)
    async with model.stream("hi") as stream:
        async for chunk in stream:
            if chunk.delta:
                skip_time(500)
                await asyncio.sleep(0)
                await asyncio.sleep(0)  # the timer rings while nobody reads
    assert stream.message.text == "one two three four five"


@pytest.mark.row("PAIN-08", "OPTI-23")
async def test_connecting_has_a_limit_of_its_own() -> None:
    """A listener whose queue is full accepts nobody."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            async with llm.create(
                "openai-compatible/m",
                base_url=f"http://127.0.0.1:{address[1]}/v1",
                timeout=llm.Timeouts(connect=0.05),
            ) as model:
                with pytest.raises(llm.RequestTimeoutError, match=r"0\.05 s \(connect\)"):
                    await model.generate("hi")
        finally:
            for filler in fillers:
                filler.close()


@pytest.mark.row("OPTI-23")
async def test_a_server_that_keeps_the_connection_open_after_its_end_marker(
    server: FakeServer, model: llm.ChatModel, skip_time: Skip
) -> None:
    """All was said: the call ends a second later, complete."""
    server.reply("Hello")
    whole = await model.stream("hi").response()
    body = await _bytes_of(server)
    server.reply(body=body + b" ", content_type="text/event-stream", stall_after=len(body))
    task = asyncio.ensure_future(model.stream("hi").response())
    await server.received(3)
    await settle()
    skip_time(1.5)
    assert (await task).text == whole.text


async def _bytes_of(server: FakeServer) -> bytes:
    import aiohttp

    server.reply("Hello")
    async with aiohttp.ClientSession() as session:
        body = {"model": "m", "max_tokens": 9, "stream": True, "messages": []}
        async with session.post(f"{server.url}/v1/messages", json=body) as answer:
            return await answer.read()

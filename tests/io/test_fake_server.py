"""The fake server, byte by byte: what a client sees, and what the server sees of the client."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm import AIMessage, StreamChunk
from beluga_llm.testing import DemoChatModel, FakeServer, MockChatModel, Reply, Seen, demo_server
from beluga_llm.testing._threads import Bell, ServerThread

CHAT = "/v1/chat/completions"
ASK: Mapping[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**ASK, "stream": True}
ABC = Reply(body=b"data: abcdefghij\n\n")


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as running:
        yield running


class Client:
    """A client that sees every byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, server: FakeServer) -> Client:
        port = int(server.url.rpartition(":")[2])
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(
        self, body: Any = ASK, path: str = CHAT, *, method: str = "POST", **headers: str
    ) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(data)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(": ") for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name: value for name, _, value in pairs}

    async def answer(self) -> tuple[int, bytes]:
        """Status and body; IncompleteReadError where the body breaks off."""
        status, headers = await self.head()
        if headers.get("transfer-encoding") == "chunked":
            return status, b"".join([chunk async for chunk in self.chunks()])
        return status, await self.reader.readexactly(int(headers["content-length"]))

    async def chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[Client]:
    made = await Client.to(server)
    yield made
    made.writer.close()


async def turns(count: int) -> None:
    """Lets the event loop read what has arrived."""
    for _ in range(count):
        await asyncio.sleep(0)


async def one(client: Client, body: Any = ASK, path: str = CHAT) -> tuple[int, Any]:
    await client.ask(body, path)
    status, data = await client.answer()
    return status, json.loads(data)


# --- scripts -------------------------------------------------------------------------------------


@pytest.mark.row("TEST-01")
async def test_replies_are_answered_in_order(server: FakeServer, client: Client) -> None:
    server.reply("one")
    server.reply("two", times=2)
    texts = [(await one(client))[1]["choices"][0]["message"]["content"] for _ in range(3)]
    assert texts == ["one", "two", "two"]
    assert server.unused == ()


async def test_without_a_reply_the_answer_says_what_to_do(
    server: FakeServer, client: Client
) -> None:
    status, body = await one(client)
    assert status == 500
    assert "no reply is left for request 1 (POST /v1/chat/completions)" in body["error"]["message"]
    assert server.errors == []


async def test_the_default_answers_when_the_queue_is_empty(
    server: FakeServer, client: Client
) -> None:
    async def brain(seen: Seen) -> str:
        return f"you asked {seen.json['model']}"

    for default, text in ((Reply("a"), "a"), ("b", "b"), (brain, "you asked m")):
        server.default = default
        _, body = await one(client)
        assert body["choices"][0]["message"]["content"] == text


async def test_replies_for_a_path_wait_for_it(server: FakeServer, client: Client) -> None:
    server.reply(Reply(status=401), path="/models")
    server.reply("chat")
    assert (await one(client))[0] == 200
    await client.ask(None, "/v1/models", method="GET")
    assert (await client.answer())[0] == 401
    await client.ask(None, "/v1/models", method="GET")
    status, body = await client.answer()
    assert (status, json.loads(body)["data"][0]["id"]) == (200, "fake-model")


async def test_raw_bytes_go_to_any_path(server: FakeServer, client: Client) -> None:
    server.reply(b"plain", status=418, headers={"X-Tea": "green"})
    await client.ask({}, "/anything?q=1")
    status, headers = await client.head()
    assert (status, headers["x-tea"]) == (418, "green")
    assert await client.reader.readexactly(5) == b"plain"
    assert (server.requests[0].path, server.requests[0].query) == ("/anything", "q=1")


async def test_a_mistake_in_a_script_is_an_answer_and_an_error(
    server: FakeServer, client: Client
) -> None:
    server.default = lambda seen: 3  # type: ignore[assignment,return-value]  # the mistake
    status, body = await one(client)
    assert status == 500
    assert "cannot answer with int" in body["error"]["message"]
    assert len(server.errors) == 1


async def test_a_path_without_a_format_is_not_found(server: FakeServer, client: Client) -> None:
    server.reply("hello")
    assert (await one(client, path="/v1/embeddings"))[0] == 404


def test_a_piece_of_a_reply_has_a_size() -> None:
    with pytest.raises(ValueError, match="chunk_size must be at least 1, got 0"):
        Reply("hi", chunk_size=0)


def test_a_reply_ends_in_one_way() -> None:
    with pytest.raises(ValueError, match="not by cut and stall"):
        Reply(cut_after=1, stall_after=2)
    with pytest.raises(ValueError, match="either an answer or a body"):
        Reply("a", body=b"b")


# --- wire formats --------------------------------------------------------------------------------


@pytest.mark.row("TEST-01")
@pytest.mark.parametrize(
    ("path", "end"),
    [
        (CHAT, b"data: [DONE]"),
        ("/v1/responses", b"event: response.completed"),
        ("/v1/messages", b"event: message_stop"),
    ],
)
async def test_streams_of_each_format(
    server: FakeServer, client: Client, path: str, end: bytes
) -> None:
    server.reply("Hello there")
    server.reply("Hello there", end_marker=False)
    for has_end in (True, False):
        await client.ask(STREAM, path)
        _, headers = await client.head()
        assert headers["content-type"].startswith("text/event-stream")
        body = b"".join([chunk async for chunk in client.chunks()])
        assert b"Hello" in body
        assert b" there" in body
        assert (end in body) is has_end


async def test_without_a_finish_nothing_says_that_it_is_over(
    server: FakeServer, client: Client
) -> None:
    server.reply("Hello", finish=False)
    await client.ask(STREAM)
    _, body = await client.answer()
    assert b'"finish_reason":"stop"' not in body
    assert b"[DONE]" not in body


@pytest.mark.row("TEST-01")
async def test_errors_have_the_vendors_shape(server: FakeServer, client: Client) -> None:
    server.reply(status=429, headers={"retry-after": "1"})
    server.reply(status=529)
    await client.ask()
    status, headers = await client.head()
    body = json.loads(await client.reader.readexactly(int(headers["content-length"])))
    assert (status, headers["retry-after"]) == (429, "1")
    assert body["error"]["code"] == "rate_limit_exceeded"
    status, body = await one(client, path="/v1/messages")
    assert (status, body["error"]["type"]) == (529, "overloaded_error")


async def test_an_error_of_ours_is_said_by_the_vendor(server: FakeServer, client: Client) -> None:
    server.reply(llm.RateLimitError("slow down", retry_after=2.5))
    await client.ask()
    status, headers = await client.head()
    assert (status, headers["retry-after"]) == (429, "2.5")


async def test_an_error_in_the_middle_of_a_stream(server: FakeServer, client: Client) -> None:
    server.reply("one two three", error="boom", error_after=3)
    await client.ask(STREAM)
    status, body = await client.answer()
    events = body.split(b"\n\n")[:-1]
    assert status == 200
    assert len(events) == 4
    assert json.loads(events[-1][6:])["error"]["message"] == "boom"


async def test_an_error_with_a_good_status(server: FakeServer, client: Client) -> None:
    server.reply(error="boom")
    status, body = await one(client)
    assert (status, body["error"]["message"]) == (200, "boom")


async def test_an_error_with_a_good_status_in_a_stream(server: FakeServer, client: Client) -> None:
    server.reply(error="boom")
    await client.ask(STREAM)
    status, body = await client.answer()
    assert status == 200
    assert json.loads(body.removeprefix(b"data: "))["error"]["message"] == "boom"


async def test_pings_and_comments_stand_before_events(server: FakeServer, client: Client) -> None:
    server.reply("one", pings=2, comments=1)
    await client.ask({**STREAM, "max_tokens": 9}, "/v1/messages")
    _, body = await client.answer()
    assert body.startswith(b'event: ping\ndata: {"type": "ping"}\n\n' * 2 + b": ")


async def test_keys_are_checked_in_any_header() -> None:
    async with FakeServer("hi", key="test-key") as server:
        client = await Client.to(server)
        for header in ({"x_api_key": "test-key"}, {"Authorization": "Bearer test-key"}):
            await client.ask(**header)
            assert (await client.answer())[0] == 200
        for path in (CHAT, "/elsewhere"):
            await client.ask(path=path, Authorization="Bearer other")
            assert (await client.answer())[0] == 401
        await client.close()


# --- bytes ---------------------------------------------------------------------------------------


async def chunks_of(client: Client) -> list[bytes]:
    await client.ask({}, "/raw")
    await client.head()
    return [chunk async for chunk in client.chunks()]


@pytest.mark.row("TEST-01")
async def test_writes_have_the_sizes_asked_for(server: FakeServer, client: Client) -> None:
    server.reply(Reply.of(ABC, chunk_size=5))
    server.reply(Reply.of(ABC, cuts=[1, 8, 100]))
    server.reply("one two", chunk_size=7)
    body = ABC.body or b""
    assert await chunks_of(client) == [b"data:", b" abcd", b"efghi", b"j\n\n"]
    assert await chunks_of(client) == [body[:1], body[1:8], body[8:]]
    await client.ask(STREAM)
    await client.head()
    sizes = {len(chunk) async for chunk in client.chunks()}
    assert max(sizes) == 7


@pytest.mark.row("TEST-01")
async def test_a_cut_ends_without_the_end_of_the_body(server: FakeServer, client: Client) -> None:
    server.reply(ABC, cut_after=8)
    await client.ask({}, "/raw")
    await client.head()
    assert await client.reader.read() == b"8\r\ndata: ab\r\n"
    assert not server.requests[0].finished


async def test_a_cut_after_nothing_leaves_the_head(server: FakeServer, client: Client) -> None:
    server.reply(ABC, cut_after=0)
    await client.ask({}, "/raw")
    status, _ = await client.head()
    assert (status, await client.reader.read()) == (200, b"")


async def test_a_whole_body_is_cut_too(server: FakeServer, client: Client) -> None:
    server.reply("Hello", cut_after=20)
    await client.ask()
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        await client.answer()
    assert len(caught.value.partial) == 20


async def test_a_truncated_answer_looks_complete(server: FakeServer, client: Client) -> None:
    server.reply(ABC, truncate_after=8)
    server.reply("Hello", truncate_after=20)
    await client.ask({}, "/raw")
    assert await client.answer() == (200, b"data: ab")
    await client.ask()
    assert len((await client.answer())[1]) == 20


async def test_a_reset_is_a_reset(server: FakeServer, client: Client) -> None:
    server.reply(ABC, reset_after=8)
    await client.ask({}, "/raw")
    with pytest.raises(ConnectionResetError):
        await client.reader.read()


@pytest.mark.row("TEST-01")
async def test_a_stall_lasts_until_the_client_leaves(server: FakeServer, client: Client) -> None:
    server.reply(ABC, stall_after=8)
    await client.ask({}, "/raw")
    await client.head()
    assert await client.reader.readexactly(13) == b"8\r\ndata: ab\r\n"
    seen = server.requests[0]
    assert seen.disconnected_at is None
    await client.close()
    assert await server.disconnected(seen) >= seen.received_at
    assert not seen.finished
    await server.idle()


async def test_silence_and_slow_heads(server: FakeServer, client: Client) -> None:
    server.reply("Hello", delay=0.005, header_delay=0.001, chunk_delay=0.001)
    server.reply(silent=True)
    await client.ask(STREAM)
    assert (await client.answer())[0] == 200
    await client.ask()
    seen = await server.received(2)
    await client.close()
    await server.disconnected(seen)
    assert await client.reader.read() == b""


async def test_a_stream_without_http_chunks_ends_with_the_connection(
    server: FakeServer, client: Client
) -> None:
    server.reply(ABC, chunked=False)
    await client.ask({}, "/raw")
    _, headers = await client.head()
    assert headers["connection"] == "close"
    assert await client.reader.read() == ABC.body
    await server.idle()


# --- what the server sees ------------------------------------------------------------------------


@pytest.mark.row("TEST-01")
async def test_requests_are_recorded(server: FakeServer, client: Client) -> None:
    server.reply("hi")
    await client.ask(STREAM, Authorization="Bearer key-1")
    await client.answer()
    (seen,) = server.requests
    await server.finished(seen)
    assert (seen.method, seen.path, seen.key, seen.streaming) == ("POST", CHAT, "key-1", True)
    assert seen.json == STREAM
    assert json.loads(seen.body) == STREAM
    assert seen.finished
    assert "key-1" not in repr(seen)
    assert server.open_connections == 1


async def test_waiting_for_what_does_not_happen_says_what(server: FakeServer) -> None:
    with pytest.raises(TimeoutError, match=r"waited 0\.01 s for 1 requests"):
        await server.received(within=0.01)


async def test_a_request_in_pieces_is_one_request(server: FakeServer, client: Client) -> None:
    server.reply(b"ok")
    client.writer.write(b"POST /x HTTP/1.1\r\nContent-Le")
    await turns(3)
    client.writer.write(b"ngth: 4\r\n\r\nab")
    await turns(3)
    client.writer.write(b"cd")
    assert await client.answer() == (200, b"ok")
    assert server.requests[0].body == b"abcd"


async def test_requests_sent_ahead_are_answered_in_order(
    server: FakeServer, client: Client
) -> None:
    server.reply(Reply(body=b"one", delay=0.001))
    server.reply(b"two")
    await client.ask()
    await server.received()
    await client.ask()
    assert [await client.answer() for _ in range(2)] == [(200, b"one"), (200, b"two")]


async def test_a_slow_reader_holds_the_server_back(server: FakeServer, client: Client) -> None:
    size = 20_000_000
    server.reply(Reply(body=b"x" * size, chunk_size=65_536))
    await client.ask()
    _, headers = await client.head()
    (connection,) = server.connections
    while not connection._transport.get_write_buffer_size():
        await turns(1)
    assert not server.requests[0].finished
    assert len(await client.reader.readexactly(int(headers["content-length"]))) == size
    await server.finished(server.requests[0])


async def test_tokens_are_counted_without_a_script(server: FakeServer, client: Client) -> None:
    status, body = await one(client, ASK, "/v1/messages/count_tokens")
    assert (status, body) == (200, {"input_tokens": 1})


async def test_reset_forgets_everything(server: FakeServer, client: Client) -> None:
    server.reply("one", times=2)
    await one(client)
    server.reset()
    assert (server.requests, server.unused) == ([], ())
    assert repr(server).endswith(", 0 requests, 0 replies left>")


@pytest.mark.row("TEST-28")
async def test_nothing_is_left_behind() -> None:
    before = asyncio.all_tasks()
    async with FakeServer() as server:
        server.reply(silent=True)
        client = await Client.to(server)
        await client.ask()
        await server.received()
        url = server.url
    assert asyncio.all_tasks() == before
    assert server.open_connections == 0
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.url
    client.writer.close()


async def test_leaving_a_server_that_was_not_entered_does_nothing() -> None:
    server = FakeServer()
    server.__exit__(None, None, None)
    await server.__aexit__(None, None, None)
    assert server.open_connections == 0


class Broken:
    """A server that cannot start, or fails when it ends."""

    def __init__(self, where: str) -> None:
        self.where = where

    async def __aenter__(self) -> None:
        if self.where == "start":
            raise OSError("no port is free")

    async def __aexit__(self, *exc: object) -> None:
        raise OSError("it fails at its end")


def test_a_thread_whose_server_cannot_start_says_so() -> None:
    with pytest.raises(OSError, match="no port is free"):
        ServerThread(Broken("start")).begin()


def test_a_server_that_fails_at_its_end_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: heard.append(args.exc_value))
    thread = ServerThread(Broken("end"))
    thread.begin()
    thread.end()
    assert [str(error) for error in heard] == ["it fails at its end"]


async def test_a_bell_that_nobody_waits_for_any_more_rings_on() -> None:
    bell = Bell()
    with pytest.raises(TimeoutError):
        await bell.until(lambda: False, 0.001, "nothing")
    bell.ring()
    await bell.until(lambda: True, 0.001, "everything")


@pytest.mark.row("TEST-28")
def test_in_a_thread_it_serves_one_loop_after_the_other() -> None:
    async def talk(server: FakeServer) -> str:
        client = await Client.to(server)
        _, body = await one(client)
        seen = server.requests[-1]
        await client.close()
        await server.disconnected(seen)
        return str(body["choices"][0]["message"]["content"])

    with FakeServer("hi") as server:
        assert [asyncio.run(talk(server)) for _ in range(2)] == ["hi", "hi"]
    assert server.open_connections == 0


# --- a model as the brain ------------------------------------------------------------------------


async def silence(request: llm.ChatRequest, call_next: Any) -> AsyncGenerator[StreamChunk, None]:
    """A layer that answers without a word."""
    for chunk in ():
        yield chunk


async def test_a_model_that_says_nothing_makes_an_empty_answer():
    async with (
        FakeServer(MockChatModel([]).with_middleware(silence)) as server,
        llm.create("openai-compatible/m", base_url=server.base_url()) as model,
    ):
        reply = await model.stream("hi").response()
    assert (reply.text, reply.finish_reason, server.errors) == ("", "stop", [])


async def test_a_model_answers_over_http() -> None:
    model = MockChatModel(
        [
            "from a model",
            llm.OverloadedError("too much"),
            [StreamChunk("one "), StreamChunk("two")],
        ]
    )
    async with FakeServer(model) as server:
        client = await Client.to(server)
        _, body = await one(client)
        assert body["choices"][0]["message"]["content"] == "from a model"
        assert (await one(client, STREAM))[0] == 503
        await client.ask(STREAM)
        _, stream = await client.answer()
        assert stream.count(b'"content":"') == 3
        assert (await one(client, {"model": "m"}))[0] == 400
        await client.close()
    assert model.calls[0].messages == (llm.HumanMessage("hi"),)


async def test_a_model_that_is_left_is_closed() -> None:
    model = DemoChatModel(chunk_delay=0.001)
    async with FakeServer(model) as server:
        client = await Client.to(server)
        await client.ask({**STREAM, "messages": [{"role": "user", "content": "word " * 80}]})
        await client.head()
        await client.close()
        await server.disconnected()
        await server.idle()
    assert server.errors == []


@pytest.mark.row("CLI-07")
async def test_the_demo_model_through_the_real_http_path() -> None:
    tool = llm.ToolDefinition(
        "add", "", {"type": "object", "properties": {"a": {"type": "integer"}}}
    )
    async with (
        demo_server() as base_url,
        llm.create("openai-compatible", model="demo", base_url=base_url) as model,
    ):
        expected = await DemoChatModel().generate("hi")
        async with model.stream("hi") as stream:
            reply = await stream.response()
        for got in (reply, await model.generate("hi")):
            assert (got.text, got.thinking, got.usage) == (
                expected.text,
                expected.thinking,
                expected.usage,
            )
            assert got.finish_reason == expected.finish_reason
        calls = await model.bind_tools([tool]).generate("hi")
        assert calls.tool_calls[0].args == {"a": 1}
        with pytest.raises(llm.RateLimitError) as caught:
            await model.generate("hi", extra_body={"demo": {"error": "rate_limit"}})
        assert caught.value.retry_after == 1.0


async def test_a_model_that_fails_in_the_middle_sends_an_error_frame() -> None:
    async with FakeServer(DemoChatModel(error="overloaded", error_after=2)) as server:
        client = await Client.to(server)
        await client.ask({**STREAM, "max_tokens": 9}, "/v1/messages")
        status, body = await client.answer()
        await client.close()
    assert status == 200
    assert body.rpartition(b"\n\nevent: ")[2].startswith(b"error\ndata: ")
    assert b"overloaded_error" in body


async def test_a_script_that_cannot_be_written_breaks_the_connection(
    server: FakeServer, client: Client
) -> None:
    calls = [llm.ToolCallDelta(index, f"c{index}", "f") for index in (0, 1, 0)]
    server.reply([StreamChunk(tool_calls=(call,)) for call in calls])
    await client.ask(STREAM, "/v1/messages")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await client.answer()
    assert "one tool call after the other" in str(server.errors[0])


async def test_a_message_keeps_its_usage_and_model(server: FakeServer, client: Client) -> None:
    usage = llm.Usage(10, 20, cached_tokens=5)
    server.reply(AIMessage("hi", usage=usage, model_id="m-2", response_id="r-1"))
    _, body = await one(client)
    assert (body["id"], body["model"]) == ("r-1", "m-2")
    assert body["usage"]["prompt_tokens_details"] == {"cached_tokens": 5}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("name", "api", "told"),
    [
        ("anthropic/m", "messages", llm.Usage(0, 0)),
        ("openai/m", "responses", llm.Usage()),
        ("openai/m", "chat", llm.Usage()),
    ],
)
async def test_a_usage_has_what_the_vendor_always_sends(
    server: FakeServer, name: str, api: str, told: llm.Usage, streaming: bool
):
    """So that the vendors' own SDKs take it; `exact_usage` tells what the script has."""
    fields: Any = {"api": api} if name == "openai/m" else {}
    async with llm.create(
        name, base_url=server.base_url(api), api_key="test-key", **fields
    ) as model:

        async def usage() -> llm.Usage:
            answer = model.stream("hi").response() if streaming else model.generate("hi")
            return (await answer).usage

        server.reply(llm.AIMessage("Hello"))
        assert await usage() == told
        server.reply(llm.AIMessage("Hello"), exact_usage=True)
        assert await usage() == llm.Usage()
        half = llm.AIMessage("Hello", usage=llm.Usage(input_tokens=5))
        server.reply(half)
        found = await usage()
        assert (found.input_tokens, found.output_tokens, found.total_tokens) == (5, 0, 5)
        assert found.reasoning_tokens == (0 if api == "responses" else None)
        server.reply(half, exact_usage=True)
        assert (await usage()).output_tokens is None

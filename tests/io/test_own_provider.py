"""A provider of one's own: a dialect that says only what it must, on the shared transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm.plugin import (
    AwsEventStream,
    Decoder,
    Dialect,
    HttpModel,
    HttpRequest,
    OpenAIChatDialect,
    ProviderConfig,
    WireRequest,
    http_error,
)
from beluga_llm.testing import FakeServer

NO_LIMITS = llm.Timeouts(first_chunk=None, idle=None, keepalive=None, whole=None)


class Words(Decoder):
    """Every frame is text; the last one is a full stop."""

    def feed(self, event: str, data: bytes) -> Sequence[llm.StreamChunk]:
        self.complete = self.ended = data.endswith(b".")
        return (llm.StreamChunk(data.decode()),)


class Oracle(Dialect):
    """A service that is asked by address alone."""

    provider = "oracle"

    def encode(self, request: llm.ChatRequest) -> HttpRequest:
        return HttpRequest(method="GET", path="/ask", query={"q": request.messages[-1].text})

    def decoder(self, request: llm.ChatRequest) -> Decoder:
        return Words()

    def error(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now: float
    ) -> llm.BelugaError:
        return http_error(status, headers, body, now=now, provider=self.provider)


class DamagedOracle(Oracle):
    def framing(self, request: llm.ChatRequest) -> Any:
        return AwsEventStream()


def ask(server: FakeServer, dialect: Dialect | None = None, **fields: Any) -> HttpModel:
    config = ProviderConfig(model="m", base_url=server.url, **fields)
    return HttpModel(dialect or Oracle(), config)


@pytest.mark.row("DIAL-01", "DIAL-02")
async def test_a_dialect_on_the_transport_is_a_model(server: FakeServer) -> None:
    server.reply(b"Forty-two.")
    server.reply(body=b"data: Forty\n\ndata: -two.\n\n")
    async with ask(server, api_key="key-1") as model:
        assert (await model.generate("What is it?")).text == "Forty-two."
        assert [text async for text in model.stream("What?").text()] == ["Forty", "-two."]
        assert model.capabilities == llm.Capabilities()
        assert model.qualified_id == "oracle/m"
    seen = server.requests[0]
    assert (seen.method, seen.path, seen.query) == ("GET", "/ask", "q=What%20is%20it%3F")
    assert (seen.body, seen.headers["authorization"]) == (b"", "Bearer key-1")


@pytest.mark.row("DIAL-01")
async def test_a_stream_without_its_evidence_is_interrupted(server: FakeServer) -> None:
    server.reply(body=b"data: Forty\n\n")
    async with ask(server) as model:
        with pytest.raises(llm.StreamInterruptedError):
            await model.stream("What is it?").response()


async def test_bytes_that_no_framing_understands_are_a_damaged_stream(server: FakeServer) -> None:
    damaged = b"\x00\x00\x00\x10" + b"no event stream " * 9
    server.reply(damaged, content_type="application/vnd.amazon.eventstream")
    async with ask(server, DamagedOracle()) as model:
        with pytest.raises(llm.MalformedResponseError, match="damaged stream"):
            await model.stream("What is it?").response()


async def test_an_error_whose_body_breaks_off_is_told_by_its_status(server: FakeServer) -> None:
    server.reply(status=503, error="down", cut_after=5)
    async with ask(server) as model:
        with pytest.raises(llm.BelugaError) as caught:
            await model.generate("What is it?")
    assert type(caught.value) is llm.ProviderUnavailableError
    assert caught.value.status == 503


@pytest.mark.row("OPTI-23")
@pytest.mark.parametrize("streaming", [True, False])
async def test_a_model_without_limits(server: FakeServer, *, streaming: bool) -> None:
    server.default = lambda seen: "One two three."
    async with llm.create(
        "openai-compatible/m", base_url=server.base_url(), api_key="k", timeout=NO_LIMITS
    ) as model:
        call = model.stream("hi").response() if streaming else model.generate("hi")
        assert (await call).text == "One two three."


@pytest.mark.row("MIDD-01")
async def test_a_request_that_a_layer_made_itself_is_sent(server: FakeServer) -> None:
    async def anew(
        request: llm.ChatRequest, call_next: llm.CallNext
    ) -> AsyncIterator[llm.StreamChunk]:
        own = llm.ChatRequest(request.messages, request.options, streaming=False)
        async for chunk in call_next(own):
            yield chunk

    server.reply(b"Yes.")
    async with ask(server) as model:
        assert (await model.with_middleware(anew).generate("Is it?")).text == "Yes."


# --- credentials that take their time -----------------------------------------------------------


async def never() -> str:
    await asyncio.Event().wait()
    return ""


async def refuses() -> str:
    raise TimeoutError("the token service is slow")


@pytest.mark.row("CHAT-10", "DIAL-06")
async def test_waiting_for_a_key_ends_with_the_call(
    server: FakeServer, skip_time: Callable[[float], None]
) -> None:
    async with ask(server, api_key=never) as model:
        task = asyncio.create_task(model.generate("hi", timeout=30))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        skip_time(31)
        with pytest.raises(llm.RequestTimeoutError, match=r"\(total\)"):
            await task
    assert server.requests == []


@pytest.mark.row("DIAL-06")
@pytest.mark.parametrize("seconds", [None, 30])
async def test_a_time_out_of_the_credentials_is_their_own(
    server: FakeServer, seconds: float | None
) -> None:
    async with ask(server, api_key=refuses) as model:
        with pytest.raises(TimeoutError, match="the token service is slow"):
            await model.generate("hi", timeout=seconds)


# --- a transport of one's own -------------------------------------------------------------------


class Slow:
    """A transport with limits of its own."""

    status = 200
    headers: Mapping[str, str] = {"content-type": "text/plain"}

    def __init__(self) -> None:
        self.connect: list[float | None] = []

    async def request(self, request: WireRequest, *, until: float | None) -> Slow:
        self.connect.append(request.connect)
        return self

    async def read(self, until: float | None) -> bytes:
        raise llm.RequestTimeoutError("the satellite has set")

    def close(self) -> None:
        """Nothing to close."""

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.mark.row("DIAL-03", "OPTI-23")
async def test_an_error_of_a_transport_of_ones_own_passes(server: FakeServer) -> None:
    transport = Slow()
    async with ask(server, OpenAIChatDialect("radio"), transport=transport) as model:
        with pytest.raises(llm.RequestTimeoutError, match="the satellite has set"):
            await model.generate("hi", timeout=llm.Timeouts(connect=3))
    assert transport.connect == [3]

"""What is kept from call to call, and whole answers: over a transport that answers from memory."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm._call import SETTLE_EVERY
from beluga_llm._dialects.chat_answer import read_answer
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._transcript import Transcript
from beluga_llm.plugin import (
    NDJSON,
    ChatRequest,
    Decoder,
    Framing,
    HttpModel,
    OpenAIChatDialect,
    ProviderConfig,
    WireRequest,
)

MANY = 40
"""More sets of options than are kept."""


def whole(**more: Any) -> bytes:
    choice = {"index": 0, "message": {"content": "4"}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "model": "m", "choices": [choice], **more}).encode()


class Canned:
    """A transport whose answers have one body, in pieces; an exception is raised."""

    status = 200

    def __init__(self, *pieces: bytes | Exception, kind: str = "application/json") -> None:
        self.pieces = pieces
        self.headers = {"content-type": kind}
        self.sent: list[WireRequest] = []
        self.left: list[bytes | Exception] = []

    async def request(self, request: WireRequest, *, until: float | None) -> Canned:
        self.sent.append(request)
        self.left = [*self.pieces, b""]
        return self

    async def read(self, until: float | None) -> bytes:
        piece = self.left.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Likewise."""

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.body or b"") for request in self.sent]


def model(transport: Canned) -> Any:
    return llm.create("openai-compatible/m", base_url="http://x", api_key="k", transport=transport)


async def test_every_call_has_its_own_options_however_many_there_are() -> None:
    canned = Canned(whole())
    asking = model(canned)
    for seed in [*range(MANY), *range(MANY)]:
        await asking.generate("hi", seed=seed)
    assert [body["seed"] for body in canned.bodies] == [*range(MANY), *range(MANY)]


async def test_equal_values_of_other_types_are_not_taken_for_each_other() -> None:
    canned = Canned(whole())
    asking = model(canned)
    await asking.generate("hi", logprobs=True)
    with pytest.raises(llm.InvalidRequestError, match="logprobs"):
        await asking.generate("hi", logprobs=1)
    await asking.generate("hi", temperature=1)
    await asking.generate("hi", temperature=1.0)
    assert [repr(body.get("temperature")) for body in canned.bodies] == ["None", "1", "1.0"]


class Counting(llm.ChatModel):
    """A provider whose stream is not made of chunks."""

    def __init__(self, *said: Any) -> None:
        super().__init__()
        self.said = said

    async def _stream(self, request: llm.ChatRequest) -> AsyncGenerator[llm.StreamChunk, None]:
        for item in self.said:
            yield item


@pytest.mark.parametrize("before", [(), (llm.StreamChunk("a"),)])
async def test_what_is_no_chunk_is_told_wherever_it_comes(before: Sequence[Any]) -> None:
    with pytest.raises(TypeError, match="made of StreamChunks, not int"):
        await Counting(*before, 3).generate("hi")
    with pytest.raises(TypeError, match="made of StreamChunks, not int"):
        await Counting(*before, 3).stream("hi").response()


async def test_facts_of_a_whole_answer_are_kept() -> None:
    facts = {"created": 1, "provider": "p", "service_tier": "flex", "system_fingerprint": "f"}
    reply = await model(Canned(whole(**facts))).generate("hi")
    assert reply.provider_metadata == facts
    assert read_answer(whole(**facts), ChatQuirks(), "m") is not None


async def test_facts_of_a_stream_are_kept() -> None:
    facts = {"created": 1, "provider": "p", "service_tier": "flex", "system_fingerprint": "f"}
    frames = [
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": why}], **facts}
        for text, why in (("a", None), ("b", None), ("", "stop"))
    ]
    wire = "".join(f"data: {json.dumps(frame)}\n\n" for frame in frames) + "data: [DONE]\n\n"
    reply = await model(Canned(wire.encode(), kind="text/event-stream")).stream("hi").response()
    assert (reply.text, reply.provider_metadata) == ("ab", facts)


async def test_a_whole_answer_that_is_an_error_is_raised() -> None:
    with pytest.raises(llm.BelugaError, match="no luck"):
        await model(Canned(b'{"error": {"message": "no luck"}}')).generate("hi")


@pytest.mark.parametrize("before", [(), (whole()[:20],)])
async def test_a_whole_answer_that_breaks_off_is_an_error(before: Sequence[bytes]) -> None:
    broken = llm.ConnectionFailedError("connection broke")
    with pytest.raises(llm.ConnectionFailedError, match="connection broke"):
        await model(Canned(*before, broken)).generate("hi")


async def test_an_error_of_a_transport_is_passed_on() -> None:
    with pytest.raises(llm.ContentFilterError):
        await model(Canned(llm.ContentFilterError("by the gateway"))).generate("hi")


class Loud(OpenAIChatDialect):
    """A vendor that reads answers in a way of its own."""

    def decoder(self, request: ChatRequest) -> Decoder:
        decoder = super().decoder(request)
        feed = decoder.feed

        def loudly(event: str, data: bytes) -> Any:
            return feed(event, data.replace(b'"4"', b'"4!"'))

        decoder.feed = loudly  # type: ignore[method-assign]  # what a subclass would do
        return decoder


async def test_a_vendors_own_decoder_reads_whole_answers() -> None:
    config = ProviderConfig(model="m", base_url="http://x", transport=Canned(whole()))
    assert (await HttpModel(Loud("loud"), config).generate("hi")).text == "4!"


class Lines(OpenAIChatDialect):
    """A vendor whose answers are lines, also where nothing is streamed."""

    def framing(self, request: ChatRequest) -> Framing:
        return NDJSON()


async def test_an_error_in_a_line_of_a_whole_answer_is_raised() -> None:
    canned = Canned(b'{"error": {"message": "no luck"}}\n', whole() + b"\n")
    config = ProviderConfig(model="m", base_url="http://x", transport=canned)
    with pytest.raises(llm.BelugaError, match="no luck"):
        await HttpModel(Lines("lines"), config).generate("hi")


async def test_a_small_answer_that_breaks_off_is_told() -> None:
    asking = model(Canned(b'{"data"', llm.ConnectionFailedError("connection broke")))
    health = await asking.check_health(probe=True)
    assert "connection broke" in health.detail


async def test_a_model_that_was_renamed_is_told_to_middleware() -> None:
    seen: list[str] = []

    async def look(
        request: llm.ChatRequest, call_next: llm.CallNext
    ) -> AsyncGenerator[llm.StreamChunk, None]:
        seen.append(f"{request.model.provider}/{request.model.model_id}")
        async for chunk in call_next(request):
            yield chunk

    asking = model(Canned(whole())).with_middleware(look)
    await asking.generate("hi")
    asking.provider = "other"
    await asking.generate("hi")
    asking.model_id = "n"
    await asking.generate("hi")
    assert seen == ["openai-compatible/m", "other/m", "other/n"]


async def test_what_a_whole_answer_says_of_limits_is_kept() -> None:
    canned = Canned(whole())
    canned.headers["x-ratelimit-remaining-requests"] = "9"
    reply = await model(canned).generate("hi")
    assert reply.provider_metadata["rate_limit"] == {"requests": {"remaining": 9}}


def test_a_transcript_hears_more_than_it_keeps_pending() -> None:
    heard = Transcript()
    for _ in range(2 * SETTLE_EVERY + 1):
        heard.hear(llm.StreamChunk("a"))
    assert len(heard.pending) == 1
    assert heard.message().text == "a" * (2 * SETTLE_EVERY + 1)

"""One answer from bytes to chunks: what does not look as it should."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from support.corpus import decode_bytes

from beluga_llm import (
    AIMessage,
    ChatRequest,
    MalformedResponseError,
    ProviderError,
    StreamChunk,
    StreamInterruptedError,
)
from beluga_llm._http.dialect import PING, Decoder, Frame
from beluga_llm._http.reader import AnswerReader
from beluga_llm.plugin import AwsEventStream, Framing, OpenAIChatDialect, WholeBody, dumps
from beluga_llm.testing._aws_events import AWS_EVENTS, aws_event

DIALECT = OpenAIChatDialect("acme")


@pytest.mark.row("STRE-22", "PROV-34")
def test_a_large_json_body_under_the_name_of_a_stream_is_read_whole() -> None:
    text = "word " * 40_000
    body = dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
    headers = {"content-type": "text/event-stream"}
    cuts = range(16_000, len(body), 16_000)
    message = decode_bytes(DIALECT, body, headers=headers, cuts=list(cuts))
    assert isinstance(message, AIMessage)
    assert message.text == text


@pytest.mark.row("STRE-22")
def test_text_under_a_name_of_its_own_is_the_servers_error() -> None:
    headers = {"content-type": "text/plain"}
    error = decode_bytes(DIALECT, b"upstream overloaded", headers=headers)
    assert isinstance(error, ProviderError)
    assert "upstream overloaded" in error.message
    cut = decode_bytes(DIALECT, b'data: {"choices": [', headers=headers)
    assert isinstance(cut, StreamInterruptedError)


# --- binary event streams -------------------------------------------------------------------------


class BinaryDialect(OpenAIChatDialect):
    """Chat completions in AWS event streams, which nobody sends."""

    def framing(self, request: ChatRequest) -> Framing:
        return AwsEventStream() if request.streaming else WholeBody()


BINARY = BinaryDialect("acme")
EVENTS = {"content-type": AWS_EVENTS}
WHOLE = dumps({"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]})
PIECES = [
    aws_event("chunk", dumps({"choices": [{"delta": {"content": "Hel"}}]})),
    aws_event("chunk", dumps({"choices": [{"delta": {"content": "lo"}, "finish_reason": "stop"}]})),
    aws_event("chunk", b"[DONE]"),
]


@pytest.mark.row("DIAL-04", "PAIN-02")
@pytest.mark.parametrize("headers", [EVENTS, {}, {"content-type": "application/octet-stream"}])
def test_a_binary_stream_is_complete_or_interrupted(headers: dict[str, str]) -> None:
    body = b"".join(PIECES)
    message = decode_bytes(BINARY, body, headers=headers, cuts=[3, 20, 150])
    assert isinstance(message, AIMessage)
    assert message.text == "Hello"
    for place in range(len(PIECES[0]) + len(PIECES[1])):
        error = decode_bytes(BINARY, body[:place], headers=headers)
        assert type(error) is StreamInterruptedError


@pytest.mark.row("STRE-22")
@pytest.mark.parametrize("headers", [EVENTS, {}, {"content-type": "application/json"}])
@pytest.mark.parametrize("cuts", [[], [1], [2, 9]])
def test_json_instead_of_a_binary_stream_is_read(headers: dict[str, str], cuts: list[int]) -> None:
    message = decode_bytes(BINARY, b"\n" + WHOLE, headers=headers, cuts=cuts)
    assert isinstance(message, AIMessage)
    assert message.text == "Hello"
    error = decode_bytes(BINARY, b'{"error": {"message": "no"}}', headers=headers, cuts=cuts)
    assert isinstance(error, ProviderError)
    assert error.message == "no"


@pytest.mark.row("STRE-22")
def test_a_page_instead_of_a_binary_stream_is_an_error() -> None:
    headers = {"content-type": "text/html", ":authority": "aws.example"}
    error = decode_bytes(BINARY, b"<html></html>", headers=headers)
    assert isinstance(error, MalformedResponseError)
    assert error.message == "expected an answer, got HTML from aws.example"


@pytest.mark.row("DIAL-04", "PAIN-02")
@pytest.mark.parametrize("cuts", [[], [len(PIECES[0])], [len(PIECES[0]) + 30]])
def test_damaged_bytes_of_a_binary_stream_are_one_error(cuts: list[int]) -> None:
    """They are found with the next bytes, or at the end, and what came before is kept."""
    damaged = PIECES[0] + PIECES[1][:-1] + b"\0"
    error = decode_bytes(BINARY, damaged, headers=EVENTS, cuts=cuts)
    assert isinstance(error, MalformedResponseError)
    assert error.message == "damaged stream: event stream: wrong checksum of a message"
    assert error.partial is not None
    assert error.partial.text == "Hel"


# --- frames that are read at a glance -------------------------------------------------------------


class AfterPings(Decoder):
    """Takes every frame but pings at a glance."""

    def feed(self, event: str, data: bytes) -> Sequence[StreamChunk]:
        return PING

    def feed_on(self, frames: Iterator[Frame]) -> tuple[Frame | None, Sequence[StreamChunk]]:
        chunks = []
        for event, data in frames:
            if event == "ping":
                return (event, data), chunks
            chunks.append(StreamChunk(data.decode()))
        return None, chunks


class GlanceDialect(OpenAIChatDialect):
    def decoder(self, request: ChatRequest) -> Decoder:
        return AfterPings()


@pytest.mark.row("STRE-23")
def test_text_after_a_ping_is_heard_though_it_is_read_at_a_glance() -> None:
    headers = {"content-type": "text/event-stream"}
    reader = AnswerReader(GlanceDialect("acme"), ChatRequest(()), status=200, headers=headers)
    ping = b"event: ping\ndata: {}\n\n"
    assert not reader.feed(ping)
    assert not reader.heard_data
    found = reader.feed(ping + b"data: a\n\n" + b"data: b\n\n" + ping)
    assert [chunk.delta for chunk in found] == ["a", "b"]
    assert reader.heard_data

"""Claude's wire formats on two clouds as the fake server speaks them, against bytes by hand."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm import AIMessage, HumanMessage, ThinkingPart
from beluga_llm.plugin import AwsEventStream
from beluga_llm.testing import FakeServer
from beluga_llm.testing._answers import WIRES, wire_of
from beluga_llm.testing._pieces import in_pieces, in_wire_order
from beluga_llm.testing._wire import Facts, Failure, encode
from beluga_llm.testing._wire_claude_clouds import BedrockMessagesWire, VertexMessagesWire
from beluga_llm.testing._wire_messages import MessagesWire

pytestmark = pytest.mark.row("TEST-01", "PROV-35")

VERTEX = VertexMessagesWire()
BEDROCK = BedrockMessagesWire()
MODELS = "/v1/projects/p/locations/eu/publishers/anthropic/models"
BODY = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
MESSAGE = AIMessage(
    [ThinkingPart("Hm.", "sig"), "It rains."],
    tool_calls=[llm.ToolCall("toolu_1", "weather", {"city": "Paris"})],
    usage=llm.Usage(5, 2),
)


@pytest.mark.parametrize(
    ("path", "name", "model", "streaming"),
    [
        (f"{MODELS}/claude-x@2025:rawPredict", "vertex_messages", "claude-x@2025", False),
        (f"{MODELS}/claude-x%402025:streamRawPredict", "vertex_messages", "claude-x@2025", True),
        ("/model/us.anthropic.c-v1%3A0/invoke", "bedrock_messages", "us.anthropic.c-v1:0", False),
        ("/model/a/invoke-with-response-stream", "bedrock_messages", "a", True),
        ("/model/arn%3Aaws%3Abedrock%2Fx/invoke", "bedrock_messages", "arn:aws:bedrock/x", False),
    ],
)
def test_the_path_says_the_model_and_whether_to_stream(
    path: str, name: str, model: str, streaming: bool
) -> None:
    wire = wire_of(path)
    assert wire is WIRES[name]
    assert wire.streams(path, {}) is streaming
    asked = wire.asked(path, BODY)
    assert asked == {**BODY, "model": model, "stream": streaming}
    request = wire.read(asked)
    assert request.messages == (HumanMessage("hi"),)
    assert (request.options.model, request.streaming) == (model, streaming)


@pytest.mark.parametrize(
    "path",
    [
        f"{MODELS}/count-tokens:rawPredict",
        "/v1/projects/p/locations/eu/publishers/mistralai/models/m:rawPredict",
        "/invoke",
        "/model/a/invokes",
    ],
)
def test_other_paths_are_none_of_theirs(path: str) -> None:
    assert wire_of(path) is None
    assert VERTEX.asked(path, {})["model"] is None


def test_google_cloud_answers_as_anthropic_does() -> None:
    facts = Facts(request={"model": "claude-x"})
    chunks = [*in_pieces(in_wire_order(MESSAGE))]
    plain = MessagesWire()
    assert encode(VERTEX.encoder(facts), chunks) == encode(plain.encoder(facts), chunks)
    assert VERTEX.whole(MESSAGE, facts) == plain.whole(MESSAGE, facts)
    failure = Failure(code="rate_limit")
    assert VERTEX.error_body(failure) == plain.error_body(failure)


def inner(data: bytes) -> list[dict[str, Any]]:
    """What is inside of the events of a stream."""
    frames = AwsEventStream().feed(data)
    assert {event for event, _ in frames} == {"chunk"}
    return [json.loads(base64.b64decode(json.loads(data)["bytes"])) for _, data in frames]


def test_bedrock_puts_each_event_into_one_of_its_own() -> None:
    facts = Facts(request={"model": "claude-x"})
    chunks = [*in_pieces(in_wire_order(MESSAGE))]
    found = inner(b"".join(encode(BEDROCK.encoder(facts), chunks)))
    plain = b"".join(encode(MessagesWire().encoder(facts), chunks)).decode()
    lines = plain.splitlines()
    assert found == [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert [event["type"] for event in found][-2:] == ["message_delta", "message_stop"]
    assert inner(BEDROCK.ping) == [{"type": "ping"}]


def test_bedrock_says_errors_in_its_own_way() -> None:
    failure = Failure(code="rate_limit", message="Slow down.")
    assert BEDROCK.error_body(failure) == {"message": "Slow down."}
    assert BEDROCK.error_headers(failure)["x-amzn-errortype"].startswith("ThrottlingException:")
    (message,) = BEDROCK.encoder(Facts()).error(failure)
    ((event, data),) = AwsEventStream().feed(message)
    assert (event, json.loads(data)) == (
        "exception:throttlingException",
        {"message": "Slow down."},
    )


async def test_google_cloud_counts_without_a_script() -> None:
    import aiohttp

    async with FakeServer() as server, aiohttp.ClientSession() as session:
        url = f"{server.url}{MODELS}/count-tokens:rawPredict"
        async with session.post(url, json={"model": "claude-x", **BODY}) as answer:
            assert await answer.json() == {"input_tokens": 1}

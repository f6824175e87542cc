"""Gemini's wire format as the fake server writes and reads it, against JSON written by hand."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm import AIMessage, HumanMessage, SystemMessage, TextPart, ThinkingPart, ToolMessage
from beluga_llm._http.framing import SSE
from beluga_llm.testing import FakeServer
from beluga_llm.testing._answers import WIRES, wire_of
from beluga_llm.testing._pieces import in_pieces, in_wire_order
from beluga_llm.testing._wire import Facts, Failure, encode
from beluga_llm.testing._wire_generate_content import GenerateContentWire

pytestmark = pytest.mark.row("TEST-01")

WIRE = GenerateContentWire()
FACTS = Facts(request={"model": "gemini-3.8-flash"}, response_id="r1")
HEAD = {"modelVersion": "gemini-3.8-flash", "responseId": "r1"}
CALL = llm.ToolCall("c1", "weather", '{"city": "Paris"}', "c2ln", "google")
WIRE_CALL = {
    "functionCall": {"name": "weather", "args": {"city": "Paris"}, "id": "c1"},
    "thoughtSignature": "c2ln",
}


def read_events(events: list[bytes]) -> list[dict[str, Any]]:
    assert all(event.endswith(b"\r\n\r\n") for event in events)
    return [json.loads(data) for _, data in SSE().feed(b"".join(events))]


def frames_of(message: AIMessage, facts: Facts = FACTS) -> list[dict[str, Any]]:
    return read_events(encode(WIRE.encoder(facts), in_pieces(in_wire_order(message))))


def candidate(*parts: dict[str, Any], index: int = 0, **fields: Any) -> dict[str, Any]:
    return {"content": {"parts": [*parts], "role": "model"}, "index": index, **fields}


def frame(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"candidates": [candidate(*parts, **fields)], **HEAD}


# --- answers -------------------------------------------------------------------------------------


def test_a_stream_is_frames_of_the_shape_of_an_answer() -> None:
    parts = [ThinkingPart("Hm hm.", "dGhpbms="), TextPart("It rains.", "dGV4dA==")]
    assert frames_of(AIMessage(parts, tool_calls=[CALL])) == [
        frame({"text": "Hm", "thought": True}),
        frame(
            {"text": " hm.", "thought": True},
            {"text": "", "thought": True, "thoughtSignature": "dGhpbms="},
        ),
        frame({"text": "It"}),
        frame({"text": " rains."}, {"text": "", "thoughtSignature": "dGV4dA=="}),
        frame(WIRE_CALL),
        frame({"text": ""}, finishReason="STOP"),
    ]


def test_usage_counts_thinking_beside_the_answer() -> None:
    usage = llm.Usage(10, 7, 17, cached_tokens=4, reasoning_tokens=5)
    told = {
        "promptTokenCount": 10,
        "candidatesTokenCount": 2,
        "totalTokenCount": 17,
        "cachedContentTokenCount": 4,
        "thoughtsTokenCount": 5,
    }
    assert WIRE.whole(AIMessage("hi", usage=usage), FACTS)["usageMetadata"] == told
    facts = Facts(request={}, usage=usage)
    assert [found["usageMetadata"] for found in frames_of(AIMessage("hi"), facts)] == [told] * 2
    assert "usageMetadata" not in WIRE.whole(AIMessage("hi"), FACTS)


def test_a_whole_answer_is_one_object() -> None:
    message = AIMessage(
        [
            ThinkingPart("Hm.", "dGhpbms="),
            TextPart("", "dGV4dA=="),
            llm.ImagePart(b"\x89PNG"),
            llm.ImagePart(url="https://a.test/b.png"),
        ],
        tool_calls=[llm.ToolCall("", "f", "{cut")],
        finish_reason="length",
        logprobs={"chosenCandidates": []},
        provider_metadata={"groundingMetadata": {"a": 1}, "createTime": "now"},
        alternatives=[AIMessage("two", raw_finish_reason="SPII")],
    )
    image = {"mimeType": "image/png", "data": base64.b64encode(b"\x89PNG").decode()}
    first = candidate(
        {"text": "Hm.", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": "dGhpbms="},
        {"text": "", "thoughtSignature": "dGV4dA=="},
        {"inlineData": image},
        {"functionCall": {"name": "f", "args": {}}},
        finishReason="MAX_TOKENS",
        logprobsResult={"chosenCandidates": []},
        groundingMetadata={"a": 1},
    )
    assert WIRE.whole(message, FACTS) == {
        "candidates": [first, candidate({"text": "two"}, index=1, finishReason="SPII")],
        **HEAD,
        "createTime": "now",
    }


def test_calls_come_whole_before_what_follows_them() -> None:
    chunks = [
        llm.StreamChunk(tool_calls=(llm.ToolCallDelta(0, "c1", "weather", '{"city"'),)),
        llm.StreamChunk(
            tool_calls=(llm.ToolCallDelta(0, arguments=': "Paris"}', signature="c2ln"),)
        ),
        llm.StreamChunk(delta="Then"),
        llm.StreamChunk(signature="dGhpbms="),
        llm.StreamChunk(parts=(ThinkingPart("so"),)),
        llm.StreamChunk(raw_finish_reason="STOP", metadata={"finishMessage": "m", "b": 2}),
    ]
    last = frame({"text": ""}, finishReason="STOP", finishMessage="m")
    assert read_events(encode(WIRE.encoder(FACTS), chunks)) == [
        frame(WIRE_CALL),
        frame({"text": "Then"}),
        frame({"text": "", "thought": True, "thoughtSignature": "dGhpbms="}),
        frame({"text": "so", "thought": True}),
        {**last, "b": 2},
    ]


def test_several_candidates() -> None:
    other = AIMessage("two", finish_reason="length", logprobs={"x": 1})
    assert frames_of(AIMessage("one", finish_reason="stop", alternatives=[other])) == [
        frame({"text": "one"}),
        frame({"text": "two"}, index=1),
        frame({"text": ""}, finishReason="STOP"),
        frame({"text": ""}, index=1, finishReason="MAX_TOKENS", logprobsResult={"x": 1}),
    ]


@pytest.mark.parametrize(
    ("reason", "word"),
    [("content_filter", "SAFETY"), ("error", "MALFORMED_FUNCTION_CALL"), ("other", "OTHER")],
)
def test_finish_reasons(reason: str, word: str) -> None:
    message = AIMessage("a", finish_reason=llm.FinishReason(reason))
    assert WIRE.whole(message, FACTS)["candidates"][0]["finishReason"] == word
    assert frames_of(message)[-1]["candidates"][0]["finishReason"] == word


def test_an_answer_of_a_model_without_a_name() -> None:
    body = WIRE.whole(AIMessage("a"), Facts())
    assert (body["modelVersion"], body["responseId"]) == ("fake-model", f"fake{1:024x}")


# --- errors --------------------------------------------------------------------------------------


def test_errors() -> None:
    assert WIRE.error_body(Failure(code="rate_limit", retry_after=1.5)) == {
        "error": {
            "code": 429,
            "message": "Resource has been exhausted (e.g. check quota).",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}
            ],
        }
    }
    failure = Failure(code="overloaded", word="OWN", message="m")
    error = {"error": {"code": 503, "message": "m", "status": "OWN"}}
    assert read_events([*WIRE.encoder(FACTS).error(failure)]) == [error]


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "streams", "model"),
    [
        ("/v1beta/models/gemini-3.8-flash:generateContent", False, "gemini-3.8-flash"),
        ("/v1beta/models/a%20b:streamGenerateContent", True, "a b"),
        (
            "/v1/projects/p/locations/global/publishers/google/models/m:streamGenerateContent",
            True,
            "m",
        ),
    ],
)
def test_the_path_names_the_model_and_the_kind_of_answer(
    path: str, streams: bool, model: str
) -> None:
    assert wire_of(path) is WIRES["generate_content"]
    assert WIRE.streams(path, {}) is streams
    assert WIRE.asked(path, {"a": 1}) == {"a": 1, "model": model, "stream": streams}


def test_other_paths() -> None:
    assert not WIRE.matches("/v1beta/models/m:countTokens")
    assert not WIRE.streams("/v1beta/models", {})
    assert WIRE.asked("/v1beta/models", {"a": 1}) == {"a": 1}


def test_a_request_is_read_as_it_was_meant() -> None:
    schema = {"type": "object", "properties": {}}
    got = WIRE.read(
        {
            "model": "m",
            "stream": True,
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Look."}, {"newThing": {}}]},
                {
                    "role": "model",
                    "parts": [
                        {"text": "Hm.", "thought": True},
                        {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"},
                        {"functionCall": {"name": "f"}},
                        {"functionCall": {"name": "g", "id": "own"}},
                    ],
                },
                {
                    "role": "user",
                    "parts": [
                        {"functionResponse": {"name": "g", "id": "own", "response": {"b": 2}}},
                        {"functionResponse": {"name": "f", "response": {"output": "one"}}},
                        {"functionResponse": {"name": "f", "response": {"error": {"c": 3}}}},
                        {"functionResponse": {"name": "h"}},
                        {"text": "Go on."},
                    ],
                },
            ],
            "tools": [
                {"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]},
                {"functionDeclarations": [{"name": "g", "parameters": schema}, {"name": "h"}]},
                {"googleSearch": {}},
            ],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            "generationConfig": {
                "temperature": 0.5,
                "maxOutputTokens": 9,
                "candidateCount": 2,
                "stopSequences": ["END"],
                "responseMimeType": "application/json",
                "responseJsonSchema": schema,
                "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
            },
            "demo": {"seed": 1},
        }
    )
    calls = (
        llm.ToolCall("call_1", "f", {"a": 1}, "s", part_index=1),
        llm.ToolCall("call_2", "f", part_index=2),
        llm.ToolCall("own", "g", part_index=3),
    )
    assert got.messages == (
        SystemMessage("Be brief."),
        HumanMessage("Look."),
        AIMessage(ThinkingPart("Hm."), tool_calls=calls),
        ToolMessage('{"b":2}', tool_call_id="own", name="g"),
        ToolMessage("one", tool_call_id="call_1", name="f"),
        ToolMessage('{"c":3}', tool_call_id="call_2", name="f", is_error=True),
        ToolMessage("{}", tool_call_id="", name="h"),
        HumanMessage("Go on."),
    )
    assert [(tool.name, tool.input_schema) for tool in got.tools] == [
        ("f", schema),
        ("g", schema),
        ("h", {}),
    ]
    assert got.streaming
    assert got.options == llm.GenerateOptions(
        model="m",
        temperature=0.5,
        max_tokens=9,
        n=2,
        stop=("END",),
        tool_choice="required",
        reasoning=llm.ReasoningConfig("low", None, include=True),
        response_format=llm.ResponseFormat.json_schema(schema),
        provider_options={"demo": {"seed": 1}},
    )


def test_media_are_read() -> None:
    def inline(mime_type: str) -> dict[str, Any]:
        return {"inlineData": {"mimeType": mime_type, "data": "AQI="}}

    parts = [
        inline("image/png"),
        inline("audio/mpeg"),
        inline("audio/wav"),
        inline("video/mp4"),
        {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/a.pdf"}},
        {"fileData": {"fileUri": "https://a.test/files/x"}},
    ]
    result = {"name": "f", "response": {"output": "x"}, "parts": [inline("image/png")]}
    got = WIRE.read(
        {"contents": [{"parts": parts}, {"role": "user", "parts": [{"functionResponse": result}]}]}
    )
    assert got.messages[0].parts == (
        llm.ImagePart(b"\1\2", mime_type="image/png"),
        llm.AudioPart(b"\1\2", format="mp3"),
        llm.AudioPart(b"\1\2", format="wav"),
        llm.VideoPart(b"\1\2"),
        llm.FilePart(url="gs://b/a.pdf"),
        llm.FilePart(url="https://a.test/files/x", mime_type=""),
    )
    assert got.messages[1].parts == (TextPart("x"), llm.ImagePart(b"\1\2", mime_type="image/png"))


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({"mode": "NONE"}, "none"),
        ({"mode": "VALIDATED"}, "auto"),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, "f"),
        ({}, None),
    ],
)
def test_a_choice_of_tools_is_read(config: dict[str, Any], choice: str | None) -> None:
    body = {"contents": [{"parts": []}], "toolConfig": {"functionCallingConfig": config}}
    assert WIRE.read(body).options.tool_choice == choice
    assert WIRE.read(body).messages == (HumanMessage(()),)


def test_other_forms_and_budgets_are_read() -> None:
    contents = [{"parts": [{"text": "hi"}]}]

    def options(**config: Any) -> llm.GenerateOptions:
        return WIRE.read({"contents": contents, "generationConfig": config}).options

    assert options(responseMimeType="application/json").response_format == llm.ResponseFormat.json()
    old = options(responseMimeType="application/json", responseSchema={"type": "STRING"})
    assert old.response_format == llm.ResponseFormat.json_schema({"type": "STRING"})
    assert options(responseMimeType="text/plain").response_format is None
    budget = options(thinkingConfig={"thinkingBudget": 0}).reasoning
    assert budget == llm.ReasoningConfig(None, 0, include=False)
    assert options().reasoning is None


@pytest.mark.parametrize("body", [{}, {"contents": []}, {"contents": "hi"}])
def test_a_request_without_contents_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(llm.InvalidRequestError, match="contents"):
        WIRE.read(body)


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(llm.InvalidRequestError, match="stranger"):
        WIRE.read({"contents": [{"role": "stranger", "parts": []}]})


# --- over a socket -------------------------------------------------------------------------------


async def post(url: str, body: dict[str, Any]) -> tuple[str, bytes]:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        return response.headers["content-type"], await response.read()


async def test_both_endpoints_and_the_counting_one_are_served() -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "one two three"}]}]}
    async with FakeServer("Hello there") as server:
        model = f"{server.base_url('generate_content')}/models/gemini-3.8-flash"
        kind, whole = await post(f"{model}:generateContent", body)
        assert kind == "application/json"
        assert json.loads(whole)["modelVersion"] == "gemini-3.8-flash"
        kind, streamed = await post(f"{model}:streamGenerateContent?alt=sse", body)
        assert kind.startswith("text/event-stream")
        assert streamed.count(b"\r\n\r\n") == 3
        _, counted = await post(f"{model}:countTokens", {"generateContentRequest": body})
        assert json.loads(counted) == {"totalTokens": 3}
        assert [seen.streaming for seen in server.requests] == [False, True, False]

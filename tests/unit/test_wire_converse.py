"""The fake server's Converse: its bytes, by hand, and read back by the dialect where it is here."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm import (
    AIMessage,
    ChatRequest,
    FinishReason,
    GenerateOptions,
    HumanMessage,
    InvalidRequestError,
    ReasoningConfig,
    ResponseFormat,
    StreamChunk,
    SystemMessage,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
    Usage,
)
from beluga_llm._errors import BelugaError
from beluga_llm._fold import fold
from beluga_llm._http.reader import AnswerReader
from beluga_llm.plugin import AwsEventStream, ToolCallDelta
from beluga_llm.testing._aws_events import AWS_EVENTS
from beluga_llm.testing._pieces import in_pieces, in_wire_order
from beluga_llm.testing._wire import Facts, Failure, encode
from beluga_llm.testing._wire_converse import CONVERSE_TERMS, ConverseWire

WIRE = ConverseWire()
ANSWER = AIMessage(
    [
        ThinkingPart("Hm.", "c2ln", provider="bedrock"),
        ThinkingPart("", redacted_data="ZGF0YQ==", provider="bedrock"),
        ThinkingPart("", redacted_data="bW9yZQ==", provider="bedrock"),
        TextPart("I search."),
    ],
    tool_calls=[
        ToolCall("tooluse_1", "search", '{"q":1}', part_index=4),
        ToolCall("tooluse_2", "time", "{}", part_index=5),
    ],
    usage=Usage(20, 9, cached_tokens=3, cache_write_tokens=2),
    finish_reason="tool_calls",
    provider_metadata={"metrics": {"latencyMs": 7}},
)
CONTENT = [
    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
    {"reasoningContent": {"redactedContent": "ZGF0YQ=="}},
    {"reasoningContent": {"redactedContent": "bW9yZQ=="}},
    {"text": "I search."},
    {"toolUse": {"toolUseId": "tooluse_1", "name": "search", "input": {"q": 1}}},
    {"toolUse": {"toolUseId": "tooluse_2", "name": "time", "input": {}}},
]
USAGE = {
    "inputTokens": 15,
    "outputTokens": 9,
    "totalTokens": 29,
    "cacheReadInputTokens": 3,
    "cacheWriteInputTokens": 2,
}


def framed(events: list[bytes]) -> list[tuple[str, Any]]:
    """The events as names and JSON, without the numbers of blocks."""
    stream = AwsEventStream()
    frames = [*stream.feed(b"".join(events)), *stream.finish()]
    return [(name, json.loads(data)) for name, data in frames]


def block(kind: str, index: int, **fields: Any) -> tuple[str, Any]:
    return f"contentBlock{kind}", {**fields, "contentBlockIndex": index}


def delta(index: int, **fields: Any) -> tuple[str, Any]:
    return block("Delta", index, delta=fields)


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.row("TEST-01")
def test_a_stream_by_hand() -> None:
    events = encode(WIRE.encoder(Facts()), in_wire_order(ANSWER))
    one, two = ({"toolUseId": f"tooluse_{n}", "name": name} for n, name in ((1, "search"),
                                                                          (2, "time")))  # fmt: skip
    assert framed(events) == [
        ("messageStart", {"role": "assistant"}),
        delta(0, reasoningContent={"text": "Hm."}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        block("Stop", 0),
        delta(1, reasoningContent={"redactedContent": "ZGF0YQ=="}),
        block("Stop", 1),
        delta(2, reasoningContent={"redactedContent": "bW9yZQ=="}),
        block("Stop", 2),
        delta(3, text="I search."),
        block("Stop", 3),
        block("Start", 4, start={"toolUse": one}),
        delta(4, toolUse={"input": '{"q":1}'}),
        block("Stop", 4),
        block("Start", 5, start={"toolUse": two}),
        block("Stop", 5),
        ("messageStop", {"stopReason": "tool_use"}),
        ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 7}}),
    ]


@pytest.mark.row("TEST-01")
def test_a_whole_answer_by_hand() -> None:
    assert WIRE.whole(ANSWER, Facts()) == {
        "output": {"message": {"role": "assistant", "content": CONTENT}},
        "stopReason": "tool_use",
        "usage": USAGE,
        "metrics": {"latencyMs": 7},
    }
    image = llm.ImagePart(url="s3://bucket/a.png")
    left = WIRE.whole(AIMessage([image, ThinkingPart("Hm.")], finish_reason="other"), Facts())
    assert left["output"]["message"]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm."}}}
    ]
    assert (left["stopReason"], left["usage"]) == ("end_turn", {})
    assert WIRE.whole(AIMessage("a", raw_finish_reason="x"), Facts())["stopReason"] == "x"


def test_whole_parts_in_a_stream() -> None:
    kept = {"note": 1}
    parts: list[Any] = [
        ThinkingPart("So.", metadata=kept),
        ThinkingPart("Hm.", "c2ln", metadata=kept),
        ThinkingPart("", redacted_data="ZGF0YQ==", metadata=kept),
        TextPart("", metadata=kept),
        TextPart("Yes.", metadata=kept),
        llm.ImagePart(url="s3://bucket/a.png"),
    ]
    chunks = [StreamChunk(parts=(part,), part_index=n) for n, part in enumerate(parts)]
    chunks.append(StreamChunk(redacted_data="bW9yZQ=="))
    got = framed(encode(WIRE.encoder(Facts()), chunks))
    deltas = [fields["delta"] for kind, fields in got if kind == "contentBlockDelta"]
    assert deltas == [
        {"reasoningContent": {"text": "So."}},
        {"reasoningContent": {"text": "Hm."}},
        {"reasoningContent": {"signature": "c2ln"}},
        {"reasoningContent": {"redactedContent": "ZGF0YQ=="}},
        {"text": ""},
        {"text": "Yes."},
        {"reasoningContent": {"redactedContent": "bW9yZQ=="}},
    ]
    assert got[-1] == ("metadata", {"usage": {}, "metrics": {"latencyMs": 1}})


def test_fragments_without_an_index_continue_the_call_before() -> None:
    deltas = [
        ToolCallDelta(id="a", name="f"),
        ToolCallDelta(arguments='{"x":'),
        ToolCallDelta(arguments="1}"),
        ToolCallDelta(id="b", name="g", arguments="{}"),
        ToolCallDelta(),
    ]
    events = encode(WIRE.encoder(Facts()), [StreamChunk(tool_calls=(one,)) for one in deltas])
    assert framed(events)[1:-2] == [
        block("Start", 0, start={"toolUse": {"toolUseId": "a", "name": "f"}}),
        delta(0, toolUse={"input": '{"x":'}),
        delta(0, toolUse={"input": "1}"}),
        block("Stop", 0),
        block("Start", 1, start={"toolUse": {"toolUseId": "b", "name": "g"}}),
        block("Stop", 1),
    ]
    turns = [StreamChunk(tool_calls=(ToolCallDelta(n, f"c{n}", "f"),)) for n in (0, 1, 0)]
    with pytest.raises(ValueError, match="one tool call after the other"):
        encode(WIRE.encoder(Facts()), turns)


def test_a_signature_with_a_text_belongs_to_that() -> None:
    chunk = StreamChunk("hi", signature="s", part_index=0)
    got = framed(encode(WIRE.encoder(Facts()), [chunk]))
    assert got[1] == delta(0, text="hi")
    assert all("reasoningContent" not in fields.get("delta", {}) for _, fields in got)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "content_filtered"),
        ("error", "malformed_model_output"),
        ("other", "end_turn"),
    ],
)
def test_words_for_the_end(reason: str, word: str) -> None:
    message = AIMessage("hi", finish_reason=FinishReason(reason))
    events = framed(encode(WIRE.encoder(Facts()), in_wire_order(message)))
    assert events[-2] == ("messageStop", {"stopReason": word})
    assert WIRE.whole(message, Facts())["stopReason"] == word


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.row("TEST-01")
def test_errors_by_hand() -> None:
    slow = Failure(code="rate_limit")
    source = "http://internal.amazon.com/coral/com.amazon.bedrock/"
    message = "Too many requests, please wait before trying again."
    assert WIRE.error_body(slow) == {"message": message}
    assert WIRE.error_headers(slow) == {"x-amzn-errortype": f"ThrottlingException:{source}"}
    (event,) = WIRE.encoder(Facts()).error(slow)
    ((name, data),) = AwsEventStream().feed(event)
    assert (name, json.loads(data)) == ("exception:throttlingException", {"message": message})
    own = Failure(code="rate_limit", word="ModelNotReadyException", message="m")
    assert WIRE.error_headers(own)["x-amzn-errortype"].startswith("ModelNotReadyException:")
    assert WIRE.error_body(own) == {"message": "m"}


# --- requests -------------------------------------------------------------------------------------


@pytest.mark.row("TEST-01")
@pytest.mark.parametrize(
    ("path", "model", "streaming"),
    [
        ("/model/amazon.nova-lite-v1%3A0/converse", "amazon.nova-lite-v1:0", False),
        ("/aws/model/arn%3Aaws%3Aa%2Fb/converse-stream", "arn:aws:a/b", True),
        ("/model/arn:aws:a/b/converse", "arn:aws:a/b", False),
    ],
)
def test_the_path_tells_model_and_stream(path: str, model: str, streaming: bool) -> None:
    assert WIRE.matches(path)
    assert WIRE.streams(path, {}) is streaming
    asked = WIRE.asked(path, {"a": 1})
    assert asked == {"a": 1, "model": model, "stream": streaming}


def test_other_paths_are_not_its_own() -> None:
    for path in ("/v1/chat/completions", "/converse", "/model/m/invoke", "/model/m/converse/x"):
        assert not WIRE.matches(path)
    assert WIRE.asked("/elsewhere", {})["model"] is None


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_request_by_hand() -> None:
    image = {"format": "png", "source": {"bytes": b64(b"png")}}
    document = {"format": "csv", "name": "a", "source": {"bytes": b64(b"1,2")}}
    other = {"format": "docx", "name": "b", "source": {"s3Location": {"uri": "s3://b/c"}}}
    video = {"format": "mov", "source": {"bytes": b64(b"v")}}
    audio = {"format": "pcm", "source": {"bytes": b64(b"a")}}
    media = [{"image": image}, {"document": document}, {"document": other}, {"video": video},
             {"audio": audio}]  # fmt: skip
    failed = {"toolUseId": "tooluse_1", "content": [{"text": "no"}], "status": "error"}
    told = {"toolUseId": "tooluse_2", "content": [{"json": {"a": 1}}]}
    body = {
        "model": "m",
        "stream": True,
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
        "messages": [
            {"role": "user", "content": [{"text": "hi"}, *media]},
            {"role": "assistant", "content": CONTENT},
            {"role": "user", "content": [{"toolResult": failed}, {"toolResult": told}]},
            {"role": "user", "content": [{"text": "go"}, {"cachePoint": {"type": "default"}}]},
        ],
        "inferenceConfig": {
            "maxTokens": 5,
            "temperature": 0.5,
            "topP": 0.9,
            "stopSequences": ["x"],
        },
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": "search", "inputSchema": {"json": {"type": "object"}}}},
                {"cachePoint": {"type": "default"}},
            ],
            "toolChoice": {"tool": {"name": "search"}},
        },
        "additionalModelRequestFields": {"top_k": 3, "thinking": {"budget_tokens": 2000}},
        "outputConfig": {
            "textFormat": {"structure": {"jsonSchema": {"schema": '{"type": "object"}'}}}
        },
        "demo": {"words": 3},
    }
    request = WIRE.read(body)
    system, asked, answer, failed_result, result, last = request.messages
    assert system == SystemMessage("Be brief.")
    assert [part.type for part in asked.parts] == [
        "text", "image", "file", "file", "video", "audio",
    ]  # fmt: skip
    assert (asked.parts[2].mime_type, asked.parts[3].url) == ("text/csv", "s3://b/c")  # type: ignore[union-attr]  # files
    assert isinstance(answer, AIMessage)
    assert answer.thinking == "Hm."
    assert [call.id for call in answer.tool_calls] == ["tooluse_1", "tooluse_2"]
    assert failed_result == ToolMessage("no", "tooluse_1", is_error=True)
    assert result == ToolMessage('{"a":1}', "tooluse_2")
    assert last == HumanMessage("go")
    assert request.streaming
    assert request.tools == (ToolDefinition("search", "", {"type": "object"}),)
    assert request.options == GenerateOptions(
        model="m",
        max_tokens=5,
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        stop=("x",),
        tool_choice="search",
        reasoning=ReasoningConfig(None, 2000),
        response_format=ResponseFormat.json_schema({"type": "object"}),
        provider_options={"demo": {"words": 3}},
    )


@pytest.mark.parametrize(
    ("more", "options"),
    [
        ({}, {}),
        ({"thinking": {"type": "disabled"}}, {"reasoning": ReasoningConfig("none")}),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            {"reasoning": ReasoningConfig("low")},
        ),
        ({"reasoning_effort": "high"}, {"reasoning": ReasoningConfig("high")}),
        (
            {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
            {"tool_choice": "required", "parallel_tool_calls": False},
        ),
        ({"tool_choice": {"type": "tool", "name": "f"}}, {"tool_choice": "f"}),
    ],
)
def test_fields_of_the_models_own(more: dict[str, Any], options: dict[str, Any]) -> None:
    said = [{"role": "user", "content": [{"text": "hi"}]}]
    got = WIRE.read({"messages": said, "additionalModelRequestFields": more})
    assert got.options == GenerateOptions(**options)
    for choice, word in (("any", "required"), ("auto", "auto")):
        got = WIRE.read({"messages": said, "toolConfig": {"toolChoice": {choice: {}}}})
        assert got.options.tool_choice == word


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "stranger", "content": []}]}, "stranger"),
    ],
)
def test_requests_that_are_refused(body: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidRequestError, match=match):
        WIRE.read(body)


def test_a_turn_without_content_is_an_empty_message() -> None:
    assert WIRE.read({"messages": [{"role": "user"}]}).messages == (HumanMessage(()),)


# --- read back by the dialect ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def dialect() -> Any:
    return pytest.importorskip("beluga_llm_bedrock").ConverseDialect()


def read_back(dialect: Any, body: bytes, *, streaming: bool) -> AIMessage | BelugaError:
    options = GenerateOptions(model="m")
    request = ChatRequest((HumanMessage("hi"),), options, streaming=streaming)
    headers = {"content-type": AWS_EVENTS if streaming else "application/json"}
    reader = AnswerReader(dialect, request, status=200, headers=headers)
    chunks = [*reader.feed(body), *reader.finish()]
    return reader.failure or fold(chunks)


def both(dialect: Any, message: AIMessage) -> list[AIMessage | BelugaError]:
    events = encode(WIRE.encoder(Facts(usage=message.usage)), in_pieces(in_wire_order(message)))
    whole = json.dumps(WIRE.whole(message, Facts())).encode()
    return [
        read_back(dialect, b"".join(events), streaming=True),
        read_back(dialect, whole, streaming=False),
    ]


@pytest.mark.row("TEST-01")
def test_an_answer_is_read_as_it_was_meant(dialect: Any) -> None:
    for got in both(dialect, ANSWER):
        assert isinstance(got, AIMessage)
        assert (got.parts, got.tool_calls) == (ANSWER.parts, ANSWER.tool_calls)
        assert (got.usage, got.finish_reason) == (ANSWER.usage, ANSWER.finish_reason)
    for got in both(dialect, AIMessage((), finish_reason="stop")):
        assert isinstance(got, AIMessage)
        assert (got.text, got.tool_calls, got.finish_reason) == ("", (), FinishReason.STOP)


@pytest.mark.parametrize("code", CONVERSE_TERMS)
def test_an_error_means_its_class(dialect: Any, code: str) -> None:
    failure = Failure(code=code)
    body = json.dumps(WIRE.error_body(failure)).encode()
    status = WIRE.said(failure).status
    error = dialect.error(status, dict(WIRE.error_headers(failure)), body, now=0.0)
    assert error.code == code
    inside = read_back(dialect, b"".join(WIRE.encoder(Facts()).error(failure)), streaming=True)
    assert isinstance(inside, BelugaError)
    assert inside.code == code


@pytest.mark.row("TEST-01")
def test_a_request_is_read_as_it_was_meant(dialect: Any) -> None:
    conversation = (
        SystemMessage("Be brief."),
        HumanMessage(["Look:", llm.ImagePart(b"\x89PNG....")]),
        AIMessage("I search.", tool_calls=[ToolCall("call_1", "search", '{"q":"x"}')]),
        ToolMessage("found it", tool_call_id="call_1"),
        HumanMessage("Thanks."),
    )
    search = ToolDefinition("search", "Finds things.", {"type": "object", "properties": {}})
    options = GenerateOptions(
        model="anthropic.claude-sonnet-4-5",
        temperature=0.5,
        max_tokens=100,
        tool_choice="required",
        parallel_tool_calls=False,
        response_format=ResponseFormat.json_schema({"type": "object", "properties": {}}),
    )
    encoded = dialect.encode(ChatRequest(conversation, options, (search,), streaming=True))
    body = json.loads(json.dumps(encoded.json))
    got = WIRE.read(WIRE.asked(encoded.path, body))
    assert [type(message) for message in got.messages] == [type(m) for m in conversation]
    assert [message.text for message in got.messages] == [m.text for m in conversation]
    assert (got.streaming, [tool.name for tool in got.tools]) == (True, ["search"])
    for name in ("model", "temperature", "max_tokens", "tool_choice", "parallel_tool_calls"):
        assert getattr(got.options, name) == getattr(options, name), name

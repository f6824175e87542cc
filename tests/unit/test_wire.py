"""The fake server's wire formats, read back by the dialects that real servers are read by."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import beluga_llm as llm
from beluga_llm import (
    AIMessage,
    ChatRequest,
    FinishReason,
    GenerateOptions,
    HumanMessage,
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
from beluga_llm.plugin import Dialect, OpenAIChatDialect, OpenAIResponsesDialect
from beluga_llm.testing._pieces import in_pieces, in_wire_order
from beluga_llm.testing._wire import Facts, Failure, Wire, encode
from beluga_llm.testing._wire_chat import ChatWire
from beluga_llm.testing._wire_claude_clouds import BedrockMessagesWire, VertexMessagesWire
from beluga_llm.testing._wire_messages import MessagesWire
from beluga_llm.testing._wire_responses import ResponsesWire

WIRES: list[Wire] = [
    ChatWire(),
    ResponsesWire(),
    MessagesWire(),
    VertexMessagesWire(),
    BedrockMessagesWire(),
]
wires = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)


def dialect_for(wire: Wire) -> Dialect:
    if wire.name == "chat":
        return OpenAIChatDialect("openai")
    if wire.name == "responses":
        return OpenAIResponsesDialect("openai")
    anthropic = pytest.importorskip("beluga_llm_anthropic")
    dialect: Dialect = anthropic.AnthropicDialect()
    if wire.name == "vertex_messages":
        dialect = anthropic.VertexAnthropicDialect(project="p")
    elif wire.name == "bedrock_messages":
        dialect = anthropic.BedrockAnthropicDialect()
    return dialect


def request_for(*, streaming: bool) -> ChatRequest:
    options = GenerateOptions(model="m", logprobs=True)
    return ChatRequest((HumanMessage("hi"),), options, streaming=streaming)


def read(wire: Wire, body: bytes, *, streaming: bool) -> AIMessage | BelugaError:
    dialect = dialect_for(wire)
    headers = {"content-type": wire.stream_type if streaming else "application/json"}
    reader = AnswerReader(dialect, request_for(streaming=streaming), status=200, headers=headers)
    chunks = [*reader.feed(body), *reader.finish()]
    return reader.failure or fold(chunks)


def facts_of(message: AIMessage) -> Facts:
    return Facts(
        request={"model": "m", "stream_options": {"include_usage": True}},
        model_id=message.model_id,
        response_id=message.response_id,
        usage=message.usage,
    )


def streamed(wire: Wire, message: AIMessage) -> AIMessage | BelugaError:
    events = encode(wire.encoder(facts_of(message)), in_pieces(in_wire_order(message)))
    return read(wire, b"".join(events), streaming=True)


def whole(wire: Wire, message: AIMessage) -> AIMessage | BelugaError:
    body = json.dumps(wire.whole(message, facts_of(message))).encode()
    return read(wire, body, streaming=False)


def meaning(message: AIMessage | BelugaError) -> dict[str, Any]:
    assert isinstance(message, AIMessage), repr(message)
    return {
        "text": message.text,
        "thinking": message.thinking,
        "calls": [(call.id, call.name, call.args) for call in message.tool_calls],
        "usage": message.usage,
        "finish_reason": message.finish_reason,
        "refusal": message.refusal,
        "model_id": message.model_id,
        "response_id": message.response_id,
    }


some_text = st.text(min_size=1, max_size=30)
calls = st.lists(
    st.builds(
        ToolCall,
        st.uuids().map(str),
        st.sampled_from(["add", "search"]),
        st.dictionaries(some_text, st.integers() | some_text, max_size=3),
    ),
    max_size=3,
    unique_by=lambda call: call.id,
)
counts = st.integers(0, 10_000)


@st.composite
def messages(draw: st.DrawFn) -> AIMessage:
    parts: list[Any] = []
    if draw(st.booleans()):
        parts.append(ThinkingPart(draw(some_text)))
    if draw(st.booleans()):
        parts.append(TextPart(draw(some_text)))
    made = draw(calls)
    usual = FinishReason.TOOL_CALLS if made else FinishReason.STOP
    return AIMessage(
        parts,
        tool_calls=made,
        usage=Usage(draw(counts), draw(counts), reasoning_tokens=draw(counts)),
        finish_reason=draw(st.sampled_from((usual, FinishReason.LENGTH))),
        model_id="model-1",
        response_id="answer-1",
    )


@pytest.mark.row("TEST-01")
@wires
@settings(max_examples=40, deadline=None)
@given(message=messages())
def test_what_the_server_writes_is_what_the_dialect_reads(wire: Wire, message: AIMessage) -> None:
    """Stream and whole body mean the same message."""
    assert meaning(streamed(wire, message)) == meaning(message)
    assert meaning(whole(wire, message)) == meaning(message)


@settings(max_examples=60, deadline=None)
@given(message=messages())
def test_pieces_add_up_to_the_message(message: AIMessage) -> None:
    assert fold(in_pieces(in_wire_order(message))) == message


@wires
def test_an_empty_answer_is_an_answer(wire: Wire) -> None:
    message = AIMessage((), finish_reason="stop")
    for got in (streamed(wire, message), whole(wire, message)):
        assert isinstance(got, AIMessage)
        assert (got.text, got.tool_calls, got.finish_reason) == ("", (), FinishReason.STOP)


@wires
def test_a_refusal_is_no_text(wire: Wire) -> None:
    message = AIMessage((), refusal="I will not.", finish_reason="content_filter")
    for got in (streamed(wire, message), whole(wire, message)):
        assert isinstance(got, AIMessage)
        assert (got.text, got.refusal) == ("", "I will not.")
        assert got.finish_reason is FinishReason.CONTENT_FILTER


def test_signed_and_redacted_thinking_goes_through_messages() -> None:
    message = AIMessage(
        [
            ThinkingPart("Hm.", signature="c2ln", provider="anthropic"),
            ThinkingPart("", redacted_data="ZGF0YQ==", provider="anthropic"),
            TextPart("Yes."),
        ]
    )
    for got in (streamed(MessagesWire(), message), whole(MessagesWire(), message)):
        assert isinstance(got, AIMessage)
        assert got.parts == message.parts


def test_encrypted_reasoning_goes_through_responses() -> None:
    thought = ThinkingPart("Hm.", redacted_data="gAAAA", provider="openai", id="rs_7")
    message = AIMessage([thought, TextPart("Yes.")])
    for got in (streamed(ResponsesWire(), message), whole(ResponsesWire(), message)):
        assert isinstance(got, AIMessage)
        assert got.parts == message.parts


def test_summary_parts_of_one_reasoning_item_stay_together() -> None:
    parts = [ThinkingPart(text, provider="openai", id="rs_7") for text in ("One.", "Two.")]
    body = ResponsesWire().whole(AIMessage([*parts, TextPart("Yes.")]), Facts())
    reasoning, _ = body["output"]
    assert reasoning["id"] == "rs_7"
    assert [entry["text"] for entry in reasoning["summary"]] == ["One.", "Two."]


def test_an_id_of_encrypted_reasoning_without_summary_goes_through_responses() -> None:
    thought = ThinkingPart("", redacted_data="gAAAA", provider="openai", id="rs_9")
    got = streamed(ResponsesWire(), AIMessage([thought, TextPart("Yes.")]))
    assert isinstance(got, AIMessage)
    assert got.parts[0] == thought


def test_thinking_and_texts_of_any_chunks_go_through_messages() -> None:
    kept = {"note": 1}
    chunks = [
        llm.StreamChunk(reasoning_delta="Hm.", part_index=0),
        llm.StreamChunk(signature="c2ln", part_index=0),
        llm.StreamChunk(redacted_data="ZGF0YQ=="),
        llm.StreamChunk(parts=(ThinkingPart("So.", metadata=kept),), part_index=1),
        llm.StreamChunk(parts=(TextPart("", metadata=kept),), part_index=2),
        llm.StreamChunk(parts=(TextPart("Yes.", metadata=kept),), part_index=3),
        llm.StreamChunk(parts=(llm.ImagePart(url="https://example.com/a.png"),)),
    ]
    got = read(
        MessagesWire(), b"".join(encode(MessagesWire().encoder(Facts()), chunks)), streaming=True
    )
    assert isinstance(got, AIMessage)
    assert (got.thinking, got.text) == ("Hm.So.", "Yes.")
    assert [part.redacted_data for part in got.parts if type(part) is ThinkingPart] == [
        None,
        "ZGF0YQ==",
        None,
    ]


def test_what_no_answer_of_messages_can_hold_is_left_out() -> None:
    call = ToolCall("c1", "f", "{not json")
    message = AIMessage(
        [TextPart("hi"), llm.ImagePart(url="https://a.test/b.png")], tool_calls=[call]
    )
    assert MessagesWire().whole(message, Facts())["content"] == [
        {"type": "text", "text": "hi"},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
    ]


LOGPROBS = [{"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": []}]


def test_logprobs_go_through_chat() -> None:
    got = streamed(ChatWire(), AIMessage("hi", logprobs=LOGPROBS))
    assert isinstance(got, AIMessage)
    assert got.logprobs == LOGPROBS


def test_logprobs_are_told_at_the_end_of_a_text_by_responses() -> None:
    message = AIMessage("hi", logprobs=LOGPROBS)
    events = encode(ResponsesWire().encoder(Facts()), in_wire_order(message))
    done = [json.loads(event.partition(b"data: ")[2]) for event in events]
    (text,) = (event for event in done if event["type"] == "response.output_text.done")
    assert text["logprobs"] == LOGPROBS


@wires
def test_the_vendors_own_word_for_the_end_is_said(wire: Wire) -> None:
    message = AIMessage("hi", finish_reason="other", raw_finish_reason="pause_turn")
    events = b"".join(encode(wire.encoder(Facts()), in_wire_order(message)))
    got = read(wire, events, streaming=True)
    assert isinstance(got, AIMessage)
    assert (got.raw_finish_reason == "pause_turn") is (wire.name != "responses")


def test_a_failed_response_is_one() -> None:
    got = streamed(ResponsesWire(), AIMessage("half", finish_reason="error"))
    assert isinstance(got, llm.ProviderUnavailableError)


@wires
def test_fragments_without_an_index_continue_the_call_before(wire: Wire) -> None:
    deltas = [
        llm.ToolCallDelta(id="a", name="f"),
        llm.ToolCallDelta(arguments='{"x":'),
        llm.ToolCallDelta(arguments="1}"),
        llm.ToolCallDelta(id="b", name="g", arguments='{"y":2}'),
    ]
    chunks = [llm.StreamChunk(tool_calls=(delta,)) for delta in deltas]
    got = read(wire, b"".join(encode(wire.encoder(Facts()), chunks)), streaming=True)
    assert isinstance(got, AIMessage)
    assert [(c.id, c.name, c.args) for c in got.tool_calls] == [
        ("a", "f", {"x": 1}),
        ("b", "g", {"y": 2}),
    ]


def test_calls_stand_where_their_place_says() -> None:
    call = ToolCall("c1", "f", "{}", part_index=1)
    message = AIMessage([TextPart("one"), TextPart("two")], tool_calls=[call])
    first, second, third, _ = in_wire_order(message)
    assert (first.delta, third.delta) == ("one", "two")
    assert second.tool_calls[0].id == "c1"


def test_several_choices_go_through_chat() -> None:
    other = AIMessage("two", finish_reason="length")
    message = AIMessage("one", finish_reason="stop", alternatives=[other])
    for got in (streamed(ChatWire(), message), whole(ChatWire(), message)):
        assert isinstance(got, AIMessage)
        assert got.text == "one"
        (second,) = got.alternatives
        assert (second.text, second.finish_reason) == ("two", FinishReason.LENGTH)


def test_usage_is_left_out_of_a_chat_stream_that_did_not_ask() -> None:
    message = AIMessage("hi", usage=Usage(1, 2))
    body = b"".join(encode(ChatWire().encoder(Facts()), in_wire_order(message)))
    assert b'"usage"' not in body


def test_messages_leave_the_cache_out_of_input_tokens() -> None:
    usage = Usage(100, 5, cached_tokens=60, cache_write_tokens=30)
    body = MessagesWire().whole(AIMessage("hi", usage=usage), Facts())
    assert body["usage"]["input_tokens"] == 10
    got = streamed(MessagesWire(), AIMessage("hi", usage=usage))
    assert isinstance(got, AIMessage)
    assert got.usage == usage


def test_calls_that_take_turns_cannot_be_written_one_after_the_other() -> None:
    chunks = [
        llm.StreamChunk(tool_calls=(llm.ToolCallDelta(index, f"c{index}", "f"),))
        for index in (0, 1, 0)
    ]
    with pytest.raises(ValueError, match="one tool call after the other"):
        encode(ResponsesWire().encoder(Facts()), chunks)


CODES = {
    "auth_error": llm.AuthenticationError,
    "permission_denied": llm.PermissionDeniedError,
    "not_found": llm.ModelNotFoundError,
    "rate_limit": llm.RateLimitError,
    "quota_exceeded": llm.QuotaExceededError,
    "timeout": llm.RequestTimeoutError,
    "context_length": llm.ContextLengthError,
    "content_filter": llm.ContentFilterError,
    "invalid_input": llm.InvalidRequestError,
    "overloaded": llm.OverloadedError,
    "provider_unavailable": llm.ProviderUnavailableError,
}


@wires
@pytest.mark.parametrize("code", CODES)
def test_an_error_body_means_its_error(wire: Wire, code: str) -> None:
    failure = Failure(code=code)
    body, headers = json.dumps(wire.error_body(failure)).encode(), wire.error_headers(failure)
    got = dialect_for(wire).error(wire.said(failure).status, headers, body, now=0.0)
    assert type(got) is CODES[code]


@wires
@pytest.mark.parametrize("code", ["rate_limit", "overloaded", "provider_unavailable"])
def test_an_error_frame_means_its_error(wire: Wire, code: str) -> None:
    encoder = wire.encoder(Facts())
    events = [
        *encoder.begin(),
        *encoder.feed(llm.StreamChunk("one ")),
        *encoder.error(Failure(code=code)),
    ]
    got = read(wire, b"".join(events), streaming=True)
    assert type(got) is CODES[code]


# --- requests ------------------------------------------------------------------------------------

SEARCH = ToolDefinition("search", "Finds things.", {"type": "object", "properties": {}})
CONVERSATION = (
    SystemMessage("Be brief."),
    HumanMessage(["Look:", llm.ImagePart(b"\x89PNG....")]),
    AIMessage("I search.", tool_calls=[ToolCall("call_1", "search", '{"q":"x"}')]),
    ToolMessage("found it", tool_call_id="call_1"),
    HumanMessage("Thanks."),
)


def read_request(wire: Wire, request: ChatRequest) -> ChatRequest:
    """What the server reads of a request that our dialect made."""
    encoded = dialect_for(wire).encode(request)
    assert wire.matches(encoded.path)
    return wire.read(wire.asked(encoded.path, json.loads(json.dumps(encoded.json, default=dict))))


@wires
def test_a_request_is_read_as_it_was_meant(wire: Wire) -> None:
    options = GenerateOptions(
        model="m",
        temperature=0.5,
        max_tokens=100,
        tool_choice="required",
        parallel_tool_calls=False,
        response_format=llm.ResponseFormat.json_schema({"type": "object", "properties": {}}),
    )
    request = ChatRequest(CONVERSATION, options, (SEARCH,), streaming=True)
    got = read_request(wire, request)
    assert [type(message) for message in got.messages] == [type(m) for m in CONVERSATION]
    assert [message.text for message in got.messages] == [m.text for m in CONVERSATION]
    assert got.messages[1].parts[1].type == "image"
    assert got.messages[2].tool_calls[0].args == {"q": "x"}  # type: ignore[attr-defined]  # an AIMessage
    assert got.messages[3].tool_call_id == "call_1"  # type: ignore[attr-defined]  # a ToolMessage
    assert got.streaming
    assert [tool.name for tool in got.tools] == ["search"]
    for name in ("model", "max_tokens", "tool_choice", "parallel_tool_calls"):
        assert getattr(got.options, name) == getattr(options, name), name
    assert got.options.response_format is not None
    assert got.options.response_format.type == "json_schema"


@wires
@pytest.mark.parametrize("body", [{}, {"messages": [], "input": []}])
def test_a_request_without_messages_is_refused(wire: Wire, body: dict[str, Any]) -> None:
    with pytest.raises(llm.InvalidRequestError):
        wire.read(body)


@wires
def test_a_named_tool_is_read(wire: Wire) -> None:
    options = GenerateOptions(model="m", tool_choice="search", max_tokens=5)
    request = ChatRequest((HumanMessage("hi"),), options, (SEARCH,))
    assert read_request(wire, request).options.tool_choice == "search"


PNG = b"\x89PNG...."
DATA_ONLY = [
    llm.ImagePart(PNG),
    llm.FilePart(b"%PDF", name="a.pdf"),
    llm.FilePart(b"words", name="a.txt", mime_type="text/plain"),
]
MEDIA: dict[str, list[Any]] = {
    "chat": [
        llm.ImagePart(PNG),
        llm.ImagePart(url="https://example.com/a.png", detail="low"),
        llm.AudioPart(b"RIFF", format="wav"),
        llm.FilePart(b"%PDF", name="a.pdf"),
        llm.FilePart(file_id="file-1"),
    ],
    "responses": [
        llm.ImagePart(PNG),
        llm.ImagePart(url="https://example.com/a.png"),
        llm.FilePart(b"%PDF", name="a.pdf"),
        llm.FilePart(url="https://example.com/a.pdf"),
    ],
    "messages": [
        llm.ImagePart(PNG),
        llm.ImagePart(url="https://example.com/a.png"),
        llm.ImagePart(file_id="file-1"),
        llm.FilePart(b"%PDF", name="a.pdf"),
        llm.FilePart(b"words", name="a.txt", mime_type="text/plain"),
    ],
    "vertex_messages": DATA_ONLY,
    "bedrock_messages": DATA_ONLY,
}


@wires
def test_media_are_read_as_they_were_meant(wire: Wire) -> None:
    sent = MEDIA[wire.name]
    request = ChatRequest((HumanMessage(sent),), GenerateOptions(model="m", max_tokens=5))
    (got,) = read_request(wire, request).messages
    for part, want in zip(got.parts, sent, strict=True):
        assert type(part) is type(want)
        for name in ("data", "url", "file_id"):
            assert getattr(part, name, None) == getattr(want, name, None)


@wires
def test_an_earlier_answer_is_read_with_its_reasoning(wire: Wire) -> None:
    thought = {
        "chat": {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."},
        "responses": {
            "type": "reasoning",
            "id": "r",
            "summary": [{"type": "summary_text", "text": "Hm."}],
        },
        "messages": {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "redacted_thinking", "data": "d"},
            ],
        },
    }[wire.name.rpartition("_")[2]]
    user = {"role": "user", "content": "hi"}
    got = wire.read({"messages": [user, thought, user], "input": [user, thought, user]})
    answer = got.messages[1]
    assert isinstance(answer, AIMessage)
    assert answer.thinking == "Hm."


@wires
def test_an_unknown_role_is_refused(wire: Wire) -> None:
    stranger = [{"role": "stranger", "content": "hi"}]
    with pytest.raises(llm.InvalidRequestError, match="stranger"):
        wire.read({"messages": stranger, "input": stranger})


def test_a_text_as_input_of_responses() -> None:
    got = ResponsesWire().read({"input": "hi", "instructions": "Be brief."})
    assert got.messages == (SystemMessage("Be brief."), HumanMessage("hi"))


def test_what_only_one_format_says_is_read() -> None:
    """Items and options that the other formats have no form for."""
    user = {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "unknown"}]}
    chat = ChatWire().read({"messages": [user], "response_format": {"type": "json_object"}})
    assert chat.options.response_format == llm.ResponseFormat.json()
    assert chat.messages == (HumanMessage("hi"),)

    result = {"type": "tool_result", "tool_use_id": "c1", "content": "42"}
    messages = MessagesWire().read(
        {
            "messages": [{"role": "user", "content": [result]}],
            "thinking": {"type": "disabled"},
            "tools": [{"type": "web_search_20250305", "name": "web_search"}],
        }
    )
    assert messages.messages == (ToolMessage("42", tool_call_id="c1"),)
    assert messages.options.reasoning == llm.ReasoningConfig("none")
    assert messages.tools == ()

    refused = [{"type": "refusal", "refusal": "No."}, {"type": "unknown"}]
    responses = ResponsesWire().read(
        {
            "input": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": refused},
            ],
            "tools": [{"type": "web_search"}],
        }
    )
    assert responses.messages == (SystemMessage("Be brief."), HumanMessage("hi"), AIMessage("No."))
    assert responses.tools == ()

"""The fake server's Cohere, against bytes written by hand, and read back by its own dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.corpus import decode_bytes

import beluga_llm as llm
from beluga_llm import (
    AIMessage,
    ChatRequest,
    FinishReason,
    GenerateOptions,
    HumanMessage,
    StreamChunk,
    SystemMessage,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    Usage,
)
from beluga_llm.plugin import ToolCallDelta, dumps, loads
from beluga_llm.testing._pieces import in_pieces, in_wire_order
from beluga_llm.testing._wire import Facts, Failure, encode
from beluga_llm.testing._wire_cohere import CohereWire

WIRE = CohereWire()
NAMED = Facts(response_id="answer-1")
ANSWER = AIMessage(
    [ThinkingPart("Hm."), TextPart("Yes.")],
    tool_calls=[ToolCall("c1", "f", '{"q": 1}'), ToolCall("c2", "g", "{}")],
    usage=Usage(5, 7, cached_tokens=3),
    finish_reason="tool_calls",
    provider_metadata={"tool_plan": "I will look.", "citations": [{"start": 0, "text": "Yes"}]},
    response_id="answer-1",
)


def data(*events: bytes) -> list[Any]:
    """The data of events, whose names are those that the data say."""
    found = []
    for event in events:
        head, _, rest = event.decode().partition("\ndata: ")
        if head == "data: [DONE]\n\n":
            found.append("[DONE]")
            continue
        value = json.loads(rest)
        assert head == f"event: {value['type']}"
        found.append(value)
    return found


def block(index: int, kind: str, text: str) -> list[Any]:
    def said(**content: str) -> Any:
        return {"message": {"content": content}}

    return [
        {"type": "content-start", "index": index, "delta": said(**{"type": kind, kind: ""})},
        {"type": "content-delta", "index": index, "delta": said(**{kind: text})},
        {"type": "content-end", "index": index},
    ]


def call(index: int, id: str, name: str, *arguments: str) -> list[Any]:
    function = {"name": name, "arguments": ""}
    begun = {"id": id, "type": "function", "function": function}
    start = {"type": "tool-call-start", "index": index}
    deltas = [
        {
            "type": "tool-call-delta",
            "index": index,
            "delta": {"message": {"tool_calls": {"function": {"arguments": piece}}}},
        }
        for piece in arguments
    ]
    end = {"type": "tool-call-end", "index": index}
    return [{**start, "delta": {"message": {"tool_calls": begun}}}, *deltas, end]


@pytest.mark.row("TEST-01")
def test_the_events_of_an_answer() -> None:
    empty = {
        "role": "assistant",
        "content": [],
        "tool_plan": "",
        "tool_calls": [],
        "citations": [],
    }
    tokens = {"input_tokens": 5, "output_tokens": 7}
    usage = {"billed_units": tokens, "tokens": tokens, "cached_tokens": 3}
    assert data(*encode(WIRE.encoder(NAMED), in_wire_order(ANSWER))) == [
        {"type": "message-start", "id": "answer-1", "delta": {"message": empty}},
        *block(0, "thinking", "Hm."),
        *block(1, "text", "Yes."),
        *call(0, "c1", "f", '{"q": 1}'),
        *call(1, "c2", "g", "{}"),
        {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will look."}}},
        {
            "type": "citation-start",
            "index": 0,
            "delta": {"message": {"citations": {"start": 0, "text": "Yes"}}},
        },
        {"type": "citation-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": usage}},
        "[DONE]",
    ]


@pytest.mark.row("TEST-01")
def test_a_whole_answer() -> None:
    tokens = {"input_tokens": 5, "output_tokens": 7}
    assert WIRE.whole(ANSWER, NAMED) == {
        "id": "answer-1",
        "message": {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm."},
                {"type": "text", "text": "Yes."},
            ],
            "tool_plan": "I will look.",
            "citations": [{"start": 0, "text": "Yes"}],
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"q": 1}'},
                },
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        "finish_reason": "TOOL_CALL",
        "usage": {"billed_units": tokens, "tokens": tokens, "cached_tokens": 3},
    }


def test_what_little_an_answer_may_say() -> None:
    assert WIRE.whole(AIMessage(()), Facts(number=2)) == {
        "id": "000000000000000000000002",
        "message": {"role": "assistant", "content": []},
        "finish_reason": "COMPLETE",
    }
    only_calls = AIMessage((), tool_calls=[ToolCall("c", "f", "{}")])
    assert "content" not in WIRE.whole(only_calls, NAMED)["message"]
    picture = AIMessage([llm.ImagePart(url="https://a.test/b.png")], provider_metadata={"x": 1})
    assert WIRE.whole(picture, NAMED)["message"]["content"] == []
    assert WIRE.whole(picture, NAMED)["x"] == 1
    _, end, _ = data(*encode(WIRE.encoder(NAMED), in_wire_order(picture)))
    assert end["delta"] == {"finish_reason": "COMPLETE", "x": 1}


def test_pieces_of_a_text_are_deltas_of_one_block() -> None:
    _, start, first, second, end, _, _ = data(
        *encode(WIRE.encoder(NAMED), [StreamChunk("Ye"), StreamChunk("s.")])
    )
    assert [start, first, end] == block(0, "text", "Ye")
    assert second == {**first, "delta": {"message": {"content": {"text": "s."}}}}


def test_logprobs_go_with_their_text() -> None:
    item = {"text": "hi", "token_ids": [1], "logprobs": [-0.5]}
    assert WIRE.whole(AIMessage("hi", logprobs=[item]), NAMED)["logprobs"] == [item]
    chunks = [StreamChunk(logprobs=item), StreamChunk("hi")]
    delta = data(*encode(WIRE.encoder(NAMED), chunks))[2]
    assert (delta["type"], delta["logprobs"]) == ("content-delta", item)
    late = data(*encode(WIRE.encoder(NAMED), [StreamChunk("hi"), StreamChunk(logprobs=[item])]))[4]
    assert late["delta"] == {"message": {"content": {"text": ""}}}
    assert late["logprobs"] == item


def test_whole_parts_and_other_choices() -> None:
    chunks = [
        StreamChunk(parts=(TextPart("Yes."), llm.ImagePart(url="https://a.test/b.png"))),
        StreamChunk("no", choice=1),
    ]
    _, *said, _, _ = data(*encode(WIRE.encoder(NAMED), chunks))
    assert said == block(0, "text", "Yes.")


def test_fragments_without_an_index_continue_the_call_before() -> None:
    deltas = [
        ToolCallDelta(id="a", name="f"),
        ToolCallDelta(arguments='{"x":'),
        ToolCallDelta(arguments="1}"),
        ToolCallDelta(id="b", name="g"),
    ]
    chunks = [StreamChunk(tool_calls=(delta,)) for delta in deltas]
    _, *said, _, _ = data(*encode(WIRE.encoder(NAMED), chunks))
    assert said == [*call(0, "a", "f", '{"x":', "1}"), *call(1, "b", "g")]


def test_calls_that_take_turns_cannot_be_written() -> None:
    deltas = [ToolCallDelta(index, f"c{index}", "f") for index in (0, 1, 0)]
    with pytest.raises(ValueError, match="one tool call after the other"):
        encode(WIRE.encoder(NAMED), [StreamChunk(tool_calls=(delta,)) for delta in deltas])


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.row("TEST-13")
def test_error_bodies() -> None:
    long = Failure(code="context_length")
    assert WIRE.said(long).status == 400
    assert WIRE.error_body(long, "req_1") == {
        "error_type": "TOO_MANY_TOKENS",
        "id": "req_1",
        "message": WIRE.said(long).message,
    }
    slow = Failure(code="rate_limit", message="Slow down.")
    assert WIRE.error_body(slow) == {"message": "Slow down."}
    assert WIRE.said(slow).status == 429
    assert data(*WIRE.encoder(NAMED).error(slow)) == [
        {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "Slow down."}}
    ]


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.row("TEST-01")
def test_a_request_is_read() -> None:
    png = "data:image/png;base64,iVBORw=="
    function = {"name": "f", "arguments": '{"a":1}'}
    schema = {"type": "object"}
    got = WIRE.read(
        {
            "model": "m",
            "stream": True,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Look:"},
                        {"type": "image_url", "image_url": {"url": png, "detail": "low"}},
                        {"type": "unknown"},
                    ],
                },
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "Hm."}],
                    "tool_plan": "Plan.",
                    "tool_calls": [{"id": "c", "type": "function", "function": function}],
                },
                {
                    "role": "tool",
                    "tool_call_id": "c",
                    "content": [
                        {"type": "document", "document": {"id": "d", "data": {"sun": 9}}},
                        {"type": "document", "document": {"data": {"rain": 1}}},
                    ],
                },
                {"role": "assistant", "content": "Sunny."},
                {"role": "user", "content": "Thanks."},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
            "strict_tools": True,
            "tool_choice": "REQUIRED",
            "p": 0.5,
            "k": 3,
            "stop_sequences": ["END"],
            "max_tokens": 9,
            "thinking": {"type": "enabled", "token_budget": 99},
            "response_format": {"type": "json_object", "json_schema": schema},
        }
    )
    assert got.messages == (
        SystemMessage("Be brief."),
        HumanMessage(["Look:", llm.ImagePart(b"\x89PNG", detail="low")]),
        AIMessage(
            [ThinkingPart("Hm.")],
            tool_calls=[ToolCall("c", "f", '{"a":1}')],
            provider_metadata={"tool_plan": "Plan."},
        ),
        ToolMessage(
            [
                TextPart('{"sun":9}', metadata={"document": {"id": "d"}}),
                TextPart('{"rain":1}', metadata={"document": True}),
            ],
            tool_call_id="c",
        ),
        AIMessage("Sunny."),
        HumanMessage("Thanks."),
    )
    assert [(tool.name, tool.input_schema, tool.strict) for tool in got.tools] == [
        ("f", schema, True)
    ]
    assert got.streaming
    options = got.options
    assert (options.top_p, options.top_k, options.stop, options.max_tokens) == (0.5, 3, ("END",), 9)
    assert options.tool_choice == "required"
    assert options.reasoning == llm.ReasoningConfig(None, 99)
    assert options.response_format == llm.ResponseFormat.json_schema(schema)


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"thinking": {"type": "disabled"}}, "reasoning", llm.ReasoningConfig("none")),
        ({"thinking": {"type": "enabled"}}, "reasoning", llm.ReasoningConfig("high")),
        ({}, "reasoning", None),
        ({"tool_choice": "NONE"}, "tool_choice", "none"),
        ({"response_format": {"type": "json_object"}}, "response_format",
         llm.ResponseFormat.json()),
        ({"response_format": {"type": "text"}}, "response_format", None),
        ({"demo": {"a": 1}}, "provider_options", {"demo": {"a": 1}}),
    ],
)  # fmt: skip
def test_options_are_read(fields: dict[str, Any], name: str, value: Any) -> None:
    got = WIRE.read({"messages": [{"role": "user"}], **fields})
    assert getattr(got.options, name) == value
    assert got.messages == (HumanMessage(()),)


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"messages": [{"role": "stranger"}]}])
def test_a_request_that_means_nothing_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(llm.InvalidRequestError, match="invalid request"):
        WIRE.read(body)


# --- through the dialect ----------------------------------------------------------------------


def read(body: bytes, *, stream: bool, status: int = 200) -> Any:
    cohere = pytest.importorskip("beluga_llm_cohere")
    options = GenerateOptions(model="m", logprobs=True)
    request = ChatRequest((HumanMessage("hi"),), options, streaming=stream)
    return decode_bytes(cohere.CohereDialect(), body, stream=stream, status=status, request=request)


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
    parts = draw(
        st.lists(st.builds(ThinkingPart, some_text) | st.builds(TextPart, some_text), max_size=3)
    )
    made = draw(calls)
    usual = FinishReason.TOOL_CALLS if made else FinishReason.STOP
    plan = draw(st.sampled_from(["", "First, then."]))
    return AIMessage(
        parts,
        tool_calls=made,
        usage=Usage(draw(counts), draw(counts), cached_tokens=draw(st.none() | counts)),
        finish_reason=draw(st.sampled_from((usual, FinishReason.LENGTH))),
        response_id="answer-1",
        provider_metadata={"tool_plan": plan} if plan else {},
        logprobs=draw(st.none() | st.just([{"text": "a", "token_ids": [1]}])),
    )


def meaning(message: Any) -> Any:
    assert isinstance(message, AIMessage), repr(message)
    return {
        "parts": message.parts,
        "calls": [(call.id, call.name, call.args) for call in message.tool_calls],
        "usage": message.usage,
        "finish_reason": message.finish_reason,
        "response_id": message.response_id,
        "logprobs": message.logprobs,
        "tool_plan": message.provider_metadata.get("tool_plan"),
    }


@pytest.mark.row("TEST-01")
@settings(max_examples=60, deadline=None)
@given(message=messages())
def test_what_the_server_writes_is_what_the_dialect_reads(message: AIMessage) -> None:
    chunks = in_pieces(in_wire_order(message))
    streamed = read(b"".join(encode(WIRE.encoder(NAMED), chunks)), stream=True)
    whole = read(dumps(WIRE.whole(message, NAMED)), stream=False)
    assert meaning(streamed) == meaning(whole) == meaning(message)


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


@pytest.mark.row("TEST-13")
@pytest.mark.parametrize("code", CODES)
def test_an_error_body_means_its_error(code: str) -> None:
    failure = Failure(code=code)
    body = dumps(WIRE.error_body(failure, "req_1"))
    got = read(body, stream=False, status=WIRE.said(failure).status)
    assert type(got) is CODES[code]
    assert got.request_id == "req_1"


@pytest.mark.parametrize("code", ["rate_limit", "overloaded", "provider_unavailable"])
def test_an_error_in_a_stream_means_its_error(code: str) -> None:
    encoder = WIRE.encoder(NAMED)
    events = [
        *encoder.begin(),
        *encoder.feed(StreamChunk("one ")),
        *encoder.error(Failure(code=code)),
    ]
    got = read(b"".join(events), stream=True)
    assert type(got) is CODES[code]
    assert got.partial.text == "one "


def test_an_answer_without_a_message_is_none() -> None:
    assert type(read(dumps(WIRE.empty), stream=False)) is llm.EmptyResponseError


def test_a_request_of_the_dialect_is_read_as_it_was_meant() -> None:
    cohere = pytest.importorskip("beluga_llm_cohere")
    search = llm.ToolDefinition("search", "Finds.", {"type": "object"}, strict=True)
    sent = ChatRequest(
        (
            SystemMessage("Be brief."),
            HumanMessage(["Look:", llm.ImagePart(b"\x89PNG....")]),
            AIMessage("I search.", tool_calls=[ToolCall("c", "search", '{"q":"x"}')]),
            ToolMessage("found it", tool_call_id="c"),
            HumanMessage("Thanks."),
        ),
        GenerateOptions(model="m", temperature=0.5, max_tokens=9, tool_choice="required", seed=1),
        (search,),
        streaming=True,
    )
    got = WIRE.read(loads(dumps(cohere.CohereDialect().encode(sent).json)))
    assert got.messages == sent.messages
    assert got.tools == sent.tools
    assert got.streaming
    for name in ("model", "temperature", "max_tokens", "tool_choice", "seed"):
        assert getattr(got.options, name) == getattr(sent.options, name), name

"""Streams and whole bodies, as "ConverseStream" and "Converse" document them, and as they come."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.corpus import decode_bytes
from support.strategies import json_values

from beluga_llm import (
    AIMessage,
    BelugaError,
    ChatRequest,
    EmptyResponseError,
    FinishReason,
    GenerateOptions,
    HumanMessage,
    MalformedResponseError,
    ProviderUnavailableError,
    RateLimitError,
    StreamInterruptedError,
    TextPart,
    ThinkingPart,
    ToolCall,
    Usage,
    replace,
)
from beluga_llm.testing._aws_events import aws_event, aws_exception, aws_message
from beluga_llm_bedrock import ConverseDialect

EVENTS = {"content-type": "application/vnd.amazon.eventstream"}
JSON = {"content-type": "application/json"}


def event(kind, **fields):
    """An event as Bedrock pads it."""
    return aws_event(kind, json.dumps({**fields, "p": "abcdef"}).encode())


def block(kind, index, **fields):
    return event(kind, contentBlockIndex=index, **fields)


def start(index, **fields):
    return block("contentBlockStart", index, start=fields)


def delta(index, **fields):
    return block("contentBlockDelta", index, delta=fields)


def stop(index):
    return block("contentBlockStop", index)


def end(reason, **fields):
    return event("messageStop", stopReason=reason, **fields)


def metadata(**usage):
    return event("metadata", usage=usage, metrics={"latencyMs": 5})


BEGIN = event("messageStart", role="assistant")
USAGE = {
    "inputTokens": 10,
    "outputTokens": 30,
    "totalTokens": 47,
    "cacheReadInputTokens": 5,
    "cacheReadInputTokenCount": 5,
    "cacheWriteInputTokens": 2,
    "serverToolUsage": {},
    "cacheDetails": [{"ttl": "5m", "inputTokens": 2}],
}
PIECES = [
    BEGIN,
    delta(0, reasoningContent={"text": "Hm, "}),
    delta(0, reasoningContent={"text": "é😀."}),
    delta(0, reasoningContent={"signature": "AB"}),
    delta(0, reasoningContent={"signature": "C=="}),
    stop(0),
    delta(1, reasoningContent={"redactedContent": "WFla"}),
    stop(1),
    delta(2, text="Let me "),
    delta(2, text="look."),
    stop(2),
    start(3, toolUse={"toolUseId": "tooluse_1", "name": "weather"}),
    delta(3, toolUse={"input": ""}),
    delta(3, toolUse={"input": '{"city":'}),
    delta(3, toolUse={"input": '"Rome","n":1.50}'}),
    stop(3),
    start(4, toolUse={"toolUseId": "tooluse_2", "name": "time", "type": "tool_use"}),
    stop(4),
    end("tool_use"),
    metadata(**USAGE),
]
STREAM = b"".join(PIECES)
WHOLE = """{"output": {"message": {"role": "assistant", "content": [
  {"reasoningContent": {"reasoningText": {"text": "Hm, é😀.", "signature": "ABC=="}}},
  {"reasoningContent": {"redactedContent": "WFla"}},
  {"text": "Let me look."},
  {"toolUse": {"toolUseId": "tooluse_1", "name": "weather",
   "input": {"city": "Rome", "n": 1.50}}},
  {"toolUse": {"toolUseId": "tooluse_2", "name": "time", "input": {}, "type": "tool_use"}}]}},
 "stopReason": "tool_use", "metrics": {"latencyMs": 5},
 "usage": {"inputTokens": 10, "outputTokens": 30, "totalTokens": 47, "cacheReadInputTokens": 5,
  "cacheWriteInputTokens": 2, "serverToolUsage": {},
  "cacheDetails": [{"ttl": "5m", "inputTokens": 2}]}}""".encode()
ANSWER = AIMessage(
    [
        ThinkingPart("Hm, é😀.", "ABC==", provider="bedrock"),
        ThinkingPart("", redacted_data="WFla", provider="bedrock"),
        "Let me look.",
    ],
    tool_calls=(
        ToolCall("tooluse_1", "weather", '{"city":"Rome","n":1.50}', part_index=3),
        ToolCall("tooluse_2", "time", "{}", part_index=4),
    ),
    usage=Usage(17, 30, 47, 5, 2),
    finish_reason=FinishReason.TOOL_CALLS,
    raw_finish_reason="tool_use",
    model_id="asked-model",
    provider_metadata={
        "metrics": {"latencyMs": 5},
        "cacheDetails": [{"ttl": "5m", "inputTokens": 2}],
    },
)


def decode(data, stream=True, headers=None, **options):
    dialect = ConverseDialect(new_id=lambda: "call_1")
    headers = headers if headers is not None else EVENTS if stream else JSON
    return decode_bytes(dialect, data, stream=stream, headers=headers, **options)


def decode_whole(*content, **fields):
    message = {"output": {"message": {"content": list(content)}}, "stopReason": "end_turn"}
    return decode(json.dumps({**message, **fields}).encode(), stream=False)


@pytest.mark.row("PROV-07", "REAS-06", "REAS-07", "PROV-16", "DIAL-05", "TOOL-13", "PAIN-09")
def test_a_stream_and_a_whole_body_are_one_answer():
    assert decode(STREAM) == ANSWER
    assert decode(WHOLE, stream=False) == ANSWER


@pytest.mark.row("PAIN-02", "STRE-31", "DIAL-04")
def test_a_stream_cut_at_every_byte_is_complete_or_interrupted():
    complete = len(STREAM) - len(PIECES[-1])
    for place in range(len(STREAM)):
        got = decode(STREAM[:place])
        if place < complete:
            assert type(got) is StreamInterruptedError
            partial = got.partial
            assert ANSWER.text.startswith(partial.text)
            assert ANSWER.thinking.startswith(partial.thinking)
            assert len(partial.tool_calls) <= 2
        else:
            assert got.provider_metadata["cut_after_finish"] is True
            assert replace(got, usage=None, provider_metadata={}) == replace(
                ANSWER, usage=None, provider_metadata={}
            )


@pytest.mark.row("PAIN-10")
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_cut_of_the_bytes_gives_the_same_answer(cuts):
    assert decode(STREAM, cuts=sorted(cuts)) == ANSWER


@pytest.mark.row("PROV-07")
def test_texts_may_begin_with_a_start_and_without():
    with_start = decode(BEGIN + start(0) + delta(0, text="a") + stop(0) + end("end_turn"))
    assert with_start.text == decode(delta(0, text="a") + end("end_turn")).text == "a"


@pytest.mark.row("DIAL-07")
def test_what_a_start_says_belongs_to_its_block():
    got = decode(
        start(0, reasoningContent={})
        + delta(0, reasoningContent={"text": "Hm."})
        + stop(0)
        + start(1, reasoningContent={"reasoningText": {"text": "S", "signature": "sig"}})
        + delta(1, reasoningContent={"text": "o."})
        + stop(1)
        + start(2, text="a")
        + delta(2, text="b")
        + stop(2)
        + start(3, citationsContent={})
        + delta(3, text="c")
        + stop(3)
        + end("end_turn")
    )
    thoughts = (ThinkingPart("Hm."), ThinkingPart("So.", "sig", provider="bedrock"))
    assert got.parts == (*thoughts, TextPart("ab"), TextPart("c"))
    assert "content_blocks" not in got.provider_metadata


@pytest.mark.row("SCHE-22")
def test_empty_blocks_have_no_place():
    call = start(1, toolUse={"toolUseId": "t", "name": "f"})
    got = decode(delta(0, text="") + stop(0) + call + stop(1) + delta(2, text="") + end("end_turn"))
    assert got.parts == ()
    assert (got.tool_calls[0].part_index, got.finish_reason) == (0, FinishReason.TOOL_CALLS)
    whole = decode_whole({"text": ""}, {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}})
    assert whole.tool_calls == got.tool_calls


@pytest.mark.row("TOOL-14")
def test_a_call_without_an_id_gets_one():
    got = decode(start(0, toolUse={"name": "f"}) + stop(0) + end("tool_use"))
    assert got.tool_calls[0].id == "call_1"


@pytest.mark.row("TOOL-15")
def test_arguments_that_were_cut_stay_as_they_are():
    call = start(0, toolUse={"toolUseId": "t", "name": "f"})
    got = decode(call + delta(0, toolUse={"input": '{"a": "b'}) + end("max_tokens"))
    assert got.tool_calls[0].arguments == '{"a": "b'
    assert got.finish_reason is FinishReason.LENGTH


@pytest.mark.row("PAIN-11", "REAS-14")
def test_redacted_reasoning_of_several_pieces_is_one():
    first, second = base64.b64encode(b"abcd").decode(), base64.b64encode(b"ef").decode()
    pieces = [delta(0, reasoningContent={"redactedContent": piece}) for piece in (first, second)]
    for closing in (stop(0), b""):
        got = decode(b"".join(pieces) + closing + end("end_turn"))
        assert got.parts[0].redacted_data == base64.b64encode(b"abcdef").decode()
    odd = delta(0, reasoningContent={"redactedContent": "no base64!"})
    got = decode(odd + odd + stop(0) + end("end_turn"))
    assert got.parts[0].redacted_data == "no base64!no base64!"


CITATION = {"title": "doc", "location": {"documentPage": {"documentIndex": 0, "start": 1}}}


@pytest.mark.row("PROV-07", "SCHE-24")
def test_cited_text_is_text_and_citations_are_kept():
    streamed = decode(
        delta(0, text="It says ")
        + stop(0)
        + delta(1, citation=CITATION)
        + delta(1, text="this")
        + stop(1)
        + delta(2, text=".")
        + stop(2)
        + end("end_turn")
        + metadata()
    )
    cited = {"content": [{"text": "th"}, {"text": "is"}], "citations": [CITATION, None]}
    whole = decode_whole(
        {"text": "It says "}, {"citationsContent": cited}, {"text": "."}, metrics={"latencyMs": 5}
    )
    assert streamed == whole
    assert whole.parts == (TextPart("It says "), TextPart("this"), TextPart("."))
    assert whole.provider_metadata["citations"] == [{**CITATION, "part_index": 1}]


SERVER_USE = {"toolUseId": "s", "name": "nova_code_interpreter", "type": "server_tool_use"}
SERVER_RESULT = {"toolUseId": "s", "type": "nova_code_interpreter_result", "status": "success"}
OUTPUT = {"json": {"stdOut": "7"}}


@pytest.mark.row("SCHE-24", "DIAL-07")
@pytest.mark.parametrize("closed", [True, False])
def test_blocks_of_server_tools_are_kept_in_their_place(closed):
    ends = (lambda index: stop(index)) if closed else (lambda index: b"")
    streamed = decode(
        delta(0, text="I count.")
        + ends(0)
        + start(1, toolUse=SERVER_USE)
        + delta(1, toolUse={"input": '{"snippet":'})
        + delta(1, toolUse={"input": '"3+4"}'})
        + ends(1)
        + start(2, toolResult=SERVER_RESULT)
        + delta(2, toolResult=[OUTPUT])
        + delta(2, toolResult=[{"text": "done"}])
        + ends(2)
        + delta(3, text="7")
        + ends(3)
        + end("end_turn")
        + metadata()
    )
    kept = [
        {"toolUse": {**SERVER_USE, "input": {"snippet": "3+4"}}},
        {"toolResult": {**SERVER_RESULT, "content": [OUTPUT, {"text": "done"}]}},
    ]
    whole = decode_whole({"text": "I count."}, *kept, {"text": "7"}, metrics={"latencyMs": 5})
    assert streamed == whole
    assert (whole.text, whole.tool_calls) == ("I count.7", ())
    assert whole.provider_metadata["content_blocks"] == [{**one, "part_index": 1} for one in kept]


def test_images_of_an_answer_are_kept():
    sources = [{"source": {"bytes": base64.b64encode(piece).decode()}} for piece in (b"abcd", b"e")]
    got = decode(
        start(0, image={"format": "png"})
        + b"".join(delta(0, image=source) for source in sources)
        + stop(0)
        + start(1, image={"format": "png"})
        + delta(1, image={"source": {"s3Location": {"uri": "s3://b/c"}}})
        + stop(1)
        + start(2, other={"a": 1})
        + delta(2, other={"b": 2})
        + stop(2)
        + end("end_turn")
    )
    whole = {"format": "png", "source": {"bytes": base64.b64encode(b"abcde").decode()}}
    assert got.provider_metadata["content_blocks"] == [
        {"image": whole, "part_index": 0},
        {
            "image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/c"}}},
            "part_index": 0,
        },
        {"other": {"a": 1}, "part_index": 0},
    ]


def test_arguments_of_a_server_tool_that_are_no_json_are_kept_as_text():
    got = decode(
        start(0, toolUse=SERVER_USE) + delta(0, toolUse={"input": "{"}) + stop(0) + end("x")
    )
    assert got.provider_metadata["content_blocks"][0]["toolUse"]["input"] == "{"


# --- usage and extras -------------------------------------------------------------------------


@pytest.mark.row("PROV-16")
@pytest.mark.parametrize(
    ("report", "usage"),
    [
        ({"inputTokens": 3, "outputTokens": 2}, Usage(3, 2, 5)),
        ({"inputTokens": 3, "outputTokens": 2, "totalTokens": 9}, Usage(3, 2, 9)),
        ({"inputTokens": 3, "cacheReadInputTokenCount": 4}, Usage(7, cached_tokens=4)),
        (
            {"inputTokens": 3, "cacheReadInputTokens": 0, "cacheWriteInputTokens": None},
            Usage(3, cached_tokens=0),
        ),
        ({"outputTokens": 2}, Usage(None, 2)),
        ({"serverToolUsage": {"a": 1}}, Usage()),
        ({"inputTokens": "3", "outputTokens": True}, Usage()),
    ],
)
def test_usage(report, usage):
    for got in (
        decode(delta(0, text="a") + end("end_turn") + metadata(**report)),
        decode_whole({"text": "a"}, usage=report),
    ):
        assert got.usage == usage


@pytest.mark.row("PROV-07", "STRE-12")
def test_usage_may_come_before_the_end():
    got = decode(delta(0, text="a") + metadata(inputTokens=1, outputTokens=2) + end("end_turn"))
    assert got.usage == Usage(1, 2, 3)
    assert "cut_after_finish" not in got.provider_metadata


@pytest.mark.row("SCHE-24")
def test_extras_are_kept_under_their_own_names():
    extras = {
        "trace": {"guardrail": {"actionReason": "No action."}},
        "performanceConfig": {"latency": "optimized"},
        "serviceTier": {"type": "flex"},
    }
    more = {"delta": {"stop_sequence": None}}
    streamed = decode(
        delta(0, text="a")
        + end("end_turn", additionalModelResponseFields=more)
        + event("metadata", usage={"serverToolUsage": {"calls": 1}}, metrics=None, **extras)
    )
    whole = decode_whole(
        {"text": "a"},
        usage={"serverToolUsage": {"calls": 1}},
        additionalModelResponseFields=more,
        **extras,
    )
    assert streamed == whole
    assert whole.provider_metadata == {
        **extras,
        "additionalModelResponseFields": more,
        "serverToolUsage": {"calls": 1},
    }


@pytest.mark.row("SCHE-23")
def test_a_prompt_router_names_the_model_that_answers():
    trace = {"promptRouter": {"invokedModelId": "arn:aws:bedrock:us-east-1::foundation-model/a.b"}}
    got = decode(delta(0, text="a") + end("end_turn") + event("metadata", trace=trace))
    assert got.model_id == trace["promptRouter"]["invokedModelId"]
    assert decode_whole({"text": "a"}).model_id == "asked-model"


# --- ends -------------------------------------------------------------------------------------


@pytest.mark.row("PROV-20")
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("stop end_turn stop_sequence STOP COMPLETE STOP_SEQUENCE completed eos", "stop"),
        (
            """length max_tokens MAX_TOKENS max_output_tokens model_length
            model_context_window_exceeded""",
            "length",
        ),
        ("tool_calls function_call tool_use TOOL_CALL", "tool_calls"),
        (
            """content_filter refusal SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII
            IMAGE_SAFETY guardrail_intervened content_filtered""",
            "content_filter",
        ),
        ("ERROR MALFORMED_FUNCTION_CALL malformed_model_output malformed_tool_use", "error"),
        ("something_new", "other"),
    ],
)
def test_stop_reasons(words, reason):
    for word in words.split():
        for got in (
            decode(delta(0, text="a") + end(word)),
            decode_whole({"text": "a"}, stopReason=word),
        ):
            assert (got.finish_reason, got.raw_finish_reason) == (FinishReason(reason), word)


@pytest.mark.row("STRE-31")
def test_an_end_without_a_reason():
    call = start(0, toolUse={"toolUseId": "t", "name": "f"})
    got = decode(call + event("messageStop"))
    assert (got.finish_reason, got.raw_finish_reason) == (FinishReason.TOOL_CALLS, None)
    got = decode_whole({"text": "a"}, stopReason=None)
    assert (got.finish_reason, got.raw_finish_reason) == (FinishReason.STOP, None)


@pytest.mark.row("ERRO-15")
def test_an_empty_answer_and_no_answer():
    assert decode_whole().parts == ()
    got = decode(b'{"output": {}, "stopReason": "end_turn"}', stream=False)
    assert (got.text, got.finish_reason) == ("", FinishReason.STOP)
    for body in (b"{}", b'{"output": {"message": {}}}', b"[]", b"3"):
        assert type(decode(body, stream=False)) is EmptyResponseError


# --- errors in good answers -------------------------------------------------------------------


@pytest.mark.row("PROV-07", "STRE-22")
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("throttlingException", RateLimitError),
        ("modelStreamErrorException", ProviderUnavailableError),
        ("internalServerException", ProviderUnavailableError),
        ("serviceUnavailableException", ProviderUnavailableError),
        ("validationException", "InvalidRequestError"),
        ("modelTimeoutException", "RequestTimeoutError"),
    ],
)
def test_an_exception_in_a_stream_is_the_servers_error(kind, expected):
    said = {"message": "Something happened.", "originalStatusCode": 400}
    got = decode(BEGIN + delta(0, text="half") + aws_exception(kind, json.dumps(said).encode()))
    assert expected in (type(got), type(got).__name__)
    assert (got.message, got.provider_code) == ("Something happened.", kind)
    assert got.partial.text == "half"
    assert got.provider == "bedrock"


@pytest.mark.row("STRE-22")
@pytest.mark.parametrize("payload", [b"", b"no json", b"null", b"{}", b'"said"'])
def test_an_exception_of_any_payload_is_an_error(payload):
    got = decode(aws_exception("throttlingException", payload))
    assert type(got) is RateLimitError
    assert got.message


def test_an_error_message_of_the_framing_is_an_error():
    facts = {":message-type": "error", ":error-code": "InternalError", ":error-message": "Oops."}
    got = decode(BEGIN + aws_message(facts, b""))
    assert isinstance(got, BelugaError)
    assert (got.message, got.provider_code) == ("Oops.", "InternalError")


@pytest.mark.row("STRE-22")
@pytest.mark.parametrize("headers", [JSON, EVENTS, {}])
def test_an_error_body_instead_of_a_stream(headers):
    said = b'{"__type": "com.amazon#ThrottlingException", "message": "Too many requests"}'
    for cuts in ([], [1], [5, 30]):
        got = decode(said, headers=headers, cuts=cuts)
        assert type(got) is RateLimitError
        assert got.message == "Too many requests"


@pytest.mark.row("STRE-22")
@pytest.mark.parametrize("headers", [JSON, EVENTS, {}])
def test_a_whole_answer_instead_of_a_stream(headers):
    assert decode(WHOLE, headers=headers, cuts=[1, 300]) == ANSWER


@pytest.mark.row("STRE-22")
def test_a_page_instead_of_a_stream():
    got = decode(b"<html>no</html>", headers={"content-type": "text/html"})
    assert type(got) is MalformedResponseError
    got = decode(b"upstream failed", headers={"content-type": "text/plain"})
    assert type(got) is MalformedResponseError
    assert "upstream failed" in got.message


@pytest.mark.row("DIAL-04", "PAIN-02")
@pytest.mark.parametrize("cuts", [[], [len(PIECES[0])], [len(STREAM) - 3]])
def test_damaged_bytes_are_an_error(cuts):
    at = len(PIECES[0]) + 40
    damaged = STREAM[:at] + bytes([STREAM[at] ^ 1]) + STREAM[at + 1 :]
    got = decode(damaged, cuts=cuts)
    assert type(got) is MalformedResponseError
    assert "checksum" in got.message


# --- odd things -------------------------------------------------------------------------------


@pytest.mark.row("DIAL-07")
@pytest.mark.parametrize(
    "odd",
    [
        event("somethingNew", a=1),
        aws_event("somethingNew", b"no json"),
        aws_message({}, b"no json"),
        event("contentBlockStart"),
        event("contentBlockDelta", contentBlockIndex="x", delta=None),
        block("contentBlockStart", 7, start={"toolUse": None, "x": 1}),
        delta(7, toolUse={"input": "lost"}),
        delta(7, toolUse=None, text=None, reasoningContent=None, citation=None),
        delta(7, image={"source": {}}),
        stop(7),
        event("metadata", usage=None, metrics=None, trace=[]),
        aws_event("metadata", b"null"),
    ],
)
def test_unknown_events_and_nulls_do_not_break_a_stream(odd):
    got = decode(BEGIN + odd + delta(0, text="a") + odd + end("end_turn"))
    assert (got.text, got.finish_reason, got.tool_calls) == ("a", FinishReason.STOP, ())


def test_known_events_that_cannot_be_read_are_errors():
    for kind in ("messageStop", "contentBlockDelta", "metadata"):
        assert type(decode(aws_event(kind, b"no json"))) is MalformedResponseError


def test_arguments_that_come_as_an_object_are_read():
    call = start(0, toolUse={"toolUseId": "t", "name": "f"})
    got = decode(call + delta(0, toolUse={"input": {"a": 1}}) + stop(0) + end("tool_use"))
    assert got.tool_calls[0].args == {"a": 1}


@pytest.mark.row("DIAL-07")
def test_a_body_with_odd_blocks_is_read():
    use = {"toolUseId": "t", "name": "f", "input": {"a": 1}}
    got = decode_whole(None, 3, {}, {"text": None}, {"toolUse": use}, {"reasoningContent": {}})
    assert got.tool_calls[0].arguments == '{"a":1}'
    assert got.parts == ()
    odd = decode_whole({"toolUse": 3}, {"citationsContent": {"citations": None}}, {"new": [1]})
    assert odd.provider_metadata["content_blocks"] == [
        {"toolUse": 3, "part_index": 0},
        {"new": [1], "part_index": 0},
    ]


@pytest.mark.row("DIAL-07")
@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(
        ["contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]
    ),
    json_values
    | st.fixed_dictionaries(
        {},
        optional={
            name: json_values
            | st.dictionaries(
                st.sampled_from(
                    ["text", "toolUse", "toolResult", "reasoningContent", "citation", "image"]
                ),
                json_values,
            )
            for name in ("start", "delta", "contentBlockIndex", "usage", "trace", "stopReason")
        },
    ),
)
def test_events_of_any_json_crash_nothing(kind, value):
    again = aws_event(kind, json.dumps(value).encode())
    got = decode(again + again + stop(0) + end("end_turn"))
    assert isinstance(got, AIMessage | BelugaError)


@pytest.mark.row("DIAL-07")
@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(
                ["text", "toolUse", "toolResult", "reasoningContent", "citationsContent", "x"]
            ),
            json_values | st.just({"input": {"a": 1}}),
        )
        | json_values
    ),
    json_values,
)
def test_bodies_of_any_json_crash_nothing(content, other):
    assert isinstance(decode_whole(*content, usage=other, trace=other), AIMessage)
    assert isinstance(decode(json.dumps(other).encode(), stream=False), BelugaError)


def test_raw_is_the_list_of_decoded_frames():
    request = ChatRequest(
        (HumanMessage("hi"),), GenerateOptions(model="m", raw=True), streaming=True
    )
    got = decode(delta(0, text="a") + end("end_turn"), request=request)
    assert [frame["p"] for frame in got.provider_metadata["raw"]] == ["abcdef", "abcdef"]

"""Answers: text, thoughts, calls, signatures, finish reasons, whole and streamed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.corpus import decode_bytes
from support.gemini import frame, request_of, sse

from beluga_llm import (
    AIMessage,
    BelugaError,
    EmptyResponseError,
    FinishReason,
    StreamInterruptedError,
    TextPart,
    ThinkingPart,
    ToolArgumentsError,
    ToolCall,
    Usage,
    fold,
    replay,
)
from beluga_llm.plugin import PING
from beluga_llm_google import GeminiDialect, VertexDialect

FACTS = {"modelVersion": "gemini-3.8-flash-001", "responseId": "r1"}
USAGE = {
    "promptTokenCount": 10,
    "candidatesTokenCount": 4,
    "thoughtsTokenCount": 6,
    "totalTokenCount": 20,
}


def text(value, **fields):
    return {"text": value, **fields}


def call(name, args=None, *, signature=None, **fields):
    signed = {"thoughtSignature": signature} if signature else {}
    return {"functionCall": {"name": name, "args": args or {}, **fields}, **signed}


# --- text and thoughts ------------------------------------------------------------------------


@pytest.mark.row("PROV-06", "DIAL-05", "STRE-13", "PAIN-09", "SCHE-23")
def test_a_stream_and_a_whole_answer_mean_the_same(read):
    streamed = read(
        frame(text("Hel"), usageMetadata={"promptTokenCount": 10, "totalTokenCount": 10}, **FACTS),
        frame(text("lo!"), finish="STOP", usageMetadata=USAGE, **FACTS),
    )
    whole = read(frame(text("Hello!"), finish="STOP", usageMetadata=USAGE, **FACTS), stream=False)
    assert streamed == whole
    assert whole.parts == (TextPart("Hello!"),)
    assert whole.usage == Usage(10, 10, 20, reasoning_tokens=6)
    assert (whole.model_id, whole.response_id) == ("gemini-3.8-flash-001", "r1")
    assert (whole.finish_reason, whole.raw_finish_reason) == (FinishReason.STOP, "STOP")
    assert fold(replay(whole)) == whole


@pytest.mark.row("SCHE-23")
@pytest.mark.parametrize("stream", [True, False])
def test_the_model_asked_stands_in_for_one_not_reported(read, stream):
    assert read(frame(text("a"), finish="STOP"), stream=stream, model="m").model_id == "m"


@pytest.mark.row("REAS-06", "REAS-11", "REAS-07", "SCHE-13")
def test_thoughts_and_texts_are_blocks_as_long_as_they_go_on(read):
    got = read(
        frame(text("One ", thought=True)),
        frame(text("two.", thought=True), text("A")),
        frame(text(""), text("B", thought=False)),
        frame(text("Three.", thought=True)),
        frame(text("C"), finish="STOP"),
    )
    assert got.parts == (
        ThinkingPart("One two.", provider="google"),
        TextPart("AB"),
        ThinkingPart("Three.", provider="google"),
        TextPart("C"),
    )
    assert (got.thinking, got.text) == ("One two.Three.", "ABC")


@pytest.mark.row("REAS-11", "PAIN-11", "SCHE-08", "REAS-14")
@pytest.mark.parametrize("stream", [True, False])
def test_a_signed_part_is_a_part_of_its_own(read, stream):
    parts = [
        text("hm", thought=True, thoughtSignature="s0=="),
        text("a"),
        text("b", thoughtSignature="s1+/"),
        text("c"),
        text("", thoughtSignature="s2-_"),
        text("", thought=True, thoughtSignature="s3"),
        {"thoughtSignature": "s4"},
        text("d"),
    ]
    if stream:
        got = read(*map(frame, parts), frame(finish="STOP"))
    else:
        got = read(frame(*parts, finish="STOP"), stream=False)
    assert got.parts == (
        ThinkingPart("hm", "s0==", provider="google"),
        TextPart("a"),
        TextPart("b", "s1+/", "google"),
        TextPart("c"),
        TextPart("", "s2-_", "google"),
        ThinkingPart("", "s3", provider="google"),
        TextPart("", "s4", "google"),
        TextPart("d"),
    )
    assert fold(replay(got)) == got


def test_signatures_belong_to_the_provider_that_gave_them(read):
    got = read(frame(text("a", thoughtSignature="s"), finish="STOP"), to=VertexDialect(project="p"))
    assert got.parts == (TextPart("a", "s", "vertex"),)


# --- calls ------------------------------------------------------------------------------------


@pytest.mark.row("PROV-06", "TOOL-13", "TOOL-14", "TOOL-19", "PAIN-10")
@pytest.mark.parametrize("stream", [True, False])
def test_calls_with_and_without_ids_beside_text(read, stream):
    parts = [
        text("Let me see."),
        call("f", {"a": 1}, signature="c2ln", id="8hd01vsf"),
        call("g", id="k0srpqrc"),
        call("f", {"a": 2}),
        call("h", signature="c2lo"),
    ]
    frames = (
        [*map(frame, parts), frame(finish="STOP")] if stream else [frame(*parts, finish="STOP")]
    )
    got = read(*frames, stream=stream)
    assert got.tool_calls == (
        ToolCall("8hd01vsf", "f", '{"a":1}', "c2ln", "google", part_index=1),
        ToolCall("k0srpqrc", "g", "{}", None, "google", part_index=2),
        ToolCall("call_1", "f", '{"a":2}', part_index=3),
        ToolCall("call_2", "h", "{}", "c2lo", "google", part_index=4),
    )
    assert got.text == "Let me see."
    assert (got.finish_reason, got.raw_finish_reason) == (FinishReason.TOOL_CALLS, "STOP")
    assert fold(replay(got)) == got


@pytest.mark.row("TOOL-15", "SCHE-16")
@pytest.mark.parametrize(
    ("args", "arguments"),
    [
        ('{ "z" : 1.0, "a" : [ 12345678901234567890123 , "a \\" b" ] }',
         '{"z":1.0,"a":[12345678901234567890123,"a \\" b"]}'),
        ("null", "{}"),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
        ('""', "{}"),
        ("[1]", "[1]"),
        ("{}", "{}"),
    ],
)  # fmt: skip
def test_arguments_are_kept_as_received(dialect, args, arguments):
    body = (
        '{"candidates":[{"content":{"parts":[null,{"functionCall":{"name":"f","args":'
        + args
        + '}}]},"finishReason":"STOP"}]}'
    )
    for data, stream in ((body.encode(), False), (f"data: {body}\r\n\r\n".encode(), True)):
        assert decode_bytes(dialect, data, stream=stream).tool_calls[0].arguments == arguments
    as_array = decode_bytes(dialect, f"[{body}]".encode(), stream=False)
    assert as_array.tool_calls[0].arguments == arguments


def test_arguments_in_a_frame_of_odd_shape(read):
    odd = {"functionCall": {"name": "g", "args": {"b": "\ud83d"}}}
    got = read(frame(3, [], {"functionCall": 3}, call("f", {"a": 1}), odd, finish="STOP"))
    assert [made.arguments for made in got.tool_calls] == ['{"a":1}', '{"b":"\\ud83d"}']
    with pytest.raises(ToolArgumentsError):
        _ = read(frame(call("f", args=[1]), finish="STOP")).tool_calls[0].args


def test_a_call_without_a_name_is_kept(read):
    nameless = {"functionCall": {"willContinue": True}}
    got = read(frame(call("f"), nameless, finish="STOP"))
    assert [made.name for made in got.tool_calls] == ["f"]
    kept = {**nameless, "part_index": 1, "provider": "google"}
    assert got.provider_metadata["content_parts"] == [kept]


# --- how it ended -----------------------------------------------------------------------------


@pytest.mark.row("PROV-20", "PROV-06")
@pytest.mark.parametrize(
    ("words", "reason", "with_call"),
    [
        (("STOP", 1), "stop", "tool_calls"),
        (("MAX_TOKENS", 2), "length", "length"),
        (
            (
                "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
                3, 4,
            ),
            "content_filter",
            "content_filter",
        ),
        (("MALFORMED_FUNCTION_CALL",), "error", "error"),
        (("UNEXPECTED_TOOL_CALL",), "other", "tool_calls"),
        (("OTHER", "LANGUAGE", "NEW_WORD", "FINISH_REASON_UNSPECIFIED", 99), "other", "other"),
    ],
)  # fmt: skip
def test_finish_reasons(read, words, reason, with_call):
    for word in words:
        for stream in (True, False):
            got = read(frame(text("a"), finish=word), stream=stream)
            assert (got.finish_reason, got.raw_finish_reason) == (FinishReason(reason), str(word))
            got = read(frame(call("f"), finish=word), stream=stream)
            assert got.finish_reason is FinishReason(with_call)


@pytest.mark.row("STRE-31", "ERRO-15")
@pytest.mark.parametrize("word", [None, "", 0, False, [], {}])
def test_a_whole_answer_without_a_finish_reason(read, word):
    got = read(frame(text("a"), finish=word), stream=False)
    assert (got.finish_reason, got.raw_finish_reason) == (FinishReason.STOP, None)
    assert read(frame(call("f")), stream=False).finish_reason is FinishReason.TOOL_CALLS


@pytest.mark.row("STRE-31", "PAIN-02", "STRE-09")
def test_a_stream_without_a_finish_reason_is_interrupted(read):
    got = read(frame(text("a")), frame(text("b")))
    assert type(got) is StreamInterruptedError
    assert got.partial.text == "ab"
    assert got.content_started
    assert type(read({"usageMetadata": USAGE})) is StreamInterruptedError


@pytest.mark.row("PROV-06", "STRE-31")
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("reason", ["SAFETY", "OTHER", "PROHIBITED_CONTENT", "NEW_WORD"])
def test_a_blocked_prompt_is_an_empty_message(read, stream, reason):
    feedback = {"blockReason": reason, "safetyRatings": []}
    usage = {"promptTokenCount": 5, "totalTokenCount": 5}
    got = read({"promptFeedback": feedback, "usageMetadata": usage, **FACTS}, stream=stream)
    assert got.parts == ()
    assert (got.finish_reason, got.raw_finish_reason) == (FinishReason.CONTENT_FILTER, reason)
    assert got.provider_metadata["promptFeedback"] == feedback
    assert got.usage == Usage(5, 0, 5)


def test_feedback_without_a_reason_blocks_nothing(read):
    harmless = {"promptFeedback": {"safetyRatings": []}}
    assert read({**frame(text("a"), finish="STOP"), **harmless}).finish_reason == "stop"
    both = {**frame(text("a"), finish="SPII"), "promptFeedback": {"blockReason": "OTHER"}}
    assert read(both, stream=False).raw_finish_reason == "SPII"


@pytest.mark.row("ERRO-15")
@pytest.mark.parametrize(
    "body", ["{}", "[]", "null", "3", '"x"', '{"candidates":[]}', '{"candidates":[null,{}]}',
             '{"candidates":null,"usageMetadata":{"promptTokenCount":3}}', "[{}]"],
)  # fmt: skip
def test_a_body_without_candidates(dialect, body):
    got = decode_bytes(dialect, body.encode(), stream=False)
    assert type(got) is EmptyResponseError
    assert got.provider == "google"


@pytest.mark.row("ERRO-15")
@pytest.mark.parametrize("content", [{}, None, {"role": "model"}, {"parts": None}, {"parts": []}])
def test_an_empty_answer_is_valid(read, content):
    body = {"candidates": [{"content": content, "finishReason": "MAX_TOKENS"}]}
    for stream in (True, False):
        got = read(body, stream=stream)
        assert (got.parts, got.finish_reason) == ((), FinishReason.LENGTH)


# --- framings ---------------------------------------------------------------------------------


@pytest.mark.row("PROV-06", "DIAL-05")
@pytest.mark.parametrize("kind", ["application/json; charset=UTF-8", "text/event-stream", ""])
@pytest.mark.parametrize("stream", [True, False])
def test_an_array_of_frames_is_read_under_any_name(dialect, kind, stream):
    frames = [frame(text("Hel"), **FACTS), frame(text("lo"), finish="STOP", usageMetadata=USAGE)]
    body = "[" + "\n,\r\n".join(json.dumps(made, indent=2) for made in frames) + "\n]"
    if kind == "text/event-stream" and not stream:
        pytest.skip("a whole body has another type")
    got = decode_bytes(
        dialect, body.encode(), stream=stream, headers={"content-type": kind} if kind else {}
    )
    assert (got.text, got.finish_reason) == ("Hello", FinishReason.STOP)
    assert got.usage.output_tokens == 10
    assert got.response_id == "r1"


def test_a_frame_of_a_stream_may_be_an_array(read):
    assert read([frame(text("a")), frame(text("b"), finish="STOP")]).text == "ab"


@pytest.mark.row("STRE-20")
@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r"])
def test_line_ends_of_any_kind(dialect, end):
    frames = [frame(text("é")), frame(text("b"), finish="STOP")]
    body = "".join(f"data: {json.dumps(made, ensure_ascii=False)}{end}" for made in frames)
    whole = decode_bytes(dialect, body.encode())
    assert whole.text == "éb"
    for cut in range(1, len(body.encode())):
        assert decode_bytes(dialect, body.encode(), cuts=[cut]) == whole


@pytest.mark.row("PAIN-02", "STRE-31")
def test_a_stream_cut_at_every_byte_is_complete_or_interrupted(dialect):
    body = sse(
        frame(text("Hm. ", thought=True), **FACTS),
        frame(text("Ünd "), text("so."), usageMetadata=USAGE),
        frame(call("f", {"a": "é"}, signature="c2ln", id="8hd01vsf")),
        frame(call("g", id="k0srpqrc")),
        frame(text("", thoughtSignature="dGV4dA=="), finish="STOP", usageMetadata=USAGE),
    )
    whole = decode_bytes(dialect, body)
    last = body.rindex(b"}") + 1
    for place in range(len(body)):
        got = decode_bytes(dialect, body[:place])
        if place >= last:
            assert got == whole
        else:
            assert type(got) is StreamInterruptedError
            assert whole.text.startswith(got.partial.text)
            assert whole.thinking.startswith(got.partial.thinking)
            assert whole.tool_calls[: len(got.partial.tool_calls)] == got.partial.tool_calls


def test_empty_frames_are_pings(dialect):
    decoder = dialect.decoder(request_of())
    assert decoder.feed("", b" ") is PING
    assert decoder.feed("", b"[DONE]") == ()


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.row("STRE-22", "PROV-06", "PROV-34")
@pytest.mark.parametrize("listed", [True, False])
def test_an_error_in_a_good_stream_is_an_error_with_what_came_before(read, listed):
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    got = read(frame(text("Hel")), [error] if listed else error)
    assert isinstance(got, BelugaError)
    assert (got.code, got.status, got.provider_code) == ("overloaded", 200, "UNAVAILABLE")
    assert got.partial.text == "Hel"
    beside = {**frame(text("lo"), usageMetadata=USAGE), **error}
    got = read(frame(text("Hel")), beside)
    assert got.code == "overloaded"
    assert (got.partial.text, got.partial.usage.total_tokens) == ("Hello", 20)


@pytest.mark.row("STRE-22")
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("headers", [{}, {"content-type": "text/event-stream"}])
def test_a_body_that_is_an_error_under_a_good_status(dialect, stream, listed, headers):
    error = {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}
    body = json.dumps([error] if listed else error, indent=2).encode()
    got = decode_bytes(dialect, body, stream=stream, headers=headers)
    assert (got.code, got.provider_code) == ("rate_limit", "RESOURCE_EXHAUSTED")


def test_an_event_named_error_is_one(dialect):
    body = sse(frame(text("a"))) + b'event: error\r\ndata: {"error": {"code": 500}}\r\n\r\n'
    got = decode_bytes(dialect, body)
    assert (got.code, got.partial.text) == ("provider_unavailable", "a")


# --- whatever comes ---------------------------------------------------------------------------


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
WORDS = st.sampled_from(
    [
        "candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall",
        "name", "args", "id", "finishReason", "index", "usageMetadata", "promptTokenCount",
        "candidatesTokenCount", "promptTokensDetails", "modality", "tokenCount", "promptFeedback",
        "blockReason", "modelVersion", "responseId", "error", "inlineData", "mimeType", "data",
        "citationMetadata", "logprobsResult", "executableCode", "safetyRatings",
    ]
)  # fmt: skip
ODD = st.recursive(
    JSON | st.sampled_from(["AUDIO", "image/png", "audio/L16;rate=x", "eA==", "STOP"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
PART = st.dictionaries(WORDS, ODD, max_size=4)
FRAME = ODD | st.fixed_dictionaries(
    {"candidates": st.lists(ODD | st.builds(lambda p: frame(*p)["candidates"][0], st.lists(PART)))},
    optional={"usageMetadata": ODD, "promptFeedback": ODD},
)


@pytest.mark.row("DIAL-07", "PROV-34")
@settings(max_examples=150, deadline=None)
@given(st.lists(FRAME, min_size=1, max_size=3), st.booleans())
def test_odd_json_never_crashes(frames, logprobs):
    for stream in (True, False):
        data = sse(*frames) if stream else json.dumps(frames[0]).encode()
        request = request_of(stream=stream, logprobs=logprobs)
        got = decode_bytes(GeminiDialect(), data, stream=stream, request=request)
        assert isinstance(got, AIMessage | BelugaError)


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_damaged_frames_never_crash(noise):
    stream = sse(frame(text("a")), frame(call("f"), finish="STOP"))
    got = decode_bytes(GeminiDialect(), stream[:90] + noise + stream[90:])
    assert isinstance(got, AIMessage | BelugaError)

"""Answers, streamed and whole, from fixtures written after the vendor's documentation."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.corpus import decode_bytes, random_cuts

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
    RequestTimeoutError,
    StreamInterruptedError,
    TextPart,
    ThinkingPart,
    ToolMessage,
    Usage,
    fold,
    from_dict,
    replace,
    replay,
    to_dict,
)
from beluga_llm.plugin import PING
from beluga_llm_cohere import CohereDialect


def dialect():
    numbers = itertools.count(1)
    return CohereDialect(new_id=lambda: f"call_{next(numbers)}")


def asked(*, stream=True, **options):
    return ChatRequest(
        (HumanMessage("hi"),), GenerateOptions(model="asked", **options), streaming=stream
    )


def decode(body, *, stream=True, cuts=(), **options):
    request = asked(stream=stream, **options)
    return decode_bytes(dialect(), body, stream=stream, cuts=cuts, request=request)


def sse(*events):
    """A stream as the API writes it."""
    lines = (
        f"event: {event['type']}\ndata: "
        f"{json.dumps(event, separators=(',', ':'), ensure_ascii=False)}\n\n"
        for event in events
    )
    return "".join(lines).encode()


def of_message(kind, index=None, **message):
    where = {} if index is None else {"index": index}
    return {"type": kind, **where, "delta": {"message": message}}


def content(index, kind, *pieces):
    return (
        of_message("content-start", index, content={"type": kind, kind: ""}),
        *(of_message("content-delta", index, content={kind: piece}) for piece in pieces),
        {"type": "content-end", "index": index},
    )


def call(index, id, name, *pieces):
    function = {"name": name, "arguments": ""}
    begun = {"id": id, "type": "function", "function": function}
    return (
        of_message("tool-call-start", index, tool_calls=begun),
        *(
            of_message("tool-call-delta", index, tool_calls={"function": {"arguments": piece}})
            for piece in pieces
        ),
        {"type": "tool-call-end", "index": index},
    )


def end(reason="COMPLETE", usage=None, **fields):
    delta = {"finish_reason": reason, "usage": usage, **fields}
    return {"type": "message-end", "delta": delta}


START = {
    "id": "answer-1",
    "type": "message-start",
    "delta": {
        "message": {
            "role": "assistant",
            "content": [],
            "tool_plan": "",
            "tool_calls": [],
            "citations": [],
        }
    },
}
DONE = b"data: [DONE]\n\n"
USAGE = {
    "billed_units": {"input_tokens": 68, "output_tokens": 8},
    "tokens": {"input_tokens": 1591, "output_tokens": 38, "image_tokens": 3},
    "cached_tokens": 992,
}
CITED = [
    {"start": 0, "end": 2, "text": "It", "sources": [{"type": "tool", "id": "x:0"}]},
    {"start": 3, "end": 5, "text": "is", "sources": [], "type": "TEXT_CONTENT"},
]
CALLS = [
    {"id": "weather_1", "type": "function",
     "function": {"name": "weather", "arguments": '{"city":"Zürich"}'}},
    {"id": "time_2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
]  # fmt: skip
TEXT = (
    sse(
        START,
        *content(0, "thinking", "Hm, ", "é😀."),
        of_message("content-start", 1, content={"type": "text", "text": ""}),
        of_message("content-delta", 1, content={"text": "It "}),
        of_message("citation-start", 0, citations=CITED[0]),
        {"type": "citation-end", "index": 0},
        of_message("content-delta", 1, content={"text": "is 15°C."}),
        of_message("citation-start", 1, citations=CITED[1]),
        {"type": "citation-end", "index": 1},
        {"type": "content-end", "index": 1},
        end("COMPLETE", USAGE),
    )
    + DONE
)
TEXT_WHOLE = {
    "id": "answer-1",
    "message": {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Hm, é😀."},
            {"type": "text", "text": "It is 15°C."},
        ],
        "citations": CITED,
    },
    "finish_reason": "COMPLETE",
    "usage": USAGE,
}
CALLED = (
    sse(
        START,
        *content(0, "thinking", "Hm."),
        of_message("tool-plan-delta", tool_plan="I will "),
        of_message("tool-plan-delta", tool_plan="look."),
        *call(0, "weather_1", "weather", '{"city":', '"Zürich"}'),
        *call(1, "time_2", "time"),
        end("TOOL_CALL", USAGE),
    )
    + DONE
)
CALLED_WHOLE = {
    "id": "answer-1",
    "message": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm."}],
        "tool_plan": "I will look.",
        "tool_calls": CALLS,
    },
    "finish_reason": "TOOL_CALL",
    "usage": USAGE,
}


def whole(body, **options):
    return decode(json.dumps(body).encode(), stream=False, **options)


@pytest.mark.row("PROV-09", "REAS-06", "SCHE-23", "SCHE-24", "PAIN-09", "DIAL-05", "SCHE-34")
def test_an_answer_with_thinking_and_citations():
    got = decode(TEXT)
    assert got.parts == (ThinkingPart("Hm, é😀."), TextPart("It is 15°C."))
    assert got.provider_metadata == {"citations": CITED, "usage": USAGE}
    assert (got.finish_reason, got.raw_finish_reason) == (FinishReason.STOP, "COMPLETE")
    assert (got.model_id, got.response_id) == ("asked", "answer-1")
    assert whole(TEXT_WHOLE) == got
    assert fold(replay(got)) == got


@pytest.mark.row("PROV-09", "PROV-16", "PAIN-09")
@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (USAGE, Usage(1591, 38, cached_tokens=992)),
        ({"tokens": {"input_tokens": 5.0, "output_tokens": 7.0}}, Usage(5, 7)),
        ({"tokens": {"input_tokens": 5, "output_tokens": None}}, Usage(5)),
        ({"tokens": {"input_tokens": 5, "output_tokens": 0}, "cached_tokens": 0},
         Usage(5, 0, cached_tokens=0)),
        ({"billed_units": {"input_tokens": 5, "output_tokens": 7}}, Usage()),
        ({"tokens": {"input_tokens": True, "output_tokens": "7"}}, Usage()),
        ({"tokens": []}, Usage()),
        (None, Usage()),
    ],
)  # fmt: skip
def test_usage_is_counted_in_tokens(usage, counted):
    assert decode(sse(START, end("COMPLETE", usage))).usage == counted
    assert whole({**TEXT_WHOLE, "usage": usage}).usage == counted


@pytest.mark.row("PROV-09", "TOOL-13", "TOOL-15", "PAIN-10")
def test_tool_calls_with_their_plan():
    got = decode(CALLED)
    assert [(c.id, c.name, c.args) for c in got.tool_calls] == [
        ("weather_1", "weather", {"city": "Zürich"}),
        ("time_2", "time", {}),
    ]
    assert got.provider_metadata["tool_plan"] == "I will look."
    assert (got.text, got.thinking) == ("", "Hm.")
    assert got.finish_reason is FinishReason.TOOL_CALLS
    assert whole(CALLED_WHOLE) == got


@pytest.mark.row("SCHE-16", "TOOL-14", "TOOL-16")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [(None, "{}"), ("null", "{}"), ("", "{}"), ({"a": 1}, '{"a":1}'), ('{"a": "b', '{"a": "b')],
)
def test_odd_arguments_and_no_id(arguments, text):
    function = {"name": "f", "arguments": arguments}
    one = {"type": "function", "function": function}
    got = whole({"message": {"tool_calls": [one, one]}, "finish_reason": "COMPLETE"})
    assert [(c.id, c.arguments) for c in got.tool_calls] == [("call_1", text), ("call_2", text)]
    assert got.finish_reason is FinishReason.TOOL_CALLS
    start = of_message("tool-call-start", 0, tool_calls=one)
    assert decode(sse(start, end("TOOL_CALL"))).tool_calls == got.tool_calls[:1]


@pytest.mark.row("TOOL-16")
def test_fragments_belong_to_the_call_of_their_number():
    def more(index, text):
        return of_message("tool-call-delta", index, tool_calls={"function": {"arguments": text}})

    begun = [of_message("tool-call-start", i, tool_calls=c) for i, c in enumerate(CALLS)]
    for one in begun:
        one["delta"]["message"]["tool_calls"] = {
            **one["delta"]["message"]["tool_calls"],
            "function": {"name": "f"},
        }
    got = decode(sse(more(0, "lost"), *begun, more(0, "[1"), more(1, "[2"), more(0, "]"),
                     more(None, "]"), more([], ""), end("TOOL_CALL")))  # fmt: skip
    assert [call.arguments for call in got.tool_calls] == ["[1]", "[2]"]


@pytest.mark.row("PROV-09", "PROV-20")
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
        ("MALFORMED_FUNCTION_CALL malformed_model_output malformed_tool_use", "error"),
        ("USER_CANCEL something_new", "other"),
    ],
)
def test_finish_reasons(words, reason):
    for word in words.split():
        for got in (
            whole({"message": {"content": "a"}, "finish_reason": word}),
            decode(sse(START, *content(0, "text", "a"), end(word))),
        ):
            assert (got.finish_reason, got.raw_finish_reason) == (FinishReason(reason), word)


@pytest.mark.row("STRE-31")
@pytest.mark.parametrize("word", [None, "", 3])
def test_a_missing_reason_is_derived(word):
    for got in (
        whole({"message": {"content": "a"}, "finish_reason": word}),
        decode(sse(START, *content(0, "text", "a"), end(word))),
    ):
        assert (got.finish_reason, got.raw_finish_reason) == (FinishReason.STOP, None)


@pytest.mark.row("STRE-31", "STRE-09")
def test_message_end_is_the_evidence():
    assert decode(TEXT.removesuffix(DONE)) == decode(TEXT)
    assert type(decode(sse(START, *content(0, "text", "a")) + DONE)) is StreamInterruptedError
    assert type(decode(sse(START, *content(0, "text", "a")))) is StreamInterruptedError


@pytest.mark.row("PROV-09", "STRE-22", "ERRO-30")
@pytest.mark.parametrize(
    ("word", "said", "expected", "message"),
    [
        ("ERROR", None, ProviderUnavailableError, "the answer ended with ERROR"),
        ("ERROR", "the model failed", ProviderUnavailableError, "the model failed"),
        ("ERROR", {"message": "it failed"}, ProviderUnavailableError, "it failed"),
        ("ERROR", "trial token rate limit exceeded", RateLimitError,
         "trial token rate limit exceeded"),
        ("TIMEOUT", None, RequestTimeoutError, "the answer ended with TIMEOUT"),
        (None, "the model failed", ProviderUnavailableError, "the model failed"),
        ("COMPLETE", {"x": 1}, ProviderUnavailableError, "the answer ended with COMPLETE"),
    ],
)  # fmt: skip
def test_an_answer_that_failed_is_an_error_with_the_partial(word, said, expected, message):
    failed = sse(
        START,
        *content(0, "text", "half"),
        of_message("tool-plan-delta", tool_plan="I will"),
        end(word, USAGE, error=said),
    )
    body = {**TEXT_WHOLE, "finish_reason": word, "error": said}
    body["message"] = {"content": "half", "tool_plan": "I will"}
    for got in (decode(failed + DONE), whole(body)):
        assert type(got) is expected
        assert (got.message, got.request_id, got.status) == (message, "answer-1", 200)
        assert got.partial.text == "half"
        assert got.partial.usage.output_tokens == 38
        assert got.partial.provider_metadata["tool_plan"] == "I will"
        if word in ("ERROR", "TIMEOUT"):
            assert got.partial.finish_reason is FinishReason.ERROR
            assert (got.partial.raw_finish_reason, got.provider_code) == (word, word)


@pytest.mark.row("STRE-22")
@pytest.mark.parametrize(
    "problem",
    [
        b'event: error\ndata: {"message": "internal server error"}\n\n',
        b'data: {"message": "internal server error", "id": "x"}\n\n',
        b'data: {"error": {"message": "internal server error"}}\n\n',
    ],
)
def test_errors_in_the_middle(problem):
    got = decode(sse(START, *content(0, "text", "half")) + problem)
    assert isinstance(got, ProviderUnavailableError | BelugaError)
    assert (got.message, got.partial.text) == ("internal server error", "half")


@pytest.mark.row("STRE-22", "ERRO-15")
def test_bodies_that_are_no_answer():
    assert isinstance(whole({"message": "internal server error", "id": "x"}), BelugaError)
    assert type(whole({"text": "version 1", "finish_reason": "COMPLETE"})) is EmptyResponseError
    assert type(whole([])) is EmptyResponseError
    assert type(decode(b"nonsense", stream=False)) is MalformedResponseError


@pytest.mark.row("ERRO-15")
@pytest.mark.parametrize("content", [None, [], "", [{}], [{"type": "text", "text": ""}]])
def test_an_empty_answer_is_valid(content):
    got = whole({"message": {"role": "assistant", "content": content}})
    assert (got.parts, got.finish_reason) == ((), FinishReason.STOP)


def test_a_whole_body_where_a_stream_was_asked_for():
    body = json.dumps(TEXT_WHOLE).encode()
    headers = {"content-type": "application/json"}
    got = decode_bytes(dialect(), body, headers=headers, request=asked())
    assert got == whole(TEXT_WHOLE)
    assert decode(b"data: " + body + b"\n\n") == got


@pytest.mark.row("SCHE-27")
def test_logprobs_are_kept_where_asked_for():
    items = [
        {"text": "It", "token_ids": [1], "logprobs": [-0.1]},
        {"text": " is", "token_ids": [2], "logprobs": [-0.2]},
    ]
    stream = sse(
        START,
        {**of_message("content-delta", 0, content={"text": "It"}), "logprobs": items[0]},
        {**of_message("content-delta", 0, content={"text": " is"}), "logprobs": items[1]},
        end(),
    )
    body = {"id": "answer-1", "message": {"content": "It is"}, "logprobs": items}
    body["finish_reason"] = "COMPLETE"
    for options in ({"logprobs": True}, {"top_logprobs": 0}, {"extra_body": {"logprobs": True}}):
        assert tuple(decode(stream, **options).logprobs) == tuple(items)
        assert whole(body, **options) == decode(stream, **options)
    assert decode(stream).logprobs is None
    assert whole(body) == decode(stream)


@pytest.mark.row("SCHE-24")
def test_what_has_no_field_is_kept():
    got = decode(
        sse(
            {**START, "delta": {"message": {"role": "assistant", "new": 1}}},
            end("COMPLETE", None, other=2),
        )
    )
    assert got.provider_metadata == {"new": 1, "other": 2}
    body = {"message": {"content": "", "new": 1}, "finish_reason": "COMPLETE", "other": 2}
    assert whole(body).provider_metadata == {"new": 1, "other": 2}


@pytest.mark.row("DIAL-07")
@pytest.mark.parametrize(
    "odd",
    [
        "event: heartbeat\ndata: ok",
        "event: debug\ndata: not json",
        'event: debug\ndata: {"type":"debug","prompt":"x"}',
        "event: something_new\ndata: 123",
        'data: {"type": "ping"}',
        "data: null",
        "data:",
        "data: [DONE]",
        'data: {"type":"content-delta","index":null,"delta":{"message":{"content":"b"}}}',
        'data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":null}}}}',
    ],
)
def test_unknown_events_do_not_break_a_stream(odd):
    delta = of_message("content-delta", 0, content={"text": "a"})
    got = decode(sse(START, delta) + f"{odd}\n\n".encode() + sse(end()))
    assert got.text in ("a", "ab")
    assert got.finish_reason is FinishReason.STOP


@pytest.mark.parametrize("event", ["", "message", "message-end", "content-delta"])
def test_known_events_that_cannot_be_read_are_errors(event):
    assert type(decode(f"event: {event}\ndata: not json\n\n".encode())) is MalformedResponseError


def test_the_name_of_an_event_may_stand_for_its_type():
    bare = TEXT
    for kind in ("message-start", "content-start", "message-end", "citation-start"):
        bare = bare.replace(f'"type":"{kind}",'.encode(), b"")
    assert decode(bare) == decode(TEXT)


@pytest.mark.parametrize(
    ("event", "data"), [("ping", b""), ("keep-alive", b"x"), ("", b""), ("", b'{"type":"ping"}')]
)
def test_pings_of_any_name(event, data):
    assert dialect().decoder(asked()).feed(event, data) is PING


def test_text_and_thinking_in_one_item():
    both = of_message("content-delta", 0, content={"text": "a", "thinking": "b"})
    assert decode(sse(START, both, end())).parts == (ThinkingPart("b"), TextPart("a"))


# --- laws -------------------------------------------------------------------------------------


def bare(message):
    return replace(message, usage=None, provider_metadata={})


@pytest.mark.row("PAIN-02", "PAIN-10")
@pytest.mark.parametrize("stream", [TEXT, CALLED])
def test_a_stream_cut_at_every_byte(stream):
    full = decode(stream)
    for place in range(1, len(stream)):
        assert decode(stream, cuts=[place]) == full
        got = decode(stream[:place])
        if isinstance(got, AIMessage):
            assert bare(got) == bare(full)
        else:
            assert type(got) is StreamInterruptedError
            assert full.text.startswith(got.partial.text)
            assert full.thinking.startswith(got.partial.thinking)


@pytest.mark.row("PAIN-10", "TOOL-16", "SCHE-34")
@settings(max_examples=50)
@given(st.data())
def test_deltas_cut_anywhere_change_nothing(data):
    def cut(value):
        places = sorted(data.draw(st.sets(st.integers(0, len(value)), max_size=4)))
        return [value[a:b] for a, b in itertools.pairwise([0, *places, len(value)])]

    plan = [of_message("tool-plan-delta", tool_plan=piece) for piece in cut("I will look.")]
    stream = sse(
        START,
        *content(0, "thinking", *cut("Hm.")),
        *plan,
        *call(0, "weather_1", "weather", *cut('{"city":"Zürich"}')),
        *call(1, "time_2", "time", *cut("{}")),
        end("TOOL_CALL", USAGE),
    )
    assert decode(stream) == whole(CALLED_WHOLE)


@pytest.mark.row("REAS-14", "PAIN-11")
@pytest.mark.parametrize("answer", [decode(CALLED), whole(CALLED_WHOLE)], ids=["stream", "whole"])
def test_a_turn_with_tools_goes_back_as_it_came(answer):
    stored = from_dict(json.loads(json.dumps(to_dict(answer))))
    assert stored == answer
    results = [ToolMessage("ok", tool_call_id=one.id) for one in stored.tool_calls]
    options = GenerateOptions(model="command-a-plus-05-2026")
    request = ChatRequest((HumanMessage("hi"), stored, *results), options)
    sent = dialect().encode(request).json["messages"]
    assert sent[1] == CALLED_WHOLE["message"]
    assert [message["tool_call_id"] for message in sent[2:]] == ["weather_1", "time_2"]


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.sampled_from(["", "text"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(
            ["type", "text", "thinking", "id", "function", "name", "arguments", "message",
             "content", "tool_calls", "tool_plan", "citations", "tokens", "input_tokens"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip
KINDS = st.sampled_from(
    ["message-start", "content-start", "content-delta", "content-end", "tool-plan-delta",
     "tool-call-start", "tool-call-delta", "citation-start", "message-end", "new", None]
)  # fmt: skip


@pytest.mark.row("DIAL-07")
@settings(max_examples=300)
@given(KINDS, ODD, ODD, ODD, st.booleans())
def test_odd_types_do_not_crash(kind, value, index, other, stream):
    fields = {"content": value, "tool_calls": value, "tool_plan": other, "citations": other}
    event = {"type": kind, "index": index, "delta": {"message": fields, **fields, "usage": value,
             "finish_reason": other}, "logprobs": other, "id": value}  # fmt: skip
    body = {**fields, "message": fields, "finish_reason": other, "usage": value, "error": None}
    for said in (event, {**event, "delta": value}, body, {**body, "message": value}, value):
        data = json.dumps(said).encode()
        got = decode(b"data: " + data + b"\n\n" if stream else data, stream=stream, logprobs=True)
        assert isinstance(got, AIMessage | BelugaError)


@pytest.mark.row("DIAL-07")
@settings(max_examples=100)
@given(st.binary(max_size=40), st.integers(0, 2**16))
def test_damaged_frames_never_crash_otherwise(noise, seed):
    (place,) = random_cuts(TEXT, 1, seed)
    got = decode(TEXT[:place] + noise + TEXT[place:])
    assert isinstance(got, AIMessage | BelugaError)

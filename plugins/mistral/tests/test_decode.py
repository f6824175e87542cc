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
    FinishReason,
    GenerateOptions,
    HumanMessage,
    ProviderUnavailableError,
    StreamInterruptedError,
    TextPart,
    ThinkingPart,
    ToolMessage,
    Usage,
    from_dict,
    to_dict,
)
from beluga_llm.plugin import PING
from beluga_llm_mistral import MistralDialect


def dialect():
    numbers = itertools.count(1)
    return MistralDialect(new_id=lambda: f"call_{next(numbers)}")


def decode(body, *, stream=True, cuts=(), **options):
    request = ChatRequest(
        (HumanMessage("hi"),), GenerateOptions(model="asked", **options), streaming=stream
    )
    return decode_bytes(dialect(), body, stream=stream, cuts=cuts, request=request)


def frame(delta, finish=None, **fields):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "cmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-2603"}
    data = json.dumps({**head, "choices": [choice], **fields, "p": "abc"}, ensure_ascii=False)
    return f"data: {data}\n\n".encode()


def thinking(text, **fields):
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **fields}


DONE = b"data: [DONE]\n\n"
USAGE = {
    "prompt_tokens": 31,
    "total_tokens": 97,
    "completion_tokens": 66,
    "prompt_tokens_details": {"cached_tokens": 4},
    "service_tier": "standard",
}
CALLS = [
    {"id": "aB3dE6gH9", "function": {"name": "weather", "arguments": '{"city": "Zürich"}'}},
    {"id": "bC4eF7hI0", "function": {"name": "time", "arguments": "{}"}},
]
REASONED = b"".join(
    (
        frame({"role": "assistant", "content": ""}),
        frame({"content": [thinking("The ")]}),
        frame({"content": [thinking("user 😀")]}),
        frame({"content": [thinking(".", closed=True), {"type": "text", "text": "1"}]}),
        frame({"content": "44"}),
        frame({"content": ""}, "stop", usage=USAGE),
        DONE,
    )
)
CALLED = b"".join(
    (
        frame({"role": "assistant", "content": ""}),
        frame({"content": [thinking("Hm.", signature="SIG==")]}),
        frame({"content": None, "tool_calls": CALLS}, "tool_calls", usage=USAGE),
        DONE,
    )
)
WHOLE = {
    "id": "cmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-2603",
    "usage": USAGE,
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "tool_calls": None,
                "content": [thinking("The user 😀."), {"type": "text", "text": "144"}],
            },
        }
    ],
}


def whole(**message):
    choice = {**WHOLE["choices"][0], "message": {"role": "assistant", **message}}
    return decode(json.dumps({**WHOLE, "choices": [choice]}).encode(), stream=False)


@pytest.mark.row("PROV-08", "REAS-06", "REAS-07", "REAS-12", "PROV-16", "PAIN-09")
def test_content_as_a_list_with_thinking():
    got = decode(REASONED)
    assert got.parts == (ThinkingPart("The user 😀."), TextPart("144"))
    assert (got.finish_reason, got.raw_finish_reason) == (FinishReason.STOP, "stop")
    assert got.usage == Usage(31, 66, 97, cached_tokens=4)
    assert (got.model_id, got.response_id) == ("m-2603", "cmpl-1")
    assert got.provider_metadata["usage"]["service_tier"] == "standard"
    assert decode(json.dumps(WHOLE).encode(), stream=False) == got


@pytest.mark.row("PROV-08", "PAIN-10", "TOOL-13")
def test_tool_deltas_without_an_index():
    got = decode(CALLED)
    assert [(c.id, c.name, c.args) for c in got.tool_calls] == [
        ("aB3dE6gH9", "weather", {"city": "Zürich"}),
        ("bC4eF7hI0", "time", {}),
    ]
    assert got.parts == (ThinkingPart("Hm.", "SIG==", provider="mistral"),)
    assert got.finish_reason is FinishReason.TOOL_CALLS
    assert whole(content=[thinking("Hm.", signature="SIG==")], tool_calls=CALLS).parts == got.parts


@pytest.mark.row("TOOL-14", "TOOL-16")
def test_ids_that_are_the_word_null_are_missing_ids():
    calls = [
        {"id": "null", "function": {"name": "f", "arguments": '{"id":"null","a":"\\"id\\":"}'}},
        {"id": "null", "function": {"name": "g", "arguments": "{}"}},
    ]
    got = decode(frame({"tool_calls": calls}, "tool_calls") + DONE)
    assert [call.name for call in got.tool_calls] == ["f", "g"]
    assert len({call.id for call in got.tool_calls}) == 2
    assert all(call.id.startswith("call_") for call in got.tool_calls)
    assert got.tool_calls[0].args == {"id": "null", "a": '"id":'}
    assert [c.name for c in whole(content="", tool_calls=calls).tool_calls] == ["f", "g"]


@pytest.mark.row("SCHE-24")
def test_references_are_kept_with_their_place():
    items = [
        {"type": "text", "text": "Ann "},
        {"type": "reference", "reference_ids": [0, 2]},
        {"type": "text", "text": "and Bob."},
        {"type": "reference", "reference_ids": ["x"]},
    ]
    kept = (
        {"reference_ids": [0, 2], "text_offset": 4},
        {"reference_ids": ["x"], "text_offset": 12},
    )
    stream = b"".join(
        (
            frame({"content": [thinking("Hm.")]}),
            frame({"content": "Ann "}),
            frame({"content": items[1:3]}),
            frame({"content": items[3:]}, "stop"),
            DONE,
        )
    )
    for got in (decode(stream), whole(content=items)):
        assert got.text == "Ann and Bob."
        assert tuple(got.provider_metadata["references"]) == kept
    assert "references" not in whole(content='{"type": "reference"}').provider_metadata


@pytest.mark.row("PROV-08", "PROV-20")
@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
        ("error", "error"),
        ("something_new", "other"),
    ],
)
def test_finish_reasons(word, reason):
    got = decode(frame({"content": "a"}, word) + DONE)
    assert (got.finish_reason, got.raw_finish_reason) == (FinishReason(reason), word)


@pytest.mark.row("SCHE-26")
def test_several_choices():
    choices = [
        {"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        for i, text in enumerate(["one", "two"])
    ]
    got = decode(json.dumps({**WHOLE, "choices": choices}).encode(), stream=False, n=2)
    assert (got.text, got.alternatives[0].text) == ("one", "two")


@pytest.mark.row("SCHE-27")
def test_logprobs_are_kept_where_asked_for():
    found = {"content": [{"token": "a", "logprob": -0.1, "bytes": [97], "token_id": 1}]}
    body = {**WHOLE, "choices": [{**WHOLE["choices"][0], "logprobs": found}]}
    assert decode(json.dumps(body).encode(), stream=False, logprobs=True).logprobs == found
    assert decode(json.dumps(body).encode(), stream=False).logprobs is None


@pytest.mark.row("STRE-22", "ERRO-25")
def test_an_error_inside_a_stream_has_the_partial():
    error = {"object": "error", "message": "Internal server error", "type": "internal_error"}
    got = decode(frame({"content": "half"}) + f"data: {json.dumps(error)}\n\n".encode())
    assert type(got) is ProviderUnavailableError
    assert got.partial.text == "half"


@pytest.mark.row("STRE-31", "STRE-09")
def test_evidence():
    assert decode(REASONED.removesuffix(DONE)).provider_metadata["cut_after_finish"] is True
    assert "cut_after_finish" not in decode(REASONED).provider_metadata
    assert decode(frame({"content": "a"}) + DONE).finish_reason is FinishReason.STOP
    assert type(decode(frame({"content": "a"}))) is StreamInterruptedError


def test_what_says_nothing_is_a_ping():
    request = ChatRequest((HumanMessage("hi"),), GenerateOptions(model="m"), streaming=True)
    assert dialect().decoder(request).feed("ping", b'{"reference": "null"}') is PING


@pytest.mark.row("PAIN-02", "PAIN-10")
@pytest.mark.parametrize("stream", [REASONED, CALLED])
def test_a_stream_cut_at_every_byte(stream):
    full = decode(stream)
    for place in range(1, len(stream)):
        assert decode(stream, cuts=[place]) == full
        got = decode(stream[:place])
        if isinstance(got, AIMessage):
            assert (got.parts, got.tool_calls) == (full.parts, full.tool_calls)
        else:
            assert type(got) is StreamInterruptedError
            assert full.text.startswith(got.partial.text)
            assert full.thinking.startswith(got.partial.thinking)


@pytest.mark.row("REAS-14", "PAIN-11", "TOOL-14")
@pytest.mark.parametrize(
    "answer",
    [
        decode(CALLED),
        whole(content=[thinking("Hm.", signature="SIG==")], tool_calls=CALLS),
    ],
    ids=["streamed", "whole"],
)
def test_signed_thinking_goes_through_a_turn_with_tools(answer):
    stored = from_dict(json.loads(json.dumps(to_dict(answer))))
    results = [ToolMessage("ok", tool_call_id=call.id) for call in stored.tool_calls]
    request = ChatRequest((HumanMessage("hi"), stored, *results), GenerateOptions(model="m"))
    sent = dialect().encode(request).json["messages"]
    assert sent[1]["content"] == [thinking("Hm.", signature="SIG==")]
    assert [call["id"] for call in sent[1]["tool_calls"]] == ["aB3dE6gH9", "bC4eF7hI0"]
    assert [(m["tool_call_id"], m["name"]) for m in sent[2:]] == [
        ("aB3dE6gH9", "weather"),
        ("bC4eF7hI0", "time"),
    ]


# --- odd answers ------------------------------------------------------------------------------

ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "text", "reference"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "thinking", "reference_ids", "signature", "id", "function", "name"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@pytest.mark.row("DIAL-07")
@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(["content", "tool_calls", "role", "metadata"], ODD),
    )
    | ODD,
    st.sampled_from(["delta", "message"]),
    st.booleans(),
    ODD,
)
def test_odd_types_do_not_crash(value, key, stream, index):
    choice = {"index": index, key: value, "reference": "reference"}
    for choices in ([choice], value, {"type": "reference"}):
        data = json.dumps({"choices": choices}).encode()
        got = decode(b"data: " + data + b"\n\n" if stream else data, stream=stream)
        assert isinstance(got, AIMessage | BelugaError)


@pytest.mark.row("DIAL-07")
@pytest.mark.parametrize("data", ['"reference"', '["reference"]', 'no "reference"'])
def test_unknown_events_do_not_break_a_stream(data):
    odd = f"event: something_new\ndata: {data}\n\n".encode()
    got = decode(frame({"content": "a"}) + odd + frame({}, "stop") + DONE)
    assert (got.text, got.finish_reason) == ("a", FinishReason.STOP)


@settings(max_examples=100)
@given(st.binary(max_size=40), st.integers(0, 2**16))
def test_damaged_frames_never_crash_otherwise(noise, seed):
    (place,) = random_cuts(REASONED, 1, seed)
    got = decode(REASONED[:place] + noise + REASONED[place:])
    assert isinstance(got, AIMessage | BelugaError)

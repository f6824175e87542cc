"""The typed ways through a stream and a whole answer give what the patient ways give."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import beluga_llm_anthropic._decoder as decoder_module
from beluga_llm import (
    BelugaError,
    ChatRequest,
    FinishReason,
    GenerateOptions,
    HumanMessage,
    StreamChunk,
    Usage,
    fold,
)
from beluga_llm.plugin import PING, InBandError, JsonError
from beluga_llm_anthropic import AnthropicDialect

ODD = st.sampled_from([None, "", "x", 0, 1, 1.5, True, [], ["x"], {}, {"a": None}, {"a": 1}])
TEXT = st.sampled_from(["", "a", "é", "\U0001f40b", "{"])
KINDS = st.sampled_from(
    ["text_delta", "thinking_delta", "input_json_delta", "signature_delta", "citations_delta", "x"]
)
INDEX = st.integers(0, 2)
FIELDS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
USUAL_DELTA = st.builds(
    lambda kind, text: {"type": kind, FIELDS[kind]: text}, st.sampled_from(sorted(FIELDS)), TEXT
)
ODD_DELTA = st.fixed_dictionaries(
    {},
    optional={
        "type": KINDS | ODD,
        "text": TEXT | ODD,
        "thinking": TEXT | ODD,
        "partial_json": TEXT | ODD,
        "signature": TEXT | ODD,
        "citation": ODD,
        "odd": ODD,
    },
)
DELTA = st.fixed_dictionaries(
    {"type": st.just("content_block_delta"), "index": INDEX, "delta": USUAL_DELTA}
)
ODD_EVENT = st.fixed_dictionaries(
    {"delta": USUAL_DELTA | ODD_DELTA | ODD},
    optional={
        "type": st.sampled_from(["content_block_delta", "ping", "x", "content_block_stop"]) | ODD,
        "index": INDEX | ODD,
        "odd": ODD,
    },
)
BLOCKS = st.sampled_from([
    {"type": "text", "text": ""},
    {"type": "text", "text": "t", "citations": [{"a": 1}]},
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "tool_use", "id": "c", "name": "f", "input": {}},
    {"type": "tool_use", "name": "f", "input": {"a": 1}},
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
])  # fmt: skip
BEGIN = st.builds(
    lambda index, block: {"type": "content_block_start", "index": index, "content_block": block},
    INDEX,
    BLOCKS,
)
STOP = st.builds(lambda index: {"type": "content_block_stop", "index": index}, INDEX)
RUN = st.tuples(BEGIN, st.lists(DELTA, min_size=1, max_size=4), STOP | ODD_EVENT).map(
    lambda run: [run[0], *run[1], run[2]]
)
EVENTS = st.lists(RUN, min_size=1, max_size=4).map(lambda runs: list(itertools.chain(*runs)))
REASONS = st.sampled_from(["end_turn", "tool_use", "refusal", "odd", "", None, 3])
COUNTS = st.fixed_dictionaries(
    {"input_tokens": st.integers(0, 9), "output_tokens": st.integers(0, 9)},
    optional={
        "cache_read_input_tokens": st.none() | st.integers(0, 9),
        "cache_creation": st.just({"ephemeral_5m_input_tokens": 0}) | ODD,
        "output_tokens_details": st.just({"thinking_tokens": 2}) | ODD,
        "service_tier": st.just("standard") | ODD,
    },
)
USUAL_BLOCK = {"type": "text", "text": "four"}
USUAL = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [USUAL_BLOCK],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1, "service_tier": "standard"},
}
CHANGES = {
    "id": st.just("msg_2") | ODD,
    "type": st.just("error") | ODD,
    "model": st.just("") | ODD,
    "content": st.lists(
        st.just(USUAL_BLOCK)
        | BLOCKS
        | st.fixed_dictionaries(
            {"type": st.just("text"), "text": TEXT | ODD},
            optional={"citations": ODD, "odd": ODD},
        ),
        max_size=2,
    )
    | ODD,
    "stop_reason": REASONS,
    "stop_sequence": st.just("END") | ODD,
    "stop_details": st.none() | st.just({"explanation": "no"}) | ODD,
    "usage": COUNTS | ODD,
    "container": st.none() | ODD,
    "error": ODD,
    "odd": ODD,
}


@st.composite
def bodies(draw):
    """The usual body with up to two fields changed."""
    names = draw(st.lists(st.sampled_from(sorted(CHANGES)), max_size=2, unique=True))
    return {**USUAL, **{name: draw(CHANGES[name]) for name in names}}


def decoder_of(*, streaming):
    numbers = itertools.count(1)
    dialect = AnthropicDialect(new_id=lambda: f"call_{next(numbers)}")
    options = GenerateOptions(model="asked")
    return dialect.decoder(ChatRequest((HumanMessage("hi"),), options, (), streaming))


def seen(frames, *, streaming):
    """The chunks of each frame, whether it was a ping, complete and at its end; the error."""
    decoder, found, chunks = decoder_of(streaming=streaming), [], []
    try:
        for name, data in frames:
            new = decoder.feed(name, data)
            chunks += new
            found.append((fold(chunks), new is PING, decoder.complete, decoder.ended))
        chunks += decoder.finish()
    except (BelugaError, InBandError, JsonError) as error:
        return [*found, repr(error)]
    return [*found, fold(chunks)]


def refused(data):
    raise JsonError("refused")


@given(EVENTS, st.booleans())
def test_both_ways_read_the_same_stream(events, named):
    frames = [
        (
            str(event.get("type", "content_block_delta")) if named else "",
            json.dumps(event, separators=(",", ":")).encode(),
        )
        for event in events
    ]
    quick = seen(frames, streaming=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder_module, "read_delta", refused)
        assert seen(frames, streaming=True) == quick


@given(bodies())
def test_both_ways_read_the_same_body(body):
    frames = [("", json.dumps(body).encode())]
    quick = seen(frames, streaming=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder_module, "read_answer", lambda data: None)
        assert seen(frames, streaming=False) == quick


def without_patience(monkeypatch):
    monkeypatch.setattr(decoder_module, "loads", refused)


def test_the_usual_answer_is_read_the_typed_way(monkeypatch):
    without_patience(monkeypatch)
    decoder = decoder_of(streaming=False)
    assert list(decoder.feed("", json.dumps({**USUAL, "stop_sequence": "END"}).encode())) == [
        StreamChunk(
            "four",
            part_index=0,
            finish_reason=FinishReason.STOP,
            raw_finish_reason="end_turn",
            usage=Usage(3, 1),
            model_id="claude-x",
            response_id="msg_1",
            metadata={"stop_sequence": "END", "service_tier": "standard"},
        )
    ]
    assert list(decoder.finish()) == []


@pytest.mark.parametrize(
    ("delta", "chunk"),
    [
        ({"type": "text_delta", "text": "a"}, StreamChunk("a", part_index=0)),
        ({"type": "thinking_delta", "thinking": "a"}, StreamChunk("", "a", part_index=0)),
    ],
)
def test_the_usual_delta_is_read_the_typed_way(monkeypatch, delta, chunk):
    without_patience(monkeypatch)
    event = {"type": "content_block_delta", "index": 0, "delta": delta}
    data = json.dumps(event).encode()
    assert decoder_of(streaming=True).feed("content_block_delta", data) == (chunk,)


def test_a_delta_without_a_type_is_what_its_event_is_called():
    event = {"index": 0, "delta": {"type": "text_delta", "text": "a"}}
    data = json.dumps(event).encode()
    assert decoder_of(streaming=True).feed("content_block_delta", data) == (
        StreamChunk("a", part_index=0),
    )

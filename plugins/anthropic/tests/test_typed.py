"""The typed ways through a stream and a whole answer give what the patient ways give."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import beluga_llm_anthropic._decoder as decoder_module
import beluga_llm_anthropic._going_on as going_on_module
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
from beluga_llm.plugin import PING, InBandError, JsonError, Template
from beluga_llm_anthropic import AnthropicDialect, BedrockAnthropicDialect
from beluga_llm_anthropic._answer import read_answer
from beluga_llm_anthropic._wire import read_delta

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


def seen_at_once(pieces):
    """The answer of frames that come in pieces and are taken as the reader takes them."""
    decoder, chunks = decoder_of(streaming=True), []
    try:
        for frames in pieces:
            left = iter(frames)
            frame, new = decoder.feed_on(left)
            while frame is not None:
                chunks += new
                chunks += decoder.feed(*frame)
                frame, new = decoder.feed_on(left)
            chunks += new
        chunks += decoder.finish()
    except (BelugaError, InBandError, JsonError) as error:
        return [fold(chunks), repr(error)]
    return [fold(chunks), decoder.complete, decoder.ended]


def seen_one_by_one(frames):
    """The same, each frame being read for itself."""
    decoder, chunks = decoder_of(streaming=True), []
    try:
        for frame in frames:
            chunks += decoder.feed(*frame)
        chunks += decoder.finish()
    except (BelugaError, InBandError, JsonError) as error:
        return [fold(chunks), repr(error)]
    return [fold(chunks), decoder.complete, decoder.ended]


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


NAMES = st.sampled_from(["content_block_delta", "", "message", "ping", "x"])
RAW = st.sampled_from([b"", b"{", b'{"type":"ping"}', b'{"type":"error","error":{}}'])
SPACES = st.sampled_from([(",", ":"), (", ", ": ")])


@st.composite
def streams(draw):
    """Pieces of frames, most of them deltas that go on with the one before."""
    frames = []
    for event in draw(EVENTS):
        name = draw(NAMES | st.just(str(event.get("type", ""))))
        data = json.dumps(event, separators=draw(SPACES)).encode()
        frames += [(name, data)] * draw(st.integers(1, 3))
        if (
            isinstance(delta := event.get("delta"), dict)
            and event.get("type") == "content_block_delta"
        ):
            for text in draw(st.lists(TEXT | ODD, max_size=3)):
                field = FIELDS.get(str(delta.get("type")), "text")
                more = {**event, "delta": {**delta, field: text}}
                frames.append((name, json.dumps(more, separators=(",", ":")).encode()))
        if draw(st.integers(0, 9)) == 0:
            frames.append((name, draw(RAW)))
    cuts = sorted(draw(st.lists(st.integers(0, len(frames)), max_size=3)))
    return [frames[at:to] for at, to in itertools.pairwise([0, *cuts, len(frames)])]


@given(streams())
def test_deltas_that_are_alike_are_read_as_each_for_itself(pieces):
    frames = [*itertools.chain(*pieces)]
    quick = seen_at_once(pieces)
    assert quick == seen_one_by_one(frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder_module, "read_delta", refused)
        assert seen_one_by_one(frames) == quick


def delta(kind, text, index=0):
    event = {"type": "content_block_delta", "index": index, "delta": {"type": kind}}
    event["delta"][FIELDS[kind]] = text
    return "content_block_delta", json.dumps(event, separators=(",", ":")).encode()


@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_deltas_that_are_alike_are_not_read_whole(monkeypatch, kind):
    whole = []

    def reading(data):
        whole.append(data)
        return read_delta(data)

    monkeypatch.setattr(decoder_module, "read_delta", reading)
    block = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    begin = {"type": "content_block_start", "index": 0, "content_block": block}
    frames = [("content_block_start", json.dumps(begin).encode())]
    frames += [delta(kind, text) for text in ("a", "b", "", 'é"')]
    message = seen_at_once([frames[:3], frames[3:]])[0]
    said = message.text or message.thinking or message.tool_calls[0].arguments
    assert (said, len(whole)) == ('abé"', 1)


def test_the_same_bytes_after_another_event_may_mean_something_else():
    """A block of an unknown kind begins under the number of the text."""
    block = {"type": "server_tool_use", "id": "s", "input": {}}
    begin = {"type": "content_block_start", "index": 0, "content_block": block}
    frames = [delta("text_delta", "a")] * 3
    frames += [("content_block_start", json.dumps(begin).encode())]
    frames += [delta("text_delta", "b")] * 3
    stop = {"type": "content_block_stop", "index": 0}
    message = seen_at_once([[*frames, ("content_block_stop", json.dumps(stop).encode())]])[0]
    assert message.text == "aaa"
    assert message.provider_metadata["content_blocks"][0]["text"] == "bbb"


def test_deltas_of_which_no_two_are_alike_make_no_more_templates(monkeypatch):
    made = []

    class Counted(Template):
        @classmethod
        def of(cls, *args, **names):
            made.append(args)
            return Template.of(*args, **names)

    monkeypatch.setattr(going_on_module, "Template", Counted)
    message = seen_at_once([[delta("text_delta", "a", index % 2) for index in range(40)]])[0]
    assert (message.text, len(made)) == ("a" * 40, 8)


@pytest.mark.parametrize("cloud", [AnthropicDialect, BedrockAnthropicDialect])
@given(body=bodies())
def test_both_ways_read_the_same_body(cloud, body):
    request = ChatRequest((HumanMessage("hi"),), GenerateOptions(model="asked"), (), False)
    data = json.dumps(body).encode()
    quick = cloud().read_usual(request, data)
    if quick is not None:
        assert seen([("", data)], streaming=False)[-1] == fold([quick])
        assert [*seen([("", data)], streaming=False)[0][2:]] == [True, True]


def test_the_usual_answer_is_read_the_typed_way():
    data = json.dumps({**USUAL, "stop_sequence": "END"}).encode()
    assert read_answer(data, "asked") == StreamChunk(
        "four",
        part_index=0,
        finish_reason=FinishReason.STOP,
        raw_finish_reason="end_turn",
        usage=Usage(3, 1),
        model_id="claude-x",
        response_id="msg_1",
        metadata={"stop_sequence": "END", "service_tier": "standard"},
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"x": 1},
        {"content": []},
        {"content": [USUAL_BLOCK, USUAL_BLOCK]},
        {"stop_reason": None},
        {"type": "error"},
        {"stop_details": {"explanation": "no"}},
    ],
)
def test_what_holds_more_is_refused(changes):
    assert read_answer(json.dumps({**USUAL, **changes}).encode(), "asked") is None


@pytest.mark.parametrize("damage", [b'{"x":"\xff"}', b'{"x":01}', b"[", b""])
def test_damaged_counts_are_refused(damage):
    data = json.dumps({**USUAL, "usage": "COUNTS"}).encode()
    assert read_answer(data.replace(b'"COUNTS"', damage), "asked") is None


def test_a_subclass_that_decodes_in_a_way_of_its_own_is_asked():
    class Own(AnthropicDialect):
        def decoder(self, request):
            raise AssertionError

    request = ChatRequest((HumanMessage("hi"),), GenerateOptions(model="asked"), (), False)
    assert Own().read_usual(request, json.dumps(USUAL).encode()) is None


@pytest.mark.parametrize(
    ("delta", "chunk"),
    [
        ({"type": "text_delta", "text": "a"}, StreamChunk("a", part_index=0)),
        ({"type": "thinking_delta", "thinking": "a"}, StreamChunk("", "a", part_index=0)),
    ],
)
def test_the_usual_delta_is_read_the_typed_way(monkeypatch, delta, chunk):
    monkeypatch.setattr(decoder_module, "loads", refused)
    event = {"type": "content_block_delta", "index": 0, "delta": delta}
    data = json.dumps(event).encode()
    assert decoder_of(streaming=True).feed("content_block_delta", data) == (chunk,)


def test_a_delta_without_a_type_is_what_its_event_is_called():
    event = {"index": 0, "delta": {"type": "text_delta", "text": "a"}}
    data = json.dumps(event).encode()
    assert decoder_of(streaming=True).feed("content_block_delta", data) == (
        StreamChunk("a", part_index=0),
    )

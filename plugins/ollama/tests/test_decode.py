"""Answers of `/api/chat`: streams of lines and whole bodies, as the Ollama docs describe them."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strategies
from support.corpus import decode_bytes

from beluga_llm import (
    AIMessage,
    BelugaError,
    ChatRequest,
    EmptyResponseError,
    FinishReason,
    GenerateOptions,
    HumanMessage,
    ImagePart,
    MalformedResponseError,
    ProviderUnavailableError,
    StreamInterruptedError,
    TextPart,
    ThinkingPart,
    ToolArgumentsError,
    Usage,
    from_dict,
    replace,
    to_dict,
)
from beluga_llm_ollama import OllamaDialect

HEAD = {"model": "qwen3", "created_at": "2026-01-01T00:00:00Z"}


def line(*, content="", done=False, message=None, **fields):
    """A line of a stream, or a whole body."""
    said = {"role": "assistant", "content": content, **(message or {})}
    return {**HEAD, "message": said, "done": done, **fields}


def joined(lines):
    """The bytes of a stream."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


@pytest.fixture
def stream(dialect):
    """What a stream of these lines means."""
    return lambda *lines, **more: decode_bytes(dialect, joined(lines), **more)


@pytest.fixture
def whole(dialect):
    """What a whole body means."""
    return lambda value, **more: decode_bytes(
        dialect, json.dumps(value).encode(), stream=False, **more
    )


END = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 174560334,
    "load_duration": 101397084,
    "prompt_eval_count": 11,
    "prompt_eval_duration": 13074791,
    "eval_count": 18,
    "eval_duration": 52479709,
}
DURATIONS = {key: value for key, value in END.items() if key.endswith("duration")}
CALL = {"function": {"name": "weather", "arguments": {"city": "Paris"}}}
STREAM = (
    line(message={"thinking": "Let me"}),
    line(message={"thinking": " see."}),
    line(content="It "),
    line(content="is 4\N{SNOWMAN}."),
    line(message={"tool_calls": [CALL]}),
    line(**END),
)
WHOLE = line(
    content="It is 4\N{SNOWMAN}.",
    message={"thinking": "Let me see.", "tool_calls": [CALL]},
    **END,
)


# --- what an answer says -------------------------------------------------------------------------


@pytest.mark.row("PROV-10", "DIAL-05", "SCHE-34", "PAIN-09", "REAS-06", "REAS-07")
def test_a_stream_and_a_whole_body_are_one_answer(stream, whole):
    got = stream(*STREAM)
    assert replace(whole(WHOLE), tool_calls=()) == replace(got, tool_calls=())
    assert got.parts == (ThinkingPart("Let me see."), TextPart("It is 4\N{SNOWMAN}."))
    assert got.usage == Usage(11, 18)
    assert got.usage.total_tokens == 29
    assert (got.finish_reason, got.raw_finish_reason) == (FinishReason.TOOL_CALLS, "stop")
    assert got.model_id == "qwen3"
    assert got.provider_metadata == {"created_at": HEAD["created_at"], **DURATIONS}


@pytest.mark.row("STRE-21", "STRE-01")
def test_chunks_come_in_the_order_of_the_lines(dialect):
    request = ChatRequest((HumanMessage("hi"),), GenerateOptions(model="m"), streaming=True)
    decoder = dialect.decoder(request)
    said = []
    for each in STREAM:
        chunks = decoder.feed("", json.dumps(each).encode())
        said.extend(chunk.reasoning_delta or chunk.delta for chunk in chunks)
        assert decoder.complete is (each is STREAM[-1])
    assert [text for text in said if text] == ["Let me", " see.", "It ", "is 4\N{SNOWMAN}."]


def test_thinking_and_text_in_one_line_come_in_that_order(stream):
    got = stream(line(), line(content="b", message={"thinking": "a"}), line(**END))
    assert got.parts == (ThinkingPart("a"), TextPart("b"))


@pytest.mark.row("TOOL-13", "TOOL-14", "TOOL-16", "PROV-10", "PAIN-10")
def test_calls_without_ids_get_ours_and_stay_apart(stream, whole):
    again = {"function": {"index": 0, "name": "weather", "arguments": {"city": "Rome"}}}
    named = {"id": "call_own", "function": {"index": 0, "name": "now"}}
    for got in (
        stream(
            line(message={"tool_calls": [CALL]}),
            line(message={"tool_calls": [again, named]}),
            line(**END),
        ),
        whole(line(message={"tool_calls": [CALL, again, named]}, **END)),
    ):
        first, second, third = got.tool_calls
        assert [(call.name, call.args) for call in got.tool_calls] == [
            ("weather", {"city": "Paris"}),
            ("weather", {"city": "Rome"}),
            ("now", {}),
        ]
        assert third.id == "call_own"
        assert first.id != second.id
        assert got.finish_reason is FinishReason.TOOL_CALLS


@pytest.mark.row("SCHE-16", "TOOL-15")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            '{"n": 1.0, "big": 12345678901234567890123}',
            '{"n": 1.0, "big": 12345678901234567890123}',
        ),
        ("null", "{}"),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
        ('"{cut"', "{cut"),
        ("[1]", "[1]"),
    ],
)
def test_arguments_are_kept_as_received(dialect, arguments, text):
    call = b'{"function":{"name":"f","arguments":' + arguments.encode() + b"}}"
    data = b'{"model":"m","message":{"tool_calls":[' + call + b']},"done":true}'
    got = decode_bytes(dialect, data)
    assert [call.arguments for call in got.tool_calls] == [text]
    if not text.startswith("{") or text == "{cut":
        with pytest.raises(ToolArgumentsError):
            _ = got.tool_calls[0].args


@pytest.mark.row("DIAL-07")
def test_calls_of_odd_shapes_are_read_as_far_as_they_go(stream):
    calls = [None, {}, {"function": None}, "x", {"function": {"name": "f", "arguments": {"a": 1}}}]
    got = stream(line(message={"tool_calls": calls}), line(**END))
    assert [(call.name, call.args) for call in got.tool_calls] == [("f", {"a": 1})]


@pytest.mark.row("PROV-20", "SCHE-22", "STRE-31")
@pytest.mark.parametrize(
    ("word", "calls", "reason"),
    [
        ("stop", False, FinishReason.STOP),
        ("stop", True, FinishReason.TOOL_CALLS),
        ("length", True, FinishReason.LENGTH),
        ("tool_calls", True, FinishReason.TOOL_CALLS),
        ("content_filter", False, FinishReason.CONTENT_FILTER),
        ("error", False, FinishReason.ERROR),
        ("load", False, FinishReason.OTHER),
        ("unload", False, FinishReason.OTHER),
        ("", False, FinishReason.STOP),
        (None, True, FinishReason.TOOL_CALLS),
    ],
)
def test_finish_reasons(stream, whole, word, calls, reason):
    last = {**END, "done_reason": word, "message": {"tool_calls": [CALL]} if calls else {}}
    for got in (stream(line(**last)), whole(line(**last))):
        assert (got.finish_reason, got.raw_finish_reason) == (reason, word or None)


@pytest.mark.row("PROV-16", "SCHE-19", "PAIN-09")
@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({}, Usage()),
        ({"eval_count": 3}, Usage(None, 3)),
        ({"prompt_eval_count": 0, "eval_count": 3}, Usage(0, 3)),
        (
            {"prompt_eval_count": 9, "prompt_eval_cached_count": 8, "eval_count": 3},
            Usage(9, 3, cached_tokens=8),
        ),
        ({"prompt_eval_count": None, "eval_count": "3"}, Usage()),
    ],
)
def test_what_is_not_counted_is_none(stream, whole, counts, usage):
    last = line(done=True, done_reason="stop", **counts)
    assert stream(line(content="x"), last).usage == usage
    assert whole(last).usage == usage


@pytest.mark.row("SCHE-27")
def test_log_probabilities_are_kept_where_asked(dialect):
    first, second = [{"token": "a", "logprob": -0.5}], [{"token": "b", "logprob": -0.1}]
    data = joined(
        [line(content="a", logprobs=first), line(content="b", logprobs=second), line(**END)]
    )

    def read(**options):
        made = GenerateOptions(model="m", **options)
        request = ChatRequest((HumanMessage("hi"),), made, streaming=True)
        return decode_bytes(dialect, data, request=request)

    for asked in (
        {"logprobs": True},
        {"top_logprobs": 0},
        {"provider_options": {"ollama": {"logprobs": True}}},
        {"extra_body": {"logprobs": True}},
    ):
        assert read(**asked).logprobs == [*first, *second]
        assert read(**asked).text == "ab"
    assert read().logprobs is None


@pytest.mark.row("SCHE-24")
def test_extras_are_kept_under_their_own_names(stream, whole):
    extra = {"remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443"}
    got = stream(
        line(content="a", **extra), line(content="b", message={"mood": "good"}), line(**END)
    )
    assert got.text == "ab"
    assert got.provider_metadata.items() >= {**extra, "mood": "good"}.items()
    assert whole(line(content="a", **extra, **END)).provider_metadata.items() >= extra.items()


def test_images_of_an_answer_are_parts_of_it(stream, whole):
    png = b"\x89PNG\r\n\x1a\n"
    images = [base64.b64encode(png).decode(), "no base64!", None, ""]
    for got in (
        stream(line(message={"images": images}), line(**END)),
        whole(line(message={"images": images}, **END)),
    ):
        assert got.parts == (ImagePart(png),)


@pytest.mark.row("SCHE-23")
def test_the_model_that_was_asked_stands_in_for_one_not_named(stream, whole):
    unnamed = {key: value for key, value in line(content="x", **END).items() if key != "model"}
    assert stream(unnamed, model="asked").model_id == "asked"
    assert whole(unnamed, model="asked").model_id == "asked"
    assert stream(line(content="x"), {**unnamed, "model": "other"}).model_id == "other"


# --- where it ends -------------------------------------------------------------------------------


@pytest.mark.row("PAIN-02", "STRE-09", "STRE-21", "STRE-31")
def test_a_stream_cut_anywhere_is_complete_or_interrupted(dialect):
    data = joined(STREAM)
    whole = decode_bytes(dialect, data)
    for place in range(len(data)):
        got = decode_bytes(dialect, data[:place])
        if isinstance(got, AIMessage):
            assert place == len(data) - 1  # only the last line's end is missing
            assert replace(got, tool_calls=()) == replace(whole, tool_calls=())
        else:
            assert type(got) is StreamInterruptedError
            assert whole.text.startswith(got.partial.text)
            assert whole.thinking.startswith(got.partial.thinking)


@pytest.mark.row("STRE-21", "PAIN-10")
def test_any_cut_of_the_bytes_gives_the_same_answer():
    data = b"\n \r\n" + joined(STREAM).replace(b"}\n", b"}\r\n\n")
    for place in range(len(data)):
        got = decode_bytes(OllamaDialect(new_id=lambda: "c"), data, cuts=[place])
        assert got == decode_bytes(OllamaDialect(new_id=lambda: "c"), data)
        assert got.text == "It is 4\N{SNOWMAN}."


@pytest.mark.row("STRE-31")
def test_a_whole_body_is_evidence_by_itself(whole):
    got = whole({"model": "m", "message": {"content": "Hi."}, "done": False})
    assert (got.text, got.finish_reason, got.raw_finish_reason) == ("Hi.", FinishReason.STOP, None)


@pytest.mark.parametrize("value", [{}, [], None, "x", {"done": True}, {"message": "x"}])
def test_an_answer_without_a_message_is_empty(whole, value):
    assert type(whole(value)) is EmptyResponseError


def test_a_stream_without_a_message_is_empty(stream):
    assert type(stream({"done": True})) is EmptyResponseError
    assert type(stream()) is StreamInterruptedError


# --- errors and odd lines ------------------------------------------------------------------------


@pytest.mark.row("STRE-22", "PROV-10")
def test_a_line_with_an_error_ends_the_stream(stream):
    text = "an error was encountered while running the model"
    got = stream(line(content="I"), line(content="can"), {"error": text})
    assert type(got) is ProviderUnavailableError
    assert (got.message, got.status, got.partial.text) == (text, 200, "Ican")


@pytest.mark.row("STRE-22")
def test_a_good_body_may_be_an_error(whole, stream):
    assert isinstance(whole({"error": "boom"}), BelugaError)
    assert whole({"error": "boom"}).message == "boom"
    beside = stream(line(content="a"), line(content="b", error="boom"))
    assert (beside.message, beside.partial.text) == ("boom", "a")
    assert stream(line(content="a", error=None), line(error="", **END)).text == "a"


@pytest.mark.row("DIAL-07")
def test_lines_that_are_no_objects_say_nothing(dialect):
    data = b'[]\nnull\n"x"\n7\n{}\n{"message":null}\n' + joined([line(content="a"), line(**END)])
    assert decode_bytes(dialect, data).text == "a"


def test_a_line_that_is_no_json_is_told(dialect):
    data = joined([line(content="a")]) + b"<html>\n" + joined([line(**END)])
    got = decode_bytes(dialect, data)
    assert type(got) is MalformedResponseError
    assert got.partial.text == "a"


JSON = st.recursive(
    strategies.json_values,
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
FIELDS = ("model", "message", "done", "done_reason", "logprobs", "eval_count", "created_at", "x")
SAID = ("role", "content", "thinking", "tool_calls", "images", "x")
CALLS = st.lists(
    JSON | st.fixed_dictionaries({}, optional={"id": JSON, "function": JSON | st.fixed_dictionaries(
        {}, optional={"name": JSON, "arguments": JSON, "index": JSON})}),
    max_size=2,
)  # fmt: skip
MESSAGES = st.dictionaries(st.sampled_from(SAID), JSON) | st.builds(
    lambda calls: {"tool_calls": calls}, CALLS
)


@pytest.mark.row("DIAL-07")
@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(
        JSON
        | st.dictionaries(st.sampled_from(FIELDS), JSON)
        | st.builds(lambda message, done: {"message": message, "done": done}, MESSAGES, JSON),
        max_size=4,
    ),
    logprobs=st.booleans(),
)
def test_whatever_comes_is_an_answer_or_an_error_of_ours(lines, logprobs):
    options = GenerateOptions(model="m", logprobs=logprobs or None)
    for streaming in (True, False):
        request = ChatRequest((HumanMessage("hi"),), options, streaming=streaming)
        data = joined(lines) if streaming else json.dumps(lines[0] if lines else None).encode()
        got = decode_bytes(OllamaDialect(), data, stream=streaming, request=request)
        assert isinstance(got, AIMessage | BelugaError)


# --- and back ------------------------------------------------------------------------------------


@pytest.mark.row("REAS-14", "PAIN-11", "SCHE-29")
def test_an_answer_goes_back_as_it_came(stream, whole, body):
    """Thinking, text, calls and ids survive whole and streamed, JSON, and the next request."""
    for got in (stream(*STREAM), whole(WHOLE)):
        stored = from_dict(json.loads(json.dumps(to_dict(got))))
        assert stored == got
        (sent,) = body(stored)["messages"]
        (call,) = sent.pop("tool_calls")
        assert sent == {
            "role": "assistant",
            "content": "It is 4\N{SNOWMAN}.",
            "thinking": "Let me see.",
        }
        assert (call["id"], call["function"]["arguments"]) == (
            got.tool_calls[0].id,
            {"city": "Paris"},
        )

"""Chat-completions answers: hand-written bytes for every oddity, and the laws."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.corpus import decode_bytes

from beluga_llm._chunks import StreamChunk
from beluga_llm._dialects.openai_chat import OpenAIChatDialect
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._errors import (
    AuthenticationError,
    BelugaError,
    ContentFilterError,
    ContextLengthError,
    EmptyResponseError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    OverloadedError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    StreamInterruptedError,
    ToolArgumentsError,
)
from beluga_llm._http.dialect import PING
from beluga_llm._messages import AIMessage, HumanMessage
from beluga_llm._options import GenerateOptions
from beluga_llm._parts import ImagePart, TextPart, ThinkingPart
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall
from beluga_llm._usage import FinishReason, Usage

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}


def dialect(quirks: ChatQuirks | None = None, provider: str = "openai") -> OpenAIChatDialect:
    ids = itertools.count(1)
    return OpenAIChatDialect(provider, quirks=quirks, new_id=lambda: f"made_{next(ids)}")


def chunk(delta: Any = None, finish: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"index": more.pop("index", 0), "delta": delta or {}, "finish_reason": finish}
    return {**HEAD, "choices": [choice], **more}


def text(piece: str) -> dict[str, Any]:
    return chunk({"content": piece})


def sse(*frames: dict[str, Any] | str, done: bool = True) -> bytes:
    lines = [frame if isinstance(frame, str) else f"data: {json.dumps(frame)}" for frame in frames]
    return "".join(f"{line}\n\n" for line in [*lines, *["data: [DONE]"] * done]).encode()


def streamed(*frames: Any, done: bool = True, **more: Any) -> Any:
    quirks = more.pop("quirks", None)
    return decode_bytes(dialect(quirks), sse(*frames, done=done), **more)


def whole(message: Any = None, finish: Any = "stop", **more: Any) -> Any:
    quirks = more.pop("quirks", None)
    choice = {"index": 0, "message": message or {}, "finish_reason": finish}
    body = {**HEAD, "object": "chat.completion", "choices": [choice], **more}
    return decode_bytes(dialect(quirks), json.dumps(body).encode(), stream=False)


STOP = chunk({}, "stop")


# --- the usual ----------------------------------------------------------------------------------


def test_a_stream() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    message = streamed(
        chunk({"role": "assistant", "content": ""}, service_tier="default"),
        text("Hel"),
        text("lo"),
        STOP,
        {**HEAD, "choices": [], "usage": usage},
    )
    assert message == AIMessage(
        TextPart("Hello"),
        finish_reason="stop",
        raw_finish_reason="stop",
        usage=Usage(3, 2, 5),
        model_id="gpt-x",
        response_id="c1",
        provider_metadata={"created": 1, "service_tier": "default"},
    )


def test_text_takes_the_fast_way() -> None:
    """One chunk with nothing but text for a frame with nothing but text."""
    decoder = dialect().decoder(ChatRequest((HumanMessage("hi"),)))
    pieces = ("a", "b", "c", "")
    first, _, *more = (decoder.feed("", json.dumps(text(piece)).encode()) for piece in pieces)
    assert len(first) == 2
    assert more == [(StreamChunk("c"),), ()]


def test_a_whole_body() -> None:
    message = whole({"role": "assistant", "content": "Hello", "refusal": None})
    assert message.text == "Hello"
    assert message.finish_reason == "stop"
    assert "cut_after_finish" not in message.provider_metadata


@pytest.mark.row("SCHE-23")
def test_the_model_that_was_asked_stands_in() -> None:
    frames = [{**text("a"), "model": None}, {**STOP, "model": ""}]
    assert streamed(*frames, model="asked").model_id == "asked"


# --- the ends of streams ------------------------------------------------------------------------


@pytest.mark.row("STRE-31")
def test_evidence() -> None:
    cut = streamed(text("a"), done=False)
    assert isinstance(cut, StreamInterruptedError)
    assert cut.partial.text == "a"
    finished = streamed(text("a"), STOP, done=False)
    assert finished.provider_metadata["cut_after_finish"] is True
    marked = streamed(text("a"))
    assert (marked.finish_reason, marked.raw_finish_reason) == (FinishReason.STOP, None)


@pytest.mark.row("STRE-31")
def test_the_end_marker_alone_with_calls() -> None:
    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    assert streamed(chunk({"tool_calls": [call]})).finish_reason == "tool_calls"


@pytest.mark.row("STRE-31")
def test_every_choice_needs_its_finish_reason() -> None:
    frames = [text("a"), chunk({"content": "b"}, index=1), STOP]
    assert isinstance(streamed(*frames, done=False), StreamInterruptedError)
    message = streamed(*frames, chunk({}, "length", index=1), done=False)
    assert message.text == "a"
    (other,) = message.alternatives
    assert (other.text, other.finish_reason) == ("b", "length")


@pytest.mark.row("PROV-02")
def test_servers_without_an_end_marker() -> None:
    message = streamed(text("a"), STOP, done=False, quirks=ChatQuirks(end_marker=False))
    assert "cut_after_finish" not in message.provider_metadata


@pytest.mark.row("STRE-09")
def test_servers_without_evidence() -> None:
    message = streamed(text("a"), done=False, quirks=ChatQuirks(terminal="optional"))
    assert message.finish_reason == "other"


@pytest.mark.row("STRE-12", "PROV-34")
def test_finish_reasons_may_come_twice_or_be_empty() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    message = streamed(
        text("a"),
        chunk({"content": ""}, ""),
        chunk({"content": ""}, "stop"),
        chunk({"content": ""}, "length", usage=usage),
        chunk({"content": ""}, None),
    )
    assert (message.finish_reason, message.raw_finish_reason) == ("length", "length")


def test_content_after_a_finish_reason_needs_another_one() -> None:
    assert isinstance(streamed(text("a"), STOP, text("b"), done=False), StreamInterruptedError)
    message = streamed(text("a"), chunk({}, "length"), text("b"))
    assert (message.text, message.finish_reason) == ("ab", "length")


@pytest.mark.row("STRE-09", "STRE-31")
def test_late_reasoning_takes_no_evidence_back() -> None:
    details = [{"type": "reasoning.encrypted", "data": "e1==", "index": 0}]
    message = streamed(
        text("a"), STOP, chunk({"reasoning": "x"}), chunk({"reasoning_details": details}),
        done=False,
    )  # fmt: skip
    assert (message.text, message.thinking, message.finish_reason) == ("a", "x", "stop")
    assert message.provider_metadata["reasoning_details"] == details
    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    for delta in ({"content": "b"}, {"refusal": "no"}, {"tool_calls": [call]}):
        cut = streamed(text("a"), STOP, chunk(delta), done=False)
        assert isinstance(cut, StreamInterruptedError)


@pytest.mark.row("SCHE-23")
def test_every_choice_has_the_model_and_the_answers_id() -> None:
    frames = [text("a"), chunk({"content": "b"}, index=1), STOP, chunk({}, "stop", index=1)]
    choices = [
        {"index": index, "message": {"content": word}, "finish_reason": "stop"}
        for index, word in enumerate("ab")
    ]
    message = streamed(*frames)
    assert message == whole(choices=choices)
    (other,) = message.alternatives
    assert (other.text, other.model_id, other.response_id) == ("b", "gpt-x", "c1")
    unnamed = streamed(*({**frame, "model": None} for frame in frames), model="asked")
    assert unnamed.alternatives[0].model_id == "asked"


@pytest.mark.row("STRE-31")
@pytest.mark.parametrize("word", [None, ""])
def test_a_whole_body_without_a_reason(word: Any) -> None:
    message = whole({"content": "a"}, word)
    assert (message.finish_reason, message.raw_finish_reason) == ("stop", None)


@pytest.mark.row("PROV-20")
@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"), ("eos", "stop"), ("length", "length"), ("model_length", "length"),
        ("tool_calls", "tool_calls"), ("function_call", "tool_calls"), ("error", "error"),
        ("content_filter", "content_filter"), ("insufficient_system_resource", "other"),
        ("sensitive", "content_filter"),
    ],
)  # fmt: skip
def test_finish_reasons(word: str, reason: str) -> None:
    message = whole(
        {"content": "a"}, word, quirks=ChatQuirks(finish_reasons={"sensitive": "content_filter"})
    )
    assert (message.finish_reason, message.raw_finish_reason) == (reason, word)


# --- frames of another kind -----------------------------------------------------------------------


@pytest.mark.row("PROV-34")
def test_comments_pings_and_unknown_events() -> None:
    frames = [": PROCESSING", "event: ping\ndata: {}", text("a"), "event: new\ndata: {}", STOP]
    assert streamed(*frames).text == "a"
    decoder = dialect().decoder(ChatRequest((HumanMessage("hi"),)))
    assert decoder.feed("ping", b"{}") is PING


@pytest.mark.row("DIAL-07")
@pytest.mark.parametrize("data", ["123", "null", "[]", '"x"', "{bad", "not JSON"])
def test_data_of_unknown_events(data: str) -> None:
    assert streamed(text("a"), f"event: new\ndata: {data}", text("b"), STOP).text == "ab"


@pytest.mark.row("DIAL-07")
def test_null_as_data() -> None:
    assert streamed("data: null", text("a"), "data: null", text("b"), STOP).text == "ab"


@pytest.mark.row("PROV-34", "STRE-12")
def test_frames_without_choices_or_delta() -> None:
    filtered = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}]
    message = streamed(
        {"choices": [], "prompt_filter_results": filtered},
        {**HEAD, "choices": None},
        {**HEAD, "choices": [{"index": 0, "finish_reason": None}]},
        {**HEAD, "choices": [{"index": 0, "delta": None}, None, 3]},
        text("a"),
        STOP,
    )
    assert message.text == "a"
    assert message.provider_metadata["prompt_filter_results"] == filtered


def test_results_of_a_content_filter_are_kept_where_they_change() -> None:
    def filtered(piece: str, hate: bool) -> dict[str, Any]:
        frame = text(piece)
        frame["choices"][0]["content_filter_results"] = {"hate": {"filtered": hate}}
        return frame

    frames = [filtered("a", False), filtered("b", False), filtered("c", True), text("d")]
    message = streamed(*frames, STOP)
    assert message.text == "abcd"
    assert message.provider_metadata["content_filter_results"] == {"hate": {"filtered": True}}


@pytest.mark.row("DIAL-07")
def test_unexpected_types_count_as_absent() -> None:
    strange = {
        "content": None, "tool_calls": None, "refusal": 0, "reasoning": ["x"], "function_call": [],
        "reasoning_details": "x", "images": {"a": 1}, "role": 7,
    }  # fmt: skip
    message = streamed(
        {**text("a"), "created": "soon", "id": 17, "usage": "none"},
        {**chunk(strange), "system_fingerprint": 5},
        chunk({"tool_calls": [None, 3, {}, {"index": "0", "function": None}]}),
        {**HEAD, "choices": [{"index": None, "delta": {"content": 5}, "logprobs": 3}]},
        STOP,
    )
    assert message.text == "a5"
    assert message.tool_calls == ()
    assert message.usage == Usage()


@pytest.mark.row("SCHE-24")
def test_extras_are_kept_under_their_own_names() -> None:
    message = streamed(
        {**text("a"), "citations": ["u1"], "x_groq": {"id": "r"}, "obfuscation": "zz", "p": "abc"},
        chunk({"annotations": [{"type": "url"}]}, matched_stop=None, timings={"ms": 3}),
        chunk({"annotations": [{"type": "file"}]}),
        {**STOP, "citations": ["u1", "u2"], "system_fingerprint": "", "service_tier": None},
    )
    assert message.provider_metadata == {
        "created": 1,
        "citations": ["u1", "u2"],
        "x_groq": {"id": "r"},
        "timings": {"ms": 3},
        "annotations": [{"type": "url"}, {"type": "file"}],
    }


@pytest.mark.row("PROV-34")
def test_the_same_in_message_and_delta() -> None:
    def both(delta: Any, message: Any, finish: Any = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "message": message, "finish_reason": finish}
        return {**HEAD, "choices": [choice]}

    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    message = streamed(
        both({"content": "a"}, {"content": "a"}),
        both({"content": "b"}, {"content": "ab"}),
        both({"tool_calls": [call]}, {"tool_calls": [call]}),
        both({"content": ""}, {"content": "ab"}, "stop"),
        both(None, {"content": "ab"}),
    )
    assert message.text == "ab"
    assert message.tool_calls == (ToolCall("1", "f"),)


def test_a_message_only_at_the_end() -> None:
    choice = {"index": 0, "delta": {"content": ""}, "message": {"content": "ab"}}
    assert streamed({**HEAD, "choices": [{**choice, "finish_reason": "stop"}]}).text == "ab"


@pytest.mark.row("PROV-34")
@pytest.mark.parametrize("finish", ["stop", None])
def test_a_json_body_in_place_of_a_stream(finish: Any) -> None:
    choice = {"index": 0, "message": {"content": "a"}, "finish_reason": finish}
    body = json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]}).encode()
    for content_type in ("text/event-stream", "application/json"):
        message = decode_bytes(dialect(), body, headers={"content-type": content_type})
        assert message.text == "a"
        assert message.finish_reason == "stop"
        assert "cut_after_finish" not in message.provider_metadata


# --- content ------------------------------------------------------------------------------------


def test_content_as_a_list_keeps_its_order() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "a"},
        {"type": "reference", "reference_ids": [1]},
        {"type": "thinking", "thinking": "so"},
        {"type": "text", "text": "b"},
        "c",
    ]
    expected = (ThinkingPart("hm"), TextPart("a"), ThinkingPart("so"), TextPart("bc"))
    assert whole({"content": content}).parts == expected
    assert streamed(*(chunk({"content": [item]}) for item in content), STOP).parts == expected
    half = [chunk({"content": content[:4]}), text("b"), text("c"), STOP]
    assert streamed(*half).parts == expected


@pytest.mark.row("REAS-06", "REAS-12")
def test_reasoning_in_content_keeps_its_signature() -> None:
    def summary(text: str, signature: str | None = None) -> dict[str, Any]:
        entry = {"type": "summary_text", "text": text, "signature": signature}
        return {"type": "reasoning", "summary": [entry]}

    answer = {"type": "text", "text": "4"}
    one = (ThinkingPart("hm", "SIG", provider="openai"), TextPart("4"))
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    assert whole({"content": [{**thinking, "signature": "SIG"}, answer]}).parts == one
    assert whole({"content": [summary("hm", "SIG"), answer]}).parts == one
    for pieces in (
        [summary("h", ""), summary("m", ""), summary("", "SIG"), answer],
        [thinking, {"type": "thinking", "thinking": [], "signature": "SIG"}, answer],
    ):
        assert streamed(*(chunk({"content": [item]}) for item in pieces), STOP).parts == one
    two = [summary("hm", "S1"), summary("so", "S2")]
    expected = (
        ThinkingPart("hm", "S1", provider="openai"), ThinkingPart("so", "S2", provider="openai"),
    )  # fmt: skip
    assert whole({"content": two}).parts == expected
    assert streamed(*(chunk({"content": [item]}) for item in two), STOP).parts == expected


@pytest.mark.row("PROV-34", "DIAL-07")
@pytest.mark.parametrize(
    "answer",
    [
        {"city": "Rome"},
        {"type": "circle", "radius": 1},
        {"type": "note", "text": "hi"},
        {"type": ["text"]},
        {"type": None, "text": "hi"},
    ],
)
def test_content_as_an_object_is_its_json(answer: dict[str, Any]) -> None:
    assert json.loads(whole({"content": answer}).text) == answer


def test_typed_content_is_read_as_an_item_of_a_list_would_be() -> None:
    url = "https://x/a.png"
    assert whole({"content": {"type": "text", "text": "hi"}}).text == "hi"
    items = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image_url", "image_url": {}},
        {"type": "thinking", "thinking": []},
        3,
    ]
    assert whole({"content": items}).parts == (TextPart("look"), ImagePart(url=url))


def test_images_in_answers() -> None:
    images = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://x/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,?"}},
    ]
    parts = (TextPart("a"), ImagePart(b"\x89PNG\r\n\x1a\n"), ImagePart(url="https://x/a.png"))
    assert whole({"content": "a", "images": images}).parts == parts
    assert streamed(text("a"), chunk({"images": images}), STOP).parts == parts


@pytest.mark.row("SCHE-33")
def test_refusals() -> None:
    for message in (
        whole({"content": None, "refusal": "I cannot"}),
        streamed(chunk({"refusal": "I ca"}), chunk({"refusal": "nnot"}), STOP),
    ):
        assert (message.text, message.refusal) == ("", "I cannot")
        assert (message.finish_reason, message.raw_finish_reason) == ("content_filter", "stop")


@pytest.mark.row("SCHE-27")
def test_logprobs_grow() -> None:
    def told(token: str) -> dict[str, Any]:
        logprobs = {"content": [{"token": token, "logprob": -0.1}], "refusal": None}
        choice = {"index": 0, "delta": {"content": token}, "logprobs": logprobs}
        return {**HEAD, "choices": [choice]}

    for options in (
        GenerateOptions(logprobs=True),
        GenerateOptions(top_logprobs=0),
        GenerateOptions(provider_options={"openai": {"logprobs": True}}),
        GenerateOptions(extra_body={"logprobs": True}),
    ):
        asked = ChatRequest((HumanMessage("hi"),), options, streaming=True)
        message = streamed(told("a"), told("b"), STOP, request=asked)
        assert [entry["token"] for entry in message.logprobs["content"]] == ["a", "b"]
        empty = {**text("a")["choices"][0], "logprobs": {"content": None, "refusal": None}}
        assert streamed({**HEAD, "choices": [empty]}, STOP, request=asked).logprobs is None


@pytest.mark.row("SCHE-27")
def test_logprobs_that_nobody_asked_for() -> None:
    told = {"content": [{"token": "a", "logprob": -0.1}]}
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": told}
    assert streamed({**HEAD, "choices": [choice]}, STOP).logprobs is None
    choice = {"index": 0, "message": {"content": "a"}, "logprobs": told}
    assert whole(choices=[choice]).logprobs is None


def test_halves_of_a_character_are_joined() -> None:
    halves = [r'{"choices":[{"index":0,"delta":{"content":"\ud83d"}}]}',
              r'{"choices":[{"index":0,"delta":{"content":"\ude00"}}]}']  # fmt: skip
    assert streamed(text("a"), *(f"data: {half}" for half in halves), STOP).text == "a😀"


# --- reasoning ----------------------------------------------------------------------------------


@pytest.mark.row("REAS-12", "REAS-07")
@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_fields(name: str) -> None:
    frames = [chunk({name: "h"}), chunk({name: "m", "content": None}), text("a"), STOP]
    expected = (ThinkingPart("hm"), TextPart("a"))
    assert streamed(*frames).parts == expected
    assert whole({name: "hm", "content": "a"}).parts == expected


@pytest.mark.row("REAS-12")
def test_reasoning_in_several_fields_counts_once() -> None:
    same = {
        "reasoning_content": "hm",
        "reasoning": "hm",
        "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}],
        "content": [{"type": "thinking", "thinking": "hm"}],
    }
    for message in (whole(same), streamed(chunk({"content": ""}), chunk(same), STOP)):
        assert message.thinking == "hm"
    only_reasoning = ChatQuirks(reasoning_fields=("reasoning",))
    assert (
        whole({"reasoning_content": "x", "reasoning": "y"}, quirks=only_reasoning).thinking == "y"
    )


DETAILS = [
    {"type": "reasoning.text", "text": "two ", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.text", "text": "and two", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.text", "signature": "si", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.text", "signature": "g=", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "e1==", "id": "r1", "format": None, "index": 0},
    {"type": "reasoning.encrypted", "data": "e2==", "index": 1},
]
ENTRIES = [
    {
        "type": "reasoning.text", "text": "two and two", "format": "anthropic-claude-v1",
        "index": 0, "signature": "sig=",
    },
    DETAILS[4],
    DETAILS[5],
]  # fmt: skip


@pytest.mark.row("REAS-12", "REAS-14", "REAS-06", "PAIN-11")
def test_reasoning_details() -> None:
    by_pieces = streamed(*(chunk({"reasoning_details": [d]}) for d in DETAILS), text("4"), STOP)
    at_once = whole({"reasoning": "two and two", "reasoning_details": ENTRIES, "content": "4"})
    for message in (by_pieces, at_once):
        assert message.parts == (
            ThinkingPart("two and two", "sig=", provider="openai"),
            ThinkingPart("", None, "e1==", "openai", "r1"),
            ThinkingPart("", None, "e2==", "openai"),
            TextPart("4"),
        )
        assert message.provider_metadata["reasoning_details"] == ENTRIES
        request = ChatRequest((message,), GenerateOptions(model="m"))
        assert dialect().encode(request).json["messages"][0]["reasoning_details"] == ENTRIES


def test_details_that_say_nothing() -> None:
    pieces = [
        {"type": "reasoning.text", "text": "one ", "signature": "s", "index": 0},
        {"type": "reasoning.text", "text": "two", "signature": None, "index": 0},
        {"type": "reasoning.text", "format": "unknown", "index": 1},
    ]
    message = streamed(*(chunk({"reasoning_details": [p]}) for p in pieces), text("4"), STOP)
    assert message.parts == (ThinkingPart("one two", "s", provider="openai"), TextPart("4"))


def test_encrypted_details_beside_plain_reasoning() -> None:
    entry = {"type": "reasoning.encrypted", "data": "e1==", "index": 0}
    message = whole({"reasoning": "hm", "reasoning_details": [entry], "content": "4"})
    assert message.thinking == "hm"
    assert message.parts[1] == ThinkingPart("", None, "e1==", "openai")


@pytest.mark.row("REAS-12", "DIAL-05")
def test_plain_reasoning_goes_on_after_encrypted_details() -> None:
    entry = {"type": "reasoning.encrypted", "data": "e1==", "index": 0}
    message = streamed(
        chunk({"reasoning": "A", "reasoning_details": [entry]}),
        chunk({"reasoning": "B"}),
        chunk({"reasoning": "C", "content": "4"}),
        STOP,
    )
    assert message == whole({"reasoning": "ABC", "reasoning_details": [entry], "content": "4"})
    assert message.parts[0] == ThinkingPart("ABC")


# --- tool calls ---------------------------------------------------------------------------------


def calls_of(*deltas: list[dict[str, Any]], finish: str = "tool_calls") -> tuple[ToolCall, ...]:
    frames = [chunk({"tool_calls": delta}) for delta in deltas]
    message = streamed(chunk({"role": "assistant", "content": None}), *frames, chunk({}, finish))
    assert message.finish_reason == "tool_calls"
    return message.tool_calls


def piece(index: Any, arguments: Any, name: Any = None, id: Any = None) -> dict[str, Any]:
    found = {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}
    return {key: value for key, value in found.items() if value is not None}


EXPECTED = (ToolCall("a", "add", '{"x": 1}'), ToolCall("b", "mul", '{"x": 2}'))


@pytest.mark.row("TOOL-13", "TOOL-16", "PROV-34")
@pytest.mark.parametrize(
    "deltas",
    [
        [[piece(0, "", "add", "a")], [piece(0, '{"x"')], [piece(0, ": 1}")],
         [piece(1, "", "mul", "b")], [piece(1, '{"x": 2}')]],
        [[piece(0, None, "add", "a"), piece(1, None, "mul", "b")],
         [piece(1, '{"x": 2}'), piece(0, '{"x": 1}')]],
        [[piece(0, '{"x": 1}', "add", "a")], [piece(0, '{"x": 2}', "mul", "b")]],
        [[piece(None, '{"x": 1}', "add", "a")], [piece(None, '{"x": 2}', "mul", "b")]],
        [[piece(0, '{"x"', "add", "a")], [piece(0, ": 1}", "add", "a")],
         [piece(1, '{"x": 2}', "mul")], [piece(1, "", id="b")]],
        [[piece(0, {"x": 1}, "add", "a")], [piece(1, {"x": 2}, "mul", "b")]],
    ],
    ids=["usual", "interleaved", "index-reused", "no-index", "repeated-and-late", "objects"],
)  # fmt: skip
def test_tool_calls_in_streams(deltas: Any) -> None:
    found = calls_of(*deltas)
    assert [(call.id, call.name, call.args) for call in found] == [
        (call.id, call.name, call.args) for call in EXPECTED
    ]


@pytest.mark.row("DIAL-01")
def test_ids_that_are_made_up_differ_by_chance() -> None:
    function = {"name": "f", "arguments": "{}"}
    body = sse(chunk({"tool_calls": [{"index": 0, "function": function}]}), STOP)
    made = {decode_bytes(OpenAIChatDialect("x"), body).tool_calls[0].id for _ in range(9)}
    assert len(made) == 9
    assert all(re.fullmatch("call_[0-9a-f]{24}", name) for name in made)


@pytest.mark.row("TOOL-14")
def test_calls_without_ids_get_one() -> None:
    without = [[piece(0, "{}", "add")], [piece(1, "{}", "mul")]]
    assert [call.id for call in calls_of(*without)] == ["made_1", "made_2"]
    unnumbered = [[piece(None, "{}", "add"), piece(None, "{}", "add")], [piece(None, "{}", "mul")]]
    assert [(c.name, c.arguments) for c in calls_of(*unnumbered)] == [
        ("add", "{}"), ("add", "{}"), ("mul", "{}"),
    ]  # fmt: skip
    message = whole({"tool_calls": [piece(None, "{}", "add"), piece(0, "{}", "mul")]})
    assert [(c.id, c.name) for c in message.tool_calls] == [("made_1", "add"), ("made_2", "mul")]


ONE, TWO = '{"a":1}', '{"a":2}'


@pytest.mark.row("TOOL-14", "TOOL-16")
@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        ([(None, None, "f", ONE), (None, "b", "f", TWO)],
         [("made_1", "f", ONE), ("b", "f", TWO)]),
        ([(0, None, "f", ONE), (0, "b", "g", TWO)], [("made_1", "f", ONE), ("b", "g", TWO)]),
        ([(0, None, "f", ONE), (0, None, "g", TWO)],
         [("made_1", "f", ONE), ("made_2", "g", TWO)]),
        ([(0, None, "f", ""), (0, "b", "f", ONE)], [("b", "f", ONE)]),
        ([(0, None, "f", ONE), (0, "b", None, "")], [("b", "f", ONE)]),
        ([(None, None, "f", ""), (1, "b", "g", TWO), (1, "b", None, "")],
         [("made_1", "f", "{}"), ("b", "g", TWO)]),
        ([(None, None, "f", ""), (None, None, "g", "")],
         [("made_1", "f", "{}"), ("made_2", "g", "{}")]),
    ],
)  # fmt: skip
def test_where_calls_begin_without_ids(fragments: Any, expected: Any) -> None:
    """However the arguments are cut, and on both ways through the decoder."""
    for size in (100, 1):
        cut = []
        for index, call_id, name, text in fragments:
            first, *rest = [text[at : at + size] for at in range(0, len(text), size)] or [""]
            cut += [[piece(index, first, name, call_id)], *([piece(index, more)] for more in rest)]
        assert [(call.id, call.name, call.arguments) for call in calls_of(*cut)] == expected


@pytest.mark.row("SCHE-16", "TOOL-15")
@pytest.mark.parametrize("arguments", ["", None, "null"])
def test_absent_arguments(arguments: Any) -> None:
    assert whole({"tool_calls": [piece(0, arguments, "f", "1")]}).tool_calls[0].args == {}


@pytest.mark.row("TOOL-15", "SCHE-22")
def test_arguments_that_were_cut_off() -> None:
    message = streamed(chunk({"tool_calls": [piece(0, '{"x": ', "f", "1")]}), chunk({}, "length"))
    assert message.finish_reason == "length"
    with pytest.raises(ToolArgumentsError) as caught:
        _ = message.tool_calls[0].args
    assert caught.value.raw == '{"x": '


@pytest.mark.row("SCHE-22")
def test_stop_with_calls_means_tool_calls() -> None:
    message = whole({"tool_calls": [piece(0, "{}", "f", "1")]}, "stop")
    assert (message.finish_reason, message.raw_finish_reason) == ("tool_calls", "stop")


@pytest.mark.row("PROV-34")
def test_placeholders_invent_no_call() -> None:
    empty = {
        "content": "a",
        "function_call": {"name": "", "arguments": ""},
        "tool_calls": [{"index": 0, "id": None, "function": {"name": None, "arguments": ""}}],
        "refusal": "",
        "audio": {"id": "", "data": "", "transcript": ""},
    }
    for message in (whole(empty), streamed(text(""), chunk(empty), STOP)):
        assert message.tool_calls == ()
        assert message.refusal is None
        assert message.finish_reason == "stop"
        assert "audio" not in message.provider_metadata


def test_the_former_function_call() -> None:
    expected = (ToolCall("made_1", "f", '{"x": 1}'),)
    call = {"name": "f", "arguments": '{"x": 1}'}
    assert whole({"content": None, "function_call": call}, "function_call").tool_calls == expected
    message = streamed(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"x"'}}),
        chunk({"function_call": {"arguments": ": 1}"}}),
        chunk({}, "function_call"),
    )
    assert message.tool_calls == expected
    assert message.finish_reason == "tool_calls"


@pytest.mark.row("TOOL-16")
def test_the_former_function_call_beside_the_same_in_tool_calls() -> None:
    function = {"name": "f", "arguments": '{"x": 1}'}
    listed = [{"index": 0, "id": "a", "function": function}]
    both = {"tool_calls": listed, "function_call": function}
    expected = (ToolCall("a", "f", '{"x": 1}'),)
    assert whole(both).tool_calls == expected
    assert streamed(chunk(both), chunk({}, "tool_calls")).tool_calls == expected


# --- usage --------------------------------------------------------------------------------------


@pytest.mark.row("PROV-16", "PAIN-09")
@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
             "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1},
             "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0}},
            Usage(10, 5, 15, 4, None, 3, 1, 0),
        ),
        ({"prompt_tokens": 10, "completion_tokens": None}, Usage(10)),
        ({"prompt_tokens": 10.0, "completion_tokens": float("inf")}, Usage(10)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(0, 0, 0)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 2}, Usage(10, 5, 15, 2)),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 7},
            Usage(10, 5, 15, 7),
        ),
        (
            {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 303,
             "completion_tokens_details": {"reasoning_tokens": 290}},
            Usage(12, 291, 303, reasoning_tokens=290),
        ),
        (
            {"prompt_tokens": 40, "completion_tokens": 14, "total_tokens": 54,
             "completion_tokens_details": {"reasoning_tokens": 43}},
            Usage(40, 14, 54, reasoning_tokens=43),
        ),
    ],
)  # fmt: skip
def test_token_counts(counts: dict[str, Any], usage: Usage) -> None:
    assert whole({"content": "a"}, usage=counts).usage == usage
    assert streamed(text("a"), STOP, {**HEAD, "choices": [], "usage": counts}).usage == usage
    assert streamed(text("a"), {**STOP, "x_groq": {"usage": counts}}).usage == usage


@pytest.mark.row("STRE-12", "STRE-13", "PAIN-09")
def test_cumulative_and_partial_counts() -> None:
    def counted(piece: str, **counts: Any) -> dict[str, Any]:
        return {**text(piece), "usage": counts}

    message = streamed(
        counted("a", prompt_tokens=5, completion_tokens=None, total_tokens=None),
        counted("b", prompt_tokens=5, completion_tokens=2, total_tokens=7),
        {**STOP, "usage": None},
    )
    assert message.usage == Usage(5, 2, 7)
    cut = streamed(counted("a", prompt_tokens=5, completion_tokens=1), done=False)
    assert cut.partial.usage == Usage(5, 1, 6)
    assert streamed(text("a"), STOP).usage == Usage()


@pytest.mark.row("PROV-16", "PAIN-09", "STRE-13")
def test_counts_inside_of_a_choice() -> None:
    """Moonshot counts on the frame of the finish reason, and again at the end if asked."""
    counts = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "cached_tokens": 3}
    inside = {**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    inside["choices"][0]["usage"] = counts
    for message in (
        streamed(text("a"), inside),
        streamed(text("a"), inside, {**HEAD, "choices": [], "usage": counts}),
        streamed(text("a"), inside, done=False),
    ):
        assert (message.text, message.usage) == ("a", Usage(5, 2, 7, 3))
        assert "usage" not in message.provider_metadata


def test_a_cost_beside_the_counts_is_kept() -> None:
    counts = {"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.25}
    assert whole({"content": "a"}, usage=counts).provider_metadata["usage"]["cost"] == 0.25
    assert "usage" not in whole({"content": "a"}, usage={"prompt_tokens": 1}).provider_metadata


@pytest.mark.row("PROV-16", "DIAL-07")
def test_counts_beyond_all_numbers_are_absent() -> None:
    body = b"""{"choices": [{"message": {"content": "a"}}],
        "usage": {"prompt_tokens": 1e999, "completion_tokens": 2, "total_tokens": -1e999}}"""
    assert decode_bytes(dialect(), body, stream=False).usage == Usage(None, 2)


def test_counts_at_another_place() -> None:
    quirks = ChatQuirks(usage_path=("meta.tokens",))
    message = whole({"content": "a"}, meta={"tokens": {"prompt_tokens": 7}}, quirks=quirks)
    assert message.usage == Usage(7)


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.row("STRE-22", "PROV-34")
@pytest.mark.parametrize(
    "frame",
    [
        {"error": {"message": "too busy", "type": "overloaded_error"}},
        {"error": "overloaded"},
        {**chunk({"content": ""}, "error"), "error": {"code": 529, "message": "overloaded"}},
        chunk({}, "error", error={"message": "overloaded"}),
        {**HEAD, "choices": [{"index": 0, "error": {"message": "overloaded"}}]},
        'event: error\ndata: {"error": {"message": "overloaded"}}',
        "error: overloaded",
        {"object": "error", "message": "overloaded", "code": 529},
        {"success": False, "errors": [{"code": 3040, "message": "overloaded"}]},
        {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "overloaded"},
        {"choices": [], "detail": "overloaded"},
    ],
)
def test_errors_inside_a_stream(frame: Any) -> None:
    error = streamed(text("a"), frame, text("b"), STOP)
    assert isinstance(error, OverloadedError)
    assert error.provider == "openai"
    assert error.status == 200
    assert error.partial.text == "a"


@pytest.mark.row("STRE-22", "PROV-34")
def test_an_error_as_the_body_of_a_good_answer() -> None:
    body = b'{"error": {"message": "no such model", "code": "model_not_found"}}'
    for stream in (False, True):
        assert isinstance(decode_bytes(dialect(), body, stream=stream), ModelNotFoundError)
    listed = decode_bytes(dialect(), b'[{"error": {"message": "x", "code": 401}}]', stream=False)
    assert isinstance(listed, AuthenticationError)
    several = b'{"result": null, "errors": [{"code": 1, "message": "overloaded"}]}'
    assert isinstance(decode_bytes(dialect(), several, stream=False), OverloadedError)


@pytest.mark.row("DIAL-07", "STRE-22")
@pytest.mark.parametrize("error", [False, None, "", {}, [], 0, {"message": None}])
def test_no_error(error: Any) -> None:
    choice = {"index": 0, "delta": {"content": "b"}, "error": error}
    message = streamed({**text("a"), "error": error}, {**HEAD, "choices": [choice]}, STOP)
    assert message.text == "ab"
    assert "error" not in message.provider_metadata
    assert whole({"content": "a"}, error=error).text == "a"
    for name in ("errors", "error_code", "detail"):
        assert whole({"content": "a"}, **{name: error}).text == "a"
        assert whole({"content": "a"}, **{name: "beside choices"}).text == "a"
        assert streamed(text("a"), {"choices": [], name: error}, STOP).text == "a"


@pytest.mark.row("ERRO-15")
def test_answers_without_any_choice() -> None:
    for body in (b'{"choices": []}', b'{"id": "1"}', b'{"choices": null}'):
        assert isinstance(decode_bytes(dialect(), body, stream=False), EmptyResponseError)
    assert isinstance(streamed(), EmptyResponseError)
    empty = whole({"content": ""}, "stop")
    assert (empty.text, empty.finish_reason) == ("", "stop")
    assert whole(None, "content_filter").finish_reason == "content_filter"


@pytest.mark.row("ERRO-14")
def test_damaged_answers() -> None:
    for body in (b"", b"{", b"3", b"[1, 2]"):
        assert isinstance(decode_bytes(dialect(), body, stream=False), MalformedResponseError)
    error = streamed(text("a"), "data: {bad}", STOP)
    assert isinstance(error, MalformedResponseError)
    assert error.partial.text == "a"


def refused(
    status: int, body: Any, quirks: ChatQuirks | None = None, **headers: str
) -> BelugaError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return dialect(quirks).error(status, names, data, now=0.0)


@pytest.mark.row("ERRO-05", "ERRO-07", "ERRO-11", "ERRO-12", "ERRO-25", "ERRO-29")
@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (401, {"message": "Incorrect API key provided"}, AuthenticationError),
        (400, {"message": "no", "type": "invalid_request_error"}, InvalidRequestError),
        (400, {"message": "no", "code": "context_length_exceeded"}, ContextLengthError),
        (400, {"message": "This model's maximum context length is 8"}, ContextLengthError),
        (400, {"message": "no", "code": "content_filter"}, ContentFilterError),
        (404, {"message": "no", "code": "model_not_found"}, ModelNotFoundError),
        (429, {"message": "slow down", "code": "rate_limit_exceeded"}, RateLimitError),
        (429, {"message": "pay", "code": "insufficient_quota"}, QuotaExceededError),
        (503, {"message": "down"}, ProviderUnavailableError),
    ],
)
def test_http_errors(status: int, error: Any, kind: type[BelugaError]) -> None:
    found = refused(status, {"error": error}, x_request_id="req_1")
    assert type(found) is kind
    assert error["message"] in found.message
    assert (found.status, found.request_id) == (status, "req_1")
    assert found.provider_code == (error.get("code") or error.get("type"))


@pytest.mark.row("PROV-02", "ERRO-07")
def test_a_vendors_own_words_for_errors() -> None:
    quirks = ChatQuirks(
        error_codes={"E_LONG": "ContextLengthError"},
        error_patterns={"blocked by us": "ContentFilterError"},
    )
    assert isinstance(refused(400, {"error": {"code": "e_long"}}, quirks), ContextLengthError)
    assert isinstance(refused(400, {"error": "Blocked by us"}, quirks), ContentFilterError)


@pytest.mark.row("ERRO-11")
def test_when_to_try_again() -> None:
    assert refused(429, {"error": "slow"}, retry_after="7").retry_after == 7


# --- laws ---------------------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
calls = st.lists(st.tuples(words, st.dictionaries(words, st.integers(), max_size=2)), max_size=3)


@st.composite
def answers(draw: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": draw(words | st.none())}
    if draw(st.booleans()):
        message["reasoning_content"] = draw(words)
    if draw(st.booleans()):
        message["refusal"] = draw(words)
    found = draw(calls)
    if found:
        message["tool_calls"] = [
            {
                "id": f"call_{index}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for index, (name, arguments) in enumerate(found)
        ]
    return message


def in_pieces(value: str, draw: Any) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(value)), max_size=3)))
    return [value[a:b] for a, b in itertools.pairwise([0, *cuts, len(value)])]


def deltas_of(message: dict[str, Any], draw: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for key in ("reasoning_content", "content", "refusal"):
        found += [{key: cut} for cut in in_pieces(message.get(key) or "", draw)]
    for index, call in enumerate(message.get("tool_calls", ())):
        head, *rest = in_pieces(call["function"]["arguments"], draw)
        function = {"name": call["function"]["name"], "arguments": head}
        found.append({"tool_calls": [{**call, "index": index, "function": function}]})
        found += [{"tool_calls": [piece(index, cut)]} for cut in rest]
    return found


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.mark.row("DIAL-05", "PAIN-09", "PAIN-10")
@given(answers(), st.sampled_from(["stop", "length", "content_filter"]), st.data())
def test_generate_is_the_fold_of_stream(message: Any, finish: str, data: Any) -> None:
    """However the deltas and the bytes are cut."""
    frames = [chunk(delta) for delta in deltas_of(message, data.draw)]
    body = sse(*frames, chunk({}, finish), {**HEAD, "choices": [], "usage": USAGE})
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=5))
    got = decode_bytes(dialect(), body, cuts=cuts)
    assert got == whole(message, finish, usage=USAGE)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab\n", max_size=3),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from((
            "choices", "delta", "message", "content", "tool_calls", "function", "name", "index",
            "arguments", "id", "finish_reason", "usage", "prompt_tokens", "reasoning_details",
            "text", "type", "images", "image_url", "url", "logprobs", "thinking", "refusal",
            "function_call", "model", "x_groq",
        )),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.row("DIAL-07")
@given(json_values, json_values, st.booleans())
def test_no_value_of_any_type_breaks_the_decoder(delta: Any, choice: Any, stream: bool) -> None:
    base = choice if isinstance(choice, dict) else {}
    item = {**base, "delta": delta, "message": delta}
    frame = {"choices": [item, choice], "usage": choice}
    got = (
        decode_bytes(dialect(), sse(text("a"), frame, chunk(delta), frame))
        if stream
        else decode_bytes(dialect(), json.dumps(frame).encode(), stream=False)
    )
    assert isinstance(got, AIMessage | BelugaError)
    assert not isinstance(got, MalformedResponseError)

"""Responses answers, written by hand from the vendor's reference."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.corpus import decode_bytes
from support.responses import (
    Json,
    answer,
    call,
    dialect,
    end,
    message,
    outputs,
    reasoning,
    response,
    stream_of,
    whole,
)

from beluga_llm import _errors as errors
from beluga_llm._chunks import StreamChunk
from beluga_llm._fold import fold
from beluga_llm._http.dialect import PING, InBandError
from beluga_llm._json import JsonError, dumps
from beluga_llm._messages import AIMessage, HumanMessage
from beluga_llm._options import GenerateOptions
from beluga_llm._parts import TextPart, ThinkingPart
from beluga_llm._replay import replay
from beluga_llm._request import ChatRequest
from beluga_llm._usage import FinishReason, Usage


def chunks_of(*events: Json | bytes) -> list[StreamChunk]:
    decoder = dialect().decoder(ChatRequest((HumanMessage("hi"),), GenerateOptions(model="asked")))
    data = (event if isinstance(event, bytes) else dumps(event) for event in events)
    return [chunk for frame in data for chunk in decoder.feed("", frame)]


def text(delta: Any, **fields: Any) -> Json:
    return {"type": "response.output_text.delta", "delta": delta, "output_index": 0, **fields}


# --- parts -------------------------------------------------------------------------------------


@pytest.mark.row("REAS-06", "REAS-09", "PROV-31")
def test_summary_parts_stay_several_parts_of_one_item() -> None:
    got = answer(
        reasoning("one", "two", encrypted_content="gAAA"),
        message("Hello", " there"),
    )
    assert got.parts == (
        ThinkingPart("one", provider="openai", id="rs_1"),
        ThinkingPart("two", redacted_data="gAAA", provider="openai", id="rs_1"),
        TextPart("Hello"),
        TextPart(" there"),
    )
    assert got.text == "Hello there"
    assert got.thinking == "onetwo"


@pytest.mark.row("REAS-14", "SCHE-13")
def test_encrypted_reasoning_without_text_is_a_part() -> None:
    got = answer(reasoning(encrypted_content="gAAA"), message("Hi"))
    assert got.parts[0] == ThinkingPart("", redacted_data="gAAA", provider="openai", id="rs_1")


def test_encrypted_reasoning_without_an_id_keeps_its_place() -> None:
    item = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    assert [part.type for part in answer(item, message("Hi")).parts] == ["thinking", "text"]


def test_reasoning_without_anything_is_no_part() -> None:
    assert answer(reasoning(), message("Hi")).parts == (TextPart("Hi"),)


@pytest.mark.row("SCHE-16", "TOOL-13", "SCHE-22")
def test_calls_remember_their_place() -> None:
    got = answer(
        reasoning("why"), call("a", '{"x":1}'), message("and"), call("b", call_id="call_2")
    )
    assert [(c.id, c.name, c.arguments, c.part_index) for c in got.tool_calls] == [
        ("call_1", "a", '{"x":1}', 1),
        ("call_2", "b", "{}", 3),
    ]
    assert got.finish_reason is FinishReason.TOOL_CALLS
    assert got.raw_finish_reason == "completed"


@pytest.mark.row("TOOL-14", "TOOL-15")
@pytest.mark.parametrize(
    ("arguments", "kept"),
    [(None, "{}"), ("", "{}"), ("null", "{}"), ({"x": 1}, '{"x":1}'), ('{"x": ', '{"x": ')],
)
def test_arguments_of_any_kind(arguments: Any, kept: str) -> None:
    (found,) = answer(call("f", arguments, call_id=None)).tool_calls
    assert (found.id, found.arguments) == ("call_made_0", kept)


def test_an_id_may_come_late() -> None:
    added = {"type": "response.output_item.added", "output_index": 0, "item": call(call_id="")}
    delta = {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"x":'}
    done = {
        "type": "response.output_item.done",
        "output_index": 0,
        "item": call(arguments='{"x":1}'),
    }
    got = fold(chunks_of(added, delta, {**delta, "delta": "1}"}, done, end()))
    assert [(c.id, c.name, c.arguments) for c in got.tool_calls] == [("call_1", "f", '{"x":1}')]


@pytest.mark.row("SCHE-33")
def test_a_refusal_is_not_text() -> None:
    refused = message("", content=[{"type": "refusal", "refusal": "No."}])
    got = answer(refused)
    assert (got.text, got.refusal, got.parts) == ("", "No.", ())
    assert got.finish_reason is FinishReason.CONTENT_FILTER
    assert got.raw_finish_reason == "completed"
    delta = {"type": "response.refusal.delta", "output_index": 0, "item_id": "msg_1"}
    assert fold(chunks_of({**delta, "delta": "N"}, {**delta, "delta": "o."}, end(refused))) == got


@pytest.mark.row("SCHE-27")
def test_logprobs_only_where_asked() -> None:
    item = message("Hi")
    item["content"][0]["logprobs"] = [{"token": "Hi", "logprob": -0.1, "top_logprobs": []}]
    asked = GenerateOptions(model="asked", logprobs=True)
    got = whole(response(item), asked)
    assert isinstance(got, AIMessage)
    assert got.logprobs == item["content"][0]["logprobs"]
    assert answer(item).logprobs is None
    unheard = whole(response(message("Hi")), asked)
    assert isinstance(unheard, AIMessage)
    assert unheard.logprobs is None


# --- the answer as a whole ---------------------------------------------------------------------


@pytest.mark.row("PROV-16", "SCHE-19", "PAIN-09")
def test_usage_includes_cache_and_reasoning() -> None:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 0},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 150,
    }
    assert answer(message("Hi"), usage=usage).usage == Usage(
        100, 50, 150, cached_tokens=64, cache_write_tokens=0, reasoning_tokens=40
    )
    assert answer(message("Hi"), usage=None).usage == Usage()
    bare = {"input_tokens": 1, "output_tokens": 2, "input_tokens_details": None}
    assert answer(message("Hi"), usage=bare).usage == Usage(1, 2, 3)


@pytest.mark.row("SCHE-22", "PROV-20", "STRE-31")
@pytest.mark.parametrize(
    ("fields", "raw", "finish"),
    [
        ({}, "completed", "stop"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "max_output_tokens",
            "length",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
            "content_filter",
        ),
        ({"status": "incomplete", "incomplete_details": None}, "incomplete", "other"),
        ({"status": "cancelled"}, "cancelled", "other"),
        ({"status": None}, None, "stop"),
    ],
)
def test_finish_reasons(fields: Json, raw: str | None, finish: str) -> None:
    got = answer(message("Hi"), **fields)
    assert (got.raw_finish_reason, got.finish_reason) == (raw, finish)


@pytest.mark.row("SCHE-22")
def test_a_call_that_was_cut_off_keeps_length() -> None:
    got = answer(
        call("f", '{"x": "ab', status="incomplete"),
        status="incomplete",
        incomplete_details={"reason": "max_output_tokens"},
    )
    assert got.finish_reason is FinishReason.LENGTH
    with pytest.raises(errors.ToolArgumentsError):
        _ = got.tool_calls[0].args


@pytest.mark.row("SCHE-23")
def test_the_model_asked_stands_in_for_one_that_is_not_reported() -> None:
    assert answer(message("Hi"), model=None).model_id == "asked"
    begin = {"type": "response.created", "response": {"id": "resp_1", "model": None}}
    assert fold(chunks_of(begin, text("Hi"), end(model=None))).model_id == "asked"
    begin["response"] = {"id": "resp_1", "model": "reported"}
    assert fold(chunks_of(begin, text("Hi"), end(model=None))).model_id == "reported"


@pytest.mark.row("SCHE-24")
def test_extras_keep_their_own_names() -> None:
    citation = {"type": "url_citation", "url": "https://example.org", "title": "x"}
    item = message("Hi", phase="final_answer")
    item["content"][0]["annotations"] = [citation]
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    usage = {"input_tokens": 1, "output_tokens": 1, "cost": 0.5}
    got = answer(
        search, item, service_tier="default", created_at=17, usage=usage, temperature=1, tools=[]
    )
    metadata = dict(got.provider_metadata)
    remembered = metadata.pop("output_items")
    assert metadata == {
        "service_tier": "default",
        "created_at": 17,
        "usage": {"cost": 0.5},
        "annotations": [citation],
    }
    assert remembered["provider"] == "openai"
    assert remembered["items"][0] == search
    assert "Hi" not in json.dumps(remembered)


@pytest.mark.row("ERRO-15")
@pytest.mark.parametrize("body", [{}, {"output": []}, response(), {"output": None}])
def test_no_output_at_all(body: Json) -> None:
    assert isinstance(whole(body), errors.EmptyResponseError)


@pytest.mark.row("ERRO-15")
def test_no_output_for_a_reason_is_an_answer() -> None:
    got = answer(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert (got.parts, got.finish_reason) == ((), FinishReason.LENGTH)


# --- errors ------------------------------------------------------------------------------------

FAILED = {"code": "server_error", "message": "The model failed."}


@pytest.mark.row("STRE-22", "PROV-31")
@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (response(status="failed", error=FAILED), errors.ProviderUnavailableError, "server_error"),
        (
            response(status="failed", error={"code": "rate_limit_exceeded", "message": "Slow."}),
            errors.RateLimitError,
            "rate_limit_exceeded",
        ),
        (
            response(status="failed", error={"code": "invalid_prompt", "message": "Flagged."}),
            errors.ContentFilterError,
            "invalid_prompt",
        ),
        (
            response(status="failed", error={"code": "invalid_image_url", "message": "Bad."}),
            errors.InvalidRequestError,
            "invalid_image_url",
        ),
        (
            {"error": {"message": "No.", "code": "insufficient_quota"}},
            errors.QuotaExceededError,
            "insufficient_quota",
        ),
        ({"error": "just words"}, errors.ProviderError, None),
        (response(status="failed", error=None), errors.ProviderError, None),
    ],
)
def test_errors_in_a_good_body(
    body: Json, kind: type[errors.BelugaError], code: str | None
) -> None:
    got = whole(body)
    assert isinstance(got, kind)
    assert got.provider_code == code
    assert got.status == 200
    if body.get("status") != "failed":
        return
    for event in ("failed", "completed"):  # some servers say it in the status only
        failed = {"type": f"response.{event}", "response": body}
        streamed = decode_bytes(dialect(), b"data: " + dumps(failed) + b"\n\n")
        assert type(streamed) is type(got)
        assert str(streamed) == str(got)


@pytest.mark.row("STRE-22")
@pytest.mark.parametrize(
    "frame",
    [
        b'data: {"type":"error","code":"rate_limit_exceeded","message":"Slow.","param":null}',
        b'event: error\ndata: {"error":{"code":"rate_limit_exceeded","message":"Slow."}}',
        b'data: {"type":"error","error":{"type":"rate_limit_error","message":"Slow."}}',
        b'data: {"error":{"code":"rate_limit_exceeded","message":"Slow."}}',
    ],
)
def test_errors_in_a_stream_keep_what_came_before(frame: bytes) -> None:
    begun = b"data: " + dumps(text("Hel")) + b"\n\n"
    got = decode_bytes(dialect(), begun + frame + b"\n\n")
    assert isinstance(got, errors.RateLimitError)
    assert "Slow." in got.message
    assert got.partial is not None
    assert got.partial.text == "Hel"


def test_an_error_frame_need_not_be_json() -> None:
    decoder = dialect().decoder(ChatRequest((HumanMessage("hi"),)))
    with pytest.raises(InBandError):
        decoder.feed("error", b"upstream died")
    with pytest.raises(JsonError):
        decoder.feed("", b"upstream died")


# --- events ------------------------------------------------------------------------------------


@pytest.mark.row("PROV-31", "STRE-31")
def test_evidence_is_the_terminal_event() -> None:
    decoder = dialect().decoder(ChatRequest((HumanMessage("hi"),)))
    decoder.feed("", dumps(text("Hi")))
    decoder.feed("", b"[DONE]")
    assert not decoder.complete
    decoder.feed("", dumps(end(message("Hi"))))
    assert decoder.complete
    assert decoder.ended
    assert decoder.feed("", b"[DONE]") == ()


@pytest.mark.row("PROV-31", "STRE-23")
def test_keepalives_are_pings() -> None:
    decoder = dialect().decoder(ChatRequest((HumanMessage("hi"),)))
    assert decoder.feed("keepalive", b'{"type":"keepalive","sequence_number":3}') is PING
    assert decoder.feed("keepalive", b"{}") is PING


@pytest.mark.row("DIAL-07")
@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.from.the.future", "delta": "x"},
        {"type": "response.output_text.delta", "delta": None, "output_index": None},
        {"type": "response.output_text.delta", "delta": {"x": 1}},
        {"type": "response.refusal.delta", "delta": None},
        {"type": "response.reasoning_text.delta"},
        {"type": "response.function_call_arguments.delta", "delta": None},
        {"type": "response.output_item.added", "item": None},
        {"type": "response.output_item.done", "item": "x"},
        {"type": "response.output_item.added", "item": {"type": "hologram"}, "output_index": [1]},
        {"type": "response.created", "response": None},
        {"type": 7},
    ],
)
def test_strange_events_say_nothing(event: Json) -> None:
    assert chunks_of(event) == []


@pytest.mark.row("DIAL-07")
def test_strange_items_are_kept_raw() -> None:
    strange = {"type": "hologram", "id": "h_1", "beam": [1]}
    odd = message("Hi", content=[None, {"type": "hologram"}, {"type": "output_text", "text": None}])
    nulls = {"type": "reasoning", "id": None, "summary": None, "content": None}
    got = answer(strange, odd, nulls, "text", message("Hi"), tools=None)  # type: ignore[arg-type]
    assert got.parts == (TextPart("Hi"),)
    assert got.provider_metadata["output_items"]["items"][0] == strange


def test_deltas_without_any_place_belong_to_the_item_of_their_id() -> None:
    """As llama.cpp sends them."""
    thought = {"type": "response.reasoning_text.delta", "item_id": "rs_1"}
    said = {"type": "response.output_text.delta", "item_id": "msg_1"}
    output = [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "hm so"}],
        },
        message("Hi you"),
    ]
    got = fold(
        chunks_of(
            {**thought, "delta": "hm"},
            {**thought, "delta": " so"},
            {**said, "delta": "Hi"},
            {**said, "delta": " you"},
            end(*output),
        )
    )
    assert got == answer(*output)
    assert got.parts == (ThinkingPart("hm so", provider="openai", id="rs_1"), TextPart("Hi you"))


def test_ids_that_change_from_event_to_event() -> None:
    """As a proxy sends them that encrypts ids: the place counts."""
    ids = (f"msg_{count}" for count in itertools.count())
    events = [text(delta, item_id=next(ids)) for delta in ("Hel", "lo")]
    done = {
        "type": "response.output_item.done",
        "output_index": 0,
        "item": message("Hello", id=next(ids)),
    }
    assert fold(chunks_of(*events, done, end(message("Hello", id=next(ids))))).text == "Hello"


def test_items_that_are_done_twice_are_said_once() -> None:
    done = {"type": "response.output_item.done", "output_index": 0, "item": message("Hello")}
    assert fold(chunks_of(done, done, end(message("Hello")))).text == "Hello"


def test_items_that_all_claim_one_place_are_still_several() -> None:
    first = {"type": "response.output_item.done", "output_index": 0, "item": message("one")}
    second = {**first, "item": message("two", id="msg_2")}
    output = [message("one"), message("two", id="msg_2")]
    got = fold(chunks_of(first, second, end(*output)))
    assert got.parts == (TextPart("one"), TextPart("two"))


# --- what is said once --------------------------------------------------------------------------


WHOLE_ENTRIES = [
    ("output_text", {"text": "Hi"}, message("Hi")),
    ("refusal", {"refusal": "No."}, message(content=[{"type": "refusal", "refusal": "No."}])),
    ("reasoning_summary_text", {"text": "why"}, reasoning("why")),
    (
        "reasoning_text",
        {"text": "why"},
        reasoning(content=[{"type": "reasoning_text", "text": "why"}]),
    ),
    ("function_call_arguments", {"arguments": '{"x":1}', "name": "f"}, call("f", '{"x":1}')),
]


@pytest.mark.row("PROV-31")
@pytest.mark.parametrize(("name", "fields", "item"), WHOLE_ENTRIES)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("repeated", [False, True])
def test_the_end_of_an_entry_says_what_no_delta_said(
    name: str, fields: Json, item: Json, streamed: bool, repeated: bool
) -> None:
    where = {"output_index": 0, "item_id": item["id"]}
    said = next(value for key, value in fields.items() if key != "name")
    delta = {"type": f"response.{name}.delta", "delta": said, **where}
    done = {"type": f"response.{name}.done", **fields, **where}
    output = [item] if repeated else []
    got = fold(chunks_of(*([delta] if streamed else []), done, end(*output)))
    want = answer(item)
    assert (got.parts, got.refusal) == (want.parts, want.refusal)
    assert [c.arguments for c in got.tool_calls] == [c.arguments for c in want.tool_calls]
    assert [c.name for c in got.tool_calls] == [c.name for c in want.tool_calls]


@pytest.mark.row("PROV-31")
def test_entries_that_were_not_streamed_are_said_from_the_item() -> None:
    assert fold(chunks_of(text("a", content_index=0), end(message("a", "b")))).text == "ab"
    delta = {"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "delta": "one"}
    item = reasoning("one", "two", encrypted_content="gAAA")
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    got = fold(
        chunks_of({**delta, "output_index": 0, "summary_index": 0}, done, end(item, message("Hi")))
    )
    assert got == answer(item, message("Hi"))
    assert got.thinking == "onetwo"


def test_entries_under_other_numbers_are_said_once() -> None:
    """As servers send them that number no entries, or all of them 0."""
    assert fold(chunks_of(text("a"), text("b"), end(message("a", "b")))).text == "ab"
    assert fold(chunks_of(text("a", content_index=1), end(message("a")))).text == "a"


def test_text_of_reasoning_may_come_after_its_secret() -> None:
    item = reasoning(encrypted_content="gAAA")
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    late = reasoning("why", encrypted_content="gAAA")
    assert fold(chunks_of(done, end(late))) == answer(late)


@pytest.mark.row("DIAL-07")
@pytest.mark.parametrize("content", ["Hi", [{"type": "text", "text": "Hi"}]])
def test_other_forms_of_text(content: Any) -> None:
    item = message(content=content)
    assert answer(item).parts == (TextPart("Hi"),)
    assert fold(chunks_of(text("Hi"), end(item))).text == "Hi"


@pytest.mark.row("DIAL-07")
@pytest.mark.parametrize("item", [{"id": "zz"}, {"id": "zz", "type": [[1]]}, {"type": None}])
def test_items_without_a_type_are_left_out(item: Json) -> None:
    got = answer(item, message("Hi"))
    assert got.text == "Hi"
    kept = got.provider_metadata["output_items"]["items"]
    assert [one["type"] for one in kept] == ["message"]
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    assert fold(chunks_of(done, text("Hi", output_index=1), end(item, message("Hi")))) == got


@pytest.mark.row("STRE-23", "DIAL-07")
@pytest.mark.parametrize(
    "frame",
    [
        b"event: heartbeat\ndata: ok",
        b"event: keepalive\ndata:",
        b"event: keep-alive\ndata: {}",
        b"data:",
        b"data: {}",
        b'data: {"foo":1}',
        b'data: {"status":"ok"}',
        b"data: null",
        b"event: x\ndata: 123",
        b"event: x\ndata: null",
        b"event: x\ndata: []",
        b"event: x\ndata: ok",
    ],
)
def test_events_that_mean_nothing_break_no_stream(frame: bytes) -> None:
    events = [dumps(text("Hel")), dumps(text("lo")), dumps(end(message("Hello")))]
    body = b"".join(b"%s\n\ndata: %s\n\n" % (frame, event) for event in events)
    got = decode_bytes(dialect(), body)
    assert isinstance(got, AIMessage), repr(got)
    assert got.text == "Hello"


@pytest.mark.row("STRE-23")
@pytest.mark.parametrize(
    ("event", "data"),
    [("heartbeat", b"ok"), ("ping", b""), ("", b" "), ("keep-alive", b"{}"), ("", b"")],
)
def test_signs_of_life_are_pings(event: str, data: bytes) -> None:
    request = ChatRequest((HumanMessage("hi"),))
    assert dialect().decoder(request).feed(event, data) is PING


def test_a_whole_body_must_be_an_object() -> None:
    for body in (b"", b"null", b"[]", b"ok"):
        assert isinstance(whole(body), errors.MalformedResponseError)


@pytest.mark.row("SCHE-19")
def test_counts_that_are_no_numbers_count_as_absent() -> None:
    usage = b'{"input_tokens":1e999,"output_tokens":true,"total_tokens":7.0}'
    body = dumps(response(message("Hi"), usage="HERE")).replace(b'"HERE"', usage)
    got = whole(body)
    assert isinstance(got, AIMessage)
    assert got.usage == Usage(None, None, 7)


@pytest.mark.row("SCHE-22")
@pytest.mark.parametrize(
    ("word", "finish"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter")],
)
def test_words_of_other_apis_for_the_end(word: str, finish: str) -> None:
    got = answer(message("Hi"), status=word)
    assert (got.raw_finish_reason, got.finish_reason) == (word, finish)


@pytest.mark.row("STRE-22")
@pytest.mark.parametrize("streaming", [True, False])
def test_a_failure_tells_what_it_cost(streaming: bool) -> None:
    usage = {"input_tokens": 5, "output_tokens": 2}
    body = response(status="failed", error=FAILED, usage=usage)
    event = {"type": "response.failed", "response": body} if streaming else body
    decoder = dialect().decoder(ChatRequest((HumanMessage("hi"),), streaming=streaming))
    with pytest.raises(InBandError) as caught:
        decoder.feed("", dumps(event))
    assert fold(caught.value.chunks).usage == Usage(5, 2, 7)


# --- laws --------------------------------------------------------------------------------------


@pytest.mark.row("SCHE-34", "DIAL-05", "PAIN-09", "PAIN-10")
@given(outputs, st.data())
def test_generate_is_the_fold_of_stream(output: list[Json], data: st.DataObject) -> None:
    streamed = fold(chunks_of(*stream_of(output, data.draw)))
    assert streamed == answer(*output)
    assert fold(replay(streamed)) == streamed


def test_done_events_that_say_nothing() -> None:
    """A delta or the item itself says it, before or after."""
    place = {"output_index": 0, "item_id": "i_1"}
    assert (
        chunks_of(
            {"type": "response.refusal.done", "refusal": "", **place},
            {"type": "response.function_call_arguments.done", "arguments": "", **place},
            {"type": "response.output_text.done", "text": "", **place},
        )
        == []
    )

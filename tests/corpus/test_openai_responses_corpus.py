"""Recorded Responses traffic of every vendor: answers, cuts, and answers sent back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.corpus import (
    Case,
    check_expect,
    corpus_cases,
    decode_bytes,
    decode_case,
    find_cases,
    opaque_values,
    random_cuts,
    requires_corpus,
)
from support.neutral import neutral_request
from support.oracle import request_problems

from beluga_llm._dialects.openai_responses import OpenAIResponsesDialect
from beluga_llm._errors import BelugaError, StreamInterruptedError
from beluga_llm._json import dumps, loads
from beluga_llm._messages import AIMessage, HumanMessage, ToolMessage, replace
from beluga_llm._options import GenerateOptions
from beluga_llm._request import ChatRequest
from beluga_llm._serialize import from_dict, to_dict

EVERY_BORDER_BELOW = 6_000
ALL = corpus_cases("responses")
STREAMS = corpus_cases("responses", stream=True)


def dialect_of(case: Case) -> OpenAIResponsesDialect:
    return OpenAIResponsesDialect(case.provider, new_id=lambda: "call_made")


def decoded(case: Case, body: bytes | None = None, *, stream: bool | None = None) -> AIMessage:
    got = decode_bytes(
        dialect_of(case),
        case.body if body is None else body,
        stream=case.stream if stream is None else stream,
        model=case.model,
    )
    assert isinstance(got, AIMessage), repr(got)
    return got


def events_of(case: Case) -> list[dict[str, Any]]:
    lines = case.body.decode().splitlines()
    data = [line[5:].strip() for line in lines if line.startswith("data:")]
    return [json.loads(text) for text in data if text != "[DONE]"]


def sse(events: list[dict[str, Any]]) -> bytes:
    return b"".join(b"data: %s\n\n" % dumps(event) for event in events)


def response_of(case: Case) -> dict[str, Any]:
    return events_of(case)[-1]["response"] if case.stream else loads(case.body)


def answered() -> Iterator[Case]:
    for case in find_cases("responses"):
        if case.status == 200:
            yield case


@pytest.mark.row("PROV-31", "SCHE-22", "PROV-16", "PROV-20", "TOOL-13", "PAIN-09")
@pytest.mark.parametrize("case", ALL)
def test_recorded_answers(case: Case) -> None:
    check_expect(decode_case(dialect_of(case), case), case)


@pytest.mark.row("PAIN-10", "TOOL-16")
@pytest.mark.parametrize("case", STREAMS)
def test_cuts_change_nothing(case: Case) -> None:
    whole = decode_case(dialect_of(case), case)
    assert decode_case(dialect_of(case), case, cuts=random_cuts(case.body)) == whole
    if len(case.body) < EVERY_BORDER_BELOW:
        assert decode_case(dialect_of(case), case, cuts=range(1, len(case.body))) == whole


@pytest.mark.row("SCHE-34", "DIAL-05", "STRE-13")
@pytest.mark.parametrize("case", STREAMS)
def test_a_stream_and_its_response_as_a_whole_body_are_one_message(case: Case) -> None:
    assert decoded(case, dumps(response_of(case)), stream=False) == decoded(case)


@pytest.mark.row("PROV-31")
@pytest.mark.parametrize("case", STREAMS)
@pytest.mark.parametrize("missing", ["deltas", "items", "added", "output", "places"])
def test_servers_may_send_fewer_events(case: Case, missing: str) -> None:
    """Whatever is said twice may be missing once."""
    events = events_of(case)
    if missing == "deltas":
        events = [event for event in events if not event["type"].endswith(".delta")]
    if missing == "items":
        events = [events[0], events[-1]]
    if missing == "added":
        events = [event for event in events if not event["type"].endswith(".added")]
    if missing == "output":
        events[-1]["response"]["output"] = []
    if missing == "places":
        events = [{k: v for k, v in event.items() if k != "output_index"} for event in events]
    got, want = decoded(case, sse(events)), decoded(case)
    if missing == "output":  # the same reasoning, as it was encrypted for another event
        got, want = without_opaque(got), without_opaque(want)
    assert got == want


def without_opaque(message: AIMessage) -> AIMessage:
    parts = [replace(p, redacted_data=None) if p.type == "thinking" else p for p in message.parts]
    return replace(message, parts=tuple(parts), provider_metadata={})


@pytest.mark.row("PAIN-02", "STRE-09")
@pytest.mark.parametrize("case", STREAMS)
def test_what_is_cut_off_is_never_an_answer(case: Case) -> None:
    whole, events = decoded(case), events_of(case)
    for count in sorted({*range(0, len(events), 7), len(events) - 1}):
        got = decode_bytes(dialect_of(case), sse(events[:count]), stream=True, model=case.model)
        assert isinstance(got, StreamInterruptedError)
        partial = got.partial
        assert partial is not None
        assert whole.text.startswith(partial.text)
        assert whole.thinking.startswith(partial.thinking)
        assert partial.finish_reason is None
        assert opaque_values(partial) <= opaque_values(whole)


@pytest.mark.row("REAS-14", "PAIN-11", "PROV-31")
@pytest.mark.parametrize("case", ALL)
def test_an_answer_goes_back_as_it_came(case: Case) -> None:
    got = decode_case(dialect_of(case), case)
    if isinstance(got, BelugaError):
        pytest.skip("no answer")
    items = input_after(case, from_dict(json.loads(json.dumps(to_dict(got)))))
    output = [{**item} for item in response_of(case)["output"]]
    if any(_is_stub(item) for item in output):
        assert not any("id" in item for item in items)
        return
    assert comparable(items) == comparable(output)


def _is_stub(item: dict[str, Any]) -> bool:
    """Reasoning of which only the id came: it stands for nothing that a server still has."""
    return item["type"] == "reasoning" and not (
        item.get("encrypted_content") or item.get("content")
    )


def comparable(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    items = json.loads(json.dumps(items))
    for item in items:
        for entry in item.get("content") or ():
            entry.pop("logprobs", None)
    return items


def input_after(case: Case, message: AIMessage) -> list[dict[str, Any]]:
    return body_after(case, message)["input"][1 : len(message.tool_calls) * -1 or None]


def body_after(case: Case, message: AIMessage) -> dict[str, Any]:
    messages = [HumanMessage("hi"), message]
    messages += [ToolMessage("done", call.id) for call in message.tool_calls]
    request = ChatRequest(tuple(messages), GenerateOptions(model="gpt-5"))
    return loads(dumps(dialect_of(case).encode(request).json))


@requires_corpus
@pytest.mark.row("PROV-31")
def test_the_vendor_accepts_answers_sent_back() -> None:
    cases = [case for case in answered() if case.provider == "openai" and not case.exotic]
    bodies = [body_after(case, decoded(case)) for case in cases]
    problems = request_problems("openai", "responses", bodies)
    assert dict(zip([case.id for case in cases], problems, strict=True)) == {
        case.id: [] for case in cases
    }


@requires_corpus
@pytest.mark.row("PROV-31", "TOOL-22")
def test_the_vendor_accepts_the_recorded_conversations() -> None:
    cases = [
        case
        for case in find_cases("responses")
        if case.neutral.get("complete") and case.status == 200
    ]
    requests = [neutral_request(case) for case in cases]
    bodies = [
        loads(dumps(dialect_of(case).encode(request).json))
        for case, request in zip(cases, requests, strict=True)
    ]
    for body in bodies:
        for item in body["input"]:
            if item.get("type") == "reasoning":
                item.setdefault("id", "rs_1")  # the specification wants one, no server does
    problems = request_problems("openai", "responses", bodies)
    assert dict(zip([case.id for case in cases], problems, strict=True)) == {
        case.id: [] for case in cases
    }


@pytest.mark.row("PROV-31", "TOOL-14", "REAS-14")
@pytest.mark.parametrize("case", ALL)
def test_recorded_conversations_are_sent_as_recorded(case: Case) -> None:
    """Items of the same kinds with the same content, in the same order."""
    if not case.neutral.get("complete") or isinstance(case.request_body["input"], str):
        pytest.skip("not recorded as items")
    if case.status != 200:
        pytest.skip("not a request to imitate")
    request = neutral_request(case)
    sent = dialect_of(case).encode(request).json
    theirs = [essence(item) for item in case.request_body["input"]]
    ours = [essence(item) for item in loads(dumps(sent["input"]))]
    told = {"instructions": sent["instructions"]} if "instructions" in sent else {}
    if told and "instructions" not in case.request_body:
        ours = [("system", told["instructions"]), *ours]
    assert ours == [item for item in theirs if item is not None]


def essence(item: dict[str, Any]) -> Any:
    """What an item means, whatever it looks like; None for reasoning that says nothing opaque."""
    kind = item.get("type") or "message"
    if kind == "reasoning":
        opaque = item["encrypted_content"]
        texts = [entry["text"] for entry in item["summary"]]
        return (kind, opaque, texts) if opaque else None
    if kind == "function_call":
        return kind, item["call_id"], item["name"], json.loads(item["arguments"])
    if kind == "function_call_output":
        return kind, item["call_id"], item["output"]
    role = "system" if item["role"] == "developer" else item["role"]
    content = item["content"]
    if isinstance(content, list) and {entry["type"] for entry in content} <= {
        "input_text",
        "output_text",
    }:
        content = "".join(entry["text"] for entry in content)
    if isinstance(content, list):
        content = [{"detail": "auto", **e} if "image" in e["type"] else e for e in content]
    return role, content

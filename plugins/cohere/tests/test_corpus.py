"""Recorded traffic with Cohere: answers, and requests made again."""

from __future__ import annotations

import copy
import json

import pytest
from support.corpus import (
    check_expect,
    corpus_cases,
    decode_bytes,
    decode_case,
    find_cases,
    random_cuts,
    requires_corpus,
)
from support.neutral import neutral_request
from support.oracle import request_problems

from beluga_llm import (
    AIMessage,
    BelugaError,
    ChatRequest,
    GenerateOptions,
    HumanMessage,
    StreamInterruptedError,
    ToolMessage,
    from_dict,
    replace,
    to_dict,
)
from beluga_llm.plugin import dumps, loads
from beluga_llm_cohere import CohereDialect

API = "cohere_v2_chat"
CASES = corpus_cases(API, "cohere")
SMALL = 16_000


def dialect():
    return CohereDialect(new_id=lambda: "call_1")


def kept(message):
    """An answer but for what may arrive last."""
    return replace(message, usage=None, provider_metadata={})


@pytest.mark.row("PROV-09", "PROV-16", "PROV-20", "PROV-34", "ERRO-25")
@pytest.mark.parametrize("case", CASES)
def test_recorded_answers(case):
    full = decode_case(dialect(), case)
    check_expect(full, case)
    for seed in range(3):
        again = decode_case(dialect(), case, cuts=random_cuts(case.body, 40, seed))
        assert again == full or (str(again) == str(full) and again.partial == full.partial)


@pytest.mark.row("PAIN-02", "STRE-09", "STRE-31")
@pytest.mark.parametrize("case", corpus_cases(API, "cohere", stream=True))
def test_a_recorded_stream_cut_anywhere_is_complete_or_interrupted(case):
    full, body = decode_case(dialect(), case), case.body
    places = range(len(body))
    if len(body) > SMALL:
        borders = {i for i in places if body.startswith(b"\n\n", i)}
        near = {place + d for place in borders for d in range(-2, 3)}
        places = sorted({p for p in near if 0 <= p < len(body)} | set(random_cuts(body, 500)))
    for place in places:
        got = decode_bytes(dialect(), body[:place], model=case.model, headers=case.headers)
        if isinstance(got, AIMessage):
            assert kept(got) == kept(full)
        else:
            assert type(got) is StreamInterruptedError
            assert full.text.startswith(got.partial.text)
            assert full.thinking.startswith(got.partial.thinking)


@pytest.mark.row("PROV-09")
@pytest.mark.parametrize("case", corpus_cases("cohere_v1_chat", "cohere"))
def test_the_first_version_of_the_api_is_no_answer(case):
    assert isinstance(decode_case(dialect(), case), BelugaError)


@pytest.mark.row("REAS-14", "PAIN-11")
@pytest.mark.parametrize("case", CASES)
def test_a_recorded_answer_goes_back_as_it_came(case):
    answer = decode_case(dialect(), case)
    if not isinstance(answer, AIMessage):
        pytest.skip("an error has nothing to send back")
    stored = from_dict(json.loads(json.dumps(to_dict(answer))))
    assert stored == answer
    results = [ToolMessage("ok", tool_call_id=call.id) for call in stored.tool_calls]
    history = (HumanMessage("hi"), stored, *results, HumanMessage("go"))
    sent = dialect().encode(ChatRequest(history, GenerateOptions(model="m"))).json["messages"]
    meant, expect = meaning_of_message(sent[1]), case.expect
    assert meant["text"] == (expect["text"] or "")
    assert meant["thinking"] == (expect["reasoning"] or "")
    assert [name for _, name, _ in meant["calls"]] == [c["name"] for c in expect["tool_calls"]]
    if not case.stream:
        assert meant["plan"] == json.loads(case.body)["message"].get("tool_plan")


# --- requests ---------------------------------------------------------------------------------


def encodable():
    """The recorded requests of which every field has a neutral form."""
    cases = [case for case in find_cases(API, "cohere") if case.neutral.get("complete")]
    return [pytest.param(case, id=case.id) for case in cases] or CASES[:1]


def meaning_of_message(message):
    content = message.get("content") or []
    items = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {
        "role": message["role"],
        "text": "".join(item["text"] for item in items if item["type"] == "text"),
        "thinking": "".join(item["thinking"] for item in items if item["type"] == "thinking"),
        "media": [item for item in items if item["type"] not in ("text", "thinking")],
        "plan": message.get("tool_plan"),
        "calls": [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls") or ()
        ],
        "answers": message.get("tool_call_id"),
    }


def meaning_of(body):
    """What a body asks for, without the freedoms of the format."""
    found = {key: value for key, value in body.items() if value not in (None, [], False)}
    found["messages"] = [meaning_of_message(message) for message in body["messages"]]
    return found


@pytest.mark.row("PROV-09", "PROV-17", "PROV-33", "OPTI-08", "TOOL-22")
@pytest.mark.parametrize("case", encodable())
def test_a_recorded_request_is_made_again(case):
    made = loads(dumps(dialect().encode(neutral_request(case)).json))
    assert meaning_of(made) == meaning_of(copy.deepcopy(case.request_body))


@pytest.mark.row("PROV-09", "TOOL-14", "TOOL-22")
@requires_corpus
def test_recorded_conversations_of_every_provider_are_accepted():
    bodies = []
    for api in ("chat_completions", API):
        for case in find_cases(api):
            if not case.neutral.get("complete") or case.exotic:
                continue
            request = neutral_request(case)
            options = replace(request.options, model="command-a-plus-05-2026", n=None)
            encoded = dialect().encode(replace(request, options=options))
            bodies.append(loads(dumps(encoded.json)))
    assert len(bodies) > 80
    found = zip(request_problems("cohere", "chat", bodies), bodies, strict=True)
    assert [(issues, body) for issues, body in found if issues] == []

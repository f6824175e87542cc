"""Recorded answers of Ollama and of Ollama Cloud, through both APIs."""

from __future__ import annotations

import json

import pytest
from support.corpus import (
    check_expect,
    corpus_cases,
    decode_bytes,
    decode_case,
    random_cuts,
    requires_corpus,
)
from support.neutral import neutral_request

from beluga_llm import (
    AIMessage,
    ChatRequest,
    GenerateOptions,
    HumanMessage,
    StreamInterruptedError,
    from_dict,
    replace,
    to_dict,
)
from beluga_llm_ollama import OllamaChatDialect, OllamaDialect

SMALL = 16_000
OWNERS = ("ollama", "ollama_cloud")
NATIVE = corpus_cases("ollama_chat", *OWNERS)
CHAT = corpus_cases("chat_completions", *OWNERS)
STREAMS = corpus_cases("ollama_chat", *OWNERS, stream=True)
"""Those of the other API are cut by the core's own tests, with the same decoder."""


def dialect_of(case):
    kind = OllamaDialect if case.api == "ollama_chat" else OllamaChatDialect
    return kind(new_id=lambda: "call_1")


def bare(message):
    """An answer but for what may arrive last."""
    return replace(message, usage=None, provider_metadata={})


@pytest.mark.row("PROV-10", "PROV-16", "PROV-20", "PROV-34", "PAIN-09", "PAIN-10")
@pytest.mark.parametrize("case", [*NATIVE, *CHAT])
def test_recorded_answers(case):
    dialect = dialect_of(case)
    whole = decode_case(dialect, case)
    check_expect(whole, case)
    for cut in random_cuts(case.body, 30):
        again = decode_case(dialect, case, cuts=[cut])
        assert again == whole or (str(again) == str(whole) and again.partial == whole.partial)


@pytest.mark.row("PAIN-02", "STRE-21", "STRE-31")
@pytest.mark.parametrize("case", STREAMS)
def test_a_recorded_stream_cut_anywhere_is_complete_or_interrupted(case):
    dialect, body = dialect_of(case), case.body
    whole = decode_case(dialect, case)
    if len(body) <= SMALL:
        places = range(len(body))
    else:
        borders = [i for i in range(len(body)) if body.startswith(b"\n", i)]
        near = {b + d for b in borders for d in range(-2, 3)}
        places = sorted({p for p in near if 0 <= p < len(body)} | set(random_cuts(body, 500)))
    for place in places:
        got = decode_bytes(dialect, body[:place], model=case.model, headers=case.headers)
        if isinstance(got, AIMessage):
            assert bare(got) == bare(whole)
        else:
            assert type(got) is StreamInterruptedError
            assert whole.text.startswith(got.partial.text)
            assert whole.thinking.startswith(got.partial.thinking)


@pytest.mark.row("REAS-14", "PAIN-11")
@pytest.mark.parametrize("case", [*NATIVE, *CHAT])
def test_a_recorded_answer_goes_back_as_it_came(case):
    message = decode_case(dialect_of(case), case)
    if not isinstance(message, AIMessage):
        pytest.skip("an error has nothing to send back")
    stored = from_dict(json.loads(json.dumps(to_dict(message))))
    assert stored == message
    for dialect, field in ((OllamaDialect(), "thinking"), (OllamaChatDialect(), "reasoning")):
        request = ChatRequest((HumanMessage("hi"), stored), GenerateOptions(model="m"))
        sent = dialect.encode(request).json["messages"][1]
        assert (sent["content"] or "", sent.get(field, "")) == (message.text, message.thinking)
        ids = [call["id"] for call in sent.get("tool_calls", ())]
        assert ids == [call.id for call in message.tool_calls]


# --- recorded requests ----------------------------------------------------------------------------


def plain(body):
    """A recorded request without what asks for nothing, and the default of `stream`."""
    found = {key: value for key, value in body.items() if value not in (None, [], "", {})}
    return {"stream": True, **found}


@pytest.mark.row("PROV-10", "TOOL-22")
@pytest.mark.parametrize("case", [*NATIVE, *CHAT])
def test_a_recorded_request_is_made_again(case):
    """Field by field: options, tools, formats and messages."""
    if not case.neutral.get("messages"):
        pytest.skip("nothing of the request was recorded")
    made = json.loads(json.dumps(dialect_of(case).encode(neutral_request(case)).json, default=dict))
    recorded = plain(case.request_body)
    made["stream"] = made.get("stream", False)
    recorded["stream"] = recorded["stream"] and case.stream
    for key in ("format", "options", "response_format", "temperature", "stream", "model"):
        assert without_names(made.get(key)) == without_names(recorded.get(key)), key
    assert [tool["function"] for tool in made.get("tools", ())] == [
        {key: value for key, value in tool["function"].items() if key != "strict"}
        for tool in recorded.get("tools", ())
    ]
    for got, want in zip(made["messages"], recorded["messages"], strict=True):
        assert said(got) == said(want)


def without_names(value):
    """A response format without its name and what else the server does not read of it."""
    if isinstance(value, dict) and "json_schema" in value:
        return value["json_schema"]["schema"]
    return value


def said(message):
    calls = [
        (call["function"]["name"], arguments(call["function"]["arguments"]), call.get("id"))
        for call in message.get("tool_calls") or ()
    ]
    content = message.get("content") or ""
    thinking = message.get("thinking") or message.get("reasoning") or ""
    images = message.get("images") or []
    return message["role"], content, thinking, calls, images, message.get("tool_call_id")


def arguments(value):
    return json.loads(value) if isinstance(value, str) else value


@requires_corpus
def test_there_are_recorded_cases():
    assert len(NATIVE) >= 5
    assert len(CHAT) >= 10

"""Recorded answers of the Gemini API and of Vertex AI."""

from __future__ import annotations

import json
import re

import pytest
from support.corpus import (
    check_expect,
    corpus_cases,
    decode_bytes,
    decode_case,
    random_cuts,
    requires_corpus,
)

from beluga_llm import (
    AIMessage,
    BelugaError,
    ChatRequest,
    GenerateOptions,
    HumanMessage,
    StreamInterruptedError,
    from_dict,
    replace,
    to_dict,
)
from beluga_llm_google import GeminiDialect, VertexDialect

SMALL = 16_000
CASES = corpus_cases("generate_content", "google", "vertex")
STREAMS = corpus_cases("generate_content", "google", "vertex", stream=True)


def dialect_of(case):
    numbers = iter(range(1, 100))

    def new_id():
        return f"call_{next(numbers)}"

    if case.provider == "vertex":
        return VertexDialect(project="p", new_id=new_id)
    return GeminiDialect(new_id=new_id)


def model_of(case):
    """The model that was asked, which only the address tells."""
    return re.search(r"/models/([^:]+):", case.data["request"]["url"])[1]


def bare(message):
    """An answer but for what may arrive last."""
    return replace(message, usage=None, provider_metadata={})


@pytest.mark.row("PROV-06", "PROV-16", "PROV-20", "PROV-32", "PROV-34", "PAIN-09", "PAIN-10")
@pytest.mark.parametrize("case", CASES)
def test_recorded_answers(case):
    whole = decode_case(dialect_of(case), case)
    check_expect(whole, case)
    for cut in random_cuts(case.body, 40):
        again = decode_case(dialect_of(case), case, cuts=[cut])
        assert again == whole or (str(again) == str(whole) and again.partial == whole.partial)


@pytest.mark.row("PAIN-02", "STRE-31")
@pytest.mark.parametrize("case", STREAMS)
def test_a_recorded_stream_cut_anywhere_is_complete_or_interrupted(case):
    whole = decode_case(dialect_of(case), case)
    body = case.body
    if len(body) <= SMALL:
        places = range(len(body))
    else:
        borders = [i for i in range(len(body)) if body.startswith(b"\r\n\r\n", i)]
        near = {b + d for b in borders for d in range(-2, 3)}
        places = sorted({p for p in near if 0 <= p < len(body)} | set(random_cuts(body, 500)))
    for place in places:
        got = decode_bytes(dialect_of(case), body[:place], model=case.model, headers=case.headers)
        if isinstance(got, AIMessage):
            assert bare(got) == bare(whole)
        else:
            is_array = body.startswith(b"[")
            assert isinstance(got, BelugaError if is_array else StreamInterruptedError)
            assert whole.text.startswith(got.partial.text)
            assert whole.thinking.startswith(got.partial.thinking)
            calls = got.partial.tool_calls
            assert whole.tool_calls[: len(calls)] == calls


@pytest.mark.row("REAS-14", "PAIN-11", "REAS-11")
@pytest.mark.parametrize("case", CASES)
def test_a_recorded_answer_goes_back_byte_for_byte(case):
    message = decode_case(dialect_of(case), case)
    if not isinstance(message, AIMessage):
        pytest.skip("an error has nothing to send back")
    stored = from_dict(json.loads(json.dumps(to_dict(message))))
    assert stored == message
    request = ChatRequest((HumanMessage("hi"), stored), GenerateOptions(model=model_of(case)))
    turns = dialect_of(case).encode(request).json["contents"]
    sent = turns[1]["parts"] if turns[1:] else []
    assert sent == joined(received(case))


def received(case):
    """The parts of an answer on the wire."""
    body = case.body.decode()
    if body.lstrip().startswith("data:"):
        frames = [json.loads(line[5:]) for line in body.splitlines() if line.startswith("data:")]
    else:
        frames = json.loads(body)
    for frame in frames if isinstance(frames, list) else [frames]:
        yield from frame["candidates"][0].get("content", {}).get("parts", [])


def joined(parts):
    """The same, with the pieces of each unsigned text in one."""
    found = []
    for part in parts:
        if part == {"text": ""}:
            continue
        last = found[-1] if found else {}
        plain = {"text", "thought"} >= set(part) and {"text", "thought"} >= set(last)
        if last and plain and part.get("thought") == last.get("thought"):
            found[-1] = {**last, "text": last["text"] + part["text"]}
        else:
            found.append(part)
    return found


@requires_corpus
def test_there_are_recorded_cases():
    assert len(CASES) >= 25

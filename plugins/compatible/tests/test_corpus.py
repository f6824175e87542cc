"""Recorded traffic of these vendors, each case through its own row."""

from __future__ import annotations

import json

import pytest
from support.compatible import dialect_of
from support.corpus import (
    CORPUS,
    check_expect,
    corpus_cases,
    decode_bytes,
    decode_case,
    find_cases,
    random_cuts,
    requires_corpus,
)
from support.meaning import meaning_of
from support.neutral import neutral_request

from beluga_llm import AIMessage, BelugaError, replace
from beluga_llm.plugin import OpenAIChatDialect

CHAT, RESPONSES = "chat_completions", "responses"
ROWS = {
    name: name
    for name in (
        "groq", "together", "deepseek", "xai", "openrouter", "perplexity", "huggingface", "qwen",
        "cerebras", "moonshot", "zai", "databricks", "snowflake", "cloudflare", "lmstudio",
    )
}  # fmt: skip
ROWS["vercel_gateway"] = "vercel"
PLAIN = ("avian", "crusoe", "gpustack", "heroku", "writer")
"""Vendors without a row: the defaults of openai-compatible must do."""

CASES = pytest.mark.parametrize("case", corpus_cases(CHAT, *ROWS, *PLAIN))
ANSWERS = pytest.mark.parametrize("case", corpus_cases(RESPONSES, *ROWS))
STREAMS = pytest.mark.parametrize(
    "case",
    [
        *corpus_cases(CHAT, *ROWS, *PLAIN, stream=True),
        *corpus_cases(RESPONSES, *ROWS, stream=True),
    ],
)


def dialect_for(case):
    if case.provider in PLAIN:
        return OpenAIChatDialect("openai-compatible")
    return dialect_of(
        ROWS[case.provider], **({"api": "responses"} if case.api == RESPONSES else {})
    )


def without_ids(got):
    """An answer or error as values, with calls' own ids left out where we made them."""
    if isinstance(got, BelugaError):
        return type(got), got.message, got.partial and without_ids(got.partial)
    calls = [
        replace(call, id="") if call.id.startswith("call_") else call for call in got.tool_calls
    ]
    return replace(got, tool_calls=calls, provider_metadata={})


@pytest.mark.row("PROV-02", "PROV-16", "PROV-20", "PROV-34", "REAS-12", "PAIN-09", "STRE-31")
@CASES
def test_recorded_chat(case):
    check_expect(decode_case(dialect_for(case), case, cuts=random_cuts(case.body)), case)


@pytest.mark.row("PROV-03", "PROV-31", "PROV-16", "PAIN-09")
@ANSWERS
def test_recorded_responses(case):
    check_expect(decode_case(dialect_for(case), case, cuts=random_cuts(case.body)), case)


@pytest.mark.row("PAIN-10")
@CASES
def test_where_bytes_are_cut_changes_nothing(case):
    whole = without_ids(decode_case(dialect_for(case), case))
    for seed in range(2):
        cuts = random_cuts(case.body, 150, seed + 1)
        assert without_ids(decode_case(dialect_for(case), case, cuts=cuts)) == whole


@pytest.mark.row("PAIN-02", "STRE-09", "STRE-31")
@STREAMS
def test_a_cut_stream_is_no_success(case):
    """The core's tests cut everywhere; here the rows' own ends are cut, and some other places."""
    if case.exotic or case.expect["error"] or "tool_index_reused" in case.features:
        return
    body, dialect = case.body, dialect_for(case)
    whole = without_ids(decode_bytes(dialect, body, model=case.model))
    borders = [at for at in range(len(body)) if body[at : at + 1] == b"\n"]
    near = {at + shift for at in borders[-6:] for shift in (-1, 0, 1)}
    for at in sorted({*near, *random_cuts(body, 25)}):
        got = decode_bytes(dialect, body[:at], model=case.model)
        if isinstance(got, AIMessage):
            assert without_ids(replace(got, usage=whole.usage)) == whole, at
        else:
            assert got.partial is None or whole.text.startswith(got.partial.text)


# --- requests ------------------------------------------------------------------------------------


def recorded_requests():
    if CORPUS is None:
        return corpus_cases(CHAT)
    return [
        pytest.param(case, id=case.id)
        for case in find_cases(CHAT, *ROWS, *PLAIN)
        if case.neutral.get("complete") and not case.exotic
    ]


def reasoning_of(body):
    """Reasoning text that a body sends back, message by message."""
    return [message.get("reasoning_content") for message in body["messages"]]


@pytest.mark.row("PROV-02", "PROV-03", "OPTI-08", "TOOL-22", "PROV-33")
@pytest.mark.parametrize("case", recorded_requests())
def test_a_recorded_request_is_made_again(case):
    encoded = dialect_for(case).encode(neutral_request(case))
    body = json.loads(json.dumps(encoded.json))
    made, recorded = meaning_of(body), meaning_of(case.request_body)
    left_out = {note.name for note in encoded.notes}
    assert left_out <= recorded.keys()  # nothing is left out that had been sent for nothing
    for name in left_out | {"n"} - made.keys():
        recorded.pop(name, None)
    if case.provider in ("zai", "moonshot", "groq"):  # they do not take it
        for tool in (*made["tools"], *recorded["tools"]):
            tool.pop("strict", None)
    assert made == recorded
    if case.provider in ("deepseek", "zai"):
        assert reasoning_of(body) == reasoning_of(case.request_body)


@requires_corpus
def test_every_vendor_was_seen():
    seen = {case.provider for api in (CHAT, RESPONSES) for case in find_cases(api, *ROWS, *PLAIN)}
    assert seen == {*ROWS, *PLAIN}

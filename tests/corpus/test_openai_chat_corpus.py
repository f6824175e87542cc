"""Recorded chat-completions traffic of every vendor, through the generic dialect.

No vendor needs a quirk to be read: the defaults are tolerant. `QUIRKS` holds what some vendors
want in requests.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.corpus import (
    CORPUS,
    Case,
    check_expect,
    corpus_cases,
    decode_case,
    find_cases,
    random_cuts,
    requires_corpus,
)
from support.meaning import meaning_of
from support.neutral import neutral_request

from beluga_llm._dialects.openai_chat import OpenAIChatDialect
from beluga_llm._dialects.quirks import OPENAI_QUIRKS, ChatQuirks
from beluga_llm._errors import BelugaError, ProviderError
from beluga_llm._json import dumps, loads
from beluga_llm._messages import AIMessage, HumanMessage, replace
from beluga_llm._options import GenerateOptions
from beluga_llm._request import ChatRequest
from beluga_llm._serialize import from_dict, to_dict

API = "chat_completions"
EVERY_BORDER_BELOW = 4_000
QUIRKS = {
    "deepseek": ChatQuirks(replay_reasoning_field="reasoning_content"),
    "mistral": ChatQuirks(
        stream_usage="never", option_names={"seed": "random_seed"}, tool_choice_required="any"
    ),
    "openrouter": ChatQuirks(
        reasoning_request="object", replay_reasoning_field="reasoning_details", file_urls=True
    ),
    "snowflake": ChatQuirks(reasoning_request="object"),
    "vercel_gateway": ChatQuirks(
        reasoning_request="object", replay_reasoning_field="reasoning_details"
    ),
}


def dialect_of(case: Case) -> OpenAIChatDialect:
    ids = itertools.count()
    return OpenAIChatDialect(
        "openai" if case.provider == "openai" else "openai-compatible",
        new_id=lambda: f"call_{next(ids):024x}",
    )


def encoding_dialect_of(case: Case) -> OpenAIChatDialect:
    return OpenAIChatDialect(case.provider, quirks=QUIRKS.get(case.provider))


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.row("PROV-02", "PROV-16", "PROV-20", "PROV-34", "TOOL-13", "STRE-12", "REAS-12")
@pytest.mark.parametrize("case", corpus_cases(API))
def test_recorded_answers_are_read_exactly(case: Case) -> None:
    check_expect(decode_case(dialect_of(case), case, cuts=random_cuts(case.body)), case)


def same(left: AIMessage | BelugaError, right: AIMessage | BelugaError) -> bool:
    if isinstance(left, BelugaError) and isinstance(right, BelugaError):
        return (type(left), left.message, left.partial) == (
            type(right),
            right.message,
            right.partial,
        )
    return left == right


@pytest.mark.row("PAIN-10")
@pytest.mark.parametrize("case", corpus_cases(API))
def test_where_bytes_are_cut_changes_nothing(case: Case) -> None:
    whole = decode_case(dialect_of(case), case)
    body = case.body
    for seed in range(2):
        cuts = random_cuts(body, 200, seed)
        assert same(decode_case(dialect_of(case), case, cuts=cuts), whole)
    if len(body) < EVERY_BORDER_BELOW:
        for cut in range(1, len(body)):
            assert same(decode_case(dialect_of(case), case, cuts=[cut]), whole)


@pytest.mark.row("PAIN-09", "STRE-13")
@requires_corpus
def test_usage_counts_only_what_was_reported() -> None:
    silent = [case for case in find_cases(API) if case.expect["usage"] is None]
    assert silent
    for case in silent:
        got = decode_case(dialect_of(case), case)
        message = got if isinstance(got, AIMessage) else got.partial
        assert message is None or message.usage.input_tokens is None


# --- answers sent back --------------------------------------------------------------------------


def details_on_the_wire(case: Case) -> list[Mapping[str, Any]]:
    """Signed and encrypted entries of the recorded answer, put together by hand."""
    found: list[dict[str, Any]] = []
    lines = case.body.replace(b"\r", b"").split(b"\n")
    frames = [line[5:].strip() for line in lines if line.startswith(b"data:")]
    for frame in frames if case.stream else [case.body]:
        if frame != b"[DONE]":
            for choice in json.loads(frame)["choices"]:
                body = choice.get("delta") or choice.get("message") or {}
                found += body.get("reasoning_details") or []
    return [entry for entry in found if entry.get("signature") or entry.get("data")]


@pytest.mark.row("PAIN-11", "REAS-14", "REAS-15")
@pytest.mark.parametrize("case", corpus_cases(API))
def test_signed_reasoning_is_sent_back_byte_for_byte(case: Case) -> None:
    if not (wire := details_on_the_wire(case) if case.expect["error"] is None else []):
        return
    dialect = dialect_of(case)
    answer = decode_case(dialect, case)
    stored = from_dict(loads(dumps(to_dict(answer))))
    assert stored == answer
    request = ChatRequest(
        (HumanMessage("hi"), stored, HumanMessage("go on")), GenerateOptions(model="m")
    )
    sent = loads(dumps(dialect.encode(request).json))["messages"][1]["reasoning_details"]
    opaque = [entry for entry in sent if entry.get("signature") or entry.get("data")]
    assert len(opaque) == len(wire)
    for entry, raw in zip(opaque, wire, strict=True):
        assert {key: entry[key] for key in raw if raw[key] is not None and key != "text"} == {
            key: value for key, value in raw.items() if value is not None and key != "text"
        }
    texts = "".join(entry.get("text") or entry.get("summary") or "" for entry in sent)
    assert texts == answer.thinking

    elsewhere = OpenAIChatDialect("another", quirks=ChatQuirks(replay_reasoning_field="reasoning"))
    encoded = elsewhere.encode(request)
    assert "reasoning_details" not in encoded.json["messages"][1]
    assert [note.kind for note in encoded.notes] == ["signature"]


# --- requests -----------------------------------------------------------------------------------


def encodable(case: Case) -> bool:
    return bool(case.neutral.get("complete")) and not case.exotic


def recorded_requests() -> list[Any]:
    if CORPUS is None:
        return corpus_cases(API)
    return [pytest.param(case, id=case.id) for case in find_cases(API) if encodable(case)]


@pytest.mark.row("PROV-01", "PROV-17", "PROV-18", "PROV-33", "OPTI-05", "OPTI-08", "TOOL-22")
@pytest.mark.parametrize("case", recorded_requests())
def test_a_recorded_request_is_made_again(case: Case) -> None:
    encoded = encoding_dialect_of(case).encode(neutral_request(case))
    made, recorded = meaning_of(loads(dumps(encoded.json))), meaning_of(case.request_body)
    assert made == recorded


ORACLE_PYTHON = Path.home() / ".cache/beluga-servers/clients/bin/python"
RUN_ORACLE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from oracle import validate_request
bodies = json.load(sys.stdin)
print(json.dumps({k: validate_request("openai", "chat_completions", v) for k, v in bodies.items()}))
"""


@cache
def oracle_folder() -> Path | None:
    folder = None if CORPUS is None else CORPUS.parent / "servers" / "oracle"
    return folder if folder and folder.exists() and ORACLE_PYTHON.exists() else None


@pytest.mark.row("PROV-01")
@pytest.mark.skipif(oracle_folder() is None, reason="the request oracle is not installed")
@requires_corpus
def test_requests_pass_the_vendors_specification() -> None:
    bodies = {}
    for case in find_cases(API):
        if encodable(case):
            quirks = replace(OPENAI_QUIRKS, strict_tools=case.provider == "openai")
            dialect = OpenAIChatDialect("openai", quirks=quirks)
            encoded = dialect.encode(neutral_request(case))
            if not encoded.notes:
                bodies[case.id] = encoded.json
    assert len(bodies) > 80
    ran = subprocess.run(
        [str(ORACLE_PYTHON), "-c", RUN_ORACLE, str(oracle_folder())],
        input=dumps(bodies),
        capture_output=True,
        check=True,
        timeout=50,
    )
    problems = {name: found for name, found in json.loads(ran.stdout).items() if found}
    assert problems == {}


@pytest.mark.row("ERRO-25")
@pytest.mark.parametrize("case", corpus_cases(API))
def test_recorded_errors_name_the_provider(case: Case) -> None:
    if case.expect["error"]:
        error = decode_case(dialect_of(case), case)
        assert isinstance(error, ProviderError | ValueError)
        assert error.provider == dialect_of(case).provider

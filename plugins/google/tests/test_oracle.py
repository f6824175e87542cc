"""Request bodies against the vendor's own types, and against recorded requests.

The oracle of $BELUGA_SHARED/servers reads all bodies of a test in one process.
"""

from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.corpus import WHY_SKIPPED, corpus_cases, load_cases
from support.neutral import neutral_request
from support.oracle import request_problems

from beluga_llm import (
    AIMessage,
    AudioPart,
    ChatRequest,
    FilePart,
    GenerateOptions,
    HumanMessage,
    ImagePart,
    InvalidRequestError,
    ReasoningConfig,
    ResponseFormat,
    SystemMessage,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
    VideoPart,
    replace,
)
from beluga_llm_google import GeminiDialect, VertexDialect

DIALECTS = (GeminiDialect(), VertexDialect(project="p"))


def plain(request, dialect):
    """A body, as it is on the wire."""
    return json.loads(json.dumps(dialect.encode(request).json))


def assert_fine(bodies):
    found = zip(bodies, request_problems("google", "generateContent", bodies), strict=True)
    wrong = [(issues, body) for body, issues in found if issues]
    assert not wrong, wrong[0]


def is_answered(request):
    """Whether every call is answered, as our own check demands of a request."""
    ids = [call.id for m in request.messages if isinstance(m, AIMessage) for call in m.tool_calls]
    answered = [m.tool_call_id for m in request.messages if isinstance(m, ToolMessage)]
    return sorted(ids) == sorted(answered)


def is_callable(tool):
    """Whether the API takes a tool's name, as our own check demands of a request."""
    return DIALECTS[0].tool_names.fullmatch(tool.name)


# --- recorded conversations -------------------------------------------------------------------


@pytest.mark.row("PROV-06", "PROV-19", "PROV-32", "TOOL-22")
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-4-argon"])
def test_recorded_conversations_of_every_provider_are_accepted(model):
    if not load_cases():
        pytest.skip(WHY_SKIPPED)
    bodies = []
    for case in load_cases():
        if not case.neutral.get("complete"):
            continue
        request = replace(neutral_request(case), options=GenerateOptions(model=model))
        if not is_answered(request) or not all(map(is_callable, request.tools)):
            continue
        for dialect in DIALECTS:
            try:
                bodies.append(plain(request, dialect))
            except InvalidRequestError:  # nothing but what cannot be sent
                continue
    assert len(bodies) > 300
    assert_fine(bodies)


# --- recorded requests ------------------------------------------------------------------------


def camel(name):
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def without_types(schema):
    """A schema with the names of its types in small letters."""
    if isinstance(schema, list):
        return [without_types(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.lower() if key == "type" and isinstance(value, str) else without_types(value)
        for key, value in schema.items()
    }


def normal_part(part):
    part = {camel(key): value for key, value in part.items() if value is not False}
    for name in ("inlineData", "fileData", "functionCall", "functionResponse"):
        if name in part:
            part[name] = {camel(key): value for key, value in part[name].items()}
    if "inlineData" in part:
        data = part["inlineData"]["data"]
        standard = base64.b64encode(base64.urlsafe_b64decode(data.translate({43: 45, 47: 95})))
        part["inlineData"]["data"] = standard.decode()
    if "functionCall" in part:
        part["functionCall"].setdefault("args", {})
    return part


def normal_config(config):
    found = {camel(key): value for key, value in config.items() if value is not None}
    found.pop("responseModalities", None)  # ours has no word for it
    if (schema := found.pop("responseSchema", None)) is not None:
        found["responseJsonSchema"] = schema
    if "thinkingConfig" in found:
        found["thinkingConfig"] = {camel(k): v for k, v in found["thinkingConfig"].items()}
    if "responseJsonSchema" in found:
        found["responseJsonSchema"] = without_types(found["responseJsonSchema"])
    return found


def normal_tool(tool):
    tool = {camel(key): value for key, value in tool.items()}
    schema = tool.pop("parameters", None) or tool.pop("parametersJsonSchema", None)
    return {**tool, "parametersJsonSchema": without_types(schema)}


def normal(body):
    """A body without the freedoms of the format."""
    turns = []
    for turn in body["contents"]:
        parts = [normal_part(part) for part in turn["parts"] if part != {"text": ""}]
        if turns and turns[-1]["role"] == turn["role"]:
            turns[-1]["parts"] += parts
        else:
            turns.append({"role": turn["role"], "parts": parts})
    parts = (body.get("systemInstruction") or {}).get("parts") or []
    parts = parts if isinstance(parts, list) else [parts]
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    declared = [
        normal_tool(declaration)
        for tool in body.get("tools") or []
        for declaration in tool.get("functionDeclarations") or []
    ]
    return {
        "contents": turns,
        "system": [part["text"] for part in parts if part["text"]],
        "config": normal_config(body.get("generationConfig") or {}),
        "calling": {**calling, "mode": calling["mode"].upper()} if calling else {},
        "tools": declared,
    }


@pytest.mark.row("PROV-06", "PROV-32", "REAS-14", "PAIN-11")
@pytest.mark.parametrize("case", corpus_cases("generate_content", "google", "vertex"))
def test_recorded_requests_are_made_alike(case):
    if not case.neutral.get("complete"):
        pytest.skip("the recorded request has fields that are not neutral")
    request = neutral_request(case)
    changes = {"model": re.search(r"/models/([^:]+):", case.data["request"]["url"])[1]}
    if thinking := case.neutral["options"].get("reasoning"):
        level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
        include = bool(thinking.get("includeThoughts"))
        changes["reasoning"] = ReasoningConfig(level, budget, include)
    request = replace(request, options=replace(request.options, **changes))
    dialect = VertexDialect(project="p") if case.provider == "vertex" else GeminiDialect()
    assert normal(plain(request, dialect)) == normal(case.request_body)


# --- built conversations ----------------------------------------------------------------------

PROVIDERS = st.sampled_from([None, "google", "vertex", "anthropic"])
SIGNATURES = st.sampled_from([None, "c2ln"])
TEXTS = st.sampled_from(["", " ", "a", "two words ", "é😀\n", '{"a": 1}', "[1]"])
SAID_TEXTS = st.builds(TextPart, TEXTS, SIGNATURES, PROVIDERS)
THOUGHTS = st.builds(ThinkingPart, TEXTS, SIGNATURES, provider=PROVIDERS)
REDACTED = st.just(ThinkingPart("", redacted_data="cmVk", provider="anthropic"))
MEDIA = st.sampled_from(
    [
        ImagePart(b"\x89PNG\r\n\x1a\n"),
        ImagePart(b"BM", mime_type="image/bmp", detail="high"),
        ImagePart(url="https://example.org/a.png"),
        ImagePart(file_id="files/abc"),
        AudioPart(b"a", format="pcm16", sample_rate=16_000),
        AudioPart(url="gs://bucket/a.wav"),
        VideoPart(b"v", metadata={"videoMetadata": {"fps": 2}}),
        VideoPart(url="https://youtu.be/x"),
        FilePart(b"%PDF", name="a.pdf"),
        FilePart(b"{}", mime_type="application/json"),
        FilePart(file_id="https://generativelanguage.googleapis.com/v1beta/files/x"),
    ]
)
SAID = st.lists(st.one_of(SAID_TEXTS, MEDIA), max_size=3)
IDS = st.sampled_from(["8hd01vsf", "call_1", "toolu_1", "functions.f:0", "ü", "x" * 80])
ARGUMENTS = st.sampled_from(["", "{}", '{"a": 1}', '{"a": "b', "[1]", "null"])
SCHEMAS = st.sampled_from(
    [
        {},
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "const": 2}}},
        {
            "anyOf": [{"type": "object"}],
            "$defs": {"A": {"type": "object"}},
            "properties": {"a": {"$ref": "#/$defs/A", "description": "d"}},
        },
    ]
)
TOOLS = st.lists(
    st.builds(
        ToolDefinition, st.sampled_from(["f", "g.h"]), TEXTS, SCHEMAS, st.sampled_from([None, True])
    ),
    unique_by=lambda tool: tool.name,
    max_size=2,
)
OPTIONS = {
    "model": st.sampled_from(
        ["gemini-2.0-flash", "gemini-2.5-pro", "gemini-2.5-flash-lite", "gemini-3.8-flash",
         "gemini-3-pro-preview", "gemini-4-argon", "gemini-flash-latest", "gemma-4-27b-it"]
    ),
    "max_tokens": st.sampled_from([None, 40_000]),
    "temperature": st.sampled_from([None, 0.0, 2.0]),
    "top_p": st.sampled_from([None, 0.5]),
    "top_k": st.sampled_from([None, 5]),
    "n": st.sampled_from([None, 2]),
    "seed": st.sampled_from([None, 1]),
    "stop": st.sampled_from([(), ("END",), (" ", "a", "b", "c", "d", "e")]),
    "frequency_penalty": st.sampled_from([None, 0.5]),
    "presence_penalty": st.sampled_from([None, -0.5]),
    "logprobs": st.sampled_from([None, True]),
    "logit_bias": st.sampled_from([None, {"1": 2.0}]),
    "user": st.sampled_from([None, "u"]),
    "parallel_tool_calls": st.sampled_from([None, False]),
    "reasoning": st.builds(
        ReasoningConfig,
        st.sampled_from([None, "none", "minimal", "low", "max"]),
        st.sampled_from([None, -1, 0, 500, 400_000]),
        st.booleans(),
    ),
    "response_format": st.sampled_from(
        [
            None,
            ResponseFormat.text(),
            ResponseFormat.json(),
            ResponseFormat.json_schema({"type": "object", "title": "t"}, description="d"),
        ]
    ),
}  # fmt: skip


@st.composite
def exchanges(draw):
    """What a model answers, with the results of its calls, and what a user says to it."""
    ids = draw(st.lists(IDS, unique=True, max_size=3))
    parts = draw(st.lists(st.one_of(SAID_TEXTS, THOUGHTS, REDACTED, MEDIA), max_size=3))
    names, places = st.sampled_from(["f", "unknown"]), st.none() | st.integers(0, 3)
    calls = [
        ToolCall(one, draw(names), draw(ARGUMENTS), draw(SIGNATURES), draw(PROVIDERS), draw(places))
        for one in ids
    ]
    results = [
        ToolMessage(draw(SAID), tool_call_id=one, is_error=draw(st.booleans()))
        for one in draw(st.permutations(ids))
    ]
    return [AIMessage(parts, tool_calls=calls), *results, HumanMessage(["go on", *draw(SAID)])]


@st.composite
def requests(draw):
    system = draw(st.lists(st.builds(SystemMessage, TEXTS), max_size=2))
    rest = [message for turn in draw(st.lists(exchanges(), max_size=3)) for message in turn]
    tools = draw(TOOLS)
    choices = [None, "auto", "required", "none", *(tool.name for tool in tools)]
    options = {name: draw(values) for name, values in OPTIONS.items()}
    options["tool_choice"] = draw(st.sampled_from(choices))
    if options["logprobs"]:
        options["top_logprobs"] = draw(st.sampled_from([None, 3]))
    first = HumanMessage(["hi", *draw(SAID)])
    made = GenerateOptions(**options)
    return ChatRequest((*system, first, *rest), made, tuple(tools), draw(st.booleans()))


@pytest.mark.row(
    "PROV-06", "PROV-18", "PROV-19", "PROV-32", "PROV-33", "TOOL-14", "OPTI-08", "REAS-11"
)
def test_built_requests_are_accepted():
    bodies = []

    @settings(
        max_examples=300,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(requests(), st.sampled_from(DIALECTS))
    def build(request, dialect):
        body = plain(request, dialect)
        roles = [turn["role"] for turn in body["contents"]]
        assert roles == [("user", "model")[place % 2] for place in range(len(roles))]
        thinking = body.get("generationConfig", {}).get("thinkingConfig", {})
        assert not {"thinkingLevel", "thinkingBudget"} <= thinking.keys()
        bodies.append(body)

    build()
    assert_fine(bodies)

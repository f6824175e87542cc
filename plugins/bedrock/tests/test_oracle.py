"""Request bodies against the vendor's service model, and rules that its server holds.

The oracle of $BELUGA_SHARED/servers reads all bodies of a test in one process.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.corpus import WHY_SKIPPED, load_cases
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
from beluga_llm_bedrock import ConverseDialect

DIALECT = ConverseDialect()
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"


def plain(request):
    return json.loads(json.dumps(DIALECT.encode(request).json))


def assert_fine(bodies):
    found = zip(bodies, request_problems("bedrock", "converse", bodies), strict=True)
    wrong = [(issues, body) for body, issues in found if issues]
    assert not wrong, wrong[0]


def is_paired(request):
    """Whether every call has an id and is answered, as our own check demands of a request."""
    ids = [call.id for m in request.messages if isinstance(m, AIMessage) for call in m.tool_calls]
    answered = [m.tool_call_id for m in request.messages if isinstance(m, ToolMessage)]
    return all(ids) and sorted(ids) == sorted(answered)


@pytest.mark.row("PROV-07", "PROV-19", "TOOL-20", "TOOL-22")
def test_recorded_conversations_of_every_provider_are_accepted():
    if not load_cases():
        pytest.skip(WHY_SKIPPED)
    bodies = []
    for case in load_cases():
        if not case.neutral.get("complete"):
            continue
        request = neutral_request(case)
        request = replace(request, options=GenerateOptions(model=CLAUDE))
        try:
            body = plain(request)
        except InvalidRequestError:  # nothing but what cannot be sent
            continue
        if is_paired(request) and body["messages"][-1]["role"] == "user":
            bodies.append(body)
    assert len(bodies) > 150
    assert_fine(bodies)


# --- built conversations ----------------------------------------------------------------------

TEXTS = st.sampled_from(["", " ", "a", "two words ", "é😀\n", "x\ty"])
MARKS = st.sampled_from([{}, {"cache_control": {"type": "ephemeral", "ttl": "1h"}}])
SAID_TEXTS = st.builds(TextPart, TEXTS, metadata=MARKS)
SIGNED = st.builds(
    ThinkingPart, TEXTS, st.sampled_from([None, "sig"]), provider=st.sampled_from([None, "other"])
)
REDACTED = st.just(ThinkingPart("", redacted_data="cmVk"))
MEDIA = st.sampled_from(
    [
        ImagePart(b"\x89PNG\r\n\x1a\n"),
        ImagePart(url="s3://my-bucket/a.gif", metadata={"bucketOwner": "123456789012"}),
        ImagePart(url="https://example.org/a.png"),
        ImagePart(b"BM", mime_type="image/bmp"),
        FilePart(b"%PDF", name="a/b.pdf", metadata={"citations": {"enabled": True}}),
        FilePart(b"text", mime_type="text/x-log"),
        FilePart(file_id="file_1"),
        VideoPart(b"v", mime_type="video/webm"),
        AudioPart(b"a", format="pcm16"),
    ]
)
SAID = st.lists(st.one_of(SAID_TEXTS, MEDIA), max_size=3)
IDS = st.sampled_from(["tooluse_1", "functions.f:0", "a b", "ü", "", "x" * 80])
ARGUMENTS = st.sampled_from(["", "{}", '{"a": 1}', '{"a": "b', "[1]", "null"])
SCHEMAS = st.sampled_from(
    [
        {},
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}},
        {"anyOf": [{"type": "object"}], "$defs": {"A": {"type": "object"}}},
    ]
)
TOOLS = st.lists(
    st.builds(
        ToolDefinition,
        st.sampled_from(["f", "g"]),
        TEXTS,
        SCHEMAS,
        st.sampled_from([None, True]),
        metadata=MARKS,
    ),
    unique_by=lambda tool: tool.name,
    max_size=2,
)
MODELS = st.sampled_from(
    [
        CLAUDE,
        "us.anthropic.claude-opus-4-6-v1",
        "anthropic.claude-opus-5-5",
        "us.amazon.nova-2-lite-v1:0",
        "openai.gpt-oss-120b-1:0",
        "mistral.mistral-large-2407-v1:0",
        "qwen.qwen3-32b-v1:0",
        "meta.llama3-1-8b-instruct-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
    ]
)
OPTIONS = {
    "model": MODELS,
    "max_tokens": st.sampled_from([None, 40_000]),
    "temperature": st.sampled_from([None, 0.0, 1.0, 2.0]),
    "top_p": st.sampled_from([None, 0.5, 0.99]),
    "top_k": st.sampled_from([None, 5]),
    "stop": st.sampled_from([(), ("END",), (" ", "")]),
    "parallel_tool_calls": st.sampled_from([None, False]),
    "user": st.sampled_from([None, "u"]),
    "seed": st.sampled_from([None, 1]),
    "reasoning": st.builds(
        ReasoningConfig,
        st.sampled_from([None, "none", "low", "high"]),
        st.sampled_from([None, 500, 4000]),
        st.booleans(),
    ),
    "response_format": st.sampled_from(
        [
            None,
            ResponseFormat.json(),
            ResponseFormat.json_schema({"type": "object"}, description="d"),
        ]
    ),
}


@st.composite
def exchanges(draw):
    """What a model answers, with the results of its calls, and what a user says to it."""
    ids = draw(st.lists(IDS, unique=True, max_size=3))
    parts = draw(st.lists(st.one_of(SAID_TEXTS, SIGNED, REDACTED), max_size=3))
    places = st.one_of(st.none(), st.integers(0, 3))
    names = st.sampled_from(["f", "no such tool", ""])
    calls = [ToolCall(one, draw(names), draw(ARGUMENTS), part_index=draw(places)) for one in ids]
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
    first = HumanMessage(["hi", *draw(SAID)])
    made = GenerateOptions(**options)
    return ChatRequest((*system, first, *rest), made, tuple(tools), draw(st.booleans()))


@pytest.mark.row("PROV-07", "PROV-18", "PROV-19", "PROV-33", "TOOL-14", "TOOL-20", "OPTI-08")
def test_built_requests_are_accepted():
    bodies = []

    @settings(
        max_examples=200,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(requests())
    def build(request):
        body = plain(request)
        assert body["messages"][0]["role"] == "user"
        bodies.append(body)

    build()
    assert_fine(bodies)

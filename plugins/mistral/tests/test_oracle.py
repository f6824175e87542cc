"""Built requests against the types of the vendor's own SDK, and the API's documented rules."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.oracle import request_problems

from beluga_llm import (
    AIMessage,
    AudioPart,
    ChatRequest,
    FilePart,
    GenerateOptions,
    HumanMessage,
    ImagePart,
    ReasoningConfig,
    ResponseFormat,
    SystemMessage,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
    UnknownPart,
    VideoPart,
)
from beluga_llm.plugin import dumps, loads
from beluga_llm_mistral import MistralDialect

TEXTS = st.sampled_from(["", " ", "a", "two words ", "é😀\n"])
THOUGHTS = st.builds(
    ThinkingPart,
    TEXTS,
    st.sampled_from([None, "sig"]),
    provider=st.sampled_from([None, "mistral", "other"]),
)
MEDIA = st.sampled_from(
    [
        ImagePart(b"\x89PNG"),
        ImagePart(url="https://x.test/y.gif", detail="high"),
        ImagePart(file_id="i"),
        FilePart(b"%PDF", name="a"),
        FilePart(url="https://x.test/a.pdf"),
        FilePart(file_id="file_1"),
        AudioPart(b"ID3", format="mp3"),
        AudioPart(b"x", format="pcm16"),
        AudioPart(url="https://x.test/a.wav"),
        VideoPart(b"x"),
        UnknownPart("x-new", {"a": 1}),
    ]
)
SAID = st.lists(st.one_of(TEXTS, MEDIA), max_size=3)
IDS = st.sampled_from(["aB3dE6gH9", "functions.f:0", "a b", "ü", "call_" + "0" * 24])
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
        ToolDefinition, st.sampled_from(["f", "g"]), TEXTS, SCHEMAS, st.sampled_from([None, True])
    ),
    unique_by=lambda tool: tool.name,
    max_size=2,
)
MODELS = st.sampled_from(["mistral-small-latest", "magistral-medium-2509", "codestral-2508", "x"])
FORMATS = st.sampled_from(
    [
        None,
        ResponseFormat.text(),
        ResponseFormat.json(),
        ResponseFormat.json_schema({"type": "object"}, description="d"),
    ]
)


@st.composite
def exchanges(draw):
    """What a model answers, with the results of its calls, and what a user says to it."""
    ids = draw(st.lists(IDS, unique=True, max_size=3))
    parts = draw(st.lists(st.one_of(TEXTS, THOUGHTS), max_size=3))
    calls = [ToolCall(name, "f", draw(ARGUMENTS)) for name in ids]
    names = st.sampled_from([None, "f"])
    results = [
        ToolMessage(draw(SAID), tool_call_id=name, name=draw(names), is_error=draw(st.booleans()))
        for name in draw(st.permutations(ids))
    ]
    answer = AIMessage(parts, tool_calls=calls, refusal=draw(st.sampled_from([None, "no"])))
    return [answer, *results, HumanMessage(["go on", *draw(SAID)], name=draw(names))]


@st.composite
def requests(draw):
    system = draw(st.lists(st.builds(SystemMessage, SAID), max_size=2))
    rest = [message for turn in draw(st.lists(exchanges(), max_size=3)) for message in turn]
    end = draw(st.sampled_from([[], [AIMessage("Once")]]))
    tools = draw(TOOLS)
    choices = [None, "auto", "required", "none", *(tool.name for tool in tools)]
    options = GenerateOptions(
        model=draw(MODELS),
        max_tokens=draw(st.sampled_from([None, 10])),
        temperature=draw(st.sampled_from([None, 0.0, 1.5])),
        top_p=draw(st.sampled_from([None, 0.0, 1.0])),
        top_k=draw(st.sampled_from([None, 5])),
        stop=draw(st.sampled_from([(), ("END",)])),
        seed=draw(st.sampled_from([None, 0])),
        n=draw(st.sampled_from([None, 2])),
        frequency_penalty=draw(st.sampled_from([None, -2.0])),
        presence_penalty=draw(st.sampled_from([None, 2.0])),
        logprobs=draw(st.sampled_from([None, True])),
        top_logprobs=draw(st.sampled_from([None, 3])),
        logit_bias=draw(st.sampled_from([None, {"1": 2}])),
        user=draw(st.sampled_from([None, "u"])),
        tool_choice=draw(st.sampled_from(choices)),
        parallel_tool_calls=draw(st.sampled_from([None, False, True])),
        reasoning=ReasoningConfig(
            draw(st.sampled_from([None, "none", "low", "max"])),
            draw(st.sampled_from([None, 500])),
            draw(st.booleans()),
        ),
        response_format=draw(FORMATS),
        provider_options={"mistral": {"safe_prompt": True, "prompt_mode": "reasoning"}},
    )
    first = HumanMessage(["hi", *draw(SAID)])
    messages = (*system, first, *rest, *end)
    return ChatRequest(messages, options, tuple(tools), draw(st.booleans()))


@pytest.mark.row("PROV-08", "PROV-33", "TOOL-14", "TOOL-22", "OPTI-27", "SCHE-15")
def test_built_requests_are_accepted():
    dialect, bodies = MistralDialect(), []

    @settings(
        max_examples=300,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(requests())
    def build(request):
        bodies.append(loads(dumps(dialect.encode(request).json)))

    build()
    found = zip(request_problems("mistral", "chat_completions", bodies), bodies, strict=True)
    assert [(issues, body) for issues, body in found if issues] == []

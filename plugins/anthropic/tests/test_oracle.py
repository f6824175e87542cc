"""Request bodies against the vendor's own types, and against recorded requests.

The oracle of $BELUGA_SHARED/servers reads all bodies in one process of its own interpreter.
"""

from __future__ import annotations

import base64
import copy
import itertools
import json
import os
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.corpus import WHY_SKIPPED, corpus_cases, load_cases

from beluga_llm import (
    AIMessage,
    ChatRequest,
    FilePart,
    GenerateOptions,
    HumanMessage,
    ImagePart,
    ReasoningConfig,
    ResponseFormat,
    SystemMessage,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
    replace,
)
from beluga_llm_anthropic import (
    AnthropicDialect,
    BedrockAnthropicDialect,
    VertexAnthropicDialect,
)

SERVERS = Path(os.environ.get("SERVERS_WORK") or Path.home() / ".cache" / "beluga-servers")
PYTHON = SERVERS / "clients" / "bin" / "python"
SHARED = os.environ.get("BELUGA_SHARED")
READER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from oracle import validate_request
for line in sys.stdin:
    print(json.dumps(validate_request("anthropic", "messages", json.loads(line))))
"""
requires_oracle = pytest.mark.skipif(
    not (SHARED and PYTHON.exists()), reason="the request oracle is not installed here"
)
DIALECT = AnthropicDialect()


def problems(bodies):
    """What the oracle finds, for each body."""
    done = subprocess.run(
        [PYTHON, "-c", READER, Path(SHARED) / "servers" / "oracle"],
        input="\n".join(map(json.dumps, bodies)),
        capture_output=True,
        text=True,
        check=True,
        timeout=55,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_fine(bodies):
    found = zip(bodies, problems(bodies), strict=True)
    wrong = [(issues, body) for body, issues in found if issues]
    assert not wrong, wrong[0]


# --- recorded conversations -------------------------------------------------------------------


def to_part(part):
    """A neutral part as ours; None for what this API does not take."""
    metadata = {"cache_control": part["cache_control"]} if part.get("cache_control") else {}
    data = base64.b64decode(part["data"]) if "data" in part else None
    more = {"mime_type": part["mime"]} if "mime" in part else {}
    match part["type"]:
        case "text":
            return TextPart(part["text"], metadata=metadata)
        case "json":
            return TextPart(json.dumps(part["json"]))
        case "thinking":
            return ThinkingPart(part["text"], part.get("signature"), part.get("redacted_data"))
        case "image":
            return ImagePart(data, part.get("url"), metadata=metadata, **more)
        case "file":
            return FilePart(data, part.get("url"), name=part.get("name"), metadata=metadata, **more)
    return None


def to_messages(neutral):
    """A recorded conversation in our types; ids that were not sent are counted."""
    numbers, unanswered = itertools.count(), []
    for message in neutral["messages"]:
        if message["role"] == "tool":
            for part in message["parts"]:
                first = unanswered.pop(0) if unanswered else "none"
                yield ToolMessage(
                    [with_mark(to_part(inner), part) for inner in part["content"]],
                    tool_call_id=part["tool_call_id"] or first,
                    is_error=part.get("is_error", False),
                )
            continue
        parts = [made for part in message["parts"] if (made := to_part(part)) is not None]
        if message["role"] == "assistant":
            calls = [
                ToolCall(
                    part["id"] or f"call-{next(numbers)}",
                    part["name"],
                    json.dumps(part["arguments"]),
                    part_index=place,
                )
                for place, part in enumerate(message["parts"])
                if part["type"] == "tool_call"
            ]
            unanswered = [call.id for call in calls]
            yield AIMessage(parts, tool_calls=calls)
        else:
            yield (SystemMessage if message["role"] == "system" else HumanMessage)(parts)


def with_mark(part, result):
    mark = result.get("cache_control")
    return TextPart(part.text, metadata={"cache_control": mark}) if mark else part


def to_tools(neutral):
    return [
        ToolDefinition(
            tool["name"],
            tool.get("description") or "",
            tool["parameters"],
            strict=tool.get("strict"),
            metadata={"cache_control": mark} if (mark := tool.get("cache_control")) else {},
        )
        for tool in neutral["tools"]
        if tool.get("parameters") is not None
    ]


@requires_oracle
@pytest.mark.row("PROV-05", "PROV-19", "TOOL-22")
def test_recorded_conversations_of_every_provider_are_accepted():
    if not load_cases():
        pytest.skip(WHY_SKIPPED)
    bodies = []
    for case in load_cases():
        if not case.neutral.get("complete"):
            continue
        options = GenerateOptions(model="claude-sonnet-4-5")
        messages = [
            m
            for m in to_messages(case.neutral)
            if not (isinstance(m, ToolMessage) and m.tool_call_id == "none")
        ]
        request = ChatRequest(tuple(messages), options, tuple(to_tools(case.neutral)))
        body = json.loads(json.dumps(DIALECT.encode(request).json))
        if body["messages"]:
            bodies.append(body)
    assert len(bodies) > 150
    assert_fine(bodies)


# --- recorded requests ------------------------------------------------------------------------


def to_options(options):
    choice = options.get("tool_choice") or {}
    reasoning = options.get("reasoning") or {}
    wanted = options.get("response_format") or {}
    return GenerateOptions(
        model=options.get("model"),
        max_tokens=options.get("max_tokens"),
        temperature=options.get("temperature"),
        top_p=options.get("top_p"),
        top_k=options.get("top_k"),
        stop=options.get("stop") or (),
        tool_choice=choice.get("name") or choice.get("mode"),
        parallel_tool_calls=options.get("parallel_tool_calls"),
        reasoning=ReasoningConfig(None, reasoning["budget_tokens"])
        if reasoning.get("budget_tokens")
        else None,
        response_format=ResponseFormat.json_schema(wanted["schema"])
        if wanted.get("schema")
        else None,
    )


def normal(body):
    """A recorded request in the form that we send."""
    found = {key: value for key, value in body.items() if value not in (None, [])}
    if isinstance(found.get("system"), str):
        found["system"] = [{"type": "text", "text": found["system"]}]
    turns = []
    for turn in found["messages"]:
        content = [normal_block(block) for block in blocks_of(turn["content"])]
        if turns and turns[-1]["role"] == turn["role"]:
            turns[-1]["content"] += content
        else:
            turns.append({"role": turn["role"], "content": content})
    found["messages"] = turns
    if (choice := found.get("tool_choice")) and not choice.get("disable_parallel_tool_use"):
        choice.pop("disable_parallel_tool_use", None)
    if not found.get("stream"):
        found.pop("stream", None)
    if (older := found.pop("output_format", None)) is not None:
        found["output_config"] = {"format": older}
    for tool in found.get("tools", ()):
        if not tool.get("description"):
            tool.pop("description", None)
        tool.pop("type", None)
        tool.pop("defer_loading", None)  # not in the neutral form
        if not tool.get("strict"):
            tool.pop("strict", None)
    return found


def blocks_of(content):
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def normal_block(block):
    block = {key: value for key, value in block.items() if value is not None}
    if block["type"] == "tool_result":
        block["content"] = [normal_block(inner) for inner in blocks_of(block["content"])]
        if not block.get("is_error"):
            block.pop("is_error", None)
    return block


def to_request(case, **options):
    neutral = case.neutral
    return ChatRequest(
        tuple(to_messages(neutral)),
        replace(to_options(neutral["options"]), **options),
        tuple(to_tools(neutral)),
        case.stream,
    )


@pytest.mark.row("PROV-05", "CACH-18", "REAS-14")
@pytest.mark.parametrize("case", corpus_cases("messages", "anthropic"))
def test_recorded_requests_are_made_alike(case):
    if not case.neutral.get("complete"):
        pytest.skip("the recorded request has fields that are not neutral")
    made = json.loads(json.dumps(DIALECT.encode(to_request(case)).json))
    assert made == normal(copy.deepcopy(case.request_body))


@pytest.mark.row("PROV-35", "REAS-14")
@pytest.mark.parametrize(
    "case", [*corpus_cases("messages", "vertex_anthropic"), *corpus_cases("invoke_model")]
)
def test_recorded_requests_to_clouds_are_made_alike(case):
    path = unquote(urlsplit(case.data["request"]["url"]).path)
    if case.provider == "bedrock":
        dialect, model = BedrockAnthropicDialect(), path.split("/")[2]
    else:
        _, _, _, project, _, location, *_, named = path.split("/")
        dialect = VertexAnthropicDialect(project=project, location=location)
        model = named.partition(":")[0]
    encoded = dialect.encode(to_request(case, model=model))
    assert unquote(encoded.path) == path
    made, recorded = json.loads(json.dumps(encoded.json)), normal(copy.deepcopy(case.request_body))
    for body in (made, recorded):
        if body.get("top_p") == 1:  # what applies without it
            del body["top_p"]
    assert made == recorded


# --- built conversations ----------------------------------------------------------------------

TEXTS = st.sampled_from(["", " ", "a", "two words ", "é😀\n", "x\ty"])
SIGNED = st.builds(
    ThinkingPart, TEXTS, st.sampled_from([None, "sig"]), provider=st.sampled_from([None, "other"])
)
REDACTED = st.just(ThinkingPart("", redacted_data="r"))
MEDIA = st.sampled_from(
    [
        ImagePart(b"\x89PNG"),
        ImagePart(url="https://x/y.gif", metadata={"cache_control": {"type": "ephemeral"}}),
        FilePart(b"%PDF", name="a"),
        FilePart(b"text", mime_type="text/plain"),
        FilePart(file_id="file_1"),
    ]
)
SAID = st.lists(st.one_of(TEXTS, MEDIA), max_size=3)
IDS = st.sampled_from(["toolu_1", "functions.f:0", "a b", "ü", ""])
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
MODELS = st.sampled_from(
    ["claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-5-5", "claude-3-5-haiku-latest", "other"]
)


@st.composite
def exchanges(draw):
    """What a model answers, with the results of its calls, and what a user says to it."""
    ids = draw(st.lists(IDS, unique=True, max_size=3))
    parts = draw(st.lists(st.one_of(TEXTS, SIGNED, REDACTED), max_size=3))
    places = st.one_of(st.none(), st.integers(0, 3))
    calls = [ToolCall(name, "f", draw(ARGUMENTS), part_index=draw(places)) for name in ids]
    results = [
        ToolMessage(draw(SAID), tool_call_id=name, is_error=draw(st.booleans()))
        for name in draw(st.permutations(ids))
    ]
    return [AIMessage(parts, tool_calls=calls), *results, HumanMessage(["go on", *draw(SAID)])]


@st.composite
def requests(draw):
    system = draw(st.lists(st.builds(SystemMessage, TEXTS), max_size=2))
    rest = [message for turn in draw(st.lists(exchanges(), max_size=3)) for message in turn]
    tools = draw(TOOLS)
    named = [tool.name for tool in tools]
    choices = [None, "auto", "required", "none", *named]
    effort = draw(st.sampled_from([None, "none", "low", "max"]))
    budget = draw(st.sampled_from([None, 500, 4000]))
    options = GenerateOptions(
        model=draw(MODELS),
        max_tokens=draw(st.sampled_from([None, 40_000])),
        temperature=draw(st.sampled_from([None, 0.0, 1.0, 2.0])),
        top_k=draw(st.sampled_from([None, 5])),
        stop=draw(st.sampled_from([(), ("END",), (" ",)])),
        tool_choice=draw(st.sampled_from(choices)),
        parallel_tool_calls=draw(st.sampled_from([None, False])),
        user=draw(st.sampled_from([None, "u"])),
        reasoning=ReasoningConfig(effort, budget, draw(st.booleans())),
        response_format=draw(
            st.sampled_from([None, ResponseFormat.json_schema({"type": "object"})])
        ),
    )
    first = HumanMessage(["hi", *draw(SAID)])
    return ChatRequest((*system, first, *rest), options, tuple(tools), draw(st.booleans()))


@requires_oracle
@pytest.mark.row("PROV-05", "PROV-18", "PROV-19", "PROV-33", "REAS-10", "REAS-17", "TOOL-14")
def test_built_requests_are_accepted():
    bodies = []

    @settings(
        max_examples=300,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(requests())
    def build(request):
        body = json.loads(json.dumps(DIALECT.encode(request).json))
        assert body["messages"][0]["role"] == "user"
        bodies.append(body)

    build()
    assert_fine(bodies)

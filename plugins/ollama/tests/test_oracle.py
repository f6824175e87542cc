"""Request bodies against the types of the vendor's own client.

One process of the oracle's interpreter reads all bodies of a test.
"""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import strategies
from support.corpus import WHY_SKIPPED, load_cases
from support.neutral import neutral_request
from support.oracle import request_problems

from beluga_llm import ChatRequest, GenerateOptions, ReasoningConfig, ResponseFormat, ToolDefinition
from beluga_llm_ollama import OllamaChatDialect, OllamaDialect

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Where."}, "n": {"type": "integer"}},
    "required": ["city"],
}
TOOLS = (ToolDefinition("weather", "Tells the weather.", SCHEMA), ToolDefinition("now"))
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "max_tokens": st.integers(1, 99),
        "top_p": st.floats(0, 1),
        "top_k": st.integers(1, 99),
        "seed": st.integers(0, 99),
        "stop": st.lists(st.just("x"), max_size=2),
        "frequency_penalty": st.floats(-2, 2),
        "presence_penalty": st.floats(-2, 2),
        "logprobs": st.booleans(),
        "top_logprobs": st.integers(0, 20),
        "tool_choice": st.sampled_from(["auto", "none", "required", "weather"]),
        "parallel_tool_calls": st.booleans(),
        "response_format": st.sampled_from(
            [
                ResponseFormat.text(),
                ResponseFormat.json(),
                ResponseFormat.json_schema(SCHEMA),
            ]
        ),
        "reasoning": st.builds(
            ReasoningConfig, st.sampled_from([None, "none", "minimal", "high", "max"])
        ),
        "provider_options": st.sampled_from(
            [{}, {"ollama": {"keep_alive": "5m", "num_ctx": 4096}}, {"ollama": {"think": True}}]
        ),
    },
)


def body_of(request, dialect):
    return json.loads(json.dumps(dialect.encode(request).json, default=dict))


OTHER_SCHEMAS = ("generate_content",)  # types in capitals, which are no JSON Schema
NO_PROBLEM = re.compile(
    r"/images/\d+: Input should be a valid dictionary"  # the client's type before it is written
    r"|/reasoning\b"  # a field that Ollama has and OpenAI has not
    r"|tool_call_id: '' is not an id"  # recorded without ids, by other vendors
)


def assert_fine(provider, api, bodies):
    found = request_problems(provider, api, bodies)
    for issues, body in zip(found, bodies, strict=True):
        wrong = [issue for issue in issues if not NO_PROBLEM.search(issue)]
        assert not wrong, (wrong, body)


@pytest.mark.row("PROV-10", "OPTI-02", "TOOL-22")
def test_any_request_is_one_of_the_vendors():
    """Conversations of all parts, with tools and options, whole and streamed."""
    bodies = []

    @settings(
        max_examples=120,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        messages=st.lists(strategies.messages, min_size=1, max_size=4),
        options=OPTIONS,
        tools=st.sampled_from([(), TOOLS]),
        streaming=st.booleans(),
    )
    def collect(messages, options, tools, streaming):
        made = GenerateOptions(model="qwen3", **options)
        bodies.append(
            body_of(ChatRequest(tuple(messages), made, tools, streaming), OllamaDialect())
        )

    collect()
    assert_fine("ollama", "chat", bodies)


@pytest.mark.row("PROV-10", "TOOL-22")
@pytest.mark.parametrize(
    ("dialect", "provider", "api"),
    [
        (OllamaDialect(), "ollama", "chat"),
        (OllamaChatDialect(), "openai", "chat_completions"),
    ],
)
def test_recorded_conversations_of_every_provider_are_accepted(dialect, provider, api):
    if not load_cases():
        pytest.skip(WHY_SKIPPED)
    cases = [case for case in load_cases() if case.neutral.get("complete")]
    requests = [neutral_request(case) for case in cases if case.api not in OTHER_SCHEMAS]
    bodies = [body_of(request, dialect) for request in requests]
    assert len(bodies) > 150
    assert_fine(provider, api, bodies)

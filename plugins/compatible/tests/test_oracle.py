"""Requests against OpenAI's specification, for the rows that stay within it.

The others add fields of their own (`thinking`, `reasoning`, `top_k`), which it does not know.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.compatible import dialect_of
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
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
)

WITHIN = (
    "groq", "together", "fireworks", "xai", "huggingface", "sambanova", "cerebras", "nvidia",
    "databricks", "cloudflare", "github-models", "litellm", "bifrost", "vllm", "lmstudio",
    "llamacpp", "perplexity", "snowflake",
)  # fmt: skip
CLOSED = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
PNG = b"\x89PNG\r\n\x1a\n"
NAMES = ("add", "get_weather")
words = st.text("ab c\u00e9\U0001f600", min_size=1, max_size=8)
said = st.one_of(
    words.map(TextPart),
    st.just(ImagePart(data=PNG, detail="low")),
    st.just(ImagePart(url="https://images.example/a.png")),
    st.just(AudioPart(data=b"RIFF", format="wav")),
    st.just(FilePart(data=b"%PDF", name="a.pdf")),
)


@st.composite
def turns(draw):
    """A question, perhaps calls and their results, and an answer."""
    question = [draw(words.map(TextPart)), *draw(st.lists(said, max_size=2))]
    yield_ = [HumanMessage(question, name=draw(st.sampled_from((None, "ann"))))]
    calls = [
        ToolCall(f"call_{draw(st.integers(0, 9999))}_{place}", name, '{"x": 1}')
        for place, name in enumerate(draw(st.lists(st.sampled_from(NAMES), max_size=2)))
    ]
    thought = draw(
        st.sampled_from(((), (ThinkingPart("hm"),), (ThinkingPart("", "s", provider="x"),)))
    )
    if calls:
        yield_.append(AIMessage([*thought, *draw(st.lists(words, max_size=1))], tool_calls=calls))
        yield_ += [ToolMessage(draw(words), tool_call_id=call.id, name=call.name) for call in calls]
    return [*yield_, AIMessage([*thought, draw(words)])]


options = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from((0.0, 1.5)),
        "top_p": st.sampled_from((0.0, 0.9)),
        "max_tokens": st.integers(1, 99),
        "stop": st.lists(words, min_size=1, max_size=4).map(tuple),
        "seed": st.integers(-5, 5),
        "n": st.integers(1, 3),
        "presence_penalty": st.sampled_from((-2.0, 2.0)),
        "frequency_penalty": st.just(0.5),
        "top_logprobs": st.integers(0, 20),
        "logprobs": st.booleans(),
        "logit_bias": st.just({"50256": -100}),
        "user": words,
        "parallel_tool_calls": st.booleans(),
        "tool_choice": st.sampled_from(("auto", "none", "required", *NAMES)),
        "reasoning": st.sampled_from(("low", "medium", "high")).map(ReasoningConfig),
        "response_format": st.sampled_from((
            ResponseFormat.text(), ResponseFormat.json(),
            ResponseFormat.json_schema(CLOSED, name="n", description="d"),
        )),
    },
)  # fmt: skip
TOOLS = tuple(
    ToolDefinition(name, description, CLOSED, strict)
    for name, description, strict in zip(NAMES, ("", "The weather"), (None, True), strict=True)
)


@pytest.mark.row("PROV-03", "PROV-02", "PROV-33")
def test_requests_pass_the_specification_that_they_copy():
    bodies = []

    @settings(
        max_examples=108, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.lists(turns(), min_size=1, max_size=3), options, st.booleans(), st.booleans())
    def collect(conversation, given_options, system, streaming):
        entry = WITHIN[len(bodies) % len(WITHIN)]
        messages = [message for turn in conversation for message in turn][:-1]
        if system or "response_format" in given_options:
            messages.insert(0, SystemMessage("Answer in JSON, if at all."))
        request = ChatRequest(
            tuple(messages),
            GenerateOptions(model="m", **given_options),
            TOOLS if len(messages) % 3 or "tool_choice" in given_options else (),
            streaming,
        )
        body = json.loads(json.dumps(dialect_of(entry).encode(request).json))
        body.pop("reasoning_format", None)  # Cerebras' own
        if entry == "together":
            body.pop("logprobs", None)  # a number there
        if "reasoning" in body:  # Snowflake's object
            assert body.pop("reasoning").keys() == {"effort"}
        bodies.append((entry, body))

    collect()
    found = request_problems("openai", "chat_completions", [body for _, body in bodies])
    wrong = [(problems, made) for problems, made in zip(found, bodies, strict=True) if problems]
    assert not wrong, wrong[0]
    assert {entry for entry, _ in bodies} == set(WITHIN)

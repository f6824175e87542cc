"""What a dialect remembers of requests before changes nothing of what it sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import beluga_llm_anthropic._turns as turns_module
from beluga_llm import (
    AIMessage,
    ChatRequest,
    FilePart,
    GenerateOptions,
    HumanMessage,
    ImagePart,
    InvalidRequestError,
    SystemMessage,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
)
from beluga_llm_anthropic import (
    AnthropicDialect,
    BedrockAnthropicDialect,
    VertexAnthropicDialect,
)
from beluga_llm_anthropic._beside import Beside, Memory

MARKED = TextPart("rules", metadata={"cache_control": {"type": "ephemeral"}})
TEXT = st.sampled_from(["a", "b ", " ", "", "\n"])
PART = st.sampled_from([MARKED, ThinkingPart("t", signature="s", provider="google")])
PLAIN = st.builds(lambda kind, text: kind(text), st.sampled_from([HumanMessage, AIMessage]), TEXT)
ANSWER = st.builds(
    lambda text, calls, kept: AIMessage(text, tool_calls=calls, provider_metadata=kept),
    TEXT | st.just([MARKED]) | st.lists(PART | TEXT, max_size=2),
    st.sampled_from([(), (ToolCall("c", "f", "{}"),)]),
    st.sampled_from(
        [
            {},
            {"service_tier": "standard"},
            {"content_blocks": [{"type": "x", "part_index": 0}]},
            {"citations": [{"a": 1, "part_index": 0}], "cited_texts": []},
        ]
    ),
)
MESSAGE = st.one_of(
    PLAIN,
    ANSWER,
    st.sampled_from(
        [
            SystemMessage("be short"),
            SystemMessage([MARKED]),
            HumanMessage([MARKED]),
            HumanMessage("n", name="ann"),
            HumanMessage([TextPart("s", signature="x", provider="google")]),
            HumanMessage([ImagePart(file_id="file_1", mime_type="image/png"), "look"]),
            HumanMessage([FilePart(data=b"x", mime_type="application/zip")]),
            ToolMessage("4", "c"),
        ]
    ),
)
MESSAGES = st.lists(MESSAGE, min_size=1, max_size=4).map(tuple)
TOOL = ToolDefinition("f", "does", {"type": "object", "properties": {}})
TOOLS = ((), (TOOL,))
OPTIONS = (
    GenerateOptions(model="claude-sonnet-4-5"),
    GenerateOptions(model="claude-opus-4-6", temperature=0.5, seed=3),
    GenerateOptions(model="m", max_tokens=9, stop=("x", " "), user="u"),
    GenerateOptions(
        model="claude-opus-5", provider_options={"anthropic": {"betas": "b", "system": "given"}}
    ),
    GenerateOptions(model="m", provider_options={"anthropic": {"model": "n", "stream": True}}),
)
REQUEST = st.builds(
    ChatRequest, MESSAGES, st.sampled_from(OPTIONS), st.sampled_from(TOOLS), st.booleans()
)
DIALECTS = {
    "anthropic": lambda: AnthropicDialect(betas=["z"]),
    "vertex": lambda: VertexAnthropicDialect(project="p", betas=["z"]),
    "bedrock": lambda: BedrockAnthropicDialect(betas=["z"]),
}


def sent(dialect, request):
    """What is sent, and what would be to count it; the error where there is nothing to send."""
    try:
        return dialect.encode(request), dialect.count_request(request)
    except InvalidRequestError as error:
        return repr(error)


@pytest.mark.parametrize("name", DIALECTS)
@given(requests=st.lists(REQUEST, min_size=2, max_size=5))
def test_a_dialect_sends_what_a_new_one_sends(name, requests):
    kept = DIALECTS[name]()
    for request in (*requests, *requests):
        assert sent(kept, request) == sent(DIALECTS[name](), request)


@pytest.mark.parametrize("name", DIALECTS)
@given(request=REQUEST)
def test_a_message_of_one_text_is_sent_as_any_other(name, request):
    quick = sent(DIALECTS[name](), request)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns_module, "_only_text", lambda message: None)
        assert sent(DIALECTS[name](), request) == quick


def test_a_few_sets_of_options_are_remembered():
    dialect, options = AnthropicDialect(), [GenerateOptions(model=f"m{at}") for at in range(40)]
    requests = [ChatRequest((HumanMessage("hi"),), each) for each in options]
    assert [dialect.encode(request).json["model"] for request in requests] == [
        each.model for each in options
    ]
    assert dialect.encode(requests[-1]).headers is dialect.encode(requests[-1]).headers
    assert len(dialect._memory._kept) <= 16


def test_a_copy_of_a_dialect_does_not_take_ids_for_values() -> None:
    """In a deep copy the ids are those of the original's objects, which may be used again."""
    memory = Memory()
    first, then = (
        ChatRequest((), GenerateOptions(model="m", seed=seed), streaming=False) for seed in (1, 2)
    )
    made = Beside({}, {}, "", (), {}, ())
    memory.of(first, lambda request: made)
    (kept,) = memory._kept.values()
    memory._kept[id(then.options), id(then.tools), False] = kept
    other = Beside({"new": 1}, {}, "", (), {}, ())
    assert memory.of(then, lambda request: other) is other
    assert memory.of(first, lambda request: other) is made

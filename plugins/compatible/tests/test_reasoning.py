"""Reasoning that comes back to its vendor: byte for byte, over turns of tools, after saving."""

from __future__ import annotations

import json
import warnings

import pytest
from support.compatible import body_of, sse

from beluga_llm import (
    AIMessage,
    HumanMessage,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
    from_dict,
    to_dict,
)

TOOL = ToolDefinition("add", "Adds", {"type": "object", "properties": {"x": {"type": "integer"}}})
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"x": 1}'}}
DETAILS = [
    {"type": "reasoning.text", "text": "Let me  add.\n", "signature": "c2ln+/bmF0dXJl==",
     "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "gAAAA\u00e4_-==", "id": "rs_1",
     "format": "openai-responses-v1", "index": 1},
    {"type": "reasoning.summary", "summary": "A sum.", "id": "rs_2", "index": 2},
]  # fmt: skip


def saved(message):
    """A message after it was saved as JSON and read again."""
    return from_dict(json.loads(json.dumps(to_dict(message))))


async def answers(make, wire, entry, message, frames):
    """The same answer, generated and streamed, each also saved and read again."""
    wire.whole = {"model": "m", "choices": [{"message": message, "finish_reason": "tool_calls"}]}
    wire.stream = sse(*frames)
    model = make(entry).bind_tools([TOOL])
    generated = await model.generate("1+1?")
    async with model.stream("1+1?") as stream:
        streamed = await stream.response()
    return model, [generated, streamed, saved(generated), saved(streamed)]


async def sent_back(model, wire, answer):
    """The assistant message of the next request."""
    result = ToolMessage("2", tool_call_id="call_1")
    wire.whole = {"choices": [{"message": {"content": "2"}, "finish_reason": "stop"}]}
    await model.generate([HumanMessage("1+1?"), answer, result])
    return wire.body["messages"][1]


def frame(delta, finish=None):
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


@pytest.mark.row("PAIN-11", "REAS-12", "REAS-14", "REAS-15")
@pytest.mark.parametrize("entry", ["openrouter", "vercel", "snowflake", "litellm"])
async def test_signed_details_go_back_whole(make, wire, entry):
    message = {"content": None, "reasoning_details": DETAILS, "tool_calls": [CALL],
               "reasoning": "Let me  add.\nA sum."}  # fmt: skip
    text, encrypted, summary = DETAILS
    frames = [
        frame({"reasoning": "Let me ", "reasoning_details": [
            {**text, "text": "Let me ", "signature": None}]}),
        frame({"reasoning": " add.\n", "reasoning_details": [
            {"type": text["type"], "text": " add.\n", "signature": "c2ln", "index": 0}]}),
        frame({"reasoning_details": [
            {"type": text["type"], "signature": "+/bmF0dXJl==", "index": 0}]}),
        frame({"reasoning_details": [encrypted]}),
        frame({"reasoning": "A sum.", "reasoning_details": [summary]}),
        frame({"tool_calls": [{"index": 0, **CALL}]}, "tool_calls"),
    ]  # fmt: skip
    model, found = await answers(make, wire, entry, message, frames)
    for answer in found:
        assert answer.thinking == "Let me  add.\nA sum."
        back = await sent_back(model, wire, answer)
        details = [
            {key: value for key, value in detail.items() if value is not None}
            for detail in back["reasoning_details"]
        ]
        assert details == DETAILS
        assert not {"reasoning", "reasoning_content"} & back.keys()
        assert back["tool_calls"] == [CALL]


@pytest.mark.row("REAS-12", "REAS-14", "PAIN-11")
@pytest.mark.parametrize(
    ("entry", "model"),
    [("deepseek", "deepseek-flash"), ("zai", "glm-4.7"), ("moonshot", "kimi-k2.6")],
)
async def test_reasoning_content_goes_back_in_its_field(make, wire, entry, model):
    message = {"content": "So.", "reasoning_content": "Let me  add.\n", "tool_calls": [CALL]}
    frames = [
        frame({"role": "assistant", "reasoning_content": "Let me "}),
        frame({"reasoning_content": " add.\n"}),
        frame({"content": "So."}),
        frame({"tool_calls": [{"index": 0, **CALL}]}, "tool_calls"),
    ]
    bound, found = await answers(make, wire, entry, message, frames)
    for answer in found:
        assert await sent_back(bound.with_options(model=model), wire, answer) == {
            "role": "assistant",
            "content": "So.",
            "reasoning_content": "Let me  add.\n",
            "tool_calls": [CALL],
        }


@pytest.mark.row("PAIN-11", "REAS-12", "REAS-14")
async def test_databricks_wants_the_content_as_it_came(make, wire):
    summary = {"type": "summary_text", "text": "Let me add.", "signature": "c2ln+/bmF0dXJl=="}
    content = [{"type": "reasoning", "summary": [summary]}, {"type": "text", "text": "So."}]
    message = {"content": content, "tool_calls": [CALL]}
    frames = [
        frame({"content": [{"type": "reasoning", "summary": [{**summary, "signature": ""}]}]}),
        frame({"content": [{"type": "reasoning", "summary": [{**summary, "text": ""}]}]}),
        frame({"content": [{"type": "text", "text": "So."}]}),
        frame({"tool_calls": [{"index": 0, **CALL}]}, "tool_calls"),
    ]
    model, found = await answers(make, wire, "databricks", message, frames)
    for answer in found:
        assert (answer.text, answer.thinking) == ("So.", "Let me add.")
        back = await sent_back(model, wire, answer)
        assert back == {"role": "assistant", "content": content, "tool_calls": [CALL]}


@pytest.mark.row("REAS-12")
@pytest.mark.parametrize(
    ("entry", "model", "field"),
    [
        ("deepseek", "deepseek-flash", ""),
        ("deepseek", "deepseek-reasoner", ""),
        ("deepseek", "deepseek-chat", None),
        ("moonshot", "kimi-k2.6", " "),
        ("moonshot", "moonshot-v1-8k", None),
        ("zai", "glm-4.7", None),
    ],
)
def test_a_turn_of_tools_without_reasoning(entry, model, field):
    turn = AIMessage(tool_calls=[ToolCall("call_1", "add", "{}")])
    result = ToolMessage("2", tool_call_id="call_1")
    sent = body_of(entry, "1+1?", turn, result, model=model)["messages"]
    assert sent[1].get("reasoning_content") == field
    assert "reasoning_content" not in body_of(entry, "hi", AIMessage("ho"), "go", model=model)


@pytest.mark.row("REAS-12")
@pytest.mark.parametrize("entry", ["groq", "xai", "cerebras", "qwen", "vllm", "fireworks"])
async def test_reasoning_stays_here_where_nobody_wants_it(make, wire, entry):
    message = {"content": None, "reasoning_content": "Let me add.", "tool_calls": [CALL]}
    frames = [
        frame({"reasoning": "Let me add."}),
        frame({"tool_calls": [{"index": 0, **CALL}]}, "tool_calls"),
    ]
    model, found = await answers(make, wire, entry, message, frames)
    for answer in found:
        assert answer.thinking == "Let me add."
        back = await sent_back(model, wire, answer)
        assert back == {"role": "assistant", "content": None, "tool_calls": [CALL]}


@pytest.mark.row("REAS-15", "PAIN-11")
@pytest.mark.parametrize("entry", ["openrouter", "vercel", "deepseek", "groq"])
async def test_foreign_signatures_are_not_sent(make, wire, entry):
    thought = ThinkingPart("secret", "sig", provider="anthropic")
    history = [HumanMessage("hi"), AIMessage([thought, "ho"]), HumanMessage("go")]
    model = make(entry)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        await model.generate(history)
        await model.generate(history)
    assert wire.body["messages"][1] == {"role": "assistant", "content": "ho"}
    assert len(told) == 1
    assert f"reasoning signed by 'anthropic' is not sent to '{entry}'" in str(told[0].message)


@pytest.mark.row("PAIN-11", "REAS-14")
async def test_openrouter_reads_its_reasoning_in_responses_too(make, wire):
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA=="}
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add",
            "arguments": '{"x": 1}'}  # fmt: skip
    wire.whole = {"status": "completed", "model": "m", "output": [item, call]}
    model = make("openrouter", options={"api": "responses"}).bind_tools([TOOL])
    answer = saved(await model.generate("1+1?"))
    await model.generate(["1+1?", answer, ToolMessage("2", tool_call_id="call_1")])
    sent = wire.body["input"]
    assert sent[1]["encrypted_content"] == "gAAA=="
    assert [entry.get("type") for entry in sent[1:]] == [
        "reasoning", "function_call", "function_call_output",
    ]  # fmt: skip

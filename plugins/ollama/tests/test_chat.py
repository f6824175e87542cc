"""The server's OpenAI-compatible API: what of it differs from others."""

from __future__ import annotations

import json

import pytest
from support.corpus import decode_bytes

from beluga_llm import (
    AIMessage,
    AudioPart,
    FilePart,
    FinishReason,
    HumanMessage,
    ImagePart,
    ReasoningConfig,
    StreamInterruptedError,
    TextPart,
    ThinkingPart,
    ToolDefinition,
    ToolMessage,
)

WEATHER = ToolDefinition("weather", "", {"type": "object"}, strict=True)


@pytest.fixture
def sent(encode, chat):
    """The body of a request."""
    return lambda *messages, **options: encode(*messages, to=chat, **options).json


@pytest.fixture
def left_out(encode, chat):
    """The names of what was left out."""
    return lambda *messages, **options: [
        note.name for note in encode(*messages, to=chat, **options).notes
    ]


@pytest.mark.row("PROV-10")
def test_the_path_has_the_version(encode, chat):
    request = encode(to=chat, streaming=True, max_tokens=5)
    assert request.path == "/v1/chat/completions"
    assert request.json == {
        "model": "qwen3",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.row("OPTI-27")
def test_options_that_the_server_does_not_read_are_noted(sent, left_out):
    given = {
        "top_k": 3,
        "n": 2,
        "logit_bias": {"1": 1},
        "user": "u",
        "parallel_tool_calls": False,
        "reasoning": ReasoningConfig("xhigh", 100),
    }
    body = sent(tools=[WEATHER], **given)
    assert body.keys() == {"model", "messages", "tools", "reasoning_effort"}
    assert body["reasoning_effort"] == "high"
    assert set(left_out(tools=[WEATHER], **given)) == {
        "top_k", "n", "logit_bias", "user", "parallel_tool_calls", "reasoning_budget"
    }  # fmt: skip


@pytest.mark.row("PROV-33", "OPTI-27")
@pytest.mark.parametrize(
    ("choice", "has_tools", "noted"),
    [
        ("auto", True, []),
        ("none", False, []),
        ("required", True, ["tool_choice"]),
        ("weather", True, ["tool_choice"]),
    ],
)
def test_tools_are_free_or_left_out(sent, left_out, choice, has_tools, noted):
    body = sent(tools=[WEATHER], tool_choice=choice)
    assert ("tools" in body) is has_tools
    assert body.get("tool_choice") in (None, "auto")
    assert left_out(tools=[WEATHER], tool_choice=choice) == noted


@pytest.mark.row("OPTI-12")
def test_what_is_given_outright_is_sent(sent):
    given = {"ollama": {"tool_choice": "none"}}
    assert "tool_choice" not in sent(provider_options=given)
    assert sent(provider_options={"ollama": {"tool_choice": "required"}})["tool_choice"]


@pytest.mark.row("REAS-12", "REAS-14")
def test_reasoning_goes_back_in_the_field_it_came_in(sent):
    (message,) = sent(AIMessage([ThinkingPart("Hm."), TextPart("Yes.")]))["messages"]
    assert message == {"role": "assistant", "content": "Yes.", "reasoning": "Hm."}


@pytest.mark.row("PROV-17", "SCHE-15")
def test_images_are_sent_as_bytes_and_nothing_else_is(encode, chat, left_out):
    picture = ImagePart(b"\x89PNG\r\n\x1a\n")
    request = encode(HumanMessage(["What?", picture]), to=chat)
    text, image = request.json["messages"][0]["content"]
    assert text == {"type": "text", "text": "What?"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert request.notes == ()
    for part in (
        ImagePart(url="https://x/a.png"),
        AudioPart(b"x", format="wav"),
        FilePart(b"%PDF"),
    ):
        assert left_out(HumanMessage(["hi", part])) == [part.type]


def test_texts_of_a_result_stay_one(sent):
    """The server makes messages of their own of the items of a list, without the call's id."""
    (message,) = sent(ToolMessage(["a", "b"], tool_call_id="c1"))["messages"]
    assert message == {"role": "tool", "tool_call_id": "c1", "content": "ab"}


def stream(*deltas, end="data: [DONE]\n\n"):
    frames = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return "".join(f"data: {json.dumps(frame)}\n\n" for frame in frames).encode() + end.encode()


@pytest.mark.row("PROV-10", "STRE-31", "PROV-34")
def test_the_end_marker_is_enough(chat):
    call = {"id": "c1", "index": 0, "function": {"name": "weather", "arguments": "{}"}}
    got = decode_bytes(chat, stream({"content": "Hi"}))
    assert (got.text, got.finish_reason, got.raw_finish_reason) == ("Hi", FinishReason.STOP, None)
    got = decode_bytes(chat, stream({"content": ""}, {"tool_calls": [call]}))
    assert (got.finish_reason, got.tool_calls[0].id) == (FinishReason.TOOL_CALLS, "c1")
    assert type(decode_bytes(chat, stream({"content": "Hi"}, end=""))) is StreamInterruptedError


@pytest.mark.row("REAS-12")
def test_reasoning_is_read(chat):
    got = decode_bytes(chat, stream({"content": "", "reasoning": "Hm"}, {"content": "Yes"}))
    assert got.parts == (ThinkingPart("Hm"), TextPart("Yes"))


def test_nothing_is_claimed_of_a_single_model(chat, dialect):
    for made in (chat, dialect):
        local, cloud = made.capabilities("qwen3"), made.capabilities("gpt-oss:120b-cloud")
        assert (local.json_schema, cloud.json_schema) == (True, None)
        assert (local.tools, local.images, local.reasoning) == (None, None, None)
        assert local.tool_choice == {"auto", "none"}
        assert (local.files, local.audio, local.n, local.seed) == (False, False, False, True)

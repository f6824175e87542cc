"""Ollama's wire format as the fake server writes and reads it, against lines written by hand."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

import beluga_llm as llm
from beluga_llm import AIMessage, HumanMessage, SystemMessage, TextPart, ThinkingPart, ToolMessage
from beluga_llm._http.framing import NDJSON
from beluga_llm.testing import FakeServer
from beluga_llm.testing._answers import WIRES, wire_of
from beluga_llm.testing._pieces import in_pieces, in_wire_order
from beluga_llm.testing._wire import Facts, Failure, encode
from beluga_llm.testing._wire_ollama import OllamaWire

pytestmark = pytest.mark.row("TEST-01")

WIRE = OllamaWire()
FACTS = Facts(request={"model": "qwen3"})
HEAD = {"model": "qwen3", "created_at": "2025-01-01T00:00:00Z"}
END = {"done": True, "total_duration": 1_500_000_000, "load_duration": 500_000_000}
CALL = llm.ToolCall("call_1", "weather", '{"city": "Paris"}')
SAID = {"role": "assistant", "content": ""}


def lines_of(message: AIMessage) -> list[dict[str, Any]]:
    body = b"".join(encode(WIRE.encoder(FACTS), in_pieces(in_wire_order(message))))
    return [json.loads(line) for _, line in NDJSON().feed(body)]


def part_of(**message: Any) -> dict[str, Any]:
    return {**HEAD, "message": {**SAID, **message}, "done": False}


def test_a_stream_is_lines_of_json_of_which_the_last_is_done() -> None:
    usage = llm.Usage(5, 2, cached_tokens=3)
    parts = [ThinkingPart("Hm hm."), TextPart("It rains.")]
    assert lines_of(AIMessage(parts, tool_calls=[CALL], usage=usage)) == [
        part_of(thinking="Hm"),
        part_of(thinking=" hm."),
        part_of(content="It"),
        part_of(content=" rains."),
        part_of(
            tool_calls=[
                {
                    "id": "call_1",
                    "function": {"index": 0, "name": "weather", "arguments": {"city": "Paris"}},
                }
            ]
        ),
        {
            **HEAD,
            "message": SAID,
            **END,
            "done_reason": "stop",
            "prompt_eval_count": 5,
            "prompt_eval_cached_count": 3,
            "eval_count": 2,
        },
    ]


def test_a_whole_answer_is_one_object() -> None:
    message = AIMessage(
        [ThinkingPart("Hm."), TextPart("It rains.")],
        tool_calls=[llm.ToolCall("", "weather", "{cut")],
        usage=llm.Usage(5, 2),
        finish_reason="length",
        logprobs=[{"token": "It", "logprob": -0.5}],
        provider_metadata={"remote_host": "ollama.com"},
    )
    function = {"index": 0, "name": "weather", "arguments": {}}
    assert WIRE.whole(message, FACTS) == {
        **HEAD,
        "message": {
            "role": "assistant",
            "content": "It rains.",
            "thinking": "Hm.",
            "tool_calls": [{"function": function}],
        },
        **END,
        "done_reason": "length",
        "prompt_eval_count": 5,
        "eval_count": 2,
        "logprobs": [{"token": "It", "logprob": -0.5}],
        "remote_host": "ollama.com",
    }


def test_a_plain_answer_says_no_more_than_it_has() -> None:
    found = WIRE.whole(AIMessage("Hi.", raw_finish_reason="load"), FACTS)
    assert found == {
        **HEAD, "message": {"role": "assistant", "content": "Hi."}, **END, "done_reason": "load"
    }  # fmt: skip


def test_refusals_and_whole_parts_are_text_and_logprobs_have_a_line() -> None:
    chunks = [
        llm.StreamChunk(parts=(ThinkingPart("Hm."), TextPart("So."), llm.ImagePart(b"x"))),
        llm.StreamChunk(refusal_delta="No.", logprobs=[{"token": "No", "logprob": 0.0}]),
        llm.StreamChunk(metadata={"remote_host": "ollama.com"}),
    ]
    lines = [json.loads(line) for line in encode(WIRE.encoder(FACTS), chunks)]
    assert [line["message"] for line in lines[:4]] == [
        {**SAID, "thinking": "Hm."},
        {**SAID, "content": "So."},
        {**SAID, "content": "No."},
        SAID,
    ]
    assert lines[3]["logprobs"] == [{"token": "No", "logprob": 0.0}]
    assert lines[4]["remote_host"] == "ollama.com"
    assert WIRE.whole(AIMessage((), refusal="No."), FACTS)["message"]["content"] == "No."


def test_an_error_is_a_text_in_the_body_and_in_a_line() -> None:
    failure = Failure(code="overloaded")
    text = "server busy, please try again.  maximum pending requests exceeded"
    assert (WIRE.said(failure).status, WIRE.error_body(failure)) == (503, {"error": text})
    (line,) = WIRE.encoder(FACTS).error(Failure(code="x", message="boom"))
    assert line == b'{"error":"boom"}\n'


def test_it_streams_unless_told_not_to() -> None:
    path = "/api/chat"
    assert WIRES["ollama"] is wire_of(path)
    assert WIRE.streams(path, {})
    assert WIRE.streams(path, {"stream": True})
    assert not WIRE.streams(path, {"stream": False})


# --- requests ------------------------------------------------------------------------------------

USER = {"role": "user", "content": "hi"}


def test_a_request_is_read() -> None:
    png = base64.b64encode(b"\x89PNG").decode()
    body = {
        "model": "qwen3",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Look:", "images": [png]},
            {
                "role": "assistant",
                "content": "",
                "thinking": "Hm.",
                "tool_calls": [
                    {"id": "c1", "function": {"name": "weather", "arguments": {"city": "Paris"}}},
                    {},
                ],
            },
            {"role": "tool", "content": "rain", "tool_name": "weather", "tool_call_id": "c1"},
        ],
        "tools": [{"type": "function", "function": {"name": "weather"}}, {}],
        "options": {"num_predict": 9, "temperature": 0, "seed": 4, "stop": ["x"]},
        "format": {"type": "object"},
        "think": "low",
        "logprobs": True,
        "top_logprobs": 2,
        "demo": {"delay": 0},
    }
    got = WIRE.read(body)
    assert got.streaming
    assert got.messages[:2] == (
        SystemMessage("Be brief."),
        HumanMessage(["Look:", llm.ImagePart(b"\x89PNG")]),
    )
    answer = got.messages[2]
    assert isinstance(answer, AIMessage)
    assert (answer.thinking, answer.text) == ("Hm.", "")
    assert [(c.id, c.name, c.args) for c in answer.tool_calls] == [
        ("c1", "weather", {"city": "Paris"}),
        ("", "", {}),
    ]
    assert got.messages[3] == ToolMessage("rain", tool_call_id="c1", name="weather")
    assert [tool.name for tool in got.tools] == ["weather", ""]
    options = got.options
    assert (options.max_tokens, options.temperature, options.seed) == (9, 0, 4)
    assert (options.stop, options.logprobs, options.top_logprobs) == (("x",), True, 2)
    assert options.response_format == llm.ResponseFormat.json_schema({"type": "object"})
    assert options.reasoning == llm.ReasoningConfig("low")
    assert options.provider_options == {"demo": {"delay": 0}}


@pytest.mark.parametrize(
    ("think", "config"),
    [
        (None, None),
        (True, llm.ReasoningConfig()),
        (False, llm.ReasoningConfig("none")),
        ("high", llm.ReasoningConfig("high")),
    ],
)
def test_thinking_is_read(think: Any, config: llm.ReasoningConfig | None) -> None:
    assert WIRE.read({"messages": [USER], "think": think}).options.reasoning == config


def test_json_without_a_schema_and_no_stream_are_read() -> None:
    got = WIRE.read({"messages": [USER], "format": "json", "stream": False})
    assert got.options.response_format == llm.ResponseFormat.json()
    assert not got.streaming
    assert WIRE.read({"messages": [USER], "format": ""}).options.response_format is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "messages are required"),
        ({"messages": []}, "messages are required"),
        ({"messages": [{"role": "stranger"}]}, "invalid role: 'stranger'"),
    ],
)
def test_a_bad_request_is_refused(body: dict[str, Any], text: str) -> None:
    with pytest.raises(llm.InvalidRequestError, match=text):
        WIRE.read(body)


def test_the_servers_models_are_listed_without_a_script() -> None:
    import urllib.request

    with FakeServer() as server, urllib.request.urlopen(f"{server.url}/api/tags") as answer:
        assert json.load(answer)["models"][0]["name"] == "fake-model"

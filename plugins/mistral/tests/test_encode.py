"""Requests: messages, tools, formats and options."""

from __future__ import annotations

import pytest

from beluga_llm import (
    AIMessage,
    AudioPart,
    FilePart,
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
    VideoPart,
)

PNG = b"\x89PNG\r\n\x1a\n"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/City"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"City": {"type": "string", "enum": ["Rome"], "description": "Where."}},
}
WEATHER = ToolDefinition("weather", "Tells the weather.", SCHEMA)


@pytest.mark.row("PROV-08", "OPTI-01")
def test_nothing_is_defaulted(encode):
    request = encode()
    assert (request.method, request.path, request.notes) == ("POST", "/chat/completions", ())
    assert request.json == {
        "model": "mistral-small-latest",
        "messages": [{"role": "user", "content": "hi"}],
    }


@pytest.mark.row("PROV-08", "STRE-13")
def test_a_stream_is_asked_for_without_stream_options(body):
    sent = body(streaming=True)
    assert sent["stream"] is True
    assert "stream_options" not in sent


@pytest.mark.row("PROV-08", "OPTI-16")
def test_options_have_their_names(body):
    sent = body(
        temperature=0.0, top_p=0.0, top_k=5, max_tokens=7, stop=["a", "b"], seed=3, n=2,
        frequency_penalty=-1.0, presence_penalty=2.0, top_logprobs=2,
    )  # fmt: skip
    del sent["messages"], sent["model"]
    assert sent == {
        "temperature": 0.0,
        "top_p": 0.0,
        "top_k": 5,
        "max_tokens": 7,
        "stop": ["a", "b"],
        "random_seed": 3,
        "n": 2,
        "frequency_penalty": -1.0,
        "presence_penalty": 2.0,
        "top_logprobs": 2,
        "logprobs": True,
    }


@pytest.mark.row("OPTI-27")
def test_options_that_do_not_exist_are_noted(noted):
    assert noted(logit_bias={"1": 2}, user="u") == ["logit_bias", "user"]
    assert noted(reasoning=ReasoningConfig(budget_tokens=100)) == ["reasoning_budget"]


@pytest.mark.row("OPTI-12")
def test_options_of_the_provider_go_into_the_body(body):
    sent = body(provider_options={"mistral": {"safe_prompt": True, "prompt_mode": None}})
    assert (sent["safe_prompt"], sent["prompt_mode"]) == (True, None)
    assert "safe_prompt" not in body(provider_options={"openai": {"safe_prompt": True}})


@pytest.mark.row("OPTI-12")
@pytest.mark.parametrize(
    "messages", [None, "x", [], [1], [{"role": "x", "tool_calls": [{"function": {"name": 1}}, {}]}]]
)
def test_messages_given_as_an_option_go_as_they_are(body, messages):
    assert body(provider_options={"mistral": {"messages": messages}})["messages"] == messages


# --- reasoning --------------------------------------------------------------------------------


@pytest.mark.row("REAS-01")
@pytest.mark.parametrize("model", ["mistral-small-latest", "mistral-medium-3-5", "something-new"])
@pytest.mark.parametrize("effort", ["none", "high", "extreme"])
def test_an_effort_goes_to_models_that_take_one(encode, model, effort):
    request = encode(model=model, reasoning=ReasoningConfig(effort))
    assert request.json["reasoning_effort"] == effort
    assert request.notes == ()


@pytest.mark.row("OPTI-27", "PROV-25")
@pytest.mark.parametrize(
    ("model", "effort", "left_out"),
    [
        ("magistral-medium-2509", "high", ["reasoning_effort"]),
        ("magistral-medium-2509", "none", ["reasoning_effort"]),
        ("codestral-2508", "high", ["reasoning_effort"]),
        ("mistral-large-2512", "none", []),
    ],
)
def test_an_effort_is_left_out_for_the_others(encode, model, effort, left_out):
    request = encode(model=model, reasoning=ReasoningConfig(effort))
    assert "reasoning_effort" not in request.json
    assert [note.name for note in request.notes] == left_out
    assert all(model in note.text for note in request.notes)


# --- messages ---------------------------------------------------------------------------------


@pytest.mark.row("PROV-18", "SCHE-01", "SCHE-28")
def test_messages_keep_their_order_and_lose_names(body):
    sent = body(
        SystemMessage("one"),
        HumanMessage("hi", name="ann"),
        SystemMessage("two"),
        AIMessage("yes", name="bob"),
        HumanMessage("go"),
    )
    assert sent["messages"] == [
        {"role": "system", "content": "one"},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "two"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "go"},
    ]


@pytest.mark.row("PROV-17", "SCHE-10", "SCHE-12")
def test_parts_have_their_forms(body):
    sent = body(
        HumanMessage(
            [
                "look",
                ImagePart(PNG),
                ImagePart(url="https://x.test/a.png", detail="low"),
                FilePart(b"%PDF", name="a.pdf"),
                FilePart(b"%PDF"),
                FilePart(url="https://x.test/a.pdf"),
                FilePart(file_id="file-1"),
                AudioPart(b"ID3", format="mp3"),
                AudioPart(url="https://x.test/a.mp3"),
            ]
        )
    )
    assert sent["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
        {
            "type": "document_url",
            "document_url": "data:application/pdf;base64,JVBERg==",
            "document_name": "a.pdf",
        },
        {"type": "document_url", "document_url": "data:application/pdf;base64,JVBERg=="},
        {"type": "document_url", "document_url": "https://x.test/a.pdf"},
        {"type": "file", "file_id": "file-1"},
        {"type": "input_audio", "input_audio": "SUQz"},
        {"type": "input_audio", "input_audio": "https://x.test/a.mp3"},
    ]


@pytest.mark.row("SCHE-15")
@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (VideoPart(b"x"), "video"),
        (ImagePart(file_id="f"), "image"),
        (AudioPart(b"x", format="pcm16"), "audio"),
    ],
)
def test_parts_that_cannot_be_sent_are_noted(encode, part, kind):
    request = encode(HumanMessage(["hi", part]))
    assert request.json["messages"] == [{"role": "user", "content": "hi"}]
    assert [(note.kind, note.name) for note in request.notes] == [("content", kind)]


@pytest.mark.row("PROV-08")
def test_an_answer_at_the_end_is_a_prefix(body):
    sent = body(HumanMessage("hi"), AIMessage("a"), HumanMessage("go"), AIMessage("Once"))
    assert "prefix" not in sent["messages"][1]
    assert sent["messages"][3] == {"role": "assistant", "content": "Once", "prefix": True}


@pytest.mark.row("PROV-08", "REAS-06")
def test_thinking_goes_back_in_its_place(body):
    answer = AIMessage(
        [ThinkingPart("Hm."), TextPart("Yes."), ThinkingPart("So."), TextPart("No.")]
    )
    assert body(HumanMessage("hi"), answer, HumanMessage("go"))["messages"][1]["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "Yes."},
        {"type": "thinking", "thinking": [{"type": "text", "text": "So."}]},
        {"type": "text", "text": "No."},
    ]


@pytest.mark.row("REAS-15", "PAIN-11")
def test_thinking_that_another_provider_signed_stays_out(encode):
    answer = AIMessage([ThinkingPart("Hm.", "sig", provider="anthropic"), TextPart("Yes.")])
    request = encode(HumanMessage("hi"), answer, HumanMessage("go"))
    assert request.json["messages"][1]["content"] == "Yes."
    assert [(note.kind, note.name) for note in request.notes] == [("signature", "anthropic")]


# --- tools ------------------------------------------------------------------------------------


@pytest.mark.row("TOOL-22", "TOOL-06", "SCHE-18")
def test_tools_arrive_whole(body):
    strict = ToolDefinition("time", "", {}, strict=True)
    assert body(tools=[WEATHER, strict])["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Tells the weather.",
                "parameters": SCHEMA,
            },
        },
        {
            "type": "function",
            "function": {
                "name": "time",
                "parameters": {"type": "object", "properties": {}},
                "strict": True,
            },
        },
    ]


@pytest.mark.row("PROV-08", "PROV-33", "TOOL-19", "OPTI-10")
@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "any"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_tool_choices(body, choice, sent):
    assert body(tools=[WEATHER], tool_choice=choice)["tool_choice"] == sent
    assert "tool_choice" not in body(tool_choice=choice)


@pytest.mark.row("OPTI-22")
def test_parallel_tool_calls(body):
    assert body(tools=[WEATHER], parallel_tool_calls=False)["parallel_tool_calls"] is False


@pytest.mark.row("PROV-08", "TOOL-14", "SCHE-17")
def test_ids_are_rewritten_alike_for_call_and_result(body):
    calls = (ToolCall("functions.weather:0", "weather", "{}"), ToolCall("aB3dE6gH9", "time", "{}"))
    sent = body(
        HumanMessage("hi"),
        AIMessage("Looking.", tool_calls=calls),
        ToolMessage("sunny", tool_call_id="functions.weather:0"),
        ToolMessage("noon", tool_call_id="aB3dE6gH9", name="clock"),
        AIMessage(tool_calls=[ToolCall("x", "weather", "{}")]),
        ToolMessage("rain", tool_call_id="x"),
    )["messages"]
    first, second = sent[1]["tool_calls"]
    assert first["id"].isalnum()
    assert first["id"].isascii()
    assert (len(first["id"]), second["id"]) == (9, "aB3dE6gH9")
    assert sent[2:4] == [
        {"role": "tool", "tool_call_id": first["id"], "content": "sunny", "name": "weather"},
        {"role": "tool", "tool_call_id": "aB3dE6gH9", "content": "noon", "name": "clock"},
    ]
    assert sent[4]["content"] is None
    assert sent[5]["tool_call_id"] == sent[4]["tool_calls"][0]["id"]
    assert sent[5]["tool_call_id"] not in (first["id"], "x")


@pytest.mark.row("TOOL-14")
def test_any_text_may_be_an_id(dialect):
    made = [
        dialect.tool_call_id(name) for name in ("", "é", "\ud800", "a b", "123456789", "12345678é")
    ]
    assert len(set(made)) == 6
    assert all(len(n) == 9 and n.isascii() and n.isalnum() for n in made)
    assert made[4] == "123456789"


@pytest.mark.row("TOOL-14")
def test_a_result_without_its_call_has_no_name(body):
    sent = body(HumanMessage("hi"), ToolMessage("sunny", tool_call_id="x"), HumanMessage("go"))
    assert "name" not in sent["messages"][1]


# --- response formats -------------------------------------------------------------------------


@pytest.mark.row("OPTI-08", "OPTI-09")
def test_response_formats(body):
    assert body(response_format=ResponseFormat.json())["response_format"] == {"type": "json_object"}
    wanted = ResponseFormat.json_schema(SCHEMA, name="where", strict=False, description="A place.")
    assert body(response_format=wanted, tools=[WEATHER])["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "where",
            "schema": SCHEMA,
            "strict": False,
            "description": "A place.",
        },
    }
    assert "response_format" not in body(response_format=ResponseFormat.text())

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
    UnknownPart,
    VideoPart,
)

PNG = b"\x89PNG\r\n\x1a\n"
PLAIN = "command-a-03-2025"
OLD = "command-r-08-2024"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/City"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"City": {"type": "string", "enum": ["Rome"], "description": "Where."}},
}
WEATHER = ToolDefinition("weather", "Tells the weather.", SCHEMA)
TIME = ToolDefinition("time")


def text(value):
    return {"type": "text", "text": value}


@pytest.mark.row("PROV-09", "OPTI-01")
def test_nothing_is_defaulted(encode):
    request = encode(model=PLAIN)
    assert (request.method, request.path, request.notes) == ("POST", "/v2/chat", ())
    assert request.json == {"model": PLAIN, "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.row("PROV-09")
def test_a_stream_is_asked_for(body):
    assert body(streaming=True)["stream"] is True


@pytest.mark.row("PROV-09", "OPTI-04", "OPTI-06", "OPTI-07", "OPTI-15", "OPTI-18")
def test_options_have_their_names(encode):
    request = encode(
        temperature=0.0, top_p=0.0, top_k=5, max_tokens=7, stop=["a", "b"], seed=3,
        frequency_penalty=0.5, presence_penalty=1.0, logprobs=False, n=1, parallel_tool_calls=True,
    )  # fmt: skip
    sent = dict(request.json)
    del sent["messages"], sent["model"]
    assert sent == {
        "temperature": 0.0,
        "p": 0.0,
        "k": 5,
        "max_tokens": 7,
        "stop_sequences": ["a", "b"],
        "seed": 3,
        "frequency_penalty": 0.5,
        "presence_penalty": 1.0,
        "logprobs": False,
    }
    assert request.notes == ()


@pytest.mark.row("OPTI-27")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("logit_bias", {"1": 2}),
        ("user", "u"),
        ("temperature", 1.5),
        ("frequency_penalty", -0.5),
        ("presence_penalty", 2.0),
        ("top_k", 501),
    ],
)
def test_options_that_cannot_be_sent_are_noted(encode, name, value):
    request = encode(model=PLAIN, **{name: value})
    assert request.json.keys() == {"model", "messages"}
    assert [(note.kind, note.name) for note in request.notes] == [("option", name)]
    assert name in request.notes[0].text


@pytest.mark.row("OPTI-18", "OPTI-27")
def test_how_many_logprobs_cannot_be_chosen(encode):
    request = encode(top_logprobs=3)
    assert request.json["logprobs"] is True
    assert [note.name for note in request.notes] == ["top_logprobs"]
    assert encode(top_logprobs=0).notes == ()


@pytest.mark.row("OPTI-07", "OPTI-27")
def test_five_stop_sequences_are_the_most(encode):
    request = encode(stop=list("abcdef"))
    assert request.json["stop_sequences"] == list("abcde")
    assert [note.name for note in request.notes] == ["stop"]


@pytest.mark.row("OPTI-12")
def test_options_of_the_provider_go_into_the_body(body):
    given = {"documents": ["a"], "safety_mode": "OFF", "temperature": 0.9}
    sent = body(temperature=0.1, provider_options={"cohere": given})
    assert {name: sent[name] for name in given} == given
    assert "documents" not in body(provider_options={"openai": given})


# --- reasoning --------------------------------------------------------------------------------


@pytest.mark.row("PROV-09", "REAS-01")
@pytest.mark.parametrize(
    ("config", "sent"),
    [
        (ReasoningConfig("none"), {"type": "disabled"}),
        (ReasoningConfig("minimal"), {"type": "enabled", "token_budget": 512}),
        (ReasoningConfig("low"), {"type": "enabled", "token_budget": 1024}),
        (ReasoningConfig("medium"), {"type": "enabled", "token_budget": 8192}),
        (ReasoningConfig("high"), {"type": "enabled"}),
        (ReasoningConfig("max"), {"type": "enabled"}),
        (ReasoningConfig(None, 99), {"type": "enabled", "token_budget": 99}),
        (ReasoningConfig("low", 99), {"type": "enabled", "token_budget": 99}),
        (ReasoningConfig("low", 0), {"type": "disabled"}),
        (ReasoningConfig(include=False), None),
    ],
)
@pytest.mark.parametrize("model", ["command-a-plus-05-2026", "something-new"])
def test_thinking(encode, model, config, sent):
    request = encode(model=model, reasoning=config)
    assert request.json.get("thinking") == sent
    assert request.notes == ()


@pytest.mark.row("OPTI-27", "PROV-25")
@pytest.mark.parametrize(
    ("model", "config", "left_out"),
    [
        (PLAIN, ReasoningConfig("low"), ["reasoning_effort"]),
        (PLAIN, ReasoningConfig(None, 99), ["reasoning_budget"]),
        (PLAIN, ReasoningConfig("none"), []),
        ("something-new", ReasoningConfig("extreme"), ["reasoning_effort"]),
    ],
)
def test_thinking_that_cannot_be_asked_for(encode, model, config, left_out):
    request = encode(model=model, reasoning=config)
    assert "thinking" not in request.json
    assert [note.name for note in request.notes] == left_out


# --- messages ---------------------------------------------------------------------------------


@pytest.mark.row("PROV-18", "SCHE-01", "SCHE-28")
def test_system_messages_go_first_in_one(body):
    sent = body(
        SystemMessage("one"),
        HumanMessage("hi", name="ann"),
        SystemMessage(["two", ""]),
        AIMessage("yes", name="bob"),
        HumanMessage(["go", "on"]),
    )
    assert sent["messages"] == [
        {"role": "system", "content": [text("one"), text("two")]},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": [text("go"), text("on")]},
    ]
    assert body(SystemMessage("one"), HumanMessage(""))["messages"] == [
        {"role": "system", "content": "one"},
        {"role": "user", "content": ""},
    ]
    assert body(SystemMessage(""), HumanMessage("a"))["messages"] == [
        {"role": "user", "content": "a"}
    ]


@pytest.mark.row("PROV-17")
def test_images(body):
    sent = body(
        HumanMessage(["look", ImagePart(PNG), ImagePart(url="https://x.test/a.png", detail="low")])
    )
    assert sent["messages"][0]["content"] == [
        text("look"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
    ]


@pytest.mark.row("SCHE-15")
@pytest.mark.parametrize(
    "part",
    [
        ImagePart(file_id="f"),
        AudioPart(b"x"),
        VideoPart(b"x"),
        FilePart(b"x"),
        UnknownPart("x-new", {}),
    ],
)
def test_parts_that_cannot_be_sent_are_noted(encode, part):
    request = encode(
        SystemMessage([part]),
        HumanMessage(["hi", part]),
        AIMessage(["yes", part], tool_calls=[ToolCall("c", "f")]),
        ToolMessage(["ok", part], tool_call_id="c"),
    )
    assert [message["content"] for message in request.json["messages"]] == ["hi", "yes", "ok"]
    assert {(note.kind, note.name) for note in request.notes} == {("content", part.type)}


@pytest.mark.row("PROV-09", "REAS-14")
def test_thinking_and_the_plan_go_back(body):
    answer = AIMessage(
        [ThinkingPart("Hm."), TextPart("Let me see."), ThinkingPart("")],
        tool_calls=[ToolCall("c", "weather", '{"city": "Rome"}')],
        provider_metadata={"tool_plan": "I will look."},
    )
    result = ToolMessage("sunny", tool_call_id="c")
    thought = {"type": "thinking", "thinking": "Hm."}
    function = {"name": "weather", "arguments": '{"city": "Rome"}'}
    assert body(HumanMessage("hi"), answer, result)["messages"][1:] == [
        {
            "role": "assistant",
            "content": [thought, text("Let me see.")],
            "tool_calls": [{"id": "c", "type": "function", "function": function}],
            "tool_plan": "I will look.",
        },
        {"role": "tool", "tool_call_id": "c", "content": "sunny"},
    ]


@pytest.mark.row("PROV-09")
@pytest.mark.parametrize("plan", [None, "", 3, {}])
def test_calls_may_come_without_text_or_plan(body, plan):
    answer = AIMessage(
        ["", ""], tool_calls=[ToolCall("c", "f")], provider_metadata={"tool_plan": plan}
    )
    (sent,) = body(answer)["messages"]
    assert sent.keys() == {"role", "tool_calls"}
    assert body(AIMessage())["messages"] == [{"role": "assistant", "content": ""}]


def test_a_plan_belongs_to_calls(body):
    (sent,) = body(AIMessage("yes", provider_metadata={"tool_plan": "x"}))["messages"]
    assert sent == {"role": "assistant", "content": "yes"}


def test_a_refusal_of_another_provider_is_a_text(body):
    (sent,) = body(AIMessage(refusal="I will not."))["messages"]
    assert sent["content"] == "I will not."


@pytest.mark.row("PROV-25")
def test_a_model_that_does_not_think_gets_no_thinking(encode):
    answer = AIMessage([ThinkingPart("Hm."), TextPart("Yes.")])
    request = encode(HumanMessage("hi"), answer, HumanMessage("go"), model=PLAIN)
    assert request.json["messages"][1] == {"role": "assistant", "content": "Yes."}


@pytest.mark.row("REAS-15", "PAIN-11")
def test_thinking_that_another_provider_signed_stays_out(encode):
    answer = AIMessage([ThinkingPart("Hm.", "sig", provider="anthropic"), TextPart("Yes.")])
    request = encode(HumanMessage("hi"), answer, HumanMessage("go"))
    assert request.json["messages"][1]["content"] == "Yes."
    assert [(note.kind, note.name) for note in request.notes] == [("signature", "anthropic")]


@pytest.mark.row("PROV-09", "SCHE-17")
@pytest.mark.parametrize(
    ("said", "metadata", "document"),
    [
        ('{"sun": 9}', True, {"data": {"sun": 9}}),
        ('{"sun": 9}', {"id": "w"}, {"data": {"sun": 9}, "id": "w"}),
        ("sunny", {"id": "w"}, {"data": {"text": "sunny"}, "id": "w"}),
        ("[1]", True, {"data": {"text": "[1]"}}),
        ("", {"data": {"a": 1}}, {"data": {"a": 1}}),
    ],
)
def test_results_may_be_documents(body, said, metadata, document):
    part = TextPart(said, metadata={"document": metadata})
    result = ToolMessage(["Found:", part], tool_call_id="c")
    (sent,) = body(result)["messages"]
    assert sent["content"] == [text("Found:"), {"type": "document", "document": document}]
    assert body(HumanMessage([part]))["messages"][0]["content"] == said


@pytest.mark.row("TOOL-14")
@pytest.mark.parametrize("name", ["get_weather_0123", "functions.f:0", "call_" + "0" * 24])
def test_ids_go_as_they_are(body, name):
    sent = body(
        HumanMessage("hi"),
        AIMessage(tool_calls=[ToolCall(name, "f")]),
        ToolMessage("", tool_call_id=name, is_error=True),
    )["messages"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == name
    assert sent[2]["content"] == ""


# --- tools ------------------------------------------------------------------------------------


@pytest.mark.row("TOOL-22", "TOOL-06", "SCHE-18")
def test_tools_arrive_whole(body):
    assert body(tools=[WEATHER, TIME])["tools"] == [
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
            "function": {"name": "time", "parameters": {"type": "object", "properties": {}}},
        },
    ]


@pytest.mark.row("PROV-09", "PROV-33", "TOOL-19", "OPTI-10")
@pytest.mark.parametrize(
    ("choice", "sent", "tools"),
    [
        (None, None, ["weather", "time"]),
        ("auto", None, ["weather", "time"]),
        ("none", "NONE", ["weather", "time"]),
        ("required", "REQUIRED", ["weather", "time"]),
        ("time", "REQUIRED", ["time"]),
    ],
)
def test_tool_choices(encode, choice, sent, tools):
    request = encode(tools=[WEATHER, TIME], tool_choice=choice, model=PLAIN)
    assert request.json.get("tool_choice") == sent
    assert [tool["function"]["name"] for tool in request.json["tools"]] == tools
    assert request.notes == ()
    assert encode(tool_choice=choice, model=PLAIN).json.keys() == {"model", "messages"}


@pytest.mark.row("PROV-33", "TOOL-20", "OPTI-27")
@pytest.mark.parametrize("choice", ["none", "required", "time"])
def test_tool_choices_of_models_that_have_none(encode, choice):
    request = encode(tools=[WEATHER, TIME], tool_choice=choice, model=OLD)
    assert "tool_choice" not in request.json
    if choice == "none":
        assert "tools" not in request.json
        assert request.notes == ()
    else:
        assert [note.name for note in request.notes] == ["tool_choice"]
        assert len(request.json["tools"]) == (1 if choice == "time" else 2)


@pytest.mark.row("PROV-09", "OPTI-27")
def test_strict_tools(encode):
    strict = ToolDefinition("weather", "", SCHEMA, strict=True)
    request = encode(tools=[strict])
    assert request.json["strict_tools"] is True
    assert request.notes == ()
    mixed = encode(tools=[strict, TIME])
    assert "strict_tools" not in mixed.json
    assert [note.name for note in mixed.notes] == ["strict"]
    alone = encode(tools=[strict, TIME], tool_choice="weather")
    assert alone.json["strict_tools"] is True
    assert alone.notes == ()


@pytest.mark.row("OPTI-22", "OPTI-27")
def test_calls_cannot_be_kept_apart(noted):
    assert noted(tools=[WEATHER], parallel_tool_calls=False) == ["parallel_tool_calls"]
    assert noted(tools=[WEATHER], parallel_tool_calls=True) == []


@pytest.mark.row("TOOL-21")
@pytest.mark.parametrize(
    ("name", "fits"),
    [("get_weather", True), ("_1", True), ("a-b", False), ("1a", False), ("a" * 65, False)],
)
def test_names_of_tools(dialect, name, fits):
    assert bool(dialect.tool_names.fullmatch(name)) is fits


# --- response formats -------------------------------------------------------------------------


@pytest.mark.row("PROV-09", "OPTI-08", "OPTI-09")
def test_response_formats(encode):
    any_json = encode(response_format=ResponseFormat.json())
    assert any_json.json["response_format"] == {"type": "json_object"}
    wanted = ResponseFormat.json_schema(SCHEMA, name="where", description="A place.")
    request = encode(response_format=wanted)
    assert request.json["response_format"] == {"type": "json_object", "json_schema": SCHEMA}
    assert request.notes == any_json.notes == ()
    assert "response_format" not in encode(response_format=ResponseFormat.text()).json


@pytest.mark.row("PROV-09", "STRU-05")
def test_tools_that_may_not_be_called_make_way_for_a_response_format(encode):
    wanted = ResponseFormat.json_schema(SCHEMA, name="where")
    request = encode(response_format=wanted, tools=[WEATHER], tool_choice="none")
    assert request.json["response_format"]["json_schema"] == SCHEMA
    assert "tools" not in request.json
    assert request.notes == ()


@pytest.mark.row("PROV-09", "OPTI-27")
@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [WEATHER]},
        {"provider_options": {"cohere": {"documents": ["a"]}}},
        {"provider_options": {"cohere": {"tools": [{}]}}},
    ],
)
def test_a_response_format_does_not_go_with_tools_or_documents(encode, fields):
    request = encode(response_format=ResponseFormat.json(), **fields)
    assert "response_format" not in request.json
    assert [note.name for note in request.notes] == ["response_format"]
    assert "cannot be combined" in request.notes[0].text

"""Requests of `/api/chat`, field by field, as the Ollama docs describe them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strategies

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
    UnknownPart,
    VideoPart,
)
from beluga_llm.plugin import dumps
from beluga_llm_ollama import OllamaDialect

PNG = b"\x89PNG\r\n\x1a\n...."
PNG64 = base64.b64encode(PNG).decode()
SCHEMA = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/city"}, "unit": {"enum": ["C", "F"]}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"city": {"type": "string", "description": "Its name."}},
}
WEATHER = ToolDefinition("weather", "Tells the weather.", SCHEMA)


# --- messages ------------------------------------------------------------------------------------


@pytest.mark.row("PROV-10", "PROV-18", "SCHE-01")
def test_messages_stand_in_their_order_with_their_roles(body):
    found = body(
        SystemMessage("Be brief."),
        HumanMessage("One?", name="Ada"),
        AIMessage("Yes."),
        SystemMessage(["Be ", "kind."]),
        HumanMessage(["T", "wo?"]),
    )
    assert found["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Two?"},
    ]


@pytest.mark.row("PROV-10", "PROV-17", "SCHE-09")
def test_images_are_a_list_of_base64_texts(body, noted):
    message = HumanMessage(
        [
            "What is ",
            ImagePart(PNG),
            "this?",
            FilePart(b"GIF89a", mime_type="image/gif"),
            ImagePart(url=f"data:image/png;base64,{PNG64}"),
            ImagePart(b""),
        ]
    )
    assert body(message)["messages"] == [
        {
            "role": "user",
            "content": "What is this?",
            "images": [PNG64, base64.b64encode(b"GIF89a").decode(), PNG64, ""],
        }
    ]
    assert noted(message) == []
    result = ToolMessage([ImagePart(PNG)], tool_call_id="1")
    assert body(result)["messages"][0]["images"] == [PNG64]


@pytest.mark.row("PROV-17", "SCHE-15", "SCHE-10", "SCHE-11", "SCHE-12")
@pytest.mark.parametrize(
    ("part", "why"),
    [
        (ImagePart(url="https://x/a.png"), "image parts by URL are not supported by ollama"),
        (ImagePart(file_id="f"), "image parts by file id are not supported by ollama"),
        (FilePart(url="https://x/a.png", mime_type="image/png"), "file parts by URL"),
        (FilePart(b"%PDF"), "file parts are not supported by ollama"),
        (AudioPart(b"x", format="wav"), "audio parts are not supported by ollama"),
        (VideoPart(b"x"), "video parts are not supported by ollama"),
        (ThinkingPart("Hm."), "thinking parts are not supported by ollama"),
        (UnknownPart("hologram"), "hologram parts are not supported by ollama"),
    ],
)
def test_other_parts_are_noted(encode, part, why):
    request = encode(HumanMessage(["hi", part]))
    assert request.json["messages"] == [{"role": "user", "content": "hi"}]
    (note,) = request.notes
    assert (note.kind, note.name) == ("content", part.type)
    assert note.text.startswith(why)


@pytest.mark.row("PROV-10", "TOOL-13", "TOOL-14", "SCHE-17")
def test_calls_have_objects_as_arguments_and_results_name_their_tool(body):
    calls = [ToolCall("c1", "weather", '{"city": "Paris"}'), ToolCall("c2", "time", "")]
    found = body(
        HumanMessage("hi"),
        AIMessage("I look.", tool_calls=calls),
        ToolMessage("12:00", tool_call_id="c2", is_error=True),
        ToolMessage("rain", tool_call_id="c1", name="other"),
        ToolMessage("lost", tool_call_id="c9", name="named"),
        ToolMessage("lost", tool_call_id="c9"),
    )
    assert found["messages"][1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"index": 0, "name": "weather", "arguments": {"city": "Paris"}},
                },
                {
                    "id": "c2",
                    "type": "function",
                    "function": {"index": 1, "name": "time", "arguments": {}},
                },
            ],
        },
        {"role": "tool", "content": "12:00", "tool_name": "time", "tool_call_id": "c2"},
        {"role": "tool", "content": "rain", "tool_name": "weather", "tool_call_id": "c1"},
        {"role": "tool", "content": "lost", "tool_name": "named", "tool_call_id": "c9"},
        {"role": "tool", "content": "lost", "tool_call_id": "c9"},
    ]


@pytest.mark.row("TOOL-15")
@pytest.mark.parametrize("text", ['{"city": "Par', "[1]"])
def test_arguments_that_are_no_object_stand_in_one(body, text):
    (message,) = body(AIMessage(tool_calls=[ToolCall("c1", "weather", text)]))["messages"]
    assert message["tool_calls"][0]["function"]["arguments"] == {"INVALID_JSON": text}


@pytest.mark.row("PROV-10", "REAS-14")
def test_thinking_goes_back_in_its_field(body, noted):
    message = AIMessage([ThinkingPart("Hm"), ThinkingPart(" hm."), TextPart("Yes.")])
    assert body(message)["messages"] == [
        {"role": "assistant", "content": "Yes.", "thinking": "Hm hm."}
    ]
    assert noted(message) == []


@pytest.mark.row("REAS-15", "PAIN-11")
def test_what_another_provider_signed_stays_here(encode):
    message = AIMessage(
        [ThinkingPart("Hm.", "sig", provider="anthropic"), TextPart("Yes.", "s", "google")],
        tool_calls=[ToolCall("c1", "weather", "{}", "s", "google")],
    )
    request = encode(message)
    (sent,) = request.json["messages"]
    assert (sent["content"], "thinking" in sent) == ("Yes.", False)
    assert [(note.kind, note.name) for note in request.notes] == [
        ("signature", "google"),
        ("signature", "anthropic"),
    ]


@pytest.mark.row("SCHE-33")
def test_a_refusal_goes_back_as_text(body):
    assert body(AIMessage((), refusal="No."))["messages"][0]["content"] == "No."
    assert body(AIMessage("Well.", refusal="No."))["messages"][0]["content"] == "Well."


# --- tools and their choice ----------------------------------------------------------------------


@pytest.mark.row("PROV-10", "TOOL-22", "TOOL-06")
def test_tools_arrive_with_their_whole_schema(body):
    assert body(tools=[WEATHER, ToolDefinition("now")])["tools"] == [
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
            "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
        },
    ]


@pytest.mark.row("PROV-33", "OPTI-10", "TOOL-19", "OPTI-27")
@pytest.mark.parametrize(
    ("choice", "sent", "left_out"),
    [
        (None, True, []),
        ("auto", True, []),
        ("none", False, []),
        ("required", True, [("option", "tool_choice")]),
        ("weather", True, [("option", "tool_choice")]),
    ],
)
def test_tools_are_free_or_left_out(body, noted, choice, sent, left_out):
    found = body(tools=[WEATHER], tool_choice=choice)
    assert ("tools" in found) is sent
    assert "tool_choice" not in found
    assert noted(tools=[WEATHER], tool_choice=choice) == left_out


def test_a_choice_without_tools_asks_nothing(body, noted):
    assert "tools" not in body(tool_choice="required")
    assert noted(tool_choice="required") == []


@pytest.mark.row("OPTI-27")
def test_strict_tools_are_noted(noted):
    strict = ToolDefinition("weather", "", SCHEMA, strict=True)
    assert noted(tools=[strict]) == [("option", "strict")]
    loose = ToolDefinition("weather", "", SCHEMA, strict=False)
    assert noted(tools=[loose]) == []


# --- options -------------------------------------------------------------------------------------


@pytest.mark.row("PROV-10", "OPTI-01", "OPTI-02", "SCHE-30")
def test_a_bare_request_says_no_more_than_it_must(encode):
    for streaming in (False, True):
        request = encode(streaming=streaming)
        assert (request.method, request.path) == ("POST", "/api/chat")
        assert request.json == {
            "model": "qwen3",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": streaming,
        }


@pytest.mark.row("PROV-10", "OPTI-04", "OPTI-05", "OPTI-06", "OPTI-07", "OPTI-14", "OPTI-15")
@pytest.mark.row("OPTI-16", "OPTI-18")
@pytest.mark.parametrize("streaming", [False, True])
def test_options_have_their_places(encode, streaming):
    request = encode(
        streaming=streaming,
        max_tokens=9,
        temperature=0.0,
        top_k=40,
        top_p=0.0,
        seed=0,
        stop=["a", "b"],
        frequency_penalty=0.5,
        presence_penalty=-1.0,
        logprobs=True,
    )
    assert request.json["options"] == {
        "num_predict": 9,
        "temperature": 0.0,
        "top_k": 40,
        "top_p": 0.0,
        "seed": 0,
        "frequency_penalty": 0.5,
        "presence_penalty": -1.0,
        "stop": ["a", "b"],
    }
    assert request.json["logprobs"] is True
    assert request.notes == ()


@pytest.mark.row("OPTI-18")
def test_alternatives_of_tokens_imply_their_probabilities(body):
    found = body(top_logprobs=3)
    assert (found["logprobs"], found["top_logprobs"]) == (True, 3)
    assert "logprobs" not in body(logprobs=False)


@pytest.mark.row("OPTI-27", "OPTI-17", "OPTI-19", "OPTI-20", "OPTI-22")
@pytest.mark.parametrize(
    ("name", "value", "nothing"),
    [
        ("n", 2, 1),
        ("logit_bias", {"5": 1}, {}),
        ("user", "u1", None),
        ("parallel_tool_calls", False, True),
    ],
)
def test_options_that_the_api_lacks_are_noted(encode, noted, name, value, nothing):
    request = encode(**{name: value})
    assert [(note.kind, note.name) for note in request.notes] == [("option", name)]
    assert "not supported by ollama" in request.notes[0].text
    assert request.json.keys() == {"model", "messages", "stream"}
    assert noted(**{name: nothing}) == []


@pytest.mark.row("OPTI-08", "OPTI-09", "PROV-10")
def test_formats(body):
    assert "format" not in body(response_format=ResponseFormat.text())
    assert body(response_format=ResponseFormat.json())["format"] == "json"
    form = ResponseFormat.json_schema(SCHEMA, name="place", strict=True, description="A place.")
    assert body(response_format=form)["format"] == SCHEMA


@pytest.mark.row("PROV-10", "REAS-01", "REAS-02", "REAS-03")
@pytest.mark.parametrize(
    ("effort", "think"),
    [
        ("none", False),
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "high"),
        ("max", "max"),
        ("extreme", "extreme"),
    ],
)
def test_efforts_become_think(body, effort, think):
    assert body(reasoning=ReasoningConfig(effort))["think"] == think


@pytest.mark.row("OPTI-27", "REAS-02")
def test_a_budget_is_noted_and_nothing_is_nothing(body, noted):
    assert "think" not in body(reasoning=ReasoningConfig())
    assert "think" not in body(reasoning=ReasoningConfig(budget_tokens=100))
    both = ReasoningConfig("low", 100, include=False)
    assert body(reasoning=both)["think"] == "low"
    assert noted(reasoning=both) == [("option", "reasoning_budget")]


@pytest.mark.row("PROV-10", "OPTI-12")
def test_provider_options_are_sorted_into_the_body_and_its_options(body):
    given = {
        "keep_alive": "10m",
        "truncate": False,
        "num_ctx": 8192,
        "min_p": 0.05,
        "temperature": 0.9,
        "think": True,
        "options": {"new_option": 1, "num_ctx": 1},
        "new_field": {"a": 1},
    }
    found = body(
        temperature=0.1,
        seed=1,
        reasoning=ReasoningConfig("low"),
        provider_options={"ollama": given, "openai": {"x": 1}},
    )
    assert found["options"] == {
        "temperature": 0.9,
        "seed": 1,
        "new_option": 1,
        "num_ctx": 8192,
        "min_p": 0.05,
    }
    rest = {key: found[key] for key in ("keep_alive", "truncate", "think", "new_field")}
    assert rest == {"keep_alive": "10m", "truncate": False, "think": True, "new_field": {"a": 1}}
    assert "x" not in found
    assert "num_ctx" not in found


def test_options_of_an_odd_type_are_the_servers_to_refuse(body):
    assert body(provider_options={"ollama": {"options": 3}})["options"] == 3


# --- anything ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    messages=st.lists(strategies.messages, min_size=1, max_size=4),
    given=strategies.json_objects,
    streaming=st.booleans(),
)
def test_any_conversation_is_encoded(messages, given, streaming):
    """Whatever stands in the messages, there is a body that is JSON, and one entry for each."""
    options = GenerateOptions(model="m", provider_options={"ollama": given})
    body = OllamaDialect().encode(ChatRequest(tuple(messages), options, streaming=streaming)).json
    dumps(body)
    if "messages" not in given:
        assert len(body["messages"]) == len(messages)
        assert all(isinstance(message["content"], str) for message in body["messages"])

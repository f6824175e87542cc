"""Requests: conversations, tools, formats, options and headers."""

from __future__ import annotations

import pytest

from beluga_llm import (
    AIMessage,
    AudioPart,
    FilePart,
    HumanMessage,
    ImagePart,
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
from beluga_llm_anthropic import AnthropicDialect, Envelope

PNG = b"\x89PNG\r\n\x1a\n"
CACHED = {"cache_control": {"type": "ephemeral"}}
WEATHER = ToolDefinition(
    "weather",
    "Tells the weather.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def text(value, **more):
    return {"type": "text", "text": value, **more}


@pytest.mark.row("PROV-05")
def test_the_smallest_request(encode):
    request = encode()
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert dict(request.headers) == {"anthropic-version": "2023-06-01"}
    assert request.json == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": [text("hi")]}],
    }
    assert request.notes == ()


def test_a_stream_is_asked_for(body):
    assert body(streaming=True)["stream"] is True


@pytest.mark.row("PROV-05")
def test_the_key_goes_into_its_own_header(dialect):
    assert dialect.auth("k") == {"x-api-key": "k"}


# --- turns ------------------------------------------------------------------------------------


@pytest.mark.row("PROV-18", "SCHE-01")
def test_system_messages_are_collected_in_order(body):
    found = body(
        SystemMessage("one"),
        HumanMessage("hi"),
        SystemMessage(["two", ""]),
        AIMessage("yes"),
        HumanMessage("go"),
    )
    assert found["system"] == [text("one"), text("two")]
    assert [turn["role"] for turn in found["messages"]] == ["user", "assistant", "user"]


@pytest.mark.row("PROV-19")
def test_turns_of_one_side_are_merged_and_blanks_left_out(body):
    found = body(
        HumanMessage("a"),
        HumanMessage(["", " ", "b"]),
        AIMessage(),
        HumanMessage("c"),
        AIMessage("d"),
        AIMessage("e"),
        HumanMessage("f"),
    )
    assert found["messages"] == [
        {"role": "user", "content": [text("a"), text("b"), text("c")]},
        {"role": "assistant", "content": [text("d"), text("e")]},
        {"role": "user", "content": [text("f")]},
    ]


@pytest.mark.row("PROV-19", "SCHE-17", "TOOL-13")
def test_results_come_first_in_one_turn(body):
    calls = (ToolCall("a", "weather", '{"city": "Rome"}'), ToolCall("b", "weather"))
    found = body(
        HumanMessage("hi"),
        AIMessage("Looking.", tool_calls=calls),
        HumanMessage("quick!"),
        ToolMessage("sunny", tool_call_id="a"),
        ToolMessage("no such city", tool_call_id="b", is_error=True),
        HumanMessage("well?"),
    )
    assert found["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                text("Looking."),
                {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Rome"}},
                {"type": "tool_use", "id": "b", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [text("sunny")]},
                {
                    "type": "tool_result",
                    "tool_use_id": "b",
                    "content": [text("no such city")],
                    "is_error": True,
                },
                text("quick!"),
                text("well?"),
            ],
        },
    ]


def test_an_empty_result_has_no_content(body):
    found = body(AIMessage(tool_calls=(ToolCall("a", "f"),)), ToolMessage("", tool_call_id="a"))
    assert found["messages"][1]["content"] == [{"type": "tool_result", "tool_use_id": "a"}]


@pytest.mark.row("TOOL-14")
@pytest.mark.parametrize("given", ["functions.add:0", "", "a b", "é", "x" * 300])
def test_ids_that_the_api_refuses_are_rewritten_alike(body, given):
    found = body(
        AIMessage(tool_calls=(ToolCall(given, "f"),)), ToolMessage("1", tool_call_id=given)
    )
    sent = found["messages"][0]["content"][0]["id"]
    assert sent.startswith("call_")
    assert found["messages"][1]["content"][0]["tool_use_id"] == sent


@pytest.mark.row("TOOL-15")
@pytest.mark.parametrize("arguments", ['{"city": "Ro', "[1]"])
def test_arguments_that_are_no_object_are_wrapped(body, arguments):
    found = body(AIMessage(tool_calls=(ToolCall("a", "f", arguments),)))
    assert found["messages"][0]["content"][0]["input"] == {"INVALID_JSON": arguments}


def test_the_beginning_of_an_answer_does_not_end_with_white_space(body):
    assert body(HumanMessage("hi"), AIMessage("It is \n"))["messages"][1] == {
        "role": "assistant",
        "content": [text("It is")],
    }


# --- reasoning --------------------------------------------------------------------------------


@pytest.mark.row("REAS-14", "SCHE-13")
def test_signed_blocks_go_back_unchanged_in_wire_order(body):
    answer = AIMessage(
        [
            ThinkingPart("hm ", "s1==", provider="anthropic"),
            ThinkingPart("", redacted_data="r==", provider="anthropic"),
            ThinkingPart("", "s2", provider="anthropic"),
            "Done.",
        ],
        tool_calls=(ToolCall("a", "f", part_index=3), ToolCall("b", "f", part_index=5)),
    )
    assert body(HumanMessage("hi"), answer)["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "hm ", "signature": "s1=="},
        {"type": "redacted_thinking", "data": "r=="},
        {"type": "thinking", "thinking": "", "signature": "s2"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
        text("Done."),
        {"type": "tool_use", "id": "b", "name": "f", "input": {}},
    ]


@pytest.mark.row("REAS-15")
def test_signatures_of_others_are_dropped_and_noted(encode):
    answer = AIMessage(
        [ThinkingPart("x", "sig", provider="google"), TextPart("Yes.", "sig", "google")],
        tool_calls=(ToolCall("a", "f", signature="sig", provider="google"),),
    )
    request = encode(HumanMessage("hi"), answer, ToolMessage("1", tool_call_id="a"))
    assert [block["type"] for block in request.json["messages"][1]["content"]] == [
        "text",
        "tool_use",
    ]
    assert "sig" not in str(request.json)
    assert [(note.kind, note.name) for note in request.notes] == [("signature", "google")]


@pytest.mark.parametrize("kept", ["x", [1], [{"type": "server_tool_use"}]])
def test_kept_blocks_without_a_place_do_not_go_back(body, kept):
    answer = AIMessage("yes", provider_metadata={"content_blocks": kept})
    assert body(HumanMessage("hi"), answer)["messages"][1]["content"] == [text("yes")]


def test_thinking_without_proof_is_left_out(body):
    assert (
        len(body(HumanMessage("hi"), AIMessage([ThinkingPart("x"), "y"]))["messages"][1]["content"])
        == 1
    )


# --- media ------------------------------------------------------------------------------------


@pytest.mark.row("PROV-17", "SCHE-12", "PROV-05")
def test_images_and_documents(encode):
    request = encode(
        HumanMessage(
            [
                ImagePart(PNG),
                ImagePart(url="https://x/a.png"),
                ImagePart(file_id="file_1"),
                FilePart(b"%PDF", name="a.pdf", metadata={"citations": {"enabled": True}}),
                FilePart(url="https://x/a.pdf"),
                FilePart(file_id="file_2"),
                FilePart(b"# hi", mime_type="text/markdown"),
                FilePart(PNG, mime_type="image/png"),
            ]
        )
    )
    sources = [block["source"] for block in request.json["messages"][0]["content"]]
    assert sources == [
        {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
        {"type": "url", "url": "https://x/a.png"},
        {"type": "file", "file_id": "file_1"},
        {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
        {"type": "url", "url": "https://x/a.pdf"},
        {"type": "file", "file_id": "file_2"},
        {"type": "text", "media_type": "text/plain", "data": "# hi"},
        {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
    ]
    kinds = [block["type"] for block in request.json["messages"][0]["content"]]
    assert kinds == ["image"] * 3 + ["document"] * 4 + ["image"]
    assert request.json["messages"][0]["content"][3]["title"] == "a.pdf"
    assert request.json["messages"][0]["content"][3]["citations"] == {"enabled": True}
    assert request.headers["anthropic-beta"] == "files-api-2025-04-14"


@pytest.mark.row("PROV-17")
def test_data_in_an_address_are_data(body):
    """The API fetches from servers, and refuses such an address."""
    found = body(
        HumanMessage(
            [
                ImagePart(url="data:image/webp;base64,aGk="),
                FilePart(url="DATA:;charset=utf-8;base64,aGk=", mime_type="text/csv", name="a.csv"),
                ImagePart(url="data:image/png;base64,?"),
                ImagePart(url="data:,hi"),
            ]
        )
    )
    assert [block["source"] for block in found["messages"][0]["content"]] == [
        {"type": "base64", "media_type": "image/webp", "data": "aGk="},
        {"type": "text", "media_type": "text/plain", "data": "hi"},
        {"type": "url", "url": "data:image/png;base64,?"},
        {"type": "url", "url": "data:,hi"},
    ]


@pytest.mark.row("SCHE-15")
@pytest.mark.parametrize(
    "part",
    [
        AudioPart(b"x"),
        VideoPart(b"x"),
        UnknownPart("hologram"),
        ThinkingPart("x"),
        ImagePart(b"x", mime_type="image/tiff"),
        FilePart(b"x", mime_type="application/zip"),
        FilePart(b"\xff", mime_type="text/plain"),
    ],
)
def test_parts_that_cannot_be_sent_are_noted(encode, part):
    request = encode(HumanMessage(["hi", part]))
    assert request.json["messages"][0]["content"] == [text("hi")]
    assert [(note.kind, note.name) for note in request.notes] == [("content", part.type)]
    assert "anthropic" in request.notes[0].text


def test_media_have_no_place_in_answers_and_system_prompts(noted):
    assert noted(SystemMessage(ImagePart(PNG)), HumanMessage("hi")) == ["image"]
    assert noted(HumanMessage("hi"), AIMessage(ImagePart(PNG))) == ["image"]


@pytest.mark.row("CACH-18")
def test_cache_points(body):
    tool = ToolDefinition("f", metadata=CACHED)
    found = body(
        SystemMessage(TextPart("be brief", metadata=CACHED)),
        HumanMessage([TextPart("hi", metadata=CACHED), ImagePart(PNG, metadata=CACHED)]),
        AIMessage(TextPart("yes", metadata=CACHED), tool_calls=(ToolCall("a", "f"),)),
        ToolMessage(TextPart("1", metadata=CACHED), tool_call_id="a"),
        tools=[tool],
        provider_options={"anthropic": {"cache_control": {"type": "ephemeral", "ttl": "1h"}}},
    )
    mark = CACHED["cache_control"]
    assert found["system"][0]["cache_control"] == mark
    assert [block["cache_control"] for block in found["messages"][0]["content"]] == [mark, mark]
    assert found["messages"][1]["content"][0]["cache_control"] == mark
    result = found["messages"][2]["content"][0]
    assert result["cache_control"] == mark
    assert result["content"] == [text("1")]
    assert found["tools"][0]["cache_control"] == mark
    assert found["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


# --- tools ------------------------------------------------------------------------------------


def test_tools(body):
    found = body(tools=[WEATHER, ToolDefinition("noop")])
    assert found["tools"] == [
        {
            "name": "weather",
            "description": "Tells the weather.",
            "input_schema": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
        {"name": "noop", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert "tool_choice" not in found


@pytest.mark.row("PROV-33", "TOOL-19", "OPTI-22")
@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "weather"}, {"type": "tool", "name": "weather"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"parallel_tool_calls": True}, None),
    ],
)
def test_tool_choice(body, options, sent):
    assert body(tools=[WEATHER], **options).get("tool_choice") == sent
    assert "tool_choice" not in body(**options)


@pytest.mark.row("REAS-17")
@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ({"model": "claude-sonnet-4-5"}, False),
        ({"model": "claude-sonnet-4-5", "reasoning_effort": "low"}, True),
        ({"model": "claude-opus-4-6", "reasoning_effort": "low"}, True),
        ({"model": "claude-opus-5"}, False),
        ({"model": "claude-opus-5-5"}, True),
        ({"model": "claude-sonnet-5-5", "reasoning_effort": "none"}, True),
        ({"model": "tiny-chat"}, False),
    ],
)
def test_forcing_a_call_where_the_model_refuses_it(encode, options, refused):
    from beluga_llm import ReasoningConfig

    effort = options.pop("reasoning_effort", None)
    request = encode(
        tools=[WEATHER],
        tool_choice="weather",
        reasoning=ReasoningConfig(effort) if effort else None,
        **options,
    )
    forced = {"type": "tool", "name": "weather"}
    assert request.json["tool_choice"] == ({"type": "auto"} if refused else forced)
    assert [note.name for note in request.notes] == (["tool_choice"] if refused else [])


@pytest.mark.row("TOOL-22", "PROV-05")
def test_strict_tools_are_held_to_a_closed_schema(body):
    strict = ToolDefinition(
        "f",
        input_schema={
            "type": "object",
            "properties": {
                "n": {"type": "integer", "minimum": 1, "description": "How many."},
                "of": {"$ref": "#/$defs/Thing"},
            },
            "$defs": {"Thing": {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}}},
        },
        strict=True,
    )
    assert body(tools=[strict])["tools"] == [
        {
            "name": "f",
            "input_schema": {
                "type": "object",
                "properties": {
                    "n": {"type": "integer", "description": "How many."},
                    "of": {"$ref": "#/$defs/Thing"},
                },
                "$defs": {
                    "Thing": {
                        "type": "object",
                        "properties": {"a": {"enum": ["x", "y"]}},
                        "additionalProperties": False,
                    }
                },
                "additionalProperties": False,
            },
            "strict": True,
        }
    ]


def test_strict_where_the_model_has_no_schemas(encode):
    request = encode(tools=[ToolDefinition("f", strict=True)], model="claude-sonnet-4-0")
    assert "strict" not in request.json["tools"][0]
    assert [note.name for note in request.notes] == ["strict"]


# --- formats and options ----------------------------------------------------------------------


@pytest.mark.row("PROV-05", "OPTI-08", "OPTI-09")
def test_an_answer_is_held_to_a_schema(encode):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    request = encode(response_format=ResponseFormat.json_schema(schema, "thing"))
    assert request.json["output_config"] == {
        "format": {"type": "json_schema", "schema": {**schema, "additionalProperties": False}}
    }
    assert request.notes == ()


@pytest.mark.row("OPTI-27", "OPTI-08")
def test_formats_without_a_native_mode_are_noted(noted):
    assert noted(response_format=ResponseFormat.text()) == []
    assert noted(response_format=ResponseFormat.json()) == ["response_format"]
    schema = ResponseFormat.json_schema({"type": "object"})
    assert noted(response_format=schema, model="claude-3-opus-20240229") == ["response_format"]


@pytest.mark.row("OPTI-27")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("seed", 0),
        ("frequency_penalty", 0.5),
        ("presence_penalty", -1.0),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("logit_bias", {"5": 1}),
    ],
)
def test_options_that_the_api_lacks_are_noted(encode, name, value):
    request = encode(**{name: value})
    assert name not in request.json
    assert [(note.kind, note.name) for note in request.notes] == [("option", name)]


def test_options_that_ask_for_nothing_are_not_noted(noted):
    assert noted(n=1, frequency_penalty=0.0, presence_penalty=0.0, logprobs=False) == []


def test_other_options(encode):
    request = encode(stop=("END", "\n"), top_k=4, user="u-1")
    assert request.json["stop_sequences"] == ["END"]
    assert request.json["top_k"] == 4
    assert request.json["metadata"] == {"user_id": "u-1"}
    assert [note.name for note in request.notes] == ["stop"]


@pytest.mark.row("OPTI-12", "PROV-05")
def test_provider_options_go_over_the_body_and_betas_into_the_header(encode):
    to = AnthropicDialect(betas=["one", "two"])
    request = encode(
        to=to,
        provider_options={
            "anthropic": {"max_tokens": 5, "service_tier": "auto", "betas": "two, three"},
            "openai": {"x": 1},
        },
    )
    assert request.json["max_tokens"] == 5
    assert request.json["service_tier"] == "auto"
    assert not {"x", "betas"} & set(request.json)
    assert request.headers["anthropic-beta"] == "one,two,three"


@pytest.mark.row("OPTI-12", "DIAL-07")
@pytest.mark.parametrize(
    ("given", "header"),
    [([1, " b ", ""], "1,b"), (2.5, "2.5"), (True, "True"), (None, None), ([], None), (",", None)],
)
def test_odd_names_of_betas_go_to_the_api_as_they_are(encode, given, header):
    sent = encode(provider_options={"anthropic": {"betas": given}})
    assert sent.headers.get("anthropic-beta") == header


def test_a_cloud_is_another_envelope(encode):
    class Cloud(AnthropicDialect):
        provider = "cloud-anthropic"
        default_version = "cloud-2023-10-16"
        envelope = Envelope(
            path="/models/{model}:raw",
            stream_path="/models/{model}:stream",
            version_in_body=True,
            betas_in_body=True,
            model_in_body=False,
            stream_in_body=False,
        )

    request = encode(to=Cloud(betas=["b"]), streaming=True, temperature=0.5)
    assert request.path == "/models/claude-sonnet-4-5:stream"
    assert dict(request.headers) == {}
    assert request.json["anthropic_version"] == "cloud-2023-10-16"
    assert request.json["anthropic_beta"] == ["b"]
    assert request.json["temperature"] == 0.5
    assert not {"model", "stream"} & set(request.json)
    assert encode(to=Cloud()).path == "/models/claude-sonnet-4-5:raw"


def test_capabilities(dialect):
    old, new = dialect.capabilities("claude-sonnet-4-0"), dialect.capabilities("claude-opus-5-5")
    assert (old.json_schema, new.json_schema) == (False, True)
    assert old.tool_choice == {"auto", "none", "required", "named"}
    assert new.tool_choice == {"auto", "none"}
    assert (old.prefill, new.prefill) == (True, False)
    assert old.n is False

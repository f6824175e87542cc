"""Requests, as "Converse" of the Amazon Bedrock API reference documents them."""

from __future__ import annotations

import base64
import json

import pytest

from beluga_llm import (
    AIMessage,
    AudioPart,
    ChatRequest,
    FilePart,
    GenerateOptions,
    HumanMessage,
    ImagePart,
    InvalidRequestError,
    ReasoningConfig,
    ResponseFormat,
    SystemMessage,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
    UnknownPart,
    UnsupportedContentError,
    VideoPart,
)

NOVA = "us.amazon.nova-lite-v1:0"
PNG = b"\x89PNG\r\n\x1a\n"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolDefinition("weather", "Tells the weather.", SCHEMA)
TIME = ToolDefinition("time")
CALLED = (
    HumanMessage("hi"),
    AIMessage("", tool_calls=[ToolCall("tooluse_1", "weather", '{"city":"Rome"}')]),
    ToolMessage("sunny", "tooluse_1"),
)


def b64(data):
    return base64.b64encode(data).decode()


# --- where it goes ----------------------------------------------------------------------------


@pytest.mark.row("PROV-07")
@pytest.mark.parametrize(
    ("model", "encoded"),
    [
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1%3A0"),
        (
            "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-lite-v1:0",
            "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.amazon.nova-lite-v1%3A0",
        ),
    ],
)
def test_the_model_stands_in_the_path_as_a_whole(encode, model, encoded):
    request = encode(model=model)
    assert (request.method, request.path) == ("POST", f"/model/{encoded}/converse")
    assert "Accept" not in request.headers
    request = encode(model=model, streaming=True)
    assert request.path == f"/model/{encoded}/converse-stream"
    assert request.headers == {"Accept": "application/vnd.amazon.eventstream"}
    assert request.json == {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}


# --- turns ------------------------------------------------------------------------------------


@pytest.mark.row("PROV-18")
def test_system_messages_are_collected_in_order(body):
    sent = body(
        SystemMessage("one"), HumanMessage("hi"), SystemMessage(["two", " ", ""]), HumanMessage("x")
    )
    assert sent["system"] == [{"text": "one"}, {"text": "two"}]
    assert sent["messages"] == [{"role": "user", "content": [{"text": "hi"}, {"text": "x"}]}]


@pytest.mark.row("PROV-19", "SCHE-17")
def test_results_come_first_in_one_turn(body):
    calls = [ToolCall("a", "weather", "{}"), ToolCall("b", "time", "")]
    sent = body(
        HumanMessage("hi"),
        AIMessage("Let me look.", tool_calls=calls),
        ToolMessage("sunny", "a"),
        HumanMessage("quick"),
        ToolMessage(["no clock", ImagePart(PNG)], "b", is_error=True),
        AIMessage(" "),
        HumanMessage("and?"),
    )["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
    assert sent[1]["content"] == [
        {"text": "Let me look."},
        {"toolUse": {"toolUseId": "a", "name": "weather", "input": {}}},
        {"toolUse": {"toolUseId": "b", "name": "time", "input": {}}},
    ]
    image = {"image": {"format": "png", "source": {"bytes": b64(PNG)}}}
    assert sent[2]["content"] == [
        {"toolResult": {"toolUseId": "a", "content": [{"text": "sunny"}]}},
        {
            "toolResult": {
                "toolUseId": "b",
                "content": [{"text": "no clock"}, image],
                "status": "error",
            }
        },
        {"text": "quick"},
        {"text": "and?"},
    ]


def test_a_model_that_refuses_the_status_is_not_sent_it(body):
    result = ToolMessage("no", "tooluse_1", is_error=True)
    sent = body(*CALLED[:2], result, model="writer.palmyra-x5-v1:0")
    assert "status" not in sent["messages"][-1]["content"][0]["toolResult"]


def test_the_beginning_of_an_answer_has_no_blanks_at_its_end(body):
    sent = body(HumanMessage("hi"), AIMessage(["It is ", "so: \n"]))
    assert sent["messages"][1]["content"] == [{"text": "It is "}, {"text": "so:"}]


@pytest.mark.row("TOOL-14")
def test_ids_that_the_api_refuses_are_rewritten_alike(body):
    for kept in ("functions.add:0", "a" * 64):
        assert call_and_result(body, kept) == (kept, kept)
    for refused in ("a b", "", "a" * 65):
        call, result = call_and_result(body, refused)
        assert call == result != refused
    call, result = call_and_result(body, "tooluse_1", model="mistral.mistral-large-2407-v1:0")
    assert call == result
    assert len(call) == 9
    assert call.isalnum()
    assert call_and_result(body, "abcDEF123", model="mistral.x") == ("abcDEF123", "abcDEF123")


def call_and_result(body, call_id, **options):
    call = AIMessage("", tool_calls=[ToolCall(call_id, "f", "{}")])
    sent = body(HumanMessage("hi"), call, ToolMessage("x", call_id), **options)["messages"]
    use, result = sent[1]["content"][0]["toolUse"], sent[2]["content"][0]["toolResult"]
    return use["toolUseId"], result["toolUseId"]


def test_names_and_arguments_that_the_api_refuses_are_changed(body):
    calls = [
        ToolCall("a", "no such tool", '{"a": "b'),
        ToolCall("b", "", "[1]"),
    ]
    results = [ToolMessage("x", "a"), ToolMessage("x", "b")]
    sent = body(HumanMessage("hi"), AIMessage("", tool_calls=calls), *results)["messages"][1]
    assert [block["toolUse"] for block in sent["content"]] == [
        {"toolUseId": "a", "name": "no_such_tool", "input": {"INVALID_JSON": '{"a": "b'}},
        {"toolUseId": "b", "name": "_", "input": {"INVALID_JSON": "[1]"}},
    ]


@pytest.mark.row("REAS-14", "REAS-15", "PAIN-11")
def test_reasoning_goes_back_with_its_proof(encode):
    answer = AIMessage(
        [
            ThinkingPart("Hm, é😀. ", "SIG==", provider="bedrock"),
            ThinkingPart("", redacted_data="WFla", provider="bedrock"),
            ThinkingPart("no proof"),
            ThinkingPart("", "foreign", provider="anthropic"),
            TextPart("Yes.", "foreign", "google"),
        ],
        tool_calls=[ToolCall("a", "f", "{}", part_index=1)],
    )
    request = encode(HumanMessage("hi"), answer, ToolMessage("x", "a"))
    assert request.json["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm, é😀. ", "signature": "SIG=="}}},
        {"toolUse": {"toolUseId": "a", "name": "f", "input": {}}},
        {"reasoningContent": {"redactedContent": "WFla"}},
        {"text": "Yes."},
    ]
    assert [(note.kind, note.name) for note in request.notes] == [
        ("signature", "anthropic"),
        ("signature", "google"),
    ]


SERVER = [
    {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use"}},
    {"toolResult": {"toolUseId": "s", "content": [{"json": {"a": 1}}]}},
    {"image": {"format": "png", "source": {}}},
    {"type": "web_search_tool_result"},
    {"toolUse": 3},
]


@pytest.mark.row("SCHE-24")
def test_blocks_of_server_tools_go_back_in_their_place(body):
    kept = [{**block, "part_index": 1} for block in SERVER]
    answer = AIMessage(["a", "b"], provider_metadata={"content_blocks": [*kept, None, {"x": 1}]})
    sent = body(HumanMessage("hi"), answer, HumanMessage("go on"))
    assert sent["messages"][1]["content"] == [{"text": "a"}, *SERVER[:2], {"text": "b"}]
    assert sent["toolConfig"] == {"tools": [{"systemTool": {"name": "nova_grounding"}}]}
    odd = AIMessage("a", provider_metadata={"content_blocks": {"part_index": 0}})
    assert "toolConfig" not in body(HumanMessage("hi"), odd, HumanMessage("go on"))


# --- media ------------------------------------------------------------------------------------


def media(body, part, **options):
    return body(HumanMessage([part]), **options)["messages"][0]["content"][0]


@pytest.mark.row("PROV-07", "PROV-17", "SCHE-09")
@pytest.mark.parametrize(
    ("part", "form"),
    [
        (ImagePart(PNG), "png"),
        (ImagePart(b"\xff\xd8\xff\xe0"), "jpeg"),
        (ImagePart(b"GIF89a"), "gif"),
        (ImagePart(b"RIFF....WEBPVP8 "), "webp"),
        (ImagePart(b"x", mime_type="image/jpg"), "jpeg"),
        (ImagePart(b"x", mime_type="webp"), "webp"),
        (FilePart(b"x", mime_type="image/png"), "png"),
    ],
)
def test_images_are_bytes(body, part, form):
    sent = {"image": {"format": form, "source": {"bytes": b64(part.data)}}}
    assert media(body, part) == sent


@pytest.mark.row("PROV-07", "PROV-17")
def test_objects_in_s3_are_named(body):
    location = {"uri": "s3://bucket/a.jpg"}
    sent = media(body, ImagePart(url="s3://bucket/a.jpg"))
    assert sent == {"image": {"format": "jpeg", "source": {"s3Location": location}}}
    owned = ImagePart(url="s3://bucket/a.jpg", metadata={"bucketOwner": "123456789012"})
    location = {**location, "bucketOwner": "123456789012"}
    assert media(body, owned)["image"]["source"] == {"s3Location": location}
    video = VideoPart(url="s3://bucket/a.mov", mime_type="video/quicktime")
    sent = media(body, video)
    assert sent["video"] == {"format": "mov", "source": {"s3Location": {"uri": video.url}}}


@pytest.mark.row("SCHE-10", "SCHE-11")
@pytest.mark.parametrize(
    ("part", "kind", "form"),
    [
        (VideoPart(b"v"), "video", "mp4"),
        (VideoPart(b"v", mime_type="video/3gpp"), "video", "three_gp"),
        (FilePart(b"v", mime_type="video/webm"), "video", "webm"),
        (AudioPart(b"a", format="mp3"), "audio", "mp3"),
        (AudioPart(b"a", format="pcm16"), "audio", "pcm"),
    ],
)
def test_video_and_audio(body, part, kind, form):
    sent = {"format": form, "source": {"bytes": b64(part.data)}}
    assert media(body, part, model=NOVA) == {kind: sent}


@pytest.mark.row("SCHE-12", "PROV-07")
@pytest.mark.parametrize(
    ("mime_type", "form"),
    [
        ("application/pdf", "pdf"),
        ("text/csv", "csv"),
        ("text/plain", "txt"),
        ("text/x-python", "txt"),
        ("md", "md"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ],
)
def test_documents(body, mime_type, form):
    sent = media(body, FilePart(b"x", name="Report 1", mime_type=mime_type))
    assert sent == {
        "document": {"format": form, "name": "Report 1", "source": {"bytes": b64(b"x")}}
    }


def test_a_document_may_ask_for_citations(body):
    given = {"citations": {"enabled": True}, "context": "a report", "title": "x"}
    sent = media(body, FilePart(b"x", metadata=given))["document"]
    assert (sent["citations"], sent["context"]) == ({"enabled": True}, "a report")
    assert "title" not in sent
    odd = media(body, FilePart(b"x", metadata={"citations": None, "context": 3}))["document"]
    assert set(odd) == {"format", "name", "source"}


@pytest.mark.row("PROV-07")
def test_names_of_documents_fit_the_rule_and_come_once(body):
    names = ["a/b_c.pdf", "a  b", "x" * 300, None, "..", "", "é", "(a) [b]-c", "a b"]
    parts = [FilePart(b"x", name=name) for name in names]
    blocks = body(HumanMessage(parts))["messages"][0]["content"]
    sent = [block["document"]["name"] for block in blocks]
    assert sent[:2] == ["a-b-c-pdf", "a b"]
    assert sent[7:] == ["(a) [b]-c", "a b (2)"]
    assert len(set(sent)) == len(sent)
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789 ()[]-")
    for name in sent:
        assert set(name) <= allowed
        assert "  " not in name
        assert 1 <= len(name) <= 200


@pytest.mark.row("SCHE-15", "PROV-07", "PROV-17")
@pytest.mark.parametrize(
    "part",
    [
        ImagePart(url="https://example.org/a.png"),
        ImagePart(file_id="f"),
        ImagePart(b""),
        ImagePart(b"BM", mime_type="image/bmp"),
        FilePart(url="https://example.org/a.pdf"),
        FilePart(b"PK", mime_type="application/zip"),
        VideoPart(url="https://example.org/a.mp4"),
        VideoPart(b"v", mime_type="video/x-none"),
        AudioPart(url="https://example.org/a.mp3"),
        ThinkingPart("a user does not think"),
        UnknownPart("hologram", {}),
    ],
)
def test_what_cannot_be_sent_is_noted(encode, part):
    request = encode(HumanMessage(["look", part]))
    assert request.json["messages"][0]["content"] == [{"text": "look"}]
    (note,) = request.notes
    assert (note.kind, note.name) == ("content", part.type)
    assert part.type in note.text
    assert "bedrock" in note.text


def test_what_stands_where_it_cannot_is_noted(encode):
    call = AIMessage(["a", ImagePart(PNG)], tool_calls=[ToolCall("a", "f", "{}")])
    result = ToolMessage(["x", AudioPart(b"a")], "a")
    request = encode(SystemMessage(["s", ImagePart(PNG)]), HumanMessage("hi"), call, result)
    assert [(note.kind, note.name) for note in request.notes] == [
        ("content", "image"),
        ("content", "audio"),
    ]
    assert len(request.json["system"]) == 1


# --- cache points -----------------------------------------------------------------------------


@pytest.mark.row("CACH-18")
def test_cache_points_follow_what_they_mark(body):
    mark = {"cache_control": {"type": "ephemeral"}}
    point = {"cachePoint": {"type": "default"}}
    sent = body(
        SystemMessage([TextPart("s", metadata=mark), "t"]),
        HumanMessage([TextPart("a", metadata=mark), ImagePart(PNG, metadata=mark)]),
        AIMessage([TextPart("b", metadata=mark)], tool_calls=[ToolCall("a", "weather", "{}")]),
        ToolMessage([TextPart("x", metadata=mark), TextPart("y", metadata=mark)], "a"),
        HumanMessage([TextPart(" ", metadata=mark), "go"]),
        tools=[
            ToolDefinition("weather", metadata={"cache_control": {"ttl": "1h"}}),
            ToolDefinition("time", metadata={"cache_control": "default"}),
        ],
    )
    assert sent["system"] == [{"text": "s"}, point, {"text": "t"}]
    first, second, third = (turn["content"] for turn in sent["messages"])
    assert [next(iter(block)) for block in first] == ["text", "cachePoint", "image", "cachePoint"]
    assert [next(iter(block)) for block in second] == ["text", "cachePoint", "toolUse"]
    assert [next(iter(block)) for block in third] == ["toolResult", "cachePoint", "text"]
    tools = sent["toolConfig"]["tools"]
    assert tools[1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert tools[3] == point


# --- tools ------------------------------------------------------------------------------------


@pytest.mark.row("TOOL-22", "SCHE-18")
def test_tools_arrive_whole(body):
    schema = {
        "type": "object",
        "title": "T",
        "properties": {"a": {"$ref": "#/$defs/A", "description": "d", "enum": [1, 2]}},
        "required": ["a"],
        "$defs": {"A": {"type": "integer", "minimum": 1}},
        "additionalProperties": False,
    }
    sent = body(tools=[ToolDefinition("f", "does", schema), ToolDefinition("g", " ", {})])
    assert json.loads(json.dumps(sent["toolConfig"])) == {
        "tools": [
            {"toolSpec": {"name": "f", "description": "does", "inputSchema": {"json": schema}}},
            {
                "toolSpec": {
                    "name": "g",
                    "inputSchema": {"json": {"type": "object", "properties": {}}},
                }
            },
        ]
    }


def test_combinations_at_the_top_of_a_schema_are_refused_by_claude_only(body):
    tool = ToolDefinition("f", "", {"type": "object", "anyOf": [{"required": ["a"]}]})
    for model, kept in ((NOVA, True), ("anthropic.claude-sonnet-4-5", False)):
        sent = body(tools=[tool], model=model)["toolConfig"]["tools"][0]["toolSpec"]
        assert ("anyOf" in sent["inputSchema"]["json"]) is kept


@pytest.mark.row("OPTI-27")
def test_strict_tools(encode):
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
    tool = ToolDefinition("f", "", schema, strict=True)
    request = encode(tools=[tool])
    spec = request.json["toolConfig"]["tools"][0]["toolSpec"]
    assert spec["strict"] is True
    assert spec["inputSchema"]["json"] == {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "additionalProperties": False,
    }
    request = encode(tools=[tool], model=NOVA)
    spec = request.json["toolConfig"]["tools"][0]["toolSpec"]
    assert ("strict" in spec, spec["inputSchema"]["json"]) == (False, schema)
    assert [note.name for note in request.notes] == ["strict"]


@pytest.mark.row("PROV-33", "TOOL-19")
@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, None),
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ("weather", {"tool": {"name": "weather"}}),
    ],
)
def test_the_choice_among_tools(encode, choice, sent):
    request = encode(tools=[WEATHER, TIME], tool_choice=choice)
    assert request.json["toolConfig"].get("toolChoice") == sent
    assert len(request.json["toolConfig"]["tools"]) == 2
    assert request.notes == ()


@pytest.mark.row("PROV-33", "OPTI-27", "REAS-17")
@pytest.mark.parametrize(
    "options",
    [
        {"model": "anthropic.claude-opus-5-5"},
        {"model": "meta.llama3-1-8b-instruct-v1:0"},
        {"reasoning": ReasoningConfig(budget_tokens=2000)},
    ],
)
def test_a_forced_tool_that_the_model_refuses_is_noted(encode, options):
    for choice in ("required", "weather"):
        request = encode(tools=[WEATHER], tool_choice=choice, **options)
        assert "toolChoice" not in request.json["toolConfig"]
        assert [note.name for note in request.notes] == ["tool_choice"]


def test_a_model_without_choices_is_not_told_auto(body):
    sent = body(tools=[WEATHER], tool_choice="auto", model="cohere.command-r-v1:0")
    assert "toolChoice" not in sent["toolConfig"]


@pytest.mark.row("TOOL-20", "PROV-33")
def test_none_leaves_the_tools_out(encode):
    request = encode(tools=[WEATHER], tool_choice="none")
    assert "toolConfig" not in request.json
    assert request.notes == ()


@pytest.mark.row("TOOL-20", "OPTI-27")
def test_tools_are_sent_where_the_conversation_holds_calls(encode):
    request = encode(*CALLED, tools=[WEATHER], tool_choice="none")
    assert [list(tool) for tool in request.json["toolConfig"]["tools"]] == [["toolSpec"]]
    assert "toolChoice" not in request.json["toolConfig"]
    (note,) = request.notes
    assert (note.kind, note.name) == ("option", "tool_choice")


@pytest.mark.row("TOOL-20")
def test_called_tools_are_named_where_no_tools_are_given(encode):
    request = encode(*CALLED)
    spec = {"name": "weather", "inputSchema": {"json": {"type": "object", "properties": {}}}}
    assert request.json["toolConfig"] == {"tools": [{"toolSpec": spec}]}
    assert request.notes == ()
    alone = encode(HumanMessage("hi"), ToolMessage("x", "a")).json["toolConfig"]["tools"]
    assert [tool["toolSpec"]["name"] for tool in alone] == ["tool"]


@pytest.mark.row("OPTI-22")
@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, {"type": "auto"}),
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ("weather", {"type": "tool", "name": "weather"}),
    ],
)
def test_one_call_at_a_time_is_said_in_claudes_own_form(encode, choice, sent):
    request = encode(tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False)
    assert "toolChoice" not in request.json["toolConfig"]
    assert request.json["additionalModelRequestFields"] == {
        "tool_choice": {**sent, "disable_parallel_tool_use": True}
    }
    request = encode(tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False, model=NOVA)
    assert [note.name for note in request.notes] == ["parallel_tool_calls"]
    assert "additionalModelRequestFields" not in request.json


# --- options ----------------------------------------------------------------------------------


def test_inference_parameters(body):
    sent = body(max_tokens=9, temperature=0.0, top_p=0.0, top_k=3, stop=("END",))
    assert sent["inferenceConfig"] == {
        "maxTokens": 9,
        "temperature": 0.0,
        "topP": 0.0,
        "stopSequences": ["END"],
    }
    assert sent["additionalModelRequestFields"] == {"top_k": 3}
    sent = body(top_k=3, model=NOVA)
    assert sent["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 3}}


@pytest.mark.row("OPTI-27")
@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"temperature": 1.5}, ["temperature"]),
        ({"stop": (" ", "END")}, ["stop"]),
        ({"stop": ("",), "model": NOVA}, ["stop"]),
        ({"stop": ("END",), "model": "openai.gpt-oss-20b-1:0"}, ["stop"]),
        ({"top_k": 3, "model": "meta.llama3-1-8b-instruct-v1:0"}, ["top_k"]),
        (
            {"temperature": 0.5, "top_p": 0.5, "top_k": 3, "model": "anthropic.claude-opus-5"},
            ["temperature", "top_p", "top_k"],
        ),
        ({"temperature": 1.0, "top_p": 1.0, "model": "openai.gpt-5.2"}, []),
        (
            {
                "n": 2,
                "seed": 1,
                "frequency_penalty": 0.5,
                "presence_penalty": 0.5,
                "logprobs": True,
                "top_logprobs": 3,
                "logit_bias": {"1": 1},
                "user": "u",
            },
            [
                "n",
                "seed",
                "frequency_penalty",
                "presence_penalty",
                "logprobs",
                "top_logprobs",
                "logit_bias",
                "user",
            ],
        ),
        ({"n": 1, "frequency_penalty": 0, "logprobs": False}, []),
    ],
)
def test_options_that_do_not_exist_are_noted(encode, options, names):
    request = encode(**options)
    assert sorted(note.name for note in request.notes) == sorted(names)
    kept = {"stopSequences": ["END"]} if options.get("stop") == (" ", "END") else None
    assert request.json.get("inferenceConfig") == kept
    assert "additionalModelRequestFields" not in request.json


@pytest.mark.row("OPTI-08", "OPTI-09", "PROV-07")
def test_a_schema_for_the_answer(encode):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "maximum": 3}},
        "required": ["n"],
    }
    wanted = ResponseFormat.json_schema(schema, name="Answer", description="An answer.")
    request = encode(response_format=wanted)
    form = request.json["outputConfig"]["textFormat"]
    sent = form["structure"]["jsonSchema"]
    assert form["type"] == "json_schema"
    assert (sent["name"], sent["description"]) == ("Answer", "An answer.")
    assert json.loads(sent["schema"]) == {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    assert request.notes == ()
    unnamed = encode(response_format=ResponseFormat.json_schema(schema)).json["outputConfig"]
    assert "description" not in unnamed["textFormat"]["structure"]["jsonSchema"]


@pytest.mark.row("OPTI-08", "OPTI-27")
@pytest.mark.parametrize(
    ("wanted", "model", "names"),
    [
        (ResponseFormat.text(), NOVA, []),
        (ResponseFormat.json(), "anthropic.claude-sonnet-4-5", ["response_format"]),
        (ResponseFormat.json_schema(SCHEMA), NOVA, ["response_format"]),
    ],
)
def test_forms_of_answers_that_do_not_exist(encode, wanted, model, names):
    request = encode(response_format=wanted, model=model)
    assert "outputConfig" not in request.json
    assert [note.name for note in request.notes] == names


@pytest.mark.row("OPTI-12", "PROV-07")
def test_options_of_the_provider_are_merged_deeply(body):
    given = {
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "inferenceConfig": {"maxTokens": 5},
        "additionalModelRequestFields": {"top_k": 9, "anthropic_beta": ["b"]},
        "toolConfig": {"tools": [{"systemTool": {"name": "x"}}]},
    }
    sent = body(
        temperature=0.5,
        top_k=3,
        tools=[WEATHER],
        tool_choice="auto",
        provider_options={"bedrock": given, "anthropic": {"x": 1}},
    )
    assert sent["guardrailConfig"] == given["guardrailConfig"]
    assert sent["inferenceConfig"] == {"temperature": 0.5, "maxTokens": 5}
    assert sent["additionalModelRequestFields"] == {"top_k": 9, "anthropic_beta": ["b"]}
    assert sent["toolConfig"] == {
        "toolChoice": {"auto": {}},
        "tools": [{"systemTool": {"name": "x"}}],
    }
    assert "x" not in sent


@pytest.mark.row("PROV-19")
@pytest.mark.parametrize(
    "messages", [[HumanMessage("")], [HumanMessage(" \n")], [SystemMessage("be brief")]]
)
def test_nothing_to_send_is_an_error(encode, messages):
    with pytest.raises(InvalidRequestError, match="must not be blank") as caught:
        encode(*messages, seed=1)
    assert caught.value.provider == "bedrock"


def test_nothing_but_what_cannot_be_sent_is_an_error(encode):
    with pytest.raises(UnsupportedContentError, match="image"):
        encode(HumanMessage([ImagePart(url="https://example.org/a.png")]))


# --- counting ---------------------------------------------------------------------------------


@pytest.mark.row("CHAT-24")
def test_a_count_is_asked_of_the_model_itself(dialect):
    messages = (SystemMessage("s"), HumanMessage("hi"))
    options = GenerateOptions(model="us.anthropic.claude-sonnet-4-20250514-v1:0", max_tokens=5)
    request = dialect.count_request(ChatRequest(messages, options, (WEATHER,)))
    assert request.path == "/model/anthropic.claude-sonnet-4-20250514-v1%3A0/count-tokens"
    counted = request.json["input"]["converse"]
    assert set(counted) == {"messages", "system", "toolConfig"}
    assert dialect.counted({"inputTokens": 7}) == 7
    other = ChatRequest(messages, GenerateOptions(model=NOVA))
    assert dialect.count_request(other) is None

"""Conversations: turns, calls and results, and what goes back of an answer."""

from __future__ import annotations

import base64

import pytest

from beluga_llm import (
    AIMessage,
    AudioPart,
    FilePart,
    HumanMessage,
    ImagePart,
    InvalidRequestError,
    SystemMessage,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolMessage,
    UnknownPart,
    UnsupportedContentError,
)

PNG = b"\x89PNG\r\n"
PNG64 = base64.b64encode(PNG).decode()
NEW = "gemini-3.8-flash"
NEWER = "gemini-4-argon"


def turn(role, *parts):
    return {"role": role, "parts": list(parts)}


def text(value):
    return {"text": value}


def call(name="f", args=None, **fields):
    return {"functionCall": {"name": name, "args": args or {}}, **fields}


def result(name="f", response=None, **fields):
    return {"functionResponse": {"name": name, "response": response or {"output": "1"}, **fields}}


# --- turns ------------------------------------------------------------------------------------
@pytest.mark.row("PROV-06", "SCHE-01")
def test_a_conversation(encode):
    request = encode(
        SystemMessage("Be brief."), HumanMessage("hi"), AIMessage("yes?"), HumanMessage("bye")
    )
    assert request.method == "POST"
    assert request.path == "/models/gemini-2.5-flash:generateContent"
    assert (dict(request.query), dict(request.headers)) == ({}, {})
    assert request.json == {
        "systemInstruction": {"parts": [text("Be brief.")]},
        "contents": [
            turn("user", text("hi")),
            turn("model", text("yes?")),
            turn("user", text("bye")),
        ],
    }
    streamed = encode(streaming=True)
    assert streamed.path == "/models/gemini-2.5-flash:streamGenerateContent"
    assert dict(streamed.query) == {"alt": "sse"}
    assert streamed.json == encode().json


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-2.5-pro", "/models/gemini-2.5-pro"),
        ("tunedModels/my-model", "/tunedModels/my-model"),
        ("a b?key=1#x", "/models/a%20b%3Fkey%3D1%23x"),
    ],
)
def test_names_of_models(encode, model, path):
    assert encode(model=model).path == f"{path}:generateContent"


@pytest.mark.row("PROV-18")
def test_system_messages_are_collected_wherever_they_stand(body):
    found = body(
        SystemMessage(["a", "b"]), HumanMessage("hi"), SystemMessage(["", "c"]), HumanMessage("x")
    )
    assert found["systemInstruction"] == {"parts": [text("a"), text("b"), text("c")]}
    assert found["contents"] == [turn("user", text("hi"), text("x"))]
    assert "systemInstruction" not in body(SystemMessage(""), HumanMessage("hi"))


@pytest.mark.row("PROV-19", "TOOL-16", "SCHE-17")
def test_results_of_one_turn_form_one_turn_and_stand_first(body):
    found = body(
        HumanMessage("hi"),
        AIMessage("Let me see", tool_calls=[ToolCall("a", "f", '{"x": 1}'), ToolCall("b", "g")]),
        ToolMessage("1", tool_call_id="a"),
        ToolMessage("no such city", tool_call_id="b", is_error=True),
        HumanMessage("quick!"),
        HumanMessage("well?"),
    )
    assert found["contents"][1:] == [
        turn("model", text("Let me see"), call("f", {"x": 1}), call("g")),
        turn(
            "user",
            result("f"),
            result("g", {"error": "no such city"}),
            text("quick!"),
            text("well?"),
        ),
    ]


@pytest.mark.row("PROV-19")
def test_empty_texts_are_left_out_unless_signed(body):
    found = body(
        HumanMessage(["", "hi", TextPart("", "sig", "google")]),
        AIMessage(["", TextPart("", "c2ln", "google"), TextPart("", "sig", "anthropic")]),
        HumanMessage(""),
    )
    assert found["contents"] == [
        turn("user", text("hi")),
        turn("model", {"text": "", "thoughtSignature": "c2ln"}),
    ]


@pytest.mark.row("CHAT-11")
def test_nothing_but_an_empty_text_is_sent(body):
    assert body(HumanMessage(""))["contents"] == [turn("user", text(""))]
    assert body(AIMessage(""), HumanMessage(["", ""]))["contents"] == [turn("user", text(""))]


@pytest.mark.row("PROV-06")
def test_nothing_to_send_is_an_error(encode):
    with pytest.raises(InvalidRequestError, match="at least one message of the user") as caught:
        encode(SystemMessage("be brief"), user="someone")
    assert caught.value.provider == "google"
    with pytest.raises(UnsupportedContentError, match="unknown-kind parts are not supported"):
        encode(HumanMessage(UnknownPart("unknown-kind")))


# --- calls and results ------------------------------------------------------------------------
@pytest.mark.row("PROV-06", "TOOL-14")
def test_ids_are_sent_where_gemini_gave_them(body):
    def sent(*calls):
        results = [ToolMessage("1", tool_call_id=made.id) for made in calls]
        model, user = body(HumanMessage("hi"), AIMessage(tool_calls=calls), *results)["contents"][
            1:
        ]
        pairs = zip(model["parts"], user["parts"], strict=True)
        ids = [(c["functionCall"].get("id"), r["functionResponse"].get("id")) for c, r in pairs]
        assert all(a == b for a, b in ids)
        return [a for a, _ in ids]

    assert sent(ToolCall("8hd01vsf", "f", provider="google"), ToolCall("k0srpqrc", "g")) == [
        "8hd01vsf",
        "k0srpqrc",
    ]
    assert sent(ToolCall("another-form", "f", provider="google")) == ["another-form"]
    ours = "call_0123456789abcdef01234567"
    strangers = ["call_1", "toolu_01Abc", "", "functions.f:0", "k0SRPQRC", ours]
    assert sent(*(ToolCall(given, "f") for given in strangers)) == [None] * 6
    assert sent(ToolCall(ours, "f", signature="c2ln", provider="google")) == [None]
    assert sent(ToolCall("8hd01vsf", "f", provider="vertex")) == [None]


@pytest.mark.row("PROV-06")
def test_a_result_carries_the_name_of_its_call(body):
    def names(*messages, calls):
        found = body(HumanMessage("hi"), AIMessage(tool_calls=calls), *messages)["contents"][2]
        return [part["functionResponse"]["name"] for part in found["parts"]]

    pair = [ToolCall("a", "f"), ToolCall("b", "g")]
    one, two = ToolMessage("1", tool_call_id="a", name="x"), ToolMessage("2", tool_call_id="b")
    assert names(one, two, calls=pair) == ["f", "g"]
    assert names(two, one, calls=pair) == ["f", "g"], "in the order of the calls"
    alike = [ToolCall("", "f"), ToolCall("", "g")]
    first, second = ToolMessage("1", tool_call_id=""), ToolMessage("2", tool_call_id="")
    assert names(first, second, calls=alike) == ["f", "g"]
    assert names(ToolMessage("2", tool_call_id="", name="g"), first, calls=alike) == ["f", "g"]
    assert names(ToolMessage("1", tool_call_id="z", name="h"), calls=pair) == ["h"]
    assert names(ToolMessage("1", tool_call_id="z"), calls=pair) == ["z"]
    assert names(ToolMessage("1", tool_call_id=""), calls=pair) == ["unknown"]


def test_results_with_ids_keep_their_order(body):
    calls = [ToolCall("8hd01vsf", "f"), ToolCall("k0srpqrc", "g")]
    results = [ToolMessage("1", tool_call_id=made.id) for made in reversed(calls)]
    found = body(HumanMessage("hi"), AIMessage(tool_calls=calls), *results)["contents"][2]
    assert [part["functionResponse"]["name"] for part in found["parts"]] == ["g", "f"]


@pytest.mark.row("PROV-06")
@pytest.mark.parametrize(
    ("content", "is_error", "response"),
    [
        ("sunny", False, {"output": "sunny"}),
        ("", False, {"output": ""}),
        ('{"a": [1, 2.5]}', False, {"a": [1, 2.5]}),
        ("[1]", False, {"output": "[1]"}),
        ("3", False, {"output": "3"}),
        ("no", True, {"error": "no"}),
        ('{"a": 1}', True, {"error": {"a": 1}}),
        (["sun", "ny"], False, {"output": "sunny"}),
    ],
)
def test_results_are_objects(body, content, is_error, response):
    found = body(
        AIMessage(tool_calls=[ToolCall("a", "f")]),
        ToolMessage(content, tool_call_id="a", is_error=is_error),
    )
    assert found["contents"][1] == turn("user", result("f", response))


@pytest.mark.row("PROV-17")
def test_media_in_results(body):
    media = [ImagePart(PNG), AudioPart(b"x"), FilePart(url="https://x/a.pdf")]
    asked = AIMessage(tool_calls=[ToolCall("a", "f")])
    answer = ToolMessage(["1", *media], tool_call_id="a")
    image = {"inlineData": {"mimeType": "image/png", "data": PNG64}}
    others = [
        {"inlineData": {"mimeType": "audio/wav", "data": "eA=="}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x/a.pdf"}},
    ]
    newer = body(asked, answer, HumanMessage("so?"), model=NEW)["contents"][1]
    assert newer == turn("user", result(parts=[image]), *others, text("so?"))
    older = body(asked, answer, HumanMessage("so?"))["contents"][1]
    assert older == turn("user", result(), image, *others, text("so?"))


@pytest.mark.row("TOOL-15")
@pytest.mark.parametrize("arguments", ['{"city": "Ro', "[1]"])
def test_arguments_that_are_no_object_are_wrapped(body, arguments):
    found = body(HumanMessage("hi"), AIMessage(tool_calls=[ToolCall("a", "f", arguments)]))
    assert found["contents"][1]["parts"] == [call("f", {"INVALID_JSON": arguments})]


# --- reasoning --------------------------------------------------------------------------------
@pytest.mark.row("REAS-14", "REAS-11", "SCHE-13", "SCHE-08")
def test_signed_parts_go_back_unchanged_in_wire_order(body):
    answer = AIMessage(
        [
            ThinkingPart("hm ", "s1==", provider="google"),
            ThinkingPart("unsigned", provider="google"),
            TextPart("Done", "s2-_", "google"),
            ThinkingPart("", "s3", provider="google"),
            TextPart("", "s4", "google"),
        ],
        tool_calls=[
            ToolCall("a", "f", signature="s5", provider="google", part_index=2),
            ToolCall("b", "f", part_index=3),
        ],
    )
    assert body(HumanMessage("hi"), answer)["contents"][1]["parts"] == [
        {"text": "hm ", "thought": True, "thoughtSignature": "s1=="},
        {"text": "unsigned", "thought": True},
        call(
            "f",
            thoughtSignature="s5",
        )
        | {"functionCall": {"id": "a", "name": "f", "args": {}}},
        call("f"),
        {"text": "Done", "thoughtSignature": "s2-_"},
        {"text": "", "thought": True, "thoughtSignature": "s3"},
        {"text": "", "thoughtSignature": "s4"},
    ]


@pytest.mark.row("REAS-15", "PAIN-11")
def test_signatures_of_others_are_dropped_and_noted(encode):
    answer = AIMessage(
        [
            ThinkingPart("x", "sig", provider="anthropic"),
            ThinkingPart("y", provider="deepseek"),
            ThinkingPart("", redacted_data="sig"),
            ThinkingPart(""),
            TextPart("Yes.", "sig", "anthropic"),
        ],
        tool_calls=[ToolCall("a", "f", signature="sig", provider="anthropic")],
    )
    request = encode(HumanMessage("hi"), answer, ToolMessage("1", tool_call_id="a"))
    assert request.json["contents"][1]["parts"] == [text("Yes."), call("f")]
    assert [(note.kind, note.name) for note in request.notes] == [("signature", "anthropic")]


def test_thinking_of_nobody_in_particular_is_sent(body):
    parts = body(HumanMessage("hi"), AIMessage([ThinkingPart("x"), "y"]))["contents"][1]["parts"]
    assert parts == [{"text": "x", "thought": True}, text("y")]


@pytest.mark.row("REAS-11", "REAS-15")
@pytest.mark.parametrize("model", [NEW, NEWER, "gemini-flash-latest"])
def test_a_call_of_another_model_gets_the_documented_signature(encode, model):
    skip = "skip_thought_signature_validator"
    answer = AIMessage(tool_calls=[ToolCall("toolu_1", "f"), ToolCall("toolu_2", "g")])
    results = [ToolMessage("1", tool_call_id="toolu_1"), ToolMessage("2", tool_call_id="toolu_2")]
    request = encode(HumanMessage("hi"), answer, *results, model=model)
    assert request.json["contents"][1]["parts"] == [call("f", thoughtSignature=skip), call("g")]
    signed = AIMessage(
        tool_calls=[ToolCall("a", "f", signature="c2ln", provider="google"), ToolCall("b", "g")]
    )
    parts = encode(HumanMessage("hi"), signed, model=model).json["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["c2ln", None]
    foreign = AIMessage(tool_calls=[ToolCall("a", "f", signature="x", provider="vertex")])
    request = encode(HumanMessage("hi"), foreign, model=model)
    assert request.json["contents"][1]["parts"] == [call("f", thoughtSignature=skip)]
    assert [note.name for note in request.notes] == ["vertex"]


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "tuned-model"])
def test_where_no_signature_is_demanded_none_is_made_up(body, model):
    answer = AIMessage(tool_calls=[ToolCall("toolu_1", "f")])
    assert body(HumanMessage("hi"), answer, model=model)["contents"][1]["parts"] == [call("f")]


@pytest.mark.row("SCHE-24")
def test_kept_parts_go_back_in_their_place(body):
    code = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "s"}
    kept = [
        {**code, "part_index": 1, "provider": "google"},
        {"codeExecutionResult": {"output": "1"}, "part_index": 1, "provider": "google"},
        {**code, "part_index": 1, "provider": "vertex"},
        {**code, "part_index": None, "provider": "google"},
        "odd",
    ]
    answer = AIMessage(["a", "b"], provider_metadata={"content_parts": kept})
    assert body(HumanMessage("hi"), answer)["contents"][1]["parts"] == [
        text("a"),
        code,
        {"codeExecutionResult": {"output": "1"}},
        text("b"),
    ]
    odd = AIMessage("a", provider_metadata={"content_parts": 3})
    assert body(HumanMessage("hi"), odd)["contents"][1]["parts"] == [text("a")]

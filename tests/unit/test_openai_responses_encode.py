"""Request bodies of the Responses dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from support.oracle import request_problems
from support.responses import Json, answer, call, message, outputs, reasoning

from beluga_llm._capabilities import Capabilities
from beluga_llm._dialects.openai_responses import OpenAIResponsesDialect
from beluga_llm._http.dialect import HttpRequest
from beluga_llm._json import dumps, loads
from beluga_llm._messages import AIMessage, HumanMessage, SystemMessage, ToolMessage, replace
from beluga_llm._option_types import ReasoningConfig, ResponseFormat
from beluga_llm._options import GenerateOptions
from beluga_llm._parts import AudioPart, FilePart, ImagePart, TextPart, ThinkingPart, VideoPart
from beluga_llm._request import ChatRequest
from beluga_llm._serialize import from_dict, to_dict
from beluga_llm._tool_types import ToolCall, ToolDefinition

HI = HumanMessage("hi")
SCHEMA = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/City", "description": "where"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"City": {"type": "string", "enum": ["Rome", "Oslo"]}},
}
WEATHER = ToolDefinition("weather", "How it is outside.", SCHEMA)


def encoded(
    *messages: Any,
    tools: tuple[ToolDefinition, ...] = (),
    provider: str = "openai",
    streaming: bool = False,
    **options: Any,
) -> HttpRequest:
    options.setdefault("model", "gpt-5-mini")
    request = ChatRequest(messages or (HI,), GenerateOptions(**options), tools, streaming=streaming)
    return OpenAIResponsesDialect(provider).encode(request)


def body(*messages: Any, **options: Any) -> Json:
    return loads(dumps(encoded(*messages, **options).json))


def notes(*messages: Any, **options: Any) -> list[tuple[str, str]]:
    return [(note.kind, note.name) for note in encoded(*messages, **options).notes]


# --- messages ----------------------------------------------------------------------------------


@pytest.mark.row("PROV-31", "CHAT-17")
def test_the_least_request() -> None:
    sent = encoded(HI)
    assert (sent.method, sent.path, sent.notes) == ("POST", "/responses", ())
    assert sent.json == {
        "model": "gpt-5-mini",
        "input": [{"role": "user", "content": "hi"}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    assert body(HI, streaming=True) == {**sent.json, "stream": True}


@pytest.mark.row("PROV-31", "PROV-18")
def test_leading_system_messages_are_instructions() -> None:
    sent = body(SystemMessage("Be brief."), SystemMessage("Be kind."), HI, SystemMessage("Now."))
    assert sent["instructions"] == "Be brief.\n\nBe kind."
    assert sent["input"] == [
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "Now."},
    ]


def test_a_lone_system_message_is_input() -> None:
    sent = body(SystemMessage("Say hello."))
    assert sent["input"] == [{"role": "system", "content": "Say hello."}]
    assert "instructions" not in sent


@pytest.mark.row("SCHE-09", "SCHE-12", "PROV-17")
def test_media() -> None:
    parts = [
        "look",
        ImagePart(data=b"\x89PNG", detail="low"),
        ImagePart(url="https://example.org/a.png"),
        ImagePart(file_id="file_1"),
        FilePart(data=b"%PDF"),
        FilePart(data=b"a", name="a.txt", mime_type="text/plain"),
        FilePart(url="https://example.org/a.pdf"),
        FilePart(file_id="file_2"),
    ]
    assert body(HumanMessage(parts))["input"][0]["content"] == [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "detail": "low", "image_url": "data:image/png;base64,iVBORw=="},
        {"type": "input_image", "detail": "auto", "image_url": "https://example.org/a.png"},
        {"type": "input_image", "detail": "auto", "file_id": "file_1"},
        {
            "type": "input_file",
            "filename": "document.pdf",
            "file_data": "data:application/pdf;base64,JVBERg==",
        },
        {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,YQ=="},
        {"type": "input_file", "file_url": "https://example.org/a.pdf"},
        {"type": "input_file", "file_id": "file_2"},
    ]


@pytest.mark.row("SCHE-15")
def test_media_that_cannot_be_sent_are_noted() -> None:
    parts = ["hear", AudioPart(data=b"RIFF"), VideoPart(url="https://example.org/a.mp4")]
    sent = encoded(HumanMessage(parts))
    assert [(note.kind, note.name) for note in sent.notes] == [
        ("content", "audio"),
        ("content", "video"),
    ]
    assert sent.json["input"] == [{"role": "user", "content": "hear"}]
    image = AIMessage([TextPart("see"), ImagePart(data=b"\x89PNG")])
    assert notes(HI, image, HI) == [("content", "image")]


@pytest.mark.row("PROV-31", "SCHE-17", "TOOL-14")
def test_results_of_tools() -> None:
    long = "toolu_" + "x" * 80
    asked = AIMessage(
        "Let me see.", tool_calls=[ToolCall("functions.f:0", "f"), ToolCall(long, "f", '{"x":1}')]
    )
    results = [
        ToolMessage("fine", "functions.f:0", is_error=True),
        ToolMessage(["a chart", ImagePart(file_id="file_1")], long),
    ]
    items = body(HI, asked, *results)["input"]
    assert items[1:3] == [
        {"type": "message", "role": "assistant", "content": "Let me see."},
        {"type": "function_call", "call_id": "functions.f:0", "name": "f", "arguments": "{}"},
    ]
    assert items[4] == {
        "type": "function_call_output",
        "call_id": "functions.f:0",
        "output": "fine",
    }
    assert items[5]["output"] == [
        {"type": "input_text", "text": "a chart"},
        {"type": "input_image", "detail": "auto", "file_id": "file_1"},
    ]
    assert items[3]["call_id"] == items[5]["call_id"]
    assert len(items[3]["call_id"]) <= 64


@pytest.mark.row("SCHE-04", "SCHE-33")
def test_an_answer_of_nobody_in_particular() -> None:
    said = AIMessage(["one", "two"], tool_calls=[ToolCall("c", "f", part_index=1)])
    assert body(HI, said, ToolMessage("", "c"))["input"][1:] == [
        {"type": "message", "role": "assistant", "content": "one"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "message", "role": "assistant", "content": "two"},
        {"type": "function_call_output", "call_id": "c", "output": ""},
    ]
    refused = body(HI, AIMessage(refusal="No."), HI)["input"][1]
    assert refused == {"type": "message", "role": "assistant", "content": "No."}
    assert len(body(HI, AIMessage(), HI)["input"]) == 2


# --- reasoning ---------------------------------------------------------------------------------


@pytest.mark.row("REAS-14")
def test_encrypted_reasoning_without_an_id_goes_back_without_one() -> None:
    said = AIMessage([ThinkingPart("one", redacted_data="gAA=", provider="openai"), "Hi"])
    summary = [{"type": "summary_text", "text": "one"}]
    assert body(HI, said, HI)["input"][1] == {
        "type": "reasoning",
        "summary": summary,
        "encrypted_content": "gAA=",
    }


@pytest.mark.row("REAS-14", "PROV-31", "REAS-06")
def test_parts_of_one_reasoning_item_go_back_as_one_item() -> None:
    thoughts = [
        ThinkingPart("one", provider="openai", id="rs_1"),
        ThinkingPart("two", redacted_data="gAA=", provider="openai", id="rs_1"),
        ThinkingPart("", redacted_data="gBB=", provider="openai", id="rs_2"),
    ]
    said = AIMessage([*thoughts, "Hi"])
    assert body(HI, said, HI)["input"][1:-1] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [
                {"type": "summary_text", "text": "one"},
                {"type": "summary_text", "text": "two"},
            ],
            "encrypted_content": "gAA=",
        },
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gBB="},
        {"type": "message", "role": "assistant", "content": "Hi"},
    ]


@pytest.mark.row("REAS-15", "PAIN-11")
def test_reasoning_of_others_stays_at_home() -> None:
    foreign = AIMessage(
        [
            ThinkingPart("secret", signature="sig", provider="anthropic"),
            ThinkingPart("", redacted_data="data", provider="xai"),
            ThinkingPart("unsigned"),
            TextPart("Hi", "sig", "google"),
        ],
        tool_calls=[ToolCall("c", "f", "{}", "sig", "google")],
    )
    sent = encoded(HI, foreign, ToolMessage("", "c"))
    assert "s" not in {note.kind for note in sent.notes}
    assert [(note.kind, note.name) for note in sent.notes] == [
        ("signature", "anthropic"),
        ("signature", "xai"),
        ("signature", "google"),
    ]
    assert [item.get("type", "message") for item in sent.json["input"]] == [
        "message",
        "message",
        "function_call",
        "function_call_output",
    ]


def replayed(said: AIMessage, provider: str = "openai", **options: Any) -> list[Json]:
    saved = from_dict(json.loads(json.dumps(to_dict(said))))
    results = [ToolMessage("done", tool_call.id) for tool_call in said.tool_calls]
    items = body(HI, saved, *results, HI, provider=provider, **options)["input"]
    return items[1 : -1 - len(results)]


@pytest.mark.row("REAS-14", "PAIN-11", "PROV-31")
@given(outputs)
def test_answers_go_back_byte_for_byte(output: list[Json]) -> None:
    got = replayed(answer(*output))
    if not any(map(is_only_an_id, output)):
        assert got == output
        return
    thoughts = [item for item in got if item.get("type") == "reasoning"]
    assert not any("id" in item for item in got if item not in thoughts)
    secrets = [item["encrypted_content"] for item in output if item.get("encrypted_content")]
    assert [item["encrypted_content"] for item in thoughts] == secrets


def is_only_an_id(item: Json) -> bool:
    """Reasoning that a server would have to look up: then ids go back all or none."""
    opaque = item.get("encrypted_content") or item.get("content")
    return item["type"] == "reasoning" and not opaque


@pytest.mark.row("PROV-31")
def test_an_answer_that_was_changed_is_told_anew() -> None:
    said = answer(reasoning("why", encrypted_content="gAA="), message("Hello"), call("f"))
    assert [item["id"] for item in replayed(said)] == ["rs_1", "msg_1", "fc_1"]
    thought, text = said.parts
    for changed in (
        replace(said, parts=(*said.parts, TextPart("more"))),
        replace(said, parts=(replace(thought, id="rs_9"), text)),
        replace(said, parts=(replace(thought, redacted_data=None), text)),
        replace(said, parts=said.parts[1:]),
        replace(said, tool_calls=()),
        replace(said, tool_calls=(replace(said.tool_calls[0], id="other"),)),
    ):
        ids = [item.get("id") for item in replayed(changed)]
        assert set(ids) <= {"rs_1", "rs_9", None}
    edited = replace(said, parts=(thought, TextPart("Changed")))
    assert replayed(edited)[1]["content"][0]["text"] == "Changed"


@pytest.mark.row("REAS-15")
def test_items_of_another_provider_keep_their_ids_to_themselves() -> None:
    said = answer(message("Hello", phase="final_answer"), call("f"))
    assert [item.get("id") for item in replayed(said, "xai")] == [None, None]


@pytest.mark.row("PROV-31")
def test_the_phase_of_a_message_goes_back() -> None:
    (item,) = replayed(answer(message("Hello", phase="commentary")))
    assert item["phase"] == "commentary"


@pytest.mark.row("PROV-31", "DIAL-07")
@pytest.mark.parametrize(
    "content", ["Hello", "", [{"type": "text", "text": "Hello"}], [{"type": "x", "text": "y"}]]
)
def test_other_forms_of_text_go_back_as_they_came(content: Any) -> None:
    item = message(content=content)
    said = answer(item)
    assert replayed(said) == [item]
    if said.parts:
        (edited,) = replayed(replace(said, parts=(TextPart("Changed"),)))
        assert "Changed" in json.dumps(edited)


def test_items_without_a_type_do_not_go_back() -> None:
    said = answer({"id": "zz"}, message("Hello"))
    assert replayed(said) == [message("Hello")]


@pytest.mark.row("DIAL-07", "SCHE-29")
@pytest.mark.parametrize("summary", [None, 5, "why", [None, 1, "why"]])
def test_what_is_remembered_may_have_been_spoilt(summary: Any) -> None:
    """A file in which it was saved is anybody's to edit."""
    said = answer(reasoning("why", encrypted_content="gAA="), message("Hello"))
    memory = said.provider_metadata["output_items"]
    items = [{**memory["items"][0], "summary": summary}, memory["items"][1]]
    spoilt = {"output_items": {**memory, "items": items}}
    sent = replayed(replace(said, provider_metadata=spoilt))
    assert sent[0]["encrypted_content"] == "gAA="
    assert sent[1]["content"][0]["text"] == "Hello"


@pytest.mark.row("PROV-31")
def test_reasoning_without_secrets_goes_back_only_to_a_server_that_stores() -> None:
    said = answer(reasoning("why"), message("Hello"))
    assert [item.get("type", "message") for item in replayed(said)] == ["message"]
    stored = replayed(said, provider_options={"openai": {"store": True}})
    assert [item["id"] for item in stored] == ["rs_1", "msg_1"]


class NoReasoning(OpenAIResponsesDialect):
    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(reasoning=False)


@pytest.mark.row("PROV-31", "REAS-09")
def test_models_that_do_not_reason_hear_nothing_of_it() -> None:
    said = answer(reasoning("why", encrypted_content="gAA="), message("Hello"))
    options = GenerateOptions(model="gpt-4o", reasoning=ReasoningConfig("high"))
    sent = NoReasoning().encode(ChatRequest((HI, said, HI), options))
    assert sent.json.keys() == {"model", "input", "store"} | {"stream"}
    assert len(sent.json["input"]) == 3
    assert [note.name for note in sent.notes] == ["reasoning_effort"]


@pytest.mark.row("REAS-09")
def test_a_model_that_does_not_reason_needs_not_be_told_to_hide_it() -> None:
    options = GenerateOptions(model="m", reasoning=ReasoningConfig(include=False))
    request = NoReasoning().encode(ChatRequest((HumanMessage("hi"),), options))
    assert "reasoning" not in request.json
    assert request.notes == ()


# --- options -----------------------------------------------------------------------------------


@pytest.mark.row("OPTI-04", "OPTI-05", "OPTI-06", "OPTI-20", "OPTI-31")
def test_plain_options() -> None:
    sent = body(temperature=0.0, top_p=0.0, max_tokens=7, user="u", metadata={"mine": 1})
    assert {key: sent[key] for key in ("temperature", "top_p", "max_output_tokens", "user")} == {
        "temperature": 0.0,
        "top_p": 0.0,
        "max_output_tokens": 7,
        "user": "u",
    }
    assert "metadata" not in sent


@pytest.mark.row("OPTI-27", "OPTI-07", "OPTI-14", "OPTI-15", "OPTI-16", "OPTI-17", "OPTI-19")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_k", 1),
        ("seed", 0),
        ("frequency_penalty", 0.0),
        ("presence_penalty", 0.5),
        ("logit_bias", {"1": 2}),
        ("stop", "x"),
        ("n", 2),
    ],
)
def test_options_that_the_api_lacks_are_noted(name: str, value: Any) -> None:
    sent = encoded(HI, **{name: value})
    assert [(note.kind, note.name) for note in sent.notes] == [("option", name)]
    assert sent.json == encoded(HI).json


def test_one_answer_is_what_the_api_gives() -> None:
    assert notes(n=1) == []


@pytest.mark.row("OPTI-18", "SCHE-27")
def test_logprobs() -> None:
    sent = body(top_logprobs=3)
    assert sent["top_logprobs"] == 3
    assert "message.output_text.logprobs" in sent["include"]
    assert "message.output_text.logprobs" in body(logprobs=True)["include"]
    assert "message.output_text.logprobs" not in body(logprobs=False)["include"]


@pytest.mark.row("REAS-01", "REAS-02", "REAS-09")
@pytest.mark.parametrize(
    ("config", "sent", "noted"),
    [
        (ReasoningConfig("high"), {"effort": "high", "summary": "auto"}, []),
        (ReasoningConfig("colossal"), {"effort": "colossal", "summary": "auto"}, []),
        (ReasoningConfig(), {"summary": "auto"}, []),
        (ReasoningConfig("low", include=False), {"effort": "low"}, []),
        (ReasoningConfig(include=False), None, []),
        (
            ReasoningConfig(budget_tokens=99),
            {"summary": "auto"},
            [("option", "reasoning_budget")],
        ),
    ],
)
def test_reasoning(config: ReasoningConfig, sent: Json | None, noted: list[Any]) -> None:
    assert body(reasoning=config).get("reasoning") == sent
    assert notes(reasoning=config) == noted


@pytest.mark.row("OPTI-08", "OPTI-09", "PROV-31")
def test_formats() -> None:
    assert "text" not in body(response_format=ResponseFormat.text())
    assert body(response_format=ResponseFormat.json())["text"] == {
        "format": {"type": "json_object"}
    }
    form = ResponseFormat.json_schema(SCHEMA, "place", strict=False, description="Where.")
    assert body(response_format=form)["text"]["format"] == {
        "type": "json_schema",
        "name": "place",
        "schema": SCHEMA,
        "strict": False,
        "description": "Where.",
    }


@pytest.mark.row("TOOL-22", "SCHE-18")
def test_tools_arrive_whole() -> None:
    bare = ToolDefinition("now", strict=True)
    assert body(tools=(WEATHER, bare))["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "How it is outside.",
            "parameters": SCHEMA,
            "strict": False,
        },
        {
            "type": "function",
            "name": "now",
            "parameters": {"type": "object", "properties": {}},
            "strict": True,
        },
    ]


@pytest.mark.row("OPTI-10", "OPTI-22", "PROV-33", "TOOL-19")
@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("weather", {"type": "function", "name": "weather"}),
    ],
)
def test_tool_choice(choice: str, sent: Any) -> None:
    found = body(tools=(WEATHER,), tool_choice=choice, parallel_tool_calls=False)
    assert found["tool_choice"] == sent
    assert found["parallel_tool_calls"] is False
    assert "tool_choice" not in body(tool_choice="auto")


@pytest.mark.row("OPTI-12", "PROV-31")
def test_provider_options_go_over_the_body() -> None:
    theirs = {
        "store": True,
        "include": ["web_search_call.action.sources"],
        "previous_response_id": "resp_1",
        "text": {"verbosity": "low"},
        "tools": [{"type": "web_search"}],
    }
    form = ResponseFormat.json()
    sent = body(
        tools=(WEATHER,),
        response_format=form,
        provider_options={"openai": theirs, "anthropic": {"top_k": 1}},
    )
    assert sent["store"] is True
    assert sent["include"] == ["web_search_call.action.sources"]
    assert sent["previous_response_id"] == "resp_1"
    assert sent["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}
    assert [tool["type"] for tool in sent["tools"]] == ["function", "web_search"]
    assert "top_k" not in sent


@pytest.mark.row("OPTI-12", "DIAL-07")
@pytest.mark.parametrize(
    ("given", "added"),
    [
        ({"type": "web_search"}, [{"type": "web_search"}]),
        (({"type": "web_search"},), [{"type": "web_search"}]),
        ("web_search", ["web_search"]),
        (None, []),
    ],
)
def test_one_tool_of_the_server_need_not_stand_in_a_list(given: Any, added: list[Any]) -> None:
    sent = body(tools=(WEATHER,), provider_options={"openai": {"tools": given, "include": 1}})
    assert sent["tools"][1:] == added
    assert sent["include"] == 1
    request = ChatRequest((HI,), GenerateOptions(provider_options={"openai": {"include": 1}}))
    OpenAIResponsesDialect().decoder(request)


# --- the vendor's word -------------------------------------------------------------------------


@pytest.mark.row("PROV-31")
def test_the_vendor_accepts_all_of_it() -> None:
    asked = answer(reasoning("why", encrypted_content="gAA="), message("So"), call("weather"))
    bodies = [
        body(HI),
        body(SystemMessage("Be brief."), HI, SystemMessage("Now."), streaming=True),
        body(
            HumanMessage(["look", ImagePart(data=b"\x89PNG"), ImagePart(file_id="file_1")]),
            AIMessage(["one", "two"], refusal="No."),
            HumanMessage([FilePart(data=b"%PDF"), FilePart(url="https://example.org/a.pdf")]),
        ),
        body(
            HI,
            asked,
            ToolMessage(["chart", ImagePart(data=b"GIF8"), FilePart(data=b"%PDF")], "call_1"),
            tools=(WEATHER,),
            tool_choice="weather",
            parallel_tool_calls=False,
        ),
        body(
            temperature=0.5,
            top_p=0.5,
            max_tokens=99,
            user="u",
            top_logprobs=2,
            reasoning=ReasoningConfig("high"),
            response_format=ResponseFormat.json_schema(SCHEMA, description="Where."),
        ),
        body(HumanMessage("as json"), response_format=ResponseFormat.json()),
    ]
    assert request_problems("openai", "responses", bodies) == [[] for _ in bodies]

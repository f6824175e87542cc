"""Requests in chat-completions form."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from beluga_llm._capabilities import Capabilities
from beluga_llm._compatible import chat_quirks, openai_compatible
from beluga_llm._config import ProviderConfig
from beluga_llm._dialects.openai_chat import OpenAIChatDialect
from beluga_llm._dialects.openai_responses import OpenAIResponsesDialect
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._errors import AuthenticationError, ConfigError, ContextLengthError
from beluga_llm._http.dialect import HttpRequest
from beluga_llm._json import dumps, loads
from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._option_types import ReasoningConfig, ResponseFormat
from beluga_llm._options import GenerateOptions
from beluga_llm._parts import (
    AudioPart,
    ContentPart,
    FilePart,
    ImagePart,
    TextPart,
    ThinkingPart,
    UnknownPart,
    VideoPart,
)
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall, ToolDefinition

PNG = b"\x89PNG\r\n\x1a\n"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/City"}, "unit": {"enum": ["C", "F"]}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"City": {"type": "string", "description": "A city"}},
}
WEATHER = ToolDefinition("weather", "The weather in a city", SCHEMA)


def encoded(
    *messages: Message | str,
    provider: str = "openai",
    quirks: ChatQuirks | None = None,
    tools: tuple[ToolDefinition, ...] = (),
    streaming: bool = False,
    **options: Any,
) -> HttpRequest:
    said = tuple(HumanMessage(m) if isinstance(m, str) else m for m in messages or ("hi",))
    request = ChatRequest(said, GenerateOptions(model="m", **options), tools, streaming)
    return OpenAIChatDialect(provider, quirks=quirks).encode(request)


def body_of(*messages: Message | str, **more: Any) -> dict[str, Any]:
    return loads(dumps(encoded(*messages, **more).json))


def message_of(message: Message, **more: Any) -> dict[str, Any]:
    return body_of(message, **more)["messages"][0]


def noted(request: HttpRequest) -> list[tuple[str, str]]:
    return [(note.kind, note.name) for note in request.notes]


# --- the request as a whole ---------------------------------------------------------------------


def test_the_smallest_request() -> None:
    request = encoded("hi")
    assert request.path == "/chat/completions"
    assert request.json == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert request.notes == ()


@pytest.mark.row("PROV-01", "STRE-13")
def test_streams_ask_for_their_usage() -> None:
    body = body_of(streaming=True)
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


@pytest.mark.row("PROV-02")
@pytest.mark.parametrize("word", ["always", "never"])
def test_usage_is_not_asked_for_where_it_cannot_be(word: Any) -> None:
    body = body_of(streaming=True, quirks=ChatQuirks(stream_usage=word))
    assert "stream_options" not in body


@pytest.mark.row("OPTI-12")
def test_provider_options_go_over_the_body_of_their_provider() -> None:
    theirs = {"openai": {"store": True, "temperature": 1}, "groq": {"no": 1}}
    body = body_of(provider_options=theirs, temperature=0.5)
    assert body["store"] is True
    assert body["temperature"] == 1
    assert "no" not in body


# --- options ------------------------------------------------------------------------------------


@pytest.mark.row("OPTI-05")
def test_the_field_for_max_tokens() -> None:
    assert body_of(max_tokens=5)["max_completion_tokens"] == 5
    assert body_of(max_tokens=5, provider="other")["max_tokens"] == 5
    assert body_of(max_tokens=5, quirks=ChatQuirks(max_tokens_field="n_predict"))["n_predict"] == 5
    assert "max_completion_tokens" not in body_of()


@pytest.mark.row("OPTI-04", "OPTI-06", "OPTI-14", "OPTI-16", "OPTI-17", "OPTI-19", "OPTI-20")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0.0), ("top_p", 0.0), ("frequency_penalty", -2.0), ("user", "u1"),
        ("presence_penalty", 0.0), ("seed", 0), ("n", 2), ("logit_bias", {"50256": -100}),
    ],
)  # fmt: skip
def test_plain_options_are_sent_as_given(name: str, value: Any) -> None:
    assert body_of(**{name: value})[name] == value
    assert name not in body_of()


@pytest.mark.row("OPTI-15", "OPTI-27")
def test_what_the_server_lacks_is_noted_and_left_out() -> None:
    request = encoded(top_k=3)
    assert "top_k" not in request.json
    assert noted(request) == [("option", "top_k")]
    assert request.notes[0].text == "openai has no option 'top_k'"
    assert body_of(top_k=3, provider="other")["top_k"] == 3

    quirks = ChatQuirks(unsupported={"seed", "stop", "max_tokens"})
    request = encoded(quirks=quirks, seed=1, stop="x", max_tokens=1)
    assert set(request.json) == {"model", "messages"}
    assert {name for _, name in noted(request)} == {"seed", "stop", "max_tokens"}


def test_fields_may_have_other_names() -> None:
    assert (
        body_of(seed=1, quirks=ChatQuirks(option_names={"seed": "random_seed"}))["random_seed"] == 1
    )


@pytest.mark.row("OPTI-07")
def test_stop() -> None:
    assert body_of(stop="END")["stop"] == ["END"]
    assert body_of(stop=["a", "b"])["stop"] == ["a", "b"]
    assert "stop" not in body_of(stop=())


@pytest.mark.row("OPTI-18")
def test_top_logprobs_implies_logprobs() -> None:
    body = body_of(top_logprobs=3)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 3)
    assert body_of(logprobs=False)["logprobs"] is False


@pytest.mark.row("OPTI-08", "OPTI-09")
def test_response_formats() -> None:
    form = ResponseFormat.json_schema(SCHEMA, "city", description="a city")
    assert body_of(response_format=form)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "city", "strict": True, "schema": SCHEMA, "description": "a city"},
    }
    assert body_of(response_format=ResponseFormat.json())["response_format"] == {
        "type": "json_object"
    }
    assert "response_format" not in body_of(response_format=ResponseFormat.text())


@pytest.mark.row("OPTI-08", "OPTI-27")
def test_a_format_that_the_server_lacks() -> None:
    request = encoded(
        quirks=ChatQuirks(response_formats={"json_object"}),
        response_format=ResponseFormat.json_schema(SCHEMA),
    )
    assert "response_format" not in request.json
    assert noted(request) == [("option", "response_format")]


# --- reasoning ----------------------------------------------------------------------------------


@pytest.mark.row("REAS-01", "REAS-09")
@pytest.mark.parametrize("effort", ["none", "minimal", "high", "xhigh", "a word of tomorrow"])
def test_effort(effort: str) -> None:
    assert body_of(reasoning=ReasoningConfig(effort))["reasoning_effort"] == effort


@pytest.mark.row("REAS-09", "OPTI-27")
def test_a_budget_alone_is_unsupported() -> None:
    request = encoded(reasoning=ReasoningConfig(budget_tokens=100))
    assert set(request.json) == {"model", "messages"}
    assert noted(request) == [("option", "reasoning_budget")]


@pytest.mark.row("REAS-02")
def test_reasoning_as_an_object() -> None:
    quirks = ChatQuirks(reasoning_request="object")
    body = body_of(quirks=quirks, reasoning=ReasoningConfig("low", include=False))
    assert body["reasoning"] == {"effort": "low", "exclude": True}
    both = encoded(quirks=quirks, reasoning=ReasoningConfig("low", 2000))
    assert both.json["reasoning"] == {"max_tokens": 2000}  # one of them, and the exact one
    assert noted(both) == [("option", "reasoning_effort")]
    assert "reasoning" not in body_of(quirks=quirks, reasoning=ReasoningConfig())


def test_a_server_without_effort() -> None:
    for quirks in (ChatQuirks(reasoning_request=""), ChatQuirks(unsupported="reasoning_effort")):
        request = encoded(quirks=quirks, reasoning=ReasoningConfig("low"))
        assert set(request.json) == {"model", "messages"}
        assert noted(request) == [("option", "reasoning_effort")]


def thought(*parts: Any, **more: Any) -> AIMessage:
    return AIMessage((*parts, TextPart("4")), **more)


@pytest.mark.row("REAS-12")
@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_text_is_sent_back_only_where_it_is_wanted(name: str) -> None:
    message = thought(ThinkingPart("two and "), ThinkingPart("two"))
    sent = message_of(message, quirks=ChatQuirks(replay_reasoning_field=name))
    assert sent == {"role": "assistant", "content": "4", name: "two and two"}
    assert message_of(message) == {"role": "assistant", "content": "4"}


def test_reasoning_as_items_of_the_content() -> None:
    message = thought(ThinkingPart("two and two"))
    assert message_of(message, quirks=ChatQuirks(replay_reasoning_field="content")) == {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "two and two"}]},
            {"type": "text", "text": "4"},
        ],
    }


@pytest.mark.row("REAS-14")
def test_reasoning_without_a_signature_is_a_detail_too() -> None:
    quirks = ChatQuirks(replay_reasoning_field="reasoning_details")
    message = AIMessage([ThinkingPart("hm"), TextPart("4")])
    assert message_of(message, provider="router", quirks=quirks)["reasoning_details"] == [
        {"type": "reasoning.text", "text": "hm", "index": 0}
    ]


def test_empty_texts_of_a_system_message_are_left_out() -> None:
    message = SystemMessage([TextPart(""), TextPart("Be brief.")])
    assert message_of(message)["content"] == "Be brief."


def test_reasoning_details_are_made_of_parts_where_they_were_not_kept() -> None:
    message = thought(
        ThinkingPart("two", "sig=", provider="router", id="r1"),
        ThinkingPart("", None, "enc==", provider="router"),
    )
    quirks = ChatQuirks(replay_reasoning_field="reasoning_details")
    sent = message_of(message, provider="router", quirks=quirks)["reasoning_details"]
    assert sent == [
        {"type": "reasoning.text", "text": "two", "signature": "sig=", "id": "r1", "index": 0},
        {"type": "reasoning.encrypted", "data": "enc==", "index": 1},
    ]


@pytest.mark.row("REAS-14")
def test_stored_details_are_not_sent_for_parts_that_are_gone() -> None:
    details = [{"type": "reasoning.text", "text": "two", "signature": "s", "index": 0}]
    metadata = {"reasoning_details": details}
    whole = thought(ThinkingPart("two", "s", provider="router"), provider_metadata=metadata)
    assert message_of(whole, provider="router")["reasoning_details"] == details
    without = thought(provider_metadata=metadata)
    assert "reasoning_details" not in message_of(without, provider="router")


@pytest.mark.row("REAS-15")
def test_foreign_signatures_stay_at_home() -> None:
    message = AIMessage(
        [ThinkingPart("hm", "sig", provider="anthropic"), TextPart("4", "s2", "google")],
        tool_calls=[ToolCall("c1", "weather", {}, "s3", "google")],
    )
    request = encoded(message, ToolMessage("ok", tool_call_id="c1"))
    assert "sig" not in str(request.json)
    assert request.json["messages"][0]["content"] == "4"
    assert sorted(noted(request)) == [("signature", "anthropic"), ("signature", "google")]


# --- messages -----------------------------------------------------------------------------------


@pytest.mark.row("PROV-18")
def test_system_messages_keep_their_places() -> None:
    conversation = (SystemMessage("a"), HumanMessage("hi"), SystemMessage("b"))
    assert [m["role"] for m in body_of(*conversation)["messages"]] == ["system", "user", "system"]
    assert body_of(*conversation, quirks=ChatQuirks(merge_system=True))["messages"] == [
        {"role": "system", "content": "a\n\nb"},
        {"role": "user", "content": "hi"},
    ]
    assert message_of(SystemMessage("a"), quirks=ChatQuirks(system_role="developer")) == {
        "role": "developer",
        "content": "a",
    }


def test_several_texts_stay_several() -> None:
    texts = ["a", "", "b"]
    items = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert message_of(HumanMessage(texts))["content"] == items
    assert message_of(HumanMessage(texts), quirks=ChatQuirks(text_lists=False))["content"] == "ab"
    assert message_of(HumanMessage(""))["content"] == ""


@pytest.mark.row("SCHE-28")
def test_names() -> None:
    assert message_of(HumanMessage("hi", name="ann"))["name"] == "ann"
    assert message_of(AIMessage("hi", name="bot"))["name"] == "bot"
    assert "name" not in message_of(HumanMessage("hi", name="ann"), quirks=ChatQuirks(names=False))


@pytest.mark.row("SCHE-16", "TOOL-14")
@pytest.mark.parametrize("id", ["call_1", "functions.add:0", "x" * 46, "é/ 1"])
def test_calls_and_results(id: str) -> None:
    calls = [ToolCall(id, "weather", '{"city": "Rome"}')]
    conversation = (AIMessage((), tool_calls=calls), ToolMessage("20 C", tool_call_id=id))
    assert body_of(*conversation)["messages"] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": id,
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": id, "content": "20 C"},
    ]


def test_text_beside_calls() -> None:
    sent = message_of(AIMessage("let me see", tool_calls=[ToolCall("1", "f")]))
    assert sent["content"] == "let me see"
    assert sent["tool_calls"][0]["function"]["arguments"] == "{}"


def test_results_may_carry_the_tools_name() -> None:
    result = ToolMessage("ok", tool_call_id="1", name="weather")
    assert "name" not in message_of(result)
    assert message_of(result, quirks=ChatQuirks(tool_result_names=True))["name"] == "weather"


@pytest.mark.row("SCHE-33")
def test_a_refusal_is_sent_back() -> None:
    message = AIMessage((), refusal="I cannot")
    assert message_of(message) == {"role": "assistant", "content": None, "refusal": "I cannot"}
    assert message_of(message, provider="other") == {"role": "assistant", "content": "I cannot"}


def test_an_empty_answer_is_an_empty_text() -> None:
    assert message_of(AIMessage(())) == {"role": "assistant", "content": ""}


# --- parts --------------------------------------------------------------------------------------


@pytest.mark.row("PROV-17", "SCHE-09")
def test_images() -> None:
    parts = ["look", ImagePart(PNG, detail="low"), ImagePart(url="https://x/a.jpg")]
    assert message_of(HumanMessage(parts))["content"] == [
        {"type": "text", "text": "look"},
        {
            "type": "image_url",
            "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
        },
        {"type": "image_url", "image_url": {"url": "https://x/a.jpg"}},
    ]


@pytest.mark.row("SCHE-10")
def test_audio() -> None:
    assert message_of(HumanMessage(AudioPart(b"abc", format="mp3")))["content"] == [
        {"type": "input_audio", "input_audio": {"data": "YWJj", "format": "mp3"}}
    ]


@pytest.mark.row("SCHE-12")
def test_files() -> None:
    parts = [FilePart(b"abc"), FilePart(b"abc", name="a.txt", mime_type="text/plain")]
    parts.append(FilePart(file_id="file-1"))
    assert message_of(HumanMessage(parts))["content"] == [
        {
            "type": "file",
            "file": {
                "filename": "document.pdf",
                "file_data": "data:application/pdf;base64,YWJj",
            },
        },
        {
            "type": "file",
            "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,YWJj"},
        },
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    by_url = HumanMessage(FilePart(url="https://x/a.pdf", name="a.pdf"))
    sent = message_of(by_url, quirks=ChatQuirks(file_urls=True))["content"]
    assert sent == [{"type": "file", "file": {"filename": "a.pdf", "file_data": "https://x/a.pdf"}}]


@pytest.mark.row("SCHE-11", "SCHE-15")
@pytest.mark.parametrize(
    "part",
    [
        VideoPart(b"x"), AudioPart(url="https://x/a.wav"), AudioPart(b"x", format="flac"),
        ImagePart(file_id="f"), FilePart(url="https://x/a.pdf"), UnknownPart("hologram"),
    ],
)  # fmt: skip
def test_parts_that_cannot_be_sent_are_noted(part: Any) -> None:
    request = encoded(HumanMessage(["hi", part]))
    assert request.json["messages"][0]["content"] == "hi"
    assert noted(request) == [("content", part.type)]


@pytest.mark.row("SCHE-15", "PROV-17")
@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (ImagePart(PNG), True),
        (ImagePart(url="data:image/png;base64,YWJj"), True),
        (ImagePart(url="https://x/a.png"), False),
        (AudioPart(b"x", format="wav"), False),
    ],
)
def test_parts_that_a_server_refuses_are_noted(part: Any, *, sent: bool) -> None:
    quirks = ChatQuirks(unsupported_parts=("image_url", "audio"))
    request = encoded(HumanMessage(["hi", part]), quirks=quirks)
    content = request.json["messages"][0]["content"]
    assert (content != "hi") is sent
    assert noted(request) == ([] if sent else [("content", part.type)])


@pytest.mark.row("SCHE-15", "SCHE-17")
@pytest.mark.parametrize(
    "message",
    [
        SystemMessage(["hi", ImagePart(PNG)]),
        AIMessage(["hi", ImagePart(PNG)]),
        ToolMessage(["hi", ImagePart(PNG)], tool_call_id="1"),
    ],
)
def test_only_users_may_send_images(message: Message) -> None:
    request = encoded(message)
    assert request.json["messages"][0]["content"] == "hi"
    assert noted(request) == [("content", "image")]


def test_hints_are_sent_where_the_server_knows_them() -> None:
    hint = {"cache_control": {"type": "ephemeral"}, "mine": 1}
    message = HumanMessage(TextPart("long", metadata=hint))
    tool = ToolDefinition("f", metadata=hint)
    assert message_of(message)["content"] == "long"
    body = body_of(message, tools=(tool,), quirks=ChatQuirks(part_hints="cache_control"))
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    ]
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral"}


# --- tools --------------------------------------------------------------------------------------


@pytest.mark.row("TOOL-22", "SCHE-18")
def test_tools_arrive_whole() -> None:
    body = body_of(tools=(WEATHER, ToolDefinition("now", strict=False)))
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "The weather in a city",
                "parameters": SCHEMA,
            },
        },
        {
            "type": "function",
            "function": {
                "name": "now",
                "parameters": {"type": "object", "properties": {}},
                "strict": False,
            },
        },
    ]
    assert "tool_choice" not in body
    strict = body_of(
        tools=(ToolDefinition("f", strict=True),), quirks=ChatQuirks(strict_tools=False)
    )
    assert "strict" not in strict["tools"][0]["function"]


@pytest.mark.row("OPTI-10", "PROV-33")
def test_tool_choice() -> None:
    def choice(word: str, quirks: ChatQuirks | None = None) -> Any:
        return body_of(tools=(WEATHER,), tool_choice=word, quirks=quirks).get("tool_choice")

    assert [choice(word) for word in ("auto", "none", "required")] == ["auto", "none", "required"]
    assert choice("weather") == {"type": "function", "function": {"name": "weather"}}
    assert choice("required", ChatQuirks(tool_choice_required="any")) == "any"
    assert "tool_choice" not in body_of(tool_choice="required")


@pytest.mark.row("PROV-33", "OPTI-27")
@pytest.mark.parametrize(
    ("word", "quirks"),
    [
        ("required", ChatQuirks(tool_choice_required="")),
        ("weather", ChatQuirks(tool_choice_named=False)),
        ("auto", ChatQuirks(unsupported={"tool_choice"})),
    ],
)
def test_tool_choices_that_the_server_lacks(word: str, quirks: ChatQuirks) -> None:
    request = encoded(tools=(WEATHER,), tool_choice=word, quirks=quirks)
    assert "tool_choice" not in request.json
    assert noted(request) == [("option", "tool_choice")]


@pytest.mark.row("OPTI-22")
def test_parallel_tool_calls() -> None:
    assert body_of(tools=(WEATHER,), parallel_tool_calls=False)["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in body_of(parallel_tool_calls=False)


# --- the provider `openai-compatible` -------------------------------------------------------------


def config(**options: Any) -> ProviderConfig:
    return ProviderConfig(
        provider="openai-compatible", model="m", base_url="http://localhost/v1", options=options
    )


@pytest.mark.row("PROV-02", "PROV-28")
def test_any_server() -> None:
    model = openai_compatible(config())
    assert model.provider == "openai-compatible"
    assert isinstance(model.dialect, OpenAIChatDialect)
    assert model.capabilities == Capabilities()
    assert isinstance(openai_compatible(config(api="responses")).dialect, OpenAIResponsesDialect)


def test_address_and_model_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_COMPATIBLE_BASE_URL", raising=False)
    with pytest.raises(ConfigError, match="model is required; base_url is required"):
        openai_compatible(ProviderConfig())


@pytest.mark.row("PROV-02")
def test_quirks_are_options() -> None:
    quirks = chat_quirks(
        config(
            quirks={"system_role": "developer", "merge_system": True},
            unsupported=["seed"],
            merge_system=False,
            error_patterns={"too big": "ContextLengthError"},
        )
    )
    assert quirks == ChatQuirks(
        system_role="developer",
        unsupported={"seed"},
        error_patterns=(("too big", ContextLengthError),),
    )
    given = ChatQuirks(stream_usage="never")
    assert chat_quirks(config(quirks=given)) == given


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"quirks": {"sistem_role": "x"}}, "unknown quirk 'sistem_role'"),
        ({"stream_usage": "perhaps"}, "option 'stream_usage' must be 'ask'"),
        ({"merge_system": "yes"}, "option 'merge_system' must be bool"),
        ({"error_patterns": {"x": "Nothing"}}, "'Nothing' is not the name of an error class"),
        ({"quirks": {"stream_usage": "x"}}, "quirk 'stream_usage'"),
        ({"quirks": {"error_codes": {"x": AuthenticationError, "y": 1}}}, "1 is not the name"),
        ({"error_patterns": {"(": "RateLimitError"}}, r"'\(' is no regular expression"),
        ({"finish_reasons": {"done": "finished"}}, "'finished' is not a valid FinishReason"),
    ],
)
def test_wrong_quirks_are_config_errors(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        openai_compatible(config(**options))


def test_what_quirks_say_of_models() -> None:
    quirks = ChatQuirks(
        unsupported={"seed", "n"},
        response_formats=(),
        stream_usage="never",
        capabilities=Capabilities(tools=True),
    )
    assert OpenAIChatDialect("x", quirks=quirks).capabilities("m") == Capabilities(
        seed=False, n=False, json_object=False, json_schema=False, stream_usage=False, tools=True
    )


@pytest.mark.row("PROV-02")
def test_a_vendor_may_have_its_own_form_for_a_part() -> None:
    class Dialect(OpenAIChatDialect):
        def content_item(self, part: ContentPart) -> dict[str, Any] | None:
            return {"type": "document", "id": part.file_id} if isinstance(part, FilePart) else None

    parts = [TextPart("Look:", metadata={"mark": 1}), FilePart(file_id="f", metadata={"mark": 2})]
    dialect = Dialect("x", quirks=ChatQuirks(part_hints=("mark",)))
    made = dialect.encode(ChatRequest((HumanMessage(parts),), GenerateOptions(model="m"))).json
    assert made["messages"][0]["content"] == [
        {"type": "text", "text": "Look:", "mark": 1},
        {"type": "document", "id": "f", "mark": 2},
    ]


# --- what is kept of a request --------------------------------------------------------------------


class Changing(OpenAIChatDialect):
    """A vendor that changes what it was given, in place."""

    def encode(self, request: ChatRequest) -> HttpRequest:
        made = super().encode(request)
        made.json["tools"].append({"type": "web_search"})
        made.json["tools"][0]["function"]["description"] += "!"
        made.json["stream_options"]["more"] = True
        return made

    def finish_body(self, body: dict[str, Any]) -> dict[str, Any]:
        body["stop"].append("END")
        return body


def test_a_vendor_may_change_a_body_in_place():
    options = GenerateOptions(model="m", stop=("x",))
    request = ChatRequest((HumanMessage("hi"),), options, (WEATHER,), streaming=True)
    dialect = Changing("openai")
    first, second = (loads(dumps(dialect.encode(request).json)) for _ in range(2))
    assert first == second
    assert first["stop"] == ["x", "END"]
    assert len(first["tools"]) == 2


def test_a_copy_of_a_dialect_does_not_mistake_options_for_others():
    options = GenerateOptions(model="m", temperature=0.5)
    request = ChatRequest((HumanMessage("hi"),), options)
    dialect = OpenAIChatDialect("openai")
    dialect.encode(request)
    other = copy.deepcopy(dialect)
    (key,) = dialect._kept
    assert other._kept[key].options is not options  # another object may get this id one day
    foreign = dict(other._kept)
    other._kept[key] = foreign[key]._replace(fields={"temperature": 2.0})
    assert other.encode(request).json["temperature"] == 0.5

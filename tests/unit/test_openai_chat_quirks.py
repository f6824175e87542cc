"""Quirks that a few servers have: how they are asked to reason, and models that differ."""

from __future__ import annotations

from typing import Any

import pytest
from support.corpus import decode_bytes

from beluga_llm._capabilities import Capabilities
from beluga_llm._compatible import chat_quirks
from beluga_llm._config import ProviderConfig
from beluga_llm._dialects.openai_chat import OpenAIChatDialect
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._errors import ConfigError
from beluga_llm._http.dialect import HttpRequest
from beluga_llm._messages import AIMessage, HumanMessage
from beluga_llm._option_types import ReasoningConfig
from beluga_llm._options import GenerateOptions
from beluga_llm._parts import TextPart, ThinkingPart
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall, ToolDefinition

TOOL = ToolDefinition("f", "")


def encoded(
    quirks: ChatQuirks, *tools: ToolDefinition, model: str = "m", **options: Any
) -> HttpRequest:
    request = ChatRequest(
        (HumanMessage("hi"),), GenerateOptions(model=model, **options), tools, False
    )
    return OpenAIChatDialect("acme", quirks=quirks).encode(request)


def asked(quirks: ChatQuirks, *reasoning: Any, **more: Any) -> tuple[dict[str, Any], list[str]]:
    """The fields that ask for reasoning, and the options that are noted."""
    request = encoded(quirks, reasoning=ReasoningConfig(*reasoning, **more))
    fields = {
        name: request.json[name] for name in request.json if name not in ("model", "messages")
    }
    return fields, [note.name for note in request.notes]


# --- reasoning ------------------------------------------------------------------------------------

SWITCH = ChatQuirks(
    reasoning_request="",
    reasoning_on={"enable_thinking": True},
    reasoning_off={"enable_thinking": False},
    reasoning_budget={"enable_thinking": True, "thinking_budget": None},
)
BOTH = ChatQuirks(
    reasoning_on={"thinking": {"type": "enabled"}},
    reasoning_off={"thinking": {"type": "disabled"}},
    reasoning_budget={"thinking": {"budget_tokens": None}},
    reasoning_hidden={"thinking": {"show": False}, "quiet": True},
)
WORDS = ChatQuirks(reasoning_efforts={"none": "", "minimal": "low", "max": "high"})


@pytest.mark.row("REAS-01", "REAS-02", "OPTI-27")
@pytest.mark.parametrize(
    ("quirks", "reasoning", "fields", "notes"),
    [
        (SWITCH, ("high",), {"enable_thinking": True}, []),
        (SWITCH, ("none",), {"enable_thinking": False}, []),
        (SWITCH, (None, 100), {"enable_thinking": True, "thinking_budget": 100}, []),
        (BOTH, ("low",), {"thinking": {"type": "enabled"}, "reasoning_effort": "low"}, []),
        (BOTH, ("none",), {"thinking": {"type": "disabled"}}, []),
        (
            BOTH,
            ("low", 9),
            {"thinking": {"type": "enabled", "budget_tokens": 9}, "reasoning_effort": "low"},
            [],
        ),
        (WORDS, ("minimal",), {"reasoning_effort": "low"}, []),
        (WORDS, ("max",), {"reasoning_effort": "high"}, []),
        (WORDS, ("medium",), {"reasoning_effort": "medium"}, []),
        (WORDS, ("brand-new",), {"reasoning_effort": "brand-new"}, []),
        (WORDS, ("none",), {}, ["reasoning_effort"]),
        (ChatQuirks(), ("none",), {"reasoning_effort": "none"}, []),
        (ChatQuirks(), (None, 100), {}, ["reasoning_budget"]),
        (ChatQuirks(reasoning_request=""), ("none",), {}, ["reasoning_effort"]),
        (
            ChatQuirks(reasoning_on={"think": True}, unsupported="reasoning_effort"),
            ("low",),
            {"think": True},
            [],
        ),
    ],
)
def test_how_reasoning_is_asked_for(
    quirks: ChatQuirks, reasoning: Any, fields: Any, notes: Any
) -> None:
    assert asked(quirks, *reasoning) == (fields, notes)


@pytest.mark.row("REAS-02")
def test_reasoning_that_is_kept_out_of_the_answer() -> None:
    assert asked(BOTH, include=False) == ({"thinking": {"show": False}, "quiet": True}, [])
    fields, _ = asked(BOTH, "low", include=False)
    assert fields["thinking"] == {"type": "enabled", "show": False}
    assert asked(ChatQuirks(), include=False) == ({}, [])


def test_an_effort_that_the_server_lacks_is_named() -> None:
    note = next(iter(encoded(WORDS, reasoning=ReasoningConfig("none")).notes))
    assert note.text == "acme has no reasoning effort 'none'"


@pytest.mark.row("REAS-12", "REAS-14")
def test_a_field_of_reasoning_that_must_stand_beside_calls() -> None:
    call = ToolCall("c", "f", "{}")

    def sent(stand_in: str | None, message: AIMessage, name: str = "reasoning_content") -> Any:
        quirks = ChatQuirks(replay_reasoning_field=name, replay_reasoning_empty=stand_in)
        request = ChatRequest((message,), GenerateOptions(model="m"))
        body = OpenAIChatDialect("acme", quirks=quirks).encode(request).json
        return body["messages"][0].get("reasoning_content", "absent")

    silent, foreign = AIMessage(tool_calls=(call,)), ThinkingPart("hm", "sig", provider="other")
    assert sent("", silent) == ""
    assert sent(" ", silent) == " "
    assert sent(None, silent) == "absent"
    assert sent(" ", AIMessage([ThinkingPart("hm")], tool_calls=(call,))) == "hm"
    assert sent(" ", AIMessage([foreign], tool_calls=(call,))) == " "
    assert sent("", AIMessage("no calls")) == "absent"
    assert sent("", AIMessage([ThinkingPart(""), TextPart("x")])) == "absent"
    assert sent("", silent, "reasoning_details") == "absent"


@pytest.mark.row("REAS-12", "REAS-14", "REAS-15")
def test_signed_reasoning_as_items_with_a_summary() -> None:
    thoughts = [ThinkingPart("two", "c2ln", provider="acme"), ThinkingPart("hm")]
    foreign = ThinkingPart("no", "sig", provider="other")
    message = AIMessage([*thoughts, foreign, TextPart("4")])
    quirks = ChatQuirks(replay_reasoning_field="summary")
    request = ChatRequest((message,), GenerateOptions(model="m"))
    assert OpenAIChatDialect("acme", quirks=quirks).encode(request).json["messages"] == [
        {
            "role": "assistant",
            "content": [
                {
                    "type": "reasoning",
                    "summary": [{"type": "summary_text", "text": "two", "signature": "c2ln"}],
                },
                {"type": "text", "text": "4"},
            ],
        }
    ]


# --- options --------------------------------------------------------------------------------------


@pytest.mark.row("OPTI-27")
def test_tools_that_the_server_lacks() -> None:
    request = encoded(ChatQuirks(unsupported="tools"), TOOL, tool_choice="auto")
    assert request.json.keys() == {"model", "messages"}
    assert [note.name for note in request.notes] == ["tools"]
    assert encoded(ChatQuirks(unsupported="tools")).notes == ()


@pytest.mark.row("OPTI-27")
def test_a_value_that_asks_for_nothing_is_no_loss() -> None:
    nothing = {"n": 1, "logprobs": False, "frequency_penalty": 0.0, "temperature": 1.0}
    request = encoded(ChatQuirks(unsupported=nothing), **nothing)
    assert request.notes == ()
    assert request.json.keys() == {"model", "messages"}
    request = encoded(ChatQuirks(unsupported=nothing), n=2, logprobs=True, temperature=0.0)
    assert {note.name for note in request.notes} == {"n", "logprobs", "temperature"}
    assert encoded(ChatQuirks(), n=1, logprobs=False).json["n"] == 1


@pytest.mark.row("OPTI-18")
@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"logprobs": True}, 1),
        ({"logprobs": True, "top_logprobs": 3}, 3),
        ({"top_logprobs": 5}, 5),
        ({"logprobs": False}, 0),
    ],
)
def test_log_probabilities_as_a_number(options: dict[str, Any], sent: int) -> None:
    body = encoded(ChatQuirks(logprobs_count=True), **options).json
    assert body["logprobs"] == sent
    assert not isinstance(body["logprobs"], bool)
    assert "top_logprobs" not in body
    assert "logprobs" not in encoded(ChatQuirks(logprobs_count=True)).json


# --- models that differ ---------------------------------------------------------------------------

FAMILIES = ChatQuirks(
    unsupported="seed",
    capabilities=Capabilities(streaming=True),
    models={
        "big": {"unsupported": "stop", "capabilities": {"reasoning": True}},
        "big-2": {"max_tokens_field": "max_out", "unsupported_parts": ("image",)},
    },
)


@pytest.mark.row("PROV-02", "PROV-25")
def test_models_may_differ() -> None:
    def names(model: str) -> list[str]:
        request = encoded(FAMILIES, model=model, seed=1, stop="x", max_tokens=5)
        return [note.name for note in request.notes] + [k for k in request.json if "max" in k]

    assert names("small") == ["seed", "max_tokens"]
    assert names("big-1") == ["stop", "seed", "max_tokens"]
    assert names("big-2-mini") == ["seed", "max_out"]  # the longest beginning counts, alone


@pytest.mark.row("CHAT-19", "PROV-25")
def test_what_is_known_of_a_model() -> None:
    dialect = OpenAIChatDialect("acme", quirks=FAMILIES)
    assert dialect.capabilities("big-1") == Capabilities(seed=False, reasoning=True, streaming=True)
    assert dialect.capabilities("big-2") == Capabilities(seed=False, images=False, streaming=True)
    assert dialect.capabilities("other") == Capabilities(seed=False, streaming=True)
    assert dialect.capabilities("big-1") == dialect.capabilities("big-1")


def test_a_model_is_read_by_its_own_quirks() -> None:
    quirks = ChatQuirks(models={"odd": {"finish_reasons": {"done": "stop"}}})
    body = b'{"choices": [{"message": {"content": "x"}, "finish_reason": "done"}]}'
    for model, reason in (("odd-1", "stop"), ("even", "other")):
        got = decode_bytes(
            OpenAIChatDialect("acme", quirks=quirks), body, stream=False, model=model
        )
        assert isinstance(got, AIMessage)
        assert got.finish_reason == reason


class Shouting(OpenAIChatDialect):
    def finish_body(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "model": body["model"].upper()}


def test_a_subclass_keeps_what_it_overrides() -> None:
    request = ChatRequest((HumanMessage("hi"),), GenerateOptions(model="big-1", stop="x"))
    sent = Shouting("acme", quirks=FAMILIES).encode(request)
    assert sent.json["model"] == "BIG-1"
    assert [note.name for note in sent.notes] == ["stop"]


@pytest.mark.row("CHAT-19", "PROV-33")
@pytest.mark.parametrize(
    ("quirks", "choices"),
    [
        (ChatQuirks(), None),
        (ChatQuirks(tool_choice_required=""), {"auto", "none", "named"}),
        (ChatQuirks(tool_choice_named=False), {"auto", "none", "required"}),
        (ChatQuirks(unsupported="tool_choice"), set()),
    ],
)
def test_which_choices_of_tools_there_are(quirks: ChatQuirks, choices: Any) -> None:
    assert OpenAIChatDialect("acme", quirks=quirks).capabilities("m").tool_choice == choices


@pytest.mark.row("CHAT-19")
def test_what_the_server_lacks_is_known() -> None:
    quirks = ChatQuirks(unsupported="tools", unsupported_parts=("image", "audio", "file"))
    assert OpenAIChatDialect("acme", quirks=quirks).capabilities("m") == Capabilities(
        tools=False, images=False, audio=False, files=False
    )


@pytest.mark.row("PROV-02", "REGI-12")
@pytest.mark.parametrize(
    ("models", "text"),
    [
        ({"x": {"error_codes": {}}}, "models cannot change error_codes"),
        ({"x": {"colour": 1}}, "models cannot change colour"),
        ({"x": {"stream_usage": "sometimes"}}, "stream_usage"),
        ({"x": {"capabilities": {"flying": True}}}, "unknown capabilities: flying"),
        ({"x": 5}, "expected a mapping"),
    ],
)
def test_wrong_differences_are_config_errors(models: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        chat_quirks(ProviderConfig(provider="acme", options={"models": models}))
    given = chat_quirks(
        ProviderConfig(provider="acme", options={"models": {"x": {"names": False}}})
    )
    assert given.of_family("x").names is False

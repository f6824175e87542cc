"""What is known of the models, and what they are spared."""

from __future__ import annotations

import pytest

from beluga_llm import ChatRequest, GenerateOptions, HumanMessage, ReasoningConfig
from beluga_llm_openai import ChatDialect, ResponsesDialect
from beluga_llm_openai._models import WHILE_REASONING, model_facts

SAMPLING = {
    "temperature": 0.2,
    "top_p": 0.9,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "logit_bias": {"1": 2},
    "logprobs": True,
    "top_logprobs": 2,
}


def encode(dialect, **options):
    effort = options.pop("effort", None)
    if effort is not None:
        options["reasoning"] = ReasoningConfig(effort)
    return dialect.encode(ChatRequest((HumanMessage("hi"),), GenerateOptions(**options)))


def noted(dialect, **options):
    return {note.name for note in encode(dialect, **options).notes}


@pytest.mark.row("OPTI-27", "PROV-25")
@pytest.mark.parametrize(
    ("model", "effort", "reasons"),
    [
        ("gpt-4o-mini", None, False),
        ("gpt-4.1-2025-04-14", None, False),
        ("ft:gpt-4o-mini-2024-07-18:acme::1", None, False),
        ("gpt-5-chat-latest", None, False),
        ("o1", None, True),
        ("o3-pro-2025-06-10", None, True),
        ("o4-mini", "low", True),
        ("gpt-5", None, True),
        ("gpt-5-nano", "minimal", True),
        ("gpt-5.1", None, False),
        ("gpt-5.1", "none", False),
        ("gpt-5.1", "low", True),
        ("gpt-5.1-codex-max", None, True),
        ("gpt-5.2-chat-latest", None, True),
        ("gpt-5.4-mini", None, False),
        ("gpt-5.4-pro", None, True),
        ("gpt-5.6-luna", None, True),
        ("gpt-5.5", "none", False),
        ("gpt-6-luna", None, True),
        ("gpt-6-sol", "none", False),
        ("gpt-6-astra", "low", True),
        ("gpt-6.1-sol", None, True),
        ("gpt-6.1-terra", "none", False),
        ("gpt-6.2-astra", None, True),
        ("gpt-7", None, False),
        ("some/other-model", None, False),
    ],
)
def test_sampling_is_refused_while_a_model_reasons(model, effort, reasons):
    found = noted(ChatDialect(), model=model, effort=effort, **SAMPLING)
    assert found == (set(SAMPLING) if reasons else set())


@pytest.mark.row("OPTI-27")
@pytest.mark.parametrize("dialect", [ChatDialect(), ResponsesDialect()])
def test_values_that_ask_for_nothing_are_left_out_in_silence(dialect):
    nothing = {name: value for name, value in WHILE_REASONING.items() if value is not None}
    sent = encode(dialect, model="gpt-5", **nothing)
    names = {note.name for note in sent.notes}
    assert not names & WHILE_REASONING.keys()
    assert not sent.json.keys() & WHILE_REASONING.keys()


@pytest.mark.row("OPTI-07", "OPTI-27")
def test_stop():
    assert noted(ChatDialect(), model="gpt-5.4-mini", stop="x") == {"stop"}
    assert noted(ChatDialect(), model="gpt-4o", stop="x") == set()
    assert noted(ResponsesDialect(), model="gpt-4o", stop="x") == {"stop"}
    assert noted(ResponsesDialect(), model="gpt-5", stop="x") == {"stop"}
    assert encode(ChatDialect(), model="gpt-4o", stop="x").json["stop"] == ["x"]


@pytest.mark.row("REAS-09", "OPTI-27")
@pytest.mark.parametrize("dialect", [ChatDialect(), ResponsesDialect()])
def test_effort_is_nothing_for_models_that_do_not_reason(dialect):
    sent = encode(dialect, model="gpt-4o", effort="high")
    assert {note.name for note in sent.notes} == {"reasoning_effort"}
    assert not {"reasoning", "reasoning_effort", "include"} & sent.json.keys()
    assert noted(dialect, model="gpt-5", effort="high") == set()


@pytest.mark.row("CHAT-19", "PROV-25")
def test_capabilities():
    known = ChatDialect().capabilities("gpt-4o-mini")
    assert (known.images, known.json_schema, known.reasoning, known.n) == (True, True, False, True)
    assert known.tool_choice == {"auto", "none", "required", "named"}
    assert ChatDialect().capabilities("gpt-4o-audio-preview").audio is True
    assert ChatDialect().capabilities("gpt-3.5-turbo").json_schema is False
    responses = ResponsesDialect().capabilities("gpt-5")
    assert (responses.reasoning, responses.n, responses.seed) == (True, False, False)
    assert ChatDialect().capabilities("unheard-of").tools is None
    assert model_facts("gpt-5.9").reasons is None
    assert model_facts("o10").reasons is None


@pytest.mark.row("PROV-31")
def test_encrypted_reasoning_is_asked_of_whoever_may_reason():
    asked = ["reasoning.encrypted_content"]
    assert encode(ResponsesDialect(), model="gpt-5").json["include"] == asked
    assert encode(ResponsesDialect(), model="unheard-of").json["include"] == asked
    assert "include" not in encode(ResponsesDialect(), model="gpt-4.1").json

"""Effort, budget, and the limit on output tokens."""

from __future__ import annotations

import pytest

from beluga_llm import InvalidRequestError, ReasoningConfig, ToolDefinition
from beluga_llm.plugin import Notes
from beluga_llm_anthropic._models import ModelFacts
from beluga_llm_anthropic._thinking import plan_thinking

OPUS = "claude-opus-4-6"
NEW = "claude-opus-5"


def reason(effort=None, budget=None, include=True):
    return ReasoningConfig(effort, budget, include)


@pytest.mark.row("REAS-10", "REAS-01")
@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        (NEW, "minimal", "low"),
        (NEW, "low", "low"),
        (NEW, "xhigh", "xhigh"),
        (NEW, "max", "max"),
        (OPUS, "xhigh", "high"),
        (OPUS, "max", "max"),
        (NEW, "extreme", "extreme"),
        ("claude-opus-9", "high", "high"),
        ("tiny-chat", "high", "high"),
    ],
)
def test_adaptive_models_get_an_effort(body, model, effort, sent):
    found = body(model=model, reasoning=reason(effort))
    assert found["thinking"] == {"type": "adaptive"}
    assert found["output_config"] == {"effort": sent}


@pytest.mark.row("REAS-10", "REAS-17")
@pytest.mark.parametrize(
    ("effort", "budget"),
    [
        ("minimal", 1024),
        ("low", 2048),
        ("medium", 8192),
        ("high", 16_384),
        ("xhigh", 32_768),
        ("max", 32_768),
    ],
)
def test_budget_models_get_a_budget(body, effort, budget):
    found = body(reasoning=reason(effort))
    assert found["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert found["max_tokens"] == budget + 4096
    assert "output_config" not in found


def test_a_budget_from_an_effort_leaves_room_in_the_models_limit(body):
    found = body(model="claude-opus-4-1", reasoning=reason("max"))
    assert found["thinking"]["budget_tokens"] == 32_000 - 4096
    assert found["max_tokens"] == 32_000


def test_a_budget_from_an_effort_where_the_limit_is_unknown():
    facts = ModelFacts(thinking="budget", efforts=())
    assert plan_thinking(reason("max"), facts, Notes("anthropic")).budget == 32_768


@pytest.mark.row("REAS-17")
def test_a_budget_is_sent_and_leaves_room_for_the_answer(body):
    found = body(reasoning=reason(budget=5000))
    assert found["thinking"] == {"type": "enabled", "budget_tokens": 5000}
    assert found["max_tokens"] == 9096
    assert body(reasoning=reason(budget=5000), max_tokens=5001)["max_tokens"] == 5001


@pytest.mark.row("REAS-17")
def test_a_limit_within_the_budget_is_an_error(body):
    with pytest.raises(InvalidRequestError) as caught:
        body(reasoning=reason(budget=5000), max_tokens=5000)
    assert caught.value.message == (
        "max_tokens (5000) must be greater than the reasoning budget (5000)"
    )


@pytest.mark.row("REAS-17", "OPTI-27")
@pytest.mark.parametrize(("budget", "effort"), [(1024, "low"), (9000, "medium"), (99_999, "xhigh")])
def test_a_budget_on_an_adaptive_model_is_the_nearest_effort(encode, budget, effort):
    request = encode(model=NEW, reasoning=reason(budget=budget))
    assert request.json["thinking"] == {"type": "adaptive"}
    assert request.json["output_config"] == {"effort": effort}
    assert [note.name for note in request.notes] == ["reasoning_budget"]


def test_a_model_with_both_takes_either(body):
    assert body(model=OPUS, reasoning=reason("low"))["thinking"] == {"type": "adaptive"}
    found = body(model=OPUS, reasoning=reason("low", 2000))
    assert found["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert found["output_config"] == {"effort": "low"}


@pytest.mark.row("REAS-10")
@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("claude-opus-5", {"type": "disabled"}),
        ("claude-haiku-5-5", {"type": "disabled"}),
        ("claude-sonnet-5-5", {"type": "between_tools"}),
        ("claude-opus-5-5", None),
        ("claude-opus-4-6", None),
        ("claude-sonnet-4-5", None),
    ],
)
def test_none_switches_thinking_off_where_that_must_be_said(encode, model, thinking):
    for request in (
        encode(model=model, reasoning=reason("none")),
        encode(model=model, reasoning=reason(budget=0)),
    ):
        assert request.json.get("thinking") == thinking
        assert "output_config" not in request.json
        assert request.notes == ()


@pytest.mark.row("REAS-17", "TOOL-19")
def test_a_model_that_thinks_in_any_case_is_not_forced_to_call(encode):
    asked = {"reasoning": reason("none"), "tools": [ToolDefinition("f")], "tool_choice": "f"}
    stubborn = encode(model="claude-mythos-preview", **asked)
    assert stubborn.json["tool_choice"] == {"type": "auto"}
    assert [note.name for note in stubborn.notes] == ["tool_choice"]
    quiet = encode(model="claude-opus-4-6", **asked)
    assert quiet.json["tool_choice"] == {"type": "tool", "name": "f"}
    assert quiet.notes == ()


def test_too_small_a_budget_is_raised_and_noted(encode):
    request = encode(reasoning=reason(budget=10))
    assert request.json["thinking"]["budget_tokens"] == 1024
    assert [note.name for note in request.notes] == ["reasoning_budget"]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"model": "claude-3-5-haiku-latest", "reasoning": reason("high")}, "reasoning_effort"),
        ({"model": "claude-3-5-haiku-latest", "reasoning": reason(budget=99)}, "reasoning_budget"),
        ({"reasoning": reason("extreme")}, "reasoning_effort"),
    ],
)
def test_what_a_model_cannot_do_is_noted(encode, options, name):
    request = encode(**options)
    assert "thinking" not in request.json
    assert [note.name for note in request.notes] == [name]
    assert name in request.notes[0].text


@pytest.mark.row("REAS-02")
def test_reasoning_text_is_not_asked_for(body):
    hidden = {"display": "omitted"}
    asked = body(model=NEW, reasoning=reason("low", include=False))
    assert asked["thinking"] == {"type": "adaptive", **hidden}
    left = body(model=NEW, reasoning=reason(include=False))
    assert left["thinking"] == {"type": "adaptive", **hidden}
    assert "thinking" not in body(reasoning=reason(include=False))


@pytest.mark.row("OPTI-05")
@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"model": "claude-opus-5"}, 32_000),
        ({"model": "claude-3-opus-20240229"}, 4096),
        ({"model": "claude-3-5-sonnet-latest"}, 8192),
        ({"model": "claude-opus-9"}, 4096),
        ({"model": "tiny-chat"}, 4096),
        ({"model": "tiny-chat", "reasoning": reason("none")}, 4096),
        ({"model": "tiny-chat", "reasoning": reason("high")}, 32_000),
        ({"model": "claude-opus-5", "max_tokens": 7}, 7),
    ],
)
def test_the_limit_on_output(body, options, limit):
    assert body(**options)["max_tokens"] == limit


@pytest.mark.row("REAS-17")
@pytest.mark.parametrize(
    ("options", "sent", "left_out"),
    [
        ({"temperature": 0.5, "top_p": 0.5, "top_k": 3}, {"temperature", "top_p", "top_k"}, []),
        (
            {"temperature": 0.5, "top_p": 0.5, "top_k": 3, "reasoning": reason("low")},
            set(),
            ["temperature", "top_p", "top_k"],
        ),
        (
            {"temperature": 1, "top_p": 0.96, "reasoning": reason("low")},
            {"temperature", "top_p"},
            [],
        ),
        ({"model": NEW, "temperature": 0.0, "top_p": 0.5}, set(), ["temperature", "top_p"]),
        ({"model": NEW, "temperature": 1.0}, set(), []),
        ({"model": "tiny-chat", "temperature": 0.0}, {"temperature"}, []),
        ({"temperature": 1.5}, set(), ["temperature"]),
    ],
)
def test_sampling_where_it_is_refused(encode, options, sent, left_out):
    request = encode(**options)
    assert {"temperature", "top_p", "top_k"} & set(request.json) == sent
    assert [note.name for note in request.notes] == left_out


@pytest.mark.row("PROV-05", "REAS-17")
def test_a_version_without_sampling(encode):
    from beluga_llm_anthropic import AnthropicDialect

    newer = AnthropicDialect(api_version="2026-10-21")
    request = encode(to=newer, temperature=0.5, top_k=3)
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert "temperature" not in request.json
    assert [note.name for note in request.notes] == ["temperature", "top_k"]

"""What is known of models, and how each family is asked to reason."""

from __future__ import annotations

import pytest

from beluga_llm import InvalidRequestError, ReasoningConfig
from beluga_llm.plugin import Notes
from beluga_llm_bedrock._models import NEWEST, UNKNOWN, ModelFacts, model_facts, vendor_name
from beluga_llm_bedrock._reasoning import plan_reasoning

OLD = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
BOTH = "anthropic.claude-opus-4-6-v1"
NEW = "global.anthropic.claude-opus-5"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"


def reason(effort=None, budget=None, include=True):
    return ReasoningConfig(effort, budget, include)


@pytest.mark.row("PROV-25")
@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("anthropic.claude-opus-4-5-20251101-v1:0", "anthropic.claude-opus-4-5-20251101-v1:0"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "anthropic.claude-opus-4-5-20251101-v1:0"),
        ("us-gov.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
            "amazon.nova-lite-v1:0",
        ),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/eu.meta.llama3-1-8b-instruct-v1:0",
            "meta.llama3-1-8b-instruct-v1:0",
        ),
        ("deepseek.v3.2", "deepseek.v3.2"),
        (PROFILE, "abc"),
        ("my.own.model", "my.own.model"),
    ],
)
def test_ids_of_any_form(model, name):
    assert vendor_name(model) == name


@pytest.mark.row("PROV-25", "REAS-10")
@pytest.mark.parametrize(
    ("model", "reasoning"),
    [
        (OLD, "budget"),
        (BOTH, "both"),
        (NEW, "adaptive"),
        ("anthropic.claude-opus-4-7", "adaptive"),
        ("anthropic.claude-opus-4-1-20250805-v1:0", "budget"),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", "none"),
        ("anthropic.claude-instant-v1", "none"),
        ("anthropic.claude-v2:1", "none"),
        (NOVA_2, "nova"),
        ("amazon.nova-pro-v1:0", "none"),
        ("openai.gpt-oss-120b-1:0", "reasoning_effort"),
        ("us.openai.gpt-5.2", "reasoning.effort"),
        ("deepseek.r1-v1:0", "always"),
        ("deepseek.v3-v1:0", "reasoning_config"),
        ("qwen.qwen3-32b-v1:0", "reasoning_config"),
        ("mistral.mistral-large-2407-v1:0", "unknown"),
    ],
)
def test_how_models_reason(model, reasoning):
    assert model_facts(model).reasoning == reasoning


@pytest.mark.row("PROV-25", "CONF-10")
def test_unknown_models_work():
    assert model_facts(PROFILE) == model_facts("") == UNKNOWN
    for model in ("anthropic.claude-opus-4-9", "anthropic.claude-haiku-9-v1:0"):
        assert model_facts(model) is NEWEST


@pytest.mark.row("CHAT-19")
def test_capabilities(dialect):
    old, nova = dialect.capabilities(OLD), dialect.capabilities("amazon.nova-micro-v1:0")
    assert old.tool_choice == {"auto", "none", "required", "named"}
    assert (old.json_schema, old.parallel_tool_calls, old.count_tokens) == (True, True, True)
    assert (old.prefill, old.json_object, old.reasoning) == (True, False, True)
    assert (nova.images, nova.reasoning, nova.count_tokens) == (False, False, False)
    assert dialect.capabilities("amazon.nova-pro-v1:0").video is True
    assert dialect.capabilities("anthropic.claude-opus-5-5").tool_choice == {"auto", "none"}
    assert dialect.capabilities("mistral.voxtral-mini-3b-2507").audio is True
    unknown = dialect.capabilities(PROFILE)
    assert (unknown.tools, unknown.tool_choice, unknown.reasoning) == (None, None, None)
    assert (unknown.streaming, unknown.json_schema) == (True, None)


# --- reasoning --------------------------------------------------------------------------------


@pytest.mark.row("REAS-01", "REAS-10")
@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        (NEW, "minimal", "low"),
        (NEW, "xhigh", "xhigh"),
        (BOTH, "xhigh", "high"),
        (NEW, "extreme", "extreme"),
    ],
)
def test_claude_takes_an_effort(body, model, effort, sent):
    assert body(model=model, reasoning=reason(effort))["additionalModelRequestFields"] == {
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": sent},
    }


@pytest.mark.row("REAS-10", "REAS-17")
@pytest.mark.parametrize(
    ("effort", "budget"), [("minimal", 1024), ("low", 2048), ("medium", 8192), ("max", 32_768)]
)
def test_an_older_claude_takes_a_budget(body, effort, budget):
    sent = body(model=OLD, reasoning=reason(effort))
    assert sent["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": budget}
    }
    assert "inferenceConfig" not in sent


@pytest.mark.row("REAS-17")
def test_budgets(encode):
    request = encode(model=OLD, reasoning=reason(budget=5000), max_tokens=5001)
    assert request.json["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 5000
    with pytest.raises(InvalidRequestError) as caught:
        encode(model=OLD, reasoning=reason(budget=5000), max_tokens=5000)
    assert caught.value.message == (
        "max_tokens (5000) must be greater than the reasoning budget (5000)"
    )
    small = encode(model=OLD, reasoning=reason(budget=10))
    assert small.json["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 1024
    assert [note.name for note in small.notes] == ["reasoning_budget"]
    both = encode(model=BOTH, reasoning=reason("low", 2000))
    assert both.json["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"effort": "low"},
    }
    nearest = encode(model=NEW, reasoning=reason(budget=9000))
    assert nearest.json["additionalModelRequestFields"]["output_config"] == {"effort": "medium"}
    assert [note.name for note in nearest.notes] == ["reasoning_budget"]
    fits = encode(model="anthropic.claude-opus-4-20250514-v1:0", reasoning=reason("max"))
    thinking = fits.json["additionalModelRequestFields"]["thinking"]
    assert thinking["budget_tokens"] == 32_000 - 4096


@pytest.mark.row("REAS-02")
def test_reasoning_text_is_not_asked_for(body):
    hidden = {"type": "adaptive", "display": "omitted"}
    for wanted in (reason("low", include=False), reason(include=False)):
        sent = body(model=NEW, reasoning=wanted)["additionalModelRequestFields"]
        assert sent["thinking"] == hidden
    assert "additionalModelRequestFields" not in body(model=OLD, reasoning=reason(include=False))


@pytest.mark.row("REAS-10")
@pytest.mark.parametrize(
    ("model", "sent", "names"),
    [
        (NEW, {"thinking": {"type": "disabled"}}, []),
        ("anthropic.claude-sonnet-5-5", {"thinking": {"type": "between_tools"}}, []),
        ("anthropic.claude-opus-5-5", None, []),
        (OLD, None, []),
        (NOVA_2, None, []),
        ("qwen.qwen3-32b-v1:0", None, []),
        ("us.openai.gpt-5.2", {"reasoning": {"effort": "none"}}, []),
        ("openai.gpt-oss-20b-1:0", None, ["reasoning_effort"]),
        ("deepseek.r1-v1:0", None, ["reasoning_effort"]),
    ],
)
def test_none_switches_reasoning_off_where_that_must_be_said(encode, model, sent, names):
    for wanted in (reason("none"), reason(budget=0)):
        request = encode(model=model, reasoning=wanted)
        assert request.json.get("additionalModelRequestFields") == sent
        assert [note.name for note in request.notes] == names


@pytest.mark.row("PROV-07", "REAS-01")
@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        (NOVA_2, "minimal", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        (NOVA_2, "max", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
        ("openai.gpt-oss-120b-1:0", "xhigh", {"reasoning_effort": "high"}),
        ("us.openai.gpt-5.2", "xhigh", {"reasoning": {"effort": "xhigh"}}),
        ("deepseek.v3-v1:0", "medium", {"reasoning_config": "medium"}),
        ("qwen.qwen3-32b-v1:0", "medium", {"reasoning_config": "low"}),
        ("moonshotai.kimi-k2.5", "high", {"reasoning_config": "high"}),
    ],
)
def test_each_family_is_asked_in_its_own_words(encode, model, effort, sent):
    request = encode(model=model, reasoning=reason(effort))
    assert request.json["additionalModelRequestFields"] == sent
    assert request.notes == ()


@pytest.mark.row("PROV-07", "OPTI-27")
def test_nova_takes_nothing_beside_high_effort(encode):
    options = {"max_tokens": 5, "temperature": 0.5, "top_p": 0.5, "top_k": 3, "stop": ("END",)}
    request = encode(model=NOVA_2, reasoning=reason("high"), **options)
    assert request.json["inferenceConfig"] == {"stopSequences": ["END"]}
    names = {"max_tokens", "temperature", "top_p", "top_k"}
    assert {note.name for note in request.notes} == names
    assert list(request.json["additionalModelRequestFields"]) == ["reasoningConfig"]
    request = encode(model=NOVA_2, reasoning=reason("low"), **options)
    assert len(request.json["inferenceConfig"]) == 4
    assert request.notes == ()


@pytest.mark.row("OPTI-27")
@pytest.mark.parametrize(
    ("model", "wanted", "name"),
    [
        ("amazon.nova-lite-v1:0", reason("high"), "reasoning_effort"),
        ("deepseek.r1-v1:0", reason("high"), "reasoning_effort"),
        ("deepseek.r1-v1:0", reason(budget=2000), "reasoning_budget"),
        (PROFILE, reason("high"), "reasoning_effort"),
        (NOVA_2, reason(budget=2000), "reasoning_budget"),
        (OLD, reason("extreme"), "reasoning_effort"),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", reason(budget=2000), "reasoning_budget"),
    ],
)
def test_what_a_model_cannot_do_is_noted(encode, model, wanted, name):
    request = encode(model=model, reasoning=wanted)
    assert "additionalModelRequestFields" not in request.json
    assert [note.name for note in request.notes] == [name]
    assert name in request.notes[0].text


def test_a_budget_beside_an_effort_is_noted(encode):
    request = encode(model=NOVA_2, reasoning=reason("low", 2000))
    assert "reasoningConfig" in request.json["additionalModelRequestFields"]
    assert [note.name for note in request.notes] == ["reasoning_budget"]


@pytest.mark.row("REAS-17")
@pytest.mark.parametrize(
    ("options", "sent", "names"),
    [
        ({"temperature": 0.5, "top_p": 0.5, "top_k": 3}, {}, ["top_k", "temperature", "top_p"]),
        ({"temperature": 1.0, "top_p": 0.99}, {"temperature": 1.0, "topP": 0.99}, []),
    ],
)
def test_sampling_while_claude_thinks(encode, options, sent, names):
    request = encode(model=OLD, reasoning=reason("low"), **options)
    assert request.json.get("inferenceConfig", {}) == sent
    assert sorted(note.name for note in request.notes) == sorted(names)
    assert list(request.json["additionalModelRequestFields"]) == ["thinking"]


def test_a_budget_from_an_effort_where_the_limit_is_unknown():
    facts = ModelFacts(reasoning="budget", claude=True)
    planned = plan_reasoning(reason("max"), facts, Notes("bedrock"))
    assert planned.fields["thinking"]["budget_tokens"] == 32_768

"""Effort and budget: what is asked of the thinking of each generation."""

from __future__ import annotations

import pytest

from beluga_llm import ReasoningConfig
from beluga_llm_google._models import NEWEST, UNKNOWN, model_facts

FLASH, LITE, PRO = "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.5-pro"
NEW, MINIMAL, NEWER = "gemini-3.8-flash", "gemini-3.6-flash", "gemini-4-argon"


@pytest.fixture
def thinking(encode):
    """What is sent of a ReasoningConfig, and the names of what was noted."""

    def run(model, effort=None, budget=None, include=True):
        request = encode(model=model, reasoning=ReasoningConfig(effort, budget, include))
        config = request.json.get("generationConfig", {}).get("thinkingConfig")
        return config, [note.name for note in request.notes]

    return run


def level(word):
    return {"thinkingLevel": word, "includeThoughts": True}


def amount(tokens):
    return {"thinkingBudget": tokens, "includeThoughts": True}


@pytest.mark.row("REAS-11", "REAS-01")
@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        (NEW, "low", "low"),
        (NEW, "medium", "medium"),
        (NEW, "high", "high"),
        (NEW, "xhigh", "high"),
        (NEW, "max", "high"),
        (NEW, "minimal", "low"),
        (MINIMAL, "minimal", "minimal"),
        (NEWER, "minimal", "low"),
        (NEWER, "high", "high"),
        ("gemini-3-pro-preview", "medium", "low"),
        ("gemini-flash-latest", "low", "low"),
        ("tuned-model", "high", "high"),
        (NEW, "extreme", "extreme"),
    ],
)
def test_newer_models_get_a_level(thinking, model, effort, sent):
    assert thinking(model, effort) == (level(sent), [])


@pytest.mark.row("REAS-11")
@pytest.mark.parametrize(
    ("effort", "flash", "lite", "pro"),
    [
        ("minimal", 512, 512, 512),
        ("low", 1024, 1024, 1024),
        ("medium", 8192, 8192, 8192),
        ("high", 24_576, 24_576, 24_576),
        ("xhigh", 24_576, 24_576, 24_576),
        ("max", 24_576, 24_576, 24_576),
    ],
)
def test_older_models_get_a_budget(thinking, effort, flash, lite, pro):
    assert thinking(FLASH, effort) == (amount(flash), [])
    assert thinking(LITE, effort) == (amount(lite), [])
    assert thinking(PRO, effort) == (amount(pro), [])


@pytest.mark.row("REAS-11")
@pytest.mark.parametrize(
    ("model", "sent", "noted"),
    [
        (FLASH, {"thinkingBudget": 0}, False),
        (LITE, {"thinkingBudget": 0}, False),
        (PRO, amount(128), True),
        (NEW, level("low"), True),
        (MINIMAL, level("minimal"), True),
        (NEWER, level("low"), True),
        ("gemini-2.0-flash", None, False),
    ],
)
def test_none_switches_thinking_off_where_that_can_be(thinking, model, sent, noted):
    assert thinking(model, "none") == (sent, ["reasoning_effort"] if noted else [])
    assert thinking(model, None, 0) == (sent, ["reasoning_budget"] if noted else [])


@pytest.mark.row("REAS-11")
@pytest.mark.parametrize(
    ("model", "budget", "sent", "noted"),
    [
        (FLASH, 2000, amount(2000), []),
        (FLASH, -1, amount(-1), []),
        (PRO, -1, amount(-1), []),
        (FLASH, 99_999, amount(24_576), ["reasoning_budget"]),
        (LITE, 100, amount(512), ["reasoning_budget"]),
        (PRO, 30_000, amount(30_000), []),
        (NEW, 2000, amount(2000), []),
        (NEW, -1, amount(-1), []),
        (NEWER, -1, {"includeThoughts": True}, []),
        (NEWER, 1000, level("low"), ["reasoning_budget"]),
        (NEWER, 7000, level("medium"), ["reasoning_budget"]),
        (NEWER, 99_999, level("high"), ["reasoning_budget"]),
    ],
)
def test_a_budget(thinking, model, budget, sent, noted):
    assert thinking(model, None, budget) == (sent, noted)


@pytest.mark.row("REAS-11", "REAS-03")
def test_level_and_budget_are_never_sent_together(thinking):
    assert thinking(FLASH, "high", 2000) == (amount(2000), [])
    assert thinking(NEW, "high", 2000) == (level("high"), ["reasoning_budget"])
    assert thinking(NEWER, "high", 2000) == (level("high"), ["reasoning_budget"])


@pytest.mark.row("REAS-02", "REAS-11")
def test_thoughts_are_asked_for_or_not(thinking, body):
    assert thinking(NEW, "low", include=False)[0] == {
        "thinkingLevel": "low",
        "includeThoughts": False,
    }
    assert thinking(FLASH) == ({"includeThoughts": True}, [])
    assert thinking(NEW, include=False) == ({"includeThoughts": False}, [])
    assert "generationConfig" not in body(model=NEW)


@pytest.mark.row("OPTI-27", "REAS-11")
@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-1.5-pro", "gemini-2.5-flash-image"])
def test_models_that_do_not_think(thinking, model):
    assert thinking(model) == (None, [])
    assert thinking(model, "high") == (None, ["reasoning_effort"])
    assert thinking(model, None, 500) == (None, ["reasoning_budget"])


@pytest.mark.row("OPTI-27")
def test_words_that_have_no_budget_are_noted(thinking):
    assert thinking(FLASH, "extreme") == ({"includeThoughts": True}, ["reasoning_effort"])


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("gemini-2.5-pro-preview-06-05", PRO),
        ("models/gemini-2.5-flash-001", FLASH),
        ("publishers/google/models/Gemini-2.5-Flash-Lite", LITE),
        ("gemini-2.0-flash-lite", "gemini-2.0-flash"),
        ("gemini-3.1-flash-lite-preview", MINIMAL),
        ("gemini-3.8-flash-lite", MINIMAL),
        ("gemini-3.7-flash", NEW),
        ("gemini-3.9-flash", NEW),
        ("gemini-3.1-pro-preview", NEW),
    ],
)
def test_names_of_models(name, like):
    assert model_facts(name) == model_facts(like)


def test_unknown_names():
    assert model_facts("gemini-5-xenon") is NEWEST
    assert model_facts("gemini-30-flash") is NEWEST
    assert model_facts("gemini-pro-latest") is NEWEST
    assert model_facts("gemma-4-31b-it") is UNKNOWN
    assert model_facts("") is UNKNOWN

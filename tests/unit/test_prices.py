"""What answers cost: a table of one's own, over the prices that are installed."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import pytest
from support.fakes import installed

from beluga_llm import AIMessage, ConfigError, Price, PriceTable, Usage, cost_of
from beluga_llm._pricing.cost import spent_on
from beluga_llm._pricing.table import Spent, to_prices

USAGE = Usage(10_000, 2_000, cached_tokens=4_000, reasoning_tokens=1_500)


def answer(usage: Usage = USAGE, model_id: str | None = "acme-1", **facts: object) -> AIMessage:
    return AIMessage("hi", usage=usage, model_id=model_id, provider_metadata=facts)


# --- a table of one's own


@pytest.mark.row("OBSE-26")
def test_cached_tokens_have_their_price_and_reasoning_counts_as_output():
    prices = {"acme-1": Price("2.50", "10", cached="0.25")}
    # 6000 fresh at 2.50, 4000 cached at 0.25, 2000 out at 10: 15000 + 1000 + 20000 millionths
    assert cost_of(answer(), prices) == Decimal("0.036")


@pytest.mark.row("OBSE-26")
@pytest.mark.parametrize(
    ("price", "written_1h", "cost"),
    [
        (Price(2, 10), 0, "0.04"),  # no prices of a cache: everything is fresh
        (Price(2, 10, cached="0.2", cache_write="2.5"), 0, "0.0343"),  # 3000, 4000 * .2, 3000 * 2.5
        (Price(2, 10, cached="0.2", cache_write="2.5"), 1000, "0.0358"),  # an hour: twice the input
        (Price(2, 10, cache_write="2.5", cache_write_1h=5), 3000, "0.049"),
        (Price(2, 10), 3000, "0.04"),
        (Price(2, 10, cached="0.2", cache_write="2.5"), 9999, "0.0388"),  # never more than written
    ],
)
def test_writes_to_the_cache_have_their_price(price, written_1h, cost):
    usage = Usage(10_000, 2_000, cached_tokens=4_000, cache_write_tokens=3_000)
    assert price.cost(usage, written_1h=written_1h) == Decimal(cost)


def test_anthropics_word_on_writes_is_heard():
    usage = Usage(3_000, 0, cache_write_tokens=3_000)
    prices = {"acme-1": Price(1, 1, cache_write=1, cache_write_1h=10)}
    an_hour = answer(usage, cache_creation={"ephemeral_1h_input_tokens": 1_000})
    assert cost_of(an_hour, prices) == Decimal("0.012")
    for odd in ("x", {}, {"ephemeral_1h_input_tokens": None}, {"ephemeral_1h_input_tokens": -3}):
        assert cost_of(answer(usage, cache_creation=odd), prices) == Decimal("0.003")


@pytest.mark.row("OBSE-26")
def test_bedrocks_word_on_writes_is_heard():
    usage = Usage(3_000, 0, cache_write_tokens=3_000)
    prices = {"acme-1": Price(1, 1, cache_write=1, cache_write_1h=10)}
    details = [{"ttl": "5m", "inputTokens": 2_000}, {"ttl": "1h", "inputTokens": 1_000}, None]
    assert cost_of(answer(usage, cacheDetails=details), prices) == Decimal("0.012")
    for odd in ("1h", [{"ttl": "1h", "inputTokens": True}], [{"ttl": "1h"}], {"ttl": "1h"}):
        assert cost_of(answer(usage, cacheDetails=odd), prices) == Decimal("0.003")


@pytest.mark.row("OBSE-26")
@pytest.mark.parametrize(
    ("price", "usage", "cost"),
    [
        (Price(1, 2, audio_input=10, audio_output=20), Usage(100, 50), "0.0002"),
        (
            Price(1, 2, audio_input=10, audio_output=20),
            Usage(100, 50, audio_input_tokens=40, audio_output_tokens=30),
            "0.0011",  # 60 + 40 * 10 + 20 * 2 + 30 * 20
        ),
        (Price(1, 2), Usage(100, 50, audio_input_tokens=40, audio_output_tokens=30), "0.0002"),
        (  # what was read from the cache is not fresh, and no part is more than its whole
            Price(1, 2, cached=0, audio_input=10, audio_output=20),
            Usage(100, 50, cached_tokens=70, audio_input_tokens=90, audio_output_tokens=99),
            "0.0013",
        ),
    ],
)
def test_audio_has_its_price(price, usage, cost):
    assert price.cost(usage) == Decimal(cost)


def test_long_requests_have_their_own_prices():
    price = Price(1, 2, above={200_000: {"input": 2, "output": 4}, 100: Price(1, 3)})
    assert price.cost(Usage(100, 1_000_000)) == Decimal("2.0001")
    assert price.cost(Usage(101, 1_000_000)) == Decimal("3.000101")
    assert price.cost(Usage(200_001, 1_000_000)) == Decimal("4.400002")


@pytest.mark.row("OBSE-26")
@pytest.mark.parametrize("usage", [Usage(), Usage(10), Usage(None, 10)])
def test_unknown_tokens_cost_none(usage):
    assert cost_of(answer(usage), {"acme-1": Price(1, 1)}) is None
    assert Price(1, 1).cost(usage) is None


@pytest.mark.row("OBSE-26")
def test_unknown_models_cost_none_and_known_free_ones_zero():
    assert cost_of(answer(), {"other": Price(1, 1)}) is None
    assert cost_of(answer(model_id=None), {"other": Price(1, 1)}) is None
    assert cost_of(answer(), {"acme-1": Price(0, 0)}) == 0


def test_a_model_may_be_named():
    prices = {"acme/large": Price(1, 1), "large": Price(2, 2)}
    assert cost_of(answer(), prices, provider="acme", model_id="large") == Decimal("0.012")
    assert cost_of(answer(), prices, provider="other", model_id="large") == Decimal("0.024")


@pytest.mark.parametrize(
    ("model_id", "known"),
    [
        ("gpt-4o", True),
        ("gpt-4o-2024-08-06", True),
        ("gpt-4o@20240806", True),
        ("gpt-4o-latest", True),
        ("gpt-4o-0806", True),
        ("gpt-4o-2024-08-06-v1:0", True),
        ("gpt-4o-v1:0-2024-08-06", False),
        ("gpt-4o:v1:0", False),
        ("gpt-4o-v1:0", True),
        ("gpt-4o-mini", False),
        ("gpt-4o1", False),
        ("gpt-4", False),
    ],
)
def test_a_name_stands_for_its_versions(model_id, known):
    table = PriceTable({"openai/gpt-4o": Price(1, 1)}, installed=False)
    spent = Spent(USAGE)
    found = table.cost(spent, model_id=model_id, provider="openai")
    assert (found is not None) is (known or model_id == "gpt-4o:v1:0")
    assert table.cost(spent, model_id=model_id) == found  # only one provider has it
    assert table.cost(spent, model_id=model_id, provider="azure") is None


def test_without_a_provider_prices_that_differ_are_unknown():
    spent = Spent(USAGE)
    same = PriceTable({"a/m": Price(1, 1), "b/m": Price(1, 1)}, installed=False)
    differ = PriceTable({"a/m": Price(1, 1), "b/m": Price(2, 1)}, installed=False)
    assert same.cost(spent, model_id="m") == Decimal("0.012")
    assert differ.cost(spent, model_id="m") is None


def test_the_longest_name_wins():
    table = PriceTable({"m": Price(1, 1), "m-2024": Price(5, 5)}, installed=False)
    assert table.cost(Spent(Usage(1_000_000, 0)), model_id="m-2024-0102") == 5


@pytest.mark.parametrize(
    "price", [{"input": -1, "output": 1}, {"input": "x", "output": 1}, {"input": 1}, 3,
              {"input": True, "output": 1}, {"input": 1, "output": float("nan")},
              {"input": None, "output": 1}],
)  # fmt: skip
def test_a_price_that_is_none_is_refused(price):
    with pytest.raises(ConfigError, match="price"):
        PriceTable({"m": price})


def test_floats_are_taken_as_written():
    assert Price(0.1, 0.3).input == Decimal("0.1")
    assert repr(PriceTable({"m": Price(1, 1)})) == "<PriceTable 1 own>"


def test_whatever_knows_prices_may_be_handed_in():
    table = PriceTable(installed=False)
    assert to_prices(table) is table


# --- the prices that are installed

NONE = {"genai_prices/__init__.py": "raise ModuleNotFoundError('no', name='genai_prices')"}
BROKEN = {"genai_prices/__init__.py": "raise ModuleNotFoundError('no', name='pydantic')"}


def test_missing_prices_are_named(tmp_path: Path):
    with installed(tmp_path, NONE):
        with pytest.raises(ConfigError, match=r"beluga-llm\[prices\]"):
            cost_of(answer())
        assert cost_of(answer(), {}) is None
        assert cost_of(answer(), PriceTable()) is None


def test_a_broken_installation_is_not_hidden(tmp_path: Path):
    with installed(tmp_path, BROKEN), pytest.raises(ModuleNotFoundError):
        cost_of(answer())


def test_nothing_is_asked_where_the_tokens_are_unknown():
    assert cost_of(answer(Usage())) is None
    assert cost_of(answer(), PriceTable({"acme-1": Price(1, 1)}, installed=True)) is not None


genai_prices = pytest.importorskip("genai_prices", reason="the extra prices")

# From the vendors' pages, in USD for a million tokens: https://platform.openai.com/docs/pricing,
# https://platform.claude.com/docs/en/about-claude/pricing, https://ai.google.dev/gemini-api/docs/pricing.
FIGURES = [
    # 6000 fresh, 4000 cached, 2000 out
    ("openai", "gpt-5.4", "0.046"),  # 2.50, 0.25, 15
    ("openai", "gpt-5.4-mini", "0.0138"),  # 0.75, 0.075, 4.50
    ("anthropic", "claude-sonnet-4-5", "0.0492"),  # 3, 0.30, 15
    ("anthropic", "claude-haiku-4-5-20251001", "0.0164"),  # 1, 0.10, 5
    ("anthropic", "claude-sonnet-5-5", "0.0324"),  # 2, 0.10, 10
    ("anthropic", "claude-haiku-5-5", "0.00164"),  # 0.10, 0.01, 0.50
    ("google", "gemini-2.5-pro", "0.028"),  # 1.25, 0.125, 10
    ("gemini", "gemini-2.5-flash", "0.00692"),  # 0.30, 0.03, 2.50
]


@pytest.mark.row("OBSE-26")
@pytest.mark.parametrize(("provider", "model_id", "dollars"), FIGURES)
def test_figures_checked_by_hand(provider, model_id, dollars):
    assert cost_of(answer(model_id=model_id), provider=provider) == Decimal(dollars)
    assert cost_of(answer(model_id=model_id)) == Decimal(dollars)


@pytest.mark.row("OBSE-26")
@pytest.mark.parametrize(("hour", "dollars"), [(0, "0.05145"), (1000, "0.0537")])
def test_writes_to_claudes_cache(hour, dollars):
    # 3000 fresh at 3, 4000 read at 0.30, 3000 written at 3.75 or, for an hour, 6; 2000 out at 15
    usage = Usage(10_000, 2_000, cached_tokens=4_000, cache_write_tokens=3_000)
    facts = {"cache_creation": {"ephemeral_1h_input_tokens": hour}}
    message = answer(usage, "claude-sonnet-4-5", **facts)
    assert cost_of(message, provider="anthropic") == Decimal(dollars)


@pytest.mark.parametrize(
    ("model_id", "tier", "dollars"),
    [
        ("gpt-5.4", "default", "0.046"),
        ("claude-haiku-4-5", "batch", "0.0082"),  # half of everything
        ("gpt-5.4", 7, "0.046"),
    ],
)
def test_the_service_tier_counts(model_id, tier, dollars):
    assert cost_of(answer(model_id=model_id, service_tier=tier)) == Decimal(dollars)


@pytest.mark.row("OBSE-26")
@pytest.mark.parametrize(
    ("facts", "tier"),
    [
        ({"service_tier": "priority"}, "priority"),
        ({"serviceTier": "flex"}, "flex"),
        ({"serviceTier": "PRIORITY"}, "priority"),
        ({"serviceTier": {"type": "flex"}}, "flex"),
        ({"serviceTier": {"type": None}}, None),
        ({"trafficType": "ON_DEMAND_PRIORITY"}, "priority"),
        ({"trafficType": "ON_DEMAND_FLEX"}, "flex"),
        ({"trafficType": "ON_DEMAND"}, None),
        ({"trafficType": ["x"]}, None),
        ({"service_tier": "standard", "speed": "fast"}, "fast"),
        ({"service_tier": "standard", "speed": "standard"}, "standard"),
        ({"service_tier": 7}, None),
        ({}, None),
    ],
)
def test_each_provider_names_its_tier_in_its_own_place(facts, tier):
    assert spent_on(answer(**facts)).service_tier == tier


@pytest.mark.row("OBSE-26")
def test_the_fast_mode_of_claude_has_its_price():
    model = "claude-fable-5-2"
    plain, fast = answer(model_id=model), answer(model_id=model, speed="fast")
    assert cost_of(fast, provider="anthropic") > cost_of(plain, provider="anthropic")


def test_long_requests_cost_what_they_do():
    assert cost_of(answer(Usage(300_000, 0), "gemini-2.5-pro")) == Decimal("0.75")


@pytest.mark.row("OBSE-26")
@pytest.mark.parametrize(
    ("provider", "model_id"),
    [("openai", "no-such"), ("ollama", "llama3.2"), ("openai-compatible", "gpt-4o"), (None, "zz")],
)
def test_what_is_not_installed_costs_none(provider, model_id):
    assert cost_of(answer(model_id=model_id), provider=provider) is None


@pytest.mark.row("OBSE-26")
@pytest.mark.parametrize(
    ("provider", "model_id", "cost"),
    [
        ("openai", "text-embedding-3-small", None),  # it has no price of output
        ("openai", "whisper-1", None),  # it has none by tokens
        ("openrouter", "openai/gpt-oss-20b:free", 0),
    ],
)
def test_what_has_no_price_by_tokens_is_not_taken_for_free(provider, model_id, cost):
    assert cost_of(answer(model_id=model_id), provider=provider) == cost


def test_parts_that_do_not_fit_their_whole_cost_none(caplog):
    assert cost_of(answer(Usage(10, 1, cached_tokens=20), "gpt-5.4")) is None
    assert "cannot be priced" in caplog.text


@pytest.mark.row("OBSE-26")
def test_a_table_lies_over_what_is_installed():
    table = {"openai/gpt-5.4": Price(1, 1)}
    assert cost_of(answer(model_id="gpt-5.4"), table, provider="openai") == Decimal("0.012")
    assert cost_of(answer(model_id="gpt-5.4-mini"), table, provider="openai") == Decimal("0.0138")
    assert "genai_prices" in sys.modules

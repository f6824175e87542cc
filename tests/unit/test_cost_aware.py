"""Each call is answered by the cheapest kind of model that will do."""

from __future__ import annotations

import pytest

from beluga_llm import (
    AIMessage,
    AllModelsFailedError,
    Budget,
    BudgetExhaustedError,
    ConfigError,
    CostAware,
    HeuristicClassifier,
    HumanMessage,
    InvalidRequestError,
    Price,
    ProviderUnavailableError,
    SystemMessage,
    Usage,
)
from beluga_llm.testing import MockChatModel, VirtualClock


def model(name: str, *script: object) -> MockChatModel:
    answer = AIMessage(name, usage=Usage(1, 1))
    return MockChatModel([*script, answer], model=name)  # type: ignore[list-item]


def human(*lengths: int) -> list[HumanMessage]:
    return [HumanMessage("x" * length) for length in lengths]


@pytest.mark.row("ROUT-09")
@pytest.mark.parametrize(
    ("messages", "tier"),
    [
        (human(499), "small"),
        (human(250, 249), "small"),
        (human(500), "medium"),
        (human(1, 1, 1), "medium"),
        (human(5000), "medium"),
        (human(5001), "large"),
        (human(*[1] * 10), "medium"),
        (human(*[1] * 11), "large"),
        ([SystemMessage("x"), *human(1999)], "medium"),
        ([SystemMessage("x"), *human(2000)], "large"),
        ([SystemMessage("x"), *human(2)], "small"),
    ],
)
def test_the_heuristic(messages, tier):
    assert HeuristicClassifier().classify(messages) == tier
    assert repr(HeuristicClassifier()) == "HeuristicClassifier()"


@pytest.mark.row("ROUT-09")
async def test_the_tier_answers():
    small, large = model("s"), model("l")
    router = CostAware({"small": small, "large": [large]})
    assert (await router.generate("hi")).text == "s"
    assert (await router.generate("x" * 6000)).text == "l"
    assert (router.provider, router.model_id) == ("beluga", "cost-aware")
    assert router.tiers == {"small": (small,), "large": (large,)}


@pytest.mark.row("ROUT-09")
@pytest.mark.parametrize("kind", ["object", "function", "coroutine"])
async def test_another_classifier(kind):
    async def later(messages):
        return "large"

    class Always:
        def classify(self, messages):
            return "large"

    classifiers = {"object": Always(), "function": lambda _: "large", "coroutine": later}
    router = CostAware({"small": model("s"), "large": model("l")}, classifiers[kind])
    assert (await router.stream("hi").response()).text == "l"


@pytest.mark.row("ROUT-09")
@pytest.mark.parametrize(("fallback", "answer"), [("medium", "m"), ("large", "l"), ("none", "s")])
async def test_an_unknown_tier(fallback, answer):
    tiers = {"large": model("l"), "medium": model("m"), "small": model("s")}
    prices = {"s": Price(1, 1), "m": Price(2, 1), "l": Price(3, 1)}
    money = Budget(5, prices=prices)
    router = CostAware(tiers, lambda _: "what", money, fallback_tier=fallback)
    assert (await router.generate("hi")).text == answer


@pytest.mark.row("ROUT-09")
async def test_the_tier_by_priority_then_the_others_by_the_price_of_their_input():
    def down(name: str) -> MockChatModel:
        return model(name, ProviderUnavailableError(name))

    small = [down("s1"), down("s2")]
    tiers = {"large": [down("dear"), model("cheap")], "small": small}
    prices = {"s1": Price(9, 1), "s2": Price(1, 1), "dear": Price(5, 1), "cheap": Price("2", 100)}
    router = CostAware(tiers, budget=Budget(5, prices=prices))
    assert (await router.generate("hi")).text == "cheap"
    asked = {one.model_id for one in router.models if one.calls}  # type: ignore[attr-defined]
    assert asked == {"s1", "s2", "cheap"}


async def test_models_without_a_price_come_last_where_there_is_no_budget():
    first = model("s", ProviderUnavailableError("down"))
    router = CostAware({"small": first, "other": [model("unknown"), model("gpt-4o-mini")]})
    router._prices = Budget(1, prices={"gpt-4o-mini": Price(1, 1)}).prices
    assert (await router.generate("hi")).text == "gpt-4o-mini"


@pytest.mark.row("ROUT-10")
async def test_a_candidate_that_the_budget_has_no_room_for_is_passed_over():
    money = Budget(1, prices={"s": Price(900, 1000), "l": Price(0, 0)}, clock=VirtualClock())
    small, large = model("s"), model("l")
    router = CostAware({"small": small, "large": large}, budget=money)
    assert (await router.generate("hi")).text == "l"
    assert small.calls == []


@pytest.mark.row("ROUT-10")
async def test_a_budget_that_no_candidate_fits():
    money = Budget(1, prices={"s": Price(900, 1000), "l": Price(990, 990)}, clock=VirtualClock())
    router = CostAware({"small": model("s"), "large": model("l")}, budget=money)
    with pytest.raises(BudgetExhaustedError, match="no model has room") as caught:
        await router.generate("hi")
    error = caught.value
    assert (error.limit, error.spent) == (1, 0)
    assert 0.9 < error.needed < 1.024 + 0.01
    assert isinstance(error.__cause__, BudgetExhaustedError)


@pytest.mark.row("ROUT-10")
async def test_the_only_candidate_has_no_room():
    router = CostAware({"small": model("s")}, budget=Budget(0, prices={"s": Price(1, 1)}))
    with pytest.raises(BudgetExhaustedError):
        await router.generate("hi")


async def test_the_budget_and_the_provider_in_the_way():
    prices = {"s": Price(900, 1000), "l": Price(0, 0)}
    router = CostAware(
        {"small": model("s"), "large": model("l", ProviderUnavailableError("down"))},
        budget=Budget(1, prices=prices),
    )
    with pytest.raises(AllModelsFailedError):
        await router.generate("hi")


@pytest.mark.row("ROUT-09")
async def test_a_wrong_request_is_not_tried_elsewhere():
    large = model("l")
    router = CostAware({"small": model("s", InvalidRequestError("wrong")), "large": large})
    with pytest.raises(InvalidRequestError, match="wrong"):
        await router.generate("hi")
    assert large.calls == []


@pytest.mark.row("ROUT-10", "ROUT-12")
async def test_what_was_spent_is_counted_once_and_tools_come_along():
    money = Budget(50, prices={"s": Price(1_000_000, 1_000_000)}, expected_output=1)
    small = model("s")
    router = CostAware({"small": small}, budget=money)

    def look(word: str) -> str:
        """Looks a word up."""
        return word

    await router.bind_tools([look]).generate("hi", max_tokens=1)
    assert (money.spent, money.reserved) == (2, 0)
    assert [tool.name for tool in small.calls[0].tools] == ["look"]


def test_what_it_is_made_of_is_checked():
    with pytest.raises(ConfigError, match="no models"):
        CostAware({})
    with pytest.raises(ConfigError, match="no classifier"):
        CostAware({"small": model("s")}, classifier=object())  # type: ignore[arg-type]

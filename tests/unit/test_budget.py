"""Money for a day: reserved before, settled after, and never counted twice."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beluga_llm import (
    AIMessage,
    Budget,
    BudgetExhaustedError,
    ChatModel,
    ChatRequest,
    ConfigError,
    FailoverRouter,
    Price,
    PriceTable,
    ProviderUnavailableError,
    RateLimitError,
    StreamChunk,
    Usage,
    ensure_messages,
    with_budget,
    with_cache,
    with_hedge,
    with_retry,
)
from beluga_llm._pricing.budget import Reservation
from beluga_llm._pricing.table import Spent
from beluga_llm._request import ModelInfo
from beluga_llm.testing import MockChatModel, VirtualClock

DOLLAR = Price(1_000_000, 1_000_000)  # a token costs a dollar: sums can be read


def budget(limit: object = 100, **settings: object) -> Budget:
    settings.setdefault("prices", {"mock-fixture": DOLLAR})
    settings.setdefault("clock", VirtualClock())
    return Budget(limit, expected_output=10, **settings)  # type: ignore[arg-type]  # settings of one test


def said(text: str = "hi", given: int | None = 3, made: int | None = 4) -> AIMessage:
    return AIMessage(text, usage=Usage(given, made))


class Held(ChatModel):
    """Yields what it is given, one by one, as it is let."""

    provider, model_id = "mock", "mock-fixture"

    def __init__(self, *chunks: StreamChunk | Exception) -> None:
        super().__init__()
        self.chunks = chunks
        self.gate = asyncio.Event()
        self.asked: list[ChatRequest] = []  # of all copies

    async def _stream(self, request: ChatRequest) -> AsyncGenerator[StreamChunk, None]:
        self.asked.append(request)
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk
        await self.gate.wait()


# --- the money itself


@pytest.mark.row("ROUT-10")
def test_what_is_reserved_is_not_there_for_others():
    money = budget(10)
    first = money.reserve(Decimal(6))
    with pytest.raises(BudgetExhaustedError) as caught:
        money.reserve(Decimal(5))
    error = caught.value
    assert (error.limit, error.spent, error.reserved, error.needed) == (10, 0, 6, 5)
    assert error.code == "budget_exhausted"
    assert not error.retryable
    assert "$10 has no room for $5: $0 spent and $6 reserved" in error.message
    assert money.left == 4
    first.settle(Decimal(2))
    assert (money.spent, money.reserved, money.left) == (2, 0, 8)
    money.reserve(Decimal(8))
    assert money.left == 0


@pytest.mark.row("ERRO-30")
def test_the_error_survives_copies():
    error = BudgetExhaustedError("no", limit=Decimal(5), spent=Decimal(4))
    for made in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (made.limit, made.spent, str(made)) == (5, 4, str(error))


@pytest.mark.row("ROUT-10")
def test_a_reservation_is_settled_or_released_once():
    money = budget()
    one, two = money.reserve(Decimal(1)), money.reserve(Decimal(1))
    one.settle(Decimal(3))
    one.settle(Decimal(3))
    one.release()
    two.release()
    two.settle(Decimal(50))
    assert (money.spent, money.reserved) == (3, 0)
    assert repr(money) == "<Budget $3 of $100>"


@pytest.mark.row("ROUT-10")
def test_a_reservation_that_nobody_settles_expires():
    clock = VirtualClock()
    money = budget(clock=clock, lease=60)
    lost = money.reserve(Decimal(100))
    clock._now += 59
    assert money.left == 0
    clock._now += 1
    assert money.left == 100
    lost.settle(Decimal(7))  # it was not lost after all
    assert money.spent == 7


@pytest.mark.row("ROUT-10")
def test_a_reservation_whose_loop_was_closed_expires():
    money = budget()

    async def begin() -> None:
        money.reserve(Decimal(100))
        assert money.left == 0

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    assert money.left == 0
    loop.close()
    assert money.left == 100


@pytest.mark.row("ROUT-10")
@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        (UTC, "2026-03-28T23:59:59+00:00", "2026-03-29T00:00:00+00:00"),
        ("Europe/Berlin", "2026-03-28T22:59:59+00:00", "2026-03-28T23:00:00+00:00"),  # winter
        ("Europe/Berlin", "2026-03-29T21:59:59+00:00", "2026-03-29T22:00:00+00:00"),  # 23 h later
        ("Europe/Berlin", "2026-10-25T22:59:59+00:00", "2026-10-25T23:00:00+00:00"),  # of 25 h
        ("America/New_York", "2026-07-01T03:59:59+00:00", "2026-07-01T04:00:00+00:00"),
    ],
)
def test_a_day_begins_at_midnight_of_its_zone(zone, before, after):
    tz = zone if zone is UTC else ZoneInfo(zone)
    clock = VirtualClock(datetime.fromisoformat(before).timestamp())
    money = budget(10, tz=tz, clock=clock)
    money.reserve(Decimal(6)).settle(Decimal(6))
    late = money.reserve(Decimal(4))
    assert money.left == 0
    clock._now = datetime.fromisoformat(after).timestamp()
    assert (money.spent, money.reserved, money.left) == (0, 0, 10)
    late.settle(Decimal(4))  # it counts for the day on which it began
    assert money.spent == 0


def test_a_clock_that_is_set_back_gives_no_money_back():
    clock = VirtualClock(datetime(2026, 5, 2, tzinfo=UTC).timestamp())
    money = budget(10, clock=clock)
    money.reserve(Decimal(6)).settle(Decimal(6))
    clock._now -= 3600
    assert money.spent == 6


@pytest.mark.row("ROUT-10")
def test_threads_never_hold_more_than_there_is():
    money, got = budget(50), []

    def spend() -> None:
        for _ in range(50):
            try:
                reservation = money.reserve(Decimal(1))
            except BudgetExhaustedError:
                continue
            got.append(reservation)
            reservation.settle(Decimal(1))

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), money.spent, money.left) == (50, 50, 0)


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["hold", "settle", "release"]))))
def test_what_is_spent_and_held_adds_up(steps):
    """Law: spent + reserved <= limit, where nothing costs more than was held for it."""
    money = budget(100)
    held: list[Reservation] = []
    spent = Decimal(0)
    for amount, step in steps:
        if step == "hold":
            room = money.left
            try:
                held.append(money.reserve(Decimal(amount)))
            except BudgetExhaustedError:
                assert amount > room
        elif held:
            one = held.pop(amount % len(held))
            if step == "settle":
                one.settle(one.amount / 2)
                spent += one.amount / 2
            else:
                one.release()
        assert money.spent == spent
        assert money.reserved == sum(one.amount for one in held)
        assert money.spent + money.reserved <= 100


@pytest.mark.parametrize(
    "settings",
    [{"daily_limit": -1}, {"daily_limit": "x"}, {"daily_limit": float("nan")},
     {"daily_limit": True}, {"daily_limit": 1, "lease": 0},
     {"daily_limit": 1, "expected_output": 0}],
)  # fmt: skip
def test_settings_that_are_wrong(settings):
    with pytest.raises(ConfigError):
        with_budget(prices={}, **settings)


# --- around a model


@pytest.mark.row("ROUT-10", "MIDD-28")
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_whole_answer_costs_what_its_usage_says(streaming):
    money = budget()
    model = MockChatModel([said()]).with_middleware(with_budget(money))
    if streaming:
        await model.stream("hello").response()
    else:
        await model.generate("hello")
    assert (money.spent, money.reserved) == (7, 0)


@pytest.mark.row("ROUT-10", "TOKE-13")
async def test_an_answer_that_says_nothing_of_tokens_costs_what_was_held():
    money = budget(prices={"mock-fixture": Price(0, 1_000_000)})
    model = MockChatModel([said(given=None, made=None)]).with_middleware(with_budget(money))
    await model.generate("hello", max_tokens=25)
    assert money.spent == 25


@pytest.mark.row("ROUT-10")
async def test_the_estimate_counts_the_request_and_the_answer():
    money = budget(0)
    model = MockChatModel([said()]).with_middleware(with_budget(money))
    needed = money.tokenizer.count_messages((await _asked("hello"),))
    for options, out in (({}, 10), ({"max_tokens": 7}, 7), ({"max_tokens": 7, "n": 3}, 21)):
        with pytest.raises(BudgetExhaustedError) as caught:
            await model.generate("hello", **options)
        assert caught.value.needed == needed + out
    assert money.reserved == 0


async def _asked(text: str):
    from beluga_llm import HumanMessage

    return HumanMessage(text)


@pytest.mark.row("ROUT-10", "MIDD-22")
async def test_concurrent_calls_never_spend_the_same_dollar():
    money = budget(100, prices={"mock-fixture": Price(0, 1_000_000)})
    layer = with_budget(money)
    models = [Held(StreamChunk("x", usage=Usage(1, 10))) for _ in range(20)]
    tasks = [asyncio.create_task(m.with_middleware(layer).generate("hi")) for m in models]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert money.left == 0
    for model in models:
        model.gate.set()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(end, BudgetExhaustedError) for end in ends) == 10
    assert sum(len(model.asked) for model in models) == 10
    assert money.spent == 100


@pytest.mark.row("ROUT-10")
async def test_a_call_that_failed_gives_its_money_back():
    money = budget()
    model = MockChatModel([RateLimitError("no"), said()]).with_middleware(with_budget(money))
    with pytest.raises(RateLimitError):
        await model.generate("hello")
    assert (money.spent, money.reserved) == (0, 0)


@pytest.mark.row("ROUT-10")
async def test_every_attempt_is_paid():
    money = budget()
    failing = Held(StreamChunk("x", usage=Usage(5, 1)), ProviderUnavailableError("down"))
    model = failing.with_middleware(
        with_retry(max_attempts=3, clock=VirtualClock(auto=True)), with_budget(money)
    )
    with pytest.raises(ProviderUnavailableError):
        await model.generate("hello")
    assert (len(failing.asked), money.spent, money.reserved) == (3, 18, 0)


@pytest.mark.row("ROUT-10")
@pytest.mark.parametrize(
    ("usage", "spent"),
    [
        (Usage(30, 1), 33),  # what came is more than was reported of the output yet
        (Usage(30, 50), 80),
        (None, None),  # estimated, from the request and what came
    ],
)
async def test_a_stream_that_is_left_costs_what_is_known(usage, spent):
    money = budget()
    model = Held(StreamChunk("twelve chars", usage=usage)).with_middleware(with_budget(money))
    async with model.stream("hello") as stream:
        async for _ in stream:
            break
    if spent is None:
        spent = money.tokenizer.count_messages((await _asked("hello"),)) + 3
    assert (money.spent, money.reserved) == (spent, 0)


@pytest.mark.row("ROUT-10")
async def test_a_dropped_stream_is_settled_at_once():
    money = budget()
    model = Held(StreamChunk("x", usage=Usage(5, 1))).with_middleware(with_budget(money))
    stream = model.stream("hello")
    await anext(stream)
    assert money.reserved > 0
    del stream
    assert (money.spent, money.reserved) == (6, 0)
    await asyncio.sleep(0)


@pytest.mark.row("ROUT-10", "CHAT-09")
async def test_a_call_that_is_cancelled_before_anything_came_costs_nothing():
    money = budget()
    model = Held().with_middleware(with_budget(money))
    task = asyncio.create_task(model.generate("hello"))
    await asyncio.sleep(0)
    assert money.reserved > 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (money.spent, money.reserved) == (0, 0)


@pytest.mark.row("NONE-10", "ROUT-10")
async def test_the_loser_of_a_race_is_paid_as_far_as_is_known():
    money, clock = budget(1000), VirtualClock(auto=True)
    slow = Held(StreamChunk(usage=Usage(20, 2)))  # it counts the input, and says nothing
    quick = MockChatModel([said()])
    layer = with_budget(money)
    model = slow.with_middleware(
        with_hedge(quick.with_middleware(layer), delay=1, clock=clock), layer
    )
    await model.generate("hello")
    assert (money.spent, money.reserved) == (22 + 7, 0)


@pytest.mark.row("ROUT-10")
async def test_a_model_without_a_price_is_refused_clearly():
    money = Budget(5, prices=PriceTable(installed=False))
    model = MockChatModel([said()]).with_middleware(with_budget(money))
    with pytest.raises(ConfigError, match=r"no price of mock/mock-fixture: pass Budget\(\.\.\., "):
        await model.generate("hello")
    assert model.calls == []
    with pytest.raises(ConfigError, match=r"no price of x: "):
        money.cost(money_spent(), model_id="x")


def money_spent():
    from beluga_llm._pricing.table import Spent

    return Spent(Usage(1, 1))


class Moody:
    """Prices that fail, or know nothing, once an answer is there."""

    def __init__(self, found: Exception | None) -> None:
        self.found = found

    def cost(self, spent: Spent, *, model_id: str, provider: str | None = None) -> Decimal | None:
        """A dollar for what is asked; for an answer what is given here."""
        if spent.usage.output_tokens == 10:
            return Decimal(1)
        if self.found is not None:
            raise self.found
        return None


@pytest.mark.row("ROUT-10", "MIDD-28")
@pytest.mark.parametrize("found", [None, RuntimeError("down")])
@pytest.mark.parametrize("left", [False, True])
async def test_an_answer_that_cannot_be_priced_is_given_and_costs_what_was_held(found, left):
    money = budget(prices=Moody(found))
    model = MockChatModel([said("four words it has")]).with_middleware(with_budget(money))
    async with model.stream("hi") as stream:
        async for _ in stream:
            if left:
                break
    assert (money.spent, money.reserved) == (1, 0)


@pytest.mark.row("ROUT-10")
async def test_parts_that_are_more_than_the_whole_do_not_cost_the_answer():
    pytest.importorskip("genai_prices", reason="genai-prices is not installed")
    money = Budget(5, prices=OpenAIs())
    model = MockChatModel([AIMessage("hi", usage=Usage(3, 4, cached_tokens=100))], model="gpt-5")
    answer = await model.with_middleware(with_budget(money)).generate("hi")
    assert answer.text == "hi"
    assert (money.spent > 0, money.reserved) == (True, 0)


class OpenAIs:
    """The installed prices, whatever the provider is called."""

    def cost(self, spent: Spent, *, model_id: str, provider: str | None = None) -> Decimal | None:
        """By OpenAI's prices."""
        return PriceTable(installed=True).cost(spent, model_id=model_id, provider="openai")


@pytest.mark.row("ROUT-10")
async def test_what_is_known_to_be_cached_is_a_part_of_what_is_not_reported():
    """The text is estimated; its tokens are not fewer than those of it that were read."""
    table = {"mock-fixture": Price(1_000_000, 0, cached=0)}
    money = budget(1000, prices=table)
    model = Held(StreamChunk("a", usage=Usage(cached_tokens=500, cache_write_tokens=3)))
    async with model.with_middleware(with_budget(money)).stream("hi") as stream:
        await anext(stream)
    assert money.spent == 3


@pytest.mark.row("ROUT-10", "MIDD-28", "OBSE-26")
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("left", [False, True])
async def test_what_a_cache_inside_remembers_is_not_paid_again(streaming, left):
    money = budget()
    layers = with_budget(money), with_cache(cache_streams=True)
    model = MockChatModel([said()]).with_middleware(*layers)
    await model.generate("hi")
    assert money.spent == 7
    if streaming:
        async with model.stream("hi") as stream:
            async for _ in stream:
                if left:
                    break
    else:
        await model.generate("hi")
    assert (money.spent, money.reserved) == (7, 0)


@pytest.mark.parametrize(("priced", "spent"), [(True, 70), (False, 7)])
async def test_the_model_that_answered_is_paid_if_its_price_is_known(priced, spent):
    prices = {"mock-fixture": DOLLAR}
    if priced:
        prices["other"] = Price(10_000_000, 10_000_000)
    money = budget(1000, prices=PriceTable(prices, installed=False))
    answer = AIMessage("hi", usage=Usage(3, 4), model_id="other")
    await MockChatModel([answer]).with_middleware(with_budget(money)).generate("hello")
    assert money.spent == spent


async def test_a_request_without_a_call_is_paid_too():
    async def answer(request: ChatRequest) -> AsyncGenerator[StreamChunk, None]:
        yield StreamChunk("hi", usage=Usage(3, 4))

    money = budget()
    request = ChatRequest(ensure_messages("hello"), model=ModelInfo("mock", "mock-fixture"))
    async for _ in with_budget(money)(request, answer):
        pass
    assert money.spent == 7


def test_a_model_of_several_is_refused():
    router = FailoverRouter(MockChatModel([]), MockChatModel([]))
    with pytest.raises(ConfigError, match="around each of them"):
        router.with_middleware(with_budget(budget()))


def test_a_budget_or_its_settings():
    with pytest.raises(ConfigError, match="not both"):
        with_budget(budget(), daily_limit=3)
    with pytest.raises(ConfigError, match="daily_limit="):
        with_budget()
    layer = with_budget(daily_limit=3, prices={})
    assert layer.budget.daily_limit == 3
    assert repr(layer) == "with_budget(<Budget $0 of $3>)"

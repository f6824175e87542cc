"""A sum of money for each day, shared by all who spend it.

Theory of operation. A call reserves what it may cost before it is sent, and settles what it did
cost when it has ended: exactly once, synchronously, under one lock. A reservation takes part in
"is there room?" like money that was spent, so concurrent calls cannot spend the same dollar. One
whose event loop was closed, or that is older than `lease`, is forgotten: nobody is left to settle
it. A call counts for the day on which it began.
"""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any

from beluga_llm._clock import WALL_CLOCK, Clock
from beluga_llm._errors import BudgetExhaustedError, ConfigError
from beluga_llm._pricing.table import Prices, Pricing, Spent, to_prices
from beluga_llm._tokens import SimpleTokenizer, Tokenizer

ZERO = Decimal(0)


class Budget:
    """So many US dollars a day, for all models that share it.

        budget = Budget(5, prices={"acme/large": Price("2.50", "10")})
        model = model.with_middleware(with_budget(budget))
        budget.spent, budget.left

    It is kept in the memory of this process, and safe for tasks, threads and event loops. A call
    may cost more than was reserved for it; the calls after it then find less.

    Attributes:
        daily_limit: US dollars for each day.
        prices: what is asked for prices.
        tokenizer: estimates the tokens of requests.
        expected_output: tokens that an answer is thought to have where `max_tokens` does not say.

    Args:
        daily_limit: US dollars for each day; a float is taken as written.
        tz: the time zone in which a day begins.
        prices: a table of your own, or a PriceTable; None: the installed prices.
        tokenizer: estimates the tokens of requests.
        expected_output: tokens that an answer is thought to have where `max_tokens` does not say.
        lease: seconds after which a reservation that was not settled is forgotten.
        clock: what tells the time, in unix seconds.

    Raises:
        ConfigError: a number is wrong.
    """

    def __init__(
        self,
        daily_limit: float | str | Decimal,
        tz: tzinfo = UTC,
        *,
        prices: Pricing | None = None,
        tokenizer: Tokenizer | None = None,
        expected_output: int = 1024,
        lease: float = 3600.0,
        clock: Clock | None = None,
    ) -> None:
        self.daily_limit = _limit(daily_limit)
        if not lease > 0:
            raise ConfigError(f"lease must be > 0, got {lease!r}")
        if not expected_output >= 1:
            raise ConfigError(f"expected_output must be at least 1, got {expected_output!r}")
        self.prices: Prices = to_prices(prices)
        self.tokenizer: Tokenizer = tokenizer or SimpleTokenizer()
        self.expected_output = expected_output
        self._tz = tz
        self._lease = lease
        self._clock = clock or WALL_CLOCK
        self._lock = threading.RLock()  # a dropped call may settle while this thread has it
        self._spent = ZERO
        self._held: set[Reservation] = set()
        self._day = self._today()

    @property
    def spent(self) -> Decimal:
        """US dollars settled today."""
        with self._lock:
            self._tidy()
            return self._spent

    @property
    def reserved(self) -> Decimal:
        """US dollars that calls under way may cost."""
        with self._lock:
            self._tidy()
            return self._sum()

    @property
    def left(self) -> Decimal:
        """US dollars that may still be reserved today; never below 0."""
        with self._lock:
            self._tidy()
            return max(self.daily_limit - self._spent - self._sum(), ZERO)

    def reserve(self, amount: Decimal) -> Reservation:
        """Holds an amount for a call.

        Raises:
            BudgetExhaustedError: there is no room for it.
        """
        with self._lock:
            self._tidy()
            reserved = self._sum()
            if self._spent + reserved + amount > self.daily_limit:
                raise self._exhausted(amount, reserved)
            made = Reservation(self, amount, self._day)
            made.expires = self._clock.time() + self._lease
            self._held.add(made)
            return made

    def cost(self, spent: Spent, *, model_id: str, provider: str | None = None) -> Decimal:
        """What tokens of a model cost.

        Raises:
            ConfigError: the price of the model is not known: a budget cannot keep what it cannot
                count.
        """
        found = self.prices.cost(spent, model_id=model_id, provider=provider or None)
        if found is None:
            name = f"{provider}/{model_id}" if provider else model_id
            raise ConfigError(
                f"the budget knows no price of {name}: pass "
                f"Budget(..., prices={{{name!r}: Price(input, output)}}), "
                "in dollars for a million tokens; 0 for what is free"
            )
        return found

    def _settle(self, reservation: Reservation, amount: Decimal) -> None:
        with self._lock:
            self._tidy()
            self._held.discard(reservation)
            if reservation.open and reservation.day == self._day:
                self._spent += amount
            reservation.open = False

    def _exhausted(self, amount: Decimal, reserved: Decimal) -> BudgetExhaustedError:
        held = f" and {_shown(reserved)} reserved" if reserved else ""
        return BudgetExhaustedError(
            f"the daily limit of {_shown(self.daily_limit)} has no room for {_shown(amount)}: "
            f"{_shown(self._spent)} spent{held}",
            limit=self.daily_limit,
            spent=self._spent,
            reserved=reserved,
            needed=amount,
        )

    def _tidy(self) -> None:
        """Begins a new day, and forgets reservations that nobody is left to settle."""
        today = self._today()
        if today > self._day:  # a clock that is set back does not give money back
            self._day, self._spent = today, ZERO
            self._held.clear()
        if self._held:
            now = self._clock.time()
            self._held.difference_update([one for one in tuple(self._held) if one.lost(now)])

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock.time(), self._tz).date()

    def _sum(self) -> Decimal:
        return sum((one.amount for one in tuple(self._held)), ZERO)

    def __repr__(self) -> str:
        return f"<Budget {_shown(self.spent)} of {_shown(self.daily_limit)}>"


class Reservation:
    """Money held for one call. It is settled or released once; what comes after does nothing.

    Attributes:
        amount: US dollars held.
        day: that on which it counts.
        expires: the clock's time at which it is forgotten.
        open: whether it is neither settled nor released.
    """

    def __init__(self, budget: Budget, amount: Decimal, day: date) -> None:
        self.amount = amount
        self.day = day
        self.expires = 0.0
        self.open = True
        self._budget = budget
        self._loop: Any = asyncio._get_running_loop()

    def settle(self, amount: Decimal) -> None:
        """Counts what the call did cost, instead of what was held for it."""
        self._budget._settle(self, amount)

    def release(self) -> None:
        """Gives back what was held: nothing was spent."""
        self._budget._settle(self, ZERO)

    def lost(self, now: float) -> bool:
        """Whether nobody is left to settle it."""
        return now >= self.expires or (self._loop is not None and self._loop.is_closed())


def _limit(value: Any) -> Decimal:
    try:
        limit = Decimal(str(value))
    except ArithmeticError:
        raise ConfigError(f"daily_limit is a number, not {value!r}") from None
    if isinstance(value, bool) or not (limit.is_finite() and limit >= 0):
        raise ConfigError(f"daily_limit must be a number >= 0, got {value!r}")
    return limit


def _shown(amount: Decimal) -> str:
    return f"${amount.normalize():f}" if amount else "$0"

"""Prices: a user's own table over those of genai-prices.

Prices are US dollars for a million tokens. What is not known costs None, never 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol, TypeAlias

from attrs import field, frozen

from beluga_llm._errors import ConfigError
from beluga_llm._pricing.installed import find_source, installed_cost
from beluga_llm._usage import Usage

MILLION = Decimal(1_000_000)
MISSING = "prices need the extra: pip install 'beluga-llm[prices]', or a table of your own"


def _money(value: Any) -> Decimal:
    """A price as a Decimal; a float as it is written."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ConfigError(f"a price is a number, not {type(value).__name__}")
    try:
        money = Decimal(str(value))
    except ArithmeticError:
        raise ConfigError(f"a price is a number, not {value!r}") from None
    if not (money.is_finite() and money >= 0):
        raise ConfigError(f"a price must be >= 0, got {value!r}")
    return money


def _some_money(value: Any) -> Decimal | None:
    return None if value is None else _money(value)


def _tiers(value: Mapping[int, Any]) -> Mapping[int, Price]:
    return {int(start): to_price(price) for start, price in sorted(value.items())}


@frozen
class Price:
    """What a model costs, in US dollars for a million tokens; floats are taken as written.

    Attributes:
        input: fresh input.
        output: output, reasoning included.
        cached: input read from the provider's cache; None: as fresh input.
        cache_write: input written to it, for five minutes or for no stated time; None: as fresh
            input.
        cache_write_1h: input written to it for an hour; None: twice the price of fresh input where
            `cache_write` is set, which is how vendors count it, else as fresh input.
        audio_input: fresh input that is audio; None: as other input.
        audio_output: output that is audio; None: as other output.
        above: other prices for requests with more input tokens than this.

    Raises:
        ConfigError: a price is no number, or negative.
    """

    input: Decimal = field(converter=_money)
    output: Decimal = field(converter=_money)
    cached: Decimal | None = field(default=None, converter=_some_money, kw_only=True)
    cache_write: Decimal | None = field(default=None, converter=_some_money, kw_only=True)
    cache_write_1h: Decimal | None = field(default=None, converter=_some_money, kw_only=True)
    audio_input: Decimal | None = field(default=None, converter=_some_money, kw_only=True)
    audio_output: Decimal | None = field(default=None, converter=_some_money, kw_only=True)
    above: Mapping[int, Price] = field(factory=dict, converter=_tiers, kw_only=True)

    def cost(self, usage: Usage, *, written_1h: int = 0) -> Decimal | None:
        """Dollars for these tokens; None where input or output is not known.

        Args:
            usage: what was spent.
            written_1h: how many of the tokens written to the cache were written for an hour.
        """
        given, made = usage.input_tokens, usage.output_tokens
        if given is None or made is None:
            return None
        price = self._for(given)
        read, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
        hour = min(written_1h, written)
        fresh = max(given - read - written, 0)
        heard, spoken = usage.audio_input_tokens or 0, usage.audio_output_tokens or 0
        heard, spoken = min(heard, fresh), min(spoken, made)
        hourly = price.cache_write_1h
        if hourly is None:
            hourly = price.input if price.cache_write is None else 2 * price.input
        total = (
            (fresh - heard) * price.input
            + heard * _or(price.audio_input, price.input)
            + read * _or(price.cached, price.input)
            + (written - hour) * _or(price.cache_write, price.input)
            + hour * hourly
            + (made - spoken) * price.output
            + spoken * _or(price.audio_output, price.output)
        )
        return total / MILLION

    def _for(self, tokens: int) -> Price:
        reached = [price for start, price in self.above.items() if tokens > start]
        return reached[-1] if reached else self


def _or(price: Decimal | None, other: Decimal) -> Decimal:
    return other if price is None else price


def to_price(value: Any) -> Price:
    """A Price, also of a mapping with its fields.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(value, Price):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"a price is a Price or a mapping, not {type(value).__name__}")
    try:
        return Price(**value)
    except TypeError as error:
        raise ConfigError(f"not a price: {error}") from None


@frozen
class Spent:
    """Tokens to be priced, and what of the request changes their price.

    Attributes:
        usage: the tokens.
        written_1h: tokens written to the provider's cache for an hour; part of the writes.
        service_tier: the provider's word for it: "batch", "flex", "priority", "fast", ...
    """

    usage: Usage
    written_1h: int = 0
    service_tier: str | None = None


class Prices(Protocol):
    """What knows prices: a PriceTable, or anything like it."""

    def cost(self, spent: Spent, *, model_id: str, provider: str | None = None) -> Decimal | None:
        """US dollars; None where the model or its tokens are not known."""
        ...


Pricing: TypeAlias = Prices | Mapping[str, Any]
"""Prices, or a table of your own: "provider/model" or "model" to a Price."""

_VERSIONED = re.compile(
    r"([-@:](\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|\d{3,4}|latest))?([-@:]v\d+(:\d+)?)?"
)
"""What follows a model's name where it names a version of it: a date, a number, "latest"; and on
Amazon Bedrock a `v1:0` as well."""


class PriceTable:
    """A table of your own over the prices that are installed.

        PriceTable({"openai/gpt-5.4-mini": Price("0.75", "4.50", cached="0.075")})

    A name also stands for its dated versions ("gpt-4o" for "gpt-4o-2024-08-06"); the name with its
    provider comes before the one without.

    Args:
        own: "provider/model" or "model" to a Price, or to a mapping with its fields.
        installed: whether genai-prices (extra `prices`) is asked what the table does not have;
            None: where it is installed.

    Raises:
        ConfigError: a price is none.
    """

    def __init__(
        self, own: Mapping[str, Any] | None = None, *, installed: bool | None = None
    ) -> None:
        self._own = {name: to_price(price) for name, price in (own or {}).items()}
        self._installed = installed

    def cost(self, spent: Spent, *, model_id: str, provider: str | None = None) -> Decimal | None:
        """US dollars; None where the model or its tokens are not known.

        Args:
            spent: the tokens.
            model_id: as the provider names it.
            provider: the provider's entry name; without it, well-known names are found.

        Raises:
            ConfigError: the installed prices are asked for and are not installed.
        """
        if spent.usage.input_tokens is None or spent.usage.output_tokens is None:
            return None
        own = self._find(model_id, provider)
        if own is not None:
            return own.cost(spent.usage, written_1h=spent.written_1h)
        if self._installed is False:
            return None
        source = find_source()
        if source is None:
            if self._installed:
                raise ConfigError(MISSING)
            return None
        return installed_cost(
            source,
            spent.usage,
            model_id=model_id,
            provider=provider,
            written_1h=spent.written_1h,
            tier=spent.service_tier,
        )

    def _find(self, model_id: str, provider: str | None) -> Price | None:
        """The price of a name; without its provider only where all who have it cost the same."""
        if provider:
            return self._named(f"{provider}/{model_id}") or self._named(model_id)
        if own := self._named(model_id):
            return own
        providers = {known.partition("/")[0] for known in self._own if "/" in known}
        found = [own for one in providers if (own := self._named(f"{one}/{model_id}"))]
        return found[0] if found and found.count(found[0]) == len(found) else None

    def _named(self, name: str) -> Price | None:
        if name in self._own:
            return self._own[name]
        versions = [
            known
            for known in self._own
            if name.startswith(known) and _VERSIONED.fullmatch(name, len(known))
        ]
        return self._own[max(versions, key=len)] if versions else None

    def __repr__(self) -> str:
        return f"<PriceTable {len(self._own)} own>"


def to_prices(prices: Pricing | None) -> Prices:
    """What is asked for prices: a mapping lies over the installed ones, None means these alone.

    Raises:
        ConfigError: a price is none.
    """
    if prices is None:
        return PriceTable(installed=True)
    return PriceTable(prices) if isinstance(prices, Mapping) else prices

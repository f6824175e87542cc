"""What one answer costs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from beluga_llm._messages import AIMessage
from beluga_llm._pricing.table import Pricing, Spent, to_prices


def cost_of(
    message: AIMessage,
    prices: Pricing | None = None,
    *,
    provider: str | None = None,
    model_id: str | None = None,
) -> Decimal | None:
    """What an answer costs, in US dollars; None where its price or its tokens are not known.

        cost_of(reply)                                       # needs the extra `prices`
        cost_of(reply, {"acme/large": Price("2.50", "10")})  # a table of your own over it

    Tokens read from and written to the provider's cache, and those of long requests, have their own
    prices; reasoning counts as output. The provider's service tier counts where the installed
    prices know it ("flex", "priority", "batch").

    Args:
        message: the answer.
        prices: a table of your own, or a PriceTable; None: the installed prices.
        provider: who answered; without it, well-known model names are found.
        model_id: which model, instead of the one that the message names.

    Raises:
        ConfigError: no table is given, and no prices are installed; or a price is none.
    """
    model = model_id or message.model_id
    table = to_prices(prices)
    if not model:
        return None
    return table.cost(spent_on(message), model_id=model, provider=provider)


def spent_on(message: AIMessage) -> Spent:
    """The tokens of an answer, and what changes their price."""
    facts = message.provider_metadata
    tier = facts.get("service_tier")
    return Spent(message.usage, _written_1h(facts), tier if isinstance(tier, str) else None)


def _written_1h(facts: Mapping[str, Any]) -> int:
    """Anthropic's `cache_creation`: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching."""
    written = facts.get("cache_creation")
    count = written.get("ephemeral_1h_input_tokens") if isinstance(written, Mapping) else None
    return count if type(count) is int and count > 0 else 0

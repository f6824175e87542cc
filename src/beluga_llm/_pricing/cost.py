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
    prices know it ("flex", "priority", "batch", "fast").

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
    return Spent(message.usage, _written_1h(facts), _tier(facts))


def _tier(facts: Mapping[str, Any]) -> str | None:
    """The service tier, in whichever of its places the provider names it.

    OpenAI, Groq, Anthropic: `service_tier`; Anthropic's fast mode: `speed`; the Gemini API:
    `serviceTier`; Amazon Bedrock: an object of that name; Vertex AI: `trafficType`
    (https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse).
    """
    if facts.get("speed") == "fast":
        return "fast"
    found = facts.get("service_tier") or facts.get("serviceTier")
    if isinstance(found, Mapping):
        found = found.get("type")
    if not found:
        found = _TRAFFIC.get(str(facts.get("trafficType")))
    return found.lower() if isinstance(found, str) else None


_TRAFFIC = {"ON_DEMAND_PRIORITY": "priority", "ON_DEMAND_FLEX": "flex"}


def _written_1h(facts: Mapping[str, Any]) -> int:
    """Tokens written to the cache for an hour.

    Anthropic's `cache_creation`: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching;
    Amazon Bedrock's `cacheDetails`: "CacheDetail" of its API reference.
    """
    written, details = facts.get("cache_creation"), facts.get("cacheDetails")
    entries = details if isinstance(details, list | tuple) else ()
    hourly = [one for one in entries if isinstance(one, Mapping) and one.get("ttl") == "1h"]
    counts = [one.get("inputTokens") for one in hourly]
    if isinstance(written, Mapping):
        counts.append(written.get("ephemeral_1h_input_tokens"))
    return sum(count for count in counts if type(count) is int and count > 0)

"""The prices of genai-prices, which is loaded when it is first asked.

genai-prices (https://github.com/pydantic/genai-prices) carries its data in the package; nothing is
ever fetched here. `genai_prices.UpdatePrices`, where an application runs it, is honoured.
"""

from __future__ import annotations

import importlib
import logging
from decimal import Decimal
from typing import Any

from beluga_llm._usage import Usage

logger = logging.getLogger("beluga_llm.prices")

_NAMES = {
    "bedrock": "aws",
    "bedrock-anthropic": "aws",
    "gemini": "google",
    "grok": "x-ai",
    "moonshot": "moonshotai",
    "vertex": "google",
    "vertex-anthropic": "google",
    "xai": "x-ai",
}
"""Providers whose name there is another one than here."""

_ANYBODY = frozenset(("openai-compatible",))
"""Providers that may be anything, whose name looks like that of another one."""


_OTHER_NAMES = {"batch": {"processing": "batch"}, "fast": {"speed": "fast"}}
"""What selects the price of a tier there, where that is not `service_tier`."""


def find_source() -> Any:
    """genai-prices; None where it is not installed."""
    try:
        return importlib.import_module("genai_prices")
    except ModuleNotFoundError as error:
        if error.name != "genai_prices":
            raise
        return None


def installed_cost(
    source: Any,
    usage: Usage,
    *,
    model_id: str,
    provider: str | None,
    written_1h: int,
    tier: str | None,
) -> Decimal | None:
    """US dollars by genai-prices; None where it does not know a price for all tokens."""
    if provider in _ANYBODY:
        return None
    context = None
    if tier:
        context = {"service_tier": tier, **_OTHER_NAMES.get(tier, {})}
    try:
        found = source.calc_price(
            source.Usage(**_counts(usage, written_1h)),
            model_id,
            provider_id=_NAMES.get(provider or "", provider or None),
            price_context=context,
        )
    except LookupError:
        return None
    except ValueError as error:  # parts that do not fit their whole
        logger.warning("the tokens of %s cannot be priced: %s", model_id, error)
        return None
    # What has no price there costs 0 there: embeddings asked to chat, plans without a price by
    # tokens. Only models that say so are free.
    unpriced = (usage.input_tokens and not found.input_price) or (
        usage.output_tokens and not found.output_price
    )
    if unpriced and not model_id.endswith(":free"):
        return None
    return Decimal(found.total_price)


def _counts(usage: Usage, written_1h: int) -> dict[str, int | None]:
    """The tokens by their names there; what is none is left out."""
    short = max((usage.cache_write_tokens or 0) - written_1h, 0) if written_1h else 0
    counts = {
        "cache_read_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_5m_tokens": short,
        "cache_write_1h_tokens": written_1h,
        "input_audio_tokens": usage.audio_input_tokens,
        "output_audio_tokens": usage.audio_output_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
    }
    known = {name: count for name, count in counts.items() if count}
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, **known}

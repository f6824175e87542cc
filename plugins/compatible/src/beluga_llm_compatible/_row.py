"""A vendor as a row: `row(...)` makes the ProviderSpec of what distinguishes it.

A row is data. What its server wants on the wire is a `ChatQuirks` with the reason beside each
quirk; a difference that has no field there gets one there, for everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from beluga_llm.plugin import ChatQuirks, Dialect, ProviderConfig, ProviderSpec

CHAT, RESPONSES = "chat", "responses"


def row(
    name: str,
    *,
    quirks: ChatQuirks | None = None,
    apis: tuple[str, ...] = (CHAT,),
    options: Mapping[str, Any] | None = None,
    option_headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> ProviderSpec:
    """The specification of a vendor.

    Args:
        name: the entry name.
        quirks: how its chat completions differ.
        apis: which APIs it has; the first is the default.
        options: what else may stand in `config.options`.
        option_headers: options that are texts to the headers that they fill.
        **fields: other fields of ProviderSpec.
    """
    return ProviderSpec(
        name=name,
        dialect=partial(_dialect, quirks or ChatQuirks()),
        options={"api": apis, **dict.fromkeys(option_headers or (), str), **(options or {})},
        option_headers=option_headers,
        **fields,
    )


def _dialect(quirks: ChatQuirks, config: ProviderConfig) -> Dialect:
    if config.option("api", str) == RESPONSES:
        from beluga_llm_compatible._responses import VendorResponsesDialect

        return VendorResponsesDialect(config.provider, quirks=quirks)
    from beluga_llm.plugin import OpenAIChatDialect

    return OpenAIChatDialect(config.provider, quirks=quirks)


def by_option(name: str, urls: Mapping[str, str]) -> Callable[[ProviderConfig], str]:
    """A base URL that hangs on an option; the first is the one without it."""
    usual = next(iter(urls.values()))

    def base_url(config: ProviderConfig) -> str:
        return urls.get(config.option(name, str) or "", usual)

    return base_url

"""The Responses API at vendors other than OpenAI."""

from __future__ import annotations

from typing import Any

from beluga_llm import Capabilities
from beluga_llm.plugin import ChatQuirks, ChatRequest, HttpRequest, OpenAIResponsesDialect


class VendorResponsesDialect(OpenAIResponsesDialect):
    """POST /responses, with the errors and the models of one vendor.

    Args:
        provider: the entry name.
        quirks: the vendor's row, of which errors and capabilities hold here too.
    """

    def __init__(self, provider: str | None = None, *, quirks: ChatQuirks, **more: Any) -> None:
        super().__init__(provider, **more)
        self._quirks = quirks
        self.error_rules = self.error_rules.extended(
            codes=quirks.error_codes, patterns=quirks.error_patterns
        )

    def probe_request(self, request: ChatRequest) -> HttpRequest | None:
        """The list of models, or what the vendor has in its place."""
        path = self._quirks.probe_path
        return HttpRequest(path=path, method="GET") if path else None

    def capabilities(self, model: str) -> Capabilities:
        """What is known of the model, and of the API."""
        family = self._quirks.family(model)
        quirks = self._quirks if family is None else self._quirks.of_family(family)
        return quirks.capabilities.merged(super().capabilities(model))

"""The server's OpenAI-compatible API, `/v1/chat/completions`.

Source: "OpenAI compatibility" of the Ollama docs, and `openai/openai.go` of ollama/ollama.
"""

from __future__ import annotations

from typing import Any

from beluga_llm import Capabilities
from beluga_llm.plugin import ChatQuirks, OpenAIChatDialect
from beluga_llm_ollama._facts import LEVELS, RULES, capabilities

QUIRKS = ChatQuirks(
    unsupported=frozenset(("top_k", "n", "logit_bias", "user", "parallel_tool_calls")),
    reasoning_efforts=LEVELS,
    replay_reasoning_field="reasoning",  # read by the server, as it sends it
    strict_tools=False,  # no such field
    tool_choice_required=None,  # tool_choice is not read at all
    tool_choice_named=False,
    text_lists=False,  # the items of a list become messages of their own
    unsupported_parts=frozenset(("image_url", "audio", "file")),
)


class OllamaChatDialect(OpenAIChatDialect):
    """POST /v1/chat/completions of an Ollama server."""

    provider = "ollama"
    path = "/v1/chat/completions"

    def __init__(self, provider: str | None = None, **settings: Any) -> None:
        super().__init__(provider, **{"quirks": QUIRKS, **settings})
        self.error_rules = RULES

    def finish_body(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body; without the tools where none may be called, as `tool_choice` is not read."""
        if body.get("tool_choice") == "none":
            del body["tool_choice"]
            body.pop("tools", None)
        return body

    def capabilities(self, model: str) -> Capabilities:
        """What is known of a model."""
        return capabilities(model)

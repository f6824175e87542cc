"""What both APIs of the server share: words for errors, levels of thinking, and capabilities.

Errors are only texts, `{"error": "..."}`; the status says most. Sources: "Errors", "Thinking" and
"Structured outputs" of the Ollama docs, `server/routes.go`, `server/sched.go` and
`server/thinking.go` of ollama/ollama. The text of the cloud's limits is known from bug reports
only.
"""

from __future__ import annotations

from beluga_llm import (
    Capabilities,
    OverloadedError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
)
from beluga_llm.plugin import COMMON_RULES

RULES = COMMON_RULES.extended(
    patterns=(
        (r"\breached your .{0,20}usage limit", QuotaExceededError),  # the cloud's, for hours
        (r"\bserver busy\b|maximum pending requests exceeded", OverloadedError),
        (r"\btoo many (concurrent )?requests\b", RateLimitError),
        (r"error was encountered while running the model", ProviderUnavailableError),
        (r"failed to generate a response", ProviderUnavailableError),
        (r"\brunner (process )?has (unexpectedly )?(stopped|terminated)", ProviderUnavailableError),
    )
)

LEVELS = {"minimal": "low", "xhigh": "high"}
"""Efforts that not every model takes, and the nearest that all do."""


_CLOUD = ("-cloud", ":cloud")


def capabilities(model: str) -> Capabilities:
    """What is documented of every model; the rest only the server knows (`/api/show`).

    Models in the cloud are not held to a format, says "Structured outputs".
    """
    formats = None if model.endswith(_CLOUD) else True
    return Capabilities(
        tool_choice=frozenset(("auto", "none")),
        json_object=formats,
        json_schema=formats,
        audio=False,
        video=False,
        files=False,
        streaming=True,
        stream_usage=True,
        n=False,
        logprobs=True,
        seed=True,
    )

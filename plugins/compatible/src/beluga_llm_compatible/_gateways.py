"""Gateways to the models of many vendors.

Sources: the pages named at each row.
"""

from __future__ import annotations

from beluga_llm.plugin import ChatQuirks
from beluga_llm_compatible._row import CHAT, RESPONSES, row

openrouter = row(  # https://openrouter.ai/docs/api-reference/chat-completion
    "openrouter",
    env=("OPENROUTER_API_KEY",),
    base_url="https://openrouter.ai/api/v1",
    chat_example="openai/gpt-4o-mini",
    apis=(CHAT, RESPONSES),
    option_headers={  # https://openrouter.ai/docs/app-attribution
        "referer": "HTTP-Referer",
        "title": "X-Title",
        "http_referer": "HTTP-Referer",
        "x_title": "X-Title",
    },
    quirks=ChatQuirks(
        reasoning_request="object",
        replay_reasoning_field="reasoning_details",  # signatures and encrypted data, whole
        file_urls=True,
        probe_path="/key",  # its list of models needs no key; .../api-keys/get-current-key
        part_hints=("cache_control",),  # https://openrouter.ai/docs/features/prompt-caching
        # 403: "... requires moderation. Your input was flagged for ..."
        error_patterns={r"\binput was flagged\b": "ContentFilterError"},
    ),
)

vercel = row(  # https://vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions
    "vercel",
    env=("AI_GATEWAY_API_KEY",),
    base_url="https://ai-gateway.vercel.sh/v1",
    quirks=ChatQuirks(
        reasoning_request="object",
        replay_reasoning_field="reasoning_details",  # signatures and encrypted data, whole
    ),
)

litellm = row(  # https://docs.litellm.ai/docs/proxy/user_keys, .../exception_mapping
    "litellm",
    env=("LITELLM_API_KEY",),
    key_required=False,
    base_url="http://localhost:4000/v1",
    default_model="gpt-4o",
    quirks=ChatQuirks(
        # its own exceptions stand in front of the vendor's words
        error_patterns={
            r"\bContextWindowExceededError\b": "ContextLengthError",
            r"\bContentPolicyViolationError\b": "ContentFilterError",
            r"\bBudgetExceededError\b|\bbudget has been exceeded\b": "QuotaExceededError",
        },
    ),
)

bifrost = row(  # https://docs.getbifrost.ai
    "bifrost",
    env=("BIFROST_API_KEY",),
    key_required=False,
)

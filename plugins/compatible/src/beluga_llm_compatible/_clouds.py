"""Clouds, whose addresses hold an account or a workspace.

Sources: docs.databricks.com, docs.snowflake.com, developers.cloudflare.com and docs.github.com, at
the pages named at each row.
"""

from __future__ import annotations

from beluga_llm.plugin import ChatQuirks
from beluga_llm_compatible._row import row

databricks = row(  # .../machine-learning/foundation-model-apis/api-reference
    "databricks",
    env=("DATABRICKS_TOKEN",),
    base_url="https://{host}/serving-endpoints",
    option_env={"host": ("DATABRICKS_HOST",)},
    options={"host": str},
    quirks=ChatQuirks(
        stream_usage="always",  # every frame has it, partly null
        replay_reasoning_field="summary",  # items of `content`, as they came
        models={
            "databricks-claude": {  # a budget, and no effort
                "reasoning_request": "",
                "reasoning_budget": {"thinking": {"type": "enabled", "budget_tokens": None}},
            },
        },
    ),
)

_TEXT_ONLY = {"unsupported": ("tools",), "response_formats": ()}
"""Snowflake takes tools and formats for Claude and OpenAI's models only."""

snowflake = row(  # .../user-guide/snowflake-cortex/cortex-rest-api
    "snowflake",
    env=("SNOWFLAKE_TOKEN",),
    base_url="https://{account}.snowflakecomputing.com/api/v2/cortex/v1",
    option_env={"account": ("SNOWFLAKE_ACCOUNT",)},
    options={"account": str},
    quirks=ChatQuirks(
        reasoning_request="object",
        strict_tools=False,  # not documented
        models={
            "claude": {"response_formats": ("json_schema",)},
            "deepseek": _TEXT_ONLY,
            "llama": _TEXT_ONLY,
            "mistral": _TEXT_ONLY,
            "mixtral": _TEXT_ONLY,
            "snowflake-llama": _TEXT_ONLY,
        },
    ),
)

cloudflare = row(  # .../workers-ai/configuration/open-ai-compatibility, .../platform/errors
    "cloudflare",
    env=("CLOUDFLARE_API_TOKEN",),
    base_url="https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
    option_env={"account": ("CLOUDFLARE_ACCOUNT_ID",)},
    options={"account": str},
    quirks=ChatQuirks(
        error_codes={
            "5007": "ModelNotFoundError",  # 400
            "5021": "ContextLengthError",  # 400
            "3036": "QuotaExceededError",  # 429: the free allocation of the day is used up
            "3040": "OverloadedError",  # 429: out of capacity
        },
        # 413, of other codes
        error_patterns={r"\bexceeded this model context window limit\b": "ContextLengthError"},
    ),
)

github_models = row(  # .../rest/models/inference; closed on 2026-07-30
    "github-models",
    env=("GITHUB_TOKEN",),
    base_url="https://models.github.ai/inference",
    quirks=ChatQuirks(error_codes={"unknown_model": "ModelNotFoundError"}),  # 400
)

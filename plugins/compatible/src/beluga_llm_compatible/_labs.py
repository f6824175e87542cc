"""Vendors that serve models of their own: DeepSeek, xAI, Alibaba, Moonshot and Z.AI.

Sources: the API references and error pages named at each row.
"""

from __future__ import annotations

from beluga_llm.plugin import ChatQuirks
from beluga_llm_compatible._row import CHAT, RESPONSES, by_option, row

_ON, _OFF = {"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}

_THINKS = {
    "tool_choice_required": "",  # "does not support this tool_choice"
    "tool_choice_named": False,
    "replay_reasoning_empty": "",  # the field is demanded, its text is not
    "capabilities": {"reasoning": True},
}
"""DeepSeek's thinking models."""

deepseek = row(  # https://api-docs.deepseek.com/api/create-chat-completion, .../thinking_mode
    "deepseek",
    env=("DEEPSEEK_API_KEY",),
    base_url="https://api.deepseek.com",
    default_model="deepseek-flash",  # `deepseek-chat` is gone since 2026-07-24
    apis=(CHAT, RESPONSES),
    quirks=ChatQuirks(
        # no parameters of the API, which ignores what it does not know
        unsupported=["seed", "n", "top_k", "logit_bias", "parallel_tool_calls", "user"],
        response_formats=("json_object",),
        reasoning_on=_ON,
        reasoning_off=_OFF,
        replay_reasoning_field="reasoning_content",  # demanded between the turns of tools
        finish_reasons={"insufficient_system_resource": "error"},
        models={
            "deepseek-reasoner": _THINKS,
            "deepseek-v4": _THINKS,
            "deepseek-v4-pro": {**_THINKS, "unsupported_parts": ("image",)},  # as its price list
            "deepseek-flash": {**_THINKS, "capabilities": {"reasoning": True, "images": True}},
        },
    ),
)

_REASONING = ("stop", "frequency_penalty", "presence_penalty")
"""What xAI's reasoning models refuse."""
_GROK_4 = {
    "unsupported": (*_REASONING, "reasoning_effort"),
    "capabilities": {"reasoning": True},
}
_NO_REASONING = {"unsupported": ("reasoning_effort",), "capabilities": {"reasoning": False}}

xai = row(  # https://docs.x.ai/docs/guides/reasoning, https://docs.x.ai/docs/api-reference
    "xai",
    env=("XAI_API_KEY",),
    base_url="https://api.x.ai/v1",
    default_model="grok-4.3",
    apis=(CHAT, RESPONSES),
    quirks=ChatQuirks(
        unsupported=("top_k",),  # no parameter of the API
        models={
            "grok-3": {"unsupported": ("presence_penalty", "reasoning_effort")},
            "grok-3-mini": {"unsupported": _REASONING, "capabilities": {"reasoning": True}},
            "grok-code-fast": {"unsupported": (*_REASONING, "reasoning_effort")},
            # these reason, but take no effort
            "grok-4": _GROK_4,
            "grok-4.20": _GROK_4,
            "grok-4.": {
                "unsupported": _REASONING,
                "reasoning_efforts": {"minimal": "low", "xhigh": "high", "max": "high"},
                "capabilities": {"reasoning": True},
            },
            "grok-4-fast-non-reasoning": _NO_REASONING,
            "grok-4-1-fast-non-reasoning": _NO_REASONING,
            "grok-4.20-non-reasoning": _NO_REASONING,
            "grok-4.20-0309-non-reasoning": _NO_REASONING,
        },
    ),
)

qwen = row(  # https://www.alibabacloud.com/help/en/model-studio/use-qwen-by-calling-api
    "qwen",
    env=("DASHSCOPE_API_KEY",),
    base_url=by_option(  # keys belong to a region
        "region",
        {
            "cn": "https://dashscope.aliyuncs.com/compatible-mode/v1",
            "intl": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            "us": "https://dashscope-us.aliyuncs.com/compatible-mode/v1",
        },
    ),
    options={"region": ("cn", "intl", "us")},
    quirks=ChatQuirks(
        unsupported_parts=("file",),  # content of type `file` is refused
        tool_choice_required="",  # auto, none, or one function
        reasoning_request="",  # on or off, and a budget
        reasoning_on={"enable_thinking": True},
        reasoning_off={"enable_thinking": False},
        reasoning_budget={"enable_thinking": True, "thinking_budget": None},
        error_codes={  # https://www.alibabacloud.com/help/en/model-studio/error-code
            "arrearage": "QuotaExceededError",  # 400: the account is overdue
            "data_inspection_failed": "ContentFilterError",
            "insufficient_quota": "RateLimitError",  # here: tokens a minute, so it passes
        },
        error_patterns={r"\brange of input length should be\b": "ContextLengthError"},
    ),
)

_KIMI = {
    # set by the platform
    "unsupported": ("temperature", "top_p", "n", "frequency_penalty", "presence_penalty"),
    "replay_reasoning_empty": " ",  # the field is demanded, and "" is none
    "capabilities": {"reasoning": True},
}
"""Moonshot's reasoning models."""
_LOW_HIGH_MAX = {"none": "", "minimal": "low", "medium": "high", "xhigh": "high"}
"""For models that always reason, and know low, high and max."""

moonshot = row(  # https://platform.kimi.ai/docs/api/chat
    "moonshot",
    env=("MOONSHOT_API_KEY",),
    base_url="https://api.moonshot.ai/v1",
    quirks=ChatQuirks(
        tool_choice_required="",  # "does not support the tool_choice=required parameter"
        strict_tools=False,
        replay_reasoning_field="reasoning_content",  # demanded with tool calls
        reasoning_request="",  # on or off
        reasoning_on=_ON,
        reasoning_off=_OFF,
        models={
            "moonshot-v1": {"reasoning_on": {}, "reasoning_off": {}},  # it does not reason
            "kimi-k2.": _KIMI,
            "kimi-k3": {
                **_KIMI,
                "reasoning_request": "effort",
                "reasoning_on": {},
                "reasoning_off": {},
                "reasoning_efforts": _LOW_HIGH_MAX,
            },
        },
        error_patterns={r"\bexceeded model token limit\b": "ContextLengthError"},
    ),
)

zai = row(  # https://docs.z.ai/api-reference/llm/chat-completion
    "zai",
    env=("ZAI_API_KEY",),
    base_url="https://api.z.ai/api/paas/v4",
    quirks=ChatQuirks(
        # no parameters of the API
        unsupported=[
            "frequency_penalty",
            "presence_penalty",
            "seed",
            "n",
            "logprobs",
            "top_logprobs",
            "logit_bias",
            "top_k",
            "parallel_tool_calls",
        ],
        option_names={"user": "user_id"},
        response_formats=("json_object",),
        strict_tools=False,
        names=False,
        text_lists=False,  # its template drops lists of texts
        reasoning_on=_ON,
        reasoning_off=_OFF,
        replay_reasoning_field="reasoning_content",  # to be returned with results of tools
        finish_reasons={"sensitive": "content_filter", "network_error": "error"},
        models={"glm-5.3": {"reasoning_off": {}, "reasoning_efforts": _LOW_HIGH_MAX}},
        error_codes={  # https://docs.z.ai/api-reference/api-code
            "1113": "QuotaExceededError",  # 429: no balance
            "1211": "ModelNotFoundError",  # 400
            "1261": "ContextLengthError",  # 400: "Prompt exceeds max length"
            "1301": "ContentFilterError",  # 400
        },
    ),
)

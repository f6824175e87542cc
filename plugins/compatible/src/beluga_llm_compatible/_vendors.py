"""Vendors that serve open models, and Perplexity.

Sources: the API references and error pages named at each row, and the vendors' own Python SDKs.
"""

from __future__ import annotations

from beluga_llm.plugin import Capabilities, ChatQuirks
from beluga_llm_compatible._row import row

_LEVELS = ("minimal", "low", "medium", "high", "xhigh", "max")
_TO_HIGH = {"minimal": "low", "xhigh": "high", "max": "high"}
"""For servers that know low, medium and high: the nearest of these."""

groq = row(  # https://console.groq.com/docs/openai, https://console.groq.com/docs/reasoning
    "groq",
    env=("GROQ_API_KEY",),
    base_url="https://api.groq.com/openai/v1",
    chat_example="openai/gpt-oss-20b",
    quirks=ChatQuirks(
        max_tokens_field="max_completion_tokens",  # `max_tokens` is deprecated
        # a 400 each; top_k is no parameter of the API
        unsupported=["logprobs", "top_logprobs", "logit_bias", "n", "top_k"],
        names=False,  # `messages[].name` is a 400
        reasoning_hidden={"include_reasoning": False},
        # 498: the flex tier is full, try later; https://console.groq.com/docs/flex-processing
        error_codes={"capacity_exceeded": "OverloadedError"},
        models={
            "openai/gpt-oss": {
                "reasoning_efforts": {**_TO_HIGH, "none": ""},  # it always reasons
                "capabilities": {"reasoning": True},
            },
            "qwen/qwen3": {
                # it only knows "none" and "default", and reasons inline unless "parsed"
                "reasoning_efforts": dict.fromkeys(_LEVELS, "default"),
                "reasoning_on": {"reasoning_format": "parsed"},
                "reasoning_hidden": {"reasoning_format": "hidden"},
                "capabilities": {"reasoning": True},
            },
        },
    ),
)

together = row(  # https://docs.together.ai/reference/chat-completions-1
    "together",
    env=("TOGETHER_API_KEY",),
    base_url="https://api.together.xyz/v1",
    default_model="meta-llama/Llama-3.3-70B-Instruct-Turbo",
    quirks=ChatQuirks(
        logprobs_count=True,  # `logprobs` is the number of alternatives
        reasoning_off={"reasoning": {"enabled": False}},  # the switch of hybrid models
        reasoning_efforts=_TO_HIGH,
        error_patterns=(  # 400, and 403 in its list of errors
            (r"inputs?`? tokens? \+ `?max_(new_)?tokens`?", "ContextLengthError"),
            (r"input token count \+ max_tokens", "ContextLengthError"),
        ),
    ),
)

fireworks = row(  # https://docs.fireworks.ai/api-reference/post-chatcompletions
    "fireworks",
    env=("FIREWORKS_API_KEY",),
    base_url="https://api.fireworks.ai/inference/v1",
    default_model="accounts/fireworks/models/gpt-oss-20b",
    quirks=ChatQuirks(
        reasoning_efforts=_TO_HIGH,
        reasoning_budget={"reasoning_effort": None},  # a number there is a limit in tokens
        models={
            "accounts/fireworks/models/gpt-oss": {
                "reasoning_budget": {},  # these take words only
                "reasoning_efforts": {**_TO_HIGH, "none": ""},
                "capabilities": {"reasoning": True},
            },
        },
        # 412: "Account x is suspended, possibly due to reaching the monthly spending limit"
        error_patterns={r"\baccount \S+ is suspended\b": "QuotaExceededError"},
    ),
)

perplexity = row(  # https://docs.perplexity.ai/api-reference/chat-completions-post
    "perplexity",
    env=("PERPLEXITY_API_KEY",),
    base_url="https://api.perplexity.ai",
    quirks=ChatQuirks(
        # "Tool calling is not supported for this model"; the others are no parameters of the API
        unsupported=["tools", "tool_choice", "parallel_tool_calls", "seed", "logit_bias", "user"],
        merge_system=True,  # system messages must come first
        names=False,  # messages have role and content
        response_formats=("json_schema",),
        reasoning_efforts={"none": "", "xhigh": "high", "max": "high"},
        stream_usage="never",  # every frame has it, without being asked
        end_marker=False,  # streams end without [DONE]
        error_codes={"invalid_model": "ModelNotFoundError"},  # 400
        capabilities=Capabilities(stream_usage=True),
    ),
)

huggingface = row(  # https://huggingface.co/docs/inference-providers/tasks/chat-completion
    "huggingface",
    env=("HF_TOKEN", "HUGGINGFACE_API_KEY"),
    base_url="https://router.huggingface.co/v1",
    quirks=ChatQuirks(
        end_marker=False,  # some backends end streams without [DONE]
        error_codes={"model_not_supported": "ModelNotFoundError"},  # 400: no backend has it
    ),
)

sambanova = row(  # https://docs.sambanova.ai/docs/en/api-reference/chat-completion
    "sambanova",
    env=("SAMBANOVA_API_KEY",),
    base_url="https://api.sambanova.ai/v1",
    quirks=ChatQuirks(
        # "not yet supported by our models"; `user` is no parameter of the API
        unsupported=["logprobs", "top_logprobs", "logit_bias", "n", "seed", "user"],
        reasoning_efforts=_TO_HIGH,
        reasoning_off={"chat_template_kwargs": {"enable_thinking": False}},
        models={
            "gpt-oss": {"reasoning_off": {}, "reasoning_efforts": {**_TO_HIGH, "none": ""}},
            "DeepSeek-V3": {  # a switch of the template, and no effort
                "reasoning_request": "",
                "reasoning_on": {"chat_template_kwargs": {"enable_thinking": True}},
            },
        },
    ),
)

cerebras = row(  # https://inference-docs.cerebras.ai/resources/openai, .../capabilities/reasoning
    "cerebras",
    env=("CEREBRAS_API_KEY",),
    base_url="https://api.cerebras.ai/v1",
    quirks=ChatQuirks(
        max_tokens_field="max_completion_tokens",
        # a 400 each; top_k is no parameter of the API
        unsupported=[
            "frequency_penalty",
            "presence_penalty",
            "logit_bias",
            "parallel_tool_calls",
            "top_k",
        ],
        reasoning_on={"reasoning_format": "parsed"},  # some models else reason inline
        reasoning_off={"disable_reasoning": True},
        reasoning_hidden={"reasoning_format": "hidden"},
        models={
            "gpt-oss": {  # it always reasons
                "reasoning_off": {},
                "reasoning_efforts": {**_TO_HIGH, "none": ""},
                "capabilities": {"reasoning": True},
            },
            "zai-glm": {  # on or off, and no effort
                "reasoning_request": "",
                "capabilities": {"reasoning": True},
            },
        },
    ),
)

nvidia = row(  # https://docs.api.nvidia.com/nim/reference/llm-apis
    "nvidia",
    env=("NVIDIA_API_KEY",),
    base_url="https://integrate.api.nvidia.com/v1",
)

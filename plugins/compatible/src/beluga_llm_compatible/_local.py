"""Servers that run on this machine, or on one's own.

Sources: the pages named at each row.
"""

from __future__ import annotations

from beluga_llm.plugin import ChatQuirks
from beluga_llm_compatible._row import CHAT, RESPONSES, row

vllm = row(  # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    "vllm",
    env=("VLLM_API_KEY",),
    key_required=False,
    base_url="http://localhost:8000/v1",
    local=True,
    quirks=ChatQuirks(
        merge_system=True,  # many templates take one system message, at the beginning
        unsupported_parts=("file",),
        reasoning_hidden={"include_reasoning": False},
        reasoning_budget={"thinking_token_budget": None},
    ),
)

lmstudio = row(  # https://lmstudio.ai/docs/developer/openai-compat
    "lmstudio",
    env=("LMSTUDIO_API_KEY",),
    key_required=False,
    base_url="http://localhost:1234/v1",
    apis=(CHAT, RESPONSES),
    local=True,
    quirks=ChatQuirks(
        # "'response_format.type' must be 'json_schema' or 'text'"
        response_formats=("json_schema",),
        # 400: "... the model is loaded with context length of only 4096 tokens, ..."
        error_patterns={r"\bcontext length of only \d+ tokens\b": "ContextLengthError"},
    ),
)

llamacpp = row(  # https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
    "llamacpp",
    env=("LLAMACPP_API_KEY",),
    key_required=False,
    base_url="http://localhost:8080/v1",
    default_model="default",  # one model is loaded, whatever it is called
    local=True,
    quirks=ChatQuirks(
        merge_system=True,  # many templates take one system message, at the beginning
        unsupported_parts=("file",),
    ),
)

"""Vendors, gateways and local servers that speak chat completions, one row of data each.

    model = llm.create("groq/openai/gpt-oss-20b")           # the key: GROQ_API_KEY
    model = llm.create("deepseek", api="responses")
    model = llm.create("vllm/my-model", base_url="http://gpu-box:8000/v1")

Each name is a `ProviderSpec`; the group of rows that it stands in is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm.plugin import lazy_face

if TYPE_CHECKING:
    from beluga_llm_compatible._clouds import cloudflare as cloudflare
    from beluga_llm_compatible._clouds import databricks as databricks
    from beluga_llm_compatible._clouds import github_models as github_models
    from beluga_llm_compatible._clouds import snowflake as snowflake
    from beluga_llm_compatible._gateways import bifrost as bifrost
    from beluga_llm_compatible._gateways import litellm as litellm
    from beluga_llm_compatible._gateways import openrouter as openrouter
    from beluga_llm_compatible._gateways import vercel as vercel
    from beluga_llm_compatible._labs import deepseek as deepseek
    from beluga_llm_compatible._labs import moonshot as moonshot
    from beluga_llm_compatible._labs import qwen as qwen
    from beluga_llm_compatible._labs import xai as xai
    from beluga_llm_compatible._labs import zai as zai
    from beluga_llm_compatible._llama import llama as llama
    from beluga_llm_compatible._local import llamacpp as llamacpp
    from beluga_llm_compatible._local import lmstudio as lmstudio
    from beluga_llm_compatible._local import vllm as vllm
    from beluga_llm_compatible._vendors import cerebras as cerebras
    from beluga_llm_compatible._vendors import fireworks as fireworks
    from beluga_llm_compatible._vendors import groq as groq
    from beluga_llm_compatible._vendors import huggingface as huggingface
    from beluga_llm_compatible._vendors import nvidia as nvidia
    from beluga_llm_compatible._vendors import perplexity as perplexity
    from beluga_llm_compatible._vendors import sambanova as sambanova
    from beluga_llm_compatible._vendors import together as together

_WHERE = {
    "_clouds": ("cloudflare", "databricks", "github_models", "snowflake"),
    "_gateways": ("bifrost", "litellm", "openrouter", "vercel"),
    "_labs": ("deepseek", "moonshot", "qwen", "xai", "zai"),
    "_llama": ("llama",),
    "_local": ("llamacpp", "lmstudio", "vllm"),
    "_vendors": (
        "cerebras", "fireworks", "groq", "huggingface", "nvidia", "perplexity", "sambanova",
        "together",
    ),
}  # fmt: skip
__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)

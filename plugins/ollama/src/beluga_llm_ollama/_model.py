"""The provider `ollama`."""

from __future__ import annotations

from typing import ClassVar

from beluga_llm.plugin import Dialect, ProviderConfig, ProviderModel, ProviderSpec
from beluga_llm_ollama._host import host_url


def _dialect(config: ProviderConfig) -> Dialect:
    if config.option("api", str) == "chat":
        from beluga_llm_ollama._chat import OllamaChatDialect

        return OllamaChatDialect(config.provider)
    from beluga_llm_ollama._dialect import OllamaDialect

    return OllamaDialect(config.provider)


class OllamaChatModel(ProviderModel):
    """A model of an Ollama server, on this machine or another, or of Ollama Cloud.

    Option of its own: `api`, "native" (the default, `/api/chat`) or "chat" (the server's
    OpenAI-compatible `/v1/chat/completions`).

        OllamaChatModel(model="qwen3")
        OllamaChatModel(model="gpt-oss:120b", base_url="https://ollama.com", api_key="...")
    """

    spec: ClassVar[ProviderSpec] = ProviderSpec(
        name="ollama",
        dialect=_dialect,
        env=("OLLAMA_API_KEY",),
        base_url="http://localhost:11434",
        base_url_env="OLLAMA_HOST",
        read_url=host_url,
        key_required=False,
        options={"api": ("native", "chat")},
        local=True,
    )

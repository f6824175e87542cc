"""docs/providers.md, made from the specifications of the installed providers.

    python tests/support/catalogue.py          # prints it
    python tests/support/catalogue.py --write  # writes it

The table says what a provider needs and what it is by default; what else is to be known of it
stands in the README of its plugin.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path

import beluga_llm as llm
from beluga_llm.cli._specs import known_distributions, spec_of
from beluga_llm.plugin import ProviderConfig, ProviderSpec

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "providers.md"

HEAD = """\
# Providers

`llm.create("entry/model")` finds a provider by its entry name. Each is installed with its
distribution; the key comes from the first of its variables that is set, or from `api_key=`.
`{name}` in an address is an option of that name; other options may change an address too. An
address in parentheses must be given, by `base_url=` or the variable beside it.

This page is generated: `python tests/support/catalogue.py --write`. What else is to be known of a
provider, such as its options and what it refuses, is in the page of its distribution, which the
tables link to.

## Which provider

| you have, or want | take |
| --- | --- |
| a key of a vendor | its own: `openai`, `anthropic`, `google`, `mistral`, `cohere`, `xai` |
| models in your cloud | `azure`, `vertex`, `bedrock` |
| Claude in your cloud | `vertex-anthropic`, `bedrock-anthropic` |
| open models, hosted and fast | `groq`, `cerebras`, `together`, `fireworks`, `sambanova` |
| one key for many vendors | `openrouter`, `vercel`, `huggingface` |
| a gateway that you run | `litellm`, `bifrost`; any other one as `openai-compatible` |
| models on this machine | `ollama`, `llamacpp`, `lmstudio` |
| models on your own GPUs | `vllm` |
| answers with sources from the web | `perplexity` |
| reasoning that is kept between turns | `anthropic`, `google`, `openai` with `api="responses"` |
| to try things out, or to test | `demo`, `mock` |
"""

GROUPS: Mapping[str, str] = {
    "Vendors": """
        openai anthropic google mistral cohere groq together fireworks deepseek xai perplexity
        qwen sambanova cerebras nvidia moonshot zai""",
    "Clouds": """
        azure vertex vertex-anthropic bedrock bedrock-anthropic databricks snowflake cloudflare
        github-models""",
    "Gateways": "openrouter huggingface vercel litellm bifrost llama",
    "Local servers": "ollama vllm lmstudio llamacpp openai-compatible",
    "Testing": "demo mock echo",
}
COLUMNS = ("entry", "distribution", "key", "address", "default model", "APIs")


def page() -> str:
    """The whole page."""
    aliases = _aliases()
    parts = [HEAD]
    for title, names in GROUPS.items():
        rows = [_row(name) for name in names.split()]
        parts.append(f"\n## {title}\n\n{_table(rows)}")
    shown = ", ".join(f"`{alias}` is `{entry}`" for alias, entry in sorted(aliases.items()))
    parts.append(f"\nFurther names: {shown}.\n")
    return "".join(parts)


def _table(rows: list[list[str]]) -> str:
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _row(entry: str) -> list[str]:
    distribution = _linked(known_distributions()[entry])
    spec = spec_of(entry)
    if spec is None:
        return [f"`{entry}`", distribution, "-", "-", _model_of(entry), "-"]
    return [
        f"`{entry}`",
        distribution,
        _key(spec),
        _address(spec),
        f"`{spec.default_model}`" if spec.default_model else "-",
        _apis(spec),
    ]


def _linked(distribution: str) -> str:
    """The name of a distribution, with a link to what it says of itself; not for the core."""
    readme = Path("plugins") / distribution.removeprefix("beluga-llm-") / "README.md"
    return (
        f"[`{distribution}`](../{readme.as_posix()})"
        if (ROOT / readme).exists()
        else f"`{distribution}`"
    )


def _key(spec: ProviderSpec) -> str:
    names = ", ".join(f"`{name}`" for name in spec.env)
    if spec.signer is not None:
        return f"{names}, or the cloud's own" if names else "the cloud's own"
    return names if spec.key_required else f"{names} (optional)"


def _address(spec: ProviderSpec) -> str:
    url = spec.base_url
    if callable(url):
        url = url(ProviderConfig(provider=spec.name))
    return f"`{url}`" if url else f"(`{spec.base_url_variable}`)"


def _apis(spec: ProviderSpec) -> str:
    kinds = spec.options.get("api")
    return ", ".join(f"`{kind}`" for kind in kinds) if isinstance(kinds, tuple) else "-"


def _model_of(entry: str) -> str:
    if entry == "llama":
        return "the backend's"
    return f"`{llm.create(entry).model_id}`"


def _aliases() -> dict[str, str]:
    """Further entry names, and the canonical ones."""
    return {
        point.name: spec.name
        for point in entry_points(group="beluga_llm.providers")
        if (spec := spec_of(point.name)) is not None and spec.name != point.name
    }


def unlisted() -> Iterator[str]:
    """Known entries that no group has."""
    listed = {name for names in GROUPS.values() for name in names.split()} | set(_aliases())
    yield from (name for name in known_distributions() if name not in listed)


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(), "utf-8")
    else:
        print(page(), end="")

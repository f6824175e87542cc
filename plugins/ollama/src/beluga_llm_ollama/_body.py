"""A request as the body of `POST /api/chat`.

Sampling stands in an object of its own, `options`, together with what concerns the running model,
such as `num_ctx`. `provider_options={"ollama": {...}}` is sorted the same way: names of that object
go into it, all others onto the body; `"options": {...}` in it is merged whole. What the API does
not have is left out and noted.

Sources: "Chat" and "Modelfile" of the Ollama docs, `docs/openapi.yaml` of ollama/ollama.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beluga_llm import GenerateOptions, ReasoningConfig, ToolDefinition
from beluga_llm.plugin import ChatRequest, Notes, provider_options
from beluga_llm_ollama._facts import LEVELS
from beluga_llm_ollama._messages import encode_messages

MODEL_OPTIONS = frozenset((
    "num_keep", "seed", "num_predict", "top_k", "top_p", "min_p", "tfs_z", "typical_p",
    "repeat_last_n", "temperature", "repeat_penalty", "presence_penalty", "frequency_penalty",
    "mirostat", "mirostat_tau", "mirostat_eta", "penalize_newline", "stop", "numa", "num_ctx",
    "num_batch", "num_gpu", "main_gpu", "low_vram", "f16_kv", "logits_all", "vocab_only",
    "use_mmap", "use_mlock", "num_thread", "embedding_only",
))  # fmt: skip
"""The names that stand in `options`."""

_SAMPLING = {
    "num_predict": "max_tokens",
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
_ABSENT: Mapping[str, Any] = {
    "n": 1,
    "logit_bias": None,
    "user": None,
    "parallel_tool_calls": True,
}
"""Options that the API does not have, and the values that ask for nothing."""


def encode_body(request: ChatRequest, notes: Notes) -> dict[str, Any]:
    """The body; `stream` is always said, as the API streams by default."""
    options = request.options
    _note_absent(options, notes)
    body: dict[str, Any] = {
        "model": options.model,
        "messages": encode_messages(request.messages, notes),
        "stream": request.streaming,
        **_tools(request, notes),
        **_format(options),
        **_think(options.reasoning, notes),
        **_logprobs(options),
    }
    given = provider_options(request, notes.provider, "ollama")
    body.update({name: given[name] for name in given if name not in MODEL_OPTIONS})
    inner = given.get("options")
    own = {name: given[name] for name in given if name in MODEL_OPTIONS}
    if settings := {**_settings(options), **(inner if isinstance(inner, Mapping) else {}), **own}:
        body["options"] = settings
    return body


def _settings(options: GenerateOptions) -> dict[str, Any]:
    named = {field: getattr(options, name) for field, name in _SAMPLING.items()}
    found = {field: value for field, value in named.items() if value is not None}
    if options.stop:
        found["stop"] = list(options.stop)
    return found


def _note_absent(options: GenerateOptions, notes: Notes) -> None:
    for name, nothing in _ABSENT.items():
        if (value := getattr(options, name)) not in (None, nothing, {}):
            notes.option(name, f"{name} {value!r} is not supported by {notes.provider}")


def _tools(request: ChatRequest, notes: Notes) -> dict[str, Any]:
    """The tools; none where none may be called, as no field says so."""
    choice = request.options.tool_choice
    if not request.tools or choice == "none":
        return {}
    if choice not in (None, "auto"):
        notes.option("tool_choice", f"{notes.provider} cannot be made to call a tool: {choice!r}")
    return {"tools": [_tool(tool, notes) for tool in request.tools]}


def _tool(tool: ToolDefinition, notes: Notes) -> dict[str, Any]:
    if tool.strict:
        notes.option("strict", f"strict tools are not supported by {notes.provider}")
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.input_schema or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _format(options: GenerateOptions) -> dict[str, Any]:
    wanted = options.response_format
    if wanted is None or wanted.type == "text":
        return {}
    return {"format": "json" if wanted.schema is None else wanted.schema}


def _think(config: ReasoningConfig | None, notes: Notes) -> dict[str, Any]:
    """Whether to think, and how much; a model without levels takes any as yes."""
    if config is None:
        return {}
    if config.budget_tokens is not None:
        notes.option("reasoning_budget", f"{notes.provider} has no budget of reasoning tokens")
    if config.effort is None:
        return {}
    effort = str(config.effort)
    return {"think": False if effort == "none" else LEVELS.get(effort, effort)}


def _logprobs(options: GenerateOptions) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if options.logprobs or options.top_logprobs is not None:
        found["logprobs"] = True
    if options.top_logprobs is not None:
        found["top_logprobs"] = options.top_logprobs
    return found

"""What is known of each OpenAI model, by the beginning of its id.

Nothing is known of a name that is not here, and so nothing is refused on its behalf; a name that
goes on with another version number is another model. Fine-tuned models (`ft:gpt-4o:...`) are like
their base.

Sources: the model pages, the reasoning guide ("Limitations"), the guide to the latest model
("Parameter compatibility"), the deployment checklist and the API reference of
https://developers.openai.com/api/docs, and answers of the API itself ("Unsupported parameter:
'stop' is not supported with this model.").
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import attrs

from beluga_llm import Capabilities, GenerateOptions

Reasons = Literal["never", "always", "by default", "on request"]

WHILE_REASONING: Mapping[str, Any] = {
    "temperature": 1,
    "top_p": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "top_logprobs": None,
}
"""Options that a model refuses while it reasons, and the values that ask for nothing."""


@attrs.frozen(kw_only=True)
class ModelFacts:
    """Facts about one model.

    Attributes:
        reasons: whether and when it reasons; "by default" can be turned off by the effort "none",
            "on request" needs an effort.
        refuses: options that it never takes.
        capabilities: what it can do.
    """

    reasons: Reasons | None = None
    refuses: frozenset[str] = frozenset()
    capabilities: Capabilities = attrs.field(factory=Capabilities)

    def refused(self, options: GenerateOptions) -> list[str]:
        """The options that are set but that the model does not take."""
        names = set(self.refuses)
        if self._reasons_with(options):
            names |= WHILE_REASONING.keys()
        return sorted(name for name in names if _is_set(options, name))

    def _reasons_with(self, options: GenerateOptions) -> bool:
        effort = options.reasoning.effort if options.reasoning else None
        if self.reasons == "by default":
            return effort != "none"
        if self.reasons == "on request":
            return effort not in (None, "none")
        return self.reasons == "always"


def _is_set(options: GenerateOptions, name: str) -> bool:
    if name == "reasoning_effort":
        return options.reasoning is not None and options.reasoning.effort is not None
    return getattr(options, name) not in (None, ())


def _facts(
    reasons: Reasons,
    *refuses: str,
    images: bool = True,
    audio: bool = False,
    schemas: bool = True,
    tools: bool = True,
) -> ModelFacts:
    reasoning = reasons != "never"
    return ModelFacts(
        reasons=reasons,
        refuses=frozenset(refuses if reasoning else (*refuses, "reasoning_effort")),
        capabilities=Capabilities(
            tools=tools,
            tool_choice=frozenset(("auto", "none", "required", "named") if tools else ()),
            parallel_tool_calls=tools and "parallel_tool_calls" not in refuses,
            json_object=True,
            json_schema=schemas,
            images=images,
            audio=audio,
            video=False,
            files=images,
            reasoning=reasoning,
            streaming=True,
            stream_usage=True,
            n=True,
            logprobs=reasons != "always",
            seed=True,
            prefill=False,
        ),
    )


_CHAT = _facts("never")
_OLD_VISION = _facts("never", schemas=False)
_OLD = _facts("never", schemas=False, images=False)
_SOUND = _facts("never", schemas=False, images=False, audio=True)
_ALWAYS = _facts("always", "stop")
_ON_REQUEST = _facts("on request", "stop")
_GPT_5_6 = _facts("by default", "stop", "logit_bias")

_UNKNOWN = ModelFacts()

_GPT_6 = _facts("by default", "stop")

_TABLE: Mapping[str, ModelFacts] = {
    "gpt-6.2": _ALWAYS,  # unverified: the vendor's own pages were not at hand
    "gpt-6.1": _GPT_6,
    "gpt-6.1-sol": _ALWAYS,  # has no effort "none"
    "gpt-6": _GPT_6,
    "gpt-6-astra": _ALWAYS,  # likewise
    "gpt-5.6": _GPT_5_6,
    "gpt-5.5": _facts("by default", "stop"),
    "gpt-5.5-pro": _ALWAYS,
    "gpt-5.4": _ON_REQUEST,
    "gpt-5.4-pro": _ALWAYS,
    "gpt-5.3": _ON_REQUEST,
    "gpt-5.3-chat": _ALWAYS,
    "gpt-5.2": _ON_REQUEST,
    "gpt-5.2-chat": _ALWAYS,
    "gpt-5.2-pro": _ALWAYS,
    "gpt-5.1": _ON_REQUEST,
    "gpt-5.1-chat": _ALWAYS,
    "gpt-5.1-codex": _ALWAYS,
    "gpt-5": _ALWAYS,
    "gpt-5-chat": _CHAT,
    "codex-mini": _ALWAYS,
    "o4-mini": _ALWAYS,
    "o3": _ALWAYS,
    "o3-mini": _facts("always", "stop", "parallel_tool_calls", images=False),
    "o1": _facts("always", "parallel_tool_calls"),
    "gpt-4.1": _CHAT,
    "gpt-4o": _CHAT,
    "gpt-4o-mini": _CHAT,
    "gpt-4o-2024-05-13": _OLD_VISION,
    "gpt-4o-audio-preview": _SOUND,
    "gpt-4o-mini-audio-preview": _SOUND,
    "gpt-4o-search-preview": _UNKNOWN,
    "gpt-4o-mini-search-preview": _UNKNOWN,
    "gpt-audio": _SOUND,
    "chatgpt-4o-latest": _facts("never", schemas=False, tools=False),
    "gpt-4-turbo": _OLD_VISION,
    "gpt-4": _OLD,
    "gpt-3.5-turbo": _OLD,
}


@lru_cache(maxsize=256)
def model_facts(model: str) -> ModelFacts:
    """What is known of a model; nothing of a name that is not in the table."""
    name = model.removeprefix("ft:")
    known = [prefix for prefix in _TABLE if name.startswith(prefix) and _ends(name, prefix)]
    return _TABLE[max(known, key=len)] if known else _UNKNOWN


def _ends(name: str, prefix: str) -> bool:
    return name[len(prefix) : len(prefix) + 1] in ("", "-", ":")

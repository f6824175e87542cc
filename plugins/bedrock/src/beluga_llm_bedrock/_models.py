"""What is known of each model on Bedrock, by the beginning of its id.

`model_facts(model)` takes any form of an id: `anthropic.claude-opus-4-5-20251101-v1:0`, with a
region's prefix (`us.`, `global.`), and ARNs that end with one. A name that goes on with another
version number is another model. A Claude of an unknown version counts as the newest; of a name that
says nothing (an application inference profile, an imported model) nothing is known.

Sources: "Supported models and features for Converse", "Model inference parameters", "Extended
thinking", "Adaptive thinking" and "Structured output" of the Amazon Bedrock user guide, the Amazon
Nova user guide, "Models overview" and "Effort" of the Claude Platform docs. What is marked
unverified rests on recorded traffic and on what other SDKs found, not on a page of AWS.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

import msgspec

Accepts = Literal["yes", "without_thinking", "no"]
Asked = Literal[
    "adaptive",  # Claude: thinking with an effort
    "budget",  # Claude: thinking with a budget of tokens
    "both",
    "nova",  # reasoningConfig with maxReasoningEffort
    "reasoning_effort",
    "reasoning.effort",
    "reasoning_config",
    "always",  # it reasons, and nothing changes that
    "none",  # it does not reason
    "unknown",
]

EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
_LEVELS = ("low", "medium", "high")
_CLAUDES = ("low", "medium", "high", "xhigh", "max")


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about one model; None is unknown.

    Attributes:
        claude: whether it is a Claude, which takes fields of Claude's own API.
        reasoning: how it is asked to reason.
        efforts: the levels of effort that it has, lowest first.
        reasons_by_default: whether it reasons where nothing is said.
        off: Claude's thinking type that turns thinking off; None where nothing does.
        max_output: limit on output tokens, where a budget of reasoning must fit in.
        sampling: whether it takes temperature, top_p and top_k.
        stop: whether it takes stop sequences.
        top_k: where `top_k` goes among the model's own fields; empty where it has none.
        tools: whether it takes tools.
        forced_tools: whether it takes a tool choice that forces a call.
        schemas: whether it holds answers and strict tools to a schema.
        images, audio, video, files: whether it reads them.
        prefill: whether a conversation may end with the beginning of its answer.
        result_status: whether results of tools may say that they are errors.
        short_ids: ids of calls must have nine letters and digits.
    """

    claude: bool = False
    reasoning: Asked = "unknown"
    efforts: tuple[str, ...] = _LEVELS
    reasons_by_default: bool = False
    off: str | None = None
    max_output: int | None = None
    sampling: Accepts = "yes"
    stop: bool = True
    top_k: tuple[str, ...] = ()
    tools: bool | None = None
    forced_tools: Accepts | None = None
    schemas: bool | None = None
    images: bool | None = None
    audio: bool | None = None
    video: bool | None = None
    files: bool | None = None
    prefill: bool | None = None
    result_status: bool = True
    short_ids: bool = False


_with = msgspec.structs.replace

_FABLE_5_1 = ModelFacts(
    claude=True,
    reasoning="adaptive",
    efforts=_CLAUDES,
    reasons_by_default=True,
    sampling="no",
    top_k=("top_k",),
    tools=True,
    forced_tools="no",
    schemas=None,  # AWS lists none of the fifth generation; some are reported to work
    images=True,
    audio=False,
    video=False,
    files=True,
    prefill=False,
)
_FABLE_5 = _with(_FABLE_5_1, forced_tools="yes")
_OPUS_5 = _with(_FABLE_5, off="disabled")
_OPUS_4_7 = _with(
    _FABLE_5_1,
    reasons_by_default=False,
    forced_tools="without_thinking",  # unverified
    schemas=False,
)
_OPUS_4_6 = _with(
    _OPUS_4_7,
    reasoning="both",
    efforts=("low", "medium", "high", "max"),
    sampling="without_thinking",
    schemas=True,
)
_OPUS_4_5 = _with(_OPUS_4_6, reasoning="budget", max_output=64_000, prefill=True)
_SONNET_4 = _with(_OPUS_4_5, schemas=False)
_OPUS_4 = _with(_SONNET_4, max_output=32_000)
_SONNET_3_5 = _with(_SONNET_4, reasoning="none", max_output=8_192, sampling="yes")
_HAIKU_3 = _with(_SONNET_3_5, max_output=4_096)
_CLAUDE_2 = _with(_HAIKU_3, tools=False, forced_tools="no", images=False, files=False)

_NOVA = ModelFacts(
    reasoning="none",
    top_k=("inferenceConfig", "topK"),
    tools=True,
    forced_tools="yes",
    schemas=False,
    images=True,
    audio=False,
    video=True,
    files=True,
)
_PLAIN = ModelFacts(reasoning="none", schemas=False, audio=False, video=False)
_OPEN = ModelFacts(reasoning="reasoning_config", stop=False, audio=False, video=False)
_GPT = ModelFacts(
    reasoning="reasoning.effort",
    efforts=(),  # as they are given
    sampling="no",
    stop=False,
    tools=True,
    audio=False,
    video=False,
)

_TABLE: dict[str, ModelFacts] = {
    "anthropic.claude-fable-5-2": _FABLE_5_1,
    "anthropic.claude-mythos-5-2": _FABLE_5_1,
    "anthropic.claude-fable-5-1": _FABLE_5_1,
    "anthropic.claude-mythos-5-1": _FABLE_5_1,
    "anthropic.claude-opus-5-5": _FABLE_5_1,
    "anthropic.claude-sonnet-5-5": _with(_FABLE_5_1, off="between_tools"),
    "anthropic.claude-haiku-5-5": _OPUS_5,  # forced tools unverified
    "anthropic.claude-fable-5": _FABLE_5,
    "anthropic.claude-mythos-5": _FABLE_5,
    "anthropic.claude-opus-5": _OPUS_5,
    "anthropic.claude-sonnet-5": _OPUS_5,
    "anthropic.claude-opus-4-8": _OPUS_4_7,
    "anthropic.claude-opus-4-7": _OPUS_4_7,
    "anthropic.claude-mythos-preview": _with(_OPUS_4_6, reasons_by_default=True, sampling="no"),
    "anthropic.claude-opus-4-6": _OPUS_4_6,
    "anthropic.claude-sonnet-4-6": _OPUS_4_6,
    "anthropic.claude-opus-4-5": _OPUS_4_5,
    "anthropic.claude-sonnet-4-5": _OPUS_4_5,
    "anthropic.claude-haiku-4-5": _OPUS_4_5,
    "anthropic.claude-opus-4": _OPUS_4,
    "anthropic.claude-opus-4-1": _OPUS_4,
    "anthropic.claude-sonnet-4": _SONNET_4,
    "anthropic.claude-3-7-sonnet": _SONNET_4,
    "anthropic.claude-3-5-sonnet": _SONNET_3_5,
    "anthropic.claude-3-5-haiku": _SONNET_3_5,
    "anthropic.claude-3": _HAIKU_3,
    "anthropic.claude-v2": _CLAUDE_2,
    "anthropic.claude-instant": _CLAUDE_2,
    "amazon.nova-2": _with(_NOVA, reasoning="nova"),
    "amazon.nova-micro": _with(_NOVA, images=False, video=False, files=False),
    "amazon.nova": _NOVA,
    "amazon.titan": _with(_PLAIN, tools=False, images=False),
    "ai21.": _with(_PLAIN, images=False),
    "cohere.": _with(_PLAIN, tools=True, forced_tools="no", images=False),  # forced: unverified
    "deepseek.r1": _with(_OPEN, reasoning="always", images=False),
    "deepseek.": _with(_OPEN, images=False),  # reasoning: unverified
    "google.": _with(_OPEN, reasoning="unknown"),
    "meta.": _with(_PLAIN, tools=True, forced_tools="no"),  # forced: unverified
    "minimax.": _with(_OPEN, reasoning="unknown"),
    "mistral.voxtral": ModelFacts(tools=True, audio=True, video=False, short_ids=True),
    "mistral.": ModelFacts(tools=True, audio=False, video=False, short_ids=True),
    "moonshot.": _OPEN,  # reasoning: unverified
    "moonshotai.": _OPEN,  # reasoning: unverified
    "openai.gpt-oss": _with(
        _GPT, reasoning="reasoning_effort", efforts=_LEVELS, sampling="yes", images=False
    ),
    "openai.": _GPT,
    "qwen.": _with(_OPEN, efforts=("low", "high")),  # reasoning: unverified
    "writer.": _with(_PLAIN, tools=True, result_status=False),
    "zai.": _OPEN,  # reasoning: unverified
}

NEWEST = _FABLE_5_1
"""A Claude of an unknown version."""

UNKNOWN = ModelFacts()
"""A name that says nothing."""

_BY_LENGTH = sorted(_TABLE.items(), key=lambda row: -len(row[0]))
_VERSION_GOES_ON = re.compile(r"-\d{1,2}(?!\d)")


@lru_cache(maxsize=256)
def model_facts(model: str) -> ModelFacts:
    """What is known of a model."""
    name = vendor_name(model)
    for prefix, facts in _BY_LENGTH:
        goes_on = facts.claude and _VERSION_GOES_ON.match(name, len(prefix))
        if name.startswith(prefix) and not goes_on:
            return facts
    return NEWEST if name.startswith("anthropic.claude") else UNKNOWN


def vendor_name(model: str) -> str:
    """The id as it begins with its vendor: without what an ARN and a region put before it."""
    name = model.lower().rpartition("/")[2]
    region, dot, rest = name.partition(".")
    return rest if dot and rest.partition(".")[0] in _VENDORS and region not in _VENDORS else name


_VENDORS = frozenset(prefix.partition(".")[0] for prefix in _TABLE)

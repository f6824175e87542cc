"""What is known of each Cohere model, by the beginning of its id.

The longest beginning counts; nothing is refused on behalf of a name that is not here.

Sources: "An Overview of Cohere's Models" and the pages of the models, "Reasoning Capabilities", and
`tool_choice` ("only compatible with models Command-r7b and newer") in "Chat API" of
https://docs.cohere.com.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from beluga_llm import Capabilities


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about one model; None where unknown.

    Attributes:
        reasons: whether it takes and gives thinking.
        images: whether it takes images.
        tools: whether it calls tools.
        tool_choice: whether a call can be forced or forbidden.
    """

    reasons: bool | None = None
    images: bool | None = None
    tools: bool | None = True
    tool_choice: bool = True

    @property
    def capabilities(self) -> Capabilities:
        """The same, and what is so with every model."""
        more = ("none", "required", "named") if self.tool_choice else ()
        return Capabilities(
            tools=self.tools,
            tool_choice=frozenset(("auto", *more)),
            parallel_tool_calls=False,  # calls may be parallel, but that cannot be chosen
            json_object=True,
            json_schema=True,
            images=self.images,
            audio=False,
            video=False,
            files=False,
            reasoning=self.reasons,
            streaming=True,
            stream_usage=True,
            n=False,
            logprobs=True,
            seed=True,
        )


_TEXT = ModelFacts(reasons=False, images=False)
_OLDER = ModelFacts(reasons=False, images=False, tool_choice=False)
_OLDEST = ModelFacts(reasons=False, images=False, tools=None, tool_choice=False)

_TABLE: dict[str, ModelFacts] = {
    "command-a-plus": ModelFacts(reasons=True, images=True),
    "command-a-reasoning": ModelFacts(reasons=True, images=False),
    "command-a-vision": ModelFacts(reasons=False, images=True, tools=None),
    "command-a-translate": ModelFacts(reasons=False, images=False, tools=None),
    "command-a-03": _TEXT,
    "command-r7b": _TEXT,
    "command-r-": _OLDER,
    "command-light": _OLDEST,
    "command-nightly": _OLDEST,
    "c4ai-aya-vision": ModelFacts(reasons=False, images=True, tools=None),
    "c4ai-aya-expanse": ModelFacts(reasons=False, images=False, tools=None),
    "north-mini-code": ModelFacts(images=False),
    "north-small-translate": ModelFacts(images=False, tools=None),
}
_ALIASES = {"command-r": _OLDER, "command": _OLDEST}

UNKNOWN = ModelFacts(tools=None)
_BY_LENGTH = sorted(_TABLE.items(), key=lambda row: -len(row[0]))


@lru_cache(maxsize=256)
def model_facts(model: str) -> ModelFacts:
    """What is known of a model; nothing of a name that is not in the table."""
    if model in _ALIASES:
        return _ALIASES[model]
    return next((facts for prefix, facts in _BY_LENGTH if model.startswith(prefix)), UNKNOWN)

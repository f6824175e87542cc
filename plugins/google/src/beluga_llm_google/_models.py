"""What is known of each Gemini model, by the beginning of its id.

`model_facts(model)` takes any form of an id: `gemini-2.5-flash`, `models/gemini-2.5-flash`,
`publishers/google/models/gemini-2.5-flash`. A Gemini of an unknown version, and an alias such as
`gemini-flash-latest`, counts as the newest; of a name that is no Gemini (Gemma, a tuned model, an
endpoint) nothing is refused.

Sources: "Thinking" and the developers' guides of the Gemini Enterprise Agent Platform docs (for
levels), "Gemini thinking" of the Gemini API docs (ranges of budgets), "What's new in Gemini 4", and
the answers of the APIs themselves ("Penalty is not enabled for models/gemini-2.5-flash", "Multiple
candidates is not enabled for this model"). What those do not say is marked unverified.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

import msgspec

Where = Literal["everywhere", "vertex", "nowhere"]

LEVELS = ("minimal", "low", "medium", "high")


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about one model.

    Attributes:
        thinking: how it is asked to think: by a "level", by a "budget" of tokens, by "both" (one
            or the other), or "none" where it cannot.
        levels: the levels of thinking that it has, lowest first.
        least, most: the range of its budgets, in tokens.
        off: whether a budget of 0 switches its thinking off.
        signs: whether a call must carry a signature in the requests that follow.
        candidates: where it gives several answers at once.
        penalties: where it takes the two penalties.
        json_with_tools: whether an answer may be held to JSON where tools are offered.
        media_in_results: whether the result of a tool may hold media itself.
        validates: whether calls can be held to their schemas without being forced.
        prefill: whether a conversation may end with the beginning of its answer.
    """

    thinking: Literal["level", "budget", "both", "none"] = "level"
    levels: tuple[str, ...] = LEVELS[1:]
    least: int = 0
    most: int = 24_576
    off: bool = True
    signs: bool = True
    candidates: Where = "nowhere"
    penalties: Where = "nowhere"
    json_with_tools: bool = True
    media_in_results: bool = True
    validates: bool = True
    prefill: bool | None = None


NEWEST = ModelFacts(prefill=False)
"""Gemini 4, and a Gemini of an unknown version."""

UNKNOWN = ModelFacts(
    signs=False, candidates="everywhere", penalties="everywhere", media_in_results=False
)
"""A name that is no Gemini."""

_GEMINI_3 = ModelFacts(thinking="both", candidates="vertex")
_GEMINI_3_PRO = msgspec.structs.replace(_GEMINI_3, levels=("low", "high"))
_FROM_MINIMAL = msgspec.structs.replace(_GEMINI_3, levels=LEVELS)
_FLASH_2_5 = ModelFacts(
    thinking="budget",
    levels=(),
    signs=False,
    candidates="everywhere",
    penalties="vertex",
    json_with_tools=False,
    media_in_results=False,
    prefill=True,
)
_GEMINI_2 = msgspec.structs.replace(
    _FLASH_2_5, thinking="none", penalties="everywhere", validates=False
)

_TABLE: dict[str, ModelFacts] = {
    "gemini-3.8-flash-lite": _FROM_MINIMAL,  # unverified: as the other Flash-Lite models
    "gemini-3.6": _FROM_MINIMAL,
    "gemini-3.5": _FROM_MINIMAL,
    "gemini-3.1-flash": _FROM_MINIMAL,
    "gemini-3-flash": _FROM_MINIMAL,
    "gemini-3-pro": _GEMINI_3_PRO,
    "gemini-3": _GEMINI_3,
    "gemini-2.5-pro": msgspec.structs.replace(_FLASH_2_5, least=128, most=32_768, off=False),
    "gemini-2.5-flash-lite": msgspec.structs.replace(_FLASH_2_5, least=512),
    "gemini-2.5-flash-image": msgspec.structs.replace(_FLASH_2_5, thinking="none"),
    "gemini-2.5": _FLASH_2_5,
    "gemini-robotics-er-1.5": _FLASH_2_5,
    "gemini-2": _GEMINI_2,
    "gemini-1": _GEMINI_2,
}
_BY_LENGTH = sorted(_TABLE.items(), key=lambda row: -len(row[0]))
_GOES_ON = re.compile(r"\d")


@lru_cache(maxsize=256)
def model_facts(model: str) -> ModelFacts:
    """What is known of a model."""
    name = model.lower().rpartition("/")[2]
    for prefix, facts in _BY_LENGTH:
        if name.startswith(prefix) and not _GOES_ON.match(name, len(prefix)):
            return facts
    return NEWEST if name.startswith("gemini") else UNKNOWN

"""Language models over datasets of Ray Data.

    answers = beluga_llm_ray.generate(dataset, model="openai/gpt-5.4-mini", prompt="question")

Names are loaded when they are first used, and Ray when a dataset is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_llm.plugin import lazy_face

if TYPE_CHECKING:
    from beluga_llm_ray._stage import generate as generate

_WHERE = {
    "_stage": ("generate",),
}
__version__ = "0.1.0"

__all__, __getattr__, __dir__ = lazy_face(__name__, _WHERE)

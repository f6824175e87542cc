"""Chance: odd data, what a server should never send and one day does, and cuts at any byte.

What fails names its seed; `BELUGA_SEED=<seed> pytest ...` makes the same choices again.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterator
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 3, 1e400, 2.5, "", " ", "kit", "\ud83d", "null", "{}", [], {}, [None],
    [[]], [{}], ["kit"], [3], {"kit": None}, {"type": 3}, {"type": "kit_unknown"}, {"text": None},
    {"content": [None, 3, "x", {"type": "text", "text": {}}]},
)  # fmt: skip
"""Values of every type, for where another one is expected."""


SEED = "BELUGA_SEED"
"""The environment variable that repeats what was random."""


class Chance(random.Random):
    """Random choices that can be made again; its text, which says how, belongs into messages."""

    def __init__(self) -> None:
        self.number = int(os.environ.get(SEED) or random.randrange(1_000_000))
        super().__init__(self.number)

    def __str__(self) -> str:
        return f"repeat with {SEED}={self.number}"


def odd(chance: random.Random) -> Any:
    """An odd value."""
    return copy.deepcopy(chance.choice(ODD))


def bent(value: Any, chance: random.Random) -> Any:
    """JSON data with an odd value in one random place, or with one place missing."""
    made = copy.deepcopy(value)
    places = [*_places(made)]
    if not places:
        return odd(chance)
    holder, key = chance.choice(places)
    if chance.random() < 0.2:
        del holder[key]
    else:
        holder[key] = odd(chance)
    return made


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place inside JSON data, as what holds it and its key there."""
    keys: Any = value if isinstance(value, dict) else range(len(value)) if _is_list(value) else ()
    for key in list(keys):
        yield value, key
        yield from _places(value[key])


def _is_list(value: Any) -> bool:
    return isinstance(value, list)

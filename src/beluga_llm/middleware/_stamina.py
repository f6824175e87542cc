"""The word of stamina about retries, where the application uses it; it is never imported here.

`stamina.set_active(False)` switches retries off, `stamina.set_testing(True)` does away with waits
and sets how many attempts there are. Source: https://stamina.hynek.me/en/stable/testing.html
"""

from __future__ import annotations

import sys
from typing import Any


def attempts_allowed(most: int) -> int:
    """How many attempts there may be where a policy wants so many."""
    stamina: Any = sys.modules.get("stamina")
    if stamina is None:
        return most
    if not stamina.is_active():
        return 1
    if not waits_are_off():
        return most
    testing = getattr(getattr(stamina, "_config", None), "CONFIG", None)
    return 1 if testing is None else int(testing.testing.get_attempts(most))


def waits_are_off() -> bool:
    """Whether the application's tests want no waits between attempts."""
    stamina: Any = sys.modules.get("stamina")
    is_testing = getattr(stamina, "is_testing", None)
    return is_testing is not None and bool(is_testing())

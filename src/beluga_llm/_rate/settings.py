"""What `with_limits` is told."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

from attrs import frozen

from beluga_llm._errors import ConfigError

_COUNTS = ("rps", "rpm", "tpm", "max_concurrent")
_SECONDS = ("cooldown", "max_wait")


@frozen(kw_only=True)
class ProviderLimits:
    """How much may be asked of a provider; None or 0 is no limit.

    Attributes:
        rps: requests that may begin in any second.
        rpm: requests that may begin in any minute.
        tpm: tokens, input and output, of requests that begin in any minute.
        max_concurrent: requests that may run at the same time.
        cooldown: seconds to wait once before `on_limit="raise"` raises.
        on_limit: "wait" for a place, or "raise" RateLimitError.
        max_wait: seconds that a request may wait; one that would wait longer fails at once.
        adaptive: whether a 429 of the provider holds back all requests of the same provider,
            address, key and model, in the whole process.

    Raises:
        ConfigError: lists all values that are wrong.
    """

    rps: int | None = None
    rpm: int | None = None
    tpm: int | None = None
    max_concurrent: int | None = None
    cooldown: float | None = None
    on_limit: Literal["wait", "raise"] = "wait"
    max_wait: float | None = None
    adaptive: bool = True

    def __attrs_post_init__(self) -> None:
        if problems := list(_problems(self)):
            raise ConfigError.of(problems)

    @property
    def patience(self) -> float:
        """Seconds that a request may wait; infinite without a limit."""
        return self.max_wait or math.inf


def _problems(limits: ProviderLimits) -> Iterator[str]:
    for name in _COUNTS:
        value = getattr(limits, name)
        if value is not None and not (_is_number(value) and isinstance(value, int) and value >= 0):
            yield f"{name} must be an integer of at least 0, or None, got {value!r}"
    for name in _SECONDS:
        value = getattr(limits, name)
        if value is not None and not (_is_number(value) and value >= 0):
            yield f"{name} must be a number of seconds of at least 0, or None, got {value!r}"
    if limits.on_limit not in ("wait", "raise"):
        yield f"on_limit must be 'wait' or 'raise', got {limits.on_limit!r}"
    if not isinstance(limits.adaptive, bool):
        yield f"adaptive must be a bool, got {limits.adaptive!r}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

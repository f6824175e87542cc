"""Tokens spent, and why an answer ended."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class FinishReason(StrEnum):
    """Why the answer ended; the provider's own word is kept in `raw_finish_reason`."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"
    OTHER = "other"


def _sum(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b


class Usage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Tokens of one answer, in one normal form for every provider.

    `input_tokens` includes what was read from and written to the provider's cache,
    `output_tokens` includes reasoning; the other fields are parts of these two. What the provider
    did not report is None, an explicit 0 is 0. `a + b` sums.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.total_tokens is None and None not in (self.input_tokens, self.output_tokens):
            total = (self.input_tokens or 0) + (self.output_tokens or 0)
            msgspec.structs.force_setattr(self, "total_tokens", total)

    def __add__(self, other: Usage) -> Usage:
        if not isinstance(other, Usage):
            return NotImplemented
        fields = [*map(_sum, msgspec.structs.astuple(self), msgspec.structs.astuple(other))]
        if fields[2] is not None and self._total_is_derived and other._total_is_derived:
            fields[2] = _sum(fields[0], fields[1])
        return Usage(*fields)

    @property
    def _total_is_derived(self) -> bool:
        """Whether the total says nothing that input and output do not."""
        return self.total_tokens in (None, _sum(self.input_tokens, self.output_tokens))

    def merged(self, later: Usage) -> Usage:
        """This usage with the fields that a later report of the same answer has."""
        if self == NO_USAGE or later is self:
            return later
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(later), strict=True)
        fields = [old if new is None else new for old, new in pairs]
        if later.total_tokens is None and self._total_is_derived:
            fields[2] = None  # it was derived: derive it anew
        return Usage(*fields)


NO_USAGE = Usage()

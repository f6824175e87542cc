"""The seam between `with_limits` and where the counts are kept: this process, or one for several.

A store counts; it does not wait. `take` gives a place, or says how long to wait before asking
again; the layer keeps the waiters in their order, and asks for one of them at a time. What a call
reports of its place is synchronous, for a call may end where nothing can be awaited any more; a
store that has to send it does so with its next command, and at once where it is asked to `flush`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from beluga_llm._rate.governor import StateKey
from beluga_llm._rate.settings import ProviderLimits

LimitName: TypeAlias = Literal["RPS", "RPM", "TPM", "concurrency", "provider"]


class LimitDemand(msgspec.Struct, frozen=True):
    """What a request needs in order to begin.

    Attributes:
        key: provider, base URL, fingerprint of the credential and model id: whose 429 counts.
        limits: what was declared.
        tokens: how many tokens it is thought to cost; 0 where they are not limited.
    """

    key: StateKey
    limits: ProviderLimits
    tokens: int = 0


class LimitRefusal(msgspec.Struct, frozen=True):
    """Why a request cannot begin now.

    Attributes:
        name: the limit; "provider" is the gate that a 429 has closed.
        seconds: until there is a place, if nothing is given back before; infinite where only that
            helps.
        again: seconds after which to ask again, where other processes may give something back;
            None: after `seconds`, or when something of this process is given back.
    """

    name: LimitName
    seconds: float
    again: float | None = None

    @property
    def rest(self) -> float:
        """Seconds to wait before asking again."""
        return self.seconds if self.again is None else self.again


class LimitPlace(Protocol):
    """A place in the limits, held by one request."""

    def accepted(self, facts: Mapping[str, Any] | None) -> None:
        """The provider answers; `facts` are `provider_metadata["rate_limit"]`."""
        ...

    def refused(self, retry_after: float | None) -> None:
        """The provider answered 429, and asks to wait so many seconds."""
        ...

    def release(self, tokens: int | None) -> None:
        """The request has ended; further calls do nothing.

        Args:
            tokens: what it has cost; None where that is not known, and what was reserved stays.
        """
        ...


@runtime_checkable
class LimitStore(Protocol):
    """Where the counts of limits are kept."""

    @property
    def running(self) -> int:
        """How many requests of this process hold a place."""
        ...

    async def take(self, demand: LimitDemand) -> LimitPlace | LimitRefusal:
        """All that a request needs, or nothing of it.

        What a cancellation in here leaves taken must expire, like the places of a process that
        has died.
        """
        ...

    def leave(self, demand: LimitDemand) -> None:
        """A request that was refused does not wait any longer.

        Stores that keep a line of several processes take it out; those of this process wait in the
        order of the layer.
        """
        ...

    def outlook(self, demand: LimitDemand, *, count: int, tokens: int) -> LimitRefusal | None:
        """What a request will have to wait for longest, and how long at least, if that is known.

        Args:
            demand: what it needs.
            count: how many requests wait before it.
            tokens: what these need together.
        """
        ...

    async def flush(self) -> None:
        """Sends what was reported of places, if it has not been sent; it raises nothing."""
        ...

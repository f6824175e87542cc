"""Less time for what is inside of the layer.

    model = model.with_middleware(with_retry(), with_timeout(total=30))    # for each attempt
    model = model.with_middleware(with_timeout(total=90), with_retry())    # for all of them

The layer writes its limits into the request, and whoever waits goes by them: the transport's reads,
retries, limits. They only narrow what holds already: the model's own limits, `timeout=` of the
call, other layers. Only a total is also watched from outside, a little later, for models that
watch no time themselves.
"""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from beluga_llm._call import CallNext, Chunks
from beluga_llm._deadline import Reads
from beluga_llm._errors import ConfigError
from beluga_llm._option_ranges import check_timeout
from beluga_llm._option_types import Timeouts
from beluga_llm._request import Bounds, ChatRequest


class TimeLimit:
    """The layer of `with_timeout`; times are seconds, None for no limit.

    Attributes:
        total: from the first read to the end.
        first_chunk: streams: from the request to the first content.
        idle: streams: silence between two reads, once content has come.
    """

    def __init__(
        self, *, total: float | None, first_chunk: float | None, idle: float | None
    ) -> None:
        limits = Timeouts(total=total, first_chunk=first_chunk, idle=idle)
        if problem := check_timeout("with_timeout", limits):
            raise ConfigError(problem)
        self.total, self.first_chunk, self.idle = total, first_chunk, idle

    async def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks that come in time."""
        deadline = None
        if self.total is not None:
            deadline = asyncio.get_running_loop().time() + self.total
        bounds = request.bounds.narrowed(Bounds(deadline, self.first_chunk, self.idle))
        chunks = call_next(replace(request, bounds=bounds))
        if deadline is None:
            async for chunk in chunks:
                yield chunk
            return
        reads = Reads(chunks.__anext__, lambda: bounds.deadline)
        try:
            async for chunk in reads:
                yield chunk
        finally:
            reads.close()

    def __repr__(self) -> str:
        limits = {"total": self.total, "first_chunk": self.first_chunk, "idle": self.idle}
        given = ", ".join(
            f"{name}={limit:g}" for name, limit in limits.items() if limit is not None
        )
        return f"with_timeout({given})"


def with_timeout(
    total: float | None = None, first_chunk: float | None = None, idle: float | None = None
) -> TimeLimit:
    """A layer that gives what is inside of it less time; it never gives more.

    Inside of a retry the total holds for each attempt, outside of it for all of them together.

    Args:
        total: seconds from the first read to the end.
        first_chunk: for streams, seconds from the request to the first content.
        idle: for streams, seconds of silence between two reads once content has come.

    Raises:
        ConfigError: a limit is not a number above 0.
    """
    return TimeLimit(total=total, first_chunk=first_chunk, idle=idle)

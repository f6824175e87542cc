"""One answer from several attempts: what retry and fallback have in common.

Chunks without content are withheld until the first with content, so that an attempt which fails
before that leaves no trace, and another may follow. An answer that nobody reads yet (`generate`) is
withheld whole. What happens to an attempt that fails after content was shown is the policy:

    raise     the error is raised, with the partial message
    restart   a chunk with `reset=True` tells the consumer to discard, and a new attempt follows
    continue  the next request holds the partial text as the last AIMessage

Who makes the attempts, and whether another one follows, is a `Plan`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

from msgspec.structs import replace

from beluga_llm._call import Chunks
from beluga_llm._capabilities import Capabilities
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import BelugaError, ConfigError, StreamInterruptedError, is_retryable
from beluga_llm._fold import fold
from beluga_llm._messages import AIMessage
from beluga_llm._parts import TextPart
from beluga_llm._request import ChatRequest
from beluga_llm._usage import NO_USAGE, Usage

MidStream: TypeAlias = Literal["raise", "restart", "continue"]
POLICIES: tuple[MidStream, ...] = ("raise", "restart", "continue")


class Plan(ABC):
    """The attempts of one call."""

    @abstractmethod
    def open(self, request: ChatRequest) -> Chunks:
        """Begins the next attempt."""

    @abstractmethod
    async def again(self, error: Exception) -> bool:
        """Whether another attempt follows this failure; waits as long as it has to before.

        Raises:
            BelugaError: instead of the failure.
        """

    def refuses(self, chunks: Sequence[StreamChunk]) -> bool:
        """Whether a whole answer is none, so that another attempt follows."""
        return False

    def facts(self) -> dict[str, Any]:
        """What the answer's metadata say of the attempts."""
        return {}


async def in_turn(request: ChatRequest, plan: Plan, mid_stream: MidStream = "raise") -> Chunks:
    """The chunks of the first attempt that succeeds.

    Args:
        request: what is asked.
        plan: who makes the attempts.
        mid_stream: what follows a failure after content was shown.
    """
    streaming = request.streaming
    answer = _Answer(request, mid_stream)
    while True:
        withheld: list[StreamChunk] | None = []
        try:
            async for chunk in plan.open(answer.request):
                if withheld is None:
                    yield answer.adapted(chunk) if answer.watches else chunk
                    continue
                withheld.append(chunk)
                if streaming and chunk.is_content:
                    for held in withheld:
                        yield answer.adapted(held) if answer.watches else held
                    withheld = None
            if withheld is None or not plan.refuses(withheld):
                break
            continue
        except Exception as error:
            if withheld is None and not answer.can_go_on:
                raise
            if not await plan.again(error):
                raise
            news = () if withheld is not None else answer.interrupted(error)
        for chunk in news:
            yield chunk
    for chunk in withheld or ():
        yield answer.adapted(chunk) if answer.watches else chunk
    if facts := {**plan.facts(), **answer.facts()}:
        yield StreamChunk(metadata=facts)


class _Answer:
    """What was shown of an answer, and the request for the rest of it.

    Attributes:
        request: of the next attempt.
        watches: whether what is shown must be known.
    """

    def __init__(self, request: ChatRequest, policy: MidStream) -> None:
        self.request = self._asked = request
        self.watches = policy != "raise" and request.streaming
        self._policy = policy
        self._shown: list[StreamChunk] = []
        self._offset = 0
        self._spent = NO_USAGE
        self._lost: list[dict[str, Any]] = []

    def adapted(self, chunk: StreamChunk) -> StreamChunk:
        """A chunk as it belongs to what was shown before it."""
        changes: dict[str, Any] = {}
        if self._offset and chunk.part_index is not None:
            changes["part_index"] = chunk.part_index + self._offset
        if self._spent is not NO_USAGE and chunk.usage is not None:
            changes["usage"] = self._spent + chunk.usage
        if changes:
            chunk = replace(chunk, **changes)
        self._shown.append(chunk)
        return chunk

    @property
    def can_go_on(self) -> bool:
        """Whether the policy allows another attempt after what was shown."""
        if self._policy == "restart":
            return True
        return self._policy == "continue" and not any(map(_settles, self._shown))

    def interrupted(self, error: Exception) -> Iterable[StreamChunk]:
        """Turns to the next attempt; gives what the consumer is to be told."""
        partial = fold(self._shown)
        if self._policy == "restart":
            self._lost.append(_account(partial, error))
            self._shown.clear()
            return (StreamChunk(reset=True),)
        self._spent, self._offset = partial.usage, len(partial.parts)
        said = AIMessage([TextPart(partial.text)])
        self.request = replace(self._asked, messages=(*self._asked.messages, said))
        self._lost.append(_account(partial, error))
        return ()

    def facts(self) -> dict[str, Any]:
        """What the metadata say of the attempts that broke off."""
        if not self._lost:
            return {}
        return {"mid_stream": {"policy": self._policy, "attempts": self._lost}}


def _settles(chunk: StreamChunk) -> bool:
    """Whether nothing can be continued after this chunk: only text can."""
    return bool(
        chunk.tool_calls
        or chunk.reasoning_delta
        or chunk.refusal_delta
        or chunk.parts
        or chunk.signature
        or chunk.redacted_data
        or chunk.choice
        or chunk.finish_reason
    )


def _account(partial: AIMessage, error: Exception) -> dict[str, Any]:
    usage = partial.usage
    counts = {name: getattr(usage, name) for name in Usage.__struct_fields__}
    return {
        "model_id": partial.model_id,
        "error": error.code if isinstance(error, BelugaError) else type(error).__name__,
        "usage": {name: count for name, count in counts.items() if count is not None},
    }


def is_transient(error: Exception) -> bool:
    """Whether the same call may succeed a little later.

    An interrupted answer counts: a plan is only asked where nobody saw it, or by the policy.
    """
    return isinstance(error, StreamInterruptedError) or is_retryable(error)


def check_mid_stream(policy: Any) -> None:
    """Raises ConfigError for a policy that does not exist."""
    if policy not in POLICIES:
        known = ", ".join(map(repr, POLICIES))
        raise ConfigError(f"mid_stream must be one of {known}, got {policy!r}")


def check_prefill(policy: MidStream, qualified_id: str, capabilities: Capabilities) -> None:
    """Raises ConfigError for a model that may have to continue an answer and cannot."""
    if policy == "continue" and capabilities.prefill is not True:
        raise ConfigError(
            f"mid_stream='continue' needs models that continue a begun answer, and {qualified_id} "
            "is not known to: use 'restart', or pass capabilities={'prefill': True}"
        )

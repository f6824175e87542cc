"""One answer from several attempts: what retry and fallback have in common.

Chunks without content are withheld until the first with content, so that an attempt which fails
before that leaves no trace, and another may follow. An answer that nobody reads yet (`generate`) is
withheld whole. An attempt that failed is closed to its last layer before another one begins. What
happens to one that fails after content was shown is the policy:

    raise     the error is raised, with the partial message
    restart   a chunk with `reset=True` tells the consumer to discard, and a new attempt follows
    continue  the next request holds the partial text as the last AIMessage

Who makes the attempts, and whether another one follows, is a `Plan`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

from msgspec.structs import replace

from beluga_llm._call import Chunks, Layer, give_up
from beluga_llm._chunks import StreamChunk
from beluga_llm._delegating import DelegatingChatModel
from beluga_llm._errors import BelugaError, ConfigError, StreamInterruptedError, is_retryable
from beluga_llm._messages import AIMessage
from beluga_llm._model import ChatModel
from beluga_llm._parts import TextPart
from beluga_llm._request import ChatRequest
from beluga_llm._routing.composite import CompositeChatModel
from beluga_llm._transcript import Transcript
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

    async def refuses(self, chunks: Sequence[StreamChunk]) -> bool:
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
    streaming, call = request.streaming, request.call
    answer = _Answer(request, mid_stream)
    while True:
        withheld: list[StreamChunk] | None = []
        if call is not None:
            withheld = call.withheld = []
        attempt: Chunks | None = None
        try:
            attempt = plan.open(answer.request)
            passes = False
            async for chunk in attempt:
                if passes:
                    yield chunk
                elif withheld is None:
                    for told in answer.told((chunk,)):
                        yield told
                else:
                    withheld.append(chunk)
                    if streaming and chunk.is_content:
                        for told in answer.told(withheld):
                            yield told
                        withheld, passes = None, not answer.watches
            if withheld is None or not await plan.refuses(withheld):
                break
            continue
        except Exception as error:
            answer.failed(error)
            if withheld is None and not answer.can_go_on:
                raise
            if attempt is not None and call is not None:
                await give_up(attempt, call.opened)
            if not await plan.again(error):
                raise
            news = () if withheld is not None else answer.interrupted(error)
        for chunk in news:
            yield chunk
    for chunk in answer.told(withheld or ()):
        yield chunk
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
        self._shown = Transcript()
        self._only_text = True
        self._continued = ""  # the text that the running attempt goes on from
        self._offset = self._next_part = 0
        self._spent = NO_USAGE
        self._lost: list[dict[str, Any]] = []

    def told(self, chunks: Sequence[StreamChunk]) -> Sequence[StreamChunk]:
        """Chunks as they belong to what was shown before them."""
        if not self.watches:
            return chunks
        found: list[StreamChunk] = []
        for chunk in chunks:
            found.append(self._adapted(chunk))
            if chunk.reset and self._continued:  # of a layer inside: it knows its own words only
                found.append(StreamChunk(self._continued))
        for chunk in found:
            self._shown.hear(chunk)
        return found

    def _adapted(self, chunk: StreamChunk) -> StreamChunk:
        changes: dict[str, Any] = {}
        if chunk.reset:
            self._only_text = True
        if chunk.part_index is not None:
            changes["part_index"] = place = chunk.part_index + self._offset
            self._next_part = max(self._next_part, place + 1)
        if self._spent is not NO_USAGE and chunk.usage is not None:
            changes["usage"] = self._spent + chunk.usage
        if self._only_text and _settles(chunk):
            self._only_text = False
        return replace(chunk, **changes) if changes else chunk

    @property
    def can_go_on(self) -> bool:
        """Whether the policy allows another attempt after what was shown."""
        return self._policy == "restart" or (self._policy == "continue" and self._only_text)

    def failed(self, error: Exception) -> None:
        """Has an error tell all that was shown, not only what came of the last attempt."""
        if self._continued and isinstance(error, BelugaError):
            error.partial = self._shown.message()

    def interrupted(self, error: Exception) -> Iterable[StreamChunk]:
        """Turns to the next attempt; gives what the consumer is to be told."""
        partial = self._shown.message()
        self._lost.append(_account(partial, error))
        if self._policy == "restart":
            self._shown = Transcript()
            return (StreamChunk(reset=True),)
        self._continued = partial.text
        self._spent, self._offset = partial.usage, max(self._next_part, len(partial.parts))
        said = AIMessage([TextPart(partial.text)])
        self.request = replace(self._asked, messages=(*self._asked.messages, said))
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


def check_prefill(policy: MidStream, model: ChatModel) -> None:
    """Raises ConfigError for a model, or one behind it, that may have to continue and cannot."""
    if policy != "continue":
        return
    for one in (*_others(model), model):
        if one.capabilities.prefill is not True:
            raise ConfigError(
                "mid_stream='continue' needs models that continue a begun answer, and "
                f"{one.qualified_id} is not known to: use 'restart', or pass "
                "capabilities={'prefill': True}"
            )


def _others(model: ChatModel) -> Iterator[ChatModel]:
    """The models that may answer in place of a model: by its layers, or because it is several."""
    if isinstance(model, DelegatingChatModel):
        yield from _others(model.inner)
    several = [layer.models for layer in model._layers if isinstance(layer, Layer)]
    if isinstance(model, CompositeChatModel):
        several.append(model.models)
    for models in several:
        for one in models:
            yield from _others(one)
            yield one

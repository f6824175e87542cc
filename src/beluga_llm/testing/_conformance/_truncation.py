"""Truncation: an answer that was cut off is never taken for a whole one."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest

from beluga_llm import _json
from beluga_llm._errors import BelugaError, ConnectionFailedError, StreamInterruptedError
from beluga_llm._messages import AIMessage
from beluga_llm._model import ChatModel
from beluga_llm.testing._answers import JSON
from beluga_llm.testing._conformance._base import Conformance, answers, ask, check
from beluga_llm.testing._conformance._compare import judged
from beluga_llm.testing._conformance._fuzz import Chance
from beluga_llm.testing._conformance._memory import MemoryTransport
from beluga_llm.testing._conformance._samples import LONG, TWO_CALLS
from beluga_llm.testing._pieces import in_pieces, in_wire_order
from beluga_llm.testing._server import FakeServer
from beluga_llm.testing._wire import Facts, Wire, encode

RANDOM_CUTS = 25


class TruncationChecks(Conformance):
    """Streams and bodies that end too early."""

    @pytest.mark.parametrize("fault", ["cut", "truncate", "reset"])
    @check
    async def test_a_stream_that_breaks_off_is_interrupted(
        self, model: ChatModel, server: FakeServer, fault: str
    ) -> None:
        """However the connection ends in the middle, the error has what came before."""
        self.http()
        self.able(model, "streaming")
        if _end_is_optional(model):
            pytest.skip("the provider gives no evidence that an answer is whole (`terminal`)")
        self.says(server, LONG, **{f"{fault}_after": 6000})
        with pytest.raises(StreamInterruptedError) as caught:
            await ask(model, "stream")
        error = caught.value
        assert error.partial is not None
        assert error.partial.text
        assert self.api is None or LONG.startswith(error.partial.text)
        assert error.content_started
        assert not error.retryable, "what was shown would be shown again"

    @check
    async def test_a_body_that_breaks_off_is_an_error(
        self, model: ChatModel, server: FakeServer
    ) -> None:
        """A whole answer that misses its end is a failed connection."""
        self.http()
        self.says(server, LONG, cut_after=100)
        with pytest.raises(ConnectionFailedError):
            await ask(model, "generate")

    @answers
    @check
    async def test_a_stream_cut_anywhere_is_never_taken_for_whole(
        self, server: FakeServer, answer: str
    ) -> None:
        """At each border of a frame, beside it and in between: whole, or an error with a prefix."""
        wire = self.wire()
        transport = MemoryTransport(wire.stream_type)
        async with self.make(server, transport=transport) as model:
            self.able(model, "streaming")
            events = scripted(wire, self.script(answer, model))
            transport.body = body = b"".join(events)
            whole = await model.stream("Hello").response()
            chance = Chance()
            for at in cuts(events, chance):
                transport.body, transport.cut = body[:at], at // 2
                got = await _outcome(model, "stream")
                wrong = judged(got, whole, optional=_end_is_optional(model))
                assert wrong is None, f"cut at byte {at} ({chance}): {wrong}"

    @answers
    @check
    async def test_the_pieces_of_a_stream_make_no_difference(
        self, server: FakeServer, answer: str
    ) -> None:
        """Bytes that come in two reads, cut anywhere, mean the same message."""
        wire = self.wire()
        transport = MemoryTransport(wire.stream_type)
        async with self.make(server, transport=transport) as model:
            self.able(model, "streaming")
            events = scripted(wire, self.script(answer, model))
            transport.body = b"".join(events)
            whole = self.meaning(await model.stream("Hello").response())
            chance = Chance()
            for at in cuts(events, chance):
                transport.cut = at
                got = self.meaning(await model.stream("Hello").response())
                assert got == whole, f"cut at byte {at} ({chance})"

    @check
    async def test_a_body_cut_anywhere_is_never_taken_for_whole(self, server: FakeServer) -> None:
        """A whole answer that misses its end is an error."""
        wire = self.wire()
        transport = MemoryTransport(JSON)
        async with self.make(server, transport=transport) as model:
            body = _json.dumps(wire.whole(TWO_CALLS, Facts()))
            for at in range(1, len(body), max(len(body) // RANDOM_CUTS, 1)):
                transport.body = body[:at]
                got = await _outcome(model, "generate")
                assert isinstance(got, BelugaError), f"cut at byte {at}: {got!r}"


def scripted(wire: Wire, message: AIMessage) -> list[bytes]:
    """The events of a stream."""
    facts = Facts(
        model_id=message.model_id,
        response_id=message.response_id,
        usage=message.usage,
        usage_unasked=True,
    )
    return encode(wire.encoder(facts), in_pieces(in_wire_order(message)))


def cuts(events: Sequence[bytes], chance: random.Random) -> list[int]:
    """Where a stream is cut: at the borders of its events, a byte beside them, and anywhere."""
    borders = [*itertools.accumulate(len(event) for event in events)]
    size = borders[-1]
    near = {border + shift for border in (0, *borders) for shift in (-1, 0, 1)}
    anywhere = chance.sample(range(size), min(RANDOM_CUTS, size))
    return sorted(at for at in near | set(anywhere) if 0 <= at < size)


def _end_is_optional(model: ChatModel) -> bool:
    return getattr(getattr(model.unwrap(), "dialect", None), "terminal", "required") == "optional"


async def _outcome(model: ChatModel, kind: str) -> AIMessage | BelugaError:
    try:
        if kind == "generate":
            return await model.generate("Hello")
        return await model.stream("Hello").response()
    except BelugaError as error:
        return error

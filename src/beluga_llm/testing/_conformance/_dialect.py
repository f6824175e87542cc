"""What the checks of a dialect stand on: its samples, and reading them without a socket."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from beluga_llm import _json
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import BelugaError
from beluga_llm._fold import fold
from beluga_llm._frozen import EMPTY
from beluga_llm._http.dialect import Dialect, Frame, InBandError
from beluga_llm._http.reader import AnswerReader
from beluga_llm._messages import AIMessage, HumanMessage, Message
from beluga_llm._options import NO_OPTIONS, merge_options
from beluga_llm._request import ChatRequest
from beluga_llm.testing._answers import WIRES
from beluga_llm.testing._conformance._samples import HELLO, TWO_CALLS, reasoned
from beluga_llm.testing._conformance._truncation import scripted
from beluga_llm.testing._wire import Encoder, Facts, Failure

NOW = 1_735_689_600.0
"""When all answers come, in unix seconds."""
TOLD = "the kit wanted this to fail"
ROUNDS = 150
"""How many odd things are tried."""


class DialectSamples:
    """Samples and helpers of the checks; see `DialectConformance` for what to fill in.

    Attributes:
        dialect: the dialect under test.
        streams: bytes of whole streamed answers, by any name.
        bodies: bytes of whole answers; one that has the name of a stream is the same answer.
        errors: bytes of streams that end in an error frame, by the code that the error must have,
            such as "overloaded"; several of one code are a list.
        api: the wire format of the fake server whose answers the dialect reads, if there is one.
        model: the model id that is asked.
    """

    dialect: ClassVar[Dialect]
    streams: ClassVar[Mapping[str, bytes]] = EMPTY
    bodies: ClassVar[Mapping[str, bytes]] = EMPTY
    errors: ClassVar[Mapping[str, bytes | Sequence[bytes]]] = EMPTY
    api: ClassVar[str | None] = None
    model: ClassVar[str] = "kit-model-1"

    # --- samples ---------------------------------------------------------------------------------

    def fresh(self) -> Dialect:
        """The dialect, with ids that are the same every time."""
        made = copy.copy(self.dialect)
        numbers = itertools.count()
        made.new_id = lambda: f"call_{next(numbers):024x}"
        return made

    def scripts(self) -> Mapping[str, AIMessage]:
        """What the fake server is to say."""
        if self.api is None:
            return {}
        provider, carried = self.dialect.provider, WIRES[self.api].carries
        thought = reasoned(provider, carried, call=True)
        return {"kit text": HELLO, "kit calls": TWO_CALLS, "kit reasoning": thought}

    def all_streams(self) -> Mapping[str, bytes]:
        """Every sample of a stream; skips the check where there is none."""
        wire = WIRES.get(self.api or "")
        ours = {
            name: b"".join(scripted(wire, script))
            for name, script in self.scripts().items()
            if wire
        }
        return {**self.streams, **ours} or pytest.skip("neither `streams` nor `api` is set")

    def all_bodies(self) -> Mapping[str, bytes]:
        """Every sample of a whole body; skips the check where there is none."""
        wire = WIRES.get(self.api or "")
        ours = {
            name: _json.dumps(wire.whole(script, _facts(script)))
            for name, script in self.scripts().items()
            if wire
        }
        return {**self.bodies, **ours} or pytest.skip("neither `bodies` nor `api` is set")

    def all_errors(self) -> Sequence[tuple[str | None, bytes]]:
        """Every sample of a stream that ends in an error, and the error's code if that is known."""
        found: list[tuple[str | None, bytes]] = []
        for code, samples in self.errors.items():
            found += [(code, one) for one in ([samples] if isinstance(samples, bytes) else samples)]
        if (wire := WIRES.get(self.api or "")) is not None:
            found.append((None, _ended(wire.encoder(Facts()))))
        return found or pytest.skip("neither `errors` nor `api` is set")

    def request(self, *messages: Message, streaming: bool = False, **options: Any) -> ChatRequest:
        """A request as a model hands it to its dialect."""
        tools = tuple(options.pop("tools", ()))
        merged = merge_options(NO_OPTIONS, {"model": self.model, **options})
        return ChatRequest(messages or (HumanMessage("Hello"),), merged, tools, streaming)

    def read(
        self, data: bytes, *, streaming: bool = True, pieces: Sequence[bytes] | None = None
    ) -> AIMessage | BelugaError:
        """The answer or the error that these bytes mean, in these pieces."""
        reader = self.reader(streaming=streaming)
        chunks: list[StreamChunk] = []
        for piece in pieces or [data]:
            chunks += reader.feed(piece)
            if reader.failure is not None:
                break
        else:
            chunks += reader.finish()
        if reader.failure is None:
            return fold(chunks)
        reader.failure.partial = fold(chunks)
        return reader.failure

    def reader(self, *, streaming: bool) -> AnswerReader:
        """What reads an answer."""
        request = self.request(streaming=streaming)
        return AnswerReader(self.fresh(), request, status=200, headers={}, now=lambda: NOW)

    def whole(self, name: str, data: bytes, *, streaming: bool = True) -> AIMessage:
        """The message of a sample, which must be a good one."""
        message = self.read(data, streaming=streaming)
        assert isinstance(message, AIMessage), f"{name}: {message!r}"
        assert message.finish_reason is not None, f"{name} has no finish reason"
        return message

    def frames(self, data: bytes) -> list[Frame]:
        """A stream as its frames."""
        framing = self.dialect.framing(self.request(streaming=True))
        return [*framing.feed(data), *framing.finish()]

    def decode(self, frames: Sequence[Frame]) -> AIMessage | Exception:
        """What the decoder makes of frames: a message, or one of the errors that it may raise."""
        decoder = self.fresh().decoder(self.request(streaming=True))
        chunks: list[StreamChunk] = []
        try:
            for event, data in frames:
                made = decoder.feed(event, data)
                assert isinstance(made, Sequence), "`feed` must give a sequence, no generator"
                chunks += made
            chunks += decoder.finish()
            return fold(chunks)
        except (InBandError, BelugaError, _json.JsonError) as error:
            return error


def _ended(encoder: Encoder) -> bytes:
    """A stream that ends in an error before any content."""
    failure = Failure(code="overloaded", message=TOLD)
    return b"".join((*encoder.begin(), *encoder.error(failure)))


def _facts(script: AIMessage) -> Facts:
    return Facts(model_id=script.model_id, response_id=script.response_id, usage=script.usage)

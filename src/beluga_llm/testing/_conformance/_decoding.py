"""Decoding: bytes in any pieces, cut anywhere and of any shape, mean one thing or an error."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Sequence

from beluga_llm import _json
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import BelugaError
from beluga_llm._fold import fold
from beluga_llm._messages import AIMessage, replace
from beluga_llm.testing._conformance._compare import is_same, judged, spelled_alike
from beluga_llm.testing._conformance._dialect import NOW, ROUNDS, TOLD, DialectSamples
from beluga_llm.testing._conformance._errors import STATUSES
from beluga_llm.testing._conformance._fuzz import Chance, bent, odd

EVERY_BYTE = 16_384
"""Streams up to this size are cut at every byte."""
SOME = 250
"""How many bytes of other streams are cut at, beside the borders of frames."""


class DecodingChecks(DialectSamples):
    """Whole answers, cut ones, and odd ones."""

    def test_the_pieces_of_a_stream_make_no_difference(self) -> None:
        """Bytes that come one by one, or cut anywhere, mean the same message."""
        chance = Chance()
        for name, data in self.all_streams().items():
            whole = self.whole(name, data)
            single = [data[at : at + 1] for at in range(len(data))]
            assert self.read(data, pieces=single) == whole, f"{name}, byte by byte"
            for _ in range(20):
                count = chance.randint(1, min(8, len(data) - 1))
                places = sorted(chance.sample(range(1, len(data)), count))
                pieces = [data[a:b] for a, b in itertools.pairwise([0, *places, len(data)])]
                assert self.read(data, pieces=pieces) == whole, f"{name}, {chance}"

    def test_a_stream_cut_anywhere_is_never_taken_for_whole(self) -> None:
        """Cut after each byte: the whole message, or a typed error with its beginning."""
        optional = self.dialect.terminal == "optional"
        for name, data in self.all_streams().items():
            whole = self.whole(name, data)
            for at in self.cuts(name, data):
                wrong = judged(self.read(data[:at]), whole, optional=optional)
                assert wrong is None, f"{name}, cut at byte {at}: {wrong}"

    def cuts(self, name: str, data: bytes) -> Sequence[int]:
        """Every byte of a stream that was given; of ours, and of a long one, a part of them."""
        if name in self.streams and len(data) <= EVERY_BYTE:
            return range(len(data))
        borders = [at for at in range(1, len(data)) if data.startswith((b"\n\n", b"\r\n\r\n"), at)]
        near = {at + shift for at in borders for shift in range(5)}
        anywhere = random.Random(len(data)).sample(range(len(data)), min(SOME, len(data)))
        return sorted(at for at in near | {*anywhere} if at < len(data))

    def test_a_body_cut_anywhere_is_never_taken_for_whole(self) -> None:
        """A whole answer that misses its end is an error."""
        for name, data in self.all_bodies().items():
            whole = self.whole(name, data, streaming=False)
            for at in range(1, len(data), 1 + len(data) // 500):
                got = self.read(data[:at], streaming=False)
                wrong = isinstance(got, AIMessage) and not is_same(got, whole)
                assert not wrong, f"{name}, cut at byte {at}: {got!r}"

    def test_both_kinds_of_answer_mean_the_same(self) -> None:
        """A whole body gives what the chunks of the stream of that name add up to."""
        bodies = self.all_bodies()
        for name, data in self.all_streams().items():
            if name in bodies:
                streamed = self.whole(name, data)
                whole = self.whole(name, bodies[name], streaming=False)
                assert _plain(streamed) == _plain(whole), name

    def test_answers_do_not_touch_each_other(self) -> None:
        """Two answers that are read by turns mean what they mean alone."""
        dialect, request = self.fresh(), self.request(streaming=True)
        samples = [*self.all_streams().items()] * 2
        decoders = [dialect.decoder(request) for _ in samples]
        chunks: list[list[StreamChunk]] = [[] for _ in samples]
        rows = itertools.zip_longest(*(self.frames(data) for _, data in samples))
        for row in rows:
            for place, frame in enumerate(row):
                if frame is not None:
                    chunks[place] += decoders[place].feed(*frame)
        for place, (name, data) in enumerate(samples):
            chunks[place] += decoders[place].finish()
            assert is_same(fold(chunks[place]), self.whole(name, data)), name

    def test_what_is_unknown_changes_nothing(self) -> None:
        """New fields and new frames of a vendor are no errors, and no content."""
        for name, data in self.all_streams().items():
            whole, frames = self.whole(name, data), self.frames(data)
            wider = [(event, _with_field(frame)) for event, frame in frames]
            got = self.decode(wider)
            assert isinstance(got, AIMessage), f"{name}, with a new field: {got!r}"
            assert is_same(got, whole), f"{name}, with a new field"
            fresh = ("kit_unknown", b'{"type":"kit_unknown","kit":1}')
            for place in range(len(frames)):
                got = self.decode([*frames[:place], fresh, *frames[place:]])
                assert isinstance(got, AIMessage), f"{name}, a new frame at {place}: {got!r}"
                assert is_same(got, whole), f"{name}, a new frame at {place}"

    def test_an_error_in_a_stream_is_raised(self) -> None:
        """Each sample is an error of its class, with its text; a retry is the caller's choice."""
        for code, data in self.all_errors():
            got = self.read(data)
            assert isinstance(got, BelugaError), f"{code}: taken for an answer: {got!r}"
            assert code in (None, got.code), f"{got!r} is {got.code}, not {code}"
            assert TOLD in got.message if code is None else got.message, f"{got!r} lacks its text"

    def test_odd_errors_in_a_stream_never_crash(self) -> None:
        """An error frame with null, or values of other types in any place, is still survived."""
        chance = Chance()
        for code, data in self.all_errors():
            frames = self.frames(data)
            for _ in range(ROUNDS):
                made = [*frames[:-1], (frames[-1][0], _bent(frames[-1][1], chance))]
                self._survives(functools.partial(self.decode, made), f"{code}, {chance}")

    def test_odd_frames_never_crash(self) -> None:
        """Null, and values of other types in any place, are absent or a typed error."""
        chance = Chance()
        for name, data in self.all_streams().items():
            frames = self.frames(data)
            for _ in range(ROUNDS):
                odd_one = chance.randrange(len(frames))
                made = [
                    (event, _bent(frame, chance) if place == odd_one else frame)
                    for place, (event, frame) in enumerate(frames)
                ]
                self._survives(functools.partial(self.decode, made), f"{name}, {chance}")

    def test_odd_bodies_never_crash(self) -> None:
        """The same in whole bodies, and in bodies of errors."""
        chance = Chance()
        for name, data in self.all_bodies().items():
            for _ in range(ROUNDS):
                reading = functools.partial(self.read, _bent(data, chance), streaming=False)
                self._survives(reading, f"{name}, {chance}")

    def test_a_status_has_its_class(self) -> None:
        """Where an error says no more than its status, that says the class and what to do."""
        for status, meaning in STATUSES.items():
            error = self.fresh().error(status, {"retry-after": "7"}, b"", now=NOW)
            assert isinstance(error, meaning.kinds), f"{status}: {error!r}"
            assert error.status == status, f"{status}: {error!r}"
            assert error.retry_after == 7, f"{status}: `retry_after` is not read"

    def test_odd_errors_never_crash(self) -> None:
        """Any status with any body is a typed error with that status."""
        chance = Chance()
        base = {
            "error": {"message": "m", "type": "t", "code": 3, "details": [{"retryDelay": "1s"}]}
        }
        for number in range(ROUNDS):
            body = _json.dumps(bent(base, chance) if number % 2 else odd(chance))
            for data in (body, body[: len(body) // 2], b"\xff\xfe<html>"):
                status = chance.choice((200, 400, 401, 403, 404, 409, 429, 500, 503, 529))
                headers = {"retry-after": str(odd(chance)), "content-type": "application/json"}
                error = self.fresh().error(status, headers, data, now=NOW)
                assert isinstance(error, BelugaError), f"{chance}: {error!r}"
                assert error.status == status, f"{chance}: {error!r}"

    def _survives(self, act: Callable[[], object], where: str) -> None:
        try:
            act()
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error


def _plain(message: AIMessage) -> AIMessage:
    """A message without extras, and without the numbers of blocks."""
    calls = (replace(spelled_alike(call), part_index=None) for call in message.tool_calls)
    return replace(message, tool_calls=calls, provider_metadata={})


def _with_field(frame: bytes) -> bytes:
    try:
        value = _json.loads(frame)
    except _json.JsonError:  # an end marker
        return frame
    return _json.dumps({**value, "kit_unknown": {"kit": [1]}}) if isinstance(value, dict) else frame


def _bent(data: bytes, chance: random.Random) -> bytes:
    try:
        return _json.dumps(bent(_json.loads(data), chance))
    except _json.JsonError:  # an end marker
        return data

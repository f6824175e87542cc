"""AWS event streams: frames, checksums, and bytes cut anywhere."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.corpus import load_cases, pieces, random_cuts, requires_corpus

from beluga_llm.plugin import AwsEventStream, Frame, FramingError, loads


def header(name: str, value: bytes, kind: int = 7) -> bytes:
    size = struct.pack(">H", len(value)) if kind in (6, 7) else b""
    return bytes([len(name)]) + name.encode() + bytes([kind]) + size + value


def message(headers: bytes, payload: bytes = b"") -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    head = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return head + struct.pack(">I", zlib.crc32(head))


def event(name: str, payload: bytes) -> bytes:
    return message(
        header(":event-type", name.encode())
        + header(":content-type", b"application/json")
        + header(":message-type", b"event"),
        payload,
    )


def frames(data: Iterable[bytes]) -> list[Frame]:
    framing = AwsEventStream()
    found = [frame for piece in data for frame in framing.feed(piece)]
    return [*found, *framing.finish()]


STREAM = event("messageStart", b'{"role":"assistant"}') + event("messageStop", b"{}") + message(b"")
WANTED = [("messageStart", b'{"role":"assistant"}'), ("messageStop", b"{}"), ("", b"")]


@pytest.mark.row("DIAL-04")
def test_events_cut_anywhere():
    assert frames([STREAM]) == WANTED
    assert frames(STREAM[at : at + 1] for at in range(len(STREAM))) == WANTED
    for cut in range(1, len(STREAM)):
        assert frames([STREAM[:cut], STREAM[cut:]]) == WANTED


@pytest.mark.row("DIAL-04")
@given(
    events=st.lists(st.tuples(st.text(max_size=9), st.binary(max_size=90)), max_size=5),
    data=st.data(),
)
def test_any_events_in_any_pieces(events, data):
    stream = b"".join(event(name, payload) for name, payload in events)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=9))
    assert frames(pieces(stream, cuts)) == events


@pytest.mark.row("DIAL-04")
def test_headers_of_every_type_are_read_over():
    headers = (
        header("yes", b"", 0)
        + header("no", b"", 1)
        + header("byte", b"\1", 2)
        + header("short", b"\0\1", 3)
        + header("int", bytes(4), 4)
        + header("long", bytes(8), 5)
        + header("bytes", b"\xff\xfe", 6)
        + header("time", bytes(8), 8)
        + header("uuid", bytes(16), 9)
        + header(":event-type", "délta".encode())
    )
    assert frames([message(headers, b"{}")]) == [("délta", b"{}")]
    long = headers + header("padding", b"x" * 600)
    assert frames([message(long, b"{}")]) == [("délta", b"{}")]


@pytest.mark.row("DIAL-04")
def test_exceptions_and_errors_have_names_of_their_own():
    exception = message(
        header(":message-type", b"exception")
        + header(":exception-type", b"throttlingException")
        + header(":content-type", b"application/json"),
        b'{"message":"slow down"}',
    )
    error = message(
        header(":message-type", b"error")
        + header(":error-code", b"InternalError")
        + header(":error-message", b"it broke")
    )
    assert frames([exception + error]) == [
        ("exception:throttlingException", b'{"message":"slow down"}'),
        ("error:InternalError", b"it broke"),
    ]


@pytest.mark.row("DIAL-04")
def test_any_changed_byte_is_noticed():
    good = event("delta", b'{"text":"a"}')
    for at in range(len(good)):
        bad = good[:at] + bytes([good[at] ^ 0x20]) + good[at + 1 :]
        with pytest.raises(FramingError, match="event stream: wrong checksum"):
            frames([bad + bytes(4096)])


@pytest.mark.row("DIAL-04")
def test_frames_before_the_damage_come_first():
    good, bad = event("a", b"1"), event("b", b"2")[:-1] + b"?"
    framing = AwsEventStream()
    assert framing.feed(good + bad) == [("a", b"1")]
    with pytest.raises(FramingError):
        framing.feed(good)
    with pytest.raises(FramingError):
        framing.finish()


@pytest.mark.row("DIAL-04")
@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        (b"\x04name", "damaged headers"),
        (b"\x04name\x07", "damaged headers"),
        (b"\x04name\x07\0\x09short", "cut off"),
        (b"\x04name\x63", "damaged headers"),
        (header("name", b"\xff\xfe"), "damaged headers"),
    ],
)
def test_damaged_headers_under_a_good_checksum(headers, problem):
    with pytest.raises(FramingError, match=problem):
        frames([message(headers)])


@pytest.mark.row("DIAL-04")
def test_a_message_shorter_than_its_headers():
    prelude = struct.pack(">II", 20, 5)
    with pytest.raises(FramingError, match="shorter than its headers"):
        frames([prelude + struct.pack(">I", zlib.crc32(prelude))])


@pytest.mark.row("DIAL-04")
def test_a_message_that_is_cut_off_gives_no_frame():
    assert frames([STREAM[:-1]]) == WANTED[:-1]
    assert frames([]) == frames([b"\0\0"]) == []


@pytest.mark.row("DIAL-04")
@requires_corpus
def test_recorded_streams():
    cases = [case for case in load_cases() if case.data["response"]["encoding"] == "base64"]
    assert cases
    for case in cases:
        found = frames([case.body])
        assert len(found) > 2
        assert all(isinstance(loads(data), dict) for _, data in found)
        assert frames(pieces(case.body, random_cuts(case.body))) == found

"""AWS event streams: binary messages, each with its length and two checksums.

    total length (4) | headers length (4) | CRC of these 8 bytes (4)
    headers: name length (1), name, type (1), value | payload | CRC of all before (4)

Source: https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream
and https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from zlib import crc32

from beluga_llm._http.framing import FramingError

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
_SMALLEST = _PRELUDE.size + _CRC.size
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _STRING = 6, 7


class AwsEventStream:
    """`application/vnd.amazon.eventstream`, checksums checked.

    An event is framed under its `:event-type`; an exception as "exception:" and its
    `:exception-type`; an error as "error:" and its `:error-code`, with the `:error-message` as its
    data. A message that the end of the bytes cuts off gives no frame.

    The frames before damaged bytes are returned first; FramingError follows at the next call.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._needed = _PRELUDE.size
        self._broken: FramingError | None = None

    def feed(self, data: bytes) -> Sequence[tuple[str, bytes]]:
        """The messages that these bytes complete.

        Raises:
            FramingError: a checksum or a length is wrong.
        """
        self._raise_if_broken()
        self._pieces.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return ()
        buffer = b"".join(self._pieces)
        frames: list[tuple[str, bytes]] = []
        try:
            rest = buffer[self._messages(buffer, frames) :]
        except FramingError as error:
            self._broken = error
            if not frames:
                raise
            return frames
        self._pieces = [rest]
        self._size = len(rest)
        return frames

    def finish(self) -> Sequence[tuple[str, bytes]]:
        """Nothing: a message that is cut off is lost.

        Raises:
            FramingError: the bytes fed last are damaged.
        """
        self._raise_if_broken()
        return ()

    def _raise_if_broken(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _messages(self, buffer: bytes, frames: list[tuple[str, bytes]]) -> int:
        """Adds the frames of all complete messages and returns where the rest begins."""
        start = 0
        while len(buffer) - start >= _PRELUDE.size:
            total, headers_size = _prelude(buffer, start)
            if len(buffer) - start < total:
                self._needed = total
                return start
            message = buffer[start : start + total]
            (checksum,) = _CRC.unpack_from(message, total - _CRC.size)
            if crc32(message[: -_CRC.size]) != checksum:
                raise FramingError("event stream: wrong checksum of a message")
            headers = message[_PRELUDE.size : _PRELUDE.size + headers_size]
            payload = message[_PRELUDE.size + headers_size : -_CRC.size]
            name, message_text = _meaning(headers) if len(headers) <= _USUAL else _read(headers)
            frames.append((name, payload or message_text))
            start += total
        self._needed = _PRELUDE.size
        return start


def _prelude(buffer: bytes, start: int) -> tuple[int, int]:
    total, headers_size, checksum = _PRELUDE.unpack_from(buffer, start)
    if crc32(buffer[start : start + _PRELUDE.size - _CRC.size]) != checksum:
        raise FramingError("event stream: wrong checksum of a prelude")
    if total < _SMALLEST + headers_size:
        raise FramingError("event stream: a message is shorter than its headers")
    return total, headers_size


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    """The headers whose values are strings."""
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name, kind, at = data[at + 1 : name_end], data[name_end], name_end + 1
            if kind in (_BYTES, _STRING):
                (size,) = _LENGTH.unpack_from(data, at)
                at += _LENGTH.size
            else:
                size = _FIXED_SIZES[kind]
            value, at = data[at : at + size], at + size
            if at > len(data):
                raise FramingError("event stream: a header is cut off")
            if kind == _STRING:
                yield name.decode(), value.decode()
    except (LookupError, UnicodeDecodeError, struct.error) as error:
        raise FramingError(f"event stream: damaged headers: {error}") from error


def _read(data: bytes) -> tuple[str, bytes]:
    """What the headers of a message say: the frame's name, and its data if there is no payload."""
    headers = dict(_headers(data))
    kind = headers.get(":message-type", "event")
    if kind == "exception":
        return f"exception:{headers.get(':exception-type', '')}", b""
    if kind == "error":
        message = headers.get(":error-message", "").encode()
        return f"error:{headers.get(':error-code', '')}", message
    return headers.get(":event-type", ""), b""


_meaning = lru_cache(maxsize=64)(_read)
"""The same, remembered: a stream has a few kinds of messages, with equal headers."""

_USUAL = 512
"""Bytes of headers that are worth remembering."""

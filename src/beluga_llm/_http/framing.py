r"""Bytes into frames: server-sent events, JSON lines, and a whole body.

A framing does no I/O. However the bytes are cut, the frames are the same, and every byte is looked
at a fixed number of times, so that an event of any size in pieces of any size takes linear time.

Server-sent events: line ends become "\n" piece by piece, so that below only "\n" is left. What
`_pieces` holds is the unfinished line, with the "\n" before it where it is not the first of its
event; finished lines of an unfinished event are taken apart at once. A "\n\n" then always ends an
event, and a text without unfinished events can be cut by one `split`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

_BOM = b"\xef\xbb\xbf"


class FramingError(ValueError):
    """Raised by a framing whose bytes are damaged."""


class SSE:
    """Server-sent events, as the WHATWG standard says; the last one may lack its blank line.

    An event without a name is framed as "". A line of a field `error`, which llama.cpp's server
    writes instead of `data` when it breaks off, is framed as an event "error".

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html

    Attributes:
        last_event_id: the latest `id`, "" before the first.
        retry: the latest `retry`, in milliseconds.
    """

    def __init__(self) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self._at_start = True
        self._after_cr = False
        self._pieces: list[bytes] = []
        self._open = False
        self._event = ""
        self._data: list[bytes] = []
        self._errors: list[bytes] = []

    def feed(self, data: bytes) -> Sequence[tuple[str, bytes]]:
        """The events that these bytes complete."""
        between = not (self._pieces or self._open or self._after_cr or self._at_start)
        if between and _is_one_event(data):  # as they mostly come
            return (("", data[6:-2]),)
        if self._after_cr or b"\r" in data:
            data = self._with_newlines(data)
        if self._at_start and data:
            data = self._without_mark(data)
        if b"\n" not in data:
            if data:
                self._pieces.append(data)
            return ()
        if self._pieces:
            self._pieces.append(data)
            data = b"".join(self._pieces)
            self._pieces.clear()
        end = data.rfind(b"\n\n")
        if end < 0:
            self._keep(data)
            return ()
        if rest := data[end + 2 :]:
            frames = self._events(data[:end])
            self._keep(rest)
            return frames
        return self._events(data[:end])

    def finish(self) -> Sequence[tuple[str, bytes]]:
        """The event that the end of the bytes completes."""
        frames: list[tuple[str, bytes]] = []
        if self._pieces or self._open:
            rest = b"".join(self._pieces)
            self._pieces.clear()
            self._event_of_lines(rest, frames)
        return frames

    def _with_newlines(self, data: bytes) -> bytes:
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _without_mark(self, data: bytes) -> bytes:
        if not (self._pieces or data.startswith(_BOM[:1])):
            self._at_start = False
            return data
        data = b"".join((*self._pieces, data))
        self._pieces.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._pieces.append(data)
            return b""
        self._at_start = False
        return data.removeprefix(_BOM)

    def _keep(self, text: bytes) -> None:
        end = text.rfind(b"\n")
        if end > 0:
            self._open = True
            self._lines(text[:end])
            text = text[end:]
        self._pieces.append(text)

    def _events(self, text: bytes) -> list[tuple[str, bytes]]:
        """The frames of complete events."""
        frames: list[tuple[str, bytes]] = []
        if self._open:
            first, more, text = text.partition(b"\n\n")
            self._event_of_lines(first, frames)
            if not more:
                return frames
        if alike := _unnamed_events(text) or _named_events(text):
            return frames + alike if frames else alike
        for event in text.split(b"\n\n"):
            if event.startswith(b"data:") and b"\n" not in event:
                frames.append(("", event[5:].removeprefix(b" ")))
            else:
                self._event_of_lines(event, frames)
        return frames

    def _event_of_lines(self, text: bytes, frames: list[tuple[str, bytes]]) -> None:
        self._lines(text)
        if self._data:
            frames.append((self._event, b"\n".join(self._data)))
        if self._errors:
            frames.append(("error", b"\n".join(self._errors)))
        self._open = False
        self._event = ""
        self._data.clear()
        self._errors.clear()

    def _lines(self, text: bytes) -> None:
        for line in text.split(b"\n"):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                self._data.append(value)
            elif field == b"event":
                self._event = value.decode("utf-8", "replace")
            elif field == b"error":
                self._errors.append(value)
            elif field == b"id" and b"\0" not in value:
                self.last_event_id = value.decode("utf-8", "replace")
            elif field == b"retry" and value.isdigit() and len(value) < 19:
                self.retry = int(value)


def _is_one_event(data: bytes) -> bool:
    """Whether these bytes are one whole event, and that is one `data: ` line."""
    return (
        data.startswith(b"data: ")
        and data.endswith(b"\n\n")
        and data.count(b"\n") == len(b"\n\n")
        and b"\r" not in data
    )


def _unnamed_events(text: bytes) -> list[tuple[str, bytes]] | None:
    """The frames of events that all are one `data: ` line, as most APIs write them."""
    if not text.startswith(b"data: "):
        return None
    events = text[6:].split(b"\n\ndata: ")
    if b"\n" in b"".join(events):  # faster than counting
        return None
    return list(zip(repeat(""), events))


def _named_events(text: bytes) -> list[tuple[str, bytes]] | None:
    """The frames of events that all are an `event: ` and a `data: ` line."""
    if not text.startswith(b"event: "):
        return None
    head, found, rest = text.partition(b"\ndata: ")
    alike = rest.split(b"\n\n" + head + b"\ndata: ")
    if found and text.count(b"\n") == 3 * len(alike) - 2:  # all of one name
        return list(zip(repeat(head[7:].decode("utf-8", "replace")), alike))
    events = [event.split(b"\ndata: ") for event in text[7:].split(b"\n\nevent: ")]
    if text.count(b"\n") != 3 * len(events) - 2 or {*map(len, events)} != {2}:
        return None
    return [(name.decode("utf-8", "replace"), data) for name, data in events]


class NDJSON:
    """JSON lines: one value a line, blank lines skipped; the last may lack its line end."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> Sequence[tuple[str, bytes]]:
        """The lines that these bytes complete."""
        self._pieces.append(data)
        if b"\n" not in data:
            return ()
        lines = b"".join(self._pieces).split(b"\n")
        self._pieces = [lines.pop()]
        return [("", line) for line in map(bytes.strip, lines) if line]

    def finish(self) -> Sequence[tuple[str, bytes]]:
        """The last line, if it had no line end."""
        line = b"".join(self._pieces).strip()
        self._pieces.clear()
        return [("", line)] if line else []


class WholeBody:
    """The whole body as one frame, at the end; an empty body is a frame too."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> Sequence[tuple[str, bytes]]:
        """Nothing before the end."""
        self._pieces.append(data)
        return ()

    def finish(self) -> Sequence[tuple[str, bytes]]:
        """The body."""
        body = b"".join(self._pieces).removeprefix(_BOM)
        self._pieces.clear()
        return [("", body)]

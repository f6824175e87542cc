"""Frames that are alike but for one text, read without reading the rest of them again.

Most frames of a stream are, byte for byte, the frame before them with another text. Where a frame
that was read strictly is cut around that text, `prefix "text" suffix`, every frame of the same
prefix and suffix with a valid JSON string between them is the same frame with this text: what
stands around it cannot mean anything else. OpenAI pads its frames with one more text of no meaning,
`obfuscation`, which may differ too.

Source: https://platform.openai.com/docs/api-reference/chat-streaming/streaming
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Self

from beluga_llm._http.dialect import Frame
from beluga_llm._json import REFUSED, strict

_read_text = strict(str)
_PADDING = re.compile(rb'"obfuscation":\s*"([^"\\]*)"')


class Template:
    """What the frames have in common.

    Args:
        prefix: what stands before the text, with its opening quote.
        suffix: what stands after the last text, with the closing quote.
        middle: what stands between the text and the padding, with both quotes; empty without one.
        event: the frames' name.
    """

    __slots__ = ("_end", "_event", "_middle", "_prefix", "_start", "_suffix", "_to_padding")

    def __init__(
        self, prefix: bytes, suffix: bytes, middle: bytes = b"", *, event: str = ""
    ) -> None:
        self._event = event
        self._prefix, self._middle, self._suffix = prefix, middle, suffix
        self._start = len(prefix) - 1
        self._end = 1 - len(suffix) or None
        self._to_padding = len(middle) - 1

    @classmethod
    def of(cls, frame: bytes, name: str, text: str, *, event: str = "") -> Self | None:
        """The template of a frame in which the field `name` has this text; None if it has none.

        A name that is there twice, or that may be there in another spelling, makes none.

        Args:
            frame: as it was framed; it must have been read strictly before.
            name: the field.
            text: what it was read to be.
            event: the frame's name.
        """
        found = re.search(rb'"%s":\s*("(?:[^"\\]|\\.)*")' % name.encode(), frame)
        if found is None or frame.count(b'"%s"' % name.encode()) != 1:
            return None
        if _read_text(found[1]) != text:
            return None
        prefix, rest = frame[: found.start(1) + 1], frame[found.end(1) - 1 :]
        if b"\\" in prefix or b"\\" in rest:
            return None
        if (padding := _PADDING.search(rest)) is None:
            return cls(prefix, rest, event=event)
        end, middle = rest[padding.end() - 1 :], rest[: padding.start(1)]
        return cls(prefix, end, middle, event=event)

    def text(self, frame: bytes) -> str | None:
        """The text of a frame that is alike; None where it is not."""
        texts: list[str] = []
        self.take(iter(((self._event, frame),)), texts)
        return texts[0] if texts else None

    def take(self, frames: Iterator[Frame], texts: list[str]) -> Frame | None:
        """Adds the texts of frames as long as they are alike; gives the first that is not."""
        prefix, suffix, start, end = self._prefix, self._suffix, self._start, self._end
        name, plain = self._event, not self._middle
        for frame in frames:
            event, data = frame
            if event != name or not data.startswith(prefix) or not data.endswith(suffix):
                return frame
            try:
                texts.append(_read_text(data[start:end] if plain else self._without_padding(data)))
            except REFUSED:
                return frame
        return None

    def _without_padding(self, frame: bytes) -> bytes:
        """The text of a padded frame, with its quotes; what is no text where there is none."""
        at = frame.find(self._middle, self._start + 1)
        _read_text(frame[at + self._to_padding : self._end])
        return frame[self._start : at + 1]

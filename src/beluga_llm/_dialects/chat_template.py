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
from typing import Self

from beluga_llm._json import REFUSED, strict

_read_text = strict(str)
_PADDING = re.compile(rb'"obfuscation":\s*"([^"\\]*)"')


class Template:
    """What the frames have in common.

    Args:
        prefix: what stands before the text, with its opening quote.
        suffix: what stands after the last text, with the closing quote.
        middle: what stands between the text and the padding, with both quotes; empty without one.
    """

    __slots__ = ("_cut", "_middle", "_prefix", "_start", "_suffix", "_to_padding")

    def __init__(self, prefix: bytes, suffix: bytes, middle: bytes = b"") -> None:
        self._prefix, self._middle, self._suffix = prefix, middle, suffix
        self._start = len(prefix) - 1
        self._cut = 1 - len(suffix)
        self._to_padding = len(middle) - 1

    @classmethod
    def of(cls, frame: bytes, name: str, text: str) -> Self | None:
        """The template of a frame in which the field `name` has this text; None if it has none.

        A name that is there twice, or that may be there in another spelling, makes none.
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
            return cls(prefix, rest)
        return cls(prefix, rest[padding.end() - 1 :], rest[: padding.start(1)])

    def text(self, frame: bytes) -> str | None:
        """The text of a frame that is alike; None where it is not."""
        if not (frame.startswith(self._prefix) and frame.endswith(self._suffix)):
            return None
        end: int | None = self._cut or None
        try:
            if not self._middle:
                return _read_text(frame[self._start : end])
            at = frame.find(self._middle, self._start + 1)
            if at < 0:
                return None
            _read_text(frame[at + self._to_padding : end])
            return _read_text(frame[self._start : at + 1])
        except REFUSED:
            return None

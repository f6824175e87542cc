"""Markdown made readable on a terminal while it arrives.

Headings and strong words become bold, code gets a colour. Nothing is taken away or moved, so that
what is copied from the terminal is what the model wrote, and nothing has to be drawn again: what is
shown is final. Only a mark that may go on in the next piece waits for it.
"""

from __future__ import annotations

import re

BOLD, DIM, CODE, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[0m"

_UNDECIDED = re.compile(r" {0,3}(#{0,6}|`{0,2})")
_HEADING = re.compile(r" {0,3}#{1,6} ")
_FENCE = re.compile(r" {0,3}```")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """A text without the characters that would steer the terminal, and are no part of a text."""
    return _CONTROLS.sub("�", text)


class MarkdownStyle:
    """Adds styles to a text in pieces; how it is cut makes no difference.

    A style never goes over the end of a line, so a mark that is never closed does little harm.
    """

    def __init__(self) -> None:
        self._held = ""
        self._out: list[str] = []
        self._style = ""
        self._block = False
        self._begin_line()

    def feed(self, text: str) -> str:
        """What can be shown, now that this piece has arrived."""
        self._held += text
        while self._held and self._step(last=False):
            pass
        return self._taken()

    def end(self) -> str:
        """What is left, as nothing more arrives; the next text begins anew."""
        while self._held:
            self._step(last=True)
        self._put("", "")
        self._block = False
        self._begin_line()
        return self._taken()

    def _begin_line(self) -> None:
        self._fresh = True
        self._fence = self._heading = self._strong = self._code = False

    def _step(self, *, last: bool) -> bool:
        """Shows a bit more; whether more may be shown at once."""
        if self._fresh:
            if not last and _UNDECIDED.fullmatch(self._held):
                return False
            self._fresh = False
            self._fence = _FENCE.match(self._held) is not None
            self._heading = not self._block and _HEADING.match(self._held) is not None
        marks = "\n" if self._block or self._fence else "\n`" if self._code else "\n`*"
        plain = re.match(f"[^{marks}]*", self._held)
        size = plain.end() if plain else 0
        self._put(self._held[:size], self._wanted())
        self._held = self._held[size:]
        return bool(self._held) and self._mark(last=last)

    def _mark(self, *, last: bool) -> bool:
        """Shows the mark that comes next; False where its end has not arrived yet."""
        mark = self._held[0]
        if mark == "*":
            if not last and self._held in ("*", "**"):
                return False
            self._star()
            return True
        self._held = self._held[1:]
        if mark == "\n":
            self._put("\n", "")
            self._block ^= self._fence
            self._begin_line()
        else:
            self._put("`", CODE)
            self._code = not self._code
        return True

    def _star(self) -> None:
        size = 2 if self._held.startswith("**") else 1
        begins = self._held[2:3].strip() != ""  # "2 ** 3" is no strong word
        strong = size == 2 and (self._strong or begins)
        self._put(self._held[:size], BOLD if strong else self._wanted())
        self._held = self._held[size:]
        self._strong ^= strong

    def _wanted(self) -> str:
        if self._fence:
            return DIM
        if self._block or self._code:
            return CODE
        return BOLD if self._heading or self._strong else ""

    def _put(self, text: str, style: str) -> None:
        if (text or not style) and style != self._style:
            self._out.append((PLAIN if self._style else "") + style)
            self._style = style
        self._out.append(text)

    def _taken(self) -> str:
        shown = "".join(self._out)
        self._out.clear()
        return shown

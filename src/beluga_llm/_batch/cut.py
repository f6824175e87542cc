"""Whether a text may be the beginning of a result, cut off when a process or a machine ended.

Such a text is removed from the end of an output, so it must not be taken from anybody else. Every
result begins with its id, its line, and `text` or `error`, written without spaces; a text that goes
on differently is no result, however it begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def may_be_cut(text: bytes) -> bool:
    """Whether more bytes could make a result of this."""
    for whole, cut in _PIECES:
        found = whole.match(text)
        if found is None:
            return cut.fullmatch(text) is not None
        text = text[found.end() :]
    return True


def _words(*words: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    beginnings = [word[:length] for word in words for length in range(len(word))]
    return _piece(_any(words), _any(beginnings))


def _any(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, words))


def _piece(whole: str, cut: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    return re.compile(whole.encode(), re.DOTALL), re.compile(cut.encode(), re.DOTALL)


_CHARACTERS = r'"(?:[^"\\]|\\.)*'

_PIECES = (
    _words('{"id":'),
    _piece(rf'null|-?\d+|{_CHARACTERS}"', rf"n?|nul?|-|{_CHARACTERS}\\?"),
    _words(',"line":'),
    _piece(r"\d+", ""),
    _words(',"text":"', ',"error":{'),
)
"""What stands at the beginning of a result: each piece as a whole, and cut."""

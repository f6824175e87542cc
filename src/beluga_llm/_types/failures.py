"""What was found to be wrong already, while one alternative after the other is tried.

The alternatives of a recursive type have their inner parts in common. Without a memory, a value
that is nested n deep and wrong at its innermost place would be read 2**n times.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from beluga_llm._types.shape import MisfitError

_Known: TypeAlias = dict[tuple[int, int], MisfitError]
_known: ContextVar[_Known | None] = ContextVar("known", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Remembers failures until the outermost one of such blocks ends."""
    if _known.get() is not None:
        yield
        return
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


@contextmanager
def failing_once(shape: object, value: object) -> Iterator[None]:
    """A block in which a shape reads a value: it is not entered again where it failed before.

    Raises:
        MisfitError: as the first time.
    """
    known = _known.get()
    place = (id(shape), id(value))
    if known and place in known:
        raise MisfitError(known[place].problems)
    try:
        yield
    except MisfitError as error:
        if known is not None:
            known[place] = error
        raise

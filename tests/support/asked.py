"""Types of every kind that a structured answer may have."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import attrs
import msgspec
from msgspec import Meta


class Genre(enum.Enum):
    NOVEL = "novel"
    POETRY = "poetry"


@dataclasses.dataclass
class Author:
    name: str
    born: dt.date | None = None
    books: list[Book] = dataclasses.field(default_factory=list)


@attrs.frozen
class Book:
    """A book.

    Attributes:
        title: as it stands on the cover.
    """

    title: str
    pages: Annotated[int, Meta(ge=1, le=2000)]
    genre: Genre = Genre.NOVEL
    author: Author | None = None
    prices: dict[str, float] = attrs.Factory(dict)
    size: tuple[float, float] = (1.0, 2.0)


class Page(TypedDict):
    number: int
    text: NotRequired[Annotated[str, Meta(max_length=9)]]


class Span(NamedTuple):
    low: int
    high: int = 9


class Circle(msgspec.Struct, tag="circle"):
    radius: float


class Square(msgspec.Struct, tag="square", forbid_unknown_fields=True):
    side: float


@dataclasses.dataclass
class Search:
    action: Literal["search"]
    query: str


@dataclasses.dataclass
class Answer:
    action: Literal["answer"]
    text: str


TYPES = [
    Author, Book, Page, Span, Circle, Circle | Square, Search | Answer, str, int, float, bool,
    list[Page], list, dict[str, int], dict[Genre, Page],
    tuple[int, str], tuple[int, ...], set[int],
    Book | None, int | str | None, Literal["a", 1], Genre, dt.datetime, dt.date, uuid.UUID,
    decimal.Decimal, bytes, Annotated[str, Meta(pattern="^[a-c]+$")], Any, list[Search | Answer],
]  # fmt: skip

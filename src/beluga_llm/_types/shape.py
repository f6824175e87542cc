"""What all shapes have in common: how they write schemas, and say that a value is wrong."""

from __future__ import annotations

import json
import re
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from beluga_llm import _json

Schema = dict[str, Any]

MOST_SHOWN = 20
"""Problems that one text names; a model needs no more to see what it did."""

_WORD = re.compile(r"[A-Za-z_]\w*")


class Problem(NamedTuple):
    """What is wrong with a value, and where: `$.items[2].price`, `expected float, got str`."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


class MisfitError(ValueError):
    """A value that is none of a type; its text names each problem with its path."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        shown = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        if more := len(self.problems) - len(shown):
            shown.append(f"and {more} more")
        super().__init__("; ".join(shown))

    @classmethod
    def at(cls, path: str, text: str) -> MisfitError:
        """One problem."""
        return cls((Problem(path, text),))


class UnsupportedTypeError(Exception):
    """A type has no JSON Schema; `field` names the field of a class that has it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.field = ""

    def __str__(self) -> str:
        return f"{self.args[0]} (field {self.field})" if self.field else str(self.args[0])


class Shape(ABC):
    """What a type is, as far as JSON is concerned."""

    @abstractmethod
    def schema(self, writer: Definitions) -> Schema:
        """The JSON Schema of the type; classes are put among the definitions."""

    @abstractmethod
    def read(self, value: Any, path: str = "$") -> Any:
        """The value of the type that plain JSON data mean.

        Raises:
            MisfitError: they mean none.
        """

    @property
    @abstractmethod
    def word(self) -> str:
        """What the type is called in a problem: "int", "object"."""

    def fit(self, value: Mapping[str, Any]) -> tuple[bool, int]:
        """How well an object suits: whether its tags do, and how many keys are known."""
        return False, -1

    def misfit(self, value: Any, path: str) -> MisfitError:
        """The error for a value that is something else altogether."""
        return MisfitError.at(path, f"expected {self.word}, got {word_of(value)}")


class Definitions:
    """The definitions that a schema refers to, by the names that it gives them."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._names: dict[Any, str] = {}

    def refer(self, key: Any, name: str, make: Callable[[], Schema]) -> Schema:
        """A reference to the definition of a key, which is made where it is missing."""
        known = self._names.get(key)
        if known is None:
            known = self.claim(key, name)  # before it is made: it may refer to itself
            self.definitions[known].update(make())
        return {"$ref": f"#/$defs/{known}"}

    def claim(self, key: Any, name: str) -> str:
        """The name of a key's definition, which is empty where it is new."""
        if key not in self._names:
            self._names[key] = self._free_name(name)
            self.definitions[self._names[key]] = {}
        return self._names[key]

    def target(self, schema: Schema) -> Schema:
        """The definition that a schema refers to; the schema itself where it refers to none."""
        return self.definitions.get(schema.get("$ref", "").removeprefix("#/$defs/"), schema)

    def _free_name(self, wanted: str) -> str:
        """A name like the wanted one that no definition has."""
        name = base = plain_name(wanted) or "Type"
        number = 2
        while name in self.definitions:
            name = f"{base}_{number}"
            number += 1
        return name


class Reads(Protocol):
    """Anything that reads values as shapes do."""

    def read(self, value: Any, path: str, /) -> Any:
        """The value that plain JSON data mean."""
        ...


def read_all(parts: Iterable[tuple[Reads, Any, str]]) -> list[Any]:
    """The values of several parts, each with its shape, its JSON value and its path.

    Raises:
        MisfitError: it tells the problems of all parts.
    """
    found: list[Any] = []
    problems: list[Problem] = []
    for shape, value, path in parts:
        try:
            found.append(shape.read(value, path))
        except MisfitError as error:
            problems += error.problems
    if problems:
        raise MisfitError(problems)
    return found


def word_of(value: Any) -> str:
    """What a JSON value is called in a problem."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else type(value).__name__


def member_path(path: str, key: str) -> str:
    """The path of an object's member."""
    return f"{path}.{key}" if _WORD.fullmatch(key) else f"{path}[{_json.dumps_text(key)}]"


def plain_name(name: str) -> str:
    """A name of letters, digits, underscores and hyphens: `Box[int]` is `Box_int`."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", name).strip("_")


def name_of(kind: Any) -> str:
    """What a type is called: `Person`, `Box[int]`, `int | None`."""
    origin, arguments = getattr(kind, "__origin__", None), getattr(kind, "__args__", None)
    if hasattr(kind, "__metadata__"):
        return name_of(origin)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " | ".join(map(name_of, arguments or ()))
    if kind is None or kind is types.NoneType:
        return "None"
    if isinstance(origin, type) and arguments:
        return f"{origin.__name__}[{', '.join(map(name_of, arguments))}]"
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def docstring_of(kind: Any) -> str:
    """What the class's author wrote, not what a base or a decorator did."""
    kind = getattr(kind, "__origin__", kind)
    text = vars(kind).get("__doc__") or ""
    return "" if text.startswith(f"{kind.__name__}(") else text


def choice_schema(values: list[Any]) -> Schema:
    """One of several values, with their type where they have one in common."""
    types = {type(value) for value in values}
    name = _JSON_TYPES.get(types.pop()) if len(types) == 1 else None
    return given(type=name) | {"enum": values}


def default_of(value: Any) -> Schema:
    """The keyword `default`; nothing where the value is not JSON, as an infinite number is not."""
    try:
        plain = msgspec.to_builtins(value, str_keys=True)
        json.dumps(plain, allow_nan=False)
        return {"default": plain}
    except (TypeError, ValueError, OverflowError):
        return {}


def given(**keywords: Any) -> Schema:
    """The keywords that are not None."""
    return {name: value for name, value in keywords.items() if value is not None}


def same(one: Any, other: Any) -> bool:
    """Equality of JSON scalars: True is not 1."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


_JSON_TYPES = {str: "string", int: "integer", bool: "boolean", float: "number"}

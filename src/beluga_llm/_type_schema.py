"""JSON Schema (2020-12) of Python types, written for a model to read.

A model needs more than msgspec's own schemas say, and less: a `type` beside every `enum`, members
of enums and literals in their order, what `Attributes:` says of each field, unions of several
classes, and no titles that repeat a class name.

Classes become definitions and are referred to, so that recursive types work. How types are read
stands in `_types/`.
"""

from __future__ import annotations

from typing import Any

from beluga_llm._types.build import shape_of
from beluga_llm._types.shape import Definitions, Schema, UnsupportedTypeError, default_of

__all__ = ["Schema", "SchemaWriter", "UnsupportedTypeError", "default_of"]


class SchemaWriter(Definitions):
    """Writes types as schemas; `definitions` collects the classes that they refer to."""

    def write(self, kind: Any) -> Schema:
        """The schema of a type.

        Raises:
            UnsupportedTypeError: it has none.
        """
        return shape_of(kind).schema(self)

"""Read-only copies of JSON-like data.

`freeze` makes what a caller hands in safe to keep: later changes to the original have no effect,
and nobody can change the copy by accident. The copies are still a `dict` and a `list` to
`isinstance`, `==`, `json.dumps` and `pickle`, which `types.MappingProxyType` is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn


def _read_only(self: object, *args: object, **kwargs: object) -> NoReturn:
    raise TypeError(f"{type(self).__name__} is read-only; make a changed copy instead")


class FrozenDict(dict[str, Any]):
    """A dict that cannot be changed after construction."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _read_only
    update = pop = popitem = clear = setdefault = _read_only

    def __hash__(self) -> int:  # type: ignore[override]  # dict is unhashable, its frozen copy is not
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)

    def __copy__(self) -> FrozenDict:
        return self


class FrozenList(list[Any]):
    """A list that cannot be changed after construction."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _read_only
    append = extend = insert = remove = pop = clear = sort = reverse = _read_only

    def __hash__(self) -> int:  # type: ignore[override]  # list is unhashable, its frozen copy is not
        return hash(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenList, (list(self),)

    def __copy__(self) -> FrozenList:
        return self


EMPTY = FrozenDict()
_READ_ONLY = frozenset((FrozenDict, FrozenList, str, int, float, bool, type(None)))
"""The usual kinds of values that need no copy."""


def freeze(value: Any) -> Any:
    """A read-only deep copy of mappings, lists and tuples; every other value as it is."""
    if type(value) in _READ_ONLY:
        return value
    if type(value) is dict or isinstance(value, Mapping):
        return FrozenDict(
            {key: item if type(item) in _READ_ONLY else freeze(item) for key, item in value.items()}
        )
    if isinstance(value, list):
        return FrozenList(freeze(item) for item in value)
    if type(value) is tuple:
        return tuple(freeze(item) for item in value)
    return value


def freeze_mapping(value: Mapping[str, Any] | None) -> FrozenDict:
    """`freeze` for a field that is always a mapping; None is empty."""
    if not value:
        return EMPTY
    frozen = freeze(value)
    if not isinstance(frozen, FrozenDict):
        raise TypeError(f"expected a mapping, got {type(value).__name__}")
    return frozen

"""Failures on demand, for the stores that live in memory: a store that fails is part of tests."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

Plan: TypeAlias = tuple[BaseException, frozenset[str]]


class Faults:
    """What a store in memory inherits so that tests can have it fail.

    Each of its operations begins with `self._fault("get")`, by its own name.
    """

    _planned: tuple[Plan, ...] = ()

    def fail_next(
        self,
        error: BaseException,
        *,
        times: int = 1,
        on: Collection[str] | str | None = None,
    ) -> None:
        """Has the next operations fail.

            store.fail_next(OSError("disk full"), on="set")

        Args:
            error: what they raise.
            times: how many of them.
            on: names of the operations that count, such as "get"; None: all.
        """
        names = frozenset((on,) if isinstance(on, str) else on or ())
        self._planned += ((error, names),) * times

    def _fault(self, operation: str) -> None:
        """Raises what was planned for this operation, if anything was."""
        for place, (error, names) in enumerate(self._planned):
            if not names or operation in names:
                self._planned = self._planned[:place] + self._planned[place + 1 :]
                raise error

"""Failures that are not those of a line: a wrong key, an empty account, a model that is not there.

Every line that is left would fail in the same way. A user wants to hear of it at once, and wants
the lines asked again when it is mended; so they get no result. One such failure proves little, as
some gateways refuse a good key now and then: it counts when several come in a row, with no answer
in between. Failures that may pass by themselves, of the network or the server, are not among them.
"""

from __future__ import annotations

from beluga_llm._batch.lines import Line
from beluga_llm._errors import BelugaError
from beluga_llm._messages import AIMessage

ENOUGH = 3
"""So many in a row end the batch."""

_CODES = frozenset(("auth_error", "quota_exceeded", "budget_exhausted", "invalid_config"))
_NO_MODEL = "not_found"

NOTE = (
    "stopped, as every line would fail like this; when it is mended, run it again: "
    "it goes on with what is left"
)


def is_shared(line: Line, outcome: AIMessage | Exception) -> bool:
    """Whether what came of a line would come of every line."""
    if not isinstance(outcome, BelugaError) or line.problem is not None:
        return False
    return outcome.code in _CODES or (outcome.code == _NO_MODEL and "model" not in line.keywords)


class Withheld:
    """Results that may be nobody's: written when an answer shows that they are their lines' own."""

    def __init__(self) -> None:
        self._results: list[tuple[Line, Exception]] = []

    def add(self, line: Line, error: Exception) -> None:
        """One more.

        Raises:
            Exception: this error, since there are enough of them.
        """
        self._results.append((line, error))
        if len(self._results) == ENOUGH:
            error.add_note(NOTE)
            raise error

    def taken(self) -> list[tuple[Line, Exception]]:
        """All of them, which are withheld no longer."""
        found, self._results = self._results, []
        return found

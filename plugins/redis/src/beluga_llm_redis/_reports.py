"""What is to be reported of requests, until Redis has heard of it.

A request has one report, which grows: that it was answered, how, and that it has ended. What could
not be sent is put back, below what was reported meanwhile.
"""

from __future__ import annotations

from typing import Any

MOST = 1000
"""Reports that are kept while there is no Redis."""


class Reports:
    """What was not sent yet, by request."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._of)

    def add(self, number: str, gate: str, facts: dict[str, Any]) -> None:
        """Adds to what is reported of a request, which asks the model of that gate."""
        self._of.setdefault(number, {"id": number, "gate": gate}).update(facts)

    def take(self) -> dict[str, dict[str, Any]]:
        """All of them; they are to be sent, or to be put back."""
        taken, self._of = self._of, {}
        return taken

    def put_back(self, taken: dict[str, dict[str, Any]]) -> None:
        """Keeps what was not sent; the oldest are forgotten where there are too many."""
        for number, newer in tuple(self._of.items()):  # a collected stream may report
            taken[number] = {**taken.get(number, {}), **newer}
        while len(taken) > MOST:
            del taken[next(iter(taken))]
        self._of = taken


def as_sent(one: dict[str, Any], gate: int, now: float) -> dict[str, Any]:
    """A report as the script reads it, which knows no time of ours."""
    sent = {**one, "g": gate}
    for ours, theirs in (("at", "age"), ("since", "begun")):
        if ours in sent:
            sent[theirs] = max(now - sent.pop(ours), 0.0)
    return sent

"""The one script of shared limits: what was reported, what is renewed, and what is asked for.

Its text is in `lua/`, a file for each of its ideas.

Theory of operation. Everything of one name lies in one hash slot, and one script looks at all of it
at one moment, by the clock of Redis; so nothing comes between looking and taking, whatever the
clocks of the processes say. A window is a sorted set of requests by the time from which they count;
a slot is a lease, which its process renews. A gate is what `beluga_llm._rate.governor` is within
one process, line by line.

Whoever was refused gets a ticket, and those with smaller ones are in the lead: a request begins
where there is room for all in the lead and for itself. So nobody is overtaken for a place that he
could have, a big request by small ones neither, and nobody waits for one that sleeps. A process has
one ticket for each model; when it has got a place, it queues again behind the other processes. A
slot is not kept for those who sleep for longer than some seconds, until a window has room.

What it says of time is how long it takes until there is room, and how long to sleep: the same where
that is known, less where what is given back may change it. A slot comes free about once in the
usual time of a request, divided by their number.

The state has an epoch, drawn when there is none. A process that knows another one is told that the
state was lost, and registers the slots that it holds again. Until all others have done so too, as
many as there were, no slots are given; but for no longer than half a lease. A clock of Redis that
was put back by seconds is a loss of the state, too: times that are far ahead would hold all back.
"""

from __future__ import annotations

import functools
import hashlib
from importlib import resources
from typing import NamedTuple

SHARED_KEYS = (
    "rps", "rpm", "tpm", "costs", "slots", "line", "seen", "needs", "facts", "peers",
)  # fmt: skip
GATE_KEYS = ("gate", "accepted", "second", "line", "seen")
PARTS = ("request", "epoch", "gate", "windows", "line", "reports", "places")
"""The files in `lua/` that make the script, in their order."""


class Script(NamedTuple):
    """What is sent the first time, and what Redis knows it by afterwards."""

    text: str
    sha: str


@functools.cache
def limits_script() -> Script:
    """The script of shared limits."""
    folder = resources.files(__package__) / "lua"
    text = "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in PARTS)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

"""A service whose wire format the fake server does not speak: it says what was recorded, always.

One streamed answer and the same as a whole body are enough to see how a provider fails, is left,
runs out of time, is shared and keeps its key; what answers mean is for `DialectConformance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from beluga_llm.testing._conformance._samples import LONG
from beluga_llm.testing._reply import Reply, Seen

_FAULTS = frozenset(("cut_after", "truncate_after", "reset_after", "stall_after"))
_SCRIPT_ONLY = frozenset(("whole_pieces", "usage_unasked"))


class Recorded(msgspec.Struct, frozen=True):
    """What a service said.

    Attributes:
        stream: a streamed answer, with text in its first half.
        body: the same answer as a whole body; None where there are only streams.
    """

    stream: bytes
    body: bytes | None = None

    def reply(self, answer: Any, fields: Mapping[str, Any]) -> Reply:
        """The recording in place of an answer; refusals and silence are the server's own."""
        given = {name: value for name, value in fields.items() if name not in _SCRIPT_ONLY}
        if given.get("status", 200) >= 400 or given.keys() & {"body", "silent"}:
            return Reply.of(answer, **given)
        half = len(self.stream) // 2
        if answer == LONG and not given.keys() & _FAULTS:
            given["stall_after"] = half  # the rest is still on its way when the client leaves
        for name in given.keys() & _FAULTS:
            given[name] = min(given[name], half)
        return Reply(body=self._said, **given)

    def _said(self, seen: Seen) -> bytes:
        return self.stream if self.body is None or asks_for_stream(seen) else self.body


def asks_for_stream(seen: Seen) -> bool:
    """Whether a request asks for a stream: by `"stream": true`, or by its path."""
    asked = isinstance(seen.json, dict) and seen.json.get("stream") is True
    return asked or "stream" in seen.path.lower()

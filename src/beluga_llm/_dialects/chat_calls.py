"""The tool calls of one choice: fragments into deltas, and ids for calls that come without one.

The fold merges the deltas. To know which calls lack an id, the same `CallSorter` sorts them here;
a call gets its id before another one takes its place, while a delta can still be said to be of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from beluga_llm._chunks import ToolCallDelta
from beluga_llm._dialects.chat_frame import FrameCall
from beluga_llm._dialects.chat_reading import JsonObject, object_of, text_of
from beluga_llm._json import dumps_text
from beluga_llm._tool_merge import CallSorter, CallState


class CallTracker:
    """Knows which tool calls have no id yet; the fold merges their fragments."""

    __slots__ = ("_former", "_new_id", "_sorter", "_without_id")

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._sorter = CallSorter(CallState)
        self._without_id: dict[CallState, int | None] = {}
        self._former = False

    def __bool__(self) -> bool:
        return bool(self._sorter.calls)

    def fragment(
        self, index: int | None, id: str, name: str, arguments: str, *, begins: bool = False
    ) -> tuple[ToolCallDelta, ...]:
        """The deltas of a fragment; none for a placeholder that says nothing.

        Args:
            index: the number of the call.
            id: its id, "" where the fragment has none.
            name: its name, likewise.
            arguments: more of the arguments.
            begins: whether it is known to begin a call, with an id of our own if it has none.
        """
        if not (id or name or arguments):
            return ()
        sorter = self._sorter
        call = None if begins else sorter.find(index, id, name)
        if call is not None and call is sorter.last and not id and not name:
            call.has_arguments = True
            return (ToolCallDelta(index, None, None, arguments),)
        earlier = tuple(self._leave(call, index))
        call_id = self._new_id() if begins and not id else id
        call = sorter.take(index, call_id, name, arguments)
        if call.id:
            self._without_id.pop(call, None)
        else:
            self._without_id.setdefault(call, index)
        return (*earlier, ToolCallDelta(index, call_id or None, name or None, arguments))

    def of_frame(self, calls: list[FrameCall]) -> tuple[ToolCallDelta, ...]:
        """The deltas of a frame that was read strictly; most only bring more arguments."""
        call, last = calls[0], self._sorter.last
        arguments = call.function.arguments
        if (
            arguments
            and last is not None
            and len(calls) == 1
            and not (call.id or call.function.name)
            and self._sorter.at(call.index) is last
        ):
            last.has_arguments = True
            return (ToolCallDelta(call.index, arguments=arguments),)
        return tuple(
            delta
            for call in calls
            for delta in self.fragment(
                call.index,
                call.id or "",
                call.function.name or "",
                call.function.arguments or "",
            )
        )

    def _leave(self, call: CallState | None, index: int | None) -> Iterator[ToolCallDelta]:
        """Ids for the calls that nothing can be said of once a fragment of `call` came."""
        for left in (self._sorter.last, self._sorter.at(index)):
            if left is None or left is call or left not in self._without_id:
                continue
            if self._without_id[left] in (None, index):
                yield self._give_id(left)

    def _give_id(self, call: CallState) -> ToolCallDelta:
        delta = ToolCallDelta(self._without_id.pop(call), self._new_id())
        self._sorter.take(delta.index, delta.id or "", "", "")
        return delta

    def read(self, items: list[JsonObject], *, whole: bool) -> Iterator[ToolCallDelta]:
        """The deltas of a `tool_calls` list."""
        for position, item in enumerate(items):
            function = object_of(item.get("function")) or object_of(item.get("custom"))
            index = position if whole else item.get("index")
            if not isinstance(index, int):
                index = None
            call_id, name = text_of(item.get("id")), text_of(function.get("name"))
            arguments = _arguments(function.get("arguments", function.get("input")))
            begins = index is None and not call_id and self._is_other(name, position)
            yield from self.fragment(index, call_id, name, arguments, begins=begins)

    def _is_other(self, name: str, position: int) -> bool:
        last = self._sorter.last
        return bool(name) and (position > 0 or (last is not None and last.name not in ("", name)))

    def read_former(self, call: JsonObject) -> Iterator[ToolCallDelta]:
        """The deltas of a `function_call`, the form before `tool_calls`, which it may repeat."""
        name, arguments = text_of(call.get("name")), _arguments(call.get("arguments"))
        self._former = self._former or (bool(name) and not self)
        if self._former:
            yield from self.fragment(0, "", name, arguments)

    def missing_ids(self) -> tuple[ToolCallDelta, ...]:
        """Ids for the calls that have none."""
        if not self._without_id:
            return ()
        unnumbered_first = sorted(
            self._without_id, key=lambda call: self._without_id[call] is not None
        )
        return tuple(map(self._give_id, unnumbered_first))


def _arguments(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return dumps_text(value)

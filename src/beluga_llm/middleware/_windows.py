"""The context windows of the models that a layer is put around."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from beluga_llm._accept import info_of
from beluga_llm._request import ChatRequest, ModelInfo
from beluga_llm._routing.composite import CompositeChatModel
from beluga_llm._windows import Windows, find_window


class KnownWindows:
    """What a layer knows of windows: a table of its own, the models' capabilities, the file.

    One layer may be put around several models that a request does not tell apart (one server, one
    key, one name), and whose capabilities are set to different windows.
    """

    def __init__(self, windows: Windows | None) -> None:
        self._own = windows
        self._noted: dict[tuple[str, ...], set[int]] = {}

    def note(self, model: Any) -> None:
        """Takes note of what the capabilities of a model, and of those in it, say."""
        known = model.capabilities.context_window
        if known is not None and not isinstance(model, CompositeChatModel):
            key = info_of(model, model.model_id).state_key
            self._noted.setdefault(key, set()).add(known)
        for inner in model._inside():
            self.note(inner)

    def least(self, request: ChatRequest) -> int | None:
        """The window that all models have that may answer, in tokens; None: none is known."""
        known = [window for window in self._all(request.model, min) if window is not None]
        return min(known, default=None)

    def most(self, request: ChatRequest) -> int | None:
        """The largest window of the models that may answer; None where one is not known."""
        found = list(self._all(request.model, max))
        known = [window for window in found if window is not None]
        return max(known) if len(known) == len(found) else None

    def _all(
        self, model: ModelInfo, choose: Callable[[Iterable[int]], int]
    ) -> Iterator[int | None]:
        name = f"{model.provider}/{model.model_id}"
        noted = self._noted.get(model.state_key)
        known = choose(noted) if noted else None
        found = find_window(name, windows=self._own, known=known)
        if found is not None or not model.inside:
            yield found
            return
        for one in model.inside:
            yield from self._all(one.model, choose)

"""Log records of calls: when each begins and how it ends, never what was said.

    model = model.with_middleware(with_logging())

The message of a record is its event, such as "llm.generate.done"; all else are its attributes, for
formatters that write JSON.
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from beluga_llm._call import CallNext, Chunks, Layer
from beluga_llm._log_records import log_facts
from beluga_llm._request import ChatRequest
from beluga_llm._watching import Aborted, Watch, error_code, is_watched, watched


class _CallLog(Watch):
    """The records of one call."""

    kind: ClassVar[str] = "log"

    def __init__(self, request: ChatRequest, logger: logging.Logger, level: int) -> None:
        super().__init__(request)
        self._logger, self._level = logger, level
        self._asked = {"messages": len(request.messages), **_given(request)}

    def begin(self) -> None:
        """Tells that it begins."""
        self._tell("start", self._level, {})

    def finish(self, error: BaseException | None, aborted: Aborted | None) -> None:
        """Tells how it ended."""
        answer = self.heard.answer
        facts: dict[str, Any] = {
            "input_tokens": answer.usage.input_tokens,
            "output_tokens": answer.usage.output_tokens,
            "finish_reason": answer.finish_reason and str(answer.finish_reason),
            "duration": round(self.heard.duration, 6),
        }
        if aborted is not None:
            self._tell("aborted", self._level, {**facts, "aborted": aborted})
        elif error is not None:
            level = max(self._level, logging.ERROR)
            self._tell("error", level, {**facts, "code": error_code(error)})
        else:
            self._tell("done", self._level, facts)

    def _tell(self, what: str, level: int, facts: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            event = f"llm.{'stream' if self.request.streaming else 'generate'}.{what}"
            extra = {**log_facts(self.request), **self._asked, **facts}
            self._logger.log(level, event, extra=extra)


def _given(request: ChatRequest) -> dict[str, Any]:
    """What the application said of the request that it works on."""
    info = request.info
    given = {"session_id": info.session_id, "request_id": info.request_id, "tenant": info.tenant}
    return {name: value for name, value in given.items() if value is not None}


class Logging(Layer):
    """The layer of `with_logging`."""

    def __init__(self, logger: logging.Logger, level: int) -> None:
        self._logger = logger
        self._level = level

    def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the call, which is logged."""
        if is_watched(request, _CallLog.kind):
            return call_next(request)
        return watched(request, call_next, _CallLog(request, self._logger, self._level))

    def __repr__(self) -> str:
        return f"with_logging({self._logger.name!r}, level={logging.getLevelName(self._level)})"


def with_logging(logger: logging.Logger | str | None = None, level: int = logging.INFO) -> Logging:
    """A layer that logs when a call begins, and how it ends.

        model = model.with_middleware(with_logging())

    Records have the attributes call_id, provider, model, messages (how many), and, at the end,
    input_tokens, output_tokens, finish_reason, duration (seconds), and the code of an error; in a
    trace trace_id and span_id too. Content and keys are never logged. Of several such layers around
    one call the outermost logs it.

    Args:
        logger: a logger or its name; None: "beluga_llm.calls".
        level: of the records; errors are logged as errors.
    """
    if not isinstance(logger, logging.Logger):
        logger = logging.getLogger(logger or "beluga_llm.calls")
    return Logging(logger, level)

"""What log records say beside their text: whose call it is, and in which trace.

All loggers are under `beluga_llm`. No handler, level or propagation of an application is changed;
a NullHandler keeps Python from printing warnings where logging was not set up.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from beluga_llm._request import ChatRequest
from beluga_llm._request_context import context_values


def log_facts(request: ChatRequest) -> dict[str, Any]:
    """The `extra` of a record about a call: call_id, provider, model, trace_id, span_id.

    The last two are None where the call is in no trace.
    """
    facts: dict[str, Any] = {
        "call_id": request.info.call_id,
        "provider": request.model.provider,
        "model": request.model.model_id,
        "trace_id": None,
        "span_id": None,
    }
    if "opentelemetry.trace" in sys.modules:  # without it there is no span anywhere
        from beluga_llm._telemetry import ids

        facts |= ids(getattr(request.call, "span", None))
    return facts


class ContextFilter(logging.Filter):
    """Adds the values of `request_context` to log records: session_id, request_id, tenant.

        handler.addFilter(ContextFilter())

    Each is None where the application said nothing; so are call_id, provider, model, trace_id and
    span_id on records that are about no call, so that one format serves all. Put it on a handler,
    where it sees the records of all loggers; it lets all through.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """True, with the values added to the record that it has not already."""
        values = context_values()
        for name in ("session_id", "request_id", "tenant"):
            if getattr(record, name, None) is None:
                setattr(record, name, getattr(values, name))
        for name in ("call_id", "provider", "model", "trace_id", "span_id"):
            if not hasattr(record, name):
                setattr(record, name, None)
        return True


def keep_quiet() -> None:
    """Gives the library's logger a NullHandler, once."""
    logger = logging.getLogger("beluga_llm")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())

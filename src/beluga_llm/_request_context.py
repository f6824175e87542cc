"""Who asks, for logs, spans and hooks: values that go with the running task.

    with request_context(session_id="chat-7", tenant="acme"):
        await model.generate("Hello")

They are context variables: tasks that are started inside have them too, others do not. A call has
those that were set where it was made, also where its stream is read elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec


class ContextValues(msgspec.Struct, frozen=True):
    """What the application said of the request that it works on; None where it said nothing.

    Attributes:
        session_id: the conversation; `gen_ai.conversation.id` in spans.
        request_id: the application's own request.
        tenant: for whom it works.
    """

    session_id: str | None = None
    request_id: str | None = None
    tenant: str | None = None

    def within(self, outer: ContextValues) -> ContextValues:
        """These values, and those of an outer context where there are none."""
        return ContextValues(
            outer.session_id if self.session_id is None else self.session_id,
            outer.request_id if self.request_id is None else self.request_id,
            outer.tenant if self.tenant is None else self.tenant,
        )


_NOTHING = ContextValues()
_CURRENT: ContextVar[ContextValues] = ContextVar("beluga_llm_request", default=_NOTHING)


def context_values() -> ContextValues:
    """The values of the innermost `request_context` around the running task."""
    return _CURRENT.get()


@contextmanager
def request_context(
    *, session_id: str | None = None, request_id: str | None = None, tenant: str | None = None
) -> Iterator[ContextValues]:
    """Names the calls made inside: in CallContext, logs and spans.

    Contexts nest: what is not given stays as it is outside.

    Args:
        session_id: the conversation; `gen_ai.conversation.id` in spans.
        request_id: the application's own request.
        tenant: for whom it works.
    """
    values = ContextValues(session_id, request_id, tenant).within(_CURRENT.get())
    token = _CURRENT.set(values)
    try:
        yield values
    finally:
        _CURRENT.reset(token)

"""Who asks: values that go with the running task."""

from __future__ import annotations

import asyncio

import pytest

from beluga_llm import CallContext, Hooks, request_context, with_hooks
from beluga_llm._request_context import context_values
from beluga_llm.testing import MockChatModel


def test_nothing_is_known_outside():
    assert context_values().session_id is None
    with request_context(session_id="s"):
        assert context_values().session_id == "s"
    assert context_values().session_id is None


@pytest.mark.row("MEMO-13")
def test_contexts_nest_and_keep_what_is_not_given():
    with request_context(session_id="s", tenant="acme") as outer:
        assert outer == context_values()
        with request_context(request_id="r", tenant="other"):
            inner = context_values()
        assert context_values() == outer
    assert (inner.session_id, inner.request_id, inner.tenant) == ("s", "r", "other")


def test_an_error_inside_ends_the_context():
    with pytest.raises(ZeroDivisionError), request_context(tenant="acme"):
        _ = 1 / 0
    assert context_values().tenant is None


@pytest.mark.row("MEMO-13", "HOOK-16")
@pytest.mark.parametrize("streaming", [False, True])
async def test_the_values_are_in_the_context_of_a_call(streaming):
    seen: list[tuple[str | None, ...]] = []

    def note(call: CallContext) -> None:
        seen.append((call.session_id, call.request_id, call.tenant))

    hooks = Hooks.from_callables(before_generate=note)
    model = MockChatModel(["a", "b"]).with_middleware(with_hooks(hooks))
    with request_context(session_id="s", request_id="r", tenant="t"):
        if streaming:
            await model.stream("hi").response()
        else:
            await model.generate("hi")
    await model.generate("hi")
    assert seen == [("s", "r", "t"), (None, None, None)]


@pytest.mark.row("HOOK-16")
async def test_a_stream_has_the_values_that_it_was_made_with():
    """A web framework reads it where the context has ended, or is another one."""
    seen: list[tuple[str | None, ...]] = []

    def note(call: CallContext) -> None:
        seen.append((call.session_id, call.request_id, call.tenant))

    model = MockChatModel(["a"]).with_middleware(
        with_hooks(Hooks.from_callables(before_generate=note))
    )
    with request_context(session_id="s"):
        stream = model.stream("hi")
    with request_context(session_id="other", tenant="t"):
        await stream.response()
    assert seen == [("s", None, "t")]


@pytest.mark.row("MEMO-13")
async def test_tasks_keep_the_values_that_they_were_started_with():
    async def ask() -> str | None:
        await asyncio.sleep(0)
        return context_values().tenant

    tasks = []
    for tenant in ("a", "b"):
        with request_context(tenant=tenant):
            tasks.append(asyncio.create_task(ask()))
    assert await asyncio.gather(*tasks) == ["a", "b"]

"""Fallback and FailoverRouter: who answers next, and what is told of it."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.flaky import Flaky, answer, text

import beluga_llm as llm
from beluga_llm import Attempt, FailoverRouter, StreamChunk, with_fallback
from beluga_llm._events import Event
from beluga_llm._routing.failover import without_traceback
from beluga_llm.testing import VirtualClock

BUSY = llm.OverloadedError("busy", retry_after=3)
KINDS = ["with_fallback", "FailoverRouter"]


def several(kind: str, first: llm.ChatModel, *others: llm.ChatModel, **settings: Any) -> Any:
    """The same models behind either door."""
    if kind == "FailoverRouter":
        return FailoverRouter(first, *others, **settings)
    return first.with_middleware(with_fallback(*others, **settings))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


async def ask(model: llm.ChatModel, streaming: bool, **options: Any) -> llm.AIMessage:
    return await (
        model.stream("hi", **options).response() if streaming else model.generate("hi", **options)
    )


# --- which model answers -------------------------------------------------------------------------


@pytest.mark.row("MIDD-06", "ROUT-13", "ROUT-17")
@pytest.mark.parametrize("streaming", [False, True])
async def test_the_next_model_answers_when_one_cannot(kind: str, streaming: bool):
    a, b, c = Flaky([BUSY], name="a"), Flaky([BUSY], name="b"), Flaky(answer("c"), name="c")
    reply = await ask(several(kind, a, b, c), streaming)
    assert reply.text == "c"
    assert reply.model_id == "real"
    assert reply.provider_metadata["fallback"] == {
        "provider": "flaky", "model_id": "c", "attempts": 3,
    }  # fmt: skip
    assert [len(model.requests) for model in (a, b, c)] == [1, 1, 1]


async def test_a_first_model_that_answers_is_not_talked_about(kind: str):
    b = Flaky(answer("b"))
    reply = await several(kind, Flaky(answer("a")), b).generate("hi")
    assert (reply.text, reply.provider_metadata, b.requests) == ("a", {}, [])


@pytest.mark.row("ROUT-13")
@pytest.mark.parametrize(
    "error",
    [
        llm.RateLimitError("x"),
        llm.QuotaExceededError("x"),
        llm.ModelNotFoundError("x"),
        llm.CircuitOpenError("x"),
        llm.RequestTimeoutError("x"),
        llm.StreamInterruptedError("x"),
        llm.AllModelsFailedError("x", code="overloaded", retryable=True),
    ],
)
async def test_errors_that_turn_to_the_next_model(kind: str, error: Exception):
    reply = await several(kind, Flaky([error]), Flaky(answer("b"))).generate("hi")
    assert reply.text == "b"


@pytest.mark.row("ROUT-14")
@pytest.mark.parametrize(
    "error", [llm.AuthenticationError("x"), llm.InvalidRequestError("x"), KeyError("x")]
)
async def test_other_errors_are_raised_at_once(kind: str, error: Exception):
    b = Flaky(answer("b"))
    with pytest.raises(type(error)) as caught:
        await several(kind, Flaky([error]), b).generate("hi")
    assert caught.value is error
    assert b.requests == []


@pytest.mark.row("ROUT-14")
async def test_a_predicate_replaces_the_usual_rule(kind: str):
    model = several(
        kind, Flaky([KeyError("x")]), Flaky(answer("b")), when=lambda e: isinstance(e, KeyError)
    )
    assert (await model.generate("hi")).text == "b"
    model = several(kind, Flaky([BUSY]), Flaky(answer("b")), when=lambda error: False)
    with pytest.raises(llm.OverloadedError):
        await model.generate("hi")


@pytest.mark.row("ROUT-14", "ERRO-20")
async def test_cancellation_never_fails_over(kind: str):
    gate, b = asyncio.Event(), Flaky(answer("b"))
    a = Flaky([gate])
    task = asyncio.create_task(several(kind, a, b).generate("hi"))
    while not a.requests:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert b.requests == []


@pytest.mark.row("CHAT-10", "ROUT-20", "RETR-07")
@pytest.mark.parametrize("streaming", [False, True])
async def test_each_model_has_its_own_time(kind: str, streaming: bool, skip_time: Any):
    """That of a model which hangs is over, not that of the next one, or of a retry."""

    def timed(model: Flaky, seconds: float) -> Flaky:
        model._config = llm.ProviderConfig(timeout=seconds)
        return model

    hangs = timed(Flaky([asyncio.Event()], name="hangs"), 5)
    model = several(kind, Flaky([BUSY]), hangs, timed(Flaky(answer("ok")), 60))
    task = asyncio.create_task(ask(model, streaming))
    while not hangs.requests:
        await asyncio.sleep(0)
    skip_time(5.1)
    assert (await task).text == "ok"
    again = timed(Flaky([asyncio.Event()], answer("ok")), 5)
    retried = llm.Router([again]).with_middleware(llm.with_retry(clock=VirtualClock(auto=True)))
    task = asyncio.create_task(ask(retried, streaming))
    while not again.requests:
        await asyncio.sleep(0)
    skip_time(5.1)
    assert (await task).text == "ok"


@pytest.mark.row("CHAT-10")
async def test_the_time_of_the_call_is_that_of_all_models(kind: str, skip_time: Any):
    def hanging() -> Flaky:
        return Flaky([asyncio.Event()])

    first, second, third = hanging(), hanging(), hanging()
    model = several(kind, first, second, third)
    task = asyncio.create_task(ask(model, False, timeout=5))
    while not first.requests:
        await asyncio.sleep(0)
    skip_time(5.1)
    with pytest.raises(llm.RequestTimeoutError):
        await task
    assert sum(len(one.requests) for one in (second, third)) == 0


async def test_a_model_may_answer_requests_of_others_in_its_own_way(kind: str):
    class Direct(Flaky):
        def handle(self, request: llm.ChatRequest) -> Any:
            return self._stream(request)

    model = several(kind, Flaky([BUSY]), Direct([BUSY]), Direct(answer("ok")))
    assert (await model.generate("hi")).text == "ok"


# --- when all fail -------------------------------------------------------------------------------


@pytest.mark.row("ROUT-15")
async def test_all_failed_tells_of_each(kind: str):
    clock = VirtualClock()

    async def wait() -> None:
        clock.advance(2)

    last = llm.RateLimitError("slow down", retry_after=9)
    opened = llm.CircuitOpenError("open")
    model = several(
        kind, Flaky([wait, BUSY], name="a"), Flaky([opened], name="b"), Flaky([last], name="c"),
        clock=clock,
    )  # fmt: skip
    with pytest.raises(llm.AllModelsFailedError) as caught:
        await model.generate("hi")
    error = caught.value
    assert error.message == f"all 3 models failed, last error: {last}"
    assert (error.code, error.retryable, error.retry_after) == ("rate_limit", True, 9)
    assert error.__cause__ is last
    assert [(one.model_id, one.duration, one.skipped) for one in error.attempts] == [
        ("a", 2, False), ("b", 0, True), ("c", 0, False),
    ]  # fmt: skip
    assert [type(one.error) for one in error.attempts] == [type(BUSY), type(opened), type(last)]
    assert all(one.error.__traceback__ is None for one in error.attempts)
    assert pickle.loads(pickle.dumps(error)).attempts[0].model_id == "a"


@pytest.mark.row("ROUT-15")
async def test_foreign_errors_have_no_code_to_pass_on(kind: str):
    model = several(kind, Flaky([BUSY]), Flaky([KeyError("x")]), when=lambda error: True)
    with pytest.raises(llm.AllModelsFailedError) as caught:
        await model.generate("hi")
    assert (caught.value.code, caught.value.retryable) == ("provider_error", False)


@pytest.mark.row("ROUT-15")
async def test_the_error_of_a_single_attempt_is_raised_itself():
    with pytest.raises(llm.OverloadedError) as caught:
        await FailoverRouter(Flaky([BUSY])).generate("hi")
    assert caught.value is BUSY


def test_an_error_that_cannot_be_copied_is_kept_itself():
    class OddError(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__("odd")

    odd = OddError(1, 2)
    assert without_traceback(odd) is odd


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.row("ROUT-16", "STRE-28")
async def test_nothing_is_spliced_into_a_stream_that_has_begun(kind: str):
    b = Flaky(answer("b"))
    cut = llm.StreamInterruptedError("gone", content_started=True)
    model = several(kind, Flaky([*text("a"), cut]), b)
    async with model.stream("hi") as stream:
        with pytest.raises(llm.StreamInterruptedError) as caught:
            async for _ in stream:
                pass
    assert caught.value.partial is not None
    assert (caught.value.partial.text, b.requests) == ("a", [])
    assert (await model.generate("hi")).text == "b"


@pytest.mark.row("STRE-28")
async def test_another_model_restarts_or_continues(kind: str):
    cut = llm.StreamInterruptedError("gone", content_started=True)

    def models() -> tuple[Flaky, Flaky]:
        return Flaky([*text("a "), cut], prefill=True), Flaky(answer("b"), prefill=True)

    restarted = await several(kind, *models(), mid_stream="restart").stream("hi").response()
    assert restarted.text == "b"
    a, b = models()
    continued = await several(kind, a, b, mid_stream="continue").stream("hi").response()
    assert continued.text == "a b"
    assert b.requests[0].messages[-1] == llm.AIMessage("a ")
    assert set(continued.provider_metadata) == {"fallback", "mid_stream"}


@pytest.mark.row("STRE-28")
def test_every_model_that_may_continue_is_checked(kind: str):
    good, bad = Flaky(answer(), prefill=True), Flaky(answer(), name="bad")
    for models in ((good, bad), (bad, good)):
        with pytest.raises(llm.ConfigError, match="flaky/bad is not known to"):
            several(kind, *models, mid_stream="continue")
    with pytest.raises(llm.ConfigError, match="mid_stream must be one of"):
        several(kind, good, good, mid_stream="now")


# --- answers that are refused --------------------------------------------------------------------


def filtered(message: llm.AIMessage) -> bool:
    return "bad" in message.text


@pytest.mark.row("ROUT-19")
async def test_a_whole_answer_may_be_refused(kind: str):
    model = several(
        kind, Flaky(answer("bad")), Flaky(answer("bad 2")), Flaky(answer("c")),
        when_response=filtered,
    )  # fmt: skip
    reply = await model.generate("hi")
    assert reply.text == "c"
    assert reply.provider_metadata["fallback"]["attempts"] == 3
    model = several(kind, Flaky(answer("a")), Flaky(answer("b")), when_response=filtered)
    assert (await model.generate("hi")).text == "a"


@pytest.mark.row("ROUT-19")
async def test_the_last_answer_counts_even_if_it_is_refused(kind: str):
    model = several(kind, Flaky([BUSY]), Flaky(answer("bad")), when_response=filtered)
    assert (await model.generate("hi")).text == "bad"
    model = several(kind, Flaky(answer("bad")), Flaky([BUSY]), when_response=filtered)
    with pytest.raises(llm.AllModelsFailedError) as caught:
        await model.generate("hi")
    assert caught.value.attempts[0].error is None


@pytest.mark.row("ROUT-19")
async def test_answers_of_streams_are_not_asked_for_with_one_warning(kind: str):
    model = several(kind, Flaky(answer("bad")), Flaky(answer("b")), when_response=filtered)
    with pytest.warns(UserWarning, match="when_response is not asked for streams"):
        assert (await model.stream("hi").response()).text == "bad"
    assert (await model.stream("hi").response()).text == "bad"


# --- options and tools ---------------------------------------------------------------------------


@pytest.mark.row("ROUT-20", "ROUT-12", "TOOL-04")
async def test_each_model_keeps_its_own_id_and_options(kind: str):
    one, two = llm.ToolDefinition("one"), llm.ToolDefinition("two")
    a = Flaky([BUSY], name="a")
    b = Flaky(answer("b"), name="b").with_options(temperature=0.1, top_p=0.2).bind_tools([two])
    model = several(kind, a, b).bind_tools([one]).with_options(temperature=0.9)
    await model.generate("hi", model="a-large", max_tokens=7)
    (first,), (second,) = a.requests, b.requests
    assert first.options.model == "a-large"
    assert second.options.model == "b"
    bound = 0.9 if kind == "FailoverRouter" else 0.1  # a fallback is no copy of the first model
    assert (second.options.temperature, second.options.top_p) == (bound, 0.2)
    assert second.options.max_tokens == 7
    assert {tool.name for tool in first.tools} == {"one"}
    assert {tool.name for tool in second.tools} == {"one", "two"}


@pytest.mark.row("ROUT-20")
async def test_options_as_an_object_are_passed_on_without_their_model(kind: str):
    a, b = Flaky([BUSY], name="a"), Flaky(answer("b"), name="b")
    options = llm.GenerateOptions(model="a-large", top_k=3)
    await several(kind, a, b).generate("hi", options=options)
    assert (a.requests[0].options.model, b.requests[0].options.model) == ("a-large", "b")
    assert b.requests[0].options.top_k == 3


ADDRESSED: dict[str, Any] = {
    "extra_headers": {"X-Key": "secret"},
    "extra_query": {"key": "secret"},
    "extra_body": {"key": "secret"},
}


@pytest.mark.row("ROUT-20", "PAIN-15")
@pytest.mark.parametrize("way", ["keywords", "options", "middleware"])
async def test_what_is_addressed_to_one_provider_is_not_sent_to_another(kind: str, way: str):
    """A key in a header of the call is for the first model's provider alone."""

    async def adding(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        options = llm.replace(request.options, **ADDRESSED)
        async for chunk in call_next(llm.replace(request, options=options)):
            yield chunk

    a, b = Flaky([BUSY], name="a"), Flaky(answer("b"), name="b")
    model = several(kind, a, b)
    if way == "middleware":
        model = model.with_middleware(adding)
    given: dict[str, Any] = {
        "keywords": ADDRESSED, "options": {"options": llm.GenerateOptions(**ADDRESSED)},
        "middleware": {},
    }[way]  # fmt: skip
    await model.generate("hi", top_k=3, **given)
    (sent,), (other,) = a.requests, b.requests
    for name, value in ADDRESSED.items():
        assert getattr(sent.options, name) == value
        assert getattr(other.options, name) == {}
    assert other.options.top_k == 3


async def test_what_middleware_changed_is_passed_on():
    async def cooler(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        options = llm.replace(request.options, temperature=0.0, model="elsewhere")
        async for chunk in call_next(llm.replace(request, options=options)):
            yield chunk

    a, b = Flaky([BUSY], name="a"), Flaky(answer("b"), name="b")
    await a.with_middleware(cooler, with_fallback(b)).generate("hi")
    assert a.requests[0].options.model == "elsewhere"
    assert (b.requests[0].options.model, b.requests[0].options.temperature) == ("b", 0.0)


# --- cooldown ------------------------------------------------------------------------------------


@pytest.mark.row("ROUT-21", "RATE-16")
async def test_a_model_that_failed_is_tried_last_for_a_while(kind: str):
    clock = VirtualClock()
    a, b = Flaky([BUSY], answer("a")), Flaky(answer("b"))
    model = several(kind, a, b, cooldown=30, clock=clock)
    assert (await model.generate("hi")).text == "b"
    assert (await model.generate("hi")).text == "b"
    assert len(a.requests) == 1
    clock.advance(30)
    assert (await model.generate("hi")).text == "a"
    with pytest.raises(llm.ConfigError, match="cooldown must be >= 0"):
        several(kind, a, b, cooldown=-1)


@pytest.mark.row("ROUT-21")
async def test_without_a_cooldown_the_order_never_changes(kind: str):
    a, b = Flaky([BUSY], answer("a")), Flaky(answer("b"))
    model = several(kind, a, b)
    assert (await model.generate("hi")).text == "b"
    assert (await model.generate("hi")).text == "a"


# --- what it is ----------------------------------------------------------------------------------


@pytest.mark.row("ROUT-04")
def test_there_must_be_models():
    for make in (FailoverRouter, with_fallback):
        with pytest.raises(llm.ConfigError, match="no models configured") as caught:
            make()
        assert isinstance(caught.value, ValueError)


@pytest.mark.row("ROUT-11", "MIDD-21", "CHAT-21", "CHAT-15")
async def test_identity(kind: str):
    a = Flaky(answer("a"), name="a")
    model = several(kind, a, llm.create("demo"))
    ids = {"with_fallback": "flaky/a", "FailoverRouter": "beluga/failover-router"}
    assert model.qualified_id == ids[kind]
    router = FailoverRouter(a, "demo")
    assert [inner.qualified_id for inner in router.models] == ["flaky/a", "demo/demo"]
    assert router.unwrap() is router
    assert repr(router) == "<FailoverRouter flaky/a, demo/demo>"
    layer = with_fallback("demo")
    assert repr(layer) == "with_fallback(demo/demo)"
    assert layer.models[0].qualified_id == "demo/demo"


@pytest.mark.row("CHAT-13", "MIDD-19")
async def test_all_models_are_closed_even_if_one_fails(kind: str):
    closed: list[str] = []

    class Closing(Flaky):
        async def _aclose(self) -> None:
            closed.append(self.model_id)
            raise OSError(self.model_id)

    model = several(kind, Flaky(answer()), Closing(name="b"), Closing(name="c"))
    with pytest.raises(ExceptionGroup) as caught:
        await model.aclose()
    assert closed == ["b", "c"]
    assert [str(error) for error in caught.value.exceptions] == ["b", "c"]


async def test_closing_one_model_twice_in_a_list_closes_it_once():
    a = Flaky(answer())
    async with FailoverRouter(a, a) as router:
        assert (await router.generate("hi")).text == ""


@pytest.mark.row("ROUT-17")
async def test_each_switch_is_told():
    events: list[Event] = []

    async def listening(request: llm.ChatRequest, call_next: llm.CallNext) -> Any:
        request.call.listeners.append(events.append)  # type: ignore[union-attr]  # it is set
        async for chunk in call_next(request):
            yield chunk

    b = Flaky(answer("b"), name="b")
    model = Flaky([BUSY], name="a").with_middleware(listening, with_fallback(b))
    await model.generate("hi")
    (event,) = events
    assert event.name == "fallback"
    assert (event.facts["model_id"], event.facts["error"]) == ("b", BUSY)
    assert isinstance(event.facts["failed"], Attempt)


# --- laws ----------------------------------------------------------------------------------------


@pytest.mark.row("ROUT-16", "PAIN-07")
@given(
    st.lists(st.sampled_from(["busy", "head then busy", "cut"]), max_size=4),
    st.booleans(),
    st.sampled_from(KINDS),
)
def test_requests_are_as_many_as_models_that_failed(
    failures: list[str], streaming: bool, door: str
):
    items: dict[str, list[Any]] = {
        "busy": [BUSY],
        "head then busy": [StreamChunk(model_id="m"), BUSY],
        "cut": [llm.StreamInterruptedError("gone")],
    }
    models = [Flaky(items[how], name=f"m{n}") for n, how in enumerate(failures)]
    models.append(Flaky(answer("end"), name="end"))
    first, *others = models
    if not others:
        others = [Flaky(answer("unused"), name="unused")]

    async def run() -> None:
        reply = await ask(several(door, first, *others), streaming)
        assert reply.text == "end"
        assert reply.model_id == "real"
        assert [len(model.requests) for model in models] == [1] * len(models)
        assert all(model.open == 0 for model in models)

    asyncio.run(run())

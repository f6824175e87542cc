"""Providers that each break one promise, and the check of the kit that must catch it.

The file is run by `tests/io/test_conformance.py`, never collected by itself: here the tests fail.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from importlib.util import find_spec
from typing import Any, ClassVar

import beluga_llm as llm
from beluga_llm import replace
from beluga_llm._compatible import openai_compatible
from beluga_llm.plugin import (
    ChatRequest,
    Decoder,
    Dialect,
    HttpRequest,
    OpenAIChatDialect,
    ProviderModel,
    Response,
    StreamChunk,
    WireRequest,
    loads,
)
from beluga_llm.testing import ChatModelConformance, DialectConformance, FakeServer

Chunks = AsyncGenerator[StreamChunk, None]


class Sick(ProviderModel):
    """A provider that is all right, but for what a subclass does to it."""

    spec = openai_compatible

    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        """What becomes of a chunk."""
        return chunk

    def failed(self, error: llm.BelugaError) -> Exception | None:
        """What becomes of an error; None ends the answer as if it were complete."""
        return error

    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        """What becomes of a request's body."""
        return json

    async def _stream(self, request: ChatRequest) -> Chunks:
        chunks = super()._stream(request)
        try:
            async for chunk in chunks:
                yield self.bent(chunk, request)
        except llm.BelugaError as error:
            if (raised := self.failed(error)) is not None:
                raise raised from None
            yield StreamChunk(finish_reason=llm.FinishReason.STOP)
        finally:
            await chunks.aclose()

    def __init__(self, *arguments: Any, **fields: Any) -> None:
        super().__init__(*arguments, **fields)
        self.dialect = Bent(self, self.dialect)


class Bent(Dialect):
    """The model's dialect, whose requests the model bends."""

    def __init__(self, model: Sick, dialect: Dialect) -> None:
        super().__init__(dialect.provider)
        self.model, self.inner = model, dialect
        self.decoder, self.error = dialect.decoder, dialect.error  # type: ignore[method-assign]  # handed on

    def encode(self, request: ChatRequest) -> HttpRequest:
        made = self.inner.encode(request)
        return replace(made, json=self.model.body(made.json, request))

    def decoder(self, request: ChatRequest) -> Decoder:  # the inner one's
        raise NotImplementedError

    def error(self, *arguments: Any, **keywords: Any) -> llm.BelugaError:  # the inner one's
        raise NotImplementedError


class Broken(ChatModelConformance):
    """A test class that is to fail.

    Attributes:
        kind: the provider.
        caught_by: the checks that must fail.
    """

    __test__ = False
    api = "chat"
    kind: ClassVar[type[llm.ChatModel]]
    caught_by: ClassVar[tuple[str, ...]]
    patience = 0.6

    def make(self, server: FakeServer, **fields: Any) -> llm.ChatModel:
        given = {
            "base_url": server.base_url(self.api or ""), "api_key": self.api_key, "model": "m",
        }  # fmt: skip
        return self.kind(**{**given, **self.fields, **fields})


BROKEN: dict[str, type[Broken]] = {}


def caught_by(
    *checks: str, **attributes: Any
) -> Callable[[type[llm.ChatModel]], type[llm.ChatModel]]:
    """Makes a test class of a provider, which these checks must catch."""

    def decorate(kind: type[llm.ChatModel]) -> type[llm.ChatModel]:
        named = {check.partition("[")[0] for check in checks}
        others = (name for name in dir(Broken) if name.startswith("test_") and name not in named)
        facts = {"kind": kind, "caught_by": checks, "__test__": True, **attributes}
        facts.update(dict.fromkeys(others))  # pytest has no 15,000 checks to collect
        name = f"Test{kind.__name__}"
        BROKEN[name] = globals()[name] = type(name, (Broken,), facts)
        return kind

    return decorate


# --- answers ------------------------------------------------------------------------------------


@caught_by("test_usage_is_what_was_reported")
class DropsUsage(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        return replace(chunk, usage=None)


@caught_by("test_usage_that_was_not_reported_is_none")
class InventsUsage(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        return replace(chunk, usage=chunk.usage or llm.Usage(0, 0))


@caught_by("test_usage_is_the_same_in_both_kinds_of_call")
class ForgetsUsageInStreams(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        return replace(chunk, usage=None) if request.streaming else chunk


@caught_by("test_several_calls_are_told_apart")
class MergesCalls(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        calls = (replace(call, index=0, id=None) for call in chunk.tool_calls)
        return replace(chunk, tool_calls=tuple(calls))


@caught_by("test_a_stream_is_a_whole_answer")
class SpeaksAfterTheEnd(Sick):
    async def _stream(self, request: ChatRequest) -> Chunks:
        async for chunk in super()._stream(request):
            yield chunk
        yield StreamChunk("And another thing.")


@caught_by("test_both_kinds_of_call_mean_the_same")
class DropsWordsInStreams(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        return replace(chunk, delta="") if request.streaming and "done" in chunk.delta else chunk


@caught_by("test_chunks_come_as_they_arrive")
class WaitsForTheEnd(Sick):
    async def _stream(self, request: ChatRequest) -> Chunks:
        for chunk in [chunk async for chunk in super()._stream(request)]:
            yield chunk


@caught_by("test_thinking_is_no_text")
class ThinksAloud(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        return replace(chunk, delta=chunk.delta + chunk.reasoning_delta, reasoning_delta="")


@caught_by(
    "test_opaque_data_come_back_unchanged[stream-False-True]",
    api="responses",
    fields={"api": "responses"},
)
class LosesEncryptedReasoning(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        return replace(chunk, redacted_data=None)


@caught_by("test_the_finish_reason_is_told")
class AlwaysStops(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        return replace(chunk, finish_reason=chunk.finish_reason and llm.FinishReason.STOP)


@caught_by("test_a_stream_that_breaks_off_is_interrupted")
class TakesTruncationForSuccess(Sick):
    def failed(self, error: llm.BelugaError) -> Exception | None:
        return None if isinstance(error, llm.StreamInterruptedError) else error


@caught_by("test_a_stream_cut_anywhere_is_never_taken_for_whole")
class TakesAnEndOfBytesForSuccess(TakesTruncationForSuccess):
    pass


# --- requests -----------------------------------------------------------------------------------


@caught_by("test_a_conversation_arrives_whole")
class SaysSystemAsUser(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {**json, "messages": [{**said, "role": "user"} for said in json["messages"]]}


@caught_by("test_an_option_is_sent_or_told")
class DropsOptions(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {name: value for name, value in json.items() if name != "temperature"}


@caught_by("test_both_kinds_of_call_ask_the_same")
class StreamsWithoutStops(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {name: v for name, v in json.items() if name != "stop" or not request.streaming}


@caught_by("test_schemas_arrive_whole")
class ThinsSchemas(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return _without(json, "required") if "tools" in json else json


@caught_by("test_media_are_sent_or_refused")
class SkipsMedia(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {**json, "messages": [{"role": "user", "content": "What is this?"}]}


@caught_by("test_the_model_of_a_call_is_asked")
class AsksOneModelOnly(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {**json, "model": self.model_id}


@caught_by("test_results_go_back_to_their_calls")
class LosesResults(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {**json, "messages": [said for said in json["messages"] if said["role"] != "tool"]}


@caught_by("test_a_choice_of_tools_is_sent_or_told")
class ChoosesForItself(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {name: value for name, value in json.items() if name != "tool_choice"}


@caught_by("test_a_form_of_the_answer_is_asked_or_told")
class AnswersInAnyForm(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {name: value for name, value in json.items() if name != "response_format"}


@caught_by("test_nothing_that_was_said_is_lost")
class KnowsOneSystemMessage(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        first, *rest = json["messages"]
        return {**json, "messages": [first, *(said for said in rest if said["role"] != "system")]}


@caught_by("test_nothing_that_was_said_is_lost[stream]")
class KnowsOneText(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        messages = [
            {**said, "content": said["content"][:1]} if isinstance(said["content"], list) else said
            for said in json["messages"]
        ]
        return {**json, "messages": messages}


@caught_by("test_nothing_that_was_said_is_lost[generate]")
class ForgetsTextsOfCalls(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        messages = [
            {**said, "content": None} if "tool_calls" in said else said for said in json["messages"]
        ]
        return {**json, "messages": messages}


@caught_by("test_media_are_sent_or_refused[images]")
class ForgetsTextsOfMedia(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        messages = [
            {**said, "content": said["content"][1:]} if isinstance(said["content"], list) else said
            for said in json["messages"]
        ]
        return {**json, "messages": messages}


@caught_by("test_an_option_is_sent_or_told[top_p]")
class TakesOneOptionForAnother(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {"temperature" if name == "top_p" else name: json[name] for name in json}


@caught_by("test_an_option_is_sent_or_told[stop]")
class KnowsOneStop(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {**json, "stop": json["stop"][:1]} if "stop" in json else json


@caught_by("test_schemas_arrive_whole")
class DemandsCalls(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {"tool_choice": "required", **json} if "tools" in json else json


# --- errors and secrets -------------------------------------------------------------------------


@caught_by("test_a_status_has_its_class[generate-404]")
class SwallowsErrors(Sick):
    def failed(self, error: llm.BelugaError) -> Exception | None:
        return None


@caught_by("test_an_exhausted_quota_is_not_worth_waiting_for")
class RaisesOneClass(Sick):
    def failed(self, error: llm.BelugaError) -> Exception | None:
        return llm.RateLimitError(error.message)


@caught_by("test_the_time_to_wait_is_read")
class ForgetsTheTimeToWait(Sick):
    def failed(self, error: llm.BelugaError) -> Exception | None:
        error.retry_after = None
        return error


@caught_by("test_a_status_has_its_class[stream-503]")
class TriesAgainByItself(Sick):
    async def _stream(self, request: ChatRequest) -> Chunks:
        try:
            async for chunk in super()._stream(request):
                yield chunk
        except llm.ProviderUnavailableError:
            async for chunk in super()._stream(request):
                yield chunk


@caught_by("test_the_key_shows_in_no_error")
class LeaksTheKey(Sick):
    def failed(self, error: llm.BelugaError) -> Exception | None:
        return type(error)(f"{error.message} (the key is {self._config.api_key.reveal()})")  # type: ignore[union-attr]  # a Secret here


@caught_by("test_the_key_stands_in_headers_only")
class SendsTheKeyInTheBody(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {**json, "key": self._config.api_key.reveal()}  # type: ignore[union-attr]  # a Secret here


# --- time, cancellation, sharing ----------------------------------------------------------------


@caught_by("test_leaving_a_stream_stops_the_server[cancel]")
class SwallowsCancellation(Sick):
    async def _stream(self, request: ChatRequest) -> Chunks:
        try:
            async for chunk in super()._stream(request):
                yield chunk
        except asyncio.CancelledError:
            return


@caught_by("test_cancelling_a_call_stops_the_server[generate-head]", "test_cancelling_at_any_point")
class WrapsCancellation(Sick):
    async def _stream(self, request: ChatRequest) -> Chunks:
        try:
            async for chunk in super()._stream(request):
                yield chunk
        except asyncio.CancelledError as error:
            raise llm.ProviderError("cancelled") from error


class KeptOpen:
    """An answer that is never closed."""

    def __init__(self, response: Response) -> None:
        self.status, self.headers, self.read = response.status, response.headers, response.read
        self.response = response

    def close(self) -> None:
        """Forgotten."""


@caught_by("test_leaving_a_stream_stops_the_server[break]")
class LeaksTheResponse(Sick):
    def __init__(self, *arguments: Any, **fields: Any) -> None:
        super().__init__(*arguments, **fields)
        self._kept: list[KeptOpen] = []

    async def _send(self, wire: WireRequest, *arguments: Any) -> Any:
        self._kept.append(KeptOpen(await super()._send(wire, *arguments)))
        return self._kept[-1]

    async def _aclose(self) -> None:
        for kept in self._kept:
            kept.response.close()
        await super()._aclose()


@caught_by("test_a_stall_ends[idle]")
class IgnoresTimeouts(Sick):
    def _limits_of(self, options: llm.GenerateOptions) -> llm.Timeouts:
        return llm.Timeouts()

    def _deadline(self, options: llm.GenerateOptions) -> None:
        return None


@caught_by("test_a_text_is_answered")
class LeavesATaskBehind(Sick):
    async def _stream(self, request: ChatRequest) -> Chunks:
        self._task = asyncio.create_task(asyncio.sleep(60))
        async for chunk in super()._stream(request):
            yield chunk


@caught_by("test_a_text_is_answered")
class LeavesAnErrorBehind(Sick):
    async def _stream(self, request: ChatRequest) -> Chunks:
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        async for chunk in super()._stream(request):
            yield chunk


@caught_by("test_three_event_loops")
class KnowsOneLoopOnly(Sick):
    loop: asyncio.AbstractEventLoop | None = None

    async def _stream(self, request: ChatRequest) -> Chunks:
        self.loop = self.loop or asyncio.get_running_loop()
        if self.loop.is_closed():
            raise RuntimeError("Event loop is closed")
        async for chunk in super()._stream(request):
            yield chunk


@caught_by("test_defaults_lie_below_the_options_of_a_call")
class SharesOptions(Sick):
    def with_options(self, **keywords: Any) -> Any:
        self._options = super().with_options(**keywords)._options
        return self


@caught_by("test_a_hundred_calls_at_once_keep_their_answers")
class SharesAnswers(Sick):
    last: StreamChunk | None = None

    async def _stream(self, request: ChatRequest) -> Chunks:
        async for chunk in super()._stream(request):
            if chunk.delta:
                self.last = chunk
                await asyncio.sleep(0)
                yield self.last
            else:
                yield chunk


@caught_by(
    "test_leaving_a_stream_stops_the_server[break]",
    "test_leaving_a_stream_stops_the_server[aclose]",
    "test_leaving_a_stream_stops_the_server[exception]",
    "test_a_dropped_stream_stops_the_server",
    "test_chunks_come_as_they_arrive",
    patience=0.4,
)
class SaysNothing(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        return replace(chunk, delta="")


class ClosedLate(KeptOpen):
    """An answer that is closed when there is time for it."""

    def close(self) -> None:
        asyncio.get_running_loop().call_later(0.15, self.response.close)


@caught_by("test_leaving_a_stream_stops_the_server[break]", patience=3.0)
class LeavesLate(Sick):
    async def _send(self, wire: WireRequest, *arguments: Any) -> Any:
        return ClosedLate(await super()._send(wire, *arguments))


@caught_by("test_closing_lets_running_calls_end")
class ClosesTooMuch(Sick):
    async def _aclose(self) -> None:
        for pool in self._transport._pools.values():  # type: ignore[attr-defined]  # aiohttp's
            await pool.session.close()
        await super()._aclose()


# --- and what else goes wrong -------------------------------------------------------------------


@caught_by("test_the_event_loop_is_not_blocked", patience=5.0)
class BlocksTheLoop(Sick):
    async def _stream(self, request: ChatRequest) -> Chunks:
        time.sleep(0.15)  # noqa: ASYNC251 -- that is what is wrong with it
        async for chunk in super()._stream(request):
            yield chunk


@caught_by("test_calls_do_not_wait_for_each_other")
class DoesOneThingAtATime(Sick):
    def __init__(self, *arguments: Any, **fields: Any) -> None:
        super().__init__(*arguments, **fields)
        self._turn = asyncio.Lock()

    async def _stream(self, request: ChatRequest) -> Chunks:
        async with self._turn:
            async for chunk in super()._stream(request):
                yield chunk  # noqa: ASYNC119 -- that is what is wrong with it


@caught_by("test_nothing_is_printed")
class Prints(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        print(chunk.delta)
        return chunk


@caught_by("test_the_key_shows_in_no_error[stream]", "test_the_key_shows_in_no_error[generate]")
class LogsTheKey(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        logging.getLogger("acme").debug("asking with %s", self._config.api_key.reveal())  # type: ignore[union-attr]  # a Secret here
        return json


@caught_by("test_the_key_shows_in_no_repr")
class ShowsTheKey(Sick):
    def __repr__(self) -> str:
        return f"<ShowsTheKey {self._config.api_key.reveal()}>"  # type: ignore[union-attr]  # a Secret here


@caught_by("test_the_key_that_is_given_is_sent")
class TakesAnotherKey(Sick):
    def __init__(self, *arguments: Any, **fields: Any) -> None:
        if "OPENAI_API_KEY" in os.environ:
            fields["api_key"] = os.environ["OPENAI_API_KEY"]
        super().__init__(*arguments, **fields)


@caught_by("test_a_text_is_answered")
class KnowsOneAddress(Sick):
    def __init__(self, *arguments: Any, **fields: Any) -> None:
        super().__init__(*arguments, **{**fields, "base_url": "http://127.0.0.1:9"})


@caught_by("test_a_text_is_answered")
class StaysConnected(Sick):
    async def aclose(self) -> None:
        """Forgotten."""


@caught_by("test_a_stream_is_a_whole_answer")
class FinishesTwice(Sick):
    async def _stream(self, request: ChatRequest) -> Chunks:
        async for chunk in super()._stream(request):
            yield chunk
            if chunk.finish_reason is not None:
                yield StreamChunk(finish_reason=chunk.finish_reason)


@caught_by("test_a_stream_is_a_whole_answer")
class NeverFinishes(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        return replace(chunk, finish_reason=None)


@caught_by("test_usage_is_what_was_reported")
class CountsTwice(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        return replace(chunk, usage=chunk.usage and chunk.usage + chunk.usage)


@caught_by("test_who_answered_is_told")
class NamesOneModel(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        return replace(chunk, model_id=chunk.model_id and "m")


@caught_by("test_several_calls_are_told_apart")
class ForgetsIdsOfCalls(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        calls = (replace(call, id=call.id and "1") for call in chunk.tool_calls)
        return replace(chunk, tool_calls=tuple(calls))


if find_spec("beluga_llm_anthropic"):  # no API in the core has signatures
    from beluga_llm_anthropic import AnthropicChatModel

    @caught_by("test_opaque_data_come_back_unchanged[generate-True-False]", api="messages")
    class LosesSignatures(AnthropicChatModel):
        async def _stream(self, request: ChatRequest) -> Chunks:
            async for chunk in super()._stream(request):
                yield replace(chunk, signature=None)


@caught_by("test_a_text_is_answered")
class SpeaksAsciiOnly(Sick):
    def bent(self, chunk: StreamChunk, request: ChatRequest) -> StreamChunk:
        return replace(chunk, delta=chunk.delta.encode("ascii", "replace").decode())


@caught_by("test_large_texts_pass")
class CutsLongTexts(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        messages = [
            {**said, "content": said["content"][:1000]}
            if isinstance(said["content"], str)
            else said
            for said in json["messages"]
        ]
        return {**json, "messages": messages}


@caught_by("test_results_go_back_to_their_calls")
class MixesUpResults(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        results = [said for said in json["messages"] if said["role"] == "tool"]
        others = [said for said in json["messages"] if said["role"] != "tool"]
        return {**json, "messages": others + results[::-1]}


@caught_by("test_schemas_arrive_whole")
class LosesDescriptions(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return _without(json, "description")


@caught_by("test_an_option_is_sent_or_told[temperature 0]")
class TakesZeroForNothing(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {name: value for name, value in json.items() if value or name != "temperature"}


@caught_by("test_an_option_is_sent_or_told[max_tokens]")
class NeverStopsEarly(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {name: value for name, value in json.items() if "max" not in name}


@caught_by("test_what_is_extra_arrives")
class DropsProviderOptions(Sick):
    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        return {name: value for name, value in json.items() if "own" not in name}


@caught_by("test_defaults_lie_below_the_options_of_a_call")
class RemembersOptions(Sick):
    kept: ClassVar[dict[str, Any]] = {}

    def body(self, json: dict[str, Any], request: ChatRequest) -> dict[str, Any]:
        self.kept.update({name: json[name] for name in json if "max" in name})
        return {**json, **self.kept}


@caught_by("test_copies_leave_the_original_alone")
class BindsInPlace(Sick):
    def bind_tools(self, *arguments: Any, **keywords: Any) -> Any:
        copy = super().bind_tools(*arguments, **keywords)
        self._tools = copy._tools
        return copy


@caught_by("test_a_status_has_its_class[generate-401]", "test_a_status_has_its_class[stream-404]")
class KnowsOneClass(Sick):
    def failed(self, error: llm.BelugaError) -> Exception | None:
        return llm.InvalidRequestError(error.message, status=error.status, provider=error.provider)


@caught_by("test_a_status_has_its_class[generate-500]")
class DropsRequestIds(Sick):
    def failed(self, error: llm.BelugaError) -> Exception | None:
        error.request_id = None
        return error


@caught_by("test_nobody_listens", "test_a_reset_connection")
class RaisesForeignErrors(Sick):
    def failed(self, error: llm.BelugaError) -> Exception | None:
        return OSError(error.message)


@caught_by("test_a_stream_that_breaks_off_is_interrupted")
class ForgetsWhatCameBefore(Sick):
    def failed(self, error: llm.BelugaError) -> Exception | None:
        return type(error)(error.message, provider=error.provider, retryable=True)


@caught_by("test_health_sends_nothing_unasked")
class ProbesUnasked(Sick):
    async def check_health(self, *, probe: bool = False) -> llm.Health:
        return await super().check_health(probe=True)


@caught_by("test_a_probe_tells_what_is_wrong")
class IsAlwaysHealthy(Sick):
    async def check_health(self, *, probe: bool = False) -> llm.Health:
        found = await super().check_health(probe=probe)
        return replace(found, state=llm.HealthState.HEALTHY, detail="")


@caught_by("test_a_probe_tells_what_is_wrong")
class RaisesInProbes(Sick):
    async def check_health(self, *, probe: bool = False) -> llm.Health:
        found = await super().check_health(probe=probe)
        if found.state != llm.HealthState.HEALTHY:
            raise llm.ProviderError(found.detail)
        return found


def _without(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _without(item, key) for name, item in value.items() if name != key}
    return [_without(item, key) for item in value] if isinstance(value, list | tuple) else value


# --- dialects -----------------------------------------------------------------------------------


class BrokenDialect(DialectConformance):
    """A test class that is to fail."""

    __test__ = False
    api = "chat"
    caught_by: ClassVar[tuple[str, ...]]


def dialect_caught_by(*checks: str) -> Callable[[type[Dialect]], type[Dialect]]:
    def decorate(kind: type[Dialect]) -> type[Dialect]:
        name = f"Test{kind.__name__}"
        facts = {"dialect": kind("kit"), "caught_by": checks, "__test__": True}
        BROKEN[name] = globals()[name] = type(name, (BrokenDialect,), facts)  # type: ignore[assignment]  # both have caught_by
        return kind

    return decorate


@dialect_caught_by("test_encoding_is_pure")
class Counts(OpenAIChatDialect):
    count = 0

    def encode(self, request: ChatRequest) -> HttpRequest:
        Counts.count += 1
        made = super().encode(request)
        return replace(made, json={**made.json, "number": Counts.count})


@dialect_caught_by("test_an_option_is_sent_or_noted")
class ForgetsSeeds(OpenAIChatDialect):
    def encode(self, request: ChatRequest) -> HttpRequest:
        made = super().encode(request)
        return replace(made, json={name: v for name, v in made.json.items() if name != "seed"})


@dialect_caught_by("test_a_part_is_sent_or_noted")
class ForgetsVideos(OpenAIChatDialect):
    def encode(self, request: ChatRequest) -> HttpRequest:
        return replace(super().encode(request), notes=())


@dialect_caught_by("test_any_conversation_can_be_encoded")
class NeedsText(OpenAIChatDialect):
    def encode(self, request: ChatRequest) -> HttpRequest:
        assert all(message.parts for message in request.messages)
        return super().encode(request)


@dialect_caught_by("test_nothing_that_was_said_is_lost")
class ForgetsResults(OpenAIChatDialect):
    def encode(self, request: ChatRequest) -> HttpRequest:
        made = super().encode(request)
        messages = [said for said in made.json["messages"] if said["role"] != "tool"]
        return replace(made, json={**made.json, "messages": messages})


@dialect_caught_by("test_schemas_are_sent_whole")
class ForgetsWhatIsReferredTo(OpenAIChatDialect):
    def encode(self, request: ChatRequest) -> HttpRequest:
        made = super().encode(request)
        return replace(made, json=_without(made.json, "$defs"))


@dialect_caught_by("test_the_opaque_data_of_others_are_not_sent")
class SendsAllSignatures(OpenAIChatDialect):
    def encode(self, request: ChatRequest) -> HttpRequest:
        made = super().encode(request)
        parts = [part for message in request.messages for part in message.parts]
        signatures = [getattr(part, "signature", None) for part in parts]
        return replace(made, json={**made.json, "signatures": signatures})


@dialect_caught_by("test_a_status_has_its_class")
class KnowsOneError(OpenAIChatDialect):
    def error(self, status: int, headers: Any, body: bytes, *, now: float) -> llm.BelugaError:
        return llm.ProviderError("it failed", status=status)


class Wrapped(Decoder):
    """The right decoder, for a subclass to do harm to."""

    def __init__(self, inner: Decoder) -> None:
        self.inner = inner

    def feed(self, event: str, data: bytes) -> Any:
        chunks = self.inner.feed(event, data)
        self.complete, self.ended = self.inner.complete, self.inner.ended
        return chunks

    def finish(self) -> Any:
        return self.inner.finish()


class Trusting(Wrapped):
    def feed(self, event: str, data: bytes) -> Any:
        chunks = super().feed(event, data)
        self.complete = self.complete or any(chunk.delta for chunk in chunks)
        return chunks


class Fragile(Wrapped):
    def feed(self, event: str, data: bytes) -> Any:
        if b'"choices":null' in data.replace(b" ", b"") or b'"delta":null' in data:
            raise TypeError("'NoneType' object is not iterable")
        return super().feed(event, data)


class Lazy(Wrapped):
    def feed(self, event: str, data: bytes) -> Any:
        return iter(super().feed(event, data))


class Strict(Wrapped):
    def feed(self, event: str, data: bytes) -> Any:
        if event:
            raise llm.MalformedResponseError(f"unknown event {event!r}")
        return super().feed(event, data)


@dialect_caught_by("test_a_stream_cut_anywhere_is_never_taken_for_whole")
class TrustsFirstWords(OpenAIChatDialect):
    def decoder(self, request: ChatRequest) -> Decoder:
        return Trusting(super().decoder(request))


@dialect_caught_by("test_odd_frames_never_crash")
class TrustsServers(OpenAIChatDialect):
    def decoder(self, request: ChatRequest) -> Decoder:
        return Fragile(super().decoder(request))


@dialect_caught_by("test_what_is_unknown_changes_nothing")
class KnowsAllEvents(OpenAIChatDialect):
    def decoder(self, request: ChatRequest) -> Decoder:
        return Strict(super().decoder(request))


@dialect_caught_by("test_what_is_unknown_changes_nothing", "test_odd_frames_never_crash")
class GivesIterators(OpenAIChatDialect):
    def decoder(self, request: ChatRequest) -> Decoder:
        return Lazy(super().decoder(request))


@dialect_caught_by("test_answers_do_not_touch_each_other")
class HasOneDecoder(OpenAIChatDialect):
    kept: ClassVar[dict[str, Decoder]] = {}

    def decoder(self, request: ChatRequest) -> Decoder:
        if not self.kept or next(iter(self.kept.values())).ended:
            self.kept["only"] = super().decoder(request)
        return self.kept["only"]


@dialect_caught_by("test_the_pieces_of_a_stream_make_no_difference")
class WantsWholeLines(OpenAIChatDialect):
    def framing(self, request: ChatRequest) -> Any:
        return Hasty(super().framing(request))


class Hasty:
    """Takes each read for whole events."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def feed(self, data: bytes) -> Any:
        return self.inner.feed(data.rstrip() + b"\n\n")

    def finish(self) -> Any:
        return self.inner.finish()


@dialect_caught_by("test_odd_errors_never_crash")
class TrustsErrors(OpenAIChatDialect):
    def error(self, status: int, headers: Any, body: bytes, *, now: float) -> llm.BelugaError:
        if body.startswith(b"\xff"):
            body.decode()
        return super().error(status, headers, body, now=now)


class Deaf(Wrapped):
    def feed(self, event: str, data: bytes) -> Any:
        return () if b'"error"' in data else super().feed(event, data)


@dialect_caught_by("test_an_error_in_a_stream_is_raised")
class IgnoresErrorFrames(OpenAIChatDialect):
    def decoder(self, request: ChatRequest) -> Decoder:
        return Deaf(super().decoder(request))


@dialect_caught_by("test_odd_errors_in_a_stream_never_crash")
class TrustsErrorFrames(OpenAIChatDialect):
    def decoder(self, request: ChatRequest) -> Decoder:
        return Trustful(super().decoder(request))


class Trustful(Wrapped):
    def feed(self, event: str, data: bytes) -> Any:
        if data.startswith(b'{"error"'):
            loads(data)["error"]["message"].strip()
        return super().feed(event, data)

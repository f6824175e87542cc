"""From a request and a Reply to the bytes of the answer."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
    Mapping,
)
from typing import Any

from msgspec.structs import replace

from beluga_llm import _json
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import (
    BelugaError,
    EmptyResponseError,
    MalformedResponseError,
    StreamInterruptedError,
)
from beluga_llm._fold import fold
from beluga_llm._messages import AIMessage
from beluga_llm._model import ChatModel
from beluga_llm._usage import Usage
from beluga_llm.testing._pieces import in_pieces, in_wire_order, words
from beluga_llm.testing._reply import Reply, Script, Seen
from beluga_llm.testing._sender import Payload
from beluga_llm.testing._wire import EVENTS, Encoder, Facts, Failure, Wire
from beluga_llm.testing._wire_chat import ChatWire
from beluga_llm.testing._wire_claude_clouds import BedrockMessagesWire, VertexMessagesWire
from beluga_llm.testing._wire_cohere import CohereWire
from beluga_llm.testing._wire_converse import ConverseWire
from beluga_llm.testing._wire_generate_content import GenerateContentWire
from beluga_llm.testing._wire_messages import MessagesWire
from beluga_llm.testing._wire_ollama import OllamaWire
from beluga_llm.testing._wire_responses import ResponsesWire

JSON = "application/json"
WIRES: Mapping[str, Wire] = {
    wire.name: wire
    for wire in (
        ChatWire(),
        ResponsesWire(),
        MessagesWire(),
        VertexMessagesWire(),
        BedrockMessagesWire(),
        GenerateContentWire(),
        CohereWire(),
        ConverseWire(),
        OllamaWire(),
    )
}
"""All wire formats, by their names."""


def wire_of(path: str) -> Wire | None:
    """The wire format of a path, None where it is no endpoint of a model."""
    return next((wire for wire in WIRES.values() if wire.matches(path.rstrip("/"))), None)


async def payload_of(reply: Reply, seen: Seen, number: int) -> Payload:
    """The answer to a request."""
    if reply.body is not None:
        return _raw(reply, reply.body(seen) if callable(reply.body) else reply.body)
    wire = wire_of(seen.path)
    failure = _failure(reply)
    if wire is None and failure is not None:
        wire = WIRES["messages" if "anthropic-version" in seen.headers else "chat"]
    if wire is None:
        return explain(404, f"fake server: no wire format has the path {seen.path}")
    if failure is not None and (reply.error_after is None or not seen.streaming):
        return refusal(wire, failure, number, seen, said_in_status=_in_status(reply))
    body = seen.json if isinstance(seen.json, dict) else {}
    facts = Facts(
        number=number,
        request=wire.asked(seen.path.rstrip("/"), body),
        usage_unasked=reply.usage_unasked,
        exact_usage=reply.exact_usage,
    )
    if isinstance(reply.answer, ChatModel):
        payload = await _of_model(reply.answer, wire, facts, reply, seen)
    else:
        payload = _of_script(reply.answer, wire, facts, reply, seen)
    payload.status = payload.status if payload.status >= 400 else reply.status
    payload.headers.setdefault(wire.request_id, _request_id(number))
    return payload


def explain(status: int, text: str) -> Payload:
    """An answer of the fake server itself."""
    return json_payload({"error": {"message": text, "type": "fake_server"}}, status=status)


def json_payload(value: Any, *, status: int = 200) -> Payload:
    """A whole JSON body."""
    body = _json.dumps(value)
    return Payload(_one(body), JSON, length=len(body), status=status)


def refusal(
    wire: Wire, failure: Failure, number: int, seen: Seen, *, said_in_status: bool = True
) -> Payload:
    """An error, in the status or else inside a good answer."""
    if not said_in_status and seen.streaming:
        return Payload(_listed(wire.encoder(Facts(number=number)).error(failure)), wire.stream_type)
    status = wire.said(failure).status if said_in_status else 200
    request_id = _request_id(number)
    payload = json_payload(wire.error_body(failure, request_id), status=status)
    payload.headers.update({wire.request_id: request_id, **wire.error_headers(failure)})
    if failure.retry_after is not None:
        payload.headers["retry-after"] = f"{failure.retry_after:g}"
    return payload


def _request_id(number: int) -> str:
    return f"req_{number:024x}"


def _in_status(reply: Reply) -> bool:
    return reply.status >= 400 or isinstance(reply.error, BelugaError)


def _failure(reply: Reply) -> Failure | None:
    status = reply.status if reply.status >= 400 else None
    if isinstance(reply.error, BelugaError):
        failure = Failure.of_error(reply.error)
        word = reply.error_code or failure.word
        return replace(failure, status=status or failure.status, word=word)
    if status is not None:
        return Failure.of_status(status, reply.error or "", reply.error_code)
    if reply.error is None and reply.error_code is None and reply.error_after is None:
        return None
    return Failure(code="provider_unavailable", message=reply.error or "", word=reply.error_code)


# --- raw bytes -----------------------------------------------------------------------------------


def _raw(reply: Reply, body: bytes) -> Payload:
    kind = reply.content_type or _kind_of(body)
    length = None if kind.startswith("text/event-stream") else len(body)
    return Payload(_one(body), kind, length=length, status=reply.status)


def _kind_of(body: bytes) -> str:
    if body.startswith((b"data:", b"event:", b"id:", b":", b"retry:")):
        return EVENTS
    return JSON if body.lstrip()[:1] in (b"{", b"[") else "text/plain; charset=utf-8"


# --- scripted answers ----------------------------------------------------------------------------


def _of_script(
    answer: Script | None, wire: Wire, facts: Facts, reply: Reply, seen: Seen
) -> Payload:
    if answer is None or isinstance(answer, str):
        answer = AIMessage(answer or "", usage=counted(seen.json, answer or ""))
    if isinstance(answer, AIMessage):
        message, chunks = answer, in_wire_order(answer)
    else:
        message, chunks = fold(answer), list(answer)
    facts = _told(facts, message)
    if not seen.streaming:
        return _whole(wire, message, facts, reply)
    scripted = reply.whole_pieces or not isinstance(answer, AIMessage)
    pieces = chunks if scripted else in_pieces(chunks)
    return _stream(wire, facts, reply, _each(pieces))


def _told(facts: Facts, message: AIMessage) -> Facts:
    return replace(
        facts,
        model_id=message.model_id,
        response_id=message.response_id,
        usage=message.usage,
    )


def _whole(wire: Wire, message: AIMessage, facts: Facts, reply: Reply) -> Payload:
    payload = json_payload(wire.whole(message, facts))
    payload.content_type = reply.content_type or JSON
    return payload


def counted(request: Any, text: str) -> Usage:
    """The usage of a text as an answer: a word is a token."""
    asked = sum(len(words(said)) for said in _said(request))
    return Usage(input_tokens=asked, output_tokens=len(words(text)))


_SAID = frozenset(("content", "text", "input", "instructions", "system"))


def _said(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, str) and key in _SAID:
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _said(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _said(item, key)


# --- a model as the brain ------------------------------------------------------------------------


async def _of_model(
    model: ChatModel, wire: Wire, facts: Facts, reply: Reply, seen: Seen
) -> Payload:
    try:
        request = wire.read(facts.request)
        options, tools = request.options, request.tools
        if not seen.streaming:
            message = await model.generate(request.messages, options=options, tools=tools)
            return _whole(wire, message, _told(facts, message), reply)
        stream = model.stream(request.messages, options=options, tools=tools)
        try:
            first = await anext(stream)
        except StopAsyncIteration:
            first = StreamChunk()
    except BelugaError as error:
        failure = Failure.of_error(error)
        return _acted_out(error, wire, facts, seen) or refusal(wire, failure, facts.number, seen)
    facts = replace(
        facts,
        model_id=first.model_id,
        response_id=first.response_id,
        usage=first.usage or facts.usage,
    )
    return _stream(wire, facts, reply, _after(first, stream), source=stream)


def _acted_out(error: BelugaError, wire: Wire, facts: Facts, seen: Seen) -> Payload | None:
    """An answer that makes a client raise such an error, where no server could tell of it."""
    if isinstance(error, EmptyResponseError) and wire.empty is not None:
        return json_payload(wire.empty)
    if isinstance(error, MalformedResponseError):
        return Payload(_one(error.message.encode()), JSON)
    if isinstance(error, StreamInterruptedError) and seen.streaming:
        return Payload(_listed(wire.encoder(facts).begin()), wire.stream_type)
    return None


async def _after(
    first: StreamChunk, rest: AsyncIterable[StreamChunk]
) -> AsyncIterator[StreamChunk]:
    yield first
    async for chunk in rest:
        yield chunk


# --- streams -------------------------------------------------------------------------------------


def _stream(
    wire: Wire,
    facts: Facts,
    reply: Reply,
    chunks: AsyncIterator[StreamChunk],
    *,
    source: Any = None,
) -> Payload:
    encoder = wire.encoder(facts)
    events = _shaped(_events(encoder, chunks, reply), encoder, wire, reply)
    return Payload(events, reply.content_type or wire.stream_type, source=source)


async def _events(
    encoder: Encoder, chunks: AsyncIterator[StreamChunk], reply: Reply
) -> AsyncGenerator[bytes, None]:
    for event in encoder.begin():
        yield event
    try:
        async for chunk in chunks:
            for event in encoder.feed(chunk):
                yield event
    except StreamInterruptedError:
        return
    except BelugaError as error:
        for event in encoder.error(Failure.of_error(error)):
            yield event
        return
    if reply.finish:
        ends = encoder.end if reply.end_marker else tuple
        for event in (*encoder.finish(), *ends()):
            yield event


async def _shaped(
    events: AsyncGenerator[bytes, None], encoder: Encoder, wire: Wire, reply: Reply
) -> AsyncGenerator[bytes, None]:
    """The events with pings and comments before each, and with the error in the middle."""
    before = wire.ping * reply.pings + wire.comment * reply.comments
    failure = _failure(reply)
    count = 0
    try:
        async for event in events:
            if count == reply.error_after and failure is not None:
                break
            yield before + event
            count += 1
        if reply.error_after is not None and failure is not None:
            for event in encoder.error(failure):
                yield event
    finally:
        await events.aclose()


async def _one(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


async def _listed(events: Iterable[bytes]) -> AsyncGenerator[bytes, None]:
    for event in events:
        yield event


async def _each(chunks: Iterable[StreamChunk]) -> AsyncIterator[StreamChunk]:
    for chunk in chunks:
        yield chunk

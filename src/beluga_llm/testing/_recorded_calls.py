"""Whole calls, recorded above all wire formats, and a model that answers from them.

    model = llm.create("openai/gpt-4o-mini").with_middleware(with_recording("calls.json"))
    model = ReplayModel("calls.json")  # in tests

A call is written down when it ends: what was asked, the chunks as they came, and how it ended. An
error is raised again as the same class; a stream that was left ends where it was left.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any

import msgspec

from beluga_llm._caching.keys import _said
from beluga_llm._call import CallNext, Chunks, Layer
from beluga_llm._chunks import StreamChunk, ToolCallDelta
from beluga_llm._config import ProviderConfig, Secret
from beluga_llm._errors import StreamInterruptedError
from beluga_llm._http.outgoing import secret_values
from beluga_llm._messages import AIMessage
from beluga_llm._model import ChatModel
from beluga_llm._options import NO_OPTIONS, GenerateOptions
from beluga_llm._request import ChatRequest
from beluga_llm._serialize import from_dict, to_dict
from beluga_llm._usage import FinishReason, Usage
from beluga_llm.testing._cleaning import Cleaner, named_secrets
from beluga_llm.testing._error_json import error_data, error_of
from beluga_llm.testing._plain import plain
from beluga_llm.testing._tape import Tape, TapeWriter

KIND = "calls"
_NOT_ASKED = frozenset(("model", "extra_headers", "extra_query", "timeout", "metadata"))
_OPTIONS = tuple(name for name in GenerateOptions.__struct_fields__ if name not in _NOT_ASKED)


class Recording(Layer):
    """The layer of `with_recording`."""

    def __init__(self, tape: TapeWriter, secrets: Iterable[str]) -> None:
        self._tape = tape
        self._secrets = set(secrets)

    def check_model(self, model: Any) -> None:
        """Takes note of what the model is, and of its keys, which must not be written."""
        self._secrets |= set(_keys(model))
        self._tape.about = {
            "provider": model.provider,
            "model_id": model.model_id,
            "capabilities": plain(model.capabilities),
        }

    async def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks, which are written down when the call has ended."""
        place = self._tape.begin()
        heard: list[StreamChunk] = []
        ended: dict[str, Any] = {"end": "left"}
        try:
            async for chunk in call_next(request):
                heard.append(chunk)
                yield chunk
            ended = {"end": "complete"}
        except Exception as error:
            ended = {"end": "failed", "error": error_data(error)}
            raise
        finally:
            self._put(place, request, heard, ended)

    def _put(
        self, place: int, request: ChatRequest, heard: list[StreamChunk], ended: dict[str, Any]
    ) -> None:
        options = request.options
        given = secret_values(options.extra_headers, options.extra_query)
        given |= named_secrets(plain(options.extra_body))
        cleaner = Cleaner(self._secrets | given)
        asked = {"streaming": request.streaming, **_asked(request, request.model.model_id)}
        answer = {"chunks": [chunk_data(chunk) for chunk in heard], **ended}
        cleaner.rows(answer["chunks"])
        answer = cleaner.data(answer, names=False)
        self._tape.put(place, {"request": cleaner.data(asked), **answer})

    def __repr__(self) -> str:
        return f"with_recording({self._tape.path.name!r})"


def with_recording(path: str | os.PathLike[str], *, secrets: Iterable[str] = ()) -> Recording:
    """A layer that writes calls and their answers to a file, for `ReplayModel`.

    Headers are not written, and keys are hidden wherever they stand, also where an answer repeats
    them.

    Args:
        path: the file; an existing one is replaced at the first call.
        secrets: more texts that must not stand in it.
    """
    return Recording(TapeWriter(path, KIND), secrets)


class ReplayModel(ChatModel):
    """A model that gives the answers of a recording, in the chunks in which they came.

    It has the provider, the model id and the capabilities of the recorded one. `generate` and
    `stream` may answer each other's recordings. Copies share what was used.

    Args:
        path: a file of `with_recording`.
        strict: answer only what was asked in the recording; equal questions get their answers in
            their order. False: answer in the recorded order, whatever is asked.

    Raises:
        ConfigError: the file cannot be read, or is no such recording.
    """

    provider = "replay"
    model_id = "replay"

    def __init__(self, path: str | os.PathLike[str], *, strict: bool = True) -> None:
        self._tape = Tape(path, KIND, strict=strict, key=_key)
        about = self._tape.about
        super().__init__(
            ProviderConfig.of(
                provider=about.get("provider", self.provider),
                model=about.get("model_id", self.model_id),
                capabilities=_capabilities(about.get("capabilities") or {}),
            )
        )
        self.provider = about.get("provider", self.provider)

    @property
    def unused(self) -> int:
        """How many recorded answers nobody has asked for yet."""
        return len(self._tape.unused)

    def assert_exhausted(self) -> None:
        """Fails unless every recorded answer was used.

        Raises:
            ReplayError: some were not.
        """
        self._tape.assert_exhausted()

    def reset(self) -> None:
        """All answers again."""
        self._tape.reset()

    async def _stream(self, request: ChatRequest) -> AsyncGenerator[StreamChunk, None]:
        asked = Cleaner().data(_asked(request, self.model_id))
        _, entry = self._tape.take(asked)
        for data in entry["chunks"]:
            yield chunk_of(data)
        if (error := entry.get("error")) is not None:
            raise error_of(error)
        if entry["end"] == "left":
            raise StreamInterruptedError("the recording ends here: its consumer had left")


def chunk_data(chunk: StreamChunk) -> dict[str, Any]:
    """A chunk as JSON-ready data, without what it does not have."""
    data = {}
    for name, usual in zip(
        StreamChunk.__struct_fields__, StreamChunk.__struct_defaults__, strict=True
    ):
        value = getattr(chunk, name)
        if value == usual:
            continue
        if name == "parts":
            data[name] = to_dict(AIMessage(value))["parts"]
        elif name in ("tool_calls", "usage"):
            data[name] = plain(msgspec.to_builtins(value))
        else:
            data[name] = plain(value)
    return data


def chunk_of(data: Mapping[str, Any]) -> StreamChunk:
    """The chunk that `chunk_data` made the data of; fields of a later version are left out."""
    found = {name: data[name] for name in StreamChunk.__struct_fields__ if name in data}
    if "parts" in found:
        found["parts"] = from_dict({"type": "ai", "parts": found["parts"]}).parts
    if "tool_calls" in found:
        found["tool_calls"] = msgspec.convert(found["tool_calls"], tuple[ToolCallDelta, ...])
    if "usage" in found:
        found["usage"] = msgspec.convert(found["usage"], Usage)
    if "finish_reason" in found:
        found["finish_reason"] = FinishReason(found["finish_reason"])
    return StreamChunk(**found)


def _asked(request: ChatRequest, model_id: str) -> dict[str, Any]:
    """What is asked, in data: who asks, and for how long they wait, is not in it."""
    options = request.options
    return {
        "model": options.model or model_id,
        "messages": [plain(_said(message)) for message in request.messages],
        "tools": [plain(tool) for tool in request.tools],
        "options": {
            name: plain(value)
            for name in _OPTIONS
            if (value := getattr(options, name)) != getattr(NO_OPTIONS, name)
        },
    }


def _key(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name != "streaming"}


def _capabilities(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: frozenset(value) if isinstance(value, list) else value for name, value in data.items()
    }


def _keys(model: Any) -> Iterable[str]:
    """What the configurations of a model, and of those inside it, say that must not be shown."""
    config = model._config
    if isinstance(config.api_key, Secret):
        yield config.api_key.reveal()
    yield from secret_values(config.headers, config.query)
    inside = [model.unwrap(), *getattr(model, "models", ())]
    for layer in getattr(model, "_layers", ()):
        inside += getattr(layer, "models", ())
    for one in inside:
        if one is not model:
            yield from _keys(one)

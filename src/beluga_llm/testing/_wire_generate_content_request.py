"""Requests of Gemini's generateContent, as the server reads them.

Calls without an id get one, by their number in the request; a result without an id answers the
first call of its name that has none yet.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from beluga_llm import _json
from beluga_llm._errors import InvalidRequestError
from beluga_llm._messages import AIMessage, HumanMessage, Message, SystemMessage, ToolMessage
from beluga_llm._option_types import ReasoningConfig, ResponseFormat
from beluga_llm._options import GenerateOptions
from beluga_llm._parts import (
    AudioPart,
    ContentPart,
    FilePart,
    ImagePart,
    TextPart,
    ThinkingPart,
    VideoPart,
)
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall, ToolDefinition
from beluga_llm.testing._wire_chat_request import demo_options

_SAME = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "seed": "seed",
    "candidateCount": "n",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}
_MODES = {"AUTO": "auto", "VALIDATED": "auto", "ANY": "required", "NONE": "none"}
_AUDIO_FORMATS: Mapping[str, Any] = {"mpeg": "mp3", "x-wav": "wav", "pcm": "pcm16"}


def read_generate_content_request(body: Mapping[str, Any]) -> ChatRequest:
    """The request that a body means; `model` and `stream` stand in the path on the wire.

    Raises:
        InvalidRequestError: the body has no contents, or one with an unknown role.
    """
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise InvalidRequestError("GenerateContentRequest.contents: contents is not specified")
    config = body.get("generationConfig") or {}
    choice = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    names = choice.get("allowedFunctionNames")
    fields = {
        **{name: config[wire] for wire, name in _SAME.items() if config.get(wire) is not None},
        "model": body.get("model"),
        "stop": config.get("stopSequences") or (),
        "tool_choice": names[0] if names else _MODES.get(choice.get("mode") or ""),
        "reasoning": _reasoning(config.get("thinkingConfig")),
        "response_format": _response_format(config),
        "provider_options": demo_options(body),
    }
    system = tuple(_parts((body.get("systemInstruction") or {}).get("parts")))
    return ChatRequest(
        messages=(*([SystemMessage(system)] if system else ()), *_Turns().read(contents)),
        options=GenerateOptions(**fields),
        tools=tuple(_tools(body.get("tools"))),
        streaming=body.get("stream") is True,
    )


def _reasoning(value: Any) -> ReasoningConfig | None:
    if not isinstance(value, Mapping):
        return None
    level = value.get("thinkingLevel")
    return ReasoningConfig(
        level.lower() if isinstance(level, str) else None,
        value.get("thinkingBudget"),
        value.get("includeThoughts") is True,
    )


def _response_format(config: Mapping[str, Any]) -> ResponseFormat | None:
    if config.get("responseMimeType") != "application/json":
        return None
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    return ResponseFormat.json_schema(schema) if schema else ResponseFormat.json()


def _tools(tools: Any) -> Iterator[ToolDefinition]:
    for tool in tools or ():
        for function in tool.get("functionDeclarations") or ():
            yield ToolDefinition(
                function.get("name", ""),
                function.get("description") or "",
                function.get("parametersJsonSchema") or function.get("parameters") or {},
            )


class _Turns:
    """Reads turns, and pairs results with calls."""

    def __init__(self) -> None:
        self._count = 0
        self._open: list[ToolCall] = []

    def read(self, contents: list[Any]) -> Iterator[Message]:
        for turn in contents:
            role, parts = turn.get("role") or "user", turn.get("parts") or []
            if role == "model":
                yield self._answer(parts)
            elif role in ("user", "function"):
                yield from self._user(parts)
            else:
                raise InvalidRequestError(f"Please use a valid role: user, model, not {role!r}.")

    def _answer(self, parts: list[Any]) -> AIMessage:
        self._open = [
            self._call(part, place) for place, part in enumerate(parts) if "functionCall" in part
        ]
        return AIMessage(tuple(_parts(parts)), tool_calls=self._open)

    def _call(self, part: Mapping[str, Any], place: int) -> ToolCall:
        self._count += 1
        call = part["functionCall"]
        return ToolCall(
            call.get("id") or f"call_{self._count}",
            call.get("name", ""),
            call.get("args"),
            part.get("thoughtSignature"),
            part_index=place,
        )

    def _user(self, parts: list[Any]) -> Iterator[Message]:
        """Results of tools stand before what the user says."""
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        yield from map(self._result, results)
        said = tuple(_parts(parts))
        if said or not results:
            yield HumanMessage(said)

    def _result(self, result: Mapping[str, Any]) -> ToolMessage:
        response = result.get("response") or {}
        said = response
        if response.keys() in ({"output"}, {"error"}):
            said = next(iter(response.values()))
        text = said if isinstance(said, str) else _json.dumps_text(said)
        return ToolMessage(
            (text, *_parts(result.get("parts"))),
            tool_call_id=self._answered(result.get("id") or "", result.get("name", "")),
            name=result.get("name"),
            is_error=response.keys() == {"error"},
        )

    def _answered(self, given: str, name: str) -> str:
        """The id of the call that a result answers."""
        for call in self._open:
            if call.id == given or (not given and call.name == name):
                self._open.remove(call)
                return call.id
        return given


def _parts(parts: Any) -> Iterator[ContentPart]:
    for part in parts or ():
        if "text" in part:
            kind = ThinkingPart if part.get("thought") else TextPart
            yield kind(part["text"], part.get("thoughtSignature"))
        elif blob := part.get("inlineData"):
            yield _media(blob["mimeType"], {"data": base64.b64decode(blob["data"])})
        elif place := part.get("fileData"):
            yield _media(place.get("mimeType") or "", {"url": place["fileUri"]})


def _media(mime_type: str, where: dict[str, Any]) -> ContentPart:
    kind, _, form = mime_type.partition(";")[0].partition("/")
    if kind == "image":
        return ImagePart(**where, mime_type=mime_type)
    if kind == "audio":
        return AudioPart(**where, format=_AUDIO_FORMATS.get(form, form))
    if kind == "video":
        return VideoPart(**where, mime_type=mime_type)
    return FilePart(**where, mime_type=mime_type)

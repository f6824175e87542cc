"""What a mock model answers: its queue, and what may stand in it.

A fixture file is a JSON list of objects `{content, tool_calls, error, finish_reason, usage}`, all
optional. A tool call is `{id, name, arguments}`, arguments an object or JSON text; an error is a
text, or `{code, message, retry_after, status}`; without a code the status says of what class it is.
Fixtures are numbered from 0.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from beluga_llm import _json
from beluga_llm._chunks import StreamChunk
from beluga_llm._config import ProviderConfig
from beluga_llm._environment import variable
from beluga_llm._errors import BelugaError, ConfigError, InvalidRequestError, from_status
from beluga_llm._messages import AIMessage
from beluga_llm._request import ChatRequest
from beluga_llm._tool_types import ToolCall
from beluga_llm._usage import FinishReason, Usage
from beluga_llm.testing._pieces import in_pieces, in_wire_order, words
from beluga_llm.testing._provoke import make_error

Item: TypeAlias = (
    str
    | AIMessage
    | BaseException
    | type[BaseException]
    | Sequence[StreamChunk]
    | Mapping[str, Any]
)
Response: TypeAlias = Item | Callable[[ChatRequest], Any]

_FIELDS = ("content", "tool_calls", "error", "finish_reason", "usage")
_VARIABLE = "BELUGA_MOCK_FIXTURES"


class MockExhaustedError(AssertionError):
    """A mock model was called more often than its test has scripted, or less often."""


class Script:
    """A queue of responses and the calls that took them; shared by all copies of a model."""

    def __init__(self, responses: Iterable[Response]) -> None:
        self.responses = tuple(responses)
        self.calls: list[ChatRequest] = []
        self._taken = 0
        self._lock = threading.Lock()

    @property
    def unused(self) -> tuple[Response, ...]:
        """What nobody has taken yet."""
        return self.responses[self._taken :]

    def add(self, responses: Iterable[Response]) -> None:
        """More responses, at the end."""
        with self._lock:
            self.responses += tuple(responses)

    def take(self, request: ChatRequest) -> tuple[int, Response | None]:
        """The next response and its number; None when there is none left."""
        with self._lock:
            self.calls.append(request)
            number = self._taken
            if number == len(self.responses):
                return number, None
            self._taken += 1
            return number, self.responses[number]

    def reset(self) -> None:
        """The whole queue again, and no calls."""
        with self._lock:
            self._taken = 0
            self.calls.clear()


def chunks_of(item: Any, number: int, request: ChatRequest, model_id: str) -> list[StreamChunk]:
    """The chunks of a response.

    Args:
        item: a response that is no function.
        number: its place in the queue.
        request: what it answers.
        model_id: who answers.

    Raises:
        TypeError: it is no response.
        BaseException: it is an exception.
    """
    if isinstance(item, Mapping):
        item = _from_fixture(item, number)
    if isinstance(item, BaseException) or (
        isinstance(item, type) and issubclass(item, BaseException)
    ):
        raise item
    if isinstance(item, str):
        item = text_answer(item, request, model_id)
    if isinstance(item, AIMessage):
        return list(in_pieces(in_wire_order(item)))
    chunks = list(item) if isinstance(item, Sequence) else [item]
    if not all(isinstance(chunk, StreamChunk) for chunk in chunks):
        raise TypeError(f"a mock model cannot answer with {type(item).__name__}")
    return chunks


def text_answer(text: str, request: ChatRequest, model_id: str) -> AIMessage:
    """A text as an answer that has everything: a word is a token."""
    asked = sum(len(words(message.text)) for message in request.messages)
    return AIMessage(
        text,
        finish_reason=FinishReason.STOP,
        usage=Usage(input_tokens=asked, output_tokens=len(words(text))),
        model_id=model_id,
    )


# --- fixtures ------------------------------------------------------------------------------------


def configured(config: ProviderConfig) -> list[Response]:
    """The fixtures of a configuration, or of the file that it or the environment names.

    Raises:
        ConfigError: they are no fixtures.
    """
    if (listed := config.options.get("fixtures")) is not None:
        return checked(listed, "option 'fixtures'")
    path = config.options.get("fixtures_file") or variable(_VARIABLE)
    return from_file(path) if path else []


def from_file(path: str | os.PathLike[str]) -> list[Response]:
    """The fixtures of a JSON file.

    Raises:
        ConfigError: it cannot be read, or holds no fixtures.
    """
    try:
        value = _json.loads(Path(path).read_bytes())
    except (OSError, _json.JsonError) as error:
        raise ConfigError(f"fixtures file {str(path)!r}: {error}", provider="mock") from error
    return checked(value, f"fixtures file {str(path)!r}")


def checked(value: Any, where: str) -> list[Response]:
    """A list of fixtures, each of which can be answered with.

    Raises:
        ConfigError: lists all problems.
    """
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where} must be a list, got {type(value).__name__}", provider="mock")
    problems = [
        f"{where}: fixture {number}: {problem}"
        for number, item in enumerate(value)
        if (problem := _problem(item, number))
    ]
    if problems:
        raise ConfigError.of(problems, provider="mock")
    return list(value)


def _problem(item: Any, number: int) -> str | None:
    if not isinstance(item, Mapping):
        return None if isinstance(item, str | AIMessage) else "must be an object"
    if unknown := sorted(set(item) - set(_FIELDS)):
        return f"unknown fields {', '.join(unknown)} (known: {', '.join(_FIELDS)})"
    try:
        _from_fixture(item, number)
    except (KeyError, TypeError, ValueError) as error:
        return str(error) if not isinstance(error, KeyError) else f"a tool call needs {error}"
    return None


def _from_fixture(item: Mapping[str, Any], number: int) -> AIMessage | BelugaError:
    if (error := item.get("error")) is not None:
        return _error(error, number)
    calls = item.get("tool_calls") or ()
    usual = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
    return AIMessage(
        item.get("content") or (),
        tool_calls=[_call(call, f"call_{number}_{index}") for index, call in enumerate(calls)],
        finish_reason=item.get("finish_reason") or usual,
        usage=msgspec.convert(dict(item.get("usage") or {}), Usage),
    )


def _call(value: Mapping[str, Any], id: str) -> ToolCall:
    if not isinstance(value, Mapping):
        raise TypeError(f"a tool call must be an object, got {type(value).__name__}")
    return ToolCall(value.get("id") or id, value["name"], value.get("arguments"))


def _error(value: Any, number: int) -> BelugaError:
    if isinstance(value, str):
        return InvalidRequestError(f"mock: fixture {number} error: {value}")
    if not isinstance(value, Mapping):
        raise TypeError(f"error must be a text or an object, got {type(value).__name__}")
    for name in ("status", "retry_after"):
        if not isinstance(given := value.get(name), int | float | None):
            raise TypeError(f"error.{name} must be a number, got {type(given).__name__}")
    status = value.get("status")
    usual = InvalidRequestError if status is None else from_status(status)
    code = value.get("code") or usual.code
    return make_error(
        usual.__name__ if code == usual.code else code,
        f"mock: fixture {number} error: {value.get('message') or code}",
        status=status,
        retry_after=value.get("retry_after"),
    )

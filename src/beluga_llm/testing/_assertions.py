"""Assertions for test suites of applications and plugins; each says everything that is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import msgspec

from beluga_llm._chat_stream import ChatStream
from beluga_llm._chunks import StreamChunk
from beluga_llm._errors import BelugaError, PluginError, ProviderNotFoundError
from beluga_llm._fold import fold
from beluga_llm._health import Health, HealthState
from beluga_llm._messages import AIMessage
from beluga_llm._plugins import ProviderInfo
from beluga_llm._registry import Registry
from beluga_llm._usage import Usage

_RECENT = 3600.0
"""Seconds that a test may keep what was measured; milliseconds are longer than that."""


def assert_registered(name: str) -> ProviderInfo:
    """Fails unless an installed distribution provides this name, and its plugin can be used.

    What a program registered at run time does not count: the entry points of the environment do.

    Returns:
        Which distribution it is.

    Raises:
        AssertionError: says why not.
    """
    registry = Registry()
    try:
        registry.load(name)
    except (ProviderNotFoundError, PluginError) as error:
        raise AssertionError(f"provider {name!r} is not registered: {error.message}") from error
    return registry.info(name)


def assert_chunks_valid(chunks: Iterable[StreamChunk]) -> AIMessage:
    """Fails unless these chunks are one whole answer: they end with a finish reason.

    Returns:
        The message that they add up to.

    Raises:
        AssertionError: lists everything that is wrong.
    """
    found = list(chunks)
    if problems := [*_problems(found)]:
        raise AssertionError("these chunks are no answer: " + "; ".join(problems))
    return fold(found)


async def assert_stream_ok(stream: ChatStream) -> AIMessage:
    """Reads a stream to its end; fails unless it is a whole answer that agrees with its message.

    Raises:
        AssertionError: lists everything that is wrong.
        BelugaError: what the stream failed with.
    """
    async with stream:
        message = assert_chunks_valid([chunk async for chunk in stream])
    if stream.state != "complete":
        raise AssertionError(f"the stream has ended, but its state is {stream.state!r}")
    if stream.message != message:
        raise AssertionError(f"the stream says {stream.message!r}, its chunks say {message!r}")
    return message


def assert_health(health: Health, state: str = "healthy", **facts: Any) -> None:
    """Fails unless a check of health came to this state, and says what such a check must say.

        assert_health(await model.check_health(probe=True), "degraded")

    Args:
        health: what `check_health` gave.
        state: "healthy", "degraded" or "unhealthy".
        **facts: other attributes, and what they must be.

    Raises:
        AssertionError: lists everything that is wrong.
    """
    if not isinstance(health, Health):
        raise AssertionError(f"{health!r} is no Health")
    if problems := [*_health_problems(health, {"state": state, **facts})]:
        raise AssertionError(f"{health!r}: {'; '.join(problems)}")


def _health_problems(health: Health, facts: dict[str, Any]) -> Iterator[str]:
    for name, value in facts.items():
        if getattr(health, name) != value:
            yield f"{name} is {getattr(health, name)!r}, not {value!r}"
    if bool(health.detail) is (health.state == HealthState.HEALTHY):
        yield "detail must say why it is not healthy, and nothing where it is"
    if not abs(time.time() - health.timestamp) < _RECENT:
        yield f"timestamp must be now, in unix seconds, not {health.timestamp!r}"
    if health.latency is not None and not 0 <= health.latency < _RECENT:
        yield f"latency must be in seconds, not {health.latency!r}"
    if type(health.api_key_set) is not bool:
        yield "api_key_set must be a bool, and nothing of the key"


def _problems(chunks: list[StreamChunk]) -> Iterator[str]:
    finished: set[int] = set()
    for place, chunk in enumerate(chunks):
        if type(chunk) is not StreamChunk:
            yield f"chunk {place} is a {type(chunk).__name__}"
            return
        if chunk.reset:
            finished.clear()
        if chunk.is_content and chunk.choice in finished:
            yield f"chunk {place} has content after the finish reason"
        if chunk.finish_reason is not None:
            if chunk.choice in finished:
                yield f"chunk {place} finishes what was finished"
            finished.add(chunk.choice)
        yield from (f"chunk {place} {problem}" for problem in _details(chunk))
    if 0 not in finished:
        yield "there is no finish reason"


def _details(chunk: StreamChunk) -> Iterator[str]:
    for call in chunk.tool_calls:
        if call.index is not None and call.index < 0:
            yield f"has a tool call with the index {call.index}"
    if chunk.provider is None and (chunk.signature is not None or chunk.redacted_data is not None):
        yield "has a signature, or redacted data, and does not say whose"
    if chunk.usage is not None and (wrong := _wrong_counts(chunk.usage)):
        yield f"has a usage with {', '.join(wrong)}"


def _wrong_counts(usage: Usage) -> list[str]:
    counts = msgspec.structs.asdict(usage).items()
    return [
        f"{name}={value!r}"
        for name, value in counts
        if value is not None and (type(value) is not int or value < 0)
    ]


class ExpectedError:
    """What `assert_error` gives: `error` is the error, after the block."""

    error: BelugaError

    def __init__(self, code: str, facts: dict[str, Any]) -> None:
        self._facts = {"code": code, **facts}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        code = self._facts["code"]
        if error is None:
            raise AssertionError(f"nothing was raised, where an error {code!r} should be")
        if not isinstance(error, Exception):  # cancelled, or interrupted
            return False
        if not isinstance(error, BelugaError):
            raise AssertionError(f"{error!r} was raised, where an error {code!r} should be")
        self.error = error
        wrong = [
            f"{name} is {getattr(error, name)!r}, not {value!r}"
            for name, value in self._facts.items()
            if getattr(error, name) != value
        ]
        if wrong:
            raise AssertionError(f"{error!r}: {', '.join(wrong)}")
        return True


def assert_error(code: str, **facts: Any) -> ExpectedError:
    """Fails unless the block raises an error of ours with this code.

        with assert_error("rate_limit", retry_after=7.0) as caught:
            await model.generate("hi")
        assert "slow down" in caught.error.message

    Args:
        code: such as "rate_limit".
        **facts: other attributes of the error, and what they must be.
    """
    return ExpectedError(code, facts)

"""Running the calls of one turn: each gives a result for the model, or ends the run.

What is told to the model, and what is raised:

    unknown tool, arguments that do not fit   told
    ToolError                                 told
    no result in time                         told
    any other exception                       raised as ToolFailedError; told if on_error="report"

The calls run in a task group, and errors are values in it, so that no ExceptionGroup comes out and
a cancellation is never hidden behind an error. The first failure that ends the run cancels the
calls beside it, and all have ended before anything is raised.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from attrs import frozen

from beluga_llm._errors import ToolArgumentsError, ToolError, ToolFailedError, ToolNotFoundError
from beluga_llm._messages import Content, ToolMessage
from beluga_llm._tool_types import Tool, ToolCall
from beluga_llm._tools.results import to_content
from beluga_llm._tools.settings import ToolSettings
from beluga_llm._tools.toolset import ToolSet

logger = logging.getLogger("beluga_llm.tools")

MOST_SHOWN = 2000
"""How many characters of broken arguments are shown to the model that wrote them."""


@frozen
class ToolEvent:
    """A call that has ended.

    Attributes:
        call: what the model asked for.
        result: what it is told.
        error: why the result is an error; None where it is none.
    """

    call: ToolCall
    result: ToolMessage
    error: Exception | None = None


Slot: TypeAlias = asyncio.Future[ToolEvent]


class NoResultInTimeError(TimeoutError):
    """A tool took longer than `tool_timeout`."""


_REPORTED = (ToolError, ToolArgumentsError, ToolNotFoundError, NoResultInTimeError)


class Caller:
    """Runs calls of some tools.

    Attributes:
        around: what stands around each call, such as a span.
    """

    around: Callable[[ToolCall, Awaitable[Content]], Awaitable[Content]] | None = None

    def __init__(self, tools: ToolSet, settings: ToolSettings) -> None:
        self._tools = tools
        self._settings = settings

    async def run_all(self, calls: Sequence[tuple[ToolCall, Slot]]) -> None:
        """Runs the calls of one turn; each event is put into its slot as soon as it is there.

        Raises:
            ToolFailedError: a tool failed, and that is not to be told to the model.
        """
        for batch in [calls] if self._settings.parallel else [[call] for call in calls]:
            await self._run_together(batch)

    async def _run_together(self, jobs: Sequence[tuple[ToolCall, Slot]]) -> None:
        failures: list[Exception] = []
        tasks: list[asyncio.Task[None]] = []

        def stop() -> None:
            for task in tasks:
                task.cancel()

        async def run(call: ToolCall, slot: Slot) -> None:
            try:
                slot.set_result(await self._run(call))
            except Exception as error:  # noqa: BLE001 -- raised below, when all have ended
                if not failures:  # once, so that nobody's clean-up is interrupted
                    # soon, for tasks that begin eagerly may fail before all are made
                    asyncio.get_running_loop().call_soon(stop)
                failures.append(error)

        try:
            async with asyncio.TaskGroup() as group:
                tasks += [group.create_task(run(call, slot)) for call, slot in jobs]
        except BaseExceptionGroup as failed:  # with what is no Exception, such as pytest.fail's
            raise failed.exceptions[0] from None
        if failures:
            raise failures[0]
        for task in tasks:
            task.result()  # raises CancelledError where a tool did so of its own accord

    async def _run(self, call: ToolCall) -> ToolEvent:
        content: Content = ""
        error: Exception | None = await self._refusal(call)
        if error is None:
            try:
                running = self._content(call)
                content = await (running if self.around is None else self.around(call, running))
            except Exception as problem:  # noqa: BLE001 -- told or raised below
                error = problem
        if error is not None:
            await self._observe(self._settings.on_tool_error, call, error)
            if self._settings.on_error == "raise" and not isinstance(error, _REPORTED):
                raise ToolFailedError(f"tool {call.name!r} failed: {_told(error)}") from error
            content = _words(call, error)
        result = ToolMessage(content, call.id, name=call.name, is_error=error is not None)
        await self._observe(self._settings.after_tool, call, result)
        return ToolEvent(call, result, error)

    async def _content(self, call: ToolCall) -> Content:
        tool, arguments = self._tools.get(call.name), call.args
        for _ in range(self._settings.tool_retries):
            try:
                return await self._attempt(tool, arguments)
            except (ToolError, ToolArgumentsError):
                raise
            except Exception:
                logger.debug("tool %s failed and is tried again", call.name, exc_info=True)
        return await self._attempt(tool, arguments)

    async def _attempt(self, tool: Tool, arguments: dict[str, Any]) -> Content:
        limit = self._settings.tool_timeout
        scope = asyncio.timeout(limit)
        try:
            async with scope:
                return to_content(await tool.run(arguments))
        except TimeoutError:
            if not scope.expired():  # the tool's own
                raise
        raise NoResultInTimeError(f"{tool.definition.name!r} gave no result within {limit:g} s")

    # --- observers -------------------------------------------------------------------------------

    async def _refusal(self, call: ToolCall) -> ToolError | None:
        """Tells that a call begins; a ToolError refuses it, another exception ends the run."""
        if self._settings.before_tool is not None:
            try:
                await _awaited(self._settings.before_tool(call))
            except ToolError as refusal:
                return refusal
        return None

    async def _observe(self, observer: Callable[..., Any] | None, *what: Any) -> None:
        if observer is None:
            return
        try:
            await _awaited(observer(*what))
        except Exception:
            logger.exception("an observer of tools failed")


async def _awaited(value: Any) -> None:
    if inspect.isawaitable(value):
        await value


def _words(call: ToolCall, error: Exception) -> str:
    """What the model is told of an error."""
    if isinstance(error, ToolArgumentsError):
        raw = call.arguments
        shown = raw if len(raw) <= MOST_SHOWN else f"{raw[:MOST_SHOWN]}..."
        return f"{error.message}\nThe arguments were: {shown}"
    if isinstance(error, ToolNotFoundError):
        return error.message
    if isinstance(error, ToolError | NoResultInTimeError):
        return str(error) or "the tool failed"
    return _told(error)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {getattr(error, 'message', error)}"

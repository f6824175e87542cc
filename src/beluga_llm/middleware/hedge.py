"""A second request where the first one is slow; who is first with content answers.

    model = model.with_middleware(with_hedge(delay=1.5))

Theory of operation. The race is a coroutine with a task group and without a yield: two children
read until their first content (`generate`: until the end), and give errors back as values, so that
there is never an ExceptionGroup. When the group is gone, the loser is cancelled and cleaned up, and
the winner's generator goes on in the consumer's own task.
"""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from beluga_llm._call import Branch, Call, CallNext, Chunks, Layer, close_all
from beluga_llm._chunks import StreamChunk
from beluga_llm._clock import SYSTEM_CLOCK, Clock
from beluga_llm._delegating import as_model
from beluga_llm._errors import ConfigError, RequestTimeoutError
from beluga_llm._events import tell
from beluga_llm._fold import fold
from beluga_llm._model import ChatModel
from beluga_llm._request import ChatRequest
from beluga_llm._routing.attempts import is_transient
from beluga_llm._routing.failover import (
    Attempt,
    Candidate,
    all_failed,
    candidate,
    without_traceback,
)
from beluga_llm._usage import Usage
from beluga_llm._waiting import scope_deadline, time_left


class Hedge(Layer):
    """The layer of `with_hedge`.

    Attributes:
        backup: the model of the second call; None: the same.
        delay: seconds without content after which it is made.
        models: the backup, where it is another model.
    """

    def __init__(self, backup: ChatModel | None, *, delay: float, clock: Clock) -> None:
        if not delay >= 0:
            raise ConfigError(f"delay must be >= 0, got {delay!r}")
        self.backup = backup
        self.models = () if backup is None else (backup,)
        self.delay = delay
        self._clock = clock
        self._second = None if backup is None else candidate(backup)

    async def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of the faster call."""
        info = request.model
        primary = Candidate(info.provider, info.model_id, "primary", call_next)
        race = _Race(request, primary, self._second or primary, self._clock)
        try:
            await race.run(self.delay)
            winner = await race.winner()
        finally:
            race.over()
        for chunk in winner.head:
            yield chunk
        async for chunk in winner.chunks:
            yield chunk
        if facts := race.facts():
            yield StreamChunk(metadata=facts)

    async def aclose(self) -> None:
        """Closes the backup."""
        if self.backup is not None:
            await self.backup.aclose()

    def __repr__(self) -> str:
        backup = "" if self.backup is None else f"{self.backup.qualified_id}, "
        return f"with_hedge({backup}delay={self.delay:g})"


class _Runner:
    """One of the two calls.

    Attributes:
        head: the chunks that were read in the race.
        ready: whether it has content to show, or a whole answer.
        error: what it failed with.
        branch: what it opened.
    """

    def __init__(self, who: Candidate, request: ChatRequest, clock: Clock) -> None:
        self.who = who
        self.head: list[StreamChunk] = []
        self.ready = False
        self.error: Exception | None = None
        self.chunks: Chunks
        self.branch: Branch | None = None
        if isinstance(request.call, Call):
            self.branch = Branch(request.call)
            self.branch.scope_deadline = min(request.call.scope_deadline, scope_deadline())
            request = replace(request, call=self.branch)
        self._request = request
        self._clock = clock
        self._duration = 0.0

    async def run(self) -> None:
        """Reads to the first content, or to the end where nothing is shown before."""
        began = self._clock.time()
        try:
            self.chunks = self.who.open(self._request)
            async for chunk in self.chunks:
                self.head.append(chunk)
                if self._request.streaming and chunk.is_content:
                    break
            self.ready = True
        except Exception as error:  # noqa: BLE001 -- a value to the race, which raises it
            self.error = error
        finally:
            self._duration = self._clock.time() - began

    def usage(self) -> Usage:
        """What it has cost, as far as that was told."""
        withheld = () if self.branch is None else self.branch.withheld
        return fold((*withheld, *self.head)).usage

    def attempt(self) -> Attempt:
        """How it failed."""
        error = None if self.error is None else without_traceback(self.error)
        return Attempt(self.who.provider, self.who.model_id, error, self._duration)


class _Race:
    """Two calls for one answer."""

    def __init__(
        self, request: ChatRequest, first: Candidate, second: Candidate, clock: Clock
    ) -> None:
        self._request, self._second, self._clock = request, second, clock
        self._runners = [_Runner(first, request, clock)]
        self._ready: _Runner | None = None

    async def run(self, delay: float) -> None:
        """Ends when one call is ready or all have failed; nothing of it runs on."""
        (first,) = self._runners
        async with asyncio.TaskGroup() as group:
            main = group.create_task(first.run())
            timer = group.create_task(self._clock.sleep(delay))
            await asyncio.wait((main, timer), return_when=asyncio.FIRST_COMPLETED)
            tasks = {main}
            if not first.ready and (first.error is None or is_transient(first.error)):
                self._runners.append(_Runner(self._second, self._request, self._clock))
                tasks.add(group.create_task(self._runners[1].run()))
            pending = {task for task in tasks if not task.done()}
            while pending and not any(runner.ready for runner in self._runners):
                _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in (*pending, timer):
                task.cancel()

    async def winner(self) -> _Runner:
        """The call that was ready first, with the other one cleaned up.

        Raises:
            AllModelsFailedError: both failed.
        """
        if len(self._runners) == 2:
            who = self._second
            facts = {"provider": who.provider, "model_id": who.model_id}
            await tell(self._request.call, "hedge", **facts)
        ready = next((runner for runner in self._runners if runner.ready), None)
        for runner in self._runners:
            if runner.branch is not None and runner is not ready:
                await close_all(runner.branch.opened)
        if ready is None:
            raise self._failure()
        self._ready = ready
        return ready

    def over(self) -> None:
        """Leaves what is still open to the call, whichever way the race ended."""
        for runner in sorted(self._runners, key=lambda one: one is self._ready):
            if runner.branch is not None:
                runner.branch.join()  # the winner's last: the call is then one of its model

    def _failure(self) -> Exception:
        errors = [runner.error for runner in self._runners if runner.error is not None]
        late = [error for error in errors if isinstance(error, RequestTimeoutError)]
        if len(self._runners) == 1 or (late and time_left(self._request) <= 0):
            return [*errors, *late][-1]
        attempts = tuple(runner.attempt() for runner in self._runners)
        text = f"all {len(attempts)} models failed, last error: {errors[-1]}"
        error = all_failed(text, attempts, errors[-1])
        error.__cause__ = errors[-1]
        return error

    def facts(self) -> dict[str, Any]:
        """What the metadata say of the race, if there was one."""
        if len(self._runners) == 1:
            return {}
        first, second = self._runners
        winner, loser = (first, second) if first.ready else (second, first)
        usage = loser.usage()
        counts = {name: getattr(usage, name) for name in Usage.__struct_fields__}
        return {
            "hedge": {
                "winner": "primary" if winner is first else "backup",
                "provider": winner.who.provider,
                "model_id": winner.who.model_id,
                "lost_usage": {name: n for name, n in counts.items() if n is not None},
            }
        }


def with_hedge(
    backup: ChatModel | str | None = None, delay: float = 1.0, *, clock: Clock | None = None
) -> Hedge:
    """A layer that makes a second call where the first is slow, and takes the faster one.

        model = model.with_middleware(with_hedge(delay=1.5))

    The second call begins after `delay` seconds without content, or at once when the first one
    fails for a reason that may pass. Both may cost tokens; what the loser is known to have cost is
    in `provider_metadata["hedge"]`. Put it outside of limits and retries.

    Args:
        backup: the model of the second call; None: the same model.
        delay: seconds.
        clock: what tells the time and waits.

    Raises:
        ConfigError: the delay is negative.
    """
    model = None if backup is None else as_model(backup)
    return Hedge(model, delay=delay, clock=clock or SYSTEM_CLOCK)

"""What lives in an actor: one model, one limiter, and an event loop in a thread of its own.

Ray Data has a loop for stages that are coroutines, but that loop stands still while finished rows
wait for whoever takes them, and calls under way would run into their time limits. Here Ray's
threads, one for each block that the actor works on, only wait; the calls of all of them share one
loop, and as many places as were allowed. A second block fills the places that the tail of the first
one leaves.

Ray drops the object when the actor ends in good order; that closes the model.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import beluga_llm as llm
from beluga_llm.plugin import JsonError, dumps_text, loads
from beluga_llm_ray._rows import Outcome, answered, conversation, failed, json_text
from beluga_llm_ray._settings import OP, Settings, make_model, make_store

T = TypeVar("T")
CLOSING = 10.0
"""Seconds that closing the connections may take."""


class Answers:
    """The class of which Ray makes one object in each actor.

    Raises:
        BelugaError: the model cannot be made; the job ends with it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=_serve, args=(self._loop,), name="beluga-llm-ray", daemon=True
        )
        self._thread.start()
        try:
            self._asker = self._run(_opened(settings))
        except BaseException:
            self.close()
            raise

    def __call__(self, table: Any) -> Any:
        """A block of rows with the new columns.

        Raises:
            ConfigError: there is no such column, or one of the new names is taken.
        """
        from beluga_llm_ray._tables import questions, with_outcomes

        found = questions(table, self._settings)
        return with_outcomes(table, self.answer(found), self._settings.prefix)

    def answer(self, questions: Sequence[Any]) -> list[Outcome]:
        """The outcomes of questions, in their order; waits for all of them."""
        return self._run(self._asker.answer(questions))

    def close(self) -> None:
        """Closes the model and ends the loop; further calls do nothing."""
        if self._loop.is_closed():
            return
        if (asker := getattr(self, "_asker", None)) is not None:
            with contextlib.suppress(Exception):  # nobody is left to hear of it
                self._run(asyncio.wait_for(asker.aclose(), CLOSING))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSING)

    def __del__(self) -> None:
        if hasattr(self, "_thread") and not sys.is_finalizing():  # no thread runs any more
            self.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class Asker:
    """Asks the model, so many questions at a time, however many threads have some."""

    def __init__(self, settings: Settings, model: llm.ChatModel, store: Any) -> None:
        self._settings = settings
        self._model = model
        self._store = store
        self._places = asyncio.Semaphore(settings.max_concurrency)
        schema = settings.schema
        self._typed: llm.StructuredModel[Any] | None = None
        self._keywords = dict(settings.keywords)
        if isinstance(schema, dict):
            self._keywords["response_format"] = llm.ResponseFormat.json_schema(schema, "answer")
        elif schema is not None:
            self._typed = llm.structured(model, schema)

    async def answer(self, questions: Sequence[Any]) -> list[Outcome]:
        """The outcomes of questions, in their order."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._outcome(one)) for one in questions]
        return [task.result() for task in tasks]

    async def aclose(self) -> None:
        """Closes the connections to the provider and to the store of limits."""
        try:
            await self._model.aclose()
        finally:
            if hasattr(self._store, "aclose"):
                await self._store.aclose()

    async def _outcome(self, question: Any) -> Outcome:
        async with self._places:
            try:
                if isinstance(question, Exception):  # what a function of the row raised
                    return failed(question)
                return await self._ask(conversation(question))
            except Exception as error:  # noqa: BLE001 -- the outcome of this row
                return failed(error)

    async def _ask(self, messages: Any) -> Outcome:
        options = self._settings.options
        if self._typed is not None:
            result = await self._typed.run(messages, options=options, **self._keywords)
            text = json_text(result.value, self._settings.schema)
            return answered(result.message, result.usage, text)
        message = await self._model.generate(messages, options=options, **self._keywords)
        found = None if self._settings.schema is None else _checked_json(message)
        return answered(message, message.usage, found)


def _checked_json(message: llm.AIMessage) -> str:
    """The JSON of an answer to a JSON Schema, in compact form."""
    try:
        return dumps_text(loads(message.text))
    except JsonError as problem:
        raise llm.StructuredOutputError(
            f"the answer is no JSON: {problem}",
            attempts=1,
            raw=message.text,
            last_error=str(problem),
            usage=message.usage,
            op=OP,
            model_id=message.model_id,
        ) from None


async def _opened(settings: Settings) -> Asker:
    """Runs in the loop of the actor, so that what belongs to a loop belongs to this one."""
    store = make_store(settings.store)
    layer = None
    if settings.limits is not None or store is not None:
        limits = settings.limits
        if isinstance(limits, llm.ProviderLimits) or limits is None:
            layer = llm.with_limits(limits, store)
        else:
            layer = llm.with_limits(None, store, **limits)
    return Asker(settings, make_model(settings, layer), store)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

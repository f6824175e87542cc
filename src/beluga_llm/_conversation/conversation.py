"""A conversation that is kept from turn to turn.

Theory of operation. Every turn loads the session, asks the model, and saves what was said together
with the answer: all of it in one write, or nothing. Turns of one session wait for each other; how
the store is read and written is in `keeper.py`.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack

from attrs import evolve

from beluga_llm._accept import begin
from beluga_llm._call import Call, Chunks, complete
from beluga_llm._chat_stream import ChatStream
from beluga_llm._clock import WALL_CLOCK, Clock
from beluga_llm._closing import Closing, close_each
from beluga_llm._conversation.keeper import Keeper, OnSaveError
from beluga_llm._conversation.named import opened, place_of
from beluga_llm._conversation.session import Session, check_json, moment
from beluga_llm._conversation.stores import SessionStore
from beluga_llm._conversation.turns import take_turn
from beluga_llm._delegating import as_model
from beluga_llm._errors import ConfigError
from beluga_llm._messages import AIMessage, Message, SystemMessage
from beluga_llm._model import ChatModel
from beluga_llm._options import GenerateOptions, check_keywords, check_layer
from beluga_llm._request_context import context_values, request_context
from beluga_llm._validate import MessageInput, ensure_messages

if TYPE_CHECKING:
    from beluga_llm._context.manager import ContextManager
    from beluga_llm._keywords import CallKeywords

_TOOLS = frozenset(("tools",))


class Conversation(Closing):
    """A conversation with a model that is kept in a store.

        chat = Conversation(model, SQLiteStore("chats.db"), "ada", system="Be brief.")
        reply = await chat.send("What is 2+2?")
        async with chat.stream("And 3+3?") as stream:
            async for chunk in stream:
                print(chunk.delta, end="")

    Turns of one session in one store wait for each other within a process, whatever objects and
    event loops they come from. Where another process changed the session meanwhile, a turn raises a
    StoreError and changes nothing.

    Args:
        model: a model, or a name that `create` takes.
        store: where it is kept: a SessionStore, or a name or URL of one ("sqlite:///chats.db");
            None: in the memory of this object.
        session_id: which conversation; None: a new one.
        system: its system message, instead of the one that is stored.
        max_messages: how many messages are kept: system messages, then the newest; a tool call and
            its results are kept or dropped together. None: all.
        ttl: seconds after its last save at which the store forgets it. None: never.
        prefix: what its name in the store begins with.
        context: fits what is sent into the model's context window; all is kept.
        on_save_error: called with the StoreError of a save that failed; plain or async.
        clock: what tells the time, in unix seconds.

    Raises:
        ConfigError: a setting is wrong.
    """

    def __init__(
        self,
        model: ChatModel | str,
        store: SessionStore | str | None = None,
        session_id: str | None = None,
        *,
        system: str | SystemMessage | None = None,
        max_messages: int | None = None,
        ttl: float | None = None,
        prefix: str = "beluga_llm:session",
        context: ContextManager | None = None,
        on_save_error: OnSaveError | None = None,
        clock: Clock | None = None,
    ) -> None:
        _check(max_messages=max_messages, ttl=ttl, session_id=session_id)
        self.model = _fitted(as_model(model), context)
        self.session_id = session_id or uuid.uuid4().hex
        self.store = opened(store)
        self._opened: list[Any] = [self.model] if isinstance(model, str) else []
        if not isinstance(store, SessionStore):
            self._opened.append(self.store)
        self._line = place_of(self.store, store), f"{prefix}:{self.session_id}"
        self._keeper = Keeper(
            self.store,
            self.session_id,
            key=self._line[1],
            system=SystemMessage(system) if isinstance(system, str) else system,
            most=max_messages,
            ttl=ttl,
            on_save_error=on_save_error,
            clock=clock or WALL_CLOCK,
        )

    async def aclose(self) -> None:
        """Closes the model and the store that were given by name; those of the caller stay open.

        Raises:
            ExceptionGroup: both failed to close.
        """
        closers = [thing.aclose for thing in self._opened if hasattr(thing, "aclose")]
        errors = await close_each(closers)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup(f"closing conversation {self.session_id} failed", errors)

    # --- talking -----------------------------------------------------------------------------

    async def send(
        self,
        messages: MessageInput,
        *,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> AIMessage:
        """The model's answer; it and what was said are saved together.

        A failed save is logged and told to `on_save_error`; the answer is given all the same, and
        the next turn saves both. Where the model fails, or the caller is cancelled before the
        answer, nothing is saved.

        Args:
            messages: what is said: a str, a message (results of tools too), or several.
            options: a layer of options under the keywords.
            **keywords: options of this call, as for `generate`.

        Raises:
            StoreError: the store cannot be read; or, with `conflict`, somebody else changed the
                session meanwhile: `partial` is the answer, `unsaved` all that was not saved.
            BelugaError: the call failed.
        """
        begin, call = self._asked(messages, "chat.generate", options, keywords)
        return await complete(begin, call)

    def stream(
        self,
        messages: MessageInput,
        *,
        save_partial: bool = False,
        options: GenerateOptions | None = None,
        **keywords: Unpack[CallKeywords],
    ) -> ChatStream:
        """The answer as it arrives; it is saved when the stream has been read to its end.

        Args:
            messages: as for `send`.
            save_partial: where the stream fails or is left before its end, save what came, with
                `metadata={"interrupted": True}` and without tool calls; else nothing is saved.
                A stream that is left outside of `async with` may not be saved any more.
            options: likewise.
            **keywords: likewise.

        Raises:
            StoreError: from the iteration; as `send` does.
        """
        return ChatStream(*self._asked(messages, "chat.stream", options, keywords, save_partial))

    def _asked(
        self,
        messages: MessageInput,
        op: str,
        options: GenerateOptions | None,
        keywords: CallKeywords,
        save_partial: bool = False,
    ) -> tuple[Callable[[Call], Chunks], Call]:
        check_keywords(keywords, _TOOLS)
        check_layer(options)

        def chunks(call: Call) -> Chunks:
            said = ensure_messages(messages)
            check_json(said)
            ask = functools.partial(begin, self.model, options=options, keywords=keywords)
            turn = self._turn(call, said, ask, save_partial=save_partial)
            call.opened.append(turn)
            return turn

        return chunks, Call(op, self.model.provider, self.model.model_id)

    async def _turn(
        self,
        call: Call,
        said: tuple[Message, ...],
        ask: Callable[..., Chunks],
        *,
        save_partial: bool,
    ) -> Chunks:
        """One turn, from the first read to its save."""
        keeper = self._keeper
        turn = await take_turn(self._line)
        call.on_drop.append(turn.end)
        try:
            held = await keeper.load()
            keeper.check_room(held, said)
            answered = False
            try:
                with request_context(session_id=context_values().session_id or self.session_id):
                    chunks = ask(messages=(*held.session.messages, *said), call=call)
                async for chunk in chunks:
                    yield chunk
                answered = True
            finally:
                if save_partial and not answered:
                    dropped = turn.over  # others have talked since, or do so now
                    if dropped:
                        turn = await take_turn(self._line)
                    await keeper.add_partial(None if dropped else held, said, call.message)
            await keeper.add_turn(held, (*said, call.message))
        finally:
            turn.end()

    # --- looking at it and changing it -------------------------------------------------------

    async def messages(self) -> list[Message]:
        """All messages, the system message first; those of a turn that is not saved yet too."""
        return list((await self._keeper.now()).messages)

    async def metadata(self) -> dict[str, Any]:
        """The application's metadata."""
        return dict((await self._keeper.now()).metadata)

    async def append(self, *messages: Message) -> None:
        """Adds messages without asking the model: the results of tools, or what others said.

        Raises:
            StoreError: they could not be saved.
        """
        if messages:
            said = ensure_messages(messages)
            check_json(said)
            await self._change(lambda session: self._keeper.with_more(session, said))

    async def set_metadata(self, **values: Any) -> None:
        """Sets some of the application's metadata; the others stay.

        Raises:
            InvalidRequestError: a value is no JSON.
            StoreError: they could not be saved.
        """
        await self._change(lambda session: evolve(session, metadata={**session.metadata, **values}))

    async def clear(self) -> None:
        """Forgets what was said; the system message and the metadata stay.

        Raises:
            StoreError: that could not be saved.
        """
        await self._change(
            lambda session: evolve(session, messages=session.messages[: session.instructed_by])
        )

    async def delete(self) -> None:
        """Removes the conversation from the store; the next turn begins a new one.

        Raises:
            StoreError: it could not be removed.
        """
        turn = await take_turn(self._line)
        try:
            await self._keeper.delete()
        finally:
            turn.end()

    @property
    def created_at(self) -> datetime | None:
        """When it was first saved, in UTC, as far as is known here; None before."""
        return moment(self._keeper.known.created_at)

    @property
    def updated_at(self) -> datetime | None:
        """When it was last saved, in UTC, as far as is known here; None before."""
        return moment(self._keeper.known.updated_at)

    async def _change(self, change: Callable[[Session], Session]) -> None:
        """Saves the session changed, after what is not saved yet."""
        turn = await take_turn(self._line)
        try:
            await self._keeper.change(change)
        finally:
            turn.end()

    def __repr__(self) -> str:
        return f"<Conversation {self.session_id} with {self.model.qualified_id}>"


def _fitted(model: ChatModel, context: ContextManager | None) -> ChatModel:
    """The model with a layer that fits what is sent; what is kept is not touched by it."""
    if context is None:
        return model
    from beluga_llm.middleware.context import with_context

    return model.with_middleware(with_context(context))


def _check(*, max_messages: int | None, ttl: float | None, session_id: str | None) -> None:
    problems = []
    if max_messages is not None and not max_messages >= 1:
        problems.append(f"max_messages must be at least 1, got {max_messages!r}")
    if ttl is not None and not ttl > 0:
        problems.append(f"ttl must be > 0, got {ttl!r}")
    if session_id is not None and not session_id:
        problems.append("session_id is empty")
    if problems:
        raise ConfigError.of(problems)

"""Identical requests, answered from a store.

    model = model.with_middleware(with_cache(SQLiteCache("answers.db"), ttl=86_400))

Theory of operation. The key covers all that may change an answer. Of concurrent identical calls of
`generate` one, the leader, asks the model, and the others wait for its answer; if it fails or is
cancelled, one of them takes its place. The leader's answer is complete before anything is yielded,
so nothing is held across a yield. Streams are passed on as they come, and only kept.
"""

from __future__ import annotations

import asyncio
import fnmatch
import logging
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

import msgspec

from beluga_llm._caching.entries import Entry, decode, encode, is_worth_keeping
from beluga_llm._caching.keys import IGNORED, PREFIX, cache_key, check_ignored
from beluga_llm._caching.stores import CacheStore, MemoryCache
from beluga_llm._call import CallNext, Chunks
from beluga_llm._chunks import StreamChunk
from beluga_llm._clock import WALL_CLOCK, Clock
from beluga_llm._errors import ConfigError
from beluga_llm._events import tell
from beluga_llm._fold import fold
from beluga_llm._messages import AIMessage
from beluga_llm._model import ChatModel
from beluga_llm._options import GenerateOptions
from beluga_llm._replay import replay
from beluga_llm._request import ChatRequest
from beluga_llm._transcript import Transcript
from beluga_llm._validate import MessageInput

logger = logging.getLogger("beluga_llm.cache")

Only: TypeAlias = str | Iterable[str] | Callable[[ChatRequest], bool]


class CacheStats(msgspec.Struct):
    """What a cache has done so far."""

    hits: int = 0
    misses: int = 0
    writes: int = 0
    errors: int = 0


class Cache:
    """The layer of `with_cache`.

    Attributes:
        store: where the answers are.
    """

    def __init__(
        self,
        store: CacheStore,
        *,
        ttl: float | None,
        only: Callable[[ChatRequest], bool],
        ignore: frozenset[str],
        cache_streams: bool,
        prefix: str,
        clock: Clock,
    ) -> None:
        self.store = store
        self._ttl, self._only, self._ignore = ttl, only, ignore
        self._cache_streams, self._prefix, self._clock = cache_streams, prefix, clock
        self._stats = CacheStats()
        self._failing: set[str] = set()
        self._leaders: dict[tuple[object, str], asyncio.Future[AIMessage | None]] = {}

    async def __call__(self, request: ChatRequest, call_next: CallNext) -> Chunks:
        """The chunks of a kept answer, or of the model's, which is then kept."""
        if not self._takes(request):
            async for chunk in call_next(request):
                yield chunk
            return
        key = self._key(request)
        if request.streaming:
            entry = await self._read(request, key)
            if entry is None:
                heard = Transcript()
                async for chunk in call_next(request):
                    heard.hear(chunk)
                    yield chunk
                await self._keep(request, key, heard.message())
                return
            chunks = self._replayed(entry)
        else:
            chunks = await self._whole(request, key, call_next)
        for chunk in chunks:
            yield chunk

    def stats(self) -> CacheStats:
        """How often it answered, did not, and failed; a copy."""
        return msgspec.structs.replace(self._stats)

    async def invalidate(
        self,
        model: ChatModel,
        messages: MessageInput,
        *,
        options: GenerateOptions | None = None,
        **keywords: Any,
    ) -> None:
        """Removes the answer that this call of the model would get.

        Args:
            model: the model, with its options and tools; its middleware is left out.
            messages: as for `generate`.
            options: likewise.
            **keywords: likewise.
        """
        asked: list[ChatRequest] = []

        async def look(request: ChatRequest, call_next: CallNext) -> Chunks:
            asked.append(request)
            yield StreamChunk()

        bare = model._copy(_layers=(look,))
        await bare.generate(messages, options=options, **keywords)
        await self.store.delete(self._key(asked[0]))

    async def aclose(self) -> None:
        """Closes the store."""
        await self.store.aclose()

    # --- whole answers, one flight for all -------------------------------------------------------

    async def _whole(
        self, request: ChatRequest, key: str, call_next: CallNext
    ) -> Iterable[StreamChunk]:
        """The kept answer, the leader's, or as the leader the model's."""
        flight = asyncio.get_running_loop(), key
        while True:
            leader = self._leaders.get(flight)
            if leader is None:
                break
            await asyncio.wait((leader,))
            if (message := leader.result()) is not None:
                self._stats.hits += 1
                await _tell(request, hit=True)
                return self._replayed(Entry(message, self._clock.time()))
        mine: asyncio.Future[AIMessage | None] = asyncio.get_running_loop().create_future()
        self._leaders[flight] = mine
        message = None
        try:
            entry = await self._read(request, key)
            if entry is not None:
                message = entry.message
                return self._replayed(entry)
            chunks = [chunk async for chunk in call_next(request)]
            message = fold(chunks)
            await self._keep(request, key, message)
            return chunks
        finally:
            del self._leaders[flight]
            mine.set_result(message)

    # --- reading and writing ---------------------------------------------------------------------

    def _takes(self, request: ChatRequest) -> bool:
        if request.streaming and not self._cache_streams:
            return False
        return (request.options.n or 1) == 1 and self._only(request)

    def _key(self, request: ChatRequest) -> str:
        return cache_key(request, ignore=self._ignore, prefix=self._prefix)

    async def _read(self, request: ChatRequest, key: str) -> Entry | None:
        entry = None
        try:
            data = await self.store.get(key)
        except Exception:  # noqa: BLE001 -- logged there, and a store costs no answer
            self._fails("read", "the cache cannot be read")
            data = None
        else:
            self._failing.discard("read")
        if data is not None:
            entry = decode(data)
            if entry is None:
                logger.warning("an entry of the cache cannot be read, or is of another version")
                self._stats.errors += 1
            elif self._ttl is not None and self._clock.time() - entry.cached_at >= self._ttl:
                entry = None
        if entry is None:
            self._stats.misses += 1
        else:
            self._stats.hits += 1
        await _tell(request, hit=entry is not None)
        return entry

    async def _keep(self, request: ChatRequest, key: str, message: AIMessage) -> None:
        suppressed = getattr(request.call, "suppressed_error", None)
        if suppressed is not None or not is_worth_keeping(message):
            return
        try:
            await self.store.set(key, encode(message, self._clock.time()), self._ttl)
        except Exception:  # noqa: BLE001 -- logged there, and a store costs no answer
            self._fails("write", "an answer could not be kept in the cache")
        else:
            self._failing.discard("write")
            self._stats.writes += 1

    def _fails(self, what: str, text: str) -> None:
        """Warns once of a store that is gone, and not again until it is back."""
        known = what in self._failing
        logger.log(logging.DEBUG if known else logging.WARNING, text, exc_info=not known)
        self._failing.add(what)
        self._stats.errors += 1

    def _replayed(self, entry: Entry) -> Iterable[StreamChunk]:
        facts = entry.facts(self._clock.time())
        return [StreamChunk(metadata=facts), *replay(entry.message)]

    def __repr__(self) -> str:
        return f"with_cache({self.store!r}, ttl={self._ttl})"


async def _tell(request: ChatRequest, *, hit: bool) -> None:
    info = request.model
    facts = {"provider": info.provider, "model_id": info.model_id}
    await tell(request.call, "cache", hit=hit, **facts)


async def invalidate(
    model: ChatModel,
    messages: MessageInput,
    *,
    options: GenerateOptions | None = None,
    **keywords: Any,
) -> None:
    """Removes the answer that this call of the model would get from its cache.

        await invalidate(model, "What is 2+2?", temperature=0)

    Args:
        model: a model with a cache around it; other middleware is left out.
        messages: as for `generate`.
        options: likewise.
        **keywords: likewise.

    Raises:
        ConfigError: the model has no cache.
    """
    caches = [layer for layer in model._layers if isinstance(layer, Cache)]
    if not caches:
        raise ConfigError(f"{model.qualified_id} has no cache: put with_cache() around it")
    for cache in caches:
        await cache.invalidate(model, messages, options=options, **keywords)


def with_cache(
    store: CacheStore | str | None = None,
    ttl: float | None = 3600,
    *,
    only: Only | None = None,
    ignore: Collection[str] = IGNORED,
    cache_streams: bool = False,
    prefix: str = PREFIX,
    clock: Clock | None = None,
) -> Cache:
    """A layer that keeps complete answers, and gives them to identical requests.

        model = model.with_middleware(with_cache(ttl=600))

    An answer from the store says so in `provider_metadata["cache"]`; its usage is that of the
    call that was made then.

    Args:
        store: where the answers are kept, or the URL of it, such as "redis://host/0"; None: in
            memory, for this layer alone.
        ttl: seconds for which an answer is good; None: for ever.
        only: ids of models, with `*` for any characters, or a predicate on the request; all other
            calls are passed on.
        ignore: names of options that do not count.
        cache_streams: keep the answers of streams too, and replay them as chunks.
        prefix: what all keys begin with.
        clock: what tells the time, in unix seconds.

    Raises:
        ConfigError: the ttl is negative, or `ignore` names no option.
        ProviderNotFoundError: no plugin that is installed has stores of that name.
    """
    if ttl is not None and not ttl >= 0:
        raise ConfigError(f"ttl must be >= 0, got {ttl!r}")
    if isinstance(store, str):
        from beluga_llm._named_stores import cache_stores, open_named

        store = open_named(cache_stores, store)
    return Cache(
        MemoryCache(clock=clock) if store is None else store,
        ttl=ttl,
        only=_predicate(only),
        ignore=check_ignored(ignore),
        cache_streams=cache_streams,
        prefix=prefix,
        clock=clock or WALL_CLOCK,
    )


def _predicate(only: Only | None) -> Callable[[ChatRequest], bool]:
    if only is None:
        return lambda request: True
    if callable(only):
        return only
    patterns = (only,) if isinstance(only, str) else tuple(only)
    return lambda request: any(
        fnmatch.fnmatchcase(request.options.model or request.model.model_id, pattern)
        for pattern in patterns
    )

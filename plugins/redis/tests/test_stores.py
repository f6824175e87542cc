"""Cached answers and conversations, in a real server."""

from __future__ import annotations

import asyncio
import secrets

import pytest

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")

from beluga_llm import StoreError, with_cache
from beluga_llm._named_stores import limit_stores, open_named
from beluga_llm.testing import MockChatModel
from beluga_llm_redis import RedisCache, RedisLimiter, RedisSessionStore


@pytest.mark.row("DIST-01")
async def test_a_cache_keeps_values_and_clears_only_its_own(url: str):
    cache, other = RedisCache(url, prefix="a[1]:"), RedisCache(url, prefix="a1:")
    await cache.set("key", b"\xff value", 60)
    await other.set("key", b"other", None)
    assert await cache.get("key") == b"\xff value"
    await cache.clear()
    assert await cache.get("key") is None
    assert await other.get("key") == b"other"
    await other.delete("key")
    assert await other.get("key") is None
    await cache.aclose()
    await other.aclose()


@pytest.mark.row("DIST-01")
async def test_a_conversation_is_written_only_over_what_was_read(url: str):
    store = RedisSessionStore(url)
    await store.save("ann", b"one", None, None)
    for expected in (None, b"", b"two"):
        with pytest.raises(StoreError) as caught:
            await store.save("ann", b"three", None, expected)
        assert caught.value.conflict
    await store.save("ann", b"two", 60, b"one")
    assert await store.load("ann") == b"two"
    await store.delete("ann")
    assert await store.load("ann") is None
    await store.aclose()


@pytest.mark.row("DIST-01", "DIST-02")
async def test_of_concurrent_writers_one_wins(url: str):
    stores = [RedisSessionStore(url) for _ in range(8)]
    name = f"race-{secrets.token_hex(4)}"
    held = None
    for turn in range(12):
        results = await asyncio.gather(
            *[store.save(name, b"%d %d" % (turn, n), 60, held) for n, store in enumerate(stores)],
            return_exceptions=True,
        )
        winners = [n for n, one in enumerate(results) if one is None]
        assert len(winners) == 1
        assert all(isinstance(one, StoreError) for one in results if one is not None)
        held = await stores[0].load(name)
        assert held == b"%d %d" % (turn, winners[0])
    for store in stores:
        await store.aclose()


@pytest.mark.row("DIST-01", "DIST-02")
async def test_a_cache_with_concurrent_writers_gives_whole_values(url: str):
    prefix = f"race-{secrets.token_hex(4)}:"
    caches = [RedisCache(url, prefix=prefix) for _ in range(8)]
    values = [b"%d" % n * 50_000 for n in range(8)]

    async def write(n: int) -> None:
        for _ in range(10):
            await caches[n].set("key", values[n], 60)
            assert await caches[n].get("key") in values

    await asyncio.gather(*[write(n) for n in range(8)])
    await caches[0].clear()
    assert await caches[1].get("key") is None
    for cache in caches:
        await cache.aclose()


@pytest.mark.row("DIST-01")
async def test_stores_are_found_by_their_url(url: str):
    cache = with_cache(url)
    model = MockChatModel(["fine"]).with_middleware(cache)
    prompt = secrets.token_hex(4)
    for _ in range(2):
        assert (await model.generate(prompt, temperature=0)).text == "fine"
    assert isinstance(cache.store, RedisCache)
    await cache.store.aclose()
    assert isinstance(open_named(limit_stores, url), RedisLimiter)
    assert isinstance(open_named(limit_stores, "rediss"), RedisLimiter)

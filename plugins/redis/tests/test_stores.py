"""Cached answers and conversations, in a real server."""

from __future__ import annotations

import pytest

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")

from beluga_llm import StoreError
from beluga_llm_redis import RedisCache, RedisSessionStore


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


@pytest.mark.row("DIST-01")
@pytest.mark.parametrize("kind", [RedisCache, RedisSessionStore])
def test_a_password_is_not_shown(kind: type):
    assert "hunter2" not in repr(kind("redis://:hunter2@host/0"))

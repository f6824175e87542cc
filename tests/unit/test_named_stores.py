"""Stores of limits and caches by URL."""

from __future__ import annotations

import pytest

import beluga_llm as llm
from beluga_llm._named_stores import cache_stores, limit_stores
from beluga_llm._rate.local import LocalLimits
from beluga_llm.testing import MockChatModel


@pytest.mark.row("DIST-01", "RATE-01")
async def test_limits_find_their_store_by_its_url():
    made = list[tuple[str, ...]]()

    def make(*url: str) -> LocalLimits:
        made.append(url)
        return LocalLimits()

    with limit_stores.isolated():
        limit_stores.register("here", make)
        for name in ("here://host/0", "here"):
            model = MockChatModel(["one"]).with_middleware(llm.with_limits(rpm=1, store=name))
            assert (await model.generate("hi")).text == "one"
        model = llm.resilient(MockChatModel(["one"]), limits={"rpm": 1, "store": "here://a"})
    assert made == [("here://host/0",), (), ("here://a",)]


@pytest.mark.row("DIST-01")
async def test_a_cache_finds_its_store_by_its_url():
    store = llm.MemoryCache()
    with cache_stores.isolated():
        cache_stores.register("here", lambda url: store)
        model = MockChatModel(["one"]).with_middleware(llm.with_cache("here://host/0"))
        await model.generate("hi", temperature=0)
    assert len(store.keys()) == 1


@pytest.mark.row("DIST-01")
def test_an_unknown_store_is_told():
    with pytest.raises(llm.ProviderNotFoundError, match="limit store"):
        llm.with_limits(rpm=1, store="nothing://host/0")
    with pytest.raises(llm.ProviderNotFoundError, match="cache store"):
        llm.with_cache("nothing://host/0")

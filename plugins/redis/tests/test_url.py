"""What a URL may say, what it may not, and what of it is never shown."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

import pytest

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")

from beluga_llm import ConfigError, Conversation, with_cache, with_limits
from beluga_llm.testing import MockChatModel
from beluga_llm_redis import RedisCache, RedisLimiter, RedisSessionStore
from beluga_llm_redis._server import Server

STORES = [RedisLimiter, RedisCache, RedisSessionStore]


def refused(url: str, kind: Any = RedisLimiter, **options: Any) -> str:
    """What is said of a URL, when the store is made, without a server."""
    with pytest.raises(ConfigError) as caught:
        kind(url, **options)
    assert "hunt" not in "".join(traceback.format_exception(caught.value)).partition("Error: ")[2]
    return str(caught.value)


@pytest.mark.row("DIST-01", "ERRO-31")
@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("http://:hunter2@host", "must begin with one of redis://, rediss://, unix://"),
        ("redis://:hunter2@host:port", "the port in the URL of Redis is not valid"),
        ("redis://u:hunt/er2@host", "the port in the URL of Redis is not valid"),
        ("redis://u:12/hunter2@host", "/, ? and # in a password are written as %2F, %3F and %23"),
        ("redis://u:12#hunter2@host", "/, ? and # in a password are written as %2F, %3F and %23"),
        ("redis://u:12?hunter2@host", "/, ? and # in a password are written as %2F, %3F and %23"),
        ("redis://localhost/hunter2", "more than a number of a database and parameters"),
        ("redis://localhost/1/2", "more than a number of a database and parameters"),
        ("redis://:hunter2@host/0?foo=hunter2", "does not take the parameters"),
        ("redis://host/0?socket_timeout=hunter2", "does not take the parameters"),
        ("redis://host/0?protocol=5", "does not take the parameters in the URL of Redis at host:6"),
        ("redis://host/0?ssl_ca_certs=ca.pem", "does not take the parameters"),
        ("redis://host/0?decode_responses=true", "answers are read as bytes here"),
        ("rediss://host/0?ssl_cert_reqs=hunter2", "does not take the parameters"),
        ("rediss://host/0?ssl_min_version=99", "does not take the parameters"),
        ("rediss://host/0?ssl_ciphers=hunter2", "the TLS settings in the URL of Redis at host:6"),
    ],
)
def test_a_url_that_is_wrong_is_an_error_of_the_settings(kind: Any, wrong: str, text: str):
    assert text in refused(wrong, kind)


@pytest.mark.row("DIST-01")
def test_a_node_of_a_cluster_takes_the_parameters_of_clusters():
    RedisLimiter("redis://host:7000?require_full_coverage=0", cluster=True)
    assert "does not take the parameters" in refused("redis://host?foo=1", cluster=True)
    assert "does not take" in refused("redis://host?require_full_coverage=0")


@pytest.mark.row("DIST-01", "ERRO-31")
@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://", "localhost:6379"),
        ("redis://:hunter2@host/", "host:6379"),
        ("redis://ann:hunter2@host:1/15", "host:1"),
        ("rediss://ann:hunter2@[::1]/0", "[::1]:6379"),
        ("unix:///run/a%20b.sock?db=2&password=hunter2", "/run/a b.sock"),
    ],
)
def test_where_a_url_leads_is_told_without_what_is_secret(url: str, where: str):
    assert Server(url, timeout=1.0).where == where


@pytest.mark.row("DIST-01", "ERRO-31")
@pytest.mark.parametrize(
    ("url", "text", "shown"),
    [
        ("redis://:hunter2%21@host", "hunter2! hunter2%21", "*** ***"),
        ("redis://host?password=hunter2%21", "as hunter2! was wrong", "as *** was wrong"),
        ("redis://:a@host?password=ab", "ab", "***"),
    ],
)
def test_no_text_repeats_a_password(url: str, text: str, shown: str):
    assert Server(url, timeout=1.0).explain(ValueError(text)) == f"ValueError: {shown}"


@pytest.mark.row("DIST-01", "ERRO-31")
@pytest.mark.parametrize("kind", STORES)
def test_no_store_shows_a_password(kind: Any):
    assert "hunter2" not in repr(kind("redis://:hunter2@host/0?password=hunter2"))


@pytest.mark.row("DIST-01", "CONF-07")
@pytest.mark.parametrize(
    "use",
    [
        lambda url: with_limits(rpm=9, store=url),
        with_cache,
        lambda url: Conversation(MockChatModel(["fine"]), store=url),
    ],
)
def test_a_url_that_is_wrong_is_told_where_it_is_given(use: Any):
    with pytest.raises(ConfigError, match="does not take the parameters"):
        use("rediss://host/0?foo=1")


@pytest.mark.row("DIST-01")
def test_looking_at_a_url_opens_nothing():
    async def make() -> None:
        RedisLimiter("redis://host:1", cluster=True)
        RedisCache("rediss://host:1")

    asyncio.run(make())


@pytest.mark.row("DIST-01")
async def test_all_connections_with_tls_share_their_context():
    """To make one reads all authorities of the system, and the event loop stands still."""
    server = Server("rediss://host", timeout=1.0)
    pools = [server._client().connection_pool for _ in range(2)]
    contexts = [pool.make_connection().ssl_context.get() for pool in pools for _ in range(2)]
    assert len({id(one) for one in contexts}) == 1
    assert contexts[0].check_hostname

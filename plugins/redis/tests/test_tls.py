"""A Redis that speaks nothing but TLS, with an authority of our own, passwords and users."""

from __future__ import annotations

import asyncio
import logging
import secrets
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

pytest.importorskip("redis", reason="redis is not installed")
pytest.importorskip("beluga_llm_redis", reason="beluga-llm-redis is not installed")

import redis

from beluga_llm import ConfigError, Conversation, StoreError, with_cache, with_limits
from beluga_llm.testing import MockChatModel
from beluga_llm_redis import RedisCache, RedisLimiter, RedisSessionStore

from .certificates import Authority
from .conftest import RedisServer

PASSWORD = "hunter2 p@ss/w%rd?:#&+"
WRONG = "hunter3"
RIGHTS = (
    "~beluga:*", "+@read", "+@write", "+@connection", "+eval", "+evalsha", "+time", "-@dangerous",
)  # fmt: skip
"""What README.md says that a user needs."""
SECRETS = (PASSWORD, quote(PASSWORD, safe=""), WRONG)


class Secured:
    """A server with TLS, and those who may use it.

    Attributes:
        authority: has signed the certificate of the server, and `client`, that of a client.
        stranger: an authority that the server and its certificate do not know.
    """

    def __init__(self, folder: Path) -> None:
        self.authority, self.stranger = Authority(folder / "ours"), Authority(folder / "other")
        self.client, server = self.authority.sign("client"), self.authority.sign("server")
        self.server = RedisServer(
            *("--tls-cert-file", str(server.certificate), "--tls-key-file", str(server.key)),
            *("--tls-ca-cert-file", str(self.authority.pair.certificate)),
            *("--tls-auth-clients", "no"),
            scheme="rediss",
        )

    def start(self) -> None:
        """Starts it, with two users beside the usual one."""
        try:
            self.server.start()
        except RuntimeError as error:
            if "tls-port" in str(error):
                pytest.skip("redis-server was built without TLS")
            raise
        self.command("ACL", "SETUSER", "ann", "on", f">{PASSWORD}", *RIGHTS)
        self.command("ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~*", "+get")

    def command(self, *words: str) -> None:
        """Has the server told something."""
        with redis.Redis.from_url(self.url()) as client:
            client.execute_command(*words)

    def url(
        self, user: str = "", password: str = "", *, host: str = "127.0.0.1", **settings: Any
    ) -> str:
        """Where it is, for one that knows its authority, if nothing else is said."""
        account = f"{user}:{quote(password, safe='')}@" if user else ""
        settings.setdefault("ssl_ca_certs", self.authority.pair.certificate)
        query = urlencode({name: value for name, value in settings.items() if value is not None})
        return f"rediss://{account}{host}:{self.server.port}/0?{query}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A server with TLS."""
    made = Secured(tmp_path_factory.mktemp("tls"))
    try:
        made.start()
        yield made
    finally:
        made.server.stop()


@pytest.fixture
def choosy(secured: Secured) -> Iterator[Secured]:
    """The same, while it wants a certificate of its clients."""
    secured.command("CONFIG", "SET", "tls-auth-clients", "yes")
    yield secured
    client = secured.client
    files = {"ssl_certfile": str(client.certificate), "ssl_keyfile": str(client.key)}
    with redis.Redis.from_url(secured.url(**files)) as admin:
        admin.execute_command("CONFIG", "SET", "tls-auth-clients", "no")


async def check_all_of_it(url: str) -> None:
    """Limits, conversations and cached answers work over it."""
    async with RedisLimiter(url, on_error="raise", timeout=9.0) as limiter:
        layer = with_limits(rpm=600, max_concurrent=2, store=limiter)
        model = MockChatModel(["fine"]).with_middleware(layer)
        assert (await model.generate("hi")).text == "fine"
    async with RedisSessionStore(url, timeout=9.0) as store:
        name = secrets.token_hex(4)
        said = Conversation(MockChatModel(["one", "two"]), store=store, session_id=name)
        await said.send("hi")
        again = Conversation(MockChatModel(["two"]), store=store, session_id=name)
        await again.send("hi")
        assert len(await again.messages()) == 4
        await again.clear()
    async with RedisCache(url, prefix=f"beluga:{secrets.token_hex(4)}:", timeout=9.0) as cache:
        layer = with_cache(cache)
        model = MockChatModel(["fine"]).with_middleware(layer)
        for _ in range(2):
            assert (await model.generate("hi", temperature=0)).text == "fine"
        assert layer.stats().hits == 1
        await cache.clear()


@pytest.mark.row("DIST-01")
@pytest.mark.parametrize("strict", [None, "VERIFY_X509_STRICT"])
async def test_a_server_whose_authority_is_named_is_trusted(secured: Secured, strict: str | None):
    await check_all_of_it(secured.url(ssl_include_verify_flags=strict))


@pytest.mark.row("DIST-01")
async def test_a_user_with_a_password_that_is_escaped(secured: Secured):
    """One who may use the keys of these stores, and nothing that is dangerous."""
    await check_all_of_it(secured.url("ann", PASSWORD))


@pytest.mark.row("DIST-01")
async def test_many_commands_at_once_need_few_connections(secured: Secured):
    """Each would make a TLS context, for tens of ms in which the event loop stands still."""
    asyncio.get_running_loop().set_debug(False)  # which costs more than the commands
    async with RedisCache(secured.url(), timeout=3.0) as cache:
        await asyncio.gather(*[cache.set(f"{n}", b"value", 60) for n in range(200)])
        values = await asyncio.gather(*[cache.get(f"{n}") for n in range(200)])
        assert values == [b"value"] * 200


@pytest.mark.row("DIST-01")
async def test_a_password_among_the_parameters(secured: Secured):
    account = urlencode({"username": "ann", "password": PASSWORD})
    await check_all_of_it(f"{secured.url()}&{account}")


@pytest.mark.row("DIST-01")
async def test_a_client_with_a_certificate(choosy: Secured):
    files = {"ssl_certfile": choosy.client.certificate, "ssl_keyfile": choosy.client.key}
    await check_all_of_it(choosy.url(**files))
    async with RedisSessionStore(choosy.url()) as store:
        with pytest.raises(StoreError, match=r"fails \(ConnectionError: "):
            await store.load("x")


@pytest.mark.row("DIST-01")
@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "ssl_cert_reqs=none"])
async def test_without_a_file_in_the_url(
    secured: Secured, name: str, monkeypatch: pytest.MonkeyPatch
):
    """The authorities of the system, which a variable may name; and none, where that is said."""
    reqs = "none" if name.startswith("ssl") else None
    if reqs is None:
        monkeypatch.setenv(name, str(secured.authority.pair.certificate))
    await check_all_of_it(secured.url(ssl_ca_certs=None, ssl_cert_reqs=reqs))


FAILURES = {
    "no authority": (
        lambda secured: secured.url("ann", PASSWORD, ssl_ca_certs=None),
        r"CERTIFICATE_VERIFY_FAILED.*in the URL: \?ssl_ca_certs=/path/to/ca.pem",
    ),
    "another authority": (
        lambda secured: secured.url(
            "ann", PASSWORD, ssl_ca_certs=secured.stranger.pair.certificate
        ),
        r"CERTIFICATE_VERIFY_FAILED.*in the URL: \?ssl_ca_certs=/path/to/ca.pem",
    ),
    "another name": (
        lambda secured: secured.url("ann", PASSWORD, host="localhost"),
        "certificate is not valid for 'localhost'",
    ),
    "a wrong password": (
        lambda secured: secured.url("ann", WRONG),
        "AuthenticationError: invalid username-password pair",
    ),
    "an unknown user": (
        lambda secured: secured.url("bob", PASSWORD),
        "AuthenticationError: invalid username-password pair",
    ),
    "a user without rights": (
        lambda secured: secured.url("reader", PASSWORD),
        "NoPermissionError: this user has no permissions to run the 'eval",
    ),
    "no TLS": (
        lambda secured: f"redis://:{WRONG}@127.0.0.1:{secured.server.port}/0",
        r"\(ConnectionError: ",
    ),
}


@pytest.fixture(params=FAILURES)
def failure(request: pytest.FixtureRequest, secured: Secured) -> tuple[str, str]:
    """A URL that is valid and leads nowhere, and what is to be said of it."""
    url, text = FAILURES[request.param]
    return url(secured), text


def shown(error: BaseException) -> str:
    """All that is printed of an error."""
    return "".join(traceback.format_exception(error))


def assert_no_secret(*texts: str) -> None:
    for text in texts:
        for secret in SECRETS:
            assert secret not in text


@pytest.mark.row("DIST-01", "ERRO-31")
async def test_a_limiter_that_gets_no_answer_says_why(
    failure: tuple[str, str], caplog: pytest.LogCaptureFixture
):
    url, text = failure
    caplog.set_level(logging.DEBUG)
    async with RedisLimiter(url, on_error="raise", timeout=9.0) as limiter:
        model = MockChatModel(["fine"]).with_middleware(with_limits(rpm=9, store=limiter))
        for _ in range(2):  # the second time it is not even tried
            with pytest.raises(StoreError, match=text) as caught:
                await model.generate("hi")
            assert_no_secret(shown(caught.value), repr(caught.value))
    async with RedisLimiter(url, timeout=9.0) as limiter:
        model = MockChatModel(["fine"]).with_middleware(with_limits(rpm=9, store=limiter))
        assert (await model.generate("hi")).text == "fine"
    ours = [one for one in caplog.records if one.name.startswith("beluga_llm")]
    warnings = [one.getMessage() for one in ours if one.levelno >= logging.WARNING]
    assert len(warnings) == 2
    assert all(one.startswith("no shared limits, Redis at ") for one in warnings)
    assert_no_secret(caplog.text)


@pytest.mark.row("DIST-01", "ERRO-31")
async def test_a_conversation_that_cannot_be_kept_says_why(failure: tuple[str, str]):
    url, text = failure
    async with RedisSessionStore(url, timeout=9.0) as store:
        with pytest.raises(StoreError, match=text) as caught:
            await store.save("ann", b"data", None, None)
        assert "session 'ann' cannot be saved: Redis at " in str(caught.value)
        assert not caught.value.conflict
        assert_no_secret(shown(caught.value))


@pytest.mark.row("DIST-01", "CACH-10", "ERRO-31")
async def test_a_cache_that_cannot_be_used_costs_no_answer(
    failure: tuple[str, str], caplog: pytest.LogCaptureFixture
):
    url, _ = failure
    caplog.set_level(logging.DEBUG)
    async with RedisCache(url, timeout=9.0) as cache:
        model = MockChatModel(["fine", "fine"]).with_middleware(with_cache(cache))
        for _ in range(2):
            assert (await model.generate("hi", temperature=0)).text == "fine"
        with pytest.raises(StoreError, match="the cache cannot be cleared: Redis at ") as caught:
            await cache.clear()
        assert_no_secret(shown(caught.value))
    assert_no_secret(caplog.text)


@pytest.mark.row("DIST-01")
async def test_a_server_that_speaks_no_tls_is_not_waited_for_for_long(url: str):
    tls = url.replace("redis://", "rediss://")
    async with RedisSessionStore(tls, timeout=0.2) as store, asyncio.timeout(5):
        with pytest.raises(StoreError, match="Redis at 127"):
            await store.load("x")


@pytest.mark.row("DIST-01", "CONF-07", "ERRO-31")
@pytest.mark.parametrize("kind", [RedisLimiter, RedisCache, RedisSessionStore])
@pytest.mark.parametrize("name", ["ssl_ca_certs", "ssl_certfile"])
@pytest.mark.parametrize("file", ["missing.pem", "empty.pem"])
def test_a_file_that_is_no_certificate_is_an_error_of_the_settings(
    kind: Any, name: str, file: str, tmp_path: Path
):
    """Not of the server: nothing would ever be shared, and answers would go on."""
    (tmp_path / "empty.pem").write_text("", "utf-8")
    query = urlencode({name: tmp_path / file, "ssl_password": WRONG})
    with pytest.raises(ConfigError, match="the TLS settings in the URL of Redis at host:1 ") as it:
        kind(f"rediss://ann:{WRONG}@host:1/0?{query}")
    assert f"{name}='{tmp_path / file}'" in str(it.value)
    assert_no_secret(shown(it.value))

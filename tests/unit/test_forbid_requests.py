"""No request leaves this machine while it is forbidden."""

from __future__ import annotations

import asyncio
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

import beluga_llm as llm
from beluga_llm._http.forbidden import is_loopback
from beluga_llm.testing import FakeServer, MockChatModel, RequestForbiddenError, forbid_requests

pytestmark = pytest.mark.row("TEST-30", "PAIN-14")
URL = "https://me:canary-pass@api.example.test/v1?token=canary-token"


def model_of(url: str = URL, **fields: object) -> llm.ChatModel:
    return llm.create("openai-compatible/m", base_url=url, api_key="canary-key", **fields)  # type: ignore[arg-type]  # fields of a config


@pytest.mark.usefixtures("forbid_requests")
async def test_the_fixture_forbids_requests():
    async with model_of() as model:
        with pytest.raises(RequestForbiddenError) as caught:
            await model.generate("hi")
        assert (caught.value.host, caught.value.path) == (
            "api.example.test",
            "/v1/chat/completions",
        )
        text = f"{caught.value} {caught.value!r}"
        assert "api.example.test/v1/chat/completions" in text
        assert "canary" not in text
        with pytest.raises(RequestForbiddenError):
            await model.stream("hi").response()


@pytest.mark.parametrize("value", ["1", "true", " 1 "])
async def test_the_variable_forbids_requests(value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BELUGA_FORBID_REQUESTS", value)
    async with model_of() as model:
        with pytest.raises(RequestForbiddenError):
            await model.generate("hi")


@pytest.mark.parametrize("value", ["", "0", "false"])
async def test_the_variable_is_off(value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BELUGA_FORBID_REQUESTS", value)
    async with model_of("http://192.0.2.1:1/v1", timeout=0.01) as model:
        with pytest.raises(llm.ProviderError):
            await model.generate("hi")


@pytest.mark.parametrize(
    "proxied", [{"proxy": "http://me:canary@proxy.test:3128"}, {"trust_env": True}]
)
async def test_a_proxy_elsewhere_is_forbidden(
    proxied: dict[str, object], monkeypatch: pytest.MonkeyPatch
):
    """It is asked for this machine, and yet would leave it."""
    monkeypatch.setenv("BELUGA_FORBID_REQUESTS", "1")
    monkeypatch.setenv("http_proxy", "http://me:canary@proxy.test:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with model_of("http://127.0.0.1:1/v1", **proxied) as model:
        with pytest.raises(RequestForbiddenError) as caught:
            await model.generate("hi")
    assert caught.value.host == "proxy.test"
    assert "canary" not in str(caught.value)


async def test_a_proxy_that_is_bypassed_does_not_count(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BELUGA_FORBID_REQUESTS", "1")
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with (
        FakeServer("Hello") as server,
        model_of(server.base_url("chat"), trust_env=True) as model,
    ):
        assert (await model.generate("hi")).text == "Hello"


async def test_a_redirect_elsewhere_is_not_followed():
    with forbid_requests():
        async with FakeServer() as server, model_of(server.base_url("chat")) as model:
            server.reply(b"", status=307, headers={"location": "https://api.example.test/"})
            with pytest.raises(llm.ProviderError, match="307"):
                await model.generate("hi")
            assert len(server.requests) == 1


async def test_nothing_retries_or_hides_it():
    resilient = llm.resilient(model_of(), [MockChatModel(fallback="no")])
    with forbid_requests():
        async with resilient:
            with pytest.raises(RequestForbiddenError):
                await resilient.generate("hi")


async def test_this_machine_is_allowed():
    with forbid_requests():
        async with FakeServer("Hello") as server, model_of(server.base_url("chat")) as model:
            assert (await model.generate("hi")).text == "Hello"


async def test_other_libraries_are_kept_here_too():
    with forbid_requests():
        async with aiohttp.ClientSession() as session:
            with pytest.raises(RequestForbiddenError, match=r"api\.example\.test"):
                await session.get("https://api.example.test/")
        with pytest.raises(RequestForbiddenError, match=r"192\.0\.2\.1"):
            socket.create_connection(("192.0.2.1", 1), timeout=0.01)
        with socket.socket() as one, pytest.raises(RequestForbiddenError):
            one.connect(("192.0.2.1", 1))
        with socket.socket(type=socket.SOCK_DGRAM) as one, pytest.raises(RequestForbiddenError):
            one.sendto(b"x", ("192.0.2.1", 53))
        with pytest.raises(RequestForbiddenError):
            socket.gethostbyname("api.example.test")
        with socket.socket(socket.AF_UNIX) as one, pytest.raises(FileNotFoundError):
            one.connect("/nowhere/at.all")
        assert socket.getaddrinfo(None, 80)
        assert socket.getaddrinfo("0.0.0.0", 80)
        assert socket.getaddrinfo(b"127.0.0.1", 80)


def test_blocks_may_be_nested(monkeypatch: pytest.MonkeyPatch):
    with forbid_requests():
        with forbid_requests():
            pass
        with pytest.raises(RequestForbiddenError):
            socket.getaddrinfo("api.example.test", 443)
    with socket.socket() as one, pytest.raises(OSError):
        one.settimeout(0.01)
        one.connect(("192.0.2.1", 1))


async def test_other_threads_are_kept_here_too():
    with forbid_requests(), pytest.raises(RequestForbiddenError):
        await asyncio.to_thread(socket.getaddrinfo, "api.example.test", 443)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("me.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::1%lo", True),
        ("10.0.0.1", False),
        ("::2", False),
        ("example.test", False),
        ("localhost.example.test", False),
        ("127.0.0.1.example.test", False),
        ("", False),
    ],
)
def test_what_this_machine_is(host: str, here: bool):
    assert is_loopback(host) == here


def test_the_error_can_be_sent_to_another_process():
    error = pickle.loads(pickle.dumps(RequestForbiddenError("h.test", "/v1")))
    assert (error.host, error.path) == ("h.test", "/v1")


def test_the_variable_works_for_a_whole_process(tmp_path: Path):
    code = (
        "import asyncio, beluga_llm as llm\n"
        "model = llm.create('openai-compatible/m', base_url='https://api.example.test/v1')\n"
        "asyncio.run(model.generate('hi'))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={"BELUGA_FORBID_REQUESTS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RequestForbiddenError: a request to api.example.test/v1/chat/completions" in done.stderr

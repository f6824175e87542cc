"""Credentials that are more than a header: kept, fetched once for all who wait, typed errors.

No test needs botocore or google-auth: stand-ins of a few lines are imported in their place. Where
botocore is installed, its own signatures are compared with ours.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import fakes

from beluga_llm import (
    AuthenticationError,
    ConfigError,
    ConnectionFailedError,
    ProviderConfig,
    ProviderUnavailableError,
    RateLimitError,
)
from beluga_llm._signers.aws import AwsSigner
from beluga_llm._signers.google import GoogleTokens
from beluga_llm._signers.installed import require
from beluga_llm._signers.sigv4 import AwsKeys, signed
from beluga_llm.plugin import (
    Token,
    TokenSigner,
    WireRequest,
    aws_signer,
    entra_signer,
    google_signer,
)
from beluga_llm.testing import VirtualClock

REQUEST = WireRequest(
    method="POST",
    url="https://api.example/v1/chat",
    headers={"authorization": "Bearer old", "Content-Type": "application/json"},
    body=b'{"a": 1}',
)


class Tokens:
    """A blocking source: gives what it is told, once it is let go."""

    def __init__(self, *answers: Token | BaseException) -> None:
        self.answers = list(answers)
        self.calls = 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self) -> Token:
        assert self.go.wait(10)
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


# --- tokens --------------------------------------------------------------------------------------


@pytest.mark.row("DIAL-06")
async def test_a_token_replaces_the_key_and_brings_its_headers():
    token = Token("t1", headers={"X-Project": "p"})
    sent = await TokenSigner(Tokens(token)).sign(REQUEST)
    assert sent.headers == {
        "Authorization": "Bearer t1",
        "Content-Type": "application/json",
        "X-Project": "p",
    }
    assert (sent.body, sent.url) == (REQUEST.body, REQUEST.url)
    assert "t1" not in repr(token)


@pytest.mark.row("DIAL-06")
async def test_a_token_is_kept_until_five_minutes_before_its_end():
    clock = VirtualClock(1000.0)
    tokens = Tokens(Token("a", 2000.0), Token("b", 9000.0))
    signer = TokenSigner(tokens, clock=clock.time)
    assert [(await signer.token()).value for _ in range(3)] == ["a", "a", "a"]
    await clock.advance(699.5)
    assert (await signer.token()).value == "a"
    await clock.advance(0.5)
    assert (await signer.token()).value == "b"
    assert tokens.calls == 2


async def test_a_token_without_an_end_is_kept():
    tokens = Tokens(Token("a"))
    signer = TokenSigner(tokens)
    assert [(await signer.token()).value for _ in range(3)] == ["a", "a", "a"]
    assert tokens.calls == 1


@pytest.mark.row("DIAL-06")
async def test_one_fetch_serves_all_tasks_of_all_loops():
    tokens = Tokens(Token("a"))
    tokens.go.clear()
    signer = TokenSigner(tokens)
    joined, values = threading.Event(), []

    async def wait_elsewhere() -> None:
        task = asyncio.create_task(signer.token())
        await asyncio.sleep(0)
        joined.set()
        values.append((await task).value)

    here = [asyncio.create_task(signer.token()) for _ in range(20)]
    await asyncio.sleep(0)
    elsewhere = threading.Thread(target=lambda: asyncio.run(wait_elsewhere()))
    elsewhere.start()
    assert await asyncio.to_thread(joined.wait, 10)
    tokens.go.set()
    values += [token.value for token in await asyncio.gather(*here)]
    await asyncio.to_thread(elsewhere.join, 10)
    assert values == ["a"] * 21
    assert tokens.calls == 1


@pytest.mark.row("DIAL-06", "ERRO-20")
async def test_a_cancelled_waiter_stops_nobody():
    tokens = Tokens(Token("a"))
    tokens.go.clear()
    signer = TokenSigner(tokens)
    first, second = (asyncio.create_task(signer.token()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    tokens.go.set()
    assert (await second).value == "a"
    assert (await signer.token()).value == "a"
    assert tokens.calls == 1


@pytest.mark.row("DIAL-06")
async def test_a_failed_refresh_leaves_the_token_that_still_lasts():
    clock = VirtualClock(0.0)
    tokens = Tokens(Token("a", 1000.0), RateLimitError("later"), Token("b", 9000.0))
    signer = TokenSigner(tokens, clock=clock.time)
    await signer.token()
    await clock.advance(800.0)
    assert (await signer.token()).value == "a"
    assert (await signer.token()).value == "b"


@pytest.mark.row("DIAL-06")
async def test_a_failed_refresh_fails_once_the_token_has_ended():
    clock = VirtualClock(0.0)
    tokens = Tokens(Token("a", 1000.0), RateLimitError("later"))
    signer = TokenSigner(tokens, clock=clock.time)
    await signer.token()
    await clock.advance(1000.0)
    with pytest.raises(RateLimitError, match="later"):
        await signer.token()


async def test_each_waiter_gets_an_error_of_its_own():
    cause = KeyError("why")
    error = RateLimitError("later", status=429)
    error.__cause__ = cause
    tokens = Tokens(error)
    tokens.go.clear()
    signer = TokenSigner(tokens)
    tasks = [asyncio.create_task(signer.token()) for _ in range(2)]
    await asyncio.sleep(0)
    tokens.go.set()
    one, two = await asyncio.gather(*tasks, return_exceptions=True)
    assert one is not two
    for found in (one, two):
        assert isinstance(found, RateLimitError)
        assert (found.message, found.status, found.__cause__) == ("later", 429, cause)


@pytest.mark.row("ERRO-13")
@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit("odd")])
async def test_what_a_source_raises_becomes_an_error_of_ours(error: BaseException):
    tokens = Tokens(error, Token("a"))
    signer = TokenSigner(tokens)
    with pytest.raises(AuthenticationError) as caught:
        await signer.token()
    assert caught.value.message == f"no token: {type(error).__name__}: odd"
    assert caught.value.__cause__ is error
    assert (await signer.token()).value == "a"


async def test_a_thread_that_cannot_start_blocks_nobody(monkeypatch: pytest.MonkeyPatch):
    signer = TokenSigner(Tokens(Token("a")))

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            await signer.token()
    assert (await signer.token()).value == "a"


def test_a_module_of_a_package_that_is_not_there_is_missing():
    with pytest.raises(ConfigError, match="Tokens need no_such_package.inner: pip install 'it'"):
        require("sys", "no_such_package.inner", what="Tokens", install="it", provider="")


# --- AWS Signature Version 4 ---------------------------------------------------------------------

KEYS = AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOON = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()


def test_the_example_of_the_iam_user_guide():
    request = WireRequest(
        method="GET",
        url="https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
    )
    sent = signed(request, KEYS, region="us-east-1", service="iam", now=NOON)
    assert sent.headers["X-Amz-Date"] == "20150830T123600Z"
    assert sent.headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_keys_are_not_shown_and_other_headers_stay():
    keys = KEYS._replace(token="session")
    assert "wJal" not in repr(keys)
    sent = signed(REQUEST, keys, region="eu-west-1", service="bedrock", now=NOON)
    assert sent.headers["X-Amz-Security-Token"] == "session"
    assert sent.headers["Content-Type"] == "application/json"
    assert "authorization" not in sent.headers  # the key's; there is only the signature
    assert "x-amz-date;x-amz-security-token" in sent.headers["Authorization"]


def authorization(request: WireRequest, **changes: Any) -> str:
    settings = {"region": "us-east-1", "service": "bedrock", "now": NOON, **changes}
    return signed(request, KEYS, **settings).headers["Authorization"]


def test_what_is_signed():
    """Whatever the service reads changes the signature; what a proxy may change does not."""
    base = authorization(make("https://h.example/m"))
    different = [
        make("https://h.example/n"),
        make("https://h.example/m?a=1"),
        make("https://i.example/m"),
        make("https://h.example/m", {"X-Amz-Target": "t"}),
        make("https://h.example/m", {"Content-Type": "text/plain"}),
        make("https://h.example/m", {"Host": "other.example"}),
        make("https://h.example/m", body=b"{ }"),
    ]
    assert base not in [authorization(request) for request in different]
    same = [
        make("https://h.example:443/m"),
        make("https://h.example//m"),
        make("https://h.example/x/.././m"),
        make("https://h.example/m", {"User-Agent": "u", "Accept": "a"}),
    ]
    assert {authorization(request) for request in same} == {base}
    assert authorization(make("https://h.example/m"), region="eu-west-1") != base
    assert authorization(make("https://h.example/m"), now=NOON + 1) != base


def make(
    url: str, headers: dict[str, str] | None = None, body: bytes | None = b"{}"
) -> WireRequest:
    return WireRequest(method="POST", url=url, headers=headers or {}, body=body)


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.c-v1%3A0/invoke", b"{}"),
        (
            "https://h.example/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprofile%2Fx/converse",
            "{'ä': 1}".encode(),
        ),
        ("http://localhost:9000/a~b/c_d/%20/?z=1&a=%2F&a=%20&empty", None),
        ("https://h.example", b""),
        ("https://h.example:8443/a//b/./c/../d/", b"x" * 70_000),
    ],
)
@pytest.mark.row("PROV-07")
def test_signatures_are_those_of_botocore(url: str, body: bytes | None, token: str | None):
    auth = pytest.importorskip("botocore.auth", reason="botocore is not installed")
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    keys = KEYS._replace(token=token)
    headers = {"Content-Type": "application/json", "X-Amz-Meta": "  a   b ", "X-Amzn-Other": "o"}
    ours = signed(
        WireRequest(method="POST", url=url, headers=headers, body=body),
        keys, region="us-east-1", service="bedrock", now=NOON,
    ).headers  # fmt: skip
    theirs = AWSRequest(
        method="POST",
        url=url,
        data=body,
        headers={k: v for k, v in headers.items() if k != "X-Amzn-Other"},
    )
    theirs.context["timestamp"] = "20150830T123600Z"
    signer = auth.SigV4Auth(Credentials(*keys), "bedrock", "us-east-1")
    signer._modify_request_before_signing(theirs)
    text = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    signer._inject_signature_to_request(theirs, signer.signature(text, theirs))
    assert ours["Authorization"] == theirs.headers["Authorization"]
    assert ours.get("X-Amz-Security-Token") == theirs.headers.get("X-Amz-Security-Token")


# --- AWS credentials -----------------------------------------------------------------------------


class Credentials:
    """What botocore's chain gives; with an end, it is like its RefreshableCredentials."""

    def __init__(self, *keys: tuple[str, str, str | None] | Exception) -> None:
        self.keys = list(keys)
        self.seconds_left = 900

    def get_frozen_credentials(self) -> Any:
        given = self.keys.pop(0) if len(self.keys) > 1 else self.keys[0]
        if isinstance(given, Exception):
            raise given
        self.seconds_left = 3600
        return SimpleNamespace(access_key=given[0], secret_key=given[1], token=given[2])


class EndingCredentials(Credentials):
    def refresh_needed(self, refresh_in: int | None = None) -> bool:
        return self.seconds_left < (refresh_in or 0)


@pytest.fixture
def botocore(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Tells the stand-in what it finds; gives its session module."""
    with fakes.installed(tmp_path, fakes.BOTOCORE):

        def find(*answers: Any) -> Any:
            module = import_module("botocore.session")
            module.found[:] = answers
            return module

        yield find


def config(**options: Any) -> ProviderConfig:
    return ProviderConfig(provider="bedrock", model="m", options=options)


async def access_key(signer: Any) -> str:
    return (await signer.sign(REQUEST)).headers["Authorization"].partition("/")[0].partition("=")[2]


@pytest.mark.row("DIAL-06", "PROV-07", "PROV-24")
async def test_the_chain_of_botocore_signs(botocore: Callable[..., Any]):
    session = botocore(Credentials(("AKID1", "s", None)))
    signer = aws_signer(config(region="eu-central-1", profile="work"), service="bedrock")
    sent = await signer.sign(REQUEST)
    assert "Credential=AKID1/" in sent.headers["Authorization"]
    assert "/eu-central-1/bedrock/aws4_request" in sent.headers["Authorization"]
    assert "X-Amz-Security-Token" not in sent.headers
    await signer.sign(REQUEST)
    assert session.profiles == ["work"]


@pytest.mark.row("PROV-07")
@pytest.mark.parametrize("options", [{}, {"region": " ", "profile": " "}])
async def test_the_usual_region_and_profile(
    botocore: Callable[..., Any], options: dict[str, str]
) -> None:
    session = botocore(Credentials(("AKID1", "s", "t")))
    sent = await aws_signer(config(**options), service="other").sign(REQUEST)
    assert "/us-east-1/other/aws4_request" in sent.headers["Authorization"]
    assert sent.headers["X-Amz-Security-Token"] == "t"
    assert session.profiles == [None]


@pytest.mark.row("PROV-24", "CONF-09")
def test_nothing_is_imported_before_the_first_request(botocore: Callable[..., Any]):
    aws_signer(config())
    assert "botocore.session" not in sys.modules


@pytest.mark.row("DIAL-06")
async def test_aws_credentials_are_fetched_anew_before_they_end(botocore: Callable[..., Any]):
    found = EndingCredentials(("A", "s", "t"), ("B", "s", "t"))
    session = botocore(found)
    signer = aws_signer(config())
    assert await access_key(signer) == "A"
    found.seconds_left = 300
    assert await access_key(signer) == "A"
    found.seconds_left = 299
    assert await access_key(signer) == "B"
    assert len(session.profiles) == 1  # refreshed by themselves, not found anew


@pytest.mark.row("DIAL-06")
async def test_aws_credentials_that_cannot_be_refreshed_serve_to_their_end(
    botocore: Callable[..., Any],
):
    found = EndingCredentials(("A", "s", "t"), ValueError("down"))
    botocore(found)
    signer = aws_signer(config())
    await access_key(signer)
    found.seconds_left = 10
    assert await access_key(signer) == "A"
    found.seconds_left = -1
    with pytest.raises(AuthenticationError, match="no AWS credentials: ValueError: down"):
        await access_key(signer)


@pytest.mark.row("ERRO-13", "DIAL-06")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ConnectionError", ConnectionFailedError),
        ("HTTPClientError", ConnectionFailedError),
        ("MetadataRetrievalError", ConnectionFailedError),
        ("UnauthorizedSSOTokenError", AuthenticationError),
    ],
)
async def test_no_exception_of_botocore_escapes(
    botocore: Callable[..., Any], name: str, kind: type[Exception]
):
    error = getattr(import_module("botocore.exceptions"), name)("run aws sso login")
    botocore(error, Credentials(("AKID1", "s", None)))
    signer = aws_signer(config())
    with pytest.raises(kind) as caught:
        await signer.sign(REQUEST)
    assert str(caught.value) == (
        f"[bedrock] {caught.value.code}: no AWS credentials: {name}: run aws sso login"
    )
    assert caught.value.__cause__ is error
    assert await access_key(signer) == "AKID1"  # the next request tries again


@pytest.mark.row("ERRO-17")
async def test_no_aws_credentials_at_all(botocore: Callable[..., Any]):
    botocore(None)
    with pytest.raises(AuthenticationError) as caught:
        await aws_signer(config()).sign(REQUEST)
    assert caught.value.message == (
        "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "AWS_PROFILE, or run `aws configure` or `aws sso login`"
    )
    assert caught.value.provider == "bedrock"


async def test_a_broken_botocore_is_told(botocore: Callable[..., Any], tmp_path: Path):
    (tmp_path / "botocore/session.py").write_text("import missing_part_of_it")
    (tmp_path / "botocore/exceptions.py").write_text("import missing_part_of_it")
    with pytest.raises(AuthenticationError, match="missing_part_of_it"):
        await aws_signer(config()).sign(REQUEST)


@pytest.mark.row("DIAL-06")
@pytest.mark.parametrize("state", ["absent", "blocked"])
def test_botocore_has_to_be_installed(monkeypatch: pytest.MonkeyPatch, state: str):
    if state == "blocked":
        monkeypatch.setitem(sys.modules, "botocore", None)
    else:
        monkeypatch.setattr("beluga_llm._signers.installed.find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        aws_signer(config())
    assert caught.value.message == "AWS credentials need botocore: pip install 'botocore'"
    assert (caught.value.op, caught.value.provider) == ("bedrock.new", "bedrock")


def test_options_of_another_type_are_told(botocore: Callable[..., Any]):
    with pytest.raises(ConfigError, match="'region' must be str"):
        aws_signer(config(region=1))
    with pytest.raises(ConfigError, match="'profile' must be str"):
        aws_signer(config(profile=1))


@pytest.mark.row("PROV-07")
async def test_keys_in_variables_are_found_by_botocore_itself(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("botocore.session", reason="botocore is not installed")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDREAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    sent = await aws_signer(config()).sign(REQUEST)
    assert "Credential=AKIDREAL/" in sent.headers["Authorization"]
    assert sent.headers["X-Amz-Security-Token"] == "token"


@pytest.mark.row("ERRO-13")
async def test_a_profile_that_botocore_does_not_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    pytest.importorskip("botocore.session", reason="botocore is not installed")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with pytest.raises(AuthenticationError, match=r"ProfileNotFound: .*\(nobody\)"):
        await aws_signer(config(profile="nobody")).sign(REQUEST)


async def test_keys_of_botocore_that_end_are_refreshed_by_it():
    credentials = pytest.importorskip("botocore.credentials", reason="botocore is not installed")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    fetched: list[int] = []

    def fetch() -> dict[str, str]:
        fetched.append(1)
        ends = (now + timedelta(hours=1)).isoformat()
        return {
            "access_key": f"K{len(fetched)}", "secret_key": "s", "token": "t", "expiry_time": ends,
        }  # fmt: skip

    source = credentials.RefreshableCredentials.create_from_metadata(fetch(), fetch, "test")
    source._time_fetcher = lambda: now
    signer = AwsSigner(region="r", profile=None, service="s", provider="bedrock", clock=lambda: 0.0)
    signer._source = source
    assert await access_key(signer) == "K1"
    now += timedelta(minutes=55)
    assert await access_key(signer) == "K1"
    now += timedelta(seconds=1)
    assert await access_key(signer) == "K2"


# --- Google access tokens ------------------------------------------------------------------------


class GoogleCredentials:
    """What google-auth gives: a refresh sets the token."""

    def __init__(self, *answers: Any, quota_project_id: str | None = None) -> None:
        self.answers = list(answers)
        self.quota_project_id = quota_project_id
        self.token: str | None = None
        self.expiry: datetime | None = None

    def refresh(self, request: Any) -> None:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        self.token, self.expiry = answer


@pytest.fixture
def google_auth(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Tells the stand-in what it finds; gives the module."""
    with fakes.installed(tmp_path, fakes.GOOGLE_AUTH):

        def find(answer: Any) -> Any:
            module = import_module("google.auth")
            module.found[:] = [answer]
            return module

        yield find


VERTEX = ProviderConfig(provider="vertex", model="m")


@pytest.mark.row("DIAL-06", "PROV-32", "PROV-24")
async def test_application_default_credentials_give_the_token(google_auth: Callable[..., Any]):
    module = google_auth(GoogleCredentials(("ya29.t", None)))
    sent = await google_signer(VERTEX).sign(REQUEST)
    assert sent.headers == {
        "Authorization": "Bearer ya29.t",
        "Content-Type": "application/json",
    }
    scope = "https://www.googleapis.com/auth/cloud-platform"
    assert module.asked == [((scope,), "Request")]


async def test_the_quota_project_goes_along(google_auth: Callable[..., Any]):
    google_auth(GoogleCredentials(("t", None), quota_project_id="billed"))
    sent = await google_signer(VERTEX).sign(REQUEST)
    assert sent.headers["x-goog-user-project"] == "billed"


@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=2))])
@pytest.mark.row("DIAL-06")
def test_the_end_of_a_token_is_in_utc(google_auth: Callable[..., Any], zone: Any):
    ends = datetime(2026, 1, 1, 12, tzinfo=UTC)
    given = ends.replace(tzinfo=None) if zone is None else ends.astimezone(zone)
    module = google_auth(GoogleCredentials(("a", given), ("b", None)))
    tokens = GoogleTokens("vertex")
    assert tokens.fetch() == Token("a", ends.timestamp())
    assert tokens.fetch() == Token("b")
    assert len(module.asked) == 1  # the credentials are found once


@pytest.mark.row("ERRO-13", "DIAL-06")
@pytest.mark.parametrize(
    ("name", "retryable", "kind"),
    [
        ("TransportError", False, ConnectionFailedError),
        ("TimeoutError", False, ConnectionFailedError),
        ("RefreshError", False, AuthenticationError),
        ("RefreshError", True, ProviderUnavailableError),
    ],
)
async def test_no_exception_of_google_auth_escapes(
    google_auth: Callable[..., Any], name: str, retryable: bool, kind: type[Exception]
):
    error = getattr(import_module("google.auth.exceptions"), name)("odd", retryable=retryable)
    google_auth(GoogleCredentials(error, ("t", None)))
    signer = google_signer(VERTEX)
    with pytest.raises(kind) as caught:
        await signer.sign(REQUEST)
    assert type(caught.value) is kind
    assert caught.value.message == f"no Google access token: {name}: odd"
    assert caught.value.provider == "vertex"
    assert caught.value.__cause__ is error
    assert (await signer.sign(REQUEST)).headers["Authorization"] == "Bearer t"


async def test_a_metadata_service_that_is_not_reached(google_auth: Callable[..., Any]):
    errors = import_module("google.auth.exceptions")
    error = errors.RefreshError("no answer")
    error.__cause__ = errors.TransportError("no route")
    google_auth(GoogleCredentials(error))
    with pytest.raises(ConnectionFailedError, match="no answer"):
        await google_signer(VERTEX).sign(REQUEST)


@pytest.mark.row("ERRO-17")
async def test_no_google_credentials_at_all(google_auth: Callable[..., Any]):
    google_auth(import_module("google.auth.exceptions").DefaultCredentialsError("none here"))
    with pytest.raises(AuthenticationError) as caught:
        await google_signer(VERTEX).sign(REQUEST)
    assert caught.value.message == (
        "no Google credentials found: run `gcloud auth application-default login`, or set "
        "GOOGLE_APPLICATION_CREDENTIALS to a credentials file (none here)"
    )


@pytest.mark.row("DIAL-06")
def test_google_auth_has_to_be_installed(monkeypatch: pytest.MonkeyPatch):
    for name in ("google", "google.auth", "requests"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError) as caught:
        google_signer(VERTEX)
    assert caught.value.message == (
        "Google credentials need google.auth and requests: pip install 'google-auth[requests]'"
    )


@pytest.mark.row("PROV-32")
async def test_google_auth_itself_reads_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    pytest.importorskip("google.auth.transport.requests", reason="google-auth is not installed")
    path = tmp_path / "broken.json"
    path.write_text('{"type": "odd"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(AuthenticationError, match="no Google credentials found: run `gcloud"):
        await google_signer(VERTEX).sign(REQUEST)


# --- Entra tokens --------------------------------------------------------------------------------

AZURE = ProviderConfig(provider="azure", model="m")
SCOPE = "https://ai.azure.com/.default"


@pytest.fixture
def azure_identity(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Tells the stand-in what it answers; gives the module."""
    with fakes.installed(tmp_path, fakes.AZURE_IDENTITY):

        def find(*answers: Any) -> Any:
            module = import_module("azure.identity")
            module.found[:] = answers
            return module

        yield find


@pytest.mark.row("DIAL-06", "PROV-04", "PROV-24")
async def test_the_default_chain_of_azure_gives_the_token(azure_identity: Callable[..., Any]):
    now = time.time()
    module = azure_identity(
        SimpleNamespace(token="a", expires_on=int(now + 200)),
        SimpleNamespace(token="b", expires_on=int(now + 4000)),
    )
    signer = entra_signer(AZURE, scope=SCOPE)
    values = [(await signer.sign(REQUEST)).headers["Authorization"] for _ in range(3)]
    assert values == ["Bearer a", "Bearer b", "Bearer b"]
    assert module.asked == [(SCOPE,), (SCOPE,)]
    assert len(module.made) == 1


@pytest.mark.row("ERRO-13", "DIAL-06")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ServiceRequestError", ConnectionFailedError),
        ("ServiceResponseError", ConnectionFailedError),
        ("ClientAuthenticationError", AuthenticationError),
    ],
)
async def test_no_exception_of_azure_identity_escapes(
    azure_identity: Callable[..., Any], name: str, kind: type[Exception]
):
    error = getattr(import_module("azure.core.exceptions"), name)("run az login")
    azure_identity(error)
    with pytest.raises(kind) as caught:
        await entra_signer(AZURE, scope=SCOPE).sign(REQUEST)
    assert str(caught.value) == (
        f"[azure] {caught.value.code}: no Entra token: {name}: run az login"
    )
    assert caught.value.__cause__ is error


@pytest.mark.row("DIAL-06")
def test_azure_identity_has_to_be_installed(monkeypatch: pytest.MonkeyPatch):
    for name in ("azure", "azure.identity"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError) as caught:
        entra_signer(AZURE, scope=SCOPE)
    assert caught.value.message == (
        "Entra credentials need azure.identity: pip install 'azure-identity'"
    )

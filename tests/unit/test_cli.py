"""The command line without a model: lists, the doctor, options, files, choices and failures."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import beluga_llm as llm
from beluga_llm._compatible import compatible_dialect
from beluga_llm._provider import ProviderSpec
from beluga_llm.cli import _choice, _local
from beluga_llm.cli._app import app
from beluga_llm.cli._attach import read_attachment
from beluga_llm.cli._choice import Choice, choose
from beluga_llm.cli._failures import describe
from beluga_llm.cli._options import read_options
from beluga_llm.cli._session import Shown, usage_line
from beluga_llm.cli._shared import show_table
from beluga_llm.cli._specs import installed_specs
from beluga_llm.testing import FakeServer

Run = Callable[..., Result]


def run(*args: str, **kwargs: Any) -> Result:
    return CliRunner().invoke(app, args, prog_name="beluga-llm", **kwargs)


def spec(name: str, **fields: Any) -> ProviderSpec:
    fields = {"base_url": "https://api.example.com/v1", "options": {"region": str}, **fields}
    return ProviderSpec(name=name, dialect=compatible_dialect, **fields)


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry without providers, and an environment without variables of ours."""
    monkeypatch.delenv("BELUGA_MODEL", raising=False)
    with llm.registry.isolated():
        for name in llm.list_providers():
            llm.unregister(name)
        yield


# --- providers -------------------------------------------------------------------------------


@pytest.mark.row("CLI-01")
def test_providers_are_listed_as_plain_columns_in_a_pipe(nothing_installed: None):
    llm.register("zeta", spec("zeta"))
    llm.register("acme", spec("acme"))
    done = run("providers")
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "name  distribution  version  status",
        "acme  -             -        ok",
        "zeta  -             -        ok",
    ]


@pytest.mark.row("CLI-01")
def test_providers_as_json():
    listed = json.loads(run("providers", "--json").output)
    assert [row["name"] for row in listed] == llm.list_providers()
    row = next(row for row in listed if row["name"] == "openai-compatible")
    assert sorted(row) == ["distribution", "name", "status", "version"]
    assert (row["distribution"], row["version"]) == ("beluga-llm", llm.__version__)


@pytest.mark.row("CLI-01")
def test_listing_imports_no_plugin():
    program = (
        "import sys\nfrom beluga_llm.cli._app import app\n"
        "app(['providers'], standalone_mode=False)\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'beluga_llm_openai',"
        " 'beluga_llm_anthropic', 'aiohttp'}) , 'beluga_llm.testing.mock' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[] False"


# --- doctor ----------------------------------------------------------------------------------


@pytest.mark.row("CLI-02")
def test_the_doctor_tells_variables_but_not_their_values(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ACME_API_KEY", "canary-4711")
    monkeypatch.delenv("ACME_BASE_URL", raising=False)
    llm.register("acme", spec("acme", env=("ACME_API_KEY",), env_headers={"ACME_ORG": "X-Org"}))
    done = run("doctor")
    assert done.exit_code == 0
    assert "ACME_API_KEY set, ACME_BASE_URL unset, ACME_ORG unset" in done.output
    assert "plugin API 1" in done.output
    assert "all well" in done.output
    assert "canary" not in done.output


@pytest.mark.row("CLI-02", "REGI-17")
def test_the_doctor_tells_what_is_broken_and_fails(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch
):
    def broken(name: str) -> Any:
        raise llm.PluginLoadError("provider 'acme' (acme-llm 1.2) failed to load: no module 'foo'")

    llm.register("acme", spec("acme"))
    monkeypatch.setattr(llm.registry, "load", broken)
    for args in ((), ("--json",)):
        done = run("doctor", *args)
        assert done.exit_code == 1
        assert "provider 'acme' (acme-llm 1.2) failed to load: no module 'foo'" in done.output
    report = json.loads(run("doctor", "--json").output)
    assert report["ok"] is False
    assert report["plugin_api"] == 1
    assert report["providers"][0]["variables"] == {}


@pytest.mark.row("CLI-02")
def test_each_line_of_a_reason_is_indented(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch
):
    def broken(name: str) -> Any:
        raise llm.PluginLoadError("failed to load: RuntimeError: one\ntwo")

    llm.register("acme", spec("acme"))
    monkeypatch.setattr(llm.registry, "load", broken)
    shown = run("doctor").output.splitlines()
    assert shown[-2:] == ["  failed to load: RuntimeError: one", "  two"]


# --- the choice of a model -------------------------------------------------------------------


def chosen(asked: str | None = None) -> Choice:
    return asyncio.run(choose(asked))


@pytest.mark.row("CLI-04")
def test_the_model_asked_for_needs_no_reason(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BELUGA_MODEL", "acme/other")
    assert chosen("acme/one") == Choice("acme/one")


@pytest.mark.row("CLI-04")
def test_the_variable_comes_next(nothing_installed: None, monkeypatch: pytest.MonkeyPatch):
    llm.register("openai", spec("openai", env=("ACME_KEY",), default_model="m"))
    monkeypatch.setenv("ACME_KEY", "k")
    monkeypatch.setenv("BELUGA_MODEL", " acme/one ")
    assert chosen() == Choice("acme/one", "BELUGA_MODEL is set")


@pytest.mark.row("CLI-04")
def test_then_the_first_provider_of_the_table_with_a_key_and_a_model(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch
):
    llm.register("acme", spec("acme", env=("SHARED_KEY",), default_model="not in the table"))
    llm.register("openai", spec("openai", env=("UNSET_KEY",), default_model="no key"))
    llm.register("azure", spec("azure", env=("SHARED_KEY",)))  # no model to take
    llm.register("groq", spec("groq", env=("SHARED_KEY",), default_model="later"))
    llm.register("mistral", spec("mistral", env=("NO_KEY", "SHARED_KEY"), default_model="large"))
    monkeypatch.delenv("UNSET_KEY", raising=False)
    monkeypatch.setenv("NO_KEY", "  ")
    monkeypatch.setenv("SHARED_KEY", "k")
    assert chosen() == Choice("mistral/large", "SHARED_KEY is set")
    llm.unregister("mistral")
    llm.unregister("groq")
    assert chosen() == Choice("acme/not in the table", "SHARED_KEY is set")
    llm.register("anthropic", spec("anthropic", env=("SHARED_KEY",), chat_example="shown"))
    assert chosen() == Choice("anthropic/shown", "SHARED_KEY is set")


@pytest.mark.row("CLI-04")
def test_broken_plugins_are_passed_over(nothing_installed: None, monkeypatch: pytest.MonkeyPatch):
    load = llm.registry.load

    def broken(name: str) -> Any:
        if name == "openai":
            raise llm.PluginLoadError("cannot be imported")
        return load(name)

    llm.register("openai", spec("openai", env=("SHARED_KEY",), default_model="m"))
    llm.register("acme", spec("acme", env=("SHARED_KEY",), default_model="m"))
    monkeypatch.setenv("SHARED_KEY", "k")
    monkeypatch.setattr(llm.registry, "load", broken)
    assert chosen().model == "acme/m"


@pytest.mark.row("CLI-04")
def test_at_last_the_demo(nothing_installed: None):
    llm.register("acme", lambda config: None)
    model, why = chosen()
    assert model == "demo"
    assert why == "no key of an installed provider is set and no local server answers"


def local(name: str, url: str, **fields: Any) -> None:
    fields = {"key_required": False, "local": True, "base_url": url, **fields}
    llm.register(name, spec(name, **fields))


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("vllm", "/v1/models", {"object": "list", "data": [{"id": "tiny"}, {"id": "other"}]}),
        ("ollama", "/api/tags", {"models": [{"name": "tiny"}]}),
    ],
)
def test_a_server_on_this_machine_that_names_a_model_is_taken(
    nothing_installed: None, name: str, path: str, body: Any
):
    with FakeServer() as server:
        server.reply(json.dumps(body).encode(), path=path)
        url = server.url if name == "ollama" else server.base_url()
        local(name, url)
        assert chosen() == Choice(f"{name}/tiny", f"it answers at {url}")
        assert [seen.path for seen in server.requests] == [path]


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize(
    "reply",
    [
        {"answer": b"<html>some other program</html>"},
        {"answer": b'{"data": []}'},
        {"answer": b'{"data": [{"id": 7}, "x"]}'},
        {"answer": b'{"data": {"id": "m"}}'},
        {"answer": b'["tiny"]'},
        {"answer": b""},
        {"answer": b'{"data": [{"id": "m"}]}', "status": 404},
        {"silent": True},
    ],
    ids=str,
)
def test_what_is_no_model_server_is_passed_over(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch, reply: dict[str, Any]
):
    monkeypatch.setattr(_local, "PATIENCE", 0.2)
    with FakeServer() as server:
        server.reply(path="/models", **reply)
        local("vllm", server.base_url())
        assert chosen().model == "demo"


@pytest.mark.row("CLI-04")
def test_nothing_but_this_machine_is_asked(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch
):
    def no_request(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a request was made")

    monkeypatch.setattr(_local, "_get", no_request)
    local("vllm", "http://192.0.2.7:8000/v1")
    local("lmstudio", "http://models.example.com/v1")
    monkeypatch.setenv("LLAMACPP_BASE_URL", "ftp://nowhere")
    local("llamacpp", "http://localhost:8080/v1")
    llm.register("openai", spec("openai", base_url="http://localhost:1/v1", key_required=False))
    assert chosen().model == "demo"


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.3.2.1", "[::1]"])
def test_this_machine_has_many_names(host: str):
    assert _local._is_loopback(f"http://{host}:8000/v1")


@pytest.mark.row("CLI-04")
def test_a_local_server_gets_its_key(nothing_installed: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VLLM_API_KEY", "local-key")
    with FakeServer(key="local-key") as server:
        local("vllm", server.base_url(), env=("VLLM_API_KEY",))
        assert asyncio.run(_choice._on_this_machine(tuple(_choice.installed_specs()))) == Choice(
            "vllm/fake-model", f"it answers at {server.base_url()}"
        )


# --- options ---------------------------------------------------------------------------------


@pytest.mark.row("CLI-04")
def test_options_are_json_or_text_and_go_where_they_belong():
    pairs = [
        "temperature=0.2",
        "stop=END",
        'stop=["a", "b"]',
        "user=42",
        "max-tokens=7",
        "region=1",
        "base_url=http://localhost:1/v1",
        "trust_env=true",
        "extra_body={}",
    ]
    options = read_options(pairs, spec("acme"))
    assert options.call == {
        "temperature": 0.2,
        "stop": ["a", "b"],
        "user": "42",
        "max_tokens": 7,
        "extra_body": {},
    }
    assert options.config == {
        "region": "1",
        "base_url": "http://localhost:1/v1",
        "trust_env": True,
    }


@pytest.mark.row("CLI-04")
def test_response_formats_are_words_or_schemas():
    read = read_options(['response_format={"type": "object"}'], None).call["response_format"]
    assert read == llm.ResponseFormat.json_schema({"type": "object"})
    read = read_options(["response_format=json"], None).call["response_format"]
    assert read == llm.ResponseFormat.json()


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("temprature=1", "unknown option 'temprature'; did you mean 'temperature'?"),
        ("regoin=1", "did you mean 'region'?"),
        ("zzzz=1", "unknown option 'zzzz'; acme has of its own: region"),
        ("temperature", "'temperature' is not of the form name=value"),
        ("=1", "is not of the form name=value"),
        ("session=1", "unknown option 'session'"),
        ("response_format=7", "response_format takes text, json, or a JSON Schema"),
    ],
)
def test_wrong_options_are_usage_errors(pair: str, says: str):
    with pytest.raises(click.BadParameter, match=re.escape(says)):
        read_options([pair], spec("acme"))


# --- attachments -----------------------------------------------------------------------------


@pytest.mark.row("CLI-04")
@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("photo.PNG", b"\x89PNG", llm.ImagePart),
        ("paper.pdf", b"%PDF", llm.FilePart),
        ("voice.mp3", b"\xff\xfb", llm.AudioPart),
        ("notes.md", b"# Hi", llm.TextPart),
        ("Makefile", b"all:", llm.TextPart),
    ],
)
def test_attachments_are_told_by_their_suffix(
    tmp_path: Path, name: str, data: bytes, kind: type[Any]
):
    path = tmp_path / name
    path.write_bytes(data)
    part = read_attachment(path)
    assert isinstance(part, kind)
    if isinstance(part, llm.TextPart):
        assert part.text == f"{name}:\n\n{data.decode()}"
    else:
        assert part.data == data


@pytest.mark.row("CLI-04")
def test_attachments_that_cannot_be_are_usage_errors(tmp_path: Path):
    (tmp_path / "x.bin").write_bytes(b"\x00\xff")
    (tmp_path / "zero").write_bytes(b"\x00")
    for name, says in {
        "x.bin": "no image, PDF, audio or text file (suffix .bin)",
        "zero": "(suffix missing)",
        "gone.txt": "No such file",
    }.items():
        with pytest.raises(click.BadParameter, match=re.escape(says)):
            read_attachment(tmp_path / name)


# --- failures --------------------------------------------------------------------------------


COMPATIBLE = ["chat", "-m", "openai-compatible/x", "--option", "base_url=http://localhost:1/v1"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["chat", "-m", "opnai/x", "hi"], "unknown provider 'opnai'"),
        (["chat", "-m", "openai-compatible/", "hi"], "as in -m openai-compatible/MODEL"),
        (["chat", "-m", "openai-compatible", "hi"], "as in -m openai-compatible/MODEL"),
        (["chat", "-m", "openai-compatible/x", "hi"], "base_url is required"),
        ([*COMPATIBLE, "--option", "temprature=1", "hi"], "did you mean 'temperature'"),
        ([*COMPATIBLE, "--option", "temperature=9", "hi"], "between 0.0 and 2.0"),
        (["chat", "-m", "openai-compatible/x", "hi"], "pass --option base_url="),
        (["chat", "--nope"], "No such option"),
        (["chat", "-m"], "requires an argument.\nsee beluga-llm chat --help"),
        (["--nope"], "No such option '--nope'.\nsee beluga-llm --help"),
        (["chat", "-m", "mock", "--attach", "/does/not/exist.png", "hi"], "No such file"),
        (["nope"], "No such command 'nope'"),
    ],
)
@pytest.mark.row("CLI-04")
def test_wrong_usage_exits_with_2_and_two_lines(args: list[str], says: str):
    done = run(*args)
    assert done.exit_code == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.output


def test_an_empty_prompt_is_a_usage_error():
    done = run("chat", "-m", "mock", input="  \n")
    assert done.exit_code == 2
    assert "there is no prompt" in done.stderr


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (llm.AuthenticationError("no"), "check the key"),
        (llm.RateLimitError("slow", retry_after=2.5), "wait 2.5 s"),
        (llm.RateLimitError("slow"), "wait a little"),
        (llm.ConnectionFailedError("refused"), "check the network"),
        (llm.StreamTimeoutError("stalled"), "--option timeout=SECONDS"),
        (llm.DuplicateProviderError("two"), "beluga-llm doctor"),
        (RuntimeError("boom"), "this is a bug"),
    ],
)
def test_failures_say_what_to_do(error: Exception, advice: str):
    failure = describe(error)
    assert failure.exit_code == 1
    assert advice in failure.lines[-1]
    assert len(failure.lines) == 2


def test_a_failure_is_told_on_one_line():
    assert describe(llm.ProviderError("a\nb\n c", provider="x", status=500)).lines == (
        "error: [x] provider_error: a b c (status 500)",
    )


def test_a_connection_that_failed_for_an_odd_reason_is_told():
    error = llm.ConnectionFailedError("connection failed", provider="x")
    error.__cause__ = cause = OSError("Odd reason")
    vars(cause).update(host="h", port=1, os_error=cause)
    (text, *_) = describe(error).lines
    assert text == "error: [x] cannot connect to h:1: odd reason"


def test_a_help_text_that_nobody_reads_ends_quietly():
    process = subprocess.Popen(
        [sys.executable, "-m", "beluga_llm", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(20) == 1
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_providers_that_do_not_load_are_passed_over(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch
):
    def broken(name: str) -> Any:
        raise llm.PluginLoadError("no module 'foo'")

    llm.register("acme", spec("acme"))
    monkeypatch.setattr(llm.registry, "load", broken)
    assert list(installed_specs()) == []


@pytest.mark.parametrize("args", [("--debug", "doctor"), ("doctor", "--debug")])
def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]):
    def broken(load: bool = False) -> Any:
        raise RuntimeError("boom")

    monkeypatch.setattr(llm.registry, "errors", broken)
    done = run("doctor")
    assert (done.exit_code, done.exception.__class__) == (1, SystemExit)
    assert done.stderr.splitlines()[0] == "error: RuntimeError: boom"
    assert isinstance(run(*args).exception, RuntimeError)


def test_without_click_it_says_how_to_install_it():
    program = (
        "import sys; sys.modules['click'] = None\nfrom beluga_llm.cli import main\nsys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "the command line needs click: pip install 'beluga-llm[cli]'\n"


@pytest.mark.row("CLI-04")
def test_ctrl_c_before_there_is_a_command_shows_no_traceback():
    program = (
        "import sys\n"
        "from beluga_llm.cli import main\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'beluga_llm.cli._app':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("command", ["chat", "demo", "doctor", "providers"])
def test_help_has_examples(command: str):
    text = run(command, "--help").output
    assert "Example" in text
    assert f"  beluga-llm {command}" in text


# --- what is shown ---------------------------------------------------------------------------


def test_only_the_first_answer_is_shown_and_a_reset_begins_anew(
    capsys: pytest.CaptureFixture[str],
):
    shown = Shown()
    for chunk in (
        llm.StreamChunk(delta="one"),
        llm.StreamChunk(delta="other", choice=1),
        llm.StreamChunk(reset=True),
        llm.StreamChunk(reasoning_delta="not in a pipe"),
        llm.StreamChunk(refusal_delta="no"),
    ):
        shown.add(chunk)
    shown.end()
    assert capsys.readouterr().out == "one\nno\n"


def test_usage_that_was_not_reported_is_said_to_be_so():
    assert usage_line(llm.Usage()) == "not reported"


@pytest.mark.row("CLI-02")
def test_tables_are_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    with CliRunner().isolation() as (out, *_):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        show_table(("name", "status"), [("[red]acme", "ok")])
        text = out.getvalue().decode()
    assert "\x1b[1m" in text
    assert "[red]acme" in text

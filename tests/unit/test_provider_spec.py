"""What a ProviderSpec fills in and checks; nothing here needs a network or a loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beluga_llm import (
    AuthenticationError,
    Capabilities,
    ConfigError,
    GenerateOptions,
    ProviderConfig,
    Registry,
    Secret,
    Timeouts,
    load_config,
)
from beluga_llm.plugin import (
    Decoder,
    Dialect,
    HttpRequest,
    ProviderModel,
    ProviderSpec,
    check_config,
)


class AcmeDialect(Dialect):
    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config.provider)
        self.config = config

    def encode(self, request: Any) -> HttpRequest:
        return HttpRequest(path="/chat")

    def decoder(self, request: Any) -> Decoder:
        raise NotImplementedError

    def error(self, status: int, headers: Mapping[str, str], body: bytes, *, now: float) -> Any:
        raise NotImplementedError


ACME = ProviderSpec(
    name="acme",
    dialect=AcmeDialect,
    env=("ACME_API_KEY", "ACME_TOKEN"),
    base_url="https://api.acme.example/v1",
    options={"api": ("chat", "responses"), "region": str, "rate": float},
    env_headers={"ACME_ORG_ID": "Acme-Organization"},
)
LOCAL = ProviderSpec(
    name="acme-local",
    dialect=AcmeDialect,
    env=("ACME_LOCAL_API_KEY",),
    base_url="http://localhost:8000/v1",
    default_model="small",
    key_required=False,
)
BARE = ProviderSpec(name="bare", dialect=AcmeDialect)


class AcmeChatModel(ProviderModel):
    spec = ACME


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch):
    for name in ("ACME_API_KEY", "ACME_TOKEN", "ACME_BASE_URL", "ACME_ORG_ID", "BARE_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def prepare(spec: ProviderSpec = ACME, **fields: Any) -> ProviderConfig:
    return spec.prepare(ProviderConfig.of(**{"model": "m", "api_key": "sk-1", **fields}))


def problems(spec: ProviderSpec = ACME, **fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        prepare(spec, **fields)
    return caught.value.message


# --- models, keys and addresses ------------------------------------------------------------------


@pytest.mark.row("CONF-03")
@pytest.mark.parametrize("model", ["", "  "])
def test_a_model_is_required_where_there_is_no_default(model: str):
    assert problems(model=model) == "model is required"
    assert prepare(LOCAL, model=model).model == "small"
    assert prepare(LOCAL, model="large").model == "large"


@pytest.mark.row("CONF-05")
def test_keys_come_from_the_providers_own_variables_in_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("ACME_TOKEN", " second\n")
    assert prepare(api_key=" ").api_key == Secret("second")
    monkeypatch.setenv("ACME_API_KEY", "first")
    assert prepare(api_key="").api_key == Secret("first")
    monkeypatch.setenv("ACME_API_KEY", "  ")
    assert ACME.prepare(ProviderConfig(model="m")).api_key == Secret("second")
    assert prepare(api_key="given").api_key == Secret("given")


@pytest.mark.row("ERRO-17", "ERRO-16")
@pytest.mark.parametrize("key", [None, "", " \n", Secret(" ")])
def test_a_missing_key_says_what_to_set(monkeypatch: pytest.MonkeyPatch, key: Any):
    monkeypatch.setenv("ACME_API_KEY", " ")
    spec = ProviderSpec(name="openai", dialect=AcmeDialect, env=("X_KEY",), base_url="https://x")
    with pytest.raises(AuthenticationError) as caught:
        spec(ProviderConfig(model="m", api_key=key))
    assert caught.value.message == "api_key is required: set X_KEY or pass api_key="
    assert (caught.value.op, caught.value.provider) == ("openai.new", "openai")
    with pytest.raises(
        AuthenticationError, match="set ACME_API_KEY or ACME_TOKEN or pass api_key="
    ):
        ACME.prepare(ProviderConfig(model="m", api_key=key))
    with pytest.raises(AuthenticationError, match="api_key is required: pass api_key="):
        BARE.prepare(ProviderConfig(model="m", base_url="https://x"))


@pytest.mark.row("CONF-09", "ERRO-17")
def test_other_problems_are_told_before_a_missing_key():
    with pytest.raises(ConfigError, match="model is required"):
        ACME.prepare(ProviderConfig())


@pytest.mark.row("PROV-28")
def test_a_keyless_provider_needs_no_key():
    assert LOCAL.prepare(ProviderConfig(api_key=" ")).api_key is None
    assert prepare(LOCAL).api_key == Secret("sk-1")


@pytest.mark.row("CONF-19")
def test_a_callable_is_kept_and_not_called():
    def current() -> str:
        raise AssertionError("called before a request")

    assert prepare(api_key=current).api_key is current


@pytest.mark.row("CONF-05")
def test_the_address_comes_from_the_entrys_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACME_BASE_URL", "")
    assert prepare().base_url == "https://api.acme.example/v1"
    monkeypatch.setenv("ACME_BASE_URL", "https://proxy.example/acme/ ")
    assert prepare().base_url == "https://proxy.example/acme"
    assert prepare(base_url="http://given").base_url == "http://given"
    monkeypatch.setenv("ACME_LOCAL_BASE_URL", "http://box:1")
    assert prepare(LOCAL).base_url == "http://box:1"
    monkeypatch.setenv("BARE_HOST", "http://host")
    own = ProviderSpec(name="bare", dialect=AcmeDialect, base_url_env="BARE_HOST")
    assert prepare(own).base_url == "http://host"
    assert problems(BARE) == "base_url is required: set BARE_BASE_URL or pass base_url="


@pytest.mark.row("CONF-05")
def test_a_short_form_of_an_address_is_read(monkeypatch: pytest.MonkeyPatch):
    own = ProviderSpec(
        name="bare",
        dialect=AcmeDialect,
        base_url="http://usual",
        read_url=lambda text: f"http://{text}:1/",
    )
    assert prepare(own).base_url == "http://usual"
    assert prepare(own, base_url=" box ").base_url == "http://box:1"
    monkeypatch.setenv("BARE_BASE_URL", "host")
    assert prepare(own).base_url == "http://host:1"
    assert "base_url must be a str, got int" in problems(own, base_url=7)


@pytest.mark.row("CONF-04")
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://x.example", "https://x.example"),
        ("https://x.example/", "https://x.example"),
        ("http://x.example:8080/a/v1//", "http://x.example:8080/a/v1"),
        ("HTTPS://X.example/v1", "HTTPS://X.example/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ],
)
def test_an_address_keeps_its_path(given: str, kept: str):
    assert prepare(base_url=given).base_url == kept


@pytest.mark.row("CONF-04")
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("x.example/v1", "base_url must start with http:// or https://, got 'x.example/v1'"),
        ("localhost:80", "base_url must start with http:// or https://, got 'localhost:80'"),
        ("ftp://me:pw@x", "base_url must start with http:// or https://, got 'ftp://x'"),
        ("https://", "base_url has no host: 'https:'"),
        ("https:///v1", "base_url has no host: 'https:///v1'"),
        ("https://x:port", "base_url is not an address: 'https://x:port' ("),
        ("http://[::1", "base_url is not an address: 'http://[::1' ("),
        ("https://x/a b", "base_url must not contain spaces, got 'https://x/a b'"),
        (7, "base_url must be a str, got int"),
    ],
)
def test_an_address_that_cannot_be_used_is_named(given: Any, problem: str):
    assert problems(base_url=given).startswith(problem)


@pytest.mark.row("CONF-13")
def test_keywords_go_before_the_environment_before_a_file(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "acme.toml"
    path.write_text('model = "m"\napi_key = "sk-file"\nbase_url = "https://file"\n')
    file = load_config(path)

    def found(**keywords: Any) -> tuple[Any, Any]:
        config = ACME.prepare(ProviderConfig.of(file, **keywords))
        assert isinstance(config.api_key, Secret)
        return config.api_key.reveal(), config.base_url

    assert found() == ("sk-file", "https://file")
    monkeypatch.setenv("ACME_API_KEY", "sk-env")
    monkeypatch.setenv("ACME_BASE_URL", "https://env")
    assert found() == ("sk-env", "https://env")
    assert found(api_key="sk-key", base_url="https://key") == ("sk-key", "https://key")
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    path.write_text('model = "m"\napi_key = "${TEAM_KEY}"\n')
    file = load_config(path)
    assert found() == ("sk-team", "https://env")


@pytest.mark.row("PROV-14")
def test_headers_from_variables_lie_under_those_given(monkeypatch: pytest.MonkeyPatch):
    assert prepare().headers == {}
    monkeypatch.setenv("ACME_ORG_ID", "org-1")
    assert prepare(headers={"X": "y"}).headers == {"Acme-Organization": "org-1", "X": "y"}
    assert prepare(headers={"acme-organization": "z"}).headers == {"acme-organization": "z"}


@pytest.mark.row("PROV-14", "CONF-07")
def test_headers_from_options_lie_between_variables_and_those_given(
    monkeypatch: pytest.MonkeyPatch,
):
    spec = attrs.evolve(
        ACME,
        options=dict.fromkeys(("organization", "title", "name"), str),
        option_headers={"organization": "Acme-Organization", "title": "X-Title", "name": "X-Title"},
        option_env={"title": ("ACME_TITLE",)},
    )

    def headers(**fields: Any) -> Mapping[str, str]:
        return prepare(spec, **fields).headers

    assert headers() == {}
    monkeypatch.setenv("ACME_ORG_ID", "org-1")
    assert headers(organization="org-2") == {"Acme-Organization": "org-2"}
    assert headers(organization=" ") == {"Acme-Organization": "org-1"}
    assert headers(name="a", title="b") == {"Acme-Organization": "org-1", "X-Title": "a"}
    assert headers(title="b", headers={"x-title": "c", "ACME-organization": "d"}) == {
        "x-title": "c",
        "ACME-organization": "d",
    }
    monkeypatch.setenv("ACME_TITLE", "from the variable")
    assert headers()["X-Title"] == "from the variable"


@pytest.mark.row("REGI-12")
def test_options_that_are_no_mapping_are_a_config_error():
    registry = Registry(discover=tuple)
    registry.register("acme", ACME)
    wrong: Any = [1]
    with pytest.raises(ConfigError, match="options must be a mapping, got list"):
        registry.create("acme/m", options=wrong)
    with pytest.raises(ConfigError, match="options must be a mapping, got list"):
        registry.create(ProviderConfig(provider="acme", model="m", options=wrong), rate=1.0)


@pytest.mark.row("CONF-07", "ERRO-28")
@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"title": 5}, "option 'title' must be str, got int"),
        ({"title": "a\r\nb: c"}, "headers"),
        ({"headers": "X: y"}, "headers"),
        ({"options": [1]}, "options must be a mapping"),
        ({"heading": "x"}, "unknown option 'heading' (known: title)"),
    ],
)
def test_wrong_options_for_headers(fields: dict[str, Any], text: str):
    spec = attrs.evolve(ACME, options={"title": str}, option_headers={"title": "X-Title"})
    with pytest.raises(ConfigError) as caught:
        spec.prepare(ProviderConfig.of(**{"model": "m", "api_key": "k", **fields}))
    assert text in str(caught.value)


# --- what is checked -----------------------------------------------------------------------------


@pytest.mark.row("ERRO-28", "CONF-09", "REGI-12")
def test_one_error_lists_all_problems():
    with pytest.raises(ConfigError) as caught:
        ACME.prepare(ProviderConfig(timeout=0))
    assert str(caught.value) == "[acme] invalid_config: model is required; timeout must be > 0"
    assert isinstance(caught.value, ValueError)
    assert caught.value.op == "acme.new"
    found = problems(model=None, timeout=-1, base_url="x", pool_limit=0, defaults={"top_p": 2}, a=1)
    for name in ("model", "timeout", "base_url", "pool_limit", "top_p", "'a'"):
        assert name in found
    assert found.count("; ") >= 5


@pytest.mark.row("CONF-07")
@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"timeout": 0}, "timeout must be > 0"),
        ({"timeout": float("nan")}, "timeout must be > 0"),
        ({"timeout": True}, "timeout must be > 0 seconds or Timeouts, got True"),
        ({"timeout": "5"}, "timeout must be > 0 seconds or Timeouts, got '5'"),
        ({"timeout": Timeouts(idle=0)}, "timeout.idle must be > 0 seconds or None, got 0"),
        ({"timeout": Timeouts(keepalive=-1)}, "timeout.keepalive must be >= 0 seconds or None"),
        ({"pool_limit": 0}, "pool_limit must be an integer of at least 1, got 0"),
        ({"max_concurrency": 1.5}, "max_concurrency must be an integer of at least 1, got 1.5"),
        ({"max_concurrency": True}, "max_concurrency must be an integer of at least 1, got True"),
        ({"trust_env": 1}, "trust_env must be a bool, got 1"),
        ({"parse_think_tags": "no"}, "parse_think_tags must be a bool, got 'no'"),
        ({"unsupported_options": "x"}, "unsupported_options must be 'warn' or 'error' or 'ignore'"),
        ({"unsupported_content": "warn"}, "unsupported_content must be 'error' or 'drop'"),
        ({"model": 4}, "model must be a str, got int"),
        ({"api_key": 4}, "api_key must be a str, a Secret or a callable, got int"),
        ({"api_key": Secret(4)}, "api_key must be a str, got int"),  # type: ignore[arg-type]
        ({"api_key": b"sk"}, "api_key must be a str, a Secret or a callable, got bytes"),
        ({"api_key": "a\r\nb: c"}, "api_key must not contain a line break"),
        ({"api_key": "a\udcff"}, "api_key must not contain bytes that are no UTF-8"),
        ({"headers": {"a": "\udcff"}}, "headers['a'] must not contain bytes that are no UTF-8"),
        ({"base_url": "https://x/\udcff"}, "base_url must not contain bytes that are no UTF-8"),
        ({"base_url": "https://x'/v1"}, "base_url has a host that cannot be one: \"https://x'/v1"),
        ({"headers": {"a": 1}}, "headers must be a mapping of str to str, got a int at 'a'"),
        ({"headers": {"a": "b\nc"}}, "headers['a'] must not contain a line break"),
        ({"headers": ["a"]}, "headers must be a mapping of str to str, got list"),
        ({"query": {1: "b"}}, "query must be a mapping of str to str"),
        ({"defaults": {"temperature": 3}}, "temperature must be between 0.0 and 2.0, got 3"),
        ({"defaults": GenerateOptions(n=0)}, "n must be an integer of at least 1, got 0"),
        ({"defaults": {"tempature": 1}}, "unknown option 'tempature' in defaults; did you mean 't"),
        ({"defaults": {"reasoning": "x", "reasoning_effort": "high"}}, "reasoning must be a Reas"),
        ({"defaults": 3}, "defaults must be a mapping of options, got int"),
        ({"options": 3}, "options must be a mapping, got int"),
        ({"capabilities": {"tool": True}}, "unknown capabilities: tool (known: "),
        (
            {"capabilities": {"tools": "yes"}},
            "capability 'tools' must be a bool or None, got 'yes'",
        ),
        (
            {"capabilities": {"tool_choice": "auto"}},
            "capability 'tool_choice' must be a set of str",
        ),
        ({"capabilities": 3}, "capabilities must be Capabilities or a mapping, got int"),
    ],
)
def test_a_value_out_of_range_is_named(fields: dict[str, Any], problem: str):
    assert problems(**fields).startswith(problem)


@pytest.mark.row("CONF-01")
@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"zone": 1}, "unknown option 'zone' (known: api, rate, region)"),
        ({"regoin": "x"}, "(known: api, rate, region); did you mean 'region'?"),
        ({"base_ulr": "x"}, "(known: api, rate, region); did you mean 'base_url'?"),
        ({"temperature": 1}, "(known: api, rate, region); pass it in defaults="),
        ({"region": 1}, "option 'region' must be str, got int"),
        ({"rate": True}, "option 'rate' must be float, got bool"),
        ({"api": "grpc"}, "option 'api' must be 'chat' or 'responses', got 'grpc'"),
    ],
)
def test_an_option_that_is_not_known_is_named(fields: dict[str, Any], problem: str):
    assert problems(**fields).endswith(problem)


def test_known_options_are_kept():
    options = {"region": "eu", "rate": 1, "api": "chat"}
    assert prepare(**options).options == options
    assert problems(BARE, base_url="https://x", a=1) == "unknown option 'a' (there are none)"


@pytest.mark.row("CONF-06")
def test_retries_are_a_middleware():
    assert "use model.with_middleware(with_retry())" in problems(max_retries=3)


def test_capabilities_of_files_become_a_value():
    prepared = prepare(capabilities={"tools": True, "tool_choice": ["auto", "none"]})
    expected = Capabilities(tools=True, tool_choice=frozenset(("auto", "none")))
    assert prepared.capabilities == expected


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "timeout": st.one_of(st.floats(min_value=0.1, max_value=1e6), st.builds(Timeouts)),
            "headers": st.dictionaries(st.text("abc-", min_size=1), st.text("xyz")),
            "base_url": st.sampled_from(["https://a/", "http://b:1/v1"]),
            "capabilities": st.dictionaries(st.sampled_from(["tools", "seed"]), st.booleans()),
            "api_key": st.text("abc ", min_size=1).map(lambda text: f"k{text}"),
            "region": st.text(),
        },
    )
)
def test_preparing_twice_changes_nothing(fields: dict[str, Any]):
    prepared = prepare(**fields)
    assert ACME.prepare(prepared) == prepared


@pytest.mark.row("REGI-12")
def test_providers_without_a_spec_check_with_one_line():
    check_config(ProviderConfig(options={"a": "b"}), {"a": str}, provider="tiny")
    with pytest.raises(ConfigError) as caught:
        check_config(ProviderConfig(timeout=0, options={"b": 1}), {"a": str}, provider="tiny")
    expected = "[tiny] invalid_config: timeout must be > 0; unknown option 'b' (known: a)"
    assert str(caught.value) == expected
    assert caught.value.op == "tiny.new"


# --- models --------------------------------------------------------------------------------------


@pytest.mark.row("CHAT-14")
def test_a_model_class_takes_the_keywords_of_create():
    model = AcmeChatModel(model="m", api_key="sk-1", region="eu")
    registry = Registry(discover=list)
    registry.register("acme", ACME)
    created = registry.create("acme/m", api_key="sk-1", region="eu")
    assert model.qualified_id == created.qualified_id == "acme/m"
    assert isinstance(model.dialect, AcmeDialect)
    assert model.dialect.config.option("region", str) == "eu"
    config = ProviderConfig(model="m", api_key="sk-1")
    assert AcmeChatModel(config, model="n").model_id == "n"
    assert AcmeChatModel.from_config(config).model_id == "m"
    with pytest.raises(ConfigError, match="model is required"):
        AcmeChatModel()


@pytest.mark.row("REGI-25")
def test_models_report_the_canonical_name_under_an_alias():
    registry = Registry(discover=list)
    registry.register("acme-alias", ACME)
    model = registry.create("acme-alias/m", api_key="sk-1")
    assert model.provider == "acme"


def test_a_spec_makes_models_of_its_class():
    spec = ProviderSpec(
        name="acme", dialect=AcmeDialect, base_url="https://x", model_class=AcmeChatModel
    )
    model = spec(ProviderConfig(model="m", api_key="sk-1"))
    assert type(model) is AcmeChatModel
    assert model.dialect.config.base_url == "https://x"

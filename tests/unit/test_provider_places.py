"""Addresses with places in them, options from variables, and signers, of a ProviderSpec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from beluga_llm import ConfigError, ProviderConfig, load_config
from beluga_llm.plugin import (
    Notes,
    OpenAIChatDialect,
    ProviderModel,
    ProviderSpec,
    WireRequest,
)


def dialect(config: ProviderConfig) -> OpenAIChatDialect:
    return OpenAIChatDialect(config.provider)


CLOUD = ProviderSpec(
    name="cloud",
    dialect=dialect,
    key_required=False,
    base_url="https://{account}.cloud.example/{zone}/v1",
    options={"account": str, "zone": str, "region": str, "project": str},
    option_env={"account": ("CLOUD_ACCOUNT",), "region": ("CLOUD_REGION", "CLOUD_AREA")},
)
REGIONAL = ProviderSpec(
    name="regional",
    dialect=dialect,
    key_required=False,
    base_url=lambda config: f"https://{config.option('region', str, 'us')}.example/",
    options={"region": str, "project": str},
    option_env={"project": ("CLOUD_PROJECT",)},
    required_options=("project",),
)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch):
    for name in ("ACCOUNT", "REGION", "AREA", "PROJECT", "BASE_URL"):
        monkeypatch.delenv(f"CLOUD_{name}", raising=False)
    monkeypatch.delenv("REGIONAL_BASE_URL", raising=False)


def prepare(spec: ProviderSpec = CLOUD, **fields: Any) -> ProviderConfig:
    return spec.prepare(ProviderConfig.of(model="m", **fields))


def problems(spec: ProviderSpec = CLOUD, **fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        prepare(spec, **fields)
    return caught.value.message


@pytest.mark.row("CONF-04", "CONF-05")
def test_options_stand_in_the_places_of_the_address(monkeypatch: pytest.MonkeyPatch):
    assert prepare(account="a1", zone="z").base_url == "https://a1.cloud.example/z/v1"
    monkeypatch.setenv("CLOUD_ACCOUNT", "of-the-environment")
    found = prepare(zone="z")
    assert found.base_url == "https://of-the-environment.cloud.example/z/v1"
    assert found.options == {"account": "of-the-environment", "zone": "z"}
    assert prepare(account="a1", zone="z").options["account"] == "a1"


@pytest.mark.row("CONF-04")
@pytest.mark.parametrize(
    "account",
    [
        "https://a1", "http://a1/", " a1 ", "https://a1/?o=123", "a1?to=x@y", "user:pass@a1#top",
    ],
)  # fmt: skip
def test_of_an_address_in_a_place_the_host_counts(account: str):
    assert prepare(account=account, zone="z").base_url == "https://a1.cloud.example/z/v1"


@pytest.mark.row("CONF-04", "CONF-09")
@pytest.mark.parametrize("account", ['"a1"', "'https://a1'", "a1<", "a|1"])
def test_a_host_with_quotes_is_none(account: str):
    assert "base_url has a host that cannot be one" in problems(account=account, zone="z")


@pytest.mark.row("CONF-09", "ERRO-28")
def test_what_is_missing_is_named_with_its_variables(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLOUD_ACCOUNT", "  ")
    assert problems(zone=" ", timeout=-1) == (
        "account is required: set CLOUD_ACCOUNT or pass account=; "
        "zone is required: pass zone=; timeout must be > 0"
    )
    assert problems(REGIONAL) == "project is required: set CLOUD_PROJECT or pass project="
    assert "project is required" in problems(REGIONAL, base_url="https://x.example")


@pytest.mark.row("CONF-13")
def test_a_given_address_needs_no_options_and_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch):
    assert prepare(base_url="https://x.example/{account}").base_url == "https://x.example/{account}"
    monkeypatch.setenv("CLOUD_BASE_URL", "https://y.example/")
    assert prepare().base_url == "https://y.example"


@pytest.mark.row("CONF-04")
def test_an_address_may_be_a_function_of_the_configuration():
    assert prepare(REGIONAL, project="p").base_url == "https://us.example"
    assert prepare(REGIONAL, project="p", region="eu").base_url == "https://eu.example"


@pytest.mark.row("CONF-09")
def test_the_address_is_not_asked_for_where_options_are_wrong():
    assert problems(REGIONAL, project="p", region=5) == "option 'region' must be str, got int"
    wrong: Any = "no mapping"
    assert "options must be a mapping" in problems(REGIONAL, options=wrong)
    nowhere = ProviderSpec(name="nowhere", dialect=dialect, base_url=lambda config: None)
    assert "base_url is required: set NOWHERE_BASE_URL" in problems(nowhere)


@pytest.mark.row("CONF-13")
def test_options_go_keywords_then_environment_then_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "llm.toml"
    path.write_text('model = "m"\naccount = "file"\n[options]\nregion = "file"\nzone = "file"\n')
    config = load_config(path)
    assert CLOUD.prepare(config).options == {"account": "file", "region": "file", "zone": "file"}
    monkeypatch.setenv("CLOUD_ACCOUNT", "environment")
    monkeypatch.setenv("CLOUD_AREA", "environment")
    found = CLOUD.prepare(config).options
    assert found == {"account": "environment", "region": "environment", "zone": "file"}
    given = ProviderConfig.of(config, account="keyword", options={"region": "keyword"})
    found = CLOUD.prepare(given).options
    assert found == {"account": "keyword", "region": "keyword", "zone": "file"}


class Stamp:
    """A signer that only leaves a mark."""

    async def sign(self, request: WireRequest) -> WireRequest:
        raise AssertionError("nothing is sent here")


@pytest.mark.row("DIAL-06")
def test_a_row_names_who_signs():
    asked: list[ProviderConfig] = []

    def signer(config: ProviderConfig) -> Stamp | None:
        asked.append(config)
        return None if config.api_key else Stamp()

    spec = ProviderSpec(
        name="signed", dialect=dialect, base_url="https://x", key_required=False, signer=signer
    )
    model = spec(ProviderConfig(model="m"))
    assert isinstance(model, ProviderModel)
    assert asked[0].base_url == "https://x"


@pytest.mark.row("REAS-15", "PROV-35")
def test_opaque_data_of_a_family_is_not_foreign():
    from beluga_llm import ThinkingPart

    notes = Notes("here", ("sister",))
    assert not notes.foreign(ThinkingPart("a", "sig", provider="sister"))
    assert not notes.foreign(ThinkingPart("a", "sig", provider="here"))
    assert not notes.foreign(ThinkingPart("a", "sig"))
    assert notes.foreign(ThinkingPart("a", "sig", provider="stranger"))
    assert [note.name for note in notes] == ["stranger"]

"""The meta provider: Meta's models at whoever serves them."""

from __future__ import annotations

import pytest

import beluga_llm_compatible as face
from beluga_llm import (
    AuthenticationError,
    ConfigError,
    ProviderNotFoundError,
    Registry,
)
from beluga_llm_compatible._llama import BACKENDS


@pytest.fixture
def registry():
    """A registry with the rows of this plugin and nothing else."""
    found = Registry(discover=tuple)
    for name in ("together", "fireworks", "groq", "sambanova", "cerebras", "xai", "llama"):
        found.register(name, getattr(face, name))
    return found


@pytest.mark.row("PROV-11", "REGI-20")
@pytest.mark.parametrize("backend", [None, *BACKENDS[:-1]])
async def test_it_makes_a_model_of_the_backend(registry, wire, backend):
    options = {} if backend is None else {"backend": backend}
    model = registry.create("llama/meta/llama", api_key="test-key", transport=wire, options=options)
    backend = backend or "together"
    assert (model.provider, model.model_id) == (backend, "meta/llama")
    assert model.qualified_id == f"{backend}/meta/llama"
    await model.generate("hi")
    assert wire.sent[0].url.startswith(getattr(face, backend).base_url)


@pytest.mark.row("PROV-11", "CONF-05")
async def test_the_configuration_is_the_backends(registry, wire, monkeypatch):
    monkeypatch.setenv("TOGETHER_API_KEY", "other")
    monkeypatch.setenv("GROQ_API_KEY", "from-groq")
    model = registry.create(
        "llama/m", backend="groq", base_url="https://here.example/v1", transport=wire, timeout=5
    )
    await model.generate("hi")
    assert wire.sent[0].url == "https://here.example/v1/chat/completions"
    assert wire.headers["authorization"] == "Bearer from-groq"
    assert registry.create("llama", transport=wire).model_id.startswith("meta-llama/")
    monkeypatch.delenv("GROQ_API_KEY")
    with pytest.raises(AuthenticationError, match="set GROQ_API_KEY or pass"):
        registry.create("llama/m", backend="groq")


@pytest.mark.row("PROV-11", "REGI-07")
def test_a_missing_plugin(registry):
    with pytest.raises(ProviderNotFoundError) as caught:
        registry.create("llama/m", backend="ollama")
    assert "unknown provider 'ollama' (registered: cerebras, " in caught.value.message
    assert "install it with: pip install beluga-llm-ollama" in caught.value.message


@pytest.mark.row("PROV-11", "REGI-07")
def test_an_unknown_backend(registry):
    with pytest.raises(ProviderNotFoundError, match="unknown provider 'gorq'.*did you mean 'groq'"):
        registry.create("llama/m", backend="gorq")


@pytest.mark.row("PROV-11", "REGI-12")
@pytest.mark.parametrize("backend", ["xai", "llama", 5, ["groq"]])
def test_a_backend_that_is_none(registry, backend):
    with pytest.raises(ConfigError) as caught:
        registry.create("llama/m", options={"backend": backend})
    assert caught.value.message.startswith("option 'backend' must be one of together, fireworks, ")
    assert repr(backend) in caught.value.message


@pytest.mark.row("PROV-11", "REGI-12")
def test_what_the_backend_refuses(registry):
    with pytest.raises(ConfigError, match=r"\[groq\].*unknown option 'regoin'"):
        registry.create("llama/m", backend="groq", api_key="k", regoin="x")
    with pytest.raises(ConfigError, match="options must be a mapping"):
        registry.create("llama/m", options=[1])

"""A provider that speaks HTTP, as data: `ProviderSpec`, and the model class made from it.

    spec = ProviderSpec(name="acme", dialect=AcmeDialect, env=("ACME_API_KEY",), base_url="https://...")

A spec is itself a factory, so an entry point may name one. `prepare` fills a configuration from
the environment and the spec (keywords > environment > file > the spec's defaults) and checks all
of it: every problem is in one ConfigError, and only a configuration that is otherwise right is
told that its key is missing. Nothing else in the environment is read, never another provider's
variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self

from attrs import evolve, field, frozen

from beluga_llm._config import ProviderConfig, Secret
from beluga_llm._config_checks import (
    OptionKind,
    capabilities_of,
    config_problems,
    key_problems,
    url_problems,
)
from beluga_llm._environment import variable
from beluga_llm._errors import AuthenticationError, ConfigError
from beluga_llm._frozen import EMPTY, freeze_mapping
from beluga_llm._http.dialect import Dialect
from beluga_llm._http.wire import Signer
from beluga_llm._http_model import HttpModel


@frozen(kw_only=True)
class ProviderSpec:
    """What distinguishes one provider from another, and the factory of its models.

    Attributes:
        name: the entry name, which models and errors report, under aliases too.
        dialect: makes the wire format for a prepared configuration.
        env: variables that may hold the key, in order.
        base_url: the API's usual address with its version path, in which `{name}` stands for an
            option (of one that is an address itself, only host and path are taken); or a function
            of the configuration; None: must be given.
        base_url_env: the variable for it; None is `<NAME>_BASE_URL`.
        read_url: makes the address of one that was given, where a shorter form is usual.
        default_model: the model when none is given; None: must be given.
        key_required: False: without a key no Authorization header is sent.
        options: what may stand in `config.options`: a type, or a tuple of allowed words, for each.
        option_env: option to the variables that may hold it, in order.
        required_options: options that must be given; those in `base_url` need not be named.
        signer: makes the credentials that are more than a key; None for none.
        env_headers: variable to the header that it fills; options and `headers=` go before.
        option_headers: one of `options` to the header that it fills; `headers=` goes before.
        chat_example: a model id to show in documentation.
        local: the default address is a server on this machine.
        model_class: the class of the models, for `isinstance`.
    """

    name: str
    dialect: Callable[[ProviderConfig], Dialect]
    env: tuple[str, ...] = ()
    base_url: str | Callable[[ProviderConfig], str | None] | None = None
    base_url_env: str | None = None
    read_url: Callable[[str], str] | None = None
    default_model: str | None = None
    key_required: bool = True
    options: Mapping[str, OptionKind] = field(default=EMPTY, converter=freeze_mapping)
    option_env: Mapping[str, tuple[str, ...]] = field(default=EMPTY, converter=freeze_mapping)
    required_options: tuple[str, ...] = ()
    signer: Callable[[ProviderConfig], Signer | None] | None = None
    env_headers: Mapping[str, str] = field(default=EMPTY, converter=freeze_mapping)
    option_headers: Mapping[str, str] = field(default=EMPTY, converter=freeze_mapping)
    chat_example: str | None = None
    local: bool = False
    model_class: type[ProviderModel] | None = None

    def __call__(self, config: ProviderConfig) -> ProviderModel:
        """A model; see `prepare` for the errors."""
        return (self.model_class or ProviderModel)(config, spec=self)

    def prepare(self, config: ProviderConfig) -> ProviderConfig:
        """The configuration with everything filled in and checked.

        Raises:
            ConfigError: lists all problems.
            AuthenticationError: the provider needs a key and none was found.
        """
        options = self._options(config)
        found = evolve(
            config,
            provider=self.name,
            model=self._model(config),
            api_key=self._key(config),
            options=options,
            headers=self._headers(config.headers, options),
        )
        missing, wrong = list(self._missing(found)), list(config_problems(found, self.options))
        sound = not missing and not wrong
        found = evolve(found, base_url=self._base_url(found, sound=sound))
        facts: dict[str, Any] = {"provider": self.name, "op": f"{self.name}.new"}
        if problems := [*missing, *self._url_problems(found, sound=sound), *wrong]:
            raise ConfigError.of(problems, **facts)
        if found.api_key is None and self.key_required:
            variables = f"set {' or '.join(self.env)} or " if self.env else ""
            raise AuthenticationError(f"api_key is required: {variables}pass api_key=", **facts)
        return evolve(
            found,
            capabilities=capabilities_of(found.capabilities),
            from_file=frozenset(),
        )

    @property
    def base_url_variable(self) -> str:
        """The environment variable that may hold the base URL."""
        return self.base_url_env or f"{self.name.upper().replace('-', '_')}_BASE_URL"

    def _model(self, config: ProviderConfig) -> Any:
        return self.default_model if _is_blank(config.model) else config.model

    def _key(self, config: ProviderConfig) -> Any:
        given = config.api_key
        if isinstance(given, Secret) and not list(key_problems(given)):
            given = Secret(value) if (value := given.reveal().strip()) else None
        if given is not None and "api_key" not in config.from_file:
            return given
        values = (variable(name) for name in self.env)
        return next((Secret(value) for value in values if value), given)

    def _options(self, config: ProviderConfig) -> Any:
        """The options, with those that only the environment gives."""
        given = config.options
        if not isinstance(given, Mapping):
            return given
        found = dict(given)
        for name, names in self.option_env.items():
            if _is_blank(given.get(name)) or name in config.from_file:
                value = next(filter(None, map(variable, names)), None)
                found[name] = value or given.get(name)
        return {name: value for name, value in found.items() if value is not None}

    def _base_url(self, config: ProviderConfig, *, sound: bool) -> Any:
        """The address that was given, else the usual one, which may hang on sound options."""
        found, usual = self._given_url(config), self.base_url
        if found is None and sound:
            found = usual(config) if callable(usual) else _filled(usual, config.options)
        elif self.read_url is not None and isinstance(found, str):
            found = self.read_url(found.strip())
        return found.strip().rstrip("/") if isinstance(found, str) else found

    def _given_url(self, config: ProviderConfig) -> Any:
        given = None if _is_blank(config.base_url) else config.base_url
        if given is None or "base_url" in config.from_file:
            given = variable(self.base_url_variable) or given
        return given

    def _url_problems(self, config: ProviderConfig, *, sound: bool) -> Iterator[str]:
        if config.base_url is not None:
            yield from url_problems("base_url", config.base_url)
        elif sound or self.base_url is None:
            yield f"base_url is required: set {self.base_url_variable} or pass base_url="

    def _missing(self, config: ProviderConfig) -> Iterator[str]:
        """What must be given and was not: the model, and options, also those in the base URL."""
        if config.model is None:
            yield "model is required"
        names = dict.fromkeys(self.required_options)
        if isinstance(self.base_url, str) and self._given_url(config) is None:
            names.update(dict.fromkeys(_PLACE.findall(self.base_url)))
        given = config.options if isinstance(config.options, Mapping) else EMPTY
        for name in names:
            if _is_blank(given.get(name)):
                variables = " or ".join(self.option_env.get(name, ()))
                set_it = f"set {variables} or " if variables else ""
                yield f"{name} is required: {set_it}pass {name}="

    def _headers(self, given: Any, options: Any) -> Any:
        """The headers that were given, with those that options and then variables fill."""
        if not isinstance(given, Mapping):
            return given
        values = {header: variable(name) for name, header in self.env_headers.items()}
        for option, header in self.option_headers.items() if isinstance(options, Mapping) else ():
            if isinstance(value := options.get(option), str) and value.strip():
                values[header] = value
        named = {str(name).lower() for name in given}
        ours = {name: v for name, v in values.items() if v and name.lower() not in named}
        return {**ours, **given}


class ProviderModel(HttpModel):
    """A model of a provider that a ProviderSpec describes.

    Made directly with the same keywords as `create`: `OpenAIChatModel(model="...", api_key=...)`.

    Raises:
        ConfigError: lists all problems of the configuration.
        AuthenticationError: no key was found.
    """

    spec: ClassVar[ProviderSpec]

    def __init__(
        self,
        config: ProviderConfig | None = None,
        /,
        *,
        spec: ProviderSpec | None = None,
        **fields: Any,
    ) -> None:
        spec = spec or type(self).spec
        prepared = spec.prepare(ProviderConfig.of(config, **fields))
        signer = None if spec.signer is None else spec.signer(prepared)
        super().__init__(spec.dialect(prepared), prepared, signer=signer)

    @classmethod
    def from_config(cls, config: ProviderConfig) -> Self:
        """A model of this configuration; what the registry calls."""
        return cls(config)


_PLACE = re.compile(r"\{(\w+)\}")
_AROUND_HOST = re.compile(r"^(\w+://)?([^/@?#]*@)?|[?#].*$")


def _filled(url: str | None, options: Mapping[str, Any]) -> str | None:
    """An address with options in its places; of one that is an address, its host and path."""

    def value(place: re.Match[str]) -> str:
        return _AROUND_HOST.sub("", str(options[place[1]]).strip()).rstrip("/")

    return None if url is None else _PLACE.sub(value, url)


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())

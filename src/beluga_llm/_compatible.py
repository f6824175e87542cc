"""The provider `openai-compatible`: any server that speaks chat completions or Responses.

    llm.create("openai-compatible/my-model", base_url="http://localhost:8000/v1")

Every field of `ChatQuirks` may be given as an option of its own, or all of them as
`quirks={...}`; nothing is known of such a server's models unless `capabilities=` says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from beluga_llm._config import ProviderConfig
from beluga_llm._config_checks import OptionKind
from beluga_llm._dialects.quirks import ChatQuirks
from beluga_llm._errors import ConfigError
from beluga_llm._http.dialect import Dialect
from beluga_llm._provider import ProviderSpec

_FIELDS = attrs.fields_dict(ChatQuirks)


def _kind(attribute: attrs.Attribute[Any]) -> OptionKind:
    """What a quirk takes as an option; what may be given in several forms is checked later."""
    if words := getattr(attribute.validator, "options", None):
        return tuple(words)
    default = attribute.default
    return type(default) if isinstance(default, bool | str) else object


QUIRK_OPTIONS: Mapping[str, OptionKind] = {
    "quirks": object,
    **{name: _kind(attribute) for name, attribute in _FIELDS.items() if name != "capabilities"},
}
"""The options of a provider whose quirks its users may set."""


def chat_quirks(config: ProviderConfig) -> ChatQuirks:
    """The quirks that a configuration's options set.

    Raises:
        ConfigError: an option has a value that its quirk cannot have.
    """
    whole = config.options.get("quirks")
    given = dict(
        attrs.asdict(whole, recurse=False) if isinstance(whole, ChatQuirks) else whole or {}
    )
    options = {name: config.options.get(name) for name in QUIRK_OPTIONS if name in _FIELDS}
    given.update({name: value for name, value in options.items() if value is not None})
    if problems := [problem for name in given if (problem := _problem(name, given[name]))]:
        raise ConfigError.of(problems, provider=config.provider, op=f"{config.provider}.new")
    return ChatQuirks(**given)


def _problem(name: str, value: Any) -> str | None:
    if name not in _FIELDS:
        return f"unknown quirk {name!r} (known: {', '.join(sorted(_FIELDS))})"
    try:
        quirks = ChatQuirks(**{name: value})
        for family in quirks.models:
            quirks.of_family(family)
    except (TypeError, ValueError, AttributeError) as error:
        return f"quirk {name!r}: {error.args[0]}"
    return None


def compatible_dialect(config: ProviderConfig) -> Dialect:
    """The wire format that `options["api"]` names: "chat", the default, or "responses"."""
    if config.options.get("api") == "responses":
        from beluga_llm._dialects.openai_responses import OpenAIResponsesDialect

        return OpenAIResponsesDialect(config.provider)
    from beluga_llm._dialects.openai_chat import OpenAIChatDialect

    return OpenAIChatDialect(config.provider, quirks=chat_quirks(config))


openai_compatible = ProviderSpec(
    name="openai-compatible",
    dialect=compatible_dialect,
    env=("OPENAI_COMPATIBLE_API_KEY",),
    key_required=False,
    options={"api": ("chat", "responses"), **QUIRK_OPTIONS},
)

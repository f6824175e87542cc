"""Settings of a layer, as an object, as keywords, or as both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from beluga_llm._errors import ConfigError

T = TypeVar("T", bound=attrs.AttrsInstance)


def configured(base: T, settings: Mapping[str, Any]) -> T:
    """The settings with keywords over them.

    Raises:
        ConfigError: lists the keywords that are unknown, and all values that are wrong.
    """
    values = {field.name: getattr(base, field.name) for field in attrs.fields(type(base))}
    problems = []
    if unknown := sorted(set(settings) - set(values)):
        problems.append(f"unknown settings: {', '.join(unknown)} (known: {', '.join(values)})")
    try:
        made = type(base)(**{name: settings.get(name, value) for name, value in values.items()})
    except ConfigError as error:
        problems.append(error.message)
    if problems:
        raise ConfigError.of(problems)
    return made

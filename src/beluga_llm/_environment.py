"""Configurations that are written down outside the program: variables and files.

Precedence: keywords > environment > file > the provider's defaults. So a configuration remembers
which of its values a file gave (`from_file`), and for those the environment goes before. A key
written as `${VARIABLE}` in a file is the environment's word, and stays.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from beluga_llm import _json
from beluga_llm._config import ProviderConfig
from beluga_llm._config_checks import time_limits, url_problems
from beluga_llm._errors import ConfigError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def variable(name: str) -> str | None:
    """An environment variable without surrounding blanks; None where it is empty or unset."""
    return os.environ.get(name, "").strip() or None


def config_from_env(provider: str, prefix: str) -> ProviderConfig:
    """A configuration from PREFIX_MODEL, _API_KEY, _BASE_URL and _TIMEOUT (seconds).

    Raises:
        ConfigError: variables cannot be parsed; the message names them.
    """
    problems = []
    base_url = variable(f"{prefix}_BASE_URL")
    if base_url:
        problems += [f"{prefix}_BASE_URL: {text}" for text in url_problems("base_url", base_url)]
    timeout = None
    if text := variable(f"{prefix}_TIMEOUT"):
        timeout = _seconds(text)
        if timeout is None:
            problems.append(f"{prefix}_TIMEOUT must be a number of seconds > 0, got {text!r}")
    if problems:
        raise ConfigError.of(problems, provider=provider, op=f"{provider}.new")
    return ProviderConfig.of(
        provider=provider,
        model=variable(f"{prefix}_MODEL"),
        api_key=variable(f"{prefix}_API_KEY"),
        base_url=base_url,
        timeout=timeout,
    )


def load_config(path: str | os.PathLike[str]) -> ProviderConfig:
    """A configuration from a file, for `create`.

    Its keys are those of ProviderConfig; others go to `options`. `timeout` may be a table of
    limits. In `api_key`, `${VARIABLE}` stands for an environment variable.

    Args:
        path: a .toml or .json file.

    Raises:
        ConfigError: another kind of file, one that cannot be parsed, or a variable that is not set.
        OSError: it cannot be read.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (".toml", ".json"):
        raise ConfigError(f"unsupported configuration file: {path.name} (use .toml or .json)")
    values = _parsed(path, kind)
    given = {name for name, value in values.items() if value is not None}
    if isinstance(key := values.get("api_key"), str):
        values["api_key"] = _expanded(key, path.name)
        if values["api_key"] != key:
            given.discard("api_key")
    values["timeout"] = time_limits(values.get("timeout"))
    if isinstance(options := values.get("options"), Mapping):
        given |= set(options)
    return evolve(ProviderConfig.of(**values), from_file=frozenset(given))


def _parsed(path: Path, kind: str) -> dict[str, Any]:
    data = path.read_bytes()
    try:
        if kind == ".json":
            values = _json.loads(data)
        else:
            import tomllib

            values = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, _json.JsonError) as error:
        raise ConfigError(f"cannot read {path.name}: {error}") from error
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path.name} must hold a table, not {type(values).__name__}")
    return dict(values)


def _expanded(text: str, file: str) -> str:
    missing = [name for name in _VARIABLE.findall(text) if variable(name) is None]
    if missing:
        raise ConfigError(f"api_key in {file}: {', '.join(missing)} is not set")
    return _VARIABLE.sub(lambda found: variable(found[1]) or "", text)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if seconds > 0 and math.isfinite(seconds) else None

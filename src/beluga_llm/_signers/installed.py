"""Whether what a signer needs is installed, without importing it."""

from __future__ import annotations

from importlib.util import find_spec

from beluga_llm._errors import ConfigError


def require(*modules: str, what: str, install: str, provider: str) -> None:
    """Tells what to install.

    Args:
        *modules: modules that are needed.
        what: what needs them, for the error.
        install: what pip is to install.
        provider: the entry name, for the error.

    Raises:
        ConfigError: a module is missing.
    """
    if missing := [name for name in modules if not _is_installed(name)]:
        raise ConfigError(
            f"{what} need {' and '.join(missing)}: pip install '{install}'",
            provider=provider or None,
            op=f"{provider}.new" if provider else None,
        )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):  # not even the package that it should be in
        return False

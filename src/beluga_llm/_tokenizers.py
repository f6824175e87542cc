"""Tokenizers by name: the estimate, tiktoken, and those that installed distributions offer.

An entry point of the group `beluga_llm.tokenizers` names a function `(encoding: str) -> Tokenizer`;
it is called in a thread, since vocabularies are read from disk or downloaded. That thread is not
waited for endlessly: tiktoken downloads without a limit of time, and a network that swallows
packets would hold the application for ever.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from attrs import field, frozen

from beluga_llm._errors import BelugaError, ConfigError, PluginLoadError
from beluga_llm._installed import InstalledPlugin, installed_entry_points
from beluga_llm._tokens import SimpleTokenizer, Tokenizer
from beluga_llm._tools.threads import in_thread

logger = logging.getLogger("beluga_llm.tokens")

GROUP = "beluga_llm.tokenizers"
MISSING = "the tokenizer 'tiktoken' needs the extra: pip install 'beluga-llm[tiktoken]'"

LONGEST = 60.0
"""Seconds that loading may take."""

TokenizerFactory: TypeAlias = Callable[[str], Tokenizer]


@frozen(kw_only=True)
class EncodingTokenizer(SimpleTokenizer):
    """Counts what an encoding makes of a text; media and messages as SimpleTokenizer does.

    Attributes:
        encode: the tokens of a text.
    """

    encode: Callable[[str], Sequence[int]] = field(repr=False)

    def count(self, text: str) -> int:
        """Tokens of a text; 0 for ""."""
        return len(self.encode(text))


async def get_tokenizer(name: str) -> Tokenizer:
    """A tokenizer by its name; it is loaded in a thread.

        tokenizer = await get_tokenizer("tiktoken/o200k_base")

    Where a vocabulary cannot be loaded within 60 seconds (it is downloaded at its first use), a
    warning is logged, and an estimate takes its place.

    Args:
        name: "simple", "tiktoken", or the name of an installed one; after a slash an encoding, or
            for tiktoken a model.

    Raises:
        ConfigError: there is no such tokenizer, or an extra is missing.
        PluginLoadError: an installed one cannot be imported, or is no tokenizer.
    """
    try:
        async with asyncio.timeout(LONGEST):
            return await in_thread(functools.partial(_load, name), name="beluga-llm tokenizer")
    except TimeoutError:
        return _estimate(name, f"it took more than {LONGEST:g} seconds")


def _load(name: str) -> Tokenizer:
    kind, _, encoding = name.partition("/")
    factory = _factory(kind)
    try:
        found = factory(encoding)
    except BelugaError:
        raise
    except Exception as error:  # noqa: BLE001  # downloads fail in many ways
        return _estimate(name, error)
    if not isinstance(found, Tokenizer):
        raise PluginLoadError(
            f"the tokenizer {name!r} has no count and count_messages: {type(found).__name__}"
        )
    return found


def _estimate(name: str, why: Exception | str) -> Tokenizer:
    logger.warning("the tokenizer %s cannot be loaded, tokens are estimated: %s", name, why)
    return SimpleTokenizer()


def _factory(kind: str) -> TokenizerFactory:
    if kind in _OWN:
        return _OWN[kind]
    plugin, known = InstalledPlugin(), set(_OWN)
    for entry in installed_entry_points():
        if entry.group == GROUP:
            known.add(entry.name)
            if entry.name == kind:
                plugin.add(entry)
    if kind not in known:
        raise ConfigError(f"unknown tokenizer {kind!r} (known: {', '.join(sorted(known))})")
    factory: TokenizerFactory = plugin.load(kind, f"tokenizer {kind!r}", _unusable)
    return factory


def _unusable(value: Any) -> str | None:
    return None if callable(value) else "it is not a function"


def _simple(encoding: str) -> Tokenizer:
    return SimpleTokenizer()


def _tiktoken(encoding: str) -> Tokenizer:
    try:
        tiktoken: Any = importlib.import_module("tiktoken")
    except ModuleNotFoundError as error:
        if error.name != "tiktoken":
            raise
        raise ConfigError(MISSING) from None
    names = tiktoken.list_encoding_names()
    name = encoding or "o200k_base"
    if name not in names:
        try:
            name = tiktoken.encoding_name_for_model(name)
        except KeyError:
            raise ConfigError(
                f"tiktoken has no encoding or model {name!r} (encodings: {', '.join(names)})"
            ) from None
    vocabulary = tiktoken.get_encoding(name)
    # A text that looks like a control token is still text.
    return EncodingTokenizer(encode=lambda text: vocabulary.encode(text, disallowed_special=()))


_OWN: dict[str, TokenizerFactory] = {"simple": _simple, "tiktoken": _tiktoken}

"""JSON, behind one door: msgspec where it can, the standard library where real data outgrow it.

msgspec refuses lone surrogates (half an emoji, as some servers cut it) and writes none; for those
the standard library steps in. Invalid UTF-8 stays an error: damaged bytes must not pass for text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

JsonError = msgspec.DecodeError
Raw = msgspec.Raw


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str):  # a subclass, such as a template's markup
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON-serialisable")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_decoder = msgspec.json.Decoder()
REFUSED = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What msgspec raises for a text that it does not read."""


def dumps(value: object) -> bytes:
    """Compact UTF-8 JSON of plain data."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:  # a lone surrogate: written as an escape
        plain = msgspec.to_builtins(value, enc_hook=_plain, str_keys=True)
        return json.dumps(_finite(plain), separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    """Plain data with null for the numbers that JSON does not have, as msgspec writes them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def dumps_text(value: object) -> str:
    """`dumps` as a str."""
    return dumps(value).decode()


def loads(data: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        JsonError: the text is not JSON, or not UTF-8.
    """
    try:
        return _decoder.decode(data)
    except REFUSED:
        return _loads_slowly(data)


def strict(kind: type[T]) -> Callable[[bytes | str], T]:
    """`typed` for a hot path that has another way: it raises one of REFUSED also for odd text."""
    return msgspec.json.Decoder(kind).decode


def typed(kind: type[T]) -> Callable[[bytes | str], T]:
    """A function from JSON text to one type; unknown fields are ignored.

    Make it once per type: decoding then is several times faster than into dicts. It raises
    JsonError for what is not JSON or does not fit the type.
    """
    fast = msgspec.json.Decoder(kind).decode

    def decode(data: bytes | str) -> T:
        try:
            return fast(data)
        except msgspec.ValidationError:
            raise
        except REFUSED:
            value = _loads_slowly(data)
        try:
            return msgspec.convert(value, kind)
        except UnicodeEncodeError:  # half an emoji where something else is expected
            problem = "text where another type is expected"
        raise msgspec.ValidationError(problem)

    return decode


def _loads_slowly(data: bytes | str) -> Any:
    try:
        return json.loads(data if isinstance(data, str) else str(data, "utf-8-sig"))
    except RecursionError:
        problem = "JSON is nested too deeply"
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are both
        problem = str(error)
    raise JsonError(problem)  # here, without a context, which would hold the whole text


def mend_surrogates(text: str) -> str:
    """Joins surrogate halves that a server sent in two chunks into the character they mean."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return text

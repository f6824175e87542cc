"""One door for JSON: fast for the usual, right for the unusual."""

from __future__ import annotations

import json
from types import MappingProxyType

import msgspec
import pytest
from hypothesis import given
from support.strategies import json_values

from beluga_llm import _json
from beluga_llm._frozen import freeze


class Point(msgspec.Struct):
    x: int = 0
    name: str = ""


@given(json_values)
def test_what_is_written_is_read(value: object) -> None:
    assert _json.loads(_json.dumps(value)) == value
    assert _json.loads(_json.dumps_text(freeze(value))) == value
    assert json.loads(_json.dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a" 1}',
        b'{"name": "\xff"}',
        b"\xff",
        "[" * 100_000,
        "1" * 5000,
        '{"a": "x"}'.encode("utf-16"),
    ],
    ids=["empty", "cut", "wrong", "half utf-8", "no utf-8", "deep", "long", "utf-16"],
)
def test_damaged_text_is_one_kind_of_error(text: str | bytes) -> None:
    with pytest.raises(_json.JsonError):
        _json.loads(text)
    with pytest.raises(_json.JsonError):
        _json.typed(Point)(text)


def test_half_a_character_is_read_and_written() -> None:
    half = {"a": "\ud83d"}
    assert _json.loads('{"a": "\\ud83d"}') == half
    assert _json.loads('{"a": "\ud83d"}') == half
    assert _json.dumps(half) == b'{"a":"\\ud83d"}'
    assert _json.typed(Point)('{"name": "\\ud83d", "x": 1}') == Point(1, "\ud83d")


def test_half_a_character_where_a_number_should_be_is_an_error() -> None:
    with pytest.raises(_json.JsonError, match="text where another type is expected"):
        _json.typed(Point)('"\\ud83d"')


def test_both_ways_to_write_give_the_same() -> None:
    """A lone surrogate elsewhere in the data changes nothing of the rest."""
    value = {
        "n": float("nan"),
        "i": float("-inf"),
        "b": b"ab",
        "t": (1, freeze({"k": [2]})),
        3: {4},
    }
    usual = json.loads(_json.dumps(value))
    unusual = json.loads(_json.dumps({**value, "half": "\ud83d"}))
    assert unusual.pop("half") == "\ud83d"
    assert usual == unusual


def test_a_byte_order_mark_and_numbers_beyond_64_bits_are_read() -> None:
    assert _json.loads(b"\xef\xbb\xbf{}") == {}
    assert _json.loads(b"12345678901234567890123456789") == 12345678901234567890123456789
    assert _json.loads("NaN") != 0  # as Python servers write it


def test_relatives_of_plain_types_are_written_as_these() -> None:
    class Markup(str):
        __slots__ = ()

    value = {"m": MappingProxyType({"a": 1}), "s": Markup("x")}
    assert _json.dumps(value) == b'{"m":{"a":1},"s":"x"}'
    assert _json.dumps([value, "\ud83d"]) == b'[{"m":{"a":1},"s":"x"},"\\ud83d"]'


def test_what_is_not_json_says_so() -> None:
    with pytest.raises(TypeError, match="object is not JSON-serialisable"):
        _json.dumps(object())
    with pytest.raises(TypeError, match="object is not JSON-serialisable"):
        _json.dumps({"half": "\ud83d", "x": object()})


def test_a_typed_decoder_ignores_unknown_fields_and_names_the_wrong_one() -> None:
    decode = _json.typed(Point)
    assert decode(b'{"x": 1, "y": 2}') == Point(1)
    with pytest.raises(_json.JsonError, match=r"\$\.x"):
        decode('{"x": "1"}')
    with pytest.raises(_json.JsonError, match=r"\$\.x"):
        decode('{"x": "1", "name": "\\ud83d"}')


@pytest.mark.parametrize("text", ["", "abc", "é", "😀", "\ufeffx", "\ud83d", "a\ude00b"])
def test_mending_leaves_all_else_alone(text: str) -> None:
    assert _json.mend_surrogates(text) == text


def test_mending_joins_halves() -> None:
    assert _json.mend_surrogates("<\ud83d\ude00>") == "<😀>"

"""Arguments that are still arriving."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beluga_llm import partial_args
from beluga_llm._partial_json import NOTHING, partial_value

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)  # fmt: skip
ARGUMENTS = st.dictionaries(st.text(max_size=5), JSON, max_size=4)


def is_part(part: Any, whole: Any, *, growing: bool, last: bool = True) -> bool:
    """Whether a value is what is complete of another one; only the last member may be partial."""
    if isinstance(whole, dict):
        return isinstance(part, dict) and all(
            key in whole
            and is_part(value, whole[key], growing=growing, last=last and place == len(part) - 1)
            for place, (key, value) in enumerate(part.items())
        )
    if isinstance(whole, list):
        return (
            isinstance(part, list)
            and len(part) <= len(whole)
            and all(
                is_part(value, whole[place], growing=growing, last=last and place == len(part) - 1)
                for place, value in enumerate(part)
            )
        )
    if isinstance(whole, str) and growing and last:
        return isinstance(part, str) and whole.startswith(part)
    return type(part) is type(whole) and part == whole


@pytest.mark.row("TOOL-24")
@settings(max_examples=40)
@given(ARGUMENTS, st.booleans(), st.sampled_from([None, 1]), st.booleans())
def test_every_cut_shows_what_is_complete(
    arguments: dict[str, Any], ascii_only: bool, indent: int | None, growing: bool
):
    text = json.dumps(arguments, ensure_ascii=ascii_only, indent=indent)
    for end in range(len(text)):
        found = partial_args(text[:end], growing=growing)
        assert is_part(found, arguments, growing=growing), text[:end]
    assert partial_args(text, growing=growing) == arguments


@pytest.mark.row("TOOL-24")
@given(st.text(st.sampled_from('{}[]",:\\ \n0123.eE-+truefalsnuld8b\ud83d\ude00é\0')))
def test_nothing_is_raised_whatever_the_text(text: str):
    assert isinstance(partial_args(text), dict)
    assert isinstance(partial_args(text, growing=True), dict)


@pytest.mark.row("TOOL-24")
@pytest.mark.parametrize(
    ("text", "complete", "growing"),
    [
        ("", {}, {}),
        ("{", {}, {}),
        ('{"cit', {}, {}),
        ('{"city": "Par', {}, {"city": "Par"}),
        ('{"city": "Paris"', {"city": "Paris"}, {"city": "Paris"}),
        ('{"a": 12', {}, {}),
        ('{"a": 12,', {"a": 12}, {"a": 12}),
        ('{"a": -1.5e', {}, {}),
        ('{"a": "x 12', {}, {"a": "x 12"}),
        ('{"a": "\\"12', {}, {"a": '"12'}),
        ('{"a": tru', {}, {}),
        ('{"a": true', {"a": True}, {"a": True}),
        ('{"a": [1, 2', {"a": [1]}, {"a": [1]}),
        ('{"a": {"b": [], "c": "d', {"a": {"b": []}}, {"a": {"b": [], "c": "d"}}),
        ('{"a": "\\ud83d', {}, {"a": ""}),
        ('{"a": "\\ud83d"}', {"a": "\ud83d"}, {"a": "\ud83d"}),
        ("[1, 2]", {}, {}),
        ("12", {}, {}),
        ('"text"', {}, {}),
        # damaged: what stands before the damage
        ('{"a": 1, b: 2}', {"a": 1}, {"a": 1}),
        ('{"a": 1, "b": "x\ny", "c": 3}', {"a": 1}, {"a": 1, "b": "x"}),
        ('{"a": 1,\n"é": 2,\n"c": NaN, "d": 4', {"a": 1, "é": 2}, {"a": 1, "é": 2}),
        ('{"a": 1} and more', {"a": 1}, {"a": 1}),
        ("no JSON", {}, {}),
    ],
)
def test_examples(text: str, complete: dict[str, Any], growing: dict[str, Any]):
    assert partial_args(text) == complete
    assert partial_args(text, growing=True) == growing


def test_depth_has_an_end():
    text = '{"a":' * 5000
    found = partial_args(text)
    depth = 0
    while found:
        found, depth = found.get("a", {}), depth + 1
    assert depth > 100


def test_any_value_may_grow():
    assert partial_value("") is NOTHING
    assert partial_value("1") is NOTHING
    assert partial_value('["a", "b') == ["a", "b"]
    assert partial_value('["a", "b', growing=False) == ["a"]
    assert partial_value('"te') == "te"

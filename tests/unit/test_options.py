"""Options: layers, ranges, and what is said of a wrong one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import json_objects

from beluga_llm._errors import InvalidRequestError
from beluga_llm._option_ranges import option_problems
from beluga_llm._option_types import ReasoningConfig, ReasoningEffort, ResponseFormat, Timeouts
from beluga_llm._options import (
    NO_OPTIONS,
    OPTION_NAMES,
    UNSET,
    GenerateOptions,
    check_keywords,
    merge_deeply,
    merge_options,
)
from beluga_llm._validate import check_options

VALUES: dict[str, Any] = {
    "model": "m",
    "temperature": 0.0,
    "max_tokens": 1,
    "top_p": 0.0,
    "top_k": 1,
    "stop": ("\n",),
    "seed": 0,
    "n": 2,
    "frequency_penalty": -2.0,
    "presence_penalty": 2,
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": {"50256": -100},
    "user": "u",
    "response_format": ResponseFormat.json(),
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": ReasoningConfig("low", 10),
    "timeout": 0.5,
    "provider_options": {"openai": {"store": True}},
    "extra_headers": {"x-a": "1"},
    "extra_query": {"a": "1"},
    "extra_body": {"a": {"b": None}},
    "raw": True,
    "metadata": {"trace": 1},
    "validate_history": False,
}


def merged(*layers: Any) -> GenerateOptions:
    options = NO_OPTIONS
    for layer in layers:
        options = merge_options(options, layer)
    return options


def problem(**options: Any) -> str:
    (found,) = option_problems(merged(options))
    return found


def test_every_option_is_tried_here() -> None:
    assert set(VALUES) == OPTION_NAMES


@pytest.mark.row("OPTI-01", "OPTI-04", "OPTI-06")
@pytest.mark.parametrize("name", VALUES)
def test_an_option_is_kept_as_given_and_absent_by_default(name: str) -> None:
    options = merged({name: VALUES[name]})
    assert getattr(options, name) == VALUES[name]
    assert options == GenerateOptions(**{name: VALUES[name]})
    assert option_problems(options) == []
    assert merged() == GenerateOptions() == NO_OPTIONS
    assert option_problems(merged()) == []


@pytest.mark.row("OPTI-03")
@pytest.mark.parametrize("as_object", [False, True])
@pytest.mark.parametrize("name", VALUES)
def test_none_does_not_unset_and_unset_does(name: str, as_object: bool) -> None:
    low = {name: VALUES[name]}
    assert merged(low, {name: None}) == merged(low, None) == merged(low, NO_OPTIONS) == merged(low)
    high = {name: UNSET}
    assert merged(low, GenerateOptions(**high) if as_object else high) == NO_OPTIONS


@pytest.mark.row("OPTI-03")
def test_the_higher_layer_wins() -> None:
    options = merged(
        {"temperature": 0.1, "seed": 1, "raw": True, "stop": "a"},
        GenerateOptions(temperature=0.2, top_p=0.2),
        {"temperature": 0.3, "raw": False, "stop": ["b", "c"]},
    )
    assert options == GenerateOptions(temperature=0.3, seed=1, top_p=0.2, stop=("b", "c"))


@pytest.mark.row("SCHE-30")
def test_merging_changes_neither_layer() -> None:
    low = {"extra_body": {"a": {"b": 1}}}
    high = {"extra_body": {"a": {"c": 2}}}
    options = merged(low, high)
    high["extra_body"]["a"]["c"] = 3
    assert low == {"extra_body": {"a": {"b": 1}}}
    assert options.extra_body == {"a": {"b": 1, "c": 2}}
    with pytest.raises(TypeError, match="read-only"):
        options.extra_body["a"]["d"] = 1  # type: ignore[index]  # the point


@pytest.mark.row("OPTI-12", "OPTI-24")
def test_mappings_are_merged() -> None:
    options = merged(
        {
            "provider_options": {"openai": {"a": 1, "b": 1}, "xai": {"c": 1}},
            "extra_headers": {"x": "1", "y": "1"},
            "extra_body": {"a": {"b": 1, "c": 1}, "d": 1},
            "metadata": {"x": 1},
        },
        {
            "provider_options": {"openai": {"b": 2}},
            "extra_headers": {"y": "2"},
            "extra_body": {"a": {"c": None}, "d": {"e": 2}},
            "metadata": {"y": 2},
        },
    )
    assert options.provider_options == {"openai": {"a": 1, "b": 2}, "xai": {"c": 1}}
    assert options.extra_headers == {"x": "1", "y": "2"}
    assert options.extra_body == {"a": {"b": 1, "c": None}, "d": {"e": 2}}
    assert options.metadata == {"x": 1, "y": 2}


@pytest.mark.row("OPTI-24")
@given(json_objects, json_objects)
def test_deep_merging_keeps_what_the_higher_one_says(low: Any, high: Any) -> None:
    together = merge_deeply(low, high)
    assert together.keys() == low.keys() | high.keys()
    assert merge_deeply(together, high) == together
    assert merge_deeply(low, {}) == merge_deeply({}, low) == merge_deeply(low, low) == low


@pytest.mark.row("OPTI-07")
@pytest.mark.parametrize(
    ("stop", "kept"), [("a", ("a",)), (["a", "b"], ("a", "b")), ((), ()), ([], ())]
)
def test_stop_is_a_tuple(stop: Any, kept: tuple[str, ...]) -> None:
    assert GenerateOptions(stop=stop).stop == merged({"stop": stop}).stop == kept


@pytest.mark.row("REAS-03")
def test_shortcuts_set_one_field_across_layers() -> None:
    options = merged(
        {"reasoning": ReasoningConfig(include=False)},
        {"reasoning_effort": "low"},
        {"reasoning_budget": 1024},
    )
    assert options.reasoning == ReasoningConfig("low", 1024, include=False)
    assert merged({"reasoning_effort": "x"}).reasoning == ReasoningConfig("x")
    assert merged({"reasoning_effort": None}).reasoning in (None, ReasoningConfig())


@pytest.mark.row("REAS-03", "OPTI-03")
def test_unset_takes_one_field_away() -> None:
    low = {"reasoning": ReasoningConfig("low", 1024)}
    assert merged(low, {"reasoning_effort": UNSET}).reasoning == ReasoningConfig(None, 1024)
    assert merged(low, {"reasoning_budget": UNSET}).reasoning == ReasoningConfig("low")


@pytest.mark.row("REAS-04")
def test_a_whole_config_replaces_and_shortcuts_of_its_layer_come_after() -> None:
    low = {"reasoning_effort": "high", "reasoning_budget": 9}
    whole = ReasoningConfig(budget_tokens=5)
    assert merged(low, {"reasoning": whole}).reasoning == whole
    mixed = merged(low, {"reasoning_effort": "low", "reasoning": whole})
    assert mixed.reasoning == ReasoningConfig("low", 5)


@pytest.mark.row("REAS-01")
def test_efforts_are_words() -> None:
    assert " ".join(ReasoningEffort) == "none minimal low medium high xhigh max"
    for effort in (*ReasoningEffort, "ultra"):
        assert option_problems(merged({"reasoning_effort": effort})) == []


@pytest.mark.row("OPTI-08", "OPTI-09")
def test_response_formats() -> None:
    schema = {"type": "object"}
    strict = ResponseFormat.json_schema(schema)
    schema["type"] = "array"
    assert strict == ResponseFormat("json_schema", {"type": "object"}, "response", strict=True)
    assert (ResponseFormat.text().type, ResponseFormat.json().type) == ("text", "json")
    named = ResponseFormat.json_schema({}, name="n", strict=False, description="d")
    assert (named.name, named.strict, named.description) == ("n", False, "d")


@pytest.mark.row("OPTI-23")
def test_timeouts() -> None:
    limits = Timeouts()
    assert (limits.connect, limits.first_chunk, limits.idle) == (10, 300, 120)
    assert (limits.keepalive, limits.whole, limits.total) == (600, 600, None)
    assert Timeouts.of(3) == Timeouts(total=3)
    assert Timeouts.of(None) == limits
    assert Timeouts.of(limits) is limits


@pytest.mark.row("OPTI-01")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temprature", "unknown option 'temprature'; did you mean 'temperature'?"),
        ("max_token", "unknown option 'max_token'; did you mean 'max_tokens'?"),
        ("reasoning_efort", "unknown option 'reasoning_efort'; did you mean 'reasoning_effort'?"),
        ("qqqq", "unknown option 'qqqq'"),
    ],
)
def test_an_unknown_keyword_names_the_nearest(name: str, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        check_keywords({name: 1})
    assert str(caught.value) == text


def test_known_keywords_pass() -> None:
    check_keywords({**VALUES, "reasoning_effort": "low", "reasoning_budget": 1})
    check_keywords({"tools": ()}, frozenset(("tools",)))


@pytest.mark.row(
    "OPTI-28", "OPTI-04", "OPTI-05", "OPTI-06", "OPTI-14", "OPTI-15", "OPTI-16", "OPTI-17",
    "OPTI-18", "OPTI-19", "OPTI-30",
)  # fmt: skip
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"temperature": 3}, "temperature must be between 0.0 and 2.0, got 3"),
        ({"temperature": "1"}, "temperature must be between 0.0 and 2.0, got '1'"),
        ({"temperature": True}, "temperature must be between 0.0 and 2.0, got True"),
        ({"temperature": float("nan")}, "temperature must be between 0.0 and 2.0, got nan"),
        ({"max_tokens": 0}, "max_tokens must be an integer of at least 1, got 0"),
        ({"max_tokens": True}, "max_tokens must be an integer of at least 1, got True"),
        ({"max_tokens": 1.0}, "max_tokens must be an integer of at least 1, got 1.0"),
        ({"top_p": 1.1}, "top_p must be between 0.0 and 1.0, got 1.1"),
        ({"top_k": 0}, "top_k must be an integer of at least 1, got 0"),
        ({"stop": [1]}, "stop must be a str or a sequence of str, got (1,)"),
        ({"seed": 1.5}, "seed must be an integer, got 1.5"),
        ({"n": 0}, "n must be an integer of at least 1, got 0"),
        ({"frequency_penalty": -3}, "frequency_penalty must be between -2.0 and 2.0, got -3"),
        ({"presence_penalty": 3}, "presence_penalty must be between -2.0 and 2.0, got 3"),
        ({"logprobs": 1}, "logprobs must be a bool, got 1"),
        ({"top_logprobs": 21}, "top_logprobs must be an integer between 0 and 20, got 21"),
        (
            {"logit_bias": {"a": 101}},
            "logit_bias['a'] must be an integer between -100 and 100, got 101",
        ),
        ({"logit_bias": 1}, "logit_bias must be a mapping of token to bias, got 1"),
        ({"logit_bias": {1: 2}}, "logit_bias must be a mapping of str to int, got the key 1"),
        ({"user": 1}, "user must be a str, got 1"),
        ({"model": 1}, "model must be a str, got 1"),
        ({"response_format": "json"}, "response_format must be a ResponseFormat, got 'json'"),
        ({"tool_choice": 1}, "tool_choice must be a str, got 1"),
        ({"parallel_tool_calls": 0}, "parallel_tool_calls must be a bool, got 0"),
        ({"reasoning": "low"}, "reasoning must be a ReasoningConfig, got 'low'"),
        ({"reasoning_effort": 1}, "reasoning_effort must be a str, got 1"),
        ({"reasoning_budget": -2}, "reasoning_budget must be an integer of at least 0, got -2"),
        ({"timeout": 0}, "timeout must be > 0 seconds or Timeouts, got 0"),
        ({"timeout": True}, "timeout must be > 0 seconds or Timeouts, got True"),
        ({"timeout": Timeouts(idle=-1)}, "timeout.idle must be > 0 seconds or None, got -1"),
        (
            {"timeout": Timeouts(keepalive=-1)},
            "timeout.keepalive must be >= 0 seconds or None, got -1",
        ),
        (
            {"provider_options": {"openai": 1}},
            "provider_options must be a mapping of provider name to a mapping, got {'openai': 1}",
        ),
        (
            {"timeout": Timeouts(keepalive=0, idle=None), "n": 0},
            "n must be an integer of at least 1, got 0",
        ),
        ({"extra_headers": "a"}, "extra_headers must be a mapping of str to str, got str"),
        ({"extra_headers": {"a": "b\r\nc"}}, "extra_headers['a'] must not contain a line break"),
        ({"extra_body": 1}, "extra_body must be a mapping, got 1"),
        ({"raw": 1}, "raw must be a bool, got 1"),
        ({"metadata": 1}, "metadata must be a mapping, got 1"),
        ({"validate_history": 1}, "validate_history must be a bool, got 1"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(options: dict[str, Any], text: str) -> None:
    assert problem(**options) == text


@pytest.mark.row("REAS-11")
def test_a_budget_may_be_left_to_the_model() -> None:
    assert option_problems(merged({"reasoning_budget": -1})) == []
    assert "got -1.0" in problem(reasoning_budget=-1.0)


@pytest.mark.row("OPTI-28")
def test_a_header_that_is_no_text_is_named_without_its_value() -> None:
    text = problem(extra_headers={"a": 12345})
    assert text.startswith("extra_headers must be a mapping of str to str, got a")
    assert "12345" not in text


@pytest.mark.row("OPTI-28")
def test_all_problems_are_told_in_the_order_of_the_fields() -> None:
    found = option_problems(GenerateOptions(n=0, temperature=3))
    assert [text.split()[0] for text in found] == ["temperature", "n"]


@pytest.mark.row("OPTI-28")
@given(st.floats(allow_nan=False) | st.integers())
def test_a_range_is_a_range(value: float) -> None:
    assert (option_problems(GenerateOptions(temperature=value)) == []) == (0 <= value <= 2)


_layers = st.sets(st.sampled_from(sorted(VALUES))).map(lambda names: {n: VALUES[n] for n in names})


@pytest.mark.row("OPTI-03")
@given(_layers, _layers)
def test_a_layer_may_be_keywords_or_an_object(low: dict[str, Any], high: dict[str, Any]) -> None:
    assert merged(low, GenerateOptions(**high)) == merged(low, high) == merged({**low, **high})


@pytest.mark.row("OPTI-01")
def test_an_unknown_field_of_the_object_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="unknown option 'temprature'; did you mean 'temperature'"):
        GenerateOptions(temprature=1)  # type: ignore[call-arg]  # the point


@pytest.mark.row("OPTI-17")
@pytest.mark.parametrize("n", [1, 2])
def test_several_answers_are_no_structured_output(n: int) -> None:
    options = GenerateOptions(n=n, response_format=ResponseFormat.json_schema({}))
    if n == 1:
        check_options(options, ())
    else:
        with pytest.raises(InvalidRequestError, match="n cannot be combined"):
            check_options(options, ())


@pytest.mark.row("OPTI-01")
def test_options_have_names() -> None:
    with pytest.raises(TypeError, match="positional"):
        GenerateOptions("gpt-4o")  # type: ignore[call-arg,misc]  # the point

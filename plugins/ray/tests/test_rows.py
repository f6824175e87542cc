"""Cells to conversations, answers and errors to columns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import beluga_llm as llm
from beluga_llm import AIMessage, HumanMessage, SystemMessage, Usage
from beluga_llm_ray._rows import COLUMNS, answered, conversation, failed, json_text
from beluga_llm_ray._settings import Settings
from beluga_llm_ray._tables import questions

pytestmark = pytest.mark.row("DIST-03")


def test_a_text_is_a_prompt():
    assert conversation("Hi") == "Hi"


def test_messages_are_those_of_chat_completions_with_the_nulls_of_arrow():
    cell = [
        {"role": "system", "content": "Be kind.", "name": None, "tool_calls": None},
        {"role": "user", "content": "Hi", "name": "Ada", "tool_calls": None},
    ]
    assert conversation(cell) == [SystemMessage("Be kind."), HumanMessage("Hi", name="Ada")]


def test_messages_may_be_what_to_dict_gives():
    said = [HumanMessage("Hi"), AIMessage("Hello")]
    assert conversation([llm.to_dict(one) for one in said]) == said


@pytest.mark.parametrize("cell", [None, {"role": "robot", "content": "x"}, [None]])
def test_what_asks_nothing_is_an_error_of_ours(cell: Any):
    with pytest.raises(llm.InvalidRequestError):
        conversation(cell)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.sampled_from(["role", "content", "tool_calls", "type", "parts", "v", "tool_call_id"])
ROLES = st.sampled_from(["user", "system", "assistant", "tool"])


@given(JSON | st.dictionaries(FIELDS, JSON | ROLES) | st.lists(st.dictionaries(FIELDS, JSON)))
def test_every_cell_is_a_conversation_or_a_failure(cell: Any):
    outcome = answered(AIMessage("4"), Usage(), None)
    try:
        conversation(cell)
    except llm.InvalidRequestError as error:
        outcome = failed(error)
    assert set(outcome) == set(COLUMNS)


def test_an_answer_fills_its_columns():
    message = AIMessage("4", finish_reason="stop", usage=Usage(3, 1))
    found = answered(message, message.usage, None)
    assert list(found) == list(COLUMNS)
    assert (found["text"], found["finish_reason"], found["error"]) == ("4", "stop", None)
    assert found["usage"]["input_tokens"] == 3
    assert found["usage"]["cached_tokens"] is None


def test_what_was_not_reported_is_null():
    assert answered(AIMessage("4"), Usage(), None)["usage"] is None
    assert answered(AIMessage("4"), Usage(10**30, 1), None)["usage"]["input_tokens"] is None


def test_half_an_emoji_does_not_end_the_job():
    assert answered(AIMessage("a\ud83d"), Usage(), None)["text"] == "a?"
    assert failed(ValueError("a\ud83d"))["error"] == "ValueError: a?"


def test_a_failure_has_a_code_and_a_text():
    found = failed(llm.RateLimitError("slow down", provider="acme", status=429))
    assert found["error_code"] == "rate_limit"
    assert found["error"] == "[acme] rate_limit: slow down (status 429)"
    assert found["text"] is None
    assert failed(KeyError("x"))["error_code"] == "error"


def test_a_failure_may_have_cost_tokens():
    error = llm.StructuredOutputError("no", usage=Usage(5, 2))
    assert failed(error)["usage"]["total_tokens"] == 7


def test_values_become_json():
    pydantic = pytest.importorskip("pydantic")

    @dataclass
    class Place:
        name: str

    kind = pydantic.create_model("Model", at=(int, ...))
    assert json_text(Place("Lisbon"), Place) == '{"name":"Lisbon"}'
    assert json_text([kind(at=1)], list[kind]) == '[{"at":1}]'
    assert json_text([1, 2], pydantic.TypeAdapter(list[int])) == "[1,2]"
    assert json.loads(json_text(llm.Usage(1, 2), llm.Usage))["total_tokens"] == 3
    with pytest.raises(TypeError, match="object is not JSON"):
        json_text(object(), object)


class Table:
    """As much of an Arrow table as is read of it."""

    def __init__(self, **columns: list[Any]) -> None:
        self.columns = columns
        self.column_names = list(columns)

    def column(self, name: str) -> Table:
        return Table(**{name: self.columns[name]})

    def to_pylist(self) -> list[Any]:
        if len(self.columns) == 1:
            return next(iter(self.columns.values()))
        rows = zip(*self.columns.values(), strict=True)
        return [dict(zip(self.columns, row, strict=True)) for row in rows]


def test_questions_are_a_column():
    settings = Settings(model="mock", prompt="q")
    assert questions(Table(id=[1, 2], q=["a", "b"]), settings) == ["a", "b"]


def test_questions_may_be_made_of_rows_and_failures_are_theirs():
    settings = Settings(model="mock", prompt=lambda row: f"{row['a']}/{1 // row['b']}")
    first, second = questions(Table(a=["x", "y"], b=[1, 0]), settings)
    assert first == "x/1"
    assert isinstance(second, ZeroDivisionError)


def test_a_column_that_is_missing_ends_the_job():
    with pytest.raises(llm.ConfigError, match=r"no column 'q' \(it has: id\)"):
        questions(Table(id=[1]), Settings(model="mock", prompt="q"))


def test_no_column_is_overwritten():
    with pytest.raises(llm.ConfigError, match="already: 'text'; give a prefix"):
        questions(Table(text=["a"]), Settings(model="mock", prompt="text"))
    settings = Settings(model="mock", prompt="text", prefix="answer_")
    assert questions(Table(text=["a"]), settings) == ["a"]

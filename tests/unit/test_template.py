"""A template reads only frames that are its own but for their text, and reads them right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beluga_llm._http.template import Template

PIECES = ['"', "\\", "a", "é", "\U0001f40b", '"content":"', '","finish_reason"', "\n", "}", " "]
TEXT = st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(max_size=4)
PADDING = st.none() | st.sampled_from(["", "x", "abc"])
SPELLING = st.sampled_from([{}, {"separators": (",", ":")}, {"ensure_ascii": False}])
DELTA = {"role": "assistant", "reasoning": None}


def frame(text: str, padding: str | None, spelling: dict[str, Any]) -> bytes:
    found: dict[str, Any] = {
        "id": "c1",
        "choices": [{"index": 0, "delta": {**DELTA, "content": text}, "finish_reason": None}],
    }
    if padding is not None:
        found["obfuscation"] = padding
    return json.dumps(found, **spelling).encode()


def said(data: bytes) -> tuple[str, dict[str, Any]]:
    """The text of a frame, and what else is in it."""
    found = json.loads(data)
    text = found["choices"][0]["delta"].pop("content")
    found.pop("obfuscation", None)
    return text, found


@given(TEXT, TEXT, PADDING, st.data(), SPELLING)
def test_frames_that_are_alike_are_read(
    first: str, then: str, padding: str | None, data: st.DataObject, spelling: dict[str, Any]
) -> None:
    template = Template.of(frame(first, padding, spelling), "content", first)
    assert template is not None
    other = None if padding is None else data.draw(st.sampled_from(["", "y", "abcdef"]))
    assert template.text(frame(then, other, spelling)) == then


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """A frame in which bytes are put, taken away or repeated."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(found)))
        end = min(len(found), at + draw(st.integers(0, 6)))
        more = draw(
            st.sampled_from([b"", b'"', b"\\", b"x", b'","content":"', b'"content" :"b",', b"\xff"])
        )
        found[at:end] = more or found[at:end] * 2
    return bytes(found)


@given(TEXT, PADDING, st.data(), SPELLING)
def test_what_is_read_is_what_the_frame_says(
    text: str, padding: str | None, data: st.DataObject, spelling: dict[str, Any]
) -> None:
    whole = frame(text, padding, spelling)
    template = Template.of(whole, "content", text)
    assert template is not None
    other = data.draw(damaged(whole))
    if (found := template.text(other)) is not None:
        assert said(other) == (found, said(whole)[1])


@pytest.mark.parametrize(
    "data",
    [
        b'{"text":"a"}',  # no such field
        b'{"content":null}',
        b'{"content":"a","content":"a"}',  # the last one counts
        b'{"content":"a","content" :"a"}',
        b'{"content":"a","\\u0063ontent":"a"}',
        b'{"type":"content","content":"a"}',
        b'{"content":"b"}',  # another text than was read
    ],
)
def test_what_may_mean_something_else_is_no_template(data: bytes) -> None:
    assert Template.of(data, "content", "a") is None


@pytest.mark.parametrize(
    "data",
    [
        b'{"content":"a","obfuscation":"b","more":1}',
        b'{"content":"a\xff","obfuscation":"b"}',
        b'{"content":"a","obfuscation":"b\xff"}',
        b'{"content":"a","padding":"b"}',
        b'{"content":"obfuscation":"b"}',
        b'{"content":"',
        b'"}',
    ],
)
def test_what_is_not_alike_is_not_read(data: bytes) -> None:
    template = Template.of(b'{"content":"x","obfuscation":"y"}', "content", "x")
    assert template is not None
    assert template.text(data) is None

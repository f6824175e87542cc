"""Corners of the testing kit that no usual recording comes to."""

from __future__ import annotations

import sys

import pytest

import beluga_llm as llm
from beluga_llm.testing import MockChatModel, pytest_plugin
from beluga_llm.testing._error_json import error_data, error_of
from beluga_llm.testing._recorded_bytes import _loaded
from beluga_llm.testing._recorded_calls import _keys


def test_a_body_that_is_no_json_is_kept_as_text():
    assert _loaded(b"{half") == "{half"
    assert _loaded(None) is None


def test_an_error_of_a_class_that_is_gone_is_told_by_its_name():
    error = error_of({"class": "GoneError", "message": "no"})
    assert (type(error), str(error)) == (RuntimeError, "GoneError: no")


def test_an_error_of_a_class_of_others_is_recorded_as_ours():
    class RateLimitError(llm.RateLimitError):
        """Named as ours, and another class."""

    assert error_data(RateLimitError("slow"))["class"] == "RateLimitError"


def test_a_model_without_a_key_has_none_to_hide():
    assert list(_keys(MockChatModel(["hi"]))) == []


@pytest.mark.row("TEST-32")
def test_the_fixtures_of_opentelemetry_fail_without_its_sdk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    with pytest.raises(pytest.fail.Exception, match="pip install opentelemetry-sdk"):
        pytest_plugin._needs_sdk()

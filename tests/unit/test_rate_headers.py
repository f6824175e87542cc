"""What headers say of rate limits, in one normal form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beluga_llm._http.rate_headers import exhausted, rate_limit, retry_after, until_reset

pytestmark = pytest.mark.row("RATE-13")

DATE = "Thu, 21 Aug 2025 12:40:00 GMT"
SENT = 1755780000.0  # the same moment


def normal(now: float = SENT, **headers: str) -> dict[str, Any]:
    return rate_limit({name.replace("_", "-"): text for name, text in headers.items()}, now=now)


def test_openai_and_whoever_names_headers_like_it():
    assert normal(
        x_ratelimit_limit_requests="500",
        x_ratelimit_remaining_requests="499",
        x_ratelimit_reset_requests="120ms",
        x_ratelimit_limit_tokens="30000",
        x_ratelimit_remaining_tokens="0",
        x_ratelimit_reset_tokens="6m0s",
        content_type="application/json",
    ) == {
        "requests": {"limit": 500, "remaining": 499, "reset": 0.12},
        "tokens": {"limit": 30000, "remaining": 0, "reset": 360.0},
    }


def test_anthropic():
    assert normal(
        date=DATE,
        now=0.0,
        anthropic_ratelimit_requests_limit="50",
        anthropic_ratelimit_requests_remaining="49",
        anthropic_ratelimit_requests_reset="2025-08-21T12:40:02Z",
        anthropic_ratelimit_input_tokens_remaining="80000",
        anthropic_ratelimit_input_tokens_reset="2025-08-21T12:39:59Z",
    ) == {
        "requests": {"limit": 50, "remaining": 49, "reset": 2.0},
        "input_tokens": {"remaining": 80000, "reset": 0.0},
    }


def test_periods_are_a_part_of_the_name():
    assert normal(
        x_ratelimit_limit_req_minute="60",
        x_ratelimit_remaining_tokens_month="3950246",
        x_ratelimit_reset_requests_day="33011.25",
    ) == {
        "requests_minute": {"limit": 60},
        "tokens_month": {"remaining": 3950246},
        "requests_day": {"reset": 33011.25},
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (" 11.5 ", 11.5),
        ("1s", 1.0),
        ("2m59.56s", 179.56),
        ("1h30m", 5400.0),
        ("1d", 86400.0),
        ("250us", 0.00025),
        ("3ns", 3e-9),
        ("1755780012", 12.0),
        ("1755780000500", 0.5),
        ("2025-08-21T12:40:01.5Z", 1.5),
        ("2025-08-21T14:40:03+02:00", 3.0),
        ("2025-08-21T12:40:04", 4.0),
        ("2025-08-21T12:00:00Z", 0.0),
    ],
)
def test_the_forms_of_a_reset(text: str, seconds: float):
    facts = normal(x_ratelimit_remaining="0", x_ratelimit_reset=text)
    assert facts == {"requests": {"remaining": 0, "reset": pytest.approx(seconds)}}


@pytest.mark.parametrize("text", ["-1", "", "soon", "1s2", "1x", "nan", "99999-99-99", "1e3"])
def test_what_cannot_be_read_is_left_out(text: str):
    assert normal(x_ratelimit_reset_tokens=text, x_ratelimit_limit_tokens=text) == {}


def test_other_headers_are_none_of_ours():
    assert normal(
        x_ratelimit_over_limit="no",
        x_ratelimit_tokens_query_cost="2804",
        x_my_ratelimit_limit="7",
        ratelimit_policy="10;w=1",
        x_request_id="req_1",
    ) == {}  # fmt: skip


@pytest.mark.row("RETR-06")
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Thu, 21 Aug 2025 12:40:03 GMT"}, 3.0),
        ({"retry-after": "Thu, 21 Aug 2025 12:40:03 GMT", "date": DATE}, 3.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_when_to_come_back(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers, now=SENT) == seconds
    assert rate_limit(headers, now=SENT).get("retry_after") == seconds


def test_a_date_has_whole_seconds_and_is_never_too_early():
    """A server that means one second writes a moment that is up to one second less away."""
    said = {"retry-after": "Thu, 21 Aug 2025 12:40:01 GMT"}
    assert retry_after(said, now=SENT + 0.7) == 1.0


def test_what_is_exhausted_says_when_it_is_filled():
    facts = normal(
        x_ratelimit_limit_requests="10",
        x_ratelimit_remaining_requests="0",
        x_ratelimit_reset_requests="6s",
        x_ratelimit_remaining_tokens="0",
        x_ratelimit_reset_tokens="2s",
        x_ratelimit_remaining_days="1",
        x_ratelimit_reset_days="9s",
        x_ratelimit_limit_nothing="0",
        x_ratelimit_remaining_nothing="0",
        x_ratelimit_reset_nothing="60s",
        x_ratelimit_remaining_never="0",
        retry_after="3",
    )
    assert list(exhausted(facts)) == [(6.0, 10), (2.0, None)]
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6s"}
    assert until_reset(headers, now=0) == 6.0
    assert until_reset({}, now=0) is None


words = st.sampled_from(["x", "anthropic", "ratelimit", "limit", "remaining", "reset", "tokens"])
names = st.lists(words, min_size=1, max_size=6).map("-".join)
texts = st.one_of(st.text(max_size=30), st.from_regex(r"[0-9]{1,20}(\.[0-9]+)?(ms|s|m|h)?"))


@given(st.dictionaries(names | st.just("date"), texts, max_size=8), st.floats(0, 2e9))
def test_no_header_is_too_strange(headers: dict[str, str], now: float):
    facts = rate_limit({**headers, "retry-after": next(iter(headers.values()), "")}, now=now)
    for bucket in facts.values():
        if isinstance(bucket, dict):
            assert set(bucket) <= {"limit", "remaining", "reset"}
            assert all(value >= 0 for value in bucket.values())

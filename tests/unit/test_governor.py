"""What 429 answers teach."""

from __future__ import annotations

import threading
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beluga_llm import Governor
from beluga_llm._clock import SYSTEM_CLOCK
from beluga_llm._rate.governor import Pass, travel_time
from beluga_llm.testing import VirtualClock

pytestmark = pytest.mark.row("RATE-15", "NONE-01")

KEY = ("acme", "https://acme.test/v1", "0123456789abcdef", "m")


def made() -> tuple[Governor, VirtualClock]:
    clock = VirtualClock()
    return Governor(clock=clock), clock


def passed(governor: Governor) -> Pass:
    answer = governor.take()
    assert isinstance(answer, Pass), answer
    return answer


def wait(governor: Governor) -> float:
    answer = governor.take()
    assert isinstance(answer, float), answer
    return answer


def learned(successes: int, retry_after: float | None = 2.0) -> tuple[Governor, VirtualClock]:
    """A governor that saw so many successes at once, and then a 429."""
    governor, clock = made()
    for _ in range(successes):
        governor.accepted(passed(governor))
    governor.refused(passed(governor), retry_after)
    return governor, clock


def test_without_a_429_everything_passes():
    governor, _ = made()
    for _ in range(1000):
        governor.accepted(passed(governor))
    assert governor.rate is None
    assert governor.closed_for == 0.0
    assert repr(governor) == "<Governor open>"


def test_a_429_closes_the_gate_for_as_long_as_the_provider_asks():
    governor, clock = learned(20, 2.0)
    assert wait(governor) == 2.0
    assert repr(governor) == "<Governor closed for 2.0 s>"
    clock.advance(1.5)
    assert wait(governor) == 0.5
    clock.advance(0.4375)
    assert wait(governor) == 0.0625
    clock.advance(0.0625)
    passed(governor)


def test_it_opens_at_the_rate_that_was_seen():
    governor, clock = learned(20)
    clock.advance(2)
    assert governor.rate == 20.0
    assert repr(governor) == "<Governor 20.0 requests per second>"
    passed(governor)
    assert wait(governor) == pytest.approx(0.05)
    clock.advance(0.05)
    passed(governor)
    assert wait(governor) == pytest.approx(0.05)


def test_only_successes_of_the_last_second_are_seen():
    governor, clock = made()
    for _ in range(3):
        governor.accepted(passed(governor))
    clock.advance(0.5)
    governor.accepted(passed(governor))
    clock.advance(0.5)
    governor.refused(passed(governor), 1.0)
    assert governor.rate == 1.0


def test_a_guess_is_probed_at_once_one_probe_at_a_time():
    governor, clock = learned(0, 1.0)
    clock.advance(1)
    assert governor.rate == 1.0
    passed(governor)
    probe = passed(governor)
    assert wait(governor) == 1.0
    governor.accepted(probe)
    probe = passed(governor)
    assert wait(governor) == 1.0
    governor.left(probe)  # it failed for another reason, or was cancelled
    probe = passed(governor)
    clock.advance(60)  # nothing is heard of it: so is one whose event loop has ended
    passed(governor)
    passed(governor)


def test_a_probe_of_which_nothing_is_heard_is_given_up():
    governor, clock = learned(0, 1.0)
    clock.advance(1)
    passed(governor)
    passed(governor)
    for _ in range(3):
        clock.advance(1)
        passed(governor)
        assert wait(governor) > 0
    clock.advance(57)
    passed(governor)
    passed(governor)


def test_what_was_seen_is_probed_after_five_seconds_without_a_429():
    governor, clock = learned(4, 0.0)
    for _ in range(4):
        passed(governor)
        assert wait(governor) == 0.25
        clock.advance(0.25)
    clock.advance(4)
    passed(governor)
    passed(governor)


def test_the_rate_grows_by_ten_percent_a_second_after_five_seconds():
    governor, clock = learned(20, 0.0)
    clock.advance(5)
    assert governor.rate == 20.0
    clock.advance(1)
    assert governor.rate == pytest.approx(22.0)
    clock.advance(1)
    assert governor.rate == pytest.approx(24.2)
    clock.advance(98)
    assert governor.rate == pytest.approx(20 * 1.1**100)
    clock.advance(1)
    assert governor.rate is None


def test_each_429_without_a_time_closes_for_twice_as_long():
    governor, clock = made()
    closed = []
    for _ in range(7):
        governor.refused(passed(governor))
        closed.append(governor.closed_for)
        clock.advance(governor.closed_for)
    assert closed == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    governor.accepted(passed(governor))
    clock.advance(1)
    governor.refused(passed(governor))
    assert governor.closed_for == 1.0


def test_the_other_429s_of_a_burst_do_not_close_it_anew():
    governor, clock = made()
    burst = [passed(governor) for _ in range(100)]
    governor.refused(burst[50])
    assert governor.closed_for == 1.0
    for one in burst[51:]:
        governor.refused(one)
    assert governor.closed_for == 1.0
    clock.advance(0.25)
    governor.refused(burst[0], 1.0)  # but a time that the provider asks for holds
    assert governor.closed_for == 1.0
    for one in burst[1:21]:
        governor.accepted(one)
    governor.refused(burst[21])
    assert governor.rate == 20.0


def test_answers_to_what_was_sent_before_do_not_reset_the_doubling():
    governor, clock = made()
    early = passed(governor)
    governor.refused(passed(governor))
    governor.accepted(early)
    clock.advance(1)
    governor.refused(passed(governor))
    assert governor.closed_for == 2.0


# --- headers -------------------------------------------------------------------------------------


@pytest.mark.row("RATE-13")
@pytest.mark.parametrize(
    ("facts", "closed", "rate"),
    [
        ({"requests": {"limit": 20, "remaining": 1, "reset": 1.0}}, 0.0, None),
        ({"requests": {"limit": 20, "remaining": 0, "reset": 1.0}}, 1.0, 20.0),
        ({"requests": {"limit": 20, "remaining": 0, "reset": 0.0}}, 0.0, None),
        ({"requests": {"limit": 50, "remaining": 0, "reset": 60.0}}, 5.0, 1.0),
        ({"requests": {"limit": 2, "remaining": 0, "reset": 60.0}}, 30.0, 1.0),
        ({"requests": {"remaining": 0, "reset": 60.0}}, 60.0, None),
        ({"requests": {"limit": 0, "remaining": 0, "reset": 60.0}}, 0.0, None),
        ({"retry_after": 3.0}, 3.0, None),
        ({"requests": {"remaining": 0, "reset": 2.0}, "tokens": {"remaining": 0, "reset": 4.0}},
         4.0, None),
    ],
)  # fmt: skip
def test_an_empty_bucket_closes_the_gate(facts: dict, closed: float, rate: float | None):
    governor, _ = made()
    governor.accepted(passed(governor), facts)
    assert (governor.closed_for, governor.rate) == (closed, rate)


@pytest.mark.row("RATE-13")
def test_a_rate_that_429s_taught_is_not_replaced_by_headers():
    governor, clock = learned(20, 1.0)
    clock.advance(1)
    facts = {"requests": {"limit": 5, "remaining": 0, "reset": 1.0}}
    governor.accepted(passed(governor), facts)
    assert governor.rate == 20.0


# --- who shares one ------------------------------------------------------------------------------


def test_one_for_each_state_key_and_clock():
    clock, other = VirtualClock(), VirtualClock()
    first = Governor.of(KEY, clock=clock)
    assert Governor.of((*KEY,), clock=clock) is first
    for place in range(4):
        key = [*KEY]
        key[place] = "other"
        assert Governor.of((key[0], key[1], key[2], key[3]), clock=clock) is not first
    assert Governor.of(KEY, clock=other) is not first
    assert Governor.of(KEY) is Governor.of(KEY)


def test_idle_ones_are_forgotten():
    clock = VirtualClock()
    first = Governor.of(KEY, clock=clock)
    passed(first)
    clock.advance(300)
    assert Governor.of(KEY, clock=clock) is first
    clock.advance(1)
    second = Governor.of(KEY, clock=clock)
    assert second is not first
    second.refused(passed(second), 1000.0)
    clock.advance(999)
    assert Governor.of(KEY, clock=clock) is second  # it is closed: somebody may be waiting
    clock.advance(1000)
    for number in range(100):
        Governor.of((*KEY[:3], str(number)), clock=clock)
    assert Governor.of(KEY, clock=clock) is not second


def test_threads_count_together():
    governor = Governor(clock=VirtualClock())
    governor.accepted(passed(governor))
    governor.accepted(passed(governor))
    governor.refused(passed(governor), 0.0)
    let_through: deque[bool] = deque()
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        for _ in range(50):
            let_through.append(isinstance(governor.take(), Pass))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(let_through) == 1


def test_requests_count_when_they_reach_the_provider():
    """With a clock that a test moves they do at once; else at their answer, or soon after."""
    assert travel_time(VirtualClock()) == 0.0
    assert travel_time(SYSTEM_CLOCK) == 0.25
    clock = VirtualClock()
    governor = Governor(clock=clock, late=0.25)
    governor.accepted(passed(governor))
    governor.accepted(passed(governor))
    governor.refused(passed(governor), 0.0)
    assert governor.rate == 2.0
    first = passed(governor)
    clock.advance(0.125)
    governor.accepted(first)
    clock.advance(0.375)
    passed(governor)  # never answered: it may have arrived at 0.75
    clock.advance(0.5)
    assert wait(governor) == 0.125  # the first had arrived by 0.125
    clock.advance(0.125)
    passed(governor)
    clock.advance(0.5)
    assert wait(governor) == 0.125


@given(
    st.lists(
        st.tuples(st.sampled_from(["take", "accept", "refuse", "leave", "wait"]), st.floats(0, 3)),
        max_size=80,
    )
)
def test_no_more_than_the_rate_and_one_probe_in_any_second(steps: list[tuple[str, float]]):
    governor, clock = learned(3, 1.0)
    starts: list[float] = []
    running: list[Pass] = []
    last_429 = clock.time()
    highest = 3.0
    for step, amount in steps:
        if step == "wait":
            clock.advance(amount)
        elif step == "take":
            closed = governor.closed_for
            answer = governor.take()
            if isinstance(answer, Pass):
                assert closed <= 1e-9
                starts.append(clock.time())
                running.append(answer)
                highest = max(highest, governor.rate or highest)
            else:
                assert answer > 0
        elif running:
            one = running.pop(0)
            if step == "accept":
                governor.accepted(one)
            elif step == "refuse":
                governor.refused(one, amount)
                last_429 = clock.time()
                highest = max(highest, governor.rate or 1.0)
            else:
                governor.left(one)
        if clock.time() - last_429 < 5:
            recent = [start for start in starts if start > clock.time() - 1]
            assert len(recent) <= highest + 1

"""Knows when a failing upstream is left alone, and how it is tried again."""

from __future__ import annotations

import pytest
from clocks import HandClock

from pinnace.core.adapters.claude.breaker import Breaker, Verdict
from pinnace.core.errors import Overloaded


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def breaker(clock: HandClock) -> Breaker:
    return Breaker(clock)


def state(breaker: Breaker) -> str:
    return breaker.circuit.value


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.admit()(Verdict.BAD)


def test_five_failures_in_a_row_open_it_for_thirty_seconds(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker, 4)
    assert state(breaker) == "closed"
    fail(breaker, 1)
    clock.time += 12
    with pytest.raises(Overloaded) as refused:
        breaker.admit()
    assert refused.value.retry_after == 18


def test_an_answer_between_failures_begins_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 4)
    breaker.admit()(Verdict.GOOD)
    fail(breaker, 4)
    assert state(breaker) == "closed"


def test_a_call_that_was_left_says_nothing(breaker: Breaker) -> None:
    fail(breaker, 4)
    breaker.admit()(Verdict.NONE)
    fail(breaker, 1)
    assert state(breaker) == "open"


def test_one_call_tries_again_and_the_others_wait_for_it(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker, 5)
    clock.time += 30
    assert state(breaker) == "half_open"
    report = breaker.admit()
    with pytest.raises(Overloaded):
        breaker.admit()
    report(Verdict.GOOD)
    assert state(breaker) == "closed"
    fail(breaker, 4)
    assert state(breaker) == "closed"


def test_a_trial_that_fails_opens_it_again(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker, 5)
    clock.time += 30
    fail(breaker, 1)
    with pytest.raises(Overloaded) as refused:
        breaker.admit()
    assert refused.value.retry_after == 30


def test_a_trial_that_says_nothing_leaves_the_next_one_to_try(breaker: Breaker, clock: HandClock) -> None:
    fail(breaker, 5)
    clock.time += 30
    breaker.admit()(Verdict.NONE)
    breaker.admit()(Verdict.GOOD)
    assert state(breaker) == "closed"


def test_what_began_before_it_opened_proves_nothing(breaker: Breaker, clock: HandClock) -> None:
    early = [breaker.admit() for _ in range(3)]
    fail(breaker, 5)
    clock.time += 10
    early[0](Verdict.GOOD)
    early[1](Verdict.BAD)
    with pytest.raises(Overloaded) as refused:
        breaker.admit()
    assert refused.value.retry_after == 20
    clock.time += 20
    trial = breaker.admit()
    early[2](Verdict.BAD)
    trial(Verdict.GOOD)
    assert state(breaker) == "closed"


def test_a_verdict_counts_once(breaker: Breaker) -> None:
    report = breaker.admit()
    for _ in range(9):
        report(Verdict.BAD)
    assert state(breaker) == "closed"


def test_without_a_number_of_failures_it_never_opens(clock: HandClock) -> None:
    breaker = Breaker(clock, failures=0)
    fail(breaker, 100)
    assert state(breaker) == "closed"

"""The limiter: exact over its window, honest in its headers."""

import random

import pytest

from simulator.limits import Admission, Gate, Gates, Limit, LimitRules

GRANTED = Admission.GRANTED


def a_gate(requests: int, window_s: float = 60, tokens: int = 10**9, **rules: bool) -> Gate:
    return Gate(Limit(requests, tokens), LimitRules(window_s=window_s, **rules))


def granted(gate: Gate, times: list[float]) -> list[float]:
    return [now for now in times if gate.admit(now, tokens_limited=True) is GRANTED]


def most_within(times: list[float], window_s: float) -> int:
    return max(sum(start <= at < start + window_s for at in times) for start in times)


def test_a_minutes_worth_may_come_at_once():
    """With the usual window a burst of the whole limit passes, and one more is refused."""
    gate = a_gate(20)
    assert len(granted(gate, [1.0] * 25)) == 20
    assert gate.admit(60.9, tokens_limited=True) is Admission.TOO_MANY_REQUESTS
    assert gate.admit(61.0, tokens_limited=True) is GRANTED


@pytest.mark.parametrize(("limit", "per_second"), [(1200, 20), (60, 1), (6000, 100)])
def test_no_second_holds_more_than_its_share(limit, per_second):
    """With a window of 1 s, random arrivals never put more than limit/60 into any one second."""
    chance = random.Random(limit)
    arrivals = sorted(chance.uniform(0, 10) for _ in range(per_second * 30))
    times = granted(a_gate(limit, window_s=1), arrivals)
    assert most_within(times, 1.0) == per_second
    assert len(times) >= per_second * 6


@pytest.mark.parametrize("limit", [7, 100, 50])
def test_a_limit_that_is_no_whole_number_per_second_is_kept_on_average(limit):
    """What cannot be a whole number of requests per second is spaced so that the minute is full."""
    arrivals = [step / 100 for step in range(60 * 100)]
    assert abs(len(granted(a_gate(limit, window_s=1), arrivals)) - limit) <= 1


def test_refused_requests_are_free_unless_told_otherwise():
    """Refusals use up nothing by default, and prolong the wait when they are counted."""
    retries = [1.0, 1.0, 30.0, 61.5]
    assert len(granted(a_gate(1), retries)) == 2
    assert len(granted(a_gate(1, count_refused=True), retries)) == 1


def test_tokens_are_debited_afterwards_and_slide():
    """The token limit lets a call in that oversteps it, then refuses until the minute has gone."""
    gate = a_gate(100, tokens=1000)
    assert gate.admit(0.0, tokens_limited=True) is GRANTED
    gate.debit(5.0, 1500)
    assert gate.admit(6.0, tokens_limited=True) is Admission.TOO_MANY_TOKENS
    assert gate.admit(6.0, tokens_limited=False) is GRANTED
    assert gate.admit(65.0, tokens_limited=True) is GRANTED


def test_headers_speak_of_minutes_whatever_the_window():
    """All five headers state figures per minute, and what a call cost."""
    gate = a_gate(1200, window_s=1, tokens=5000)
    gate.admit(0.0, tokens_limited=True)
    gate.debit(0.5, 300)
    assert gate.headers(2.0, 300, tokens_limited=True) == {
        "x-ratelimit-limit-req-minute": "1200",
        "x-ratelimit-remaining-req-minute": "1199",
        "x-ratelimit-limit-tokens-minute": "5000",
        "x-ratelimit-remaining-tokens-minute": "4700",
        "x-ratelimit-tokens-query-cost": "300",
    }
    assert len(gate.headers(2.0, 300, tokens_limited=False)) == 2


def test_a_limit_of_zero_is_no_plan():
    """A model with a limit of 0 is refused for good, and its header says 0."""
    gate = a_gate(0)
    assert gate.admit(0.0, tokens_limited=True) is Admission.NOT_ON_PLAN
    assert gate.headers(0.0, 0, tokens_limited=True)["x-ratelimit-limit-req-minute"] == "0"


def test_models_have_their_own_limits_and_the_star_stands_for_the_others():
    """Each model is counted by itself, under its own figure or that of `*`."""
    gates = Gates(LimitRules(requests={"a": 1, "*": 2}))
    assert len(granted(gates.gate("a"), [0.0] * 5)) == 1
    assert len(granted(gates.gate("b"), [0.0] * 5)) == 2
    assert len(granted(gates.gate("c"), [0.0] * 5)) == 2


def test_changed_rules_hold_for_models_seen_before():
    """A limit changed at run time keeps what was already used."""
    gates = Gates(LimitRules(requests={"*": 2}))
    granted(gates.gate("a"), [0.0] * 5)
    gates.change(LimitRules(requests={"*": 3}))
    assert len(granted(gates.gate("a"), [1.0] * 5)) == 1

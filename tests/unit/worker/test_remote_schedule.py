"""When remote work is looked at: often while young, seldom when old, patiently when looks fail."""

import re
from random import Random
from statistics import mean

import pytest

from worker.remote import schedule
from worker.remote.schedule import FAILED_LONGEST_S, LONGEST_S, TOO_MANY_FAILURES, next_look_s

HOUR, DAY = 3_600.0, 86_400.0


class Even(Random):
    """Chance that takes the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def looks_of_a_day(seed: int) -> list[float]:
    """Ages at which work is looked at that takes a day."""
    random, age, looks = Random(seed), 0.0, []
    while (age := age + next_look_s(age, random)) < DAY:
        looks.append(age)
    return looks


def test_young_work_is_looked_at_after_two_seconds() -> None:
    """A batch of a few lines is over by then."""
    assert next_look_s(0.0, Even()) == 2.0


@pytest.mark.parametrize("age_s", [20.0, 80.0, 400.0, 800.0])
def test_an_end_is_noticed_within_an_eighth_of_the_age(age_s: float) -> None:
    """Whoever waited ten minutes does not mind one more."""
    assert next_look_s(age_s, Even()) == pytest.approx(age_s / 8)
    assert all(next_look_s(age_s, Random(seed)) < age_s * 0.15 for seed in range(200))


@pytest.mark.parametrize("age_s", [-5.0, 0.0, 100.0, HOUR, 365 * DAY])
def test_no_wait_is_longer_than_the_longest(age_s: float) -> None:
    """Nor shorter than the shortest, also when a clock goes back."""
    waits = [next_look_s(age_s, Random(seed)) for seed in range(200)]
    assert 2.0 * 0.85 <= min(waits) <= max(waits) <= LONGEST_S


def test_old_work_of_one_age_is_not_looked_at_at_one_moment() -> None:
    """Jitter also at the longest wait: a hundred batches of one job began together."""
    waits = {next_look_s(DAY, Random(seed)) for seed in range(100)}
    assert len(waits) == 100
    assert max(waits) / min(waits) > 1.25


def test_the_docstring_tells_the_looks_of_a_day() -> None:
    """Its table is measured, not guessed."""
    days = [looks_of_a_day(seed) for seed in range(30)]
    first = mean(sum(age < HOUR for age in day) for day in days)
    last = mean(sum(age >= 23 * HOUR for age in day) for day in days)
    said = dict(re.findall(r"\| (1st|2nd|24 hours in all) \| (\d+) \|", schedule.__doc__ or ""))
    assert first == pytest.approx(float(said["1st"]), abs=1)
    assert last == pytest.approx(float(said["2nd"]), abs=1)
    assert mean(map(len, days)) == pytest.approx(float(said["24 hours in all"]), rel=0.01)


def test_failed_looks_back_off_to_five_minutes() -> None:
    """5, 10, 20, ... and never beyond 300, however many."""
    waits = [next_look_s(DAY, Even(), failures=failures) for failures in range(1, 5)]
    assert waits == [5.0, 10.0, 20.0, 40.0]
    many = [next_look_s(0.0, Random(seed), failures=10**6) for seed in range(100)]
    assert FAILED_LONGEST_S / 1.5 < min(many) < max(many) <= FAILED_LONGEST_S


def test_too_many_failures_take_about_an_hour() -> None:
    """An outage of half an hour pauses nobody's job."""
    lost_s = sum(next_look_s(0.0, Even(), failures=n) for n in range(1, TOO_MANY_FAILURES))
    assert 0.9 * HOUR < lost_s < 1.3 * HOUR


@pytest.mark.parametrize("asked_s", [30.0, 299.0])
def test_a_retry_after_is_waited_for(asked_s: float) -> None:
    """And not by all at once."""
    waits = [next_look_s(0.0, Random(n), failures=1, retry_after_s=asked_s) for n in range(100)]
    assert asked_s <= min(waits) < max(waits) <= FAILED_LONGEST_S


def test_a_retry_after_of_a_day_is_not_waited_for() -> None:
    """Five minutes, and then it is asked again."""
    assert next_look_s(0.0, Random(1), failures=1, retry_after_s=DAY) == FAILED_LONGEST_S


def test_a_short_retry_after_does_not_hurry() -> None:
    """The own back-off holds."""
    assert next_look_s(0.0, Even(), failures=4, retry_after_s=1.0) == 40.0

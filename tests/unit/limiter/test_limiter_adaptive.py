"""The search for a limit by refusals, against a strict sliding window and a fake clock."""

from collections import deque
from dataclasses import replace
from random import Random

import pytest

from worker.limiter.adaptive import (
    KEPT,
    START_RATE,
    UNPACED_RATE,
    Search,
    advance,
    hold_until,
    refused,
)

STEP_S = 0.1


def a_refusal(search: Search, at: float, *, measured: float, cap: float | None = None) -> Search:
    """The search after a refusal at the pace it had."""
    rate = min(rate for rate in (search.rate, cap, UNPACED_RATE) if rate is not None)
    return refused(search, at, measured=measured, rate=rate, cap=cap, random=Random(1))


class Account:
    """A server with a strict window of one second, called at the pace of a search."""

    def __init__(self, limit: int, search: Search | None = None) -> None:
        self.limit, self.search = limit, search or Search()
        self.now, self.sent, self.refusals = 0.0, deque[float](), 0
        self._next = self._hold = 0.0

    def run(self, seconds: float) -> float:
        """Call as the search permits; calls let through per second."""
        end, passed = self.now + seconds, 0
        while self.now < end:
            self.search = advance(self.search, self.now, cap=None)
            passed += sum(self._call() for _ in range(self._due()))
            self.now += 0.005
        return passed / seconds

    def _due(self) -> int:
        due, rate = 0, self.search.rate or 5000.0
        while max(self._next, self._hold) <= self.now:
            self._next = max(self._next, self._hold, self.now - 0.005) + 1 / rate
            due += 1
        return due

    def _call(self) -> bool:
        while self.sent and self.sent[0] <= self.now - 1:
            self.sent.popleft()
        if len(self.sent) < self.limit:
            self.sent.append(self.now)
            return True
        self.refusals += 1
        before = self.search
        self.search = a_refusal(before, self.now, measured=len(self.sent))
        self._hold = max(self._hold, hold_until(before, self.search))
        return False


def test_it_doubles_until_pacing_is_dropped_within_ten_seconds() -> None:
    """A server without any limit is not throttled for long."""
    search, now = Search(), 0.0
    while search.rate is not None:
        now += STEP_S
        search = advance(search, now, cap=None)
    assert now < 10


def test_it_starts_slowly() -> None:
    """Before the first answers nothing is known: a small account must not be flooded."""
    assert Search().rate == START_RATE
    assert advance(Search(), 0.05, cap=None).rate == START_RATE


@pytest.mark.parametrize("limit", [5, 20, 200])
def test_by_refusals_alone_it_keeps_above_ninety_percent(limit: int) -> None:
    """After the first seconds; and refusals stay rare."""
    account = Account(limit)
    account.run(3)
    before = account.refusals
    share = account.run(60) / limit
    assert 0.9 <= share <= 1.0
    assert account.refusals - before <= 0.002 * limit * 60 + 2


def test_a_raised_limit_is_found_within_a_minute_or_two() -> None:
    """The ceiling is probed, and forgotten when it holds no longer."""
    account = Account(100)
    account.run(20)
    account.limit = 300
    account.run(60)
    assert account.run(10) > 0.85 * 300


def test_a_lowered_limit_is_obeyed_at_once() -> None:
    """A second later the rate is below the new limit."""
    account = Account(200)
    account.run(10)
    account.limit = 50
    account.run(5)
    assert 0.8 * 50 <= account.run(10) <= 50


def test_a_burst_of_refusals_is_one_event() -> None:
    """The rate falls once, whatever number of calls were on their way."""
    once = a_refusal(Search(rate=100.0), 10.0, measured=80)
    again = a_refusal(once, 10.4, measured=40)
    assert once.rate == pytest.approx(KEPT * 80)
    assert again is once
    assert hold_until(Search(), once) > 10.0
    assert hold_until(once, again) == 0.0


def test_refusals_right_after_a_hold_lengthen_it() -> None:
    """A server that refuses everything is asked ever more rarely."""
    search, holds = Search(rate=100.0), []
    at = 10.0
    for _ in range(6):
        search = a_refusal(search, at, measured=0.0)
        holds.append(search.at - at)
        at = search.quiet_until + 0.01
    assert holds[-1] > 3 * holds[1]
    assert max(holds) <= 15
    assert search.rate is not None
    assert search.rate > 0


@pytest.mark.parametrize("storm_s", [1, 30])
def test_below_a_known_limit_full_rate_is_back_within_ten_seconds(storm_s: int) -> None:
    """After a storm of refusals, however long."""
    search, at = Search(), 100.0
    while at < 100 + storm_s:
        search = a_refusal(search, at, measured=0.0, cap=200.0)
        at = max(at, search.at) + 0.05
    over, now = at, search.at
    while search.ceiling is not None:
        now += STEP_S
        search = advance(search, now, cap=200.0)
    assert now - over < 10


def test_a_known_limit_is_never_exceeded_by_the_search() -> None:
    """It ends where the known limit is."""
    search = replace(Search(), rate=190.0, ceiling=195.0, events=1, event_at=1.0, at=10.0)
    done = advance(search, 20.0, cap=200.0)
    assert done.ceiling is None

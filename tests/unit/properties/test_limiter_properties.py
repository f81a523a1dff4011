"""No arrivals, however they come, get more than the limit in any second."""

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest
from drawn import some
from fakeredis import FakeAsyncRedis, FakeServer
from fakeredis.commands_mixins import server_mixin
from hypothesis import given
from hypothesis import strategies as st

from models.limits import Limit
from worker.limiter.beliefs import Belief, pace
from worker.limiter.fallback import LocalState
from worker.limiter.shared import Ask, Grant, SharedState

MOST = 1.05
PAUSES = st.floats(0, 0.4)
ARRIVALS = st.lists(st.tuples(PAUSES, st.integers(1, 50)), min_size=5, max_size=60)
"""How long nobody asks, and for how many slots then."""
ASKED = st.tuples(
    PAUSES,
    st.integers(0, 2),  # which process
    st.integers(0, 40),  # slots
    st.sampled_from(["", "", "", "hold", "trip", "answered", "modest"]),
)


def most_in_a_second(starts: Sequence[float]) -> int:
    """The largest number of moments in any second, its end not counted."""
    ordered, first, most = sorted(starts), 0, 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= 1.0 - 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most


def allowed(rate: float) -> int:
    """Five in a hundred more, and never less than one more: a second's ends."""
    return max(int(rate * MOST), int(rate) + 1)


@some(150)
@given(ARRIVALS, st.floats(1, 500), st.integers(1, 4))
def test_alone_processes_together_keep_the_limit(
    arrivals: list[tuple[float, int]], rate: float, processes: int
) -> None:
    """Redis away: each process at half its share, whenever it asks."""
    now, starts, state = 1_000.0, [], LocalState()
    for pause, slots in arrivals:
        now += pause
        ask = Ask(slots=slots, rate=rate)
        starts += state.reserve(ask, now, processes, paused=False).starts
    assert most_in_a_second(starts) <= max(1, rate / processes * MOST)


@some(150)
@given(ARRIVALS, st.floats(1, 1000), st.integers(1, 500))
def test_alone_tokens_keep_the_limit(
    arrivals: list[tuple[float, int]], token_rate: float, tokens: int
) -> None:
    """The stricter of both limits holds: tokens of a minute do not pass those of a minute."""
    now, starts, state = 1_000.0, [], LocalState()
    for pause, slots in arrivals:
        now += pause
        ask = Ask(slots=slots, rate=500.0, token_rate=token_rate, tokens=tokens)
        starts += state.reserve(ask, now, 1, paused=False).starts
    span = (max(starts) - min(starts)) if starts else 0.0
    assert (len(starts) - 1) * tokens <= span * token_rate * MOST + 1e-6


class Told:
    """Redis on a clock that is told the time, and processes that ask it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
        self.now = 1_700_000_000.0
        self.limit = limit
        self.rate = pace(Limit(limit * 60, None, "told"), Belief()).rate
        self.version = [0, 0, 0]
        self.known: list[Grant | None] = [None, None, None]
        monkeypatch.setattr(server_mixin, "time", self)

    def time(self) -> float:
        """What the fake server takes for the time."""
        return self.now

    async def run(self, asked: Sequence[tuple[float, int, int, str]]) -> list[Grant]:
        """What each was granted."""
        redis = FakeAsyncRedis(server=FakeServer())
        states = [SharedState(redis, "account", f"w{n}") for n in range(3)]
        grants = []
        for pause, process, slots, also in asked:
            self.now += pause
            ask = self._ask(process, slots, also)
            grants.append(await states[process].reserve("m", ask))
            self.version[process], self.known[process] = grants[-1].version, grants[-1]
        await redis.aclose()
        return grants

    def _ask(self, process: int, slots: int, also: str) -> Ask:
        known = self.known[process]
        more: dict[str, Any] = {
            "hold": {"hold": self.now + 0.5},
            "trip": {"trip_s": 0.5, "trip_sent": self.now},
            "answered": {"answered_sent": self.now},
            "modest": {"is_modest": True},
        }.get(also, {})
        if known:
            more |= {"known_tat": known.tat, "known_ttat": known.ttat}
        version = self.version[process]
        return Ask(slots=slots, sign=1, rate=self.rate, version=version, **more)


@some(60)
@given(st.lists(ASKED, min_size=5, max_size=40), st.integers(2, 500))
def test_together_processes_keep_the_limit(
    asked: list[tuple[float, int, int, str]], limit: int
) -> None:
    """The script itself: three processes, holds and circuits among what they report."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        grants = asyncio.run(Told(monkeypatch, limit).run(asked))  # noqa: TID251 # no loop yet
    starts = list(chain.from_iterable(grant.starts for grant in grants))
    assert most_in_a_second(starts) <= allowed(limit)
    for grant in grants:
        assert all(start >= grant.now - 1e-6 for start in grant.starts)
        assert not grant.starts or min(grant.starts) >= grant.held_until - 1e-6

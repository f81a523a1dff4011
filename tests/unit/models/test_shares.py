"""Weights, fair slots, and who yields to whom: tables of the pure decision."""

from collections import Counter
from random import Random

import pytest

from models.shares import Wanting, fair_slots, portions, verdict, weight


def a_job(name: str, priority: int = 5, waiting: int = 0, **held: int) -> Wanting:
    """A job that wants `waiting` more shards and holds some in the processes a, b, c."""
    return Wanting(name, priority, waiting, held)


def test_a_priority_is_a_weight() -> None:
    """0 counts ten times as much as 9; every step counts one."""
    assert [weight(priority) for priority in (0, 5, 9)] == [10, 5, 1]


@pytest.mark.parametrize(
    ("jobs", "slots", "fair"),
    [
        ([a_job("one", waiting=99)], 8, [8]),
        ([a_job("one", waiting=99), a_job("two", waiting=99)], 8, [4, 4]),
        ([a_job("low", 9, waiting=99), a_job("high", 0, waiting=99)], 16, [1, 15]),
        ([a_job("low", 9, waiting=99), a_job("high", 0, waiting=3)], 16, [13, 3]),
        ([a_job("low", 9, waiting=99), a_job("high", 0, waiting=99)], 1, [0, 1]),
        ([a_job("new", waiting=1), a_job("old", a=1)], 1, [0, 1]),
        ([], 8, []),
    ],
)
def test_slots_go_by_weight_to_who_has_work(
    jobs: list[Wanting], slots: int, fair: list[int]
) -> None:
    """At least one each while there are enough; what one cannot use goes to the others."""
    assert [fair_slots(jobs, slots)[job.job_id] for job in jobs] == fair


@pytest.mark.parametrize(
    ("jobs", "yields"),
    [
        pytest.param([a_job("one", waiting=4, a=8)], {}, id="alone, nobody yields"),
        pytest.param(
            [a_job("one", waiting=4, a=8), a_job("two", waiting=12)], {"one": 4}, id="half to come"
        ),
        pytest.param(
            [a_job("one", waiting=4, a=4), a_job("two", waiting=12, a=4)], {}, id="half and half"
        ),
        pytest.param(
            [a_job("one", waiting=4, a=5), a_job("two", waiting=12, a=3)], {}, id="nearly half"
        ),
        pytest.param(
            [a_job("one", waiting=4, a=8), a_job("two", waiting=1)], {"one": 1}, id="no more than"
        ),
        pytest.param(
            [a_job("low", 9, waiting=4, a=8), a_job("high", 0, waiting=12)],
            {"low": 7},
            id="one slot stays",
        ),
        pytest.param(
            [a_job("low", 9, waiting=4), a_job("high", 0, waiting=4, a=8)],
            {"high": 1},
            id="the last is not starved",
        ),
        pytest.param(
            [a_job("one", waiting=4, a=8, b=8), a_job("two", waiting=1)],
            {},
            id="another process does it",
        ),
        pytest.param(
            [a_job("low", 9, a=4), a_job("mid", 5, a=4), a_job("high", 0, waiting=9)],
            {"low": 3, "mid": 2},
            id="the lowest first",
        ),
    ],
)
def test_who_yields(jobs: list[Wanting], yields: dict[str, int]) -> None:
    """What process a does, with all slots taken."""
    assert verdict(jobs, "a").yields == yields


def test_who_has_enough_takes_no_more_while_others_wait() -> None:
    """The freed slot is for the newcomer, whatever messages stand before its own."""
    jobs = [a_job("one", waiting=4, a=8), a_job("two", waiting=12)]
    assert verdict(jobs, "a").full == {"one"}
    assert verdict([a_job("one", waiting=4, a=4), a_job("two", a=4)], "a").full == frozenset()


@pytest.mark.parametrize("seed", range(20))
def test_slots_settle_near_the_weights_and_then_nobody_yields(seed: int) -> None:
    """Any jobs on any processes: after a few looks all is calm, and everybody has a slot."""
    random = Random(seed)
    owners = ["a", "b", "c"]
    priorities = [random.randrange(10) for _ in range(random.randint(2, 5))]
    held: list[Counter[str]] = [Counter() for _ in priorities]
    held[0].update(dict.fromkeys(owners, 8))
    looks = 0
    while True:
        jobs = [
            Wanting(f"j{n}", priority, 50, {o: c for o, c in held[n].items() if c})
            for n, priority in enumerate(priorities)
        ]
        told = {owner: verdict(jobs, owner) for owner in owners}
        if not any(one.yields for one in told.values()):
            break
        looks += 1
        assert looks < 5, "slots go to and fro"
        for owner, one in told.items():
            for name, count in one.yields.items():
                held[int(name[1:])][owner] -= count
            for _ in range(sum(one.yields.values())):
                taking = [n for n in range(len(held)) if f"j{n}" not in one.full]
                held[random.choice(taking)][owner] += 1
    fair = fair_slots(jobs, 24)
    assert all(job.held_by_all >= max(1, 0.74 * fair[job.job_id]) for job in jobs)
    assert all(sum(count[owner] for count in held) == 8 for owner in owners)


def test_a_job_in_one_process_weighs_as_much_as_one_in_all() -> None:
    """Its process gets the larger share of the limits, and within it each job its part."""
    jobs = [a_job("low", 9, a=1, b=1), a_job("high", 0, a=1)]
    here, share = portions(jobs, "a")
    assert here == {"low": 0.5, "high": 1.0}
    assert share == pytest.approx(10.5 / 11)
    here, share = portions(jobs, "b")
    assert here == {"low": 0.5, "high": 0.0}
    assert share == pytest.approx(0.5 / 11)
    assert portions(jobs[:1], "a") == ({}, None)

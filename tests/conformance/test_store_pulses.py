"""The pace of jobs: beats of many processes add up, and come back as points and rates."""

import pytest
from builders import a_stored_job, at_once, the_job
from sqlalchemy import update

from models.store import jobs, pulses
from models.store.engine import Store
from models.store.pulses import BINS, LATENCY_EDGES_MS, NO_BINS, Beat, percentile
from models.tables import Pulse


def a_beat(job_id: str, at: int, *, calls: int = 0, bin_no: int = 3, **changes: int) -> Beat:
    """`calls` answers in one bin, five tokens each."""
    bins = tuple(calls if no == bin_no else 0 for no in range(len(BINS)))
    values = {"refusals": 0, "faults": 0, "tokens": 5 * calls, **changes}
    return Beat(job_id, at, calls, bins=bins, **values)


def _add(store: Store, *beats: Beat) -> None:
    with store.write() as connection:
        pulses.add(connection, beats)


def _series(store: Store, job_id: str, points: int = 120) -> list[pulses.Point]:
    with store.read() as connection:
        return pulses.series(connection, job_id, points)


def _started(store: Store, job_id: str, at: float) -> None:
    with store.write() as connection:
        connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == job_id).values(started_at=at))


def _rates(store: Store, *job_ids: str) -> dict[str, float]:
    with store.read() as connection:
        return pulses.rates_now(connection, job_ids)


def test_the_bins_are_the_tables_columns() -> None:
    """A bin added in one place only would count into nothing."""
    assert [c.name for c in pulses.pulses.columns if c.name.startswith("ms_")] == list(BINS)
    assert list(LATENCY_EDGES_MS) == sorted(LATENCY_EDGES_MS)
    assert set(Pulse.model_fields) == {"job_id", "at", *pulses.SUMS}


def test_beats_of_processes_add_up(store: Store) -> None:
    """Eight at once into one point: the sums stand, and so do the jobs' refusals."""
    one, other = a_stored_job(store), a_stored_job(store)

    def add() -> None:
        mine = a_beat(one, 1000, calls=3, refusals=2, faults=1)
        _add(store, a_beat(other, 1010, calls=1), mine, a_beat(other, 1000, calls=1, refusals=1))

    at_once(*[add] * 8)
    (point,) = _series(store, one)
    assert (point.calls, point.refusals, point.faults, point.tokens) == (24, 16, 8, 120)
    assert [p.calls for p in _series(store, other)] == [8, 8]
    assert (the_job(store, one).calls_refused, the_job(store, other).calls_refused) == (16, 8)


def test_nothing_is_nothing(store: Store) -> None:
    """No beats, no points, no rate."""
    _add(store)
    job = a_stored_job(store)
    assert _series(store, job) == []
    assert _rates(store, job) == {job: 0.0}
    assert _rates(store) == {}


def test_a_day_becomes_few_points_and_loses_nothing(store: Store) -> None:
    """8,640 pulses, 120 points of equal length at most, all calls in them, in order."""
    job = a_stored_job(store)
    day = range(1_000_000, 1_086_400, 10)
    _add(store, *(a_beat(job, at, calls=1, refusals=at % 3 == 0) for at in day))
    for points in (1, 7, 119, 120):
        found = _series(store, job, points)
        assert points * 0.9 < len(found) <= points
        assert sum(point.calls for point in found) == 8_640
        assert sum(point.seconds for point in found) == 86_400
        assert len({point.seconds for point in found[:-1]}) <= 1
        assert [point.at for point in found] == sorted(point.at for point in found)


def test_a_pause_is_a_stretch_of_nothing(store: Store) -> None:
    """Charts must not draw a line over it; there is no latency where nothing was answered."""
    job = a_stored_job(store)
    _add(store, a_beat(job, 1000, calls=4), a_beat(job, 1030, calls=4), a_beat(job, 1040, faults=2))
    found = _series(store, job)
    assert [(point.at, point.calls) for point in found] == [
        (1000, 4),
        (1010, 0),
        (1020, 0),
        (1030, 4),
        (1040, 0),
    ]
    assert [point.p50_ms is None for point in found] == [False, True, True, False, True]


def test_the_newest_seconds_are_left_out_until_all_have_told(store: Store) -> None:
    """Ten seconds that have just begun do not look like a job that slows down."""
    job = a_stored_job(store)
    at = int(store.now() // 10) * 10
    _add(store, *(a_beat(job, at - back, calls=100) for back in (40, 30, 20, 10, 0)))
    found = _series(store, job)
    assert [point.at for point in found[:2]] == [at - 40, at - 30]
    assert all((point.seconds, point.calls) == (10, 100) for point in found)
    assert found[-1].at + 10 <= store.now() - pulses.LATE_S


def test_a_job_that_has_just_begun_is_seen(store: Store) -> None:
    """Its only point is as long as it lasted so far."""
    job = a_stored_job(store)
    at = int(store.now() // 10) * 10
    _add(store, a_beat(job, at, calls=50))
    (point,) = _series(store, job)
    assert pulses.LATE_S <= point.seconds <= max(pulses.LATE_S, store.now() - at)


@pytest.mark.parametrize(
    ("bins", "half", "most"),
    [
        ({}, None, None),
        ({0: 10}, 50, 95),
        ({3: 10}, 400, 490),
        ({1: 50, 5: 50}, 200, 975),
        ({12: 5}, 30_000, 30_000),
        ({0: 1, 12: 99}, 30_000, 30_000),
    ],
)
def test_percentiles_are_even_within_a_bin(
    bins: dict[int, int], half: float | None, most: float | None
) -> None:
    """Half the way through a bin's answers is half the way through its milliseconds."""
    counts = [bins.get(no, 0) for no in range(len(NO_BINS))]
    assert percentile(counts, 0.5) == half
    assert percentile(counts, 0.95) == pytest.approx(most) if most else most is None


def test_the_rate_is_that_of_the_last_full_seconds(store: Store) -> None:
    """The ten seconds under way and what is long over do not bend it."""
    job, idle = a_stored_job(store), a_stored_job(store)
    now = store.now()
    _started(store, job, now - 1000)
    _started(store, idle, now - 1000)
    end = int((now - pulses.LATE_S) // 10) * 10
    _add(store, *(a_beat(job, end - ago, calls=100) for ago in (10, 20)))
    _add(store, a_beat(job, end - 40, calls=7_000), a_beat(job, end + 10, calls=9_000))
    _add(store, a_beat(idle, end - 60, calls=9_000))
    rates = _rates(store, job, idle)
    if store.now() < end + 10 + pulses.LATE_S:  # else the window moved on while we looked
        assert rates == {job: 10.0, idle: 0.0}


def test_the_rate_of_a_young_job_counts_from_its_start(store: Store) -> None:
    """Ten seconds old at ten calls a second: that is what is shown, not a third of it."""
    job = a_stored_job(store)
    now = store.now()
    _started(store, job, now - 10)
    at = int((now - 10) // 10) * 10
    _add(store, a_beat(job, at, calls=50), a_beat(job, at + 10, calls=25))  # told up to 2.5 s ago
    assert _rates(store, job)[job] == pytest.approx(10, rel=0.3)

"""What a process counts of its calls: additions, and nothing lost on the way to the database."""

from models.payloads import Usage
from models.store.pulses import BINS, LATENCY_EDGES_MS
from worker.call_counts import CallCounts
from worker.gateway.faults import Fault, FaultKind

REFUSAL = Fault(FaultKind.QUOTA, "slow down", 429)
BROKEN = Fault(FaultKind.TRANSIENT, "oops", 503)


def answer(figures: CallCounts, job: str = "job_a", ms: int = 150, cost: int | None = 7) -> None:
    """An answer of 10 + 5 tokens, 4 of them cached."""
    figures.answered(job, "small", ms, Usage(10, 5, 4), cost)


def test_outcomes_are_told_by_job_and_ten_seconds() -> None:
    """What each job did, in the ten seconds in which it did it."""
    figures = CallCounts()
    answer(figures)
    figures.failed("job_a", "small", REFUSAL)
    figures.failed("job_b", "small", BROKEN)
    (a, b) = sorted(figures.take(1009.9), key=lambda beat: beat.job_id)
    assert (a.job_id, a.at, a.calls, a.refusals, a.faults, a.tokens) == ("job_a", 1000, 1, 1, 0, 15)
    assert (b.job_id, b.at, b.calls, b.refusals, b.faults, b.tokens) == ("job_b", 1000, 0, 0, 1, 0)
    figures.told()
    assert figures.take(1015) == [], "told once"


def test_a_latency_falls_into_its_bin() -> None:
    """At most its edge, and more than the one below."""
    figures = CallCounts()
    for ms in (0, *(edge + more for edge in LATENCY_EDGES_MS for more in (0, 1))):
        answer(figures, ms=ms)
    (beat,) = figures.take(0)
    assert beat.bins == (2, *[2] * (len(BINS) - 2), 1)
    assert figures.models["small"].bins == list(beat.bins)


def test_what_could_not_be_told_is_told_later_of_its_time() -> None:
    """Three signs without a database: each stretch keeps its own ten seconds, and all its calls."""
    figures = CallCounts()
    for at in (1001.0, 1006.0, 1011.0):
        answer(figures)
        told = figures.take(at)
    assert [(beat.at, beat.calls) for beat in told] == [(1000, 2), (1010, 1)]
    answer(figures)
    figures.told()
    assert [(beat.at, beat.calls) for beat in figures.take(1012.0)] == [(1010, 1)]


def test_a_model_is_counted_for_ever_and_unknown_prices_apart() -> None:
    """An unknown cost is not zero: it is counted by number."""
    figures = CallCounts()
    answer(figures)
    answer(figures, cost=None)
    figures.failed("job_a", "small", REFUSAL)
    figures.failed("job_a", "small", BROKEN)
    figures.take(0)
    figures.told()
    model = figures.models["small"]
    assert model.outcomes == {"answered": 2, "quota": 1, "transient": 1}
    assert (model.cost_nano, model.unpriced, model.refusals) == (7, 1, 1)
    assert (model.usage, model.latency_ms) == ([20, 10, 8], 300)

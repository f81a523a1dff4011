"""What the pages Jobs and Limits make of what is stored."""

from builders import a_job, a_limiter

from dashboard import jobs as jobs_page
from dashboard import limits as limits_page
from dashboard import pace, words
from models.states import JobState
from models.store.views.board import Listed, Standing


def listed(**changes) -> Listed:
    """A job as lists show it."""
    told = a_job(**{"state": JobState.RUNNING, "rows_total": 1000, "started_at": 0.0, **changes})
    return Listed(**{name: getattr(told, name) for name in Listed.__slots__})


def standing(**changes) -> Standing:
    """A model's standing, with one process."""
    told = a_limiter(100.0, **changes).model_dump()
    return Standing(**{n: told[n] for n in Standing.__slots__ if n in told} | {"processes": 1})


def test_the_share_is_that_of_the_fullest_limit():
    """Two models: the rate is divided as their calls were."""
    limits = {"small": 1200.0, "large": 60.0}
    assert pace.share_of_limit(10.0, {"small": 50}, limits) == 0.5
    assert pace.share_of_limit(10.0, {"small": 99, "large": 1}, limits) == 0.495
    assert pace.share_of_limit(10.0, {"small": 90, "large": 10}, limits) == 1.0


def test_a_share_of_the_rows_is_whole_only_at_the_end():
    """Rounded down: one row of a million that is missing shows."""
    assert pace.per_cent(999_999, 1_000_000) == 99.99
    assert pace.per_cent(1_000_000, 1_000_000) == 100.0
    assert pace.per_cent(3, 8) == 37.5
    assert pace.per_cent(0, 0) == 0.0


def test_without_a_limit_there_is_no_share():
    """Nor before the first call; a limit of 0 divides nothing."""
    assert pace.share_of_limit(10.0, {"small": 5}, {}) is None
    assert pace.share_of_limit(10.0, {}, {"small": 60.0}) is None
    assert pace.share_of_limit(10.0, {"small": 5}, {"small": 0.0}) is None


def test_time_left_follows_the_calls_of_now():
    """500 rows took 1,000 calls; 500 more at 10 calls a second take 100 s."""
    job = listed(rows_done=490, rows_failed=10, calls_made=1000)
    assert pace.seconds_left(job, 10.0, now=7000.0) == 100.0


def test_time_left_is_the_average_when_nothing_is_paid_now():
    """Answers from the ledger cost no call, and still move rows."""
    assert pace.seconds_left(listed(rows_done=250), 0.0, now=30.0) == 90.0


def test_nobody_knows_when_a_job_ends_that_does_not_run_or_has_only_begun():
    """A dash is better than a guess."""
    for job in (
        listed(state=JobState.PAUSED, rows_done=5, calls_made=5),
        listed(rows_done=0),
        listed(rows_done=1000, calls_made=9),
    ):
        assert pace.seconds_left(job, 10.0, now=100.0) is None
    assert pace.seconds_left(listed(rows_done=9), 0.0, now=1.0) is None


def test_bars_never_leave_their_box():
    """No rows at all, or more settled than there should be."""
    assert jobs_page.Line(listed(rows_total=0)).settled == 0
    assert jobs_page.Line(listed(rows_done=3000)).settled == 100
    assert limits_page.Line(standing(calls_per_s=900.0), 100.0).per_cent == 100


def test_a_limit_says_what_is_known():
    """Requests, tokens, both, nothing, or that the model is not on the plan."""

    def allowed(**changes) -> list[str]:
        return limits_page.Line(standing(**changes), 100.0).allowed

    assert allowed() == ["1,200 requests/min"]
    assert allowed(tokens_per_minute=2e6) == ["1,200 requests/min", "2,000,000 tokens/min"]
    assert allowed(requests_per_minute=None) == ["not known yet"]
    assert allowed(requests_per_minute=0) == ["not on the plan"]


def test_holds_end_by_themselves():
    """By the database's clock, as they were told."""
    assert limits_page.Line(standing(hold_until=130.0), 100.0).hold_s == 30
    assert limits_page.Line(standing(hold_until=90.0), 100.0).hold_s == 0
    assert limits_page.Line(standing(), 100.0).hold_s == 0


def test_a_cost_is_never_less_than_is_known():
    """Unknown is a word, not a zero."""
    assert words.short_cost(0, calls=5, unpriced=5) == "unknown"
    assert words.short_cost(2_000_000_000, calls=5, unpriced=2) == "≥ $2.00"
    assert words.short_cost(0, calls=0, unpriced=0) == "$0.00"


def test_rates_and_addresses():
    """As tables and links need them."""
    assert [words.rate(x) for x in (None, 0.0, 12.34, 1234.5)] == [
        "–",
        "0.0/s",
        "12.3/s",
        "1,234/s",
    ]
    assert words.with_query("/jobs", {"a": "", "b": None, "text": "a&b=c", "page": 2}) == (
        "/jobs?text=a%26b%3Dc&page=2"
    )

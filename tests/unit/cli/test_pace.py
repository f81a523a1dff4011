"""Speed and time left, from what was seen."""

from producers.cli.rendering.pace import Pace, Seen


def paced(*seen: tuple[float, int, int, int], rows: int = 100, calls: int = 400) -> Pace:
    """A pace that has noted `(at, paid, answered, settled)`."""
    pace = Pace(rows=rows, calls=calls)
    for entry in seen:
        pace.note(Seen(*entry))
    return pace


def test_it_is_too_early_to_say():
    """One look, or looks within a second, give no rate."""
    assert paced().calls_per_s is None
    assert paced((0, 0, 0, 0)).seconds_left is None
    assert paced((0, 0, 0, 0), (0.5, 100, 100, 0)).calls_per_s is None


def test_time_left_goes_by_calls_before_any_row_is_done():
    """Rows end late: their calls tell earlier."""
    pace = paced((0, 0, 0, 0), (10, 100, 100, 0))
    assert pace.calls_per_s == 10
    assert pace.seconds_left == 30


def test_time_left_goes_by_rows_when_the_estimate_is_used_up():
    """More calls than estimated: rows still tell."""
    assert paced((0, 390, 390, 80), (5, 410, 410, 90)).seconds_left == 5


def test_answers_from_the_ledger_count_for_the_time_left_and_not_for_the_speed():
    """They are no calls to the API."""
    pace = paced((0, 0, 0, 0), (2, 0, 200, 50))
    assert pace.calls_per_s == 0
    assert pace.seconds_left == 2


def test_only_the_last_seconds_count():
    """A slow start is forgotten."""
    looks = [(float(at), 0 if at < 30 else (at - 30) * 20, 0, 0) for at in range(60)]
    assert paced(*looks).calls_per_s == 20


def test_a_job_that_is_done_has_no_time_left():
    """All rows are settled."""
    assert paced((0, 0, 0, 0), (10, 100, 100, 100)).seconds_left == 0


def test_a_job_that_stands_still_has_no_end_in_sight():
    """No rate, no promise."""
    assert paced((0, 50, 50, 10), (9, 50, 50, 10)).seconds_left is None

"""By which way calls go: the table of `auto`, and what deadlines mean."""

from datetime import timedelta
from typing import Any

import pytest

from models.errors import BadInputError
from models.payloads import Estimate, Options
from producers.estimate import Ways
from producers.planning import Plan
from producers.routing import Route, batch_hours, choose, route

HOUR_S = 3600.0


def guessed(calls: int, usd: float | None, seconds: float | None = 60.0) -> Estimate:
    """An estimate of which only these matter."""
    tokens = {"prompt_tokens": 1, "completion_tokens": 1}
    return Estimate(rows=calls, calls=calls, cost_usd=usd, seconds=seconds, **tokens)


def both(
    calls: int = 5_000, usd: float | None = 10.0, seconds: float | None = 60.0, rounds: int = 1
) -> Ways:
    """What a job takes by each way, batches at half the price."""
    half = None if usd is None else usd / 2
    return Ways(guessed(calls, usd, seconds), guessed(calls, half, None), rounds)


@pytest.mark.parametrize(
    ("ways", "hours", "via", "why"),
    [
        (both(499), 6, "realtime", "499 calls are not worth a batch"),
        (both(499, seconds=9e6), None, "realtime", "499 calls are not worth a batch"),
        (both(usd=None), 6, "realtime", "no known price"),
        (both(90_000, usd=None), None, "realtime", "no known price"),
        (both(rounds=3), 2, "realtime", "3 rounds of batches"),
        (both(rounds=3), 2, "realtime", "longer than the 2 h 00 min there are"),
        (both(seconds=7 * HOUR_S, usd=0.001), 6, "batch", "real time would take 7 h 00 min"),
        (both(), 6, "batch", "save about $5.00"),
        (both(rounds=3), 3, "batch", "3 rounds of batches, an hour each by rule of thumb, fit"),
        (both(usd=0.19), 6, "realtime", "would save $0.0950 only"),
        (both(usd=0.2), 6, "batch", "save about $0.1000"),
        (both(20_001, seconds=None), None, "batch", "20,001 calls are more than 20,000"),
        (both(20_000), None, "realtime", "it takes 1 min 00 s at the current limit"),
        (both(20_000, seconds=None), None, "realtime", "--by 6h"),
        (both(seconds=HOUR_S + 1), None, "batch", "real time would take 1 h 00 min"),
        (both(seconds=HOUR_S), None, "realtime", "--by 6h"),
    ],
)
def test_auto_chooses_by_size_and_deadline_and_says_why(
    ways: Ways, hours: float | None, via: str, why: str
):
    """One sentence with the figures that decided."""
    by_s = None if hours is None else hours * HOUR_S
    chosen = choose(ways.realtime, ways.batch, rounds=ways.rounds, by_s=by_s)
    assert (chosen.via, chosen.asked) == (via, "auto")
    assert why in chosen.why


@pytest.mark.parametrize(
    ("by_s", "rounds", "hours"),
    [
        (None, 3, None),
        (6 * HOUR_S, 1, 6),
        (6 * HOUR_S, 4, 1),
        (1.99 * HOUR_S, 1, 1),
        (30 * 24 * HOUR_S, 1, 168),
    ],
)
def test_hours_are_shared_out_between_rounds(by_s: float | None, rounds: int, hours: int | None):
    """Rounded down, so that all rounds end by the deadline."""
    assert batch_hours(by_s, rounds) == hours


def test_a_deadline_that_no_batch_can_hold_is_refused():
    """It says how long would do."""
    with pytest.raises(BadInputError, match=r"1 h 30 min is too short for 2 rounds .* --by 2h"):
        route("batch", both(rounds=2), timedelta(hours=1.5))


def test_a_deadline_means_nothing_in_real_time():
    """Rather than being passed over."""
    with pytest.raises(BadInputError, match="--via batch or auto"):
        route("realtime", both(), timedelta(hours=6))


def test_what_is_asked_for_needs_no_reason():
    """Neither real time nor a batch is second-guessed, however small."""
    assert route("realtime", both()) == Route()
    assert route("batch", both(1)) == Route("batch", asked="batch")
    assert route("batch", both(rounds=2), timedelta(hours=9)).hours == 4


@pytest.mark.parametrize(
    ("chosen", "options"),
    [
        (Route(), Options(via="batch", batch_hours=7)),
        (Route("batch", hours=3), Options(via="batch", batch_hours=3)),
        (Route("batch"), Options(via="batch", batch_hours=7)),
    ],
)
def test_options_take_on_the_way(chosen: Route, options: Options):
    """Real time leaves them alone; hours that nobody named stay."""
    given = Options(via="batch" if chosen.via == "realtime" else "realtime", batch_hours=7)
    assert chosen.applied(given) == options


def test_a_plan_estimates_by_its_way_and_keeps_the_reason():
    """The note is stored with the job; the other way's estimate has none."""
    parts: dict[str, Any] = {"recipe": None, "found": None, "ways": both(), "on_duplicate": "stop"}
    plan = Plan(**parts, route=Route("batch", "it is cheap", asked="auto"))
    assert (plan.estimate.cost_usd, plan.estimate.notes) == (5.0, ["by batch: it is cheap"])
    assert plan.estimate_by("realtime") == both().realtime
    assert Plan(**parts, route=Route()).estimate == both().realtime

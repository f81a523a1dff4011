"""What is told, announced and found, and the pace that follows."""

from random import Random

import pytest

from models.limits import Limit
from worker.gateway.faults import LimitHeaders
from worker.limiter.adaptive import Search
from worker.limiter.beliefs import MARGIN, PROBE_RATE, Belief, learn, pace, refused
from worker.limiter.outlook import Outlook


def announced(requests: int | None = None, tokens: int | None = None) -> Belief:
    """A belief after such headers."""
    return learn(Belief(), LimitHeaders(limit_requests_minute=requests, limit_tokens_minute=tokens))


@pytest.mark.parametrize(
    ("told", "header", "rate", "source"),
    [
        (Limit(1200), None, 20, "told"),
        (None, 600, 10, "header"),
        (Limit(1200), 6000, 20, "told"),
        (Limit(1200), 600, 10, "header"),
        (Limit(None, 1000), 600, 10, "header"),
    ],
)
def test_the_stricter_of_told_and_announced_holds(
    told: Limit | None, header: int | None, rate: float, source: str
) -> None:
    """Per second, less the margin."""
    now = pace(told, announced(header))
    assert now.rate == pytest.approx(rate * MARGIN)
    assert now.limit is not None
    assert now.limit.source == source


def test_a_limit_without_figures_means_unlimited() -> None:
    """Until a header says otherwise."""
    assert pace(Limit(None, None), Belief()).rate is None
    assert not pace(Limit(None, None), Belief()).found_free
    assert pace(Limit(None, None), announced(60)).rate == pytest.approx(MARGIN)


def test_refusals_slow_even_an_unlimited_model() -> None:
    """Being told that there is no limit does not make it so."""
    free = Limit(None, None)
    after = refused(Belief(), at=5.0, measured=100.0, told=free, random=Random(1))
    rate = pace(free, after).rate
    assert rate is not None
    assert rate <= 100


def test_nothing_known_starts_the_search() -> None:
    """At the search's rate, with no limit to show."""
    now = pace(None, Belief())
    assert (now.rate, now.limit) == (Search().rate, None)


def test_a_limit_of_zero_still_lets_a_probe_through() -> None:
    """The fault it brings stops the job; silence would not."""
    assert pace(None, announced(0)).rate == PROBE_RATE
    assert (pace(None, announced(60, 0)).token_rate or 0) > 0


def test_embeddings_headers_leave_the_token_limit_alone() -> None:
    """They carry requests only."""
    belief = learn(announced(600, 60_000), LimitHeaders(limit_requests_minute=300))
    assert (belief.requests_per_minute, belief.tokens_per_minute) == (300, 60_000)


def test_a_huge_limit_is_not_worth_pacing() -> None:
    """What no worker can reach costs nothing."""
    now = pace(None, announced(1_000_000, 1_000_000_000))
    assert (now.rate, now.token_rate) == (None, None)


def test_a_belief_survives_storage() -> None:
    """And anything unreadable there is a blank belief."""
    belief = refused(announced(600, 1), at=9.0, measured=7.0, told=None, random=Random(1))
    assert Belief.from_json(belief.to_json()) == belief
    assert Belief.from_json('{"search": {"speed": 1}}') == Belief()
    assert Belief.from_json("[") == Belief()


def test_a_found_limit_is_resumed_below_its_ceiling() -> None:
    """No slow start, no refusal to begin with."""
    now = pace(None, Belief.from_limit(Limit(1200, None, "found")))
    assert now.rate is not None
    assert 18 < now.rate < 20


def test_a_losing_proposal_is_made_again_on_the_winners_belief() -> None:
    """Nobody's news is lost, and the same news is not taken twice."""
    ours = Outlook(Belief())
    assert ours.change(lambda b: learn(b, LimitHeaders(limit_requests_minute=600)))
    ours.adopt(Belief(tokens_per_minute=5.0), version=7)
    assert (ours.now.requests_per_minute, ours.now.tokens_per_minute) == (600, 5)
    assert ours.pending_count() == 1
    ours.adopt(ours.now, version=8)
    assert ours.pending_count() == 0

"""When an endpoint is tried again: the table, `Retry-After`, and the ends of it."""

from itertools import accumulate

import pytest
from builders import FakeClock

from models.states import DeliveryState
from worker.webhooks.schedule import DAY, GIVE_UP_S, JITTER, WAITS_S, Verdict, asked_s, judge

HOUR = 3600.0


def test_the_table_by_the_clock(clock: FakeClock) -> None:
    """Ten attempts, at the times that Standard Webhooks advise; then it is exhausted."""
    begun, at, tries = clock.now, [], 0
    while True:
        tries += 1
        at.append(clock.now - begun)
        verdict = judge(tries, 500)
        if verdict.state != DeliveryState.PENDING:
            break
        clock.advance(verdict.after_s)
    assert verdict.state == DeliveryState.EXHAUSTED
    waits = [0, 5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
    assert at == list(accumulate(waits))
    assert at[-1] < GIVE_UP_S == 5 * DAY


@pytest.mark.parametrize("tries", range(1, 10))
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_jitter_only_ever_lengthens(tries: int, chance: float) -> None:
    """By up to a fifth."""
    after_s = judge(tries, None, chance=chance).after_s
    assert WAITS_S[tries] <= after_s <= WAITS_S[tries] * (1 + JITTER)
    assert (after_s > WAITS_S[tries]) == (chance > 0)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_is_success(status: int) -> None:
    """On any attempt."""
    assert judge(10, status) == Verdict(DeliveryState.DELIVERED)


@pytest.mark.parametrize("status", [None, 100, 301, 302, 307, 400, 401, 404, 429, 500, 503, 599])
def test_all_else_is_tried_again(status: int | None) -> None:
    """3xx too: redirects are not followed."""
    assert judge(1, status) == Verdict(DeliveryState.PENDING, 5.0)


@pytest.mark.parametrize("tries", [1, 10])
def test_410_ends_the_endpoint(tries: int) -> None:
    """At once, and on the last attempt too."""
    assert judge(tries, 410) == Verdict(DeliveryState.DISABLED)


@pytest.mark.parametrize(
    ("tries", "asked", "waits_s"),
    [
        (1, "60", 60.0),
        (1, "2", 5.0),  # never before the table's own time
        (3, "60", 1800.0),
        (1, "-1", 5.0),
        (1, "0", 5.0),
        (1, "86400", DAY),
        (1, "99999999", DAY),
        (1, "9" * 4000, DAY),
        (9, "99999999", DAY),
        (1, "", 5.0),
        (1, "soon", 5.0),
        (1, "1e9", 5.0),
        (1, "٦٠", 5.0),
        (1, "Thu, 01 Jan 1970 02:00:00 GMT", 3600.0),
        (1, "Thu, 01 Jan 1970 00:00:00 GMT", 5.0),
        (1, "Thu, 01 Jan 1970 02:00:00 -0000", 3600.0),
        (1, "Thu, 01 Jan 9999 02:00:00 GMT", DAY),
        (1, "Thu, 99 Jan 1970 99:00:00 GMT", 5.0),
        (1, "1 Jan 2020 0:0:99999999999999 GMT", 5.0),
        (1, "1 Jan 2020 0:0:0 +99999999999999999999", 5.0),
    ],
)
def test_retry_after_is_honoured_within_reason(tries: int, asked: str, waits_s: float) -> None:
    """Seconds or a date; never sooner than the table says, never more than a day."""
    verdict = judge(tries, 429, retry_after=asked, now=3600.0)
    assert verdict == Verdict(DeliveryState.PENDING, waits_s)


def test_retry_after_cannot_lengthen_the_table() -> None:
    """After the last attempt nothing is asked any more."""
    assert judge(10, 503, retry_after="60").state == DeliveryState.EXHAUSTED
    assert asked_s(None, 0.0) == 0.0

"""When an endpoint is tried again, and when it is given up. Pure: time and chance are given."""

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from models.states import DeliveryState

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
WAITS_S = (
    0.0,
    5.0,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
"""Before the first attempt, the second, ...: what Standard Webhooks advise."""
JITTER = 0.2
"""Waits are longer by up to this share: what failed together does not come back together."""
LONGEST_S = DAY
"""The most that a `Retry-After` can ask for."""
GIVE_UP_S = 5 * DAY
"""An endpoint that fails after this long without a success is disabled."""
GONE = 410


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a delivery goes after an attempt; pending: due again after `after_s` seconds.

    Disabled stands for an endpoint that is gone, and for all that waits for it.
    """

    state: DeliveryState
    after_s: float = 0.0


def judge(
    tries: int,
    status: int | None,
    *,
    retry_after: str | None = None,
    now: float = 0.0,
    chance: float = 0.0,
) -> Verdict:
    """The verdict of attempt number `tries` (1, 2, ...), answered with `status` or (None) not.

    `now`: seconds since the epoch, to read a date in `Retry-After`; `chance`: 0 to 1, the jitter.
    """
    if status is not None and 200 <= status < 300:
        return Verdict(DeliveryState.DELIVERED)
    if status == GONE:
        return Verdict(DeliveryState.DISABLED)
    if tries >= len(WAITS_S):
        return Verdict(DeliveryState.EXHAUSTED)
    own_s = WAITS_S[max(tries, 1)] * (1 + JITTER * chance)
    return Verdict(DeliveryState.PENDING, max(own_s, min(asked_s(retry_after, now), LONGEST_S)))


def asked_s(retry_after: str | None, now: float) -> float:
    """Seconds that a `Retry-After`, number or date, asks for; 0 for garbage and the past."""
    text = (retry_after or "").strip()[:40]
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a second or a zone beyond all numbers is garbage too
        return 0.0
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)

"""The search for a limit that nobody tells: only refusals (429) show where it is. Pure.

From the first answer the rate doubles every `DOUBLING_S` until the first refusal. What was let
through in the second before it *is* the limit of a sliding window, so the rate goes to `KEPT` of
that ceiling, and stays; now and then it climbs gently above, to see whether the ceiling moved.
If a limit is known and refusals come all the same (others use the account), the same search
runs below it, and returns to it. Times are seconds of Redis time; rates are requests per second.
"""

from dataclasses import dataclass, replace
from random import Random

START_RATE = 10.0
UNPACED_RATE = 4000.0
"""From here on pacing costs more than it could save: the rate counts as unlimited. A climb is
refused at 3.5 times the limit, and whoever is unpaced by then sends all he has at once: so limits
up to 1,100/s are found without a flood."""
UNKNOWN_RATE = 2000.0
"""What stands for a rate that nobody measured, and for all processes while Redis is away."""
FLOOR_RATE = 0.2
DOUBLING_S = 0.2
LATER_DOUBLING_S = 1.0
KEPT = 0.97
"""Share of a measured ceiling at which the rate stays."""
KEPT_AGAIN = 0.85
"""The same when refusals go on: the measurement was too high (a bucket with a burst)."""
RECOVERY_PER_S = 0.05
RETURN_PER_S = 0.25
"""Share of a known limit regained per second: full rate within 10 s of the end of a storm."""
PROBE_PER_S = 0.01
CONFIRM_S = 3.0
CONFIRM_PER_S = 0.02
"""The first probe comes sooner and climbs faster: a climb measures its ceiling only roughly."""
FORGET_AT = 1.05
"""Unrefused at this multiple of the ceiling, the ceiling is forgotten."""
BURST_S = 1.0
"""Refusals within this time are one event: the window cannot have changed in between."""
AGAIN_S = 0.5
"""Refused so soon after a hold: the rate is far above what is let through."""
LONGEST_HOLD_S = 15.0
LONGEST_HOLD_KNOWN_S = 3.0
LONGEST_STEP_S = 0.5
SHORTEST_STEP_S = 0.1


@dataclass(frozen=True, slots=True)
class Search:
    """How far the search has come. `rate` None: no pacing. `ceiling` None: still unknown."""

    rate: float | None = START_RATE
    at: float = 0.0
    ceiling: float | None = None
    event_at: float = 0.0
    quiet_until: float = 0.0
    events: int = 0
    again: int = 0


def refused(
    search: Search,
    at: float,
    *,
    measured: float,
    rate: float | None,
    cap: float | None,
    random: Random,
) -> Search:
    """The search after a refusal of a call sent at `at`, with `measured` calls let through in
    the second before, at the pace of `rate`; `cap`: the known limit, if any.

    A refusal in the burst or the hold of the last event changes nothing.
    """
    if at < search.quiet_until:
        return search
    came_again = search.events > 0 and at - search.quiet_until < AGAIN_S
    ceiling = max(FLOOR_RATE, min(measured, rate or UNKNOWN_RATE))
    again = search.again + 1 if came_again else 0
    hold = _hold_s(search, again, cap, random)
    return Search(
        rate=max(FLOOR_RATE, ceiling * (KEPT_AGAIN if came_again else KEPT)),
        at=at + hold,
        ceiling=ceiling,
        event_at=at,
        quiet_until=at + max(BURST_S, hold),
        events=search.events + 1,
        again=again,
    )


def hold_until(before: Search, after: Search) -> float:
    """Until when all processes wait after an event; 0 if there was none."""
    return after.at if after.event_at > before.event_at else 0.0


def _hold_s(search: Search, again: int, cap: float | None, random: Random) -> float:
    """A climb has filled the last fraction of the window: wait it out. Else just a breath, so
    that calls already on their way find room; ever longer while refusals go on."""
    if cap is None and search.ceiling is None:
        return BURST_S
    if again == 0:
        return random.uniform(0.05, 0.15)
    longest = LONGEST_HOLD_S if cap is None else LONGEST_HOLD_KNOWN_S
    return min(longest, float(0.25 * 2.0 ** min(again, 6))) * random.uniform(0.5, 1.0)


def advance(search: Search, now: float, *, cap: float | None) -> Search:
    """The search at `now`, if calls were waiting and answers kept coming since `search.at`."""
    elapsed = now - search.at
    if elapsed < SHORTEST_STEP_S or search.rate is None:
        return search
    step = min(elapsed, LONGEST_STEP_S)
    if search.ceiling is None:
        return search if cap is not None else _climb(search, now, step)
    rate = _next_rate(search, search.ceiling, now, step, cap)
    if rate == search.rate:
        return search
    done = rate >= cap if cap is not None else rate > search.ceiling * FORGET_AT
    return replace(search, rate=rate, at=now, ceiling=None if done else search.ceiling)


def _climb(search: Search, now: float, step: float) -> Search:
    rate = search.rate or START_RATE
    doubling = LATER_DOUBLING_S if search.events else DOUBLING_S
    rate *= 2.0 ** (min(step, 2 * doubling) / doubling)
    return replace(search, rate=None if rate > UNPACED_RATE else rate, at=now)


def _next_rate(search: Search, ceiling: float, now: float, step: float, cap: float | None) -> float:
    rate = search.rate or FLOOR_RATE
    target = KEPT * ceiling
    if rate < target:
        return min(target, rate + RECOVERY_PER_S * ceiling * step)
    if now - search.event_at < _dwell_s(search, ceiling, cap):
        return rate
    if cap is not None:
        return rate + RETURN_PER_S * cap * step
    return rate + (PROBE_PER_S if search.events > 1 else CONFIRM_PER_S) * ceiling * step


def _dwell_s(search: Search, ceiling: float, cap: float | None) -> float:
    """How long to stay below the ceiling. Unknown limit: each probe costs about two refusals, so
    rarely enough that they stay below 0.1%; the first one soon, for a ceiling measured too low.
    Known limit: soon, for we know where to return to."""
    if cap is None:
        return CONFIRM_S if search.events == 1 else min(100.0, max(10.0, 2000.0 / ceiling))
    return min(3.0, float(search.events))

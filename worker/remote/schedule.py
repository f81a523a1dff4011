"""When remote work is looked at next. Pure: age, failures and chance are given.

Nobody tells us that a batch is done, so it is asked about: often while it is young, then once per
eighth of its age (whoever waits for a short batch hears of its end soon), and never less than once
in `LONGEST_S`. Waits are spread by 15% either way, so that what began together is not asked about
together. Looks per hour at a batch:

| hour of its life | looks |
|---|---|
| 1st | 68 |
| 2nd | 35 |
| 3rd to 24th | 34 or 35 each |
| 24 hours in all | 862 |

Looks that fail are repeated after 5, 10, 20, 40, ... seconds, up to 300, and not before a
`Retry-After` is over. After `TOO_MANY_FAILURES` in a row, about an hour after the first of them,
the caller pauses the job with the reason: somebody has to look at what is wrong.
"""

from random import Random

FIRST_S = 2.0
"""Before the first look, and the least between two."""
LONGEST_S = 120.0
ANSWER_S = 60.0
"""The request that starts remote work may take so long to be answered."""
LAG_S = 60.0
"""A list may show so late what was started."""
AGE_SHARE = 1 / 8
"""A wait, as a share of the age that the work has."""
JITTER = 0.15
FAILED_FIRST_S = 5.0
FAILED_LONGEST_S = 300.0
"""Between failed looks; also the most that a `Retry-After` can ask for."""
TOO_MANY_FAILURES = 20
"""Failed looks in a row, after which the caller pauses the job with a reason."""
_MOST_DOUBLINGS = 30


def next_look_s(
    age_s: float,
    random: Random,
    *,
    failures: int = 0,
    retry_after_s: float | None = None,
) -> float:
    """Seconds until the next look at work that was started `age_s` seconds ago.

    `failures`: looks that failed in a row, the last among them; `retry_after_s`: of its `Fault`.
    Never more than `LONGEST_S`, or after failures than 300.
    """
    if failures <= 0:
        return _spread(max(FIRST_S, age_s * AGE_SHARE), LONGEST_S, random)
    doubled_s = FAILED_FIRST_S * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)
    own_s = _spread(doubled_s, FAILED_LONGEST_S, random)
    asked_s = (retry_after_s or 0.0) * random.uniform(1.0, 1.0 + JITTER)
    return min(max(own_s, asked_s), FAILED_LONGEST_S)


def _spread(wait_s: float, most_s: float, random: Random) -> float:
    """`wait_s` with the jitter; the longest waits are spread below `most_s`, not cut at it."""
    return min(wait_s, most_s / (1.0 + JITTER)) * random.uniform(1.0 - JITTER, 1.0 + JITTER)

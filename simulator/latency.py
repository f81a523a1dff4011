"""How long the simulated model thinks."""

import math
import random

# The 95th percentile of the standard normal distribution.
_Z95 = 1.6448536269514722


class Latency:
    """Draws from the log-normal distribution with this median and 95th percentile, seconds."""

    def __init__(self, median_s: float, p95_s: float, *, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 # reproducible on purpose
        self._mu = math.log(median_s) if median_s > 0 else None
        self._sigma = math.log(p95_s / median_s) / _Z95 if p95_s > median_s > 0 else 0.0

    def draw(self) -> float:
        """Seconds until the next answer; always 0 when the median is."""
        return 0.0 if self._mu is None else self._random.lognormvariate(self._mu, self._sigma)

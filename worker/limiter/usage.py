"""What the limiter tells about itself."""

from dataclasses import dataclass

from models.limits import Limit


@dataclass(frozen=True, slots=True)
class ModelUse:
    """One model in one process, at one moment.

    `limit` None: not known yet. `rate`: requests per second the processes share now, None if
    unpaced. `hold_s`: how long nobody sends, seconds. `granted`, `refusals` and `waited_s` (the
    sum over all calls) count from the start of the process. `redis_away`: the local limiter runs.
    """

    model: str
    limit: Limit | None
    rate: float | None
    hold_s: float
    circuit_level: int
    waiting: int
    in_flight: int
    granted: int
    refusals: int
    waited_s: float
    processes: int
    redis_away: bool

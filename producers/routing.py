"""By which way a job's calls go: at once, or by hosted batches at half the price. Pure.

What `--via auto` chooses; the first line that fits holds:

| what is known                                        | by `--by`  | way      |
|------------------------------------------------------|------------|----------|
| fewer than 500 calls                                 | or without | realtime |
| a model has no price (perhaps a server of one's own) | or without | realtime |
| rounds x 1 h is longer than the deadline             | with       | realtime |
| real time at the known limits would miss it          | with       | batch    |
| batches save 0.10 USD or more                        | with       | batch    |
| they save less                                       | with       | realtime |
| more than 20,000 calls                               | without    | batch    |
| real time at the known limits takes more than 1 h    | without    | batch    |
| anything else                                        | without    | realtime |
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from models.bounds import MOST_BATCH_HOURS
from models.errors import BadInputError
from models.payloads import Estimate, Options
from models.words import counted, dollars, duration
from producers.estimate import Ways

Via = Literal["realtime", "batch"]
ViaWish = Literal["realtime", "batch", "auto"]

FEWEST_CALLS = 500
"""Fewer are not worth the wait for a batch."""
MANY_CALLS = 20_000
"""More go by batch even without a deadline."""
LONG_S = 3_600.0
"""Real time that takes longer goes by batch even without a deadline."""
ROUND_S = 3_600.0
"""Rule of thumb for one round of batches; the provider promises no more than the batch's hours."""
LEAST_SAVED_USD = 0.10
HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Route:
    """How calls go, and why in one sentence."""

    via: Via = "realtime"
    why: str = ""
    """Empty: it was asked for."""
    hours: int | None = None
    """How long each batch may take; None: as the options have it."""
    asked: ViaWish = "realtime"

    def applied(self, options: Options) -> Options:
        """The options with this way in them; real time leaves them as they are."""
        if self.via == "realtime":
            return options
        hours = options.batch_hours if self.hours is None else self.hours
        return options.model_copy(update={"via": self.via, "batch_hours": hours})


REALTIME = Route()
"""What holds where nobody asks for another way."""


def route(wish: ViaWish, ways: Ways, by: timedelta | None = None) -> Route:
    """The way asked for, or the one that `choose` takes for `auto`.

    Raises `BadInputError` for a deadline that means nothing or that no batch can hold.
    """
    by_s = None if by is None else by.total_seconds()
    if wish == "realtime":
        if by_s is not None:
            raise BadInputError("--by is a deadline for batches: it goes with --via batch or auto")
        return REALTIME
    if wish == "auto":
        return choose(ways.realtime, ways.batch, rounds=ways.rounds, by_s=by_s)
    return Route("batch", hours=batch_hours(by_s, ways.rounds), asked=wish)


def batch_hours(by_s: float | None, rounds: int) -> int | None:
    """Whole hours for each of the rounds, so that all of them end by the deadline; None: no word.

    Raises `BadInputError` if that is less than the one hour that a batch is given at least.
    """
    if by_s is None:
        return None
    hours = int(by_s // (HOUR_S * rounds))
    if hours < 1:
        raise BadInputError(
            f"{duration(by_s)} is too short for {counted(rounds, 'round')} of batches, which need "
            f"an hour each: give --by {rounds}h or more, or take --via realtime"
        )
    return min(hours, MOST_BATCH_HOURS)


def choose(realtime: Estimate, batch: Estimate, *, rounds: int, by_s: float | None = None) -> Route:
    """What `auto` takes, by the table above."""
    if realtime.calls < FEWEST_CALLS:
        calls = counted(realtime.calls, "call")
        return _realtime(f"{calls} are not worth a batch (from {FEWEST_CALLS} on they may be)")
    if realtime.cost_usd is None or batch.cost_usd is None:
        return _realtime("a model has no known price, so nothing says that batches save anything")
    saved_usd = realtime.cost_usd - batch.cost_usd
    if by_s is None:
        return _without_deadline(realtime, saved_usd)
    return _by_deadline(realtime, saved_usd, rounds, by_s)


def _by_deadline(realtime: Estimate, saved_usd: float, rounds: int, by_s: float) -> Route:
    batches = f"{counted(rounds, 'round')} of batches, an hour each by rule of thumb,"
    left = duration(by_s)
    if by_s < rounds * ROUND_S:
        return _realtime(f"{batches} may take longer than the {left} there are")
    hours = batch_hours(by_s, rounds)
    if realtime.seconds is not None and realtime.seconds > by_s:
        takes = duration(realtime.seconds)
        return _batch(f"real time would take {takes}, longer than the {left} there are", hours)
    if saved_usd < LEAST_SAVED_USD:
        return _realtime(f"batches would save {dollars(saved_usd)} only")
    return _batch(f"{batches} fit into {left} and save about {dollars(saved_usd)}", hours)


def _without_deadline(realtime: Estimate, saved_usd: float) -> Route:
    saves = f"batches save about {dollars(saved_usd)}"
    if realtime.calls > MANY_CALLS:
        return _batch(f"{realtime.calls:,} calls are more than {MANY_CALLS:,}: {saves}")
    if realtime.seconds is None:
        few = f"{realtime.calls:,} calls are no more than {MANY_CALLS:,}"
        return _realtime(f"{few}; with a deadline (--by 6h) {saves}")
    takes = duration(max(1, realtime.seconds))
    if realtime.seconds > LONG_S:
        return _batch(f"real time would take {takes} at the current limit: {saves}")
    return _realtime(f"it takes {takes} at the current limit; with a deadline (--by 6h) {saves}")


def _realtime(why: str) -> Route:
    return Route("realtime", why, asked="auto")


def _batch(why: str, hours: int | None = None) -> Route:
    return Route("batch", why, hours, asked="auto")

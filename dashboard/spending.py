"""What a job's page says of money: a sweep's is that of its runs. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.words import short_cost
from models.states import SETTLED
from models.store.money import Cost
from models.store.views.jobpage import JobPage
from models.store.views.trainingpage import SweptRun
from models.tables import Job
from models.words import is_unknown_cost

ALL = "all models"
"""What trainings of an earlier version cost: their jobs counted it, their models did not."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was paid, in words and by model."""

    cost: str
    """`unknown` already if that of one run is."""
    cost_nano: int
    """As far as it is known."""
    lines: Sequence[Cost]
    """By model; they tell no less than `cost` does."""
    nothing: str
    """What stands there instead of lines."""


def spent_on(page: JobPage) -> Spent:
    """The job's own cost and that of its runs."""
    runs = page.training.runs if page.training else []
    each: list[Job | SweptRun] = [page.job, *runs]
    total = Cost(
        ALL,
        calls=sum(one.calls_made for one in each),
        calls_unpriced=sum(one.calls_unpriced for one in each),
        cost_nano=sum(one.cost_nano for one in each),
    )
    unknown = [is_unknown_cost(calls=r.calls_made, unpriced=r.calls_unpriced) for r in runs]
    by_model = page.training.costs if page.training and runs else page.costs
    is_unlisted = page.training is not None and total.calls > 0 and not by_model
    return Spent(
        cost="unknown" if any(unknown) else cost_of(total),
        cost_nano=total.cost_nano,
        lines=[total] if is_unlisted else by_model,
        nothing=_nothing(page.job, has_doubts=bool(page.doubts)),
    )


def cost_of(cost: Cost) -> str:
    """`$1.20`, `≥ $1.20`, `unknown`."""
    return short_cost(cost.cost_nano, calls=cost.calls, unpriced=cost.calls_unpriced)


def _nothing(job: Job, *, has_doubts: bool) -> str:
    if has_doubts:
        return "Nothing was paid for certain"
    return "Nothing was paid" if job.state in SETTLED else "Nothing was paid yet"

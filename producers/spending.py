"""Budgets at the producer's side: read, checked against the estimate, and raised."""

from sqlalchemy import Connection

from models.budgets import parse_budget
from models.errors import BadInputError
from models.nano import NANO
from models.prices import PriceTable
from models.store import money
from models.tables import Job
from models.words import counted, dollars
from models.words import money as words_of
from producers.estimate import Ways
from producers.planning import Checked
from producers.routing import Via

Amount = str | float | None
"""`5EUR`, `5USD`, or a number of USD."""


def checked_budget(
    budget: Amount, plan: Checked, via: Via, prices: PriceTable, *, partial: bool = False
) -> int | None:
    """The budget in nano-USD of a plan whose calls go `via`; None: there is none.

    Raises `BadInputError` if a model has no price, or if the estimate is above the budget and a
    job that stops in the middle (`partial`) was not asked for.
    """
    if budget is None:
        return None
    nano = parse_budget(_written(budget), prices)
    unknown = [model for model in plan.models if prices.price(model) is None]
    if unknown:
        names = ", ".join(unknown)
        raise BadInputError(
            f"a budget needs prices, and {names} is not in the price table of {prices.as_of}: "
            "name a table that has it by MAESTRALE_PRICES (here and for the workers)"
        )
    cost_usd = plan.estimate_by(via).cost_usd
    if cost_usd is not None and cost_usd * NANO > nano and not partial:
        raise BadInputError(_too_much(nano, cost_usd, plan.ways))
    return nano


def _written(budget: str | float) -> str:
    """A number in plain digits: small ones write themselves as 5e-05."""
    return budget if isinstance(budget, str) else f"{budget:.9f}"


def _too_much(nano: int, cost_usd: float, ways: Ways) -> str:
    rows = ways.batch.rows
    fit = int(rows * nano / (cost_usd * NANO))
    some = f"take what fits by --limit {fit}, " if fit else ""
    batch_usd = ways.batch.cost_usd
    is_cheaper = batch_usd is not None and batch_usd * NANO <= nano
    way = f"take it by --via batch for about {dollars(batch_usd or 0)}, " if is_cheaper else ""
    return (
        f"the job takes about {dollars(cost_usd)}, more than its budget of "
        f"{words_of(nano)}: about {fit:,} of {counted(rows, 'row')} fit. Give more, {way}{some}or "
        "start all the same by --partial: it pauses when the budget is spent"
    )


def resume(connection: Connection, job: Job, budget: Amount, prices: PriceTable) -> bool:
    """paused -> queued, under another budget if one is given, which must be above what is spent."""
    nano = None if budget is None else parse_budget(_written(budget), prices)
    return money.resume(connection, job.id, budget_nano=nano)


def checked_again(connection: Connection, job: Job, budget: str | float, prices: PriceTable) -> int:
    """Another budget, in nano-USD, of a job that has begun; it is locked with all below it.

    Raises `BadInputError` if no more than that is spent.
    """
    nano = parse_budget(_written(budget), prices)
    money.check_more(connection, job.id, nano)
    return nano

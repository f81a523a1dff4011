"""What hosted trainings cost: held back once the provider has said it, counted at their end."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from models.payloads import CallRecord, DoubtRecord, Estimate, Usage
from models.prices import PriceTable
from models.states import RemoteState
from models.store import calls, jobs, money, remote
from models.tables import RemoteOperation

HOLD_S = 30 * 86_400.0
"""How long money is held back for a training whose end nobody hears of."""
NANO = 1e9


def expected_nano(trial: Mapping[str, Any], prices: PriceTable) -> int | None:
    """The cost that a dry run said, in 1e-9 USD; None where it names none in USD or EUR."""
    cost = trial.get("cost")
    if not isinstance(cost, int | float) or isinstance(cost, bool) or cost < 0:
        return None
    rate = {"USD": 1.0, "EUR": prices.usd_per_eur}.get(str(trial.get("cost_currency")))
    return None if rate is None else round(cost * rate * NANO)


def afford(connection: Connection, op: RemoteOperation, said_nano: int | None) -> bool:
    """Holds back what the training will cost; False: its job's budget does not pay for it, and
    the job is paused.

    Where the provider did not say it, it is what the plan reckoned.
    """
    jobs.lock(connection, [op.job_id])
    job = jobs.get(connection, op.job_id)
    assert job is not None, "operations belong to jobs"
    planned = Estimate.model_validate_json(job.estimate).cost_usd
    cost_nano = said_nano if said_nano is not None or planned is None else round(planned * NANO)
    if not remote.note_cost(connection, op, cost_nano):
        return False
    if job.budget_nano is None:
        return True
    if cost_nano is None:
        jobs.pause(connection, op.job_id, f"price: nobody says what training {op.model} costs")
        return False
    needed = {"needed_nano": cost_nano}
    granted = money.hold(connection, op.job_id, op.id, 0, cost_nano, HOLD_S, **needed).nano
    if granted < cost_nano:
        training = f"training {op.model}"
        money.reach(connection, op.job_id, op.id, cost_nano, what=training, is_all=True)
        return False
    return True


def count(
    connection: Connection, op: RemoteOperation, state: RemoteState, *, may_have_run: bool
) -> None:
    """The operation is over: its money is free again, and what it cost counts, once.

    A training that ended otherwise than well may have been charged for: it is in doubt.
    """
    money.hold(connection, op.job_id, op.id, 0, 0, HOLD_S)
    if state == RemoteState.SUCCEEDED:
        paid = CallRecord(op.id, "training", op.model, "", Usage(), op.cost_nano, 0, op.job_id)
        money.spend(connection, [paid])
        made = {"calls_made": 1, "calls_unpriced": int(op.cost_nano is None)}
        jobs.count(connection, op.job_id, {**made, "cost_nano": op.cost_nano or 0})
    elif may_have_run:
        doubt = DoubtRecord(op.id, op.job_id, op.model, state, op.cost_nano, op.id)
        calls.doubt(connection, [doubt])

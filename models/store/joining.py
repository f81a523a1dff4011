"""A job joins the run that it is a stage of, at the end of the transaction that submits it."""

from sqlalchemy import Connection

from models.errors import MaestraleError, SpentError
from models.states import SETTLED
from models.store import jobs, portions


def stay_below(connection: Connection, job_id: str, parent_id: str | None) -> None:
    """Keeps the job's run from settling until the job is committed, and the job within what is
    left of the run's budget; None: it has no parent.

    Raises `MaestraleError` if the run is over: nobody would stop the job. `SpentError` if nothing
    is left.
    """
    if parent_id is None:
        return
    jobs.lock(connection, [parent_id])
    parent = jobs.get(connection, parent_id)
    if parent is not None and parent.state in SETTLED:
        raise MaestraleError(f"{parent_id} is {parent.state}: nothing is begun below it any more")
    if parent is not None and parent.budget_nano is not None:
        _keep_within(connection, job_id, parent_id, parent.budget_nano)


def _keep_within(connection: Connection, job_id: str, run_id: str, budget_nano: int) -> None:
    """Others were submitted, or the run got another budget, since the stage was told its share."""
    left = budget_nano - portions.committed_nano(connection, run_id, but=[job_id])
    if left <= 0:
        raise SpentError(f"nothing is left of the budget of {run_id} just now")
    own = portions.budget_of(connection, job_id)
    if own is None or own > left:
        portions.hand_out(connection, job_id, left)

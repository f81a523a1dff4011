"""What a job says that stands because its budget is spent, on both databases: what is needed, and
one command that helps."""

from builders import a_stored_job, a_submission, the_job
from test_budget_shares import a_child, a_run

from models.states import JobState
from models.store import money, remote, trainings
from models.store.engine import Store
from worker.remote import training_costs

CENT = 10_000_000


def test_a_training_says_what_it_needs_and_raises_the_budget_of_its_run(store: Store) -> None:
    """With what others of the run have spent or may spend, and no id but the run's to resume."""
    run = a_run(store, 9 * CENT)
    a_child(store, run, "succeeded", cost_nano=1 * CENT, budget_nano=4 * CENT)
    a_child(store, run, "running", cost_nano=0, budget_nano=3 * CENT)
    told = a_submission().estimate.model_dump_json()
    job_id = a_child(store, run, "waiting", budget_nano=5 * CENT, estimate=told)
    with store.write() as connection:
        facts = {"kind": "training", "endpoint": "", "model": "ministral-3b", "shard_no": 0}
        remote.create(connection, job_id=job_id, **facts)
        (operation,) = trainings.operations_of(connection, job_id, 0)
        assert not training_costs.afford(connection, operation, 131_072_000)
    reason = the_job(store, job_id).state_reason
    assert reason == (
        "budget: $0.00 of $0.0500 is spent, $0.0500 is left and training ministral-3b needs about "
        f"$0.1311; go on with `maestrale resume {run} --budget MORE` (at least $0.1711 in all)"
    )
    assert job_id not in reason


def test_a_call_says_what_it_needs(store: Store) -> None:
    """And how much is left: who gives that much more goes on."""
    job_id = a_stored_job(store, state=JobState.RUNNING, budget_nano=100_000)
    with store.write() as connection:
        assert money.reach(connection, job_id, "me", 240_000)
    assert the_job(store, job_id).state_reason == (
        "budget: $0.00 of $0.0001 is spent, $0.0001 is left and the next call needs about $0.0002; "
        f"go on with `maestrale resume {job_id} --budget MORE`"
    )

"""The registry of tuned models, which never replaces one."""

from concurrent.futures import ThreadPoolExecutor

from builders import a_stored_job, eventually
from sqlalchemy import text

from models.store import registry
from models.store.engine import Store
from models.tables import TunedModel


def registered(store: Store, job_id: str) -> TunedModel:
    """The job's model, under the name that all jobs here want."""
    with store.write() as connection:
        return registry.register(connection, a_model(job_id), {})


def a_model(job_id: str) -> TunedModel:
    """What a run became."""
    return TunedModel(
        name="news", base="b", trainer="local", place="p", job_id=job_id, created_at=0.0
    )


def is_waited_for(store: Store) -> bool:
    """Whether another transaction waits for one that is open. SQLite's are not seen to."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    mine = " AND datname = current_database()"
    with store.read() as connection:
        return store.is_sqlite or bool(connection.scalar(text(waiting + mine)))


def test_two_runs_of_one_name_that_end_together_are_both_registered(store: Store) -> None:
    """The second's has its job's id in its name, as if it had come an hour later."""
    first, second = (a_stored_job(store, rows_count=1) for _ in range(2))
    with ThreadPoolExecutor(1) as other:
        with store.write() as connection:
            registry.register(connection, a_model(first), {})
            late = other.submit(registered, store, second)
            eventually(lambda: is_waited_for(store), "the second waits for the first")
        assert late.result().name == f"news-{second[4:]}"
    assert registered(store, first).name == "news", "once per job"

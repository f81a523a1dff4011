"""One function rings for a job's next shards: with a broker, and without one."""

from builders import a_stored_job
from sqlalchemy import func, select

from models.doorbell import make_celery, queued, ring_for
from models.settings import Settings
from models.store import shards
from models.store.engine import Store
from proving.servers import free_port


def published(store: Store, job_id: str) -> int:
    """Shards with a message on its way."""
    table = shards.shards
    with store.read() as connection:
        return connection.scalar(
            select(func.count(table.c.published_at)).where(table.c.job_id == job_id)
        )


def test_it_publishes_the_window_once(store: Store, redis_url: str):
    """Each open shard has one message, however often it is asked."""
    job_id = a_stored_job(store, rows_count=6, shard_size=2)
    app = make_celery(Settings(_env_file=None, REDIS_URL=redis_url), patience_s=3)
    assert ring_for(store, app, job_id)
    assert ring_for(store, app, job_id)
    assert (published(store, job_id), queued(app)) == (3, 3)
    app.close()


def test_a_broker_that_is_away_leaves_the_shards_to_the_sweeper(store: Store):
    """False, and nothing is marked as published that was not."""
    job_id = a_stored_job(store)
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    app = make_celery(Settings(_env_file=None, REDIS_URL=nobody), patience_s=1)
    assert not ring_for(store, app, job_id)
    assert published(store, job_id) == 0
    app.close()

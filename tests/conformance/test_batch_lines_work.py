"""What settling a line takes: steps of SQLite's machine are counted, never time."""

from pathlib import Path
from typing import Any

import pytest
from builders import a_call, a_key, a_stored_job, claimed
from sqlalchemy import select

from models.settings import Settings
from models.states import FailureCode
from models.store import batch_lines, batches, remote
from models.store.batch_lines import LineFault
from models.store.batches import Wanted
from models.store.engine import Store, open_store
from models.tables import RemoteOperation

FEW, MANY = 40, 2_000


@pytest.fixture
def lite(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """SQLite, which does not know how much its indexes hold."""
    path = tmp_path / "lite.db"
    path.write_bytes(request.getfixturevalue("_migrated_sqlite").read_bytes())
    store = open_store(Settings(_env_file=None, DATABASE_URL=f"sqlite:///{path}"))
    request.addfinalizer(store.close)
    return store


def sent(store: Store, number: int) -> RemoteOperation:
    """A batch of so many calls; another shard of the job wants the same, and follows."""
    job_id = a_stored_job(store, rows_count=2, shard_size=1)
    keys = [a_key(f"{job_id}:{n}") for n in range(number)]
    for no in (0, 1):
        held = claimed(store, job_id, no)
        with store.write() as connection:
            wanted = [Wanted(key, "chat", "small", "{}", 10) for key in keys]
            assert batches.park(connection, held, wanted)
    with store.write() as connection:
        (op_id,) = batches.cut(connection, job_id)
        mine = remote.operations.c.id == op_id
        found = connection.execute(select(remote.operations).where(mine)).mappings().one()
        return RemoteOperation(**found)


def steps(store: Store, op: RemoteOperation) -> int:
    """Hundreds of steps that it takes to settle one answer and one fault of the batch."""
    with store.read() as connection:
        answered, failed, *_ = [key for key, _ in batch_lines.lines(connection, op.id)]
    records = [a_call(answered, job_id=op.job_id)]
    faults = [LineFault(failed, False, FailureCode.SERVER_ERROR, "status 500")]
    counted = []

    def count() -> None:
        counted.append(1)

    with store.write() as connection:
        raw: Any = connection.connection.driver_connection
        raw.set_progress_handler(count, 100)
        settled = batch_lines.settle_lines(connection, op, records, faults)
        raw.set_progress_handler(None, 0)
    assert settled == 1
    return len(counted)


def test_a_line_takes_as_much_in_a_large_batch_as_in_a_small_one(lite: Store) -> None:
    """It is found by its key: 100,000 lines of which some fail would take an hour else."""
    assert steps(lite, sent(lite, MANY)) < 2 * steps(lite, sent(lite, FEW)) + 5

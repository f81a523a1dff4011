"""A shard whose calls go by batch, over a real database and ledger: what is parked, what fails."""

import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from builders import a_doubt, a_stored_job, assert_all_rows_accounted_for, the_job
from sqlalchemy import select

from models.doorbell import make_celery
from models.errors import StoreBusyError
from models.payloads import JobSpec, Options
from models.prices import load_prices
from models.recipes import parse_recipe
from models.settings import Settings
from models.states import FailureCode, JobKind, JobState, RowState
from models.store import batches, calls, rows
from models.store.engine import Store
from proving.servers import free_port
from worker.asking import Asker
from worker.call_counts import CallCounts
from worker.database import Database
from worker.kinds import generate
from worker.ledger.claims import Claims
from worker.ledger.ledger import Ledger
from worker.money import Purses
from worker.paying import Payer
from worker.shards import Shards

STEP = {"name": "answer", "model": "mistral-small-latest", "prompt": "Read: {{ row.id }}"}
RECIPE = parse_recipe(
    {"name": "test", "steps": [STEP], "output": {"record": {"answer": "{{ answer }}"}}}, "test.toml"
)
SPEC = JobSpec(
    recipe=RECIPE.model_dump(mode="json"), options=Options(via="batch", on_uncertain="hold")
).model_dump_json()


class Nobody:
    """A limiter and a gateway that must not be asked: the rows' calls go by batch."""

    async def acquire(self, *_: Any, **__: Any) -> Any:
        """A permit."""
        raise AssertionError("a call was about to be sent at once")


@pytest.fixture
async def here(store: Store, tmp_path: Path) -> AsyncIterator[Shards]:
    """This process's shards, with a real asker; no broker listens."""
    ledger = Ledger(store, tmp_path / "spool", Claims(None, "test"))
    ledger.open()
    payer = Payer(
        ledger=ledger,
        limiter=Nobody(),  # type: ignore[arg-type] # nothing is sent
        gateway=Nobody(),  # type: ignore[arg-type]
        prices=load_prices(),
        purses=Purses(_no_money, lambda *_: None, "test"),
        figures=CallCounts(),
        random=random.Random(1),
    )
    url = f"redis://127.0.0.1:{free_port()}/0"
    with ThreadPoolExecutor(4) as threads:
        yield Shards(
            database=Database(store, threads),
            ledger=ledger,
            asker=Asker(server="http://api", ledger=ledger, payer=payer, withholds=_nothing),
            app=make_celery(Settings(_env_file=None, REDIS_URL=url), patience_s=0.2),
            owner="test",
            lease_s=60,
            drain_s=0.1,
            rows_in_flight=100,
            pausing=lambda *_: None,
            runs={JobKind.GENERATE: generate.run_row},
        )
        await ledger.close()


async def _nothing(_model: str) -> bool:
    return False


async def _no_money(*_: Any, **__: Any) -> Any:
    raise AssertionError("these jobs have no budget")


def parked(store: Store, job_id: str) -> dict[str, str]:
    """The calls that the job's rows wait for: row -> key."""
    table = batches.requests
    query = select(table.c.key, table.c.body).where(table.c.job_id == job_id)
    with store.read() as connection:
        found = connection.execute(query).all()
    return {f"r{number}": one.key for one in found for number in (0, 1) if f"r{number}" in one.body}


def row_states(store: Store, job_id: str) -> list[tuple[str, str | None]]:
    """State and failure of the job's rows."""
    columns = (rows.rows.c.state, rows.rows.c.failure_code)
    query = select(*columns).where(rows.rows.c.job_id == job_id).order_by(rows.rows.c.seq)
    with store.read() as connection:
        return [(row.state, row.failure_code) for row in connection.execute(query)]


async def test_a_job_whose_calls_cannot_be_read_is_forgotten(
    store: Store, here: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shard is handed back; nothing of it stays in the process."""

    def busy(*_: Any) -> None:
        raise StoreBusyError("busy")

    monkeypatch.setattr("worker.shards.batches.known", busy)
    job_id = a_stored_job(store, rows_count=1, spec=SPEC)
    with pytest.raises(StoreBusyError):
        await here.run(job_id, 0)
    assert (here.jobs, here.held) == ({}, {})


async def test_a_row_whose_call_is_in_doubt_fails_and_the_rest_of_its_shard_waits(
    store: Store, here: Shards
) -> None:
    """The job says hold: the call in doubt is in no batch, and alone it settles shard and job."""
    first = a_stored_job(store, rows_count=2, spec=SPEC)
    await here.run(first, 0)
    keys = parked(store, first)
    assert set(keys) == {"r0", "r1"}, "nothing is in doubt yet"
    with store.write() as connection:
        calls.doubt(connection, [a_doubt(keys["r0"])])

    both = a_stored_job(store, rows_count=2, spec=SPEC)
    await here.run(both, 0)
    assert parked(store, both) == {"r1": keys["r1"]}
    assert row_states(store, both) == [
        (RowState.FAILED, FailureCode.UNCERTAIN),
        (RowState.OPEN, None),
    ]

    alone = a_stored_job(store, rows_count=1, shard_size=1, spec=SPEC)
    await here.run(alone, 0)
    job = the_job(store, alone)
    assert (job.state, job.rows_failed, parked(store, alone)) == (JobState.FAILED, 1, {})
    assert_all_rows_accounted_for(store, alone)

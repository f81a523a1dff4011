"""Retention and backup with real workers: nothing of what stays is touched or paid for again."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from builders import assert_all_rows_accounted_for, eventually
from sqlalchemy import func, select
from test_cli import Terminal

from models.settings import Settings
from models.states import JobState
from models.store import deliveries, fleet
from models.store.calls import calls
from models.tables import Job
from producers import Maestrale
from producers.services import Services
from proving.stage import Stage

OnStage = Callable[..., Stage]
Texts = Callable[..., Path]
pytestmark = pytest.mark.slow


def terminal(on: Stage) -> Terminal:
    """A user of the stage's home."""
    return Terminal(on.home, on.url, home=on.home)


def told_of_all(on: Stage) -> None:
    """Events go to no endpoint here, but they are relayed."""
    with on.client.store.write() as connection:
        while deliveries.relay(connection):
            pass


def answers_of(client: Maestrale, job_id: str) -> int:
    """Paid answers in the ledger."""
    with client.store.read() as connection:
        query = select(func.count()).select_from(calls).where(calls.c.job_id == job_id)
        return connection.scalar(query) or 0


def test_pruning_beside_a_running_job_loses_and_pays_nothing(
    on_stage: OnStage, texts: Texts
) -> None:
    """One finished job is forgotten while another runs: that one ends whole; the forgotten one,
    submitted again, is paid by the ledger; and after `--answers` it is paid for anew."""
    on = on_stage("--latency-median", "0.2", "--limit", "*=3000", workers=1)
    user = terminal(on)
    old = on.client.wait(on.client.generate(texts(120), recipe="translate").id)
    told_of_all(on)
    eventually(lambda: on.client.store.now() - (old.finished_at or 0) > 1, "it is old enough")
    planned = user.facts("prune", "--older-than", "1s", "--dry-run")
    assert (planned["planned"]["jobs"], planned["forgotten"]["jobs"]) == (1, 0)
    assert "alive" in user.run("prune", "--older-than", "1s", "--compact", code=1)

    running = on.client.generate(texts(500, 1000), recipe="translate")
    eventually(lambda: on.client.get(running.id).rows_done > 20, "the second job is under way")
    assert on.client.prune(timedelta(seconds=1)).jobs == 1
    assert on.client.get(running.id).state == JobState.RUNNING, "pruning was done meanwhile"
    assert old.id in user.run("show", old.id, code=2)

    running = on.client.wait(running.id)
    assert (running.state, running.rows_done) == (JobState.SUCCEEDED, 500)
    assert_all_rows_accounted_for(on.client.store, running.id)
    again = on.client.wait(on.client.generate(texts(120), recipe="translate").id)
    assert (again.calls_made, again.calls_from_ledger, again.rows_done) == (0, 120, 120)

    told_of_all(on)
    eventually(lambda: on.client.store.now() - (again.finished_at or 0) > 1, "it is old enough")
    forgotten = user.facts("prune", "--older-than", "1s", "--answers")["forgotten"]
    assert (forgotten["jobs"], forgotten["answers"]) == (2, 620)
    anew = on.client.wait(on.client.generate(texts(120), recipe="translate").id)
    assert (anew.calls_made, anew.calls_from_ledger) == (120, 0)


def test_a_backup_of_a_running_job_goes_on_in_a_new_home(on_stage: OnStage, texts: Texts) -> None:
    """Copied while workers write, restored as docs/operations.md says: the job ends there with
    every row, and no answer that the copy held is paid for a second time."""
    on = on_stage("--latency-median", "0.2", "--limit", "*=2400", workers=2)
    job = on.client.generate(texts(300), recipe="translate")
    eventually(lambda: on.client.get(job.id).rows_done > 60, "the job is under way")
    copy = on.home / "copy.db"
    told = terminal(on).facts("backup", str(copy))
    assert told["bytes"] == copy.stat().st_size
    assert copy.stat().st_mode & 0o777 == 0o600
    assert "--overwrite" in terminal(on).run("backup", str(copy), code=2)
    for name in ("worker1", "worker2"):
        on.kill(name)

    with a_new_home(on, copy) as (client, services):
        at_backup = client.get(job.id)
        held = answers_of(client, job.id)
        assert at_backup.rows_done > 60
        assert_all_rows_accounted_for(client.store, job.id)
        services.start_server()
        services.start_workers(1)
        eventually(lambda: alive(client), "a worker is alive", within_s=60)
        client.ring_for(job.id)
        ended = finished(client, job.id)
        assert ended.rows_done == 300
        assert_all_rows_accounted_for(client.store, job.id)
        assert held >= at_backup.rows_done
        # every payment is counted, also of an answer that was there: so none was
        assert ended.calls_made == answers_of(client, job.id) == 300


@contextmanager
def a_new_home(on: Stage, copy: Path) -> Iterator[tuple[Maestrale, Services]]:
    """The restore, step by step: a new home, the copy under the database's name."""
    home = on.home / "restored"
    home.mkdir(mode=0o700)
    shutil.copy(copy, home / "maestrale.db")
    settings = Settings(
        _env_file=None, MAESTRALE_HOME=home, MISTRAL_API_KEY="sk-stage", MISTRAL_BASE_URL=on.url
    )
    services = Services(settings)
    try:
        with Maestrale(settings) as client:
            yield client, services
    finally:
        services.stop()


def alive(client: Maestrale) -> bool:
    """Whether a worker gave a sign of life."""
    with client.store.read() as connection:
        return bool(fleet.alive(connection))


def finished(client: Maestrale, job_id: str) -> Job:
    """The job, once it succeeded; leases of the old home run out first."""
    eventually(
        lambda: client.get(job_id).state == JobState.SUCCEEDED, "the job is done", within_s=90
    )
    return client.get(job_id)

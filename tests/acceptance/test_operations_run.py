"""The commands of docs/operations.md, run as they stand."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import a_stored_job, assert_all_rows_accounted_for, eventually
from shells import Shell

import simulator
from models.settings import Settings
from models.states import JobState
from models.store.engine import open_store
from models.tables import Job
from producers import Maestrale
from proving.servers import Postgres
from proving.stage import write_rows

PAGE = Path("docs/operations.md").read_text("utf-8")
pytestmark = pytest.mark.slow


def block(part: str) -> str:
    """The one block of commands that contains `part`."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    (found,) = [text for text in blocks if part in text]
    return found


def the_job(shell: Shell, home: str = "home") -> Job:
    """The newest job of a home."""
    with Maestrale(Settings(_env_file=None, MAESTRALE_HOME=shell.folder / home)) as maestrale:
        return maestrale.jobs()[0]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell, the simulator as its API; both homes are shut down at the end."""
    with simulator.spawn("--latency-median", "0.2", "--limit", "*=1800") as api:
        key = "sk-operations"
        at = Shell(tmp_path, MISTRAL_BASE_URL=api.url, MISTRAL_API_KEY=key)
        yield at
        for home in ("home", "restored"):
            at.run(f"MAESTRALE_HOME={tmp_path / home} maestrale down")


@pytest.mark.timeout(400)
def test_backup_and_restore_as_written(shell: Shell) -> None:
    """A copy of a running job, restored into a new home, goes on there; then it is pruned."""
    write_rows(shell.folder / "texts.jsonl", 150)
    shell.run("maestrale up --workers 1 --no-flower")
    shell.run("maestrale generate texts.jsonl --recipe translate --detach")
    eventually(lambda: the_job(shell).rows_done > 15, "it is under way", within_s=60)
    shell.run(block("maestrale backup"))
    shell.run(block("restored/maestrale.db"))
    eventually(
        lambda: the_job(shell, "restored").state == JobState.SUCCEEDED, "it ends there", within_s=90
    )
    job = the_job(shell, "restored")
    assert (job.rows_done, job.calls_made) == (150, 150)
    shell.environment["MAESTRALE_HOME"] = str(shell.folder / "restored")
    assert "0 jobs" in shell.run(block("--dry-run"))
    shell.run(block("--compact"))
    assert the_job(shell, "restored").id == job.id, "it is not thirty days old"


@pytest.mark.postgres
def test_a_dump_of_postgresql_is_restored_whole(
    postgres_server: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    """`pg_dump` and `pg_restore` as written: the job and its rows stand in the other database."""
    other = postgres_server.database()
    shell = Shell(tmp_path, DATABASE_URL=postgres_url, RESTORED_URL=other)
    tools = postgres_server.binaries
    shell.environment["PATH"] = f"{tools}{os.pathsep}{shell.environment['PATH']}"
    shell.run("maestrale migrate")
    store = open_store(Settings(_env_file=None, DATABASE_URL=postgres_url))
    a_stored_job(store, rows_count=30)
    store.close()
    known = shell.run("maestrale jobs --json")
    shell.run(block("pg_dump"))
    shell.environment["DATABASE_URL"] = other
    assert shell.run("maestrale jobs --json") == known
    restored = open_store(Settings(_env_file=None, DATABASE_URL=other))
    assert_all_rows_accounted_for(restored, json.loads(known)[0]["id"])
    restored.close()

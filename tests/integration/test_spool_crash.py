"""`kill -9` of a real process in the middle of paying, and the adoption of what it left."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from builders import a_call, a_doubt, a_key, a_stored_job, at_once, eventually, the_job
from sqlalchemy import func, select

from models.errors import SetupError
from models.payloads import CallRecord
from models.store import calls
from models.store.engine import Store
from worker.ledger.adoption import adopt_orphans
from worker.ledger.spool import SUFFIX, Spool

PAYER = """
import asyncio, sys
from pathlib import Path
from builders import a_call
from models.settings import Settings
from models.store.engine import open_store
from worker.ledger.claims import Claims
from worker.ledger.ledger import Ledger

url, folder, job_id, how = sys.argv[1:]
store = open_store(Settings(_env_file=None, DATABASE_URL=url))

def tell(word, key):
    sys.stdout.write(f"{word} {key}\\n")
    sys.stdout.flush()

def intend(ledger, key):
    return ledger.intend(key, job_id, "mistral-small-latest", 500)

async def leave_it_uncommitted(ledger):
    paid = [(f"paid-{n}", intend(ledger, f"paid-{n}")) for n in range(5)]
    flying = [intend(ledger, f"flying-{n}") for n in range(3)]
    ledger.ended(intend(ledger, "refused"))
    for key, intent in paid:
        ledger.paid(intent, a_call(key, job_id=job_id))
    tell("ready", "-")
    await asyncio.sleep(60)

async def pay_for_ever(ledger):
    ledger.open()
    for n in range(1_000_000):
        intents = [(f"{how}-{n}-{at}", intend(ledger, f"{how}-{n}-{at}")) for at in range(4)]
        await asyncio.sleep(0)
        for key, intent in intents:
            ledger.paid(intent, a_call(key, job_id=job_id))
            tell("paid", key)
        await asyncio.sleep(0.001)

async def main():
    ledger = Ledger(store, Path(folder), Claims(None, "payer"))
    await (leave_it_uncommitted if how == "uncommitted" else pay_for_ever)(ledger)

with asyncio.Runner() as runner:
    runner.run(main())
"""
ADOPTER = """
import sys
from pathlib import Path
from models.settings import Settings
from models.store.engine import open_store
from worker.ledger.adoption import adopt_orphans
store = open_store(Settings(_env_file=None, DATABASE_URL=sys.argv[1]))
print(adopt_orphans(store, Path(sys.argv[2])))
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def start(database_url: str, folder: Path) -> Iterator[Start]:
    """Starts a process that pays; `how` is `uncommitted`, or the beginning of its keys."""
    running: list[subprocess.Popen[str]] = []

    def run(job_id: str, how: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", PAYER, database_url, str(folder), job_id, how]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": "tests"}
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _spools(folder: Path) -> list[Path]:
    return list(folder.glob(f"*{SUFFIX}"))


def _keys(store: Store, table: str) -> list[str]:
    with store.read() as connection:
        return sorted(connection.scalars(select(getattr(calls, table).c.key)))


def _left_by_a_dead_process(folder: Path, job_id: str, count: int = 3) -> list[CallRecord]:
    """A spool with so many paid calls and one in flight, whose process is gone."""
    spool = Spool(folder)
    records = [a_call(job_id=job_id) for _ in range(count)]
    for record in records:
        doubt = a_doubt(record.key, job_id=job_id)
        spool.intend(doubt)
        spool.paid(doubt.nonce, record)
    spool.intend(a_doubt(job_id=job_id))
    spool.close()
    return records


def test_paid_answers_survive_a_kill(store: Store, folder: Path, start: Start) -> None:
    """Answers that were in no database yet are stored once, calls in flight are doubts once."""
    job_id = a_stored_job(store)
    process = start(job_id, "uncommitted")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    assert adopt_orphans(store, folder) == 0, "a living process's spool is left alone"
    assert len(_spools(folder)) == 1
    assert _keys(store, "calls") == _keys(store, "doubts") == []
    process.kill()
    process.wait()
    assert adopt_orphans(store, folder) == 5
    assert adopt_orphans(store, folder) == 0
    assert _spools(folder) == []
    assert _keys(store, "calls") == [f"paid-{n}" for n in range(5)]
    assert _keys(store, "doubts") == [f"flying-{n}" for n in range(3)]
    job = the_job(store, job_id)
    assert (job.calls_made, job.calls_doubtful, job.cost_nano) == (5, 3, 5000)


def test_kills_at_any_moment_lose_nothing(store: Store, folder: Path, start: Start) -> None:
    """I3: every answer told as paid is in the ledger, counted once; doubts <= calls in flight."""
    job_id = a_stored_job(store)
    told: list[str] = []
    for number, wait in enumerate((60, 300, 700)):
        process = start(job_id, f"run{number}")
        assert process.stdout is not None
        told += [process.stdout.readline().split()[1] for _ in range(wait)]
        killer = threading.Timer(0.01 * number, process.kill)
        killer.start()
        told += [line.split()[1] for line in process.stdout if line.endswith("\n")]
        process.wait()
        adopt_orphans(store, folder)
    assert _spools(folder) == []
    stored = _keys(store, "calls")
    assert set(told) <= set(stored)
    assert len(stored) - len(told) <= 3 * 4, "stored, and killed before it could be told"
    assert len(_keys(store, "doubts")) <= 3 * 4
    job = the_job(store, job_id)
    assert job.calls_made == len(stored)
    assert job.cost_nano == 1000 * len(stored)
    assert job.calls_doubtful == len(_keys(store, "doubts"))


def test_many_adopters_adopt_once(
    store: Store, database_url: str, folder: Path, open_another: Callable[[], Store]
) -> None:
    """Threads and processes that find the same orphans at the same time count them once."""
    job_id = a_stored_job(store)
    records = [r for _ in range(6) for r in _left_by_a_dead_process(folder, job_id)]
    command = [sys.executable, "-c", ADOPTER, database_url, str(folder)]
    outside = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    stores = [store, open_another(), open_another()]
    within = at_once(*(partial(adopt_orphans, one, folder) for one in stores))
    told = [int(process.communicate(timeout=30)[0]) for process in outside]
    assert sum(within) + sum(told) == len(records)
    eventually(lambda: not _spools(folder), "all are adopted")
    job = the_job(store, job_id)
    assert (job.calls_made, job.calls_doubtful) == (len(records), 6)
    assert _keys(store, "calls") == sorted(record.key for record in records)


def test_what_the_dead_process_committed_counts_once(store: Store, folder: Path) -> None:
    """Killed between the commit and the end of its spool: nothing is added up again."""
    job_id = a_stored_job(store)
    records = _left_by_a_dead_process(folder, job_id)
    with store.write() as connection:
        calls.store(connection, records[:2])
    adopt_orphans(store, folder)
    job = the_job(store, job_id)
    assert (job.calls_made, job.cost_nano) == (3, 3000)


def test_adoption_killed_in_the_middle_starts_again(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its commit and the removal of the files: adopted again, counted once."""
    job_id = a_stored_job(store)
    records = _left_by_a_dead_process(folder, job_id)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_args, **_named: None)
        adopt_orphans(store, folder)
    assert len(_spools(folder)) == 1
    adopt_orphans(store, folder)
    assert _spools(folder) == []
    job = the_job(store, job_id)
    assert (job.calls_made, job.calls_doubtful) == (len(records), 1)


def test_adoption_waits_for_the_database(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is away the spool stays as it is, and can be locked by the next adopter."""
    job_id = a_stored_job(store)
    _left_by_a_dead_process(folder, job_id)

    def away() -> None:
        raise SetupError("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", away)
        with pytest.raises(SetupError):
            adopt_orphans(store, folder)
    assert adopt_orphans(store, folder) == 3


def test_one_bad_spool_does_not_keep_the_others(store: Store, folder: Path) -> None:
    """Garbage, odd values and a file that cannot be read: every other orphan is adopted."""
    job_id = a_stored_job(store)
    folder.mkdir()
    (folder / f"1-aaaa-000001{SUFFIX}").write_bytes(b"\xff\0garbage\n[[[[\n" * 50)
    spool = Spool(folder)
    spool.paid("n", a_call(a_key("odd"), job_id=job_id, latency_ms=2**62, model="nul \0"))
    spool.close()
    (folder / f"2-bbbb-000001{SUFFIX}").mkdir()
    _left_by_a_dead_process(folder, job_id)
    assert adopt_orphans(store, folder) == 4
    assert the_job(store, job_id).calls_made == 4
    assert a_key("odd") in _keys(store, "calls")


def test_a_spool_of_many_segments_is_adopted_whole(store: Store, folder: Path) -> None:
    """More answers than one statement takes, over several files, some of them ended elsewhere."""
    job_id = a_stored_job(store)
    spool = Spool(folder, segment_bytes=100_000)
    for _ in range(1200):
        record = a_call(job_id=job_id)
        doubt = a_doubt(record.key, job_id=job_id)
        spool.intend(doubt)
        spool.paid(doubt.nonce, record)
    spool.close()
    assert len(_spools(folder)) > 3
    assert adopt_orphans(store, folder) == 1200
    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(calls.calls)) == 1200
        assert connection.scalar(select(func.count()).select_from(calls.doubts)) == 0
    assert the_job(store, job_id).calls_made == 1200

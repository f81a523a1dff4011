"""A disk that is really full: a tiny file system if root may mount one, else a size limit."""

import asyncio
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import a_call, a_doubt, a_key, a_stored_job, eventually_on_loop, the_job

from models.store import calls
from models.store.engine import Store
from worker.ledger import writer as writing
from worker.ledger.adoption import adopt_orphans, read_estate
from worker.ledger.claims import Claims
from worker.ledger.ledger import Ledger
from worker.ledger.spool import Spool

SIZE = 64 * 1024


class Disk:
    """A folder with `SIZE` bytes of room, that can be filled up and cleared."""

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder = folder
        self._is_mounted = is_mounted
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        """Not a byte more fits, neither into a file that is there nor into a new one."""
        if not self._is_mounted:  # a file may not grow beyond what the spool's file has by now
            sizes = [path.stat().st_size for path in self.folder.glob("spool/*")]
            resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes), self._limits[1]))
            return
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            for size in (4096, 1):
                try:
                    while ballast.write(b"\0" * size):
                        pass
                except OSError:
                    continue

    def clear(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)
        (self.folder / "ballast").unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    is_mounted = (
        os.geteuid() == 0
        and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    )
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    made = Disk(folder, is_mounted=is_mounted)
    yield made
    made.clear()
    signal.signal(signal.SIGXFSZ, before)
    if is_mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_keeps_every_whole_line(disk: Disk) -> None:
    """OSError at the end; every line before it can be read, and so can those after."""
    spool = Spool(disk.folder / "spool")
    nonces = []
    for _ in range(20):
        nonces.append((doubt := a_doubt()).nonce)
        spool.intend(doubt)
    disk.fill()
    with pytest.raises(OSError):
        for _ in range(100):  # a page of the file may have room left
            doubt = a_doubt()
            spool.intend(doubt)
            nonces.append(doubt.nonce)
    disk.clear()
    spool.intend(a_doubt(nonce="after"))
    estate = read_estate(sorted((disk.folder / "spool").glob("*.spool")))
    assert list(estate.open_intents) == [*nonces, "after"]


async def test_a_full_disk_stops_calls_and_loses_none(
    disk: Disk, store: Store, make_full_ledger: Callable[[Path], Ledger]
) -> None:
    """FAULTS 13: no new call; the answer under way is committed; calling resumes by itself."""
    job_id = a_stored_job(store)
    ledger = make_full_ledger(disk.folder / "spool")
    ledger.open()
    intents = [ledger.intend(a_key(n), job_id, "small", 500) for n in range(3)]
    disk.fill()
    with pytest.raises(OSError):
        for n in range(200):
            intents.append(ledger.intend(f"filling {n}", job_id, "small", 500))
    ledger.paid(intents[0], a_call(a_key(0), job_id=job_id))
    ledger.doubtful(intents[1], "timeout")
    ledger.ended(intents[2])
    assert not ledger.writer.healthy.is_set(), "nothing new is paid for"
    assert await ledger.find(a_key(0)) is not None
    await eventually_on_loop(lambda: not ledger.writer.backlog, "the answer is committed")
    with store.read() as connection:
        assert set(calls.find(connection, [a_key(0)])) == {a_key(0)}
        assert calls.in_doubt(connection, [a_key(1)]) == {a_key(1)}
    assert the_job(store, job_id).calls_made == 1
    disk.clear()
    await asyncio.wait_for(ledger.writer.healthy.wait(), 30)
    ledger.ended(ledger.intend(a_key("after"), job_id, "small", 500))
    for intent in intents[3:]:
        ledger.ended(intent)
    await ledger.close()
    assert adopt_orphans(store, disk.folder / "spool") == 0
    assert the_job(store, job_id).calls_doubtful == 1


@pytest.fixture
def make_full_ledger(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Ledger]:
    monkeypatch.setattr(writing, "PAUSE_S", 0.2)
    return lambda folder: Ledger(store, folder, Claims(None, "me"))

"""The spool's files: what is written when, what is dropped, what a reader makes of them."""

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import a_call, a_doubt

from worker.ledger import spool as spooling
from worker.ledger.adoption import Estate, read_estate
from worker.ledger.spool import SUFFIX, Spool


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def _left(folder: Path) -> Estate:
    """What an adopter would read if the process died now."""
    return read_estate(_files(folder))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """A disk that takes so many more bytes (None: without end), as `os.write` tells it."""
    free: list[int | None] = [None]
    write = os.write

    def fake_write(descriptor: int, data: bytes) -> int:
        if free[0] is None:
            return write(descriptor, data)
        if not free[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = write(descriptor, data[: free[0]])
        free[0] -= taken
        return taken

    monkeypatch.setattr(spooling.os, "write", fake_write)
    return lambda count: free.__setitem__(0, count)


def test_each_end_of_a_call_is_read_back(tmp_path: Path) -> None:
    """Paid calls with every field, calls in flight as doubts of a crash, unpaid ones not at all."""
    spool = Spool(tmp_path)
    paid, flying, ended = a_doubt(), a_doubt(cost_nano=None), a_doubt()
    record = a_call(paid.key, answer='{"content":"é 🎉 \\n"}', cost_nano=None)
    for doubt in (paid, flying, ended):
        spool.intend(doubt)
    spool.paid(paid.nonce, record)
    spool.ended(ended.nonce)
    estate = _left(tmp_path)
    assert estate.paid == [record]
    assert estate.open_intents == {flying.nonce: flying}
    assert estate.jobs() == {"job_x"}
    assert spool.bytes == sum(path.stat().st_size for path in _files(tmp_path))


def test_a_line_cut_by_a_death_is_skipped(tmp_path: Path) -> None:
    """Cut anywhere, the last line is no answer; the lines before it all count."""
    spool = Spool(tmp_path)
    doubts = [a_doubt(), a_doubt()]
    for doubt in doubts:
        spool.intend(doubt)
        spool.paid(doubt.nonce, a_call(doubt.key))
    path = _files(tmp_path)[0]
    whole = path.read_bytes()
    last = len(whole.splitlines()[-1]) + 1
    for cut in range(2, last + 1, 7):
        path.write_bytes(whole[:-cut])
        estate = _left(tmp_path)
        assert [record.key for record in estate.paid] == [doubts[0].key]
        assert list(estate.open_intents) == [doubts[1].nonce]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"7",
        b'"text"',
        b"[]",
        b'["intent"]',
        b'["paid","n",3]',
        b'["paid","n",{}]',
        b'["paid","n",{"usage":null}]',
        b'["paid","n",{"usage":{"odd":1}}]',
        b'["of a newer version",1,2]',
        b"\xff\xfe",
        b"\0" * 100,
    ],
)
def test_lines_that_are_none_disturb_nobody(tmp_path: Path, line: bytes) -> None:
    """Whatever stands between two good lines, both are read."""
    spool = Spool(tmp_path)
    spool.intend(a_doubt(nonce="first"))
    with _files(tmp_path)[0].open("ab") as file:
        file.write(line + b"\n")
    spool.intend(a_doubt(nonce="second"))
    assert list(_left(tmp_path).open_intents) == ["first", "second"]


def test_segments_are_dropped_oldest_first(tmp_path: Path) -> None:
    """A file goes when all of its lines and of those before are safe; the newest one stays."""
    spool = Spool(tmp_path, segment_bytes=1)
    segments = [spool.intend(a_doubt()) for _ in range(4)]
    names = [segment.path for segment in segments]
    assert len(set(names)) == 4
    assert _files(tmp_path) == names
    spool.release(segments[1])
    assert _files(tmp_path) == names, "the first one still holds an intent"
    spool.release(segments[0])
    assert _files(tmp_path) == names[2:]
    spool.release(segments[3])
    spool.release(segments[2])
    assert _files(tmp_path) == names[3:]
    assert spool.intend(a_doubt()).path not in names


def test_an_end_is_read_in_a_later_segment(tmp_path: Path) -> None:
    """An intent and its end may lie in different files: together they are nothing."""
    spool = Spool(tmp_path, segment_bytes=1)
    doubt, paid = a_doubt(), a_doubt()
    spool.intend(doubt)
    spool.intend(paid)
    spool.ended(doubt.nonce)
    spool.paid(paid.nonce, a_call(paid.key))
    assert len(_files(tmp_path)) == 4
    estate = _left(tmp_path)
    assert (len(estate.paid), estate.open_intents) == (1, {})


def test_a_spool_is_never_seen_unlocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adopter that looks at any moment finds no file, or a locked one: nothing is stolen."""
    seen: list[list[Path]] = []
    lock = fcntl.flock

    def watching(descriptor: int, how: int) -> None:
        seen.append(_files(tmp_path))
        lock(descriptor, how)

    monkeypatch.setattr(spooling.fcntl, "flock", watching)
    spool = Spool(tmp_path, segment_bytes=1)
    spool.intend(a_doubt())
    spool.intend(a_doubt())
    assert [len(files) for files in seen] == [0, 1]
    for path in _files(tmp_path):
        with path.open() as other, pytest.raises(BlockingIOError):
            lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not list(tmp_path.glob("*.new"))


def test_closing_removes_what_is_safe(tmp_path: Path) -> None:
    """Nothing pending: no file is left. Something pending: all files stay for an adopter."""
    spool = Spool(tmp_path)
    spool.release(spool.intend(a_doubt()))
    spool.close()
    assert _files(tmp_path) == []
    spool = Spool(tmp_path)
    spool.intend(a_doubt())
    spool.close()
    (path,) = _files(tmp_path)
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_spools_of_one_folder_have_names_of_their_own(tmp_path: Path) -> None:
    """Two spools of one process do not meet, and only their user may read them."""
    for _ in range(2):
        Spool(tmp_path / "spool")
    files = _files(tmp_path / "spool")
    assert len({path.name.rsplit("-", 1)[0] for path in files}) == 2
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_full_disk_says_so(tmp_path: Path, disk: Callable[[Any], None]) -> None:
    """`intend` and `paid` raise OSError, and hold nothing that could never be released."""
    spool = Spool(tmp_path)
    first = spool.intend(a_doubt(nonce="first"))
    disk(0)
    for _ in range(3):
        with pytest.raises(OSError):
            spool.intend(a_doubt())
        with pytest.raises(OSError):
            spool.paid("first", a_call())
    assert first.pending == 1


@pytest.mark.parametrize("room", [1, 20, 60])
def test_half_a_line_spoils_no_other(
    tmp_path: Path, disk: Callable[[Any], None], room: int
) -> None:
    """A line cut short by a full disk is taken back: the next one, once there is room, is read."""
    spool = Spool(tmp_path)
    spool.intend(a_doubt(nonce="before"))
    disk(room)
    with pytest.raises(OSError, match="full"):
        spool.intend(a_doubt(nonce="cut"))
    disk(None)
    spool.intend(a_doubt(nonce="after"))
    assert list(_left(tmp_path).open_intents) == ["before", "after"]
    assert spool.bytes == _files(tmp_path)[0].stat().st_size

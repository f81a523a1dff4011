"""A file is there whole or not at all, and a writer that fails leaves nothing behind."""

import errno
import os
from pathlib import Path

import pytest

from models.whole_files import SECRET, draft_of, drafted, write_whole


def test_the_new_one_takes_the_old_ones_place(tmp_path: Path) -> None:
    """Text or bytes; nothing else stays in the folder."""
    path = tmp_path / "notes.json"
    write_whole(path, "naïve")
    write_whole(path, b"second")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"second", [path])


def test_a_secret_is_its_owners_from_the_first_byte(tmp_path: Path) -> None:
    """Whatever the umask and the mode of the file before it."""
    path = tmp_path / "secret"
    path.touch(0o666)
    write_whole(path, "s", SECRET)
    assert path.stat().st_mode & 0o777 == SECRET


@pytest.mark.parametrize("failing", ["fsync", "write"])
def test_a_full_disk_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Whether it is full while the draft is written, or when it goes onto the disk."""
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), drafted(path) as draft:
        draft.write_text("new")
        if failing == "write":
            full()
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])


def test_two_writers_of_one_file_have_drafts_of_their_own(tmp_path: Path) -> None:
    """Whoever ends last stays; neither writes into the other's."""
    path = tmp_path / "report.html"
    with drafted(path) as first, drafted(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("first", [path])


def test_a_file_may_have_as_long_a_name_as_there_can_be(tmp_path: Path) -> None:
    """In any script: a draft's name is not longer, in bytes."""
    for name in ("é" * 127, "語" * 85, "x" * 255, "語" * 83 + ".jsonl"):
        path = tmp_path / name
        write_whole(path, "whole")
        assert len(os.fsencode(draft_of(path).name)) <= 255
        assert path.read_text() == "whole"

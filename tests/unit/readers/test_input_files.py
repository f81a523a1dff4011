"""Whole files: where they are, how they are packed, and what they are instead of JSON lines."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import socket
import sys
import threading
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import zstandard

from models.errors import BadInputError, NotFoundError, RejectedFileError, SetupError
from producers.readers import ReadOptions, read
from producers.readers.source import Source

ROWS = b"".join(b'{"id": %d, "text": "some text"}\n' % n for n in range(2000))


def test_the_fingerprint_is_that_of_the_bytes(desk):
    """The fingerprint is the SHA-256 of the file as it lies, so that it can be checked."""
    assert desk.read(ROWS).fingerprint == hashlib.sha256(ROWS).hexdigest()
    packed = gzip.compress(ROWS)
    assert desk.read(packed).fingerprint == hashlib.sha256(packed).hexdigest()


@pytest.mark.parametrize(
    "content", [b"", b"\n\n  \n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)]
)
def test_an_empty_file_is_refused(desk, content):
    """Nothing, blanks, a lone BOM and an archive of nothing are no input."""
    assert "empty" in desk.refused(content, error=RejectedFileError)


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_utf_16_and_32_are_named(desk, encoding):
    """With or without byte order mark they are named, with the command that converts them."""
    words = desk.refused('{"id": 1}\n'.encode(encoding), error=RejectedFileError)
    assert encoding[:6].upper() in words and "iconv -f UTF-" in words


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.jsonl.zst", "in.jsonl", "in"])
def test_archives_are_known_by_their_content(desk, pack, name):
    """gzip and zstd are unpacked whatever they are called, several in a row too."""
    assert desk.read(pack(ROWS[:31]) + pack(ROWS[31:]), name).accepted == 2000


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_archives_cut_short_or_damaged_are_named(desk, pack):
    """No rows of a broken archive are used, even if some of them could be read."""
    packed = pack(ROWS)
    assert "cut short" in desk.refused(packed[:-5], error=RejectedFileError)
    assert "cut short" in desk.refused(packed[: len(packed) // 2], error=RejectedFileError)
    damaged = packed + b"garbage"
    assert "damaged archive" in desk.refused(damaged, error=RejectedFileError)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_bomb_is_stopped_early(desk, pack, monkeypatch):
    """An archive that grows beyond the ratio is left before it fills memory or disk."""
    bomb = desk.file(pack(b" " * (96 << 20)), "bomb")
    tracemalloc.start()
    words = desk.refused(bomb, error=RejectedFileError)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "200 times" in words
    assert peak < 64 << 20
    assert desk.read(pack(b"\n" * (1 << 20) + ROWS)).accepted == 2000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bz2.compress(ROWS), "bzip2"),
        (lzma.compress(ROWS), "xz"),
        (gzip.compress(gzip.compress(ROWS, mtime=0), mtime=0), "packed twice"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"SQLite format 3\0" + bytes(50), "SQLite"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
    ],
)
def test_foreign_files_are_named(desk, content, words):
    """What people hand in by mistake is called by its name, not by a JSON error."""
    assert words in desk.refused(content, error=RejectedFileError)


def test_a_workbook_is_named(desk):
    """An Excel workbook is a ZIP archive, and the message says how to save it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    assert "save the sheet as CSV" in desk.refused(stream.getvalue(), "book.csv")


@pytest.mark.parametrize("indent", [None, 2, 0])
def test_a_json_array_is_refused_with_the_command_that_converts_it(desk, indent):
    """A JSON array, on one line, indented, or longer than the head, is named as one."""
    for count in (1, 5000):
        array = json.dumps([{"id": n, "text": "x" * 40} for n in range(count)], indent=indent)
        words = desk.refused(array, "in.jsonl", error=RejectedFileError)
        assert "JSON array" in words and "jq -c '.[]' in.jsonl" in words


def test_indented_json_is_hinted(desk):
    """One object over many lines is refused with the command that puts it on one."""
    assert "jq -c ." in desk.refused(json.dumps({"id": 1, "text": "x"}, indent=2))


def test_a_file_in_windows_1252_is_hinted(desk):
    """Mostly invalid UTF-8 points to an old encoding, and the message says how to convert it."""
    assert "WINDOWS-1252" in desk.refused('{"t": "café"}\n'.encode("cp1252") * 5)


def test_a_missing_file_is_not_found(desk):
    """A path to nothing, or through a file, says so."""
    assert "no file nope" in desk.refused(desk.folder / "nope", error=NotFoundError)
    desk.refused(desk.file(ROWS) / "below", error=NotFoundError)


def test_what_is_not_a_file_is_refused_at_once(desk):
    """A directory, a FIFO without a writer, a device and a socket are named and never waited on."""
    fifo, address = desk.folder / "fifo", desk.folder / "sock"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(desk.folder)
        listener.bind(address.name)
        cases = {desk.folder: "a directory", fifo: "a FIFO", Path("/dev/zero"): "a device"}
        for path, words in cases.items():
            assert words in desk.refused(path, error=BadInputError)
        desk.refused(address, error=BadInputError)
    desk.refused(Path("nul\0byte"), error=BadInputError)


def test_a_file_without_permission_is_named(desk):
    """A file that may not be read says so."""
    path, me = desk.file(ROWS), os.geteuid()
    path.chmod(0)
    try:
        if me == 0:
            os.seteuid(65534)  # root may read everything
        assert "permissions" in desk.refused(path, error=BadInputError)
    finally:
        os.seteuid(me)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_stdin_is_read_as_bytes(desk, pack, monkeypatch):
    """`-` reads stdin through a pipe, packed or not, to its end."""
    reading, writing = os.pipe()
    packed = pack(ROWS)  # once: gzip notes the second
    with os.fdopen(reading, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
        writer = threading.Thread(target=lambda: _feed(writing, packed))
        writer.start()
        result = desk.read(Path("-"))
        writer.join()
        assert (result.name, result.accepted) == ("<stdin>", 2000)
        assert result.fingerprint == hashlib.sha256(packed).hexdigest()


def _feed(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        for start in range(0, len(content), 1000):
            pipe.write(content[start : start + 1000])
            pipe.flush()


@pytest.mark.parametrize("change", ["grow", "shrink", "touch"])
def test_a_file_that_changes_while_it_is_read_is_refused(desk, change, monkeypatch):
    """Bytes added, cut or rewritten during the reading are noticed before anything is paid."""
    path = desk.file(ROWS)
    honest = Source.chunks

    def meddled(self, size=1000):
        for count, chunk in enumerate(honest(self, size)):
            if count == 1:
                _meddle(path, change)
            yield chunk

    monkeypatch.setattr(Source, "chunks", meddled)
    assert "changed while it was read" in desk.refused(path, error=RejectedFileError)
    assert list(desk.staging.iterdir()) == []


def _meddle(path: Path, change: str) -> None:
    if change == "touch":
        os.utime(path, ns=(1, 1))
    else:
        os.truncate(path, len(ROWS) + (100 if change == "grow" else -100))


def test_a_name_that_would_move_the_cursor_is_escaped(desk):
    """The display name of a file is safe to print."""
    assert desk.read(ROWS, "a\x1b[2Jb.jsonl").name == "a\\x1b[2Jb.jsonl"


def test_a_staging_folder_that_cannot_be_is_a_matter_of_setup(desk):
    """Where rows cannot be staged, the message is about the disk, not about the file."""
    blocked = desk.file(b"", "blocked")
    with pytest.raises(SetupError, match="staging folder"):
        read(desk.file(ROWS), ReadOptions(), blocked / "staging")


def test_a_full_disk_is_a_matter_of_setup(desk, monkeypatch):
    """ENOSPC while staging names the folder and says what to do."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("producers.readers.staging.Staging.accept", full)
    with pytest.raises(SetupError, match=r"No space left .* free some space"):
        read(desk.file(ROWS), ReadOptions(), desk.staging)


def test_a_line_of_100_megabytes_costs_little_memory(desk):
    """A line far above the limit is refused without ever being loaded."""
    path = desk.folder / "long.jsonl"
    with path.open("wb") as file:
        file.write(b'{"id": 1}\n{"id": 2, "x": "')
        for _ in range(100):
            file.write(b"y" * (1 << 20))
        file.write(b'"}\n{"id": 3}\n')
    tracemalloc.start()
    result = desk.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.row_id for row in result.rows()] == ["1", "3"]
    assert peak < 24 << 20


def test_memory_does_not_grow_with_the_rows(desk):
    """Ten times the rows cost a few bytes of id each, not their size."""

    def peak(count):
        path = desk.folder / f"{count}.jsonl"
        with path.open("wb") as file:
            for n in range(count):
                file.write(b'{"id": %d, "text": "%s"}\n' % (n, b"z" * 1500))
        tracemalloc.start()
        result = desk.read(path)
        assert sum(1 for _ in result.rows()) == count
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(20_000) - peak(2000) < 18_000 * 150

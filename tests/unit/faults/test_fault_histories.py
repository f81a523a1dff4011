"""Logs of several parties become one history; a party that is killed may leave half a line."""

from pathlib import Path

import pytest

from faults.history import Line, Log, read
from simulator.journal import Journal


def test_parties_are_read_as_one_history_in_the_order_of_time(tmp_path: Path) -> None:
    """Each with its own file; facts come back as they were written."""
    one, other = Log(tmp_path, "producer"), Log(tmp_path, "sink")
    one.write("submitted", job="job_a", rows=["r0", "é"])
    other.write("received", endpoint="hook")
    one.write("ended", job="job_a")
    found = read(tmp_path)
    assert [(line.by, line.what) for line in found] == [
        ("producer", "submitted"),
        ("sink", "received"),
        ("producer", "ended"),
    ]
    assert found[0]["rows"] == ["r0", "é"]
    assert found == sorted(found, key=lambda line: line.at)


def test_half_a_last_line_was_never_written(tmp_path: Path) -> None:
    """What follows the last line break is left out; a whole line before it is not."""
    log = Log(tmp_path, "simulator")
    log.write("arrived", n=1)
    log.close()
    with log.path.open("ab") as file:
        file.write(b'{"at": 2, "by": "simulator", "what": "exec')
    assert [line.what for line in read(tmp_path)] == ["arrived"]


def test_a_damaged_line_amid_others_is_no_history(tmp_path: Path) -> None:
    """It is not skipped: who damages a log would hide what it says."""
    (tmp_path / "sink.jsonl").write_text('{"at": 1, "by": "sink"\n{"at": 2}\n')
    with pytest.raises(ValueError, match="delimiter"):
        read(tmp_path)


def test_logs_are_only_added_to(tmp_path: Path) -> None:
    """A party that starts again goes on behind what it wrote before."""
    for number in range(2):
        log = Log(tmp_path, "producer")
        log.write("submitted", number=number)
        log.close()
    assert [line["number"] for line in read(tmp_path)] == [0, 1]


def test_a_journal_is_a_history_and_uses_no_number_twice(tmp_path: Path) -> None:
    """Also when a second simulator writes on in the same file; closed, it writes nothing."""
    numbers = []
    for _ in range(2):
        journal = Journal(tmp_path / "simulator.jsonl")
        for _ in range(3):
            numbers.append(journal.number())
            journal.note("arrived", n=numbers[-1])
        journal.close()
        journal.note("arrived", n=0)
    found = read(tmp_path)
    assert [line["n"] for line in found] == numbers
    assert len(set(numbers)) == 6
    assert {line.by for line in found} == {"simulator"}


def test_without_a_path_a_journal_writes_nothing(tmp_path: Path) -> None:
    """The usual case."""
    journal = Journal()
    journal.note("arrived", n=journal.number())
    journal.close()
    assert not list(tmp_path.iterdir())


def test_a_line_is_known_by_its_facts() -> None:
    """`line["n"]` is the fact; what is not there is an error, not None."""
    line = Line(1.0, "simulator", "arrived", {"n": 3})
    assert line["n"] == 3
    with pytest.raises(KeyError):
        line["m"]

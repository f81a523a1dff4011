"""`python -m faults`: what it runs, what it prints of what broke, and its exit code."""

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from histories import a_history

from faults.__main__ import main
from faults.history import Line, Log
from faults.scenarios import registry
from faults.scenarios.registry import POSTGRESQL, SQLITE, Begin, SkippedError, by_number, scenario

FAULTS_OF_THE_LIST = range(1, 23)
Campaign = Callable[..., tuple[int, str]]


@pytest.fixture
def campaign(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Campaign:
    """Runs the program with these words, with planted scenarios alone; exit code and output."""
    monkeypatch.setattr(registry, "SCENARIOS", {})
    monkeypatch.delenv("CI", raising=False)

    def run(*words: str, kept: str = "kept") -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["faults", *words, "--keep", str(tmp_path / kept)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    return run


def planted(lines: list[Line], *, is_alone: bool = False) -> list[int]:
    """A scenario that hurts nobody and leaves this history; answers the seeds it was given."""
    seeds: list[int] = []

    @scenario(90, databases=(SQLITE,), is_alone=is_alone)
    def one_of_ours(begin: Begin) -> None:
        """Leaves a history."""
        told = cast("partial[Any]", begin).args
        seeds.append(told[1])
        write(told[0], lines)

    return seeds


def write(folder: Path, lines: list[Line]) -> None:
    """The lines into the logs of their parties, with their own times."""
    for by in sorted({line.by for line in lines}):
        log = Log(folder, by)
        for line in lines:
            if line.by == by:
                log.write(line.what, **{**line.facts, "at": line.at})
        log.close()


def test_a_history_that_holds_ends_well(campaign: Campaign) -> None:
    """A line for the scenario, one for each finding, and the seed."""
    planted(a_history())
    code, told = campaign("--seed", "7")
    assert code == 0
    assert "90  one_of_ours on SQLite: Leaves a history." in told
    assert re.search(r"(?m)^ 90  Leaves a history. +SQLite +0 s  held$", told)
    assert "1 runs in 0 s" in told
    assert "holds  I1: " in told
    assert "seed 7: all hold" in told


def test_what_broke_is_told_with_the_command_that_plays_it_again(campaign: Campaign) -> None:
    """Name, database and seed are in it, and the exit code is 1."""
    lines = a_history()
    planted([line for line in lines if line.what != "received"])
    code, told = campaign("90", "--seed", "7")
    assert code == 1
    assert re.search(r"BROKEN I4: 6 events to hook; 6 never arrived: job_a:1", told)
    assert "again: python -m faults one_of_ours --database sqlite --seed 7" in told
    assert re.search(r"(?m)^ 90  Leaves a history. +SQLite +0 s  BROKEN$", told)
    assert "seed 7: 1 BROKEN" in told


def test_the_command_that_is_told_plays_the_same_again(campaign: Campaign) -> None:
    """Taken as it is printed: the same scenario on the same database, with the same seed."""
    seeds = planted([])
    first = campaign()[1]
    again = re.search(r"again: python -m faults (.*)", first)
    assert again
    code, told = campaign(*again[1].split(), kept="kept again")
    assert code == 1
    assert seeds[0] == seeds[1]
    assert again[0] in told


def test_side_by_side_a_lost_process_is_a_finding(campaign: Campaign) -> None:
    """Its children know no planted scenario and end; one that runs alone runs in this process."""
    planted(a_history())
    code, told = campaign("--jobs", "2")
    assert code == 1
    assert "BROKEN ran: KeyError('one_of_ours')" in told
    planted(a_history(), is_alone=True)
    assert campaign("--jobs", "2")[0] == 0


def test_a_new_seed_is_told(campaign: Campaign) -> None:
    """Nobody has to choose one in order to be able to play again."""
    planted([])
    code, told = campaign()
    again = re.search(r"again: .* --seed (\d+)", told)
    assert code == 1
    assert again
    assert f"seed {again[1]}: 1 BROKEN" in told


def test_a_scenario_that_does_not_end_is_a_finding(campaign: Campaign) -> None:
    """What it raised is told, and the next one runs."""

    @scenario(91, databases=(SQLITE,))
    def that_raises(_begin: Begin) -> None:
        """Raises."""
        raise TimeoutError("waited 60 s, and still not: the job ends")

    code, told = campaign()
    assert code == 1
    assert "BROKEN ran: " in told
    assert "TimeoutError: waited 60 s, and still not: the job ends" in told


def test_what_a_machine_lacks_skips_and_fails_in_ci(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its reason either way; a run in which nothing was played shows nothing."""

    @scenario(92, databases=(SQLITE,))
    def that_lacks(_begin: Begin) -> None:
        """Lacks something."""
        raise SkippedError("there is no faketime here")

    code, told = campaign()
    assert code == 1
    assert "skipped, there is no faketime here" in told
    assert "none was played" in told
    assert "all hold" not in told
    monkeypatch.setenv("CI", "1")
    code, told = campaign(kept="kept in CI")
    assert code == 1
    assert "CI must have it: there is no faketime here" in told


def test_what_was_skipped_beside_others_is_told(campaign: Campaign) -> None:
    """All hold of what was played, and how many were not."""

    @scenario(92, databases=(SQLITE,))
    def that_lacks(_begin: Begin) -> None:
        """Lacks something."""
        raise SkippedError("there is no faketime here")

    planted(a_history())
    code, told = campaign()
    assert code == 0
    assert "all hold, 1 skipped" in told


def test_a_folder_with_histories_is_refused(campaign: Campaign, tmp_path: Path) -> None:
    """Two histories read as one prove nothing."""
    planted(a_history())
    write(tmp_path / "kept", a_history())
    code, told = campaign()
    assert code == 2
    assert "has histories already" in told


def test_nothing_to_run_is_no_success(campaign: Campaign) -> None:
    """A misspelt name, or none of them in the slice."""
    planted(a_history())
    assert campaign("no_such")[0] == 2
    assert campaign("90", "--database", "postgresql")[0] == 2, "it is for SQLite alone"
    code, told = campaign("90", "--slice")
    assert code == 2
    assert "none of these" in told


def test_each_fault_of_the_list_has_a_scenario() -> None:
    """All 22; numbers above are ours. Some play on each database in the slice."""
    numbers = [one.number for one in by_number()]
    assert set(FAULTS_OF_THE_LIST) <= set(numbers)
    slice_ = {database for one in by_number() for database in one.in_slice}
    assert slice_ == {SQLITE, POSTGRESQL}
    assert all(one.about and one.databases for one in by_number())

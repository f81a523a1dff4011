"""`python -m faults`: what it runs, what it prints of what broke, and its exit code."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from histories import a_history

from faults.__main__ import main
from faults.history import Line, Log
from faults.scenarios import registry
from faults.scenarios.registry import SQLITE, Begin, SkippedError, by_number, scenario

FAULTS_OF_THE_LIST = range(1, 23)
Campaign = Callable[..., tuple[int, str]]


@pytest.fixture
def campaign(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Campaign:
    """Runs the program with these words, with planted scenarios alone; exit code and output."""
    monkeypatch.setattr(registry, "SCENARIOS", {})
    monkeypatch.delenv("CI", raising=False)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["faults", *words, "--keep", str(tmp_path / "kept")])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    return run


def planted(folder: Path, lines: list[Line]) -> None:
    """A scenario that hurts nobody and leaves this history."""

    @scenario(90, databases=(SQLITE,))
    def one_of_ours(_begin: Begin) -> None:
        """Leaves a history."""
        write(folder / "kept" / "90-one_of_ours-SQLite", lines)


def write(folder: Path, lines: list[Line]) -> None:
    """The lines into the logs of their parties, with their own times."""
    for by in sorted({line.by for line in lines}):
        log = Log(folder, by)
        for line in lines:
            if line.by == by:
                log.write(line.what, **{**line.facts, "at": line.at})
        log.close()


def test_a_history_that_holds_ends_well(campaign: Campaign, tmp_path: Path) -> None:
    """A line for the scenario, one for each finding, and the seed."""
    planted(tmp_path, a_history())
    code, told = campaign("--seed", "7")
    assert code == 0
    assert "90  one_of_ours on SQLite: Leaves a history." in told
    assert "holds  I1: " in told
    assert "seed 7: all hold" in told


def test_what_broke_is_told_with_the_command_that_plays_it_again(
    campaign: Campaign, tmp_path: Path
) -> None:
    """Name, database and seed are in it, and the exit code is 1."""
    lines = a_history()
    planted(tmp_path, [line for line in lines if line.what != "received"])
    code, told = campaign("90", "--seed", "7")
    assert code == 1
    assert re.search(r"BROKEN I4: 6 events to hook; 6 never arrived: job_a:1", told)
    assert "again: python -m faults one_of_ours --database sqlite --seed 7" in told
    assert "seed 7: 1 BROKEN" in told


def test_a_new_seed_is_told(campaign: Campaign, tmp_path: Path) -> None:
    """Nobody has to choose one in order to be able to play again."""
    planted(tmp_path, [])
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
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With its reason either way."""

    @scenario(92, databases=(SQLITE,))
    def that_lacks(_begin: Begin) -> None:
        """Lacks something."""
        raise SkippedError("there is no faketime here")

    code, told = campaign()
    assert code == 0
    assert "skipped, there is no faketime here" in told
    monkeypatch.setenv("CI", "1")
    code, told = campaign()
    assert code == 1
    assert "CI must have it: there is no faketime here" in told


def test_a_folder_with_histories_is_refused(campaign: Campaign, tmp_path: Path) -> None:
    """Two histories read as one prove nothing."""
    planted(tmp_path, a_history())
    write(tmp_path / "kept", a_history())
    code, told = campaign()
    assert code == 2
    assert "has histories already" in told


def test_nothing_to_run_is_no_success(campaign: Campaign, tmp_path: Path) -> None:
    """A misspelt name, or none of them in the slice."""
    planted(tmp_path, a_history())
    assert campaign("no_such")[0] == 2
    assert campaign("90", "--database", "postgresql")[0] == 2, "it is for SQLite alone"
    code, told = campaign("90", "--slice")
    assert code == 2
    assert "none of these" in told


def test_each_fault_of_the_list_has_a_scenario() -> None:
    """All 22, and the slice has some of them; numbers above are ours."""
    numbers = [one.number for one in by_number()]
    assert set(FAULTS_OF_THE_LIST) <= set(numbers)
    assert sum(one.in_slice for one in by_number()) >= 3
    assert all(one.about and one.databases for one in by_number())

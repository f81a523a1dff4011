"""The race against the peers: its figures, its table and its venvs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import peer_venvs, peers, standings
from benchmarks.racers.track import Answer
from benchmarks.standings import Losses

RACERS = peers.RACERS


def test_every_row_is_looked_for_whatever_the_racer_says():
    """Rows that were left out, failed, or answered with nothing of use are counted apart."""
    written = [
        Answer("good", "Bonjour"),
        Answer("failed", error="Timeout"),
        Answer("empty", " "),
        Answer("refusal", "I'm sorry, but I can't help with that request."),
        Answer("half", "Bon", finish="length"),
        Answer("warm", "of no row"),
    ]
    ids = ["good", "failed", "left out", "empty", "refusal", "half"]
    assert standings.losses(ids, written) == Losses(without=2, useless=3)


def second(number: int, arrivals: int, accepted: int) -> dict[str, int]:
    """As the simulator counts."""
    refused = arrivals - accepted
    return {"second": number, "arrivals": arrivals, "accepted": accepted, "refused": refused}


def test_a_share_counts_idle_seconds_and_leaves_out_the_broken_ones():
    """Two whole seconds of 10 and 6 with an idle one between them: 16 of 30; 4 of 30 refused."""
    seen = [second(3, 5, 5), second(4, 14, 10), second(6, 6, 6), second(7, 5, 5)]
    found = standings.share(seen, 10, lost=1)
    assert (found.used, found.refused, found.lost) == (pytest.approx(16 / 30), 4 / 30, 1)
    assert str(found) == "53%, 13.3%, 1"


def test_a_share_of_nothing_is_nothing():
    """A racer that was never let in used nothing of the limit, and all of it was refused."""
    found = standings.share([second(0, 9, 0), second(1, 1, 0)], 10, lost=10)
    assert (found.used, found.refused) == (0, 1)


def test_the_table_is_aligned_and_has_dashes():
    """What a racer has no figure for is a dash; columns are as wide as their widest cell."""
    told = {"ours": {"calls/s": "1400", "lost": "0 + 0"}, "theirs": {"calls/s": "90"}}
    assert standings.table(["calls/s", "lost"], told).splitlines() == [
        "|        | calls/s | lost  |",
        "| ------ | ------- | ----- |",
        "| ours   | 1400    | 0 + 0 |",
        "| theirs | 90      | –     |",
    ]


def test_everyone_is_asked_the_same(tmp_path: Path):
    """The rows for us and the requests for the others are the same texts, in the same order."""
    peers.prepare(tmp_path / "rows", 3)
    rows, calls = (
        [json.loads(line) for line in (tmp_path / "rows" / name).read_text().splitlines()]
        for name in ("rows.jsonl", "calls.jsonl")
    )
    assert [row["id"] for row in rows] == [call["id"] for call in calls]
    for row, call in zip(rows, calls, strict=True):
        system, user = call["messages"]
        assert user["content"].strip() == row["text"]
        assert "professional translator" in system["content"]


def test_every_racer_is_there_and_pinned():
    """Scripts exist, and every line of every requirements file names one version."""
    for racer in peers.FIELD:
        assert (RACERS / racer.script).is_file()
        lines = (RACERS / f"{racer.venv}.txt").read_text().splitlines() if racer.venv else []
        assert all(line.count("==") == 1 for line in lines if not line.startswith("#"))
        assert not any("://" in line for line in lines)


def test_somebodys_venv_is_taken_as_it_is(tmp_path: Path):
    """One without our stamp; nothing is built."""
    python = tmp_path / "litellm" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert peer_venvs.interpreter(tmp_path, RACERS / "litellm.txt") == python


def test_what_does_not_install_says_so_and_leaves_nothing(tmp_path: Path):
    """pip's last words, and no half a venv that the next run would take for a whole one."""
    wanted = tmp_path / "peer.txt"
    wanted.write_text("-r missing.txt\n")
    with pytest.raises(peer_venvs.NotInstalledError, match=r"missing\.txt"):
        peer_venvs.interpreter(tmp_path, wanted)
    assert not (tmp_path / "peer").exists()


def test_the_peers_options_are_those_of_its_help():
    """`python -m benchmarks.peers --help` works without any peer installed."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=peers.VENVS.parent,
    )
    assert "--rounds" in done.stdout

"""Notes of models served on this machine: which are believed, and which are passed over."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from models import served
from models.births import born
from models.served import Served


def noted(home: Path, name: str = "other", **changes: Any) -> Path:
    """A note as another process would have left it; this one is alive."""
    pid = os.getpid()
    told = {"url": "http://127.0.0.1:8080", "models": ["tuned", "base"], "parallel": 2}
    path = home / served.FOLDER / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**told, "pid": pid, "born": born(pid), **changes}))
    return path


def test_a_note_says_where_which_models_are_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    """Written by the process that serves; nothing half-written is left beside it."""
    path = served.note(tmp_path, 8080, ("tuned", "base"), parallel=4)
    (found,) = served.serving(tmp_path)
    assert (found.url, found.models) == ("http://127.0.0.1:8080", ("tuned", "base"))
    assert (found.pid, found.parallel) == (os.getpid(), 4)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_a_home_without_notes_serves_nothing(tmp_path: Path) -> None:
    """Nobody has served yet."""
    assert served.serving(tmp_path) == []
    assert served.by_model([]) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"born": "12"},
        {"born": ""},
        {"pid": 2**22 + 1},
        {"pid": "me"},
        {"models": None},
        {"parallel": None},
    ],
)
def test_a_note_of_an_ended_process_or_of_nobody_is_passed_over(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Its pid may have gone to another process, which was born later."""
    noted(tmp_path, **changes)
    assert served.serving(tmp_path) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1:80",
        "http://example.org:8080",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "https://127.0.0.1:8080",
        "http://me:secret@127.0.0.1:8080",
        "http://127.0.0.1:8080@example.org",
        "http://127.0.0.1:8080/elsewhere",
        "http://127.0.0.1:8080?x",
        "http://[::ffff:10.0.0.1]:8080",
        "",
    ],
)
def test_only_addresses_of_this_machine_are_believed(tmp_path: Path, url: str) -> None:
    """Whatever a file says, prompts do not leave for another machine."""
    noted(tmp_path, url=url)
    assert served.serving(tmp_path) == []


def test_loopback_of_version_six_is_this_machine(tmp_path: Path) -> None:
    """As good as 127.0.0.1."""
    noted(tmp_path, url="http://[::1]:8080")
    assert [one.url for one in served.serving(tmp_path)] == ["http://[::1]:8080"]


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '"x"', "\x00", "{}"])
def test_a_file_that_is_no_note_is_passed_over(tmp_path: Path, text: str) -> None:
    """Others beside it count."""
    noted(tmp_path, "broken").write_text(text)
    noted(tmp_path)
    assert len(served.serving(tmp_path)) == 1


def test_the_next_server_takes_stale_notes_away(tmp_path: Path) -> None:
    """The engine that took the process over does not know of the note; living ones stay."""
    stale, living = noted(tmp_path, "stale", born="12"), noted(tmp_path, "living")
    served.note(tmp_path, 8081, ("mine",), parallel=1)
    assert (stale.exists(), living.exists()) == (False, True)


def test_a_tuned_model_is_asked_of_its_own_server_and_a_base_of_any() -> None:
    """Two tuned models of one base: both serve that; a name of one's own goes before."""
    first = Served("http://127.0.0.1:1", ("one", "base", "two"), 1, "b")
    second = Served("http://127.0.0.1:2", ("two", "base"), 2, "b")
    found = served.by_model([first, second])
    assert found == {"one": first, "two": second, "base": first}

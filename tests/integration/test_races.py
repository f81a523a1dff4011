"""How `benchmarks.race` watches a racer: its whole tree, killed, started again, stuck."""

import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.peers import RACERS
from benchmarks.race import StuckError, answers, race, race_killed
from benchmarks.racers.track import Answer, Asked


class Steered:
    """A simulator that counted two calls."""

    def stats(self) -> dict[str, int]:
        """Its count."""
        return {"executed": 2}

    def steer(self, route: str, **_changes: object) -> None:
        """Nothing to steer."""
        assert route == "reset"


RACER = """
import sys
sys.path.insert(0, {racers!r})
import track
from pathlib import Path
told = track.asked()
lives = Path(told.home) / "lives"
lives.write_text((lives.read_text() if lives.exists() else "") + "x")
track.await_start()
{does}
track.finish(told, [track.Answer("a", lives.read_text())])
"""


CHILD = """
import time
held = bytearray(b"x" * 50_000_000)
while time.process_time() < 0.8:
    pass
"""


def command(folder: Path, does: str) -> list[str]:
    """A racer that does so, between the word to start and its end."""
    script = folder / "racer.py"
    script.write_text(RACER.format(racers=str(RACERS), does=does))
    return [sys.executable, str(script)]


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    """A racer with a home, and no server to speak to."""
    return Asked("http://127.0.0.1:1", str(tmp_path), str(tmp_path / "home"), 1)


def test_cpu_and_memory_of_children_count(tmp_path: Path, asked: Asked):
    """A racer that lets a child work has the child's CPU on its own account."""
    (tmp_path / "child.py").write_text(CHILD)
    does = f"import subprocess; subprocess.run([sys.executable, {str(tmp_path / 'child.py')!r}])"
    watched = race(command(tmp_path, does), asked, Steered())  # type: ignore[arg-type] # a fake
    assert watched.cpu_s > 0.2
    assert watched.peak_mb > 50


def test_a_killed_racer_is_started_again_in_its_home(tmp_path: Path, asked: Asked):
    """The first life ends by kill -9 with its children; the second one writes the answers."""
    does = (
        "if lives.read_text() == 'x':\n"
        "    import subprocess\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "    (lives.parent / 'child').write_text(str(child.pid))\n"
        "    sys.stdin.read(); lives.write_text('ended in peace')"
    )
    late = Steered()
    late.stats = lambda: {"executed": 2 * (Path(asked.home) / "child").exists()}  # type: ignore[method-assign]
    race_killed(command(tmp_path, does), asked, late, 2)  # type: ignore[arg-type] # a fake
    assert answers(asked) == [Answer("a", "xx")]
    pid = int((Path(asked.home) / "child").read_text() or "0")
    assert not pid or not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"


def test_a_racer_that_breaks_is_told_with_its_last_words(tmp_path: Path, asked: Asked):
    """Its error stands in the message, and no process is left."""
    with pytest.raises(StuckError, match="no such luck"):
        race(command(tmp_path, "raise SystemExit('no such luck')"), asked, Steered())  # type: ignore[arg-type] # a fake

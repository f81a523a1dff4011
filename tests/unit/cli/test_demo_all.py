"""`maestrale demo --all`: what it says of a run, without running any."""

from collections.abc import Callable
from pathlib import Path

import pytest
from builders import a_job
from cli_builders import Ended as Command
from cli_builders import plain

from models.pipelines import shipped_pipelines
from models.states import JobState, StageState
from models.store.stages_seen import StageSeen
from models.tables import Stage
from producers.cli.runs import demonstrating_all
from producers.cli.voice import Voice
from producers.demo_all import RECIPES, Ended


def an_end(reports: Path, state: JobState, *stages: tuple[str, StageState, str]) -> Ended:
    made = [
        Stage(run_id="job_r", place=at, name=name, kind="evaluate", state=now, reason=why)
        for at, (name, now, why) in enumerate(stages)
    ]
    run = a_job(state=state, cost_nano=21_000_000)
    return Ended("tak", run, 12.4, [StageSeen(one, None) for one in made], reports)


def test_all_is_all_that_are_shipped() -> None:
    """None is left out, none is invented."""
    assert sorted(RECIPES) == sorted(shipped_pipelines())


def test_a_limit_needs_all(run: Callable[..., Command]) -> None:
    """It is refused before anything is started."""
    ended = run("demo", "--limit", "5")
    assert ended.code == 2
    assert "--all" in ended.err


def test_a_line_says_time_cost_and_where_the_reports_are(tmp_path: Path) -> None:
    """A run that went well is one line."""
    (tmp_path / "exam.html").write_text("x")
    told = plain(
        *demonstrating_all._told(
            an_end(tmp_path, JobState.SUCCEEDED, ("exam", StageState.DONE, ""))
        ),
        width=300,
    )
    for part in ("tak", "succeeded in 12 s", "$0.02", "1 stage", "exam.html", tmp_path.name):
        assert part in told
    assert len(told.strip().splitlines()) == 1


@pytest.mark.parametrize("state", [StageState.FAILED, StageState.SKIPPED])
def test_a_lost_stage_is_named_with_its_reason(tmp_path: Path, state: StageState) -> None:
    """And escape sequences in a reason stay text."""
    lost = an_end(tmp_path, JobState.FAILED, ("exam", state, "no\x1b[31m judge"))
    told = plain(*demonstrating_all._told(lost), width=300)
    assert "exam: no" in told
    assert "\x1b" not in told


def test_where_no_wheel_turns_each_step_is_told_when_it_begins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a log the first line is there at once, not when the first pipeline is done."""
    demonstrating_all._begins(Voice(), "running amira ...")
    assert capsys.readouterr().out == "  running amira ...\n"

"""Pipelines with real processes: every stage once, whatever dies; only what changed runs again."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from builders import eventually

from models.pipelines import load_pipeline
from models.pipelines.schema import RunSpec
from models.states import SETTLED, JobState
from models.store import trainings
from models.store.stages_seen import StageSeen
from models.tables import Job
from producers.pipelines import Conductor, Runs
from producers.services import environment
from producers.training import Training
from proving.pipelines_stage import edit, write_recipe
from proving.sinks import LOOPBACK
from proving.stage import Stage

OnStage = Callable[..., Stage]
QUICK = {"MAESTRALE_LEASE": "2"}
"""A dead conductor's claim, and a dead worker's shard, are free again after two seconds."""


def told_of(folder: Path, **how: Any) -> RunSpec:
    """The run of the recipe in a folder, as it stands there now."""
    return RunSpec(pipeline=load_pipeline(str(folder)), **how)


def start(on: Stage, folder: Path, **how: Any) -> Job:
    """Commits a run; who conducts it is the caller's to say."""
    return Runs(on.client).start(told_of(folder, **how))[0]


def conducted(on: Stage, run: Job) -> Job:
    """Conducted in this process to its end."""
    conductor = Conductor(on.client)
    conductor.run(until=lambda: is_over(on, run))
    conductor.close()
    return on.client.get(run.id)


def is_over(on: Stage, run: Job) -> bool:
    """Settled, or standing still."""
    state = on.client.get(run.id).state
    return state in SETTLED or state == JobState.PAUSED


def seen(on: Stage, run: Job) -> dict[str, StageSeen]:
    """The stages by name."""
    return {one.stage.name: one for one in Runs(on.client).stages(run.id)}


def states(on: Stage, run: Job) -> dict[str, str]:
    """Their states."""
    return {name: one.stage.state for name, one in seen(on, run).items()}


def children(on: Stage, run: Job) -> Sequence[Job]:
    """The jobs below the run."""
    with on.client.store.read() as connection:
        return trainings.children(connection, run.id)


def maestrale(on: Stage, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line as users have it, in a process of its own."""
    script = "from producers.cli import main; raise SystemExit(main())"
    told = {**environment(on.services.settings), "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=told,
        cwd=on.home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_recipe_runs_whole_and_a_changed_prompt_runs_what_depends_on_it(
    on_stage: OnStage, tmp_path: Path
) -> None:
    """From rows to a report; the second run makes no call, the third only those of its exam."""
    folder = write_recipe(tmp_path / "small")
    on = on_stage(workers=1)
    first = conducted(on, start(on, folder))
    assert first.state == JobState.SUCCEEDED, first.state_reason
    made = seen(on, first)
    assert made["pairs"].output["count"] == 24
    assert made["data"].output["counts"]["train"] > 12
    assert made["tuned"].output["model"].startswith("ft:")
    assert Path(made["exam"].output["report"]).read_text().startswith("<!doctype html>")
    assert (on.home / "runs" / first.id / "report.html").is_file()
    assert first.cost_nano == sum(job.cost_nano for job in children(on, first))

    second = conducted(on, start(on, folder))
    assert set(states(on, second).values()) == {"reused"}
    assert not children(on, second)
    assert (second.calls_made, second.cost_nano) == (0, 0)

    edit(folder, "suite.toml", "Is this about news?", "Does it tell news?")
    third = conducted(on, start(on, folder))
    assert states(on, third) == {
        "pairs": "reused",
        "data": "reused",
        "tuned": "reused",
        "exam": "done",
    }
    assert third.calls_made == 12, "the other model's prompt did not change: its calls are paid for"


def test_conductors_and_workers_killed_at_every_stage_do_nothing_twice(
    on_stage: OnStage, tmp_path: Path
) -> None:
    """kill -9 of both while each stage is at work: one job a stage, one model, no call lost."""
    folder = write_recipe(tmp_path / "small", rows=60, exam=40)
    on = on_stage("--latency-median", "0.2", "--limit", "*=1200", workers=1, **QUICK)
    on.services.start_conductor()
    run = start(on, folder)
    for name in ("pairs", "data", "tuned", "exam"):
        eventually(
            lambda n=name: states(on, run)[n] in ("working", "running", "done"),
            f"{name} is at work",
            within_s=60,
        )
        on.kill("conductor")
        on.kill("worker1")
        on.services.start_conductor()
        on.restart_workers()
    eventually(lambda: is_over(on, run), "the run ends", within_s=90)
    ended = on.client.get(run.id)
    assert ended.state == JobState.SUCCEEDED, ended.state_reason
    below = children(on, run)
    assert sorted(job.kind for job in below) == ["evaluate", "generate", "train"]
    assert len(Training(on.client).models()) == 1
    assert {job.kind: job.rows_done for job in below} == {
        "generate": 60,
        "train": 1,
        "evaluate": 40,
    }
    assert on.stats()["duplicates"] <= ended.calls_doubtful
    told = [event.type for event in on.client.events.of(run.id)]
    assert told.count("stage.done") == 4
    assert told.count("job.succeeded") == 1


def test_two_conductors_beside_each_other_do_everything_once(
    on_stage: OnStage, tmp_path: Path
) -> None:
    """Claims keep them apart."""
    folder = write_recipe(tmp_path / "small")
    edit(folder, "pipeline.toml", 'name = "tuned"', 'name = "tuned"\nafter = ["pairs"]')
    on = on_stage(workers=1)
    on.services.start_conductor()
    run = conducted(on, start(on, folder))
    assert run.state == JobState.SUCCEEDED, run.state_reason
    assert len(children(on, run)) == 3


def test_a_failed_stage_fails_the_run_by_name_and_retry_goes_on(
    on_stage: OnStage, tmp_path: Path
) -> None:
    """What does not need it is done all the same; retried, nothing that is done is done again."""
    folder = write_recipe(tmp_path / "small")
    (folder / "exam.jsonl").unlink()
    on = on_stage(workers=1)
    run = conducted(on, start(on, folder))
    assert run.state == JobState.FAILED
    assert "stage exam:" in run.state_reason
    assert "exam.jsonl" in run.state_reason
    assert states(on, run)["tuned"] == "done"
    calls = run.calls_made

    write_recipe(folder)
    assert on.client.retry(run.id) == 1
    run = conducted(on, run)
    assert run.state == JobState.SUCCEEDED, run.state_reason
    assert run.calls_made == calls + 24
    assert len(children(on, run)) == 3


def test_a_lost_stage_is_passed_over_by_those_that_need_it(
    on_stage: OnStage, tmp_path: Path
) -> None:
    """And the others finish what they have."""
    folder = write_recipe(tmp_path / "small")
    edit(folder, "pipeline.toml", '["{{ pairs.records }}"]', '["nowhere.jsonl"]')
    on = on_stage(workers=1)
    run = conducted(on, start(on, folder))
    assert states(on, run) == {
        "pairs": "done",
        "data": "failed",
        "tuned": "skipped",
        "exam": "skipped",
    }
    assert run.state == JobState.FAILED
    assert "stage data:" in run.state_reason


def test_cancel_pause_and_resume_reach_the_jobs_below(on_stage: OnStage, tmp_path: Path) -> None:
    """And what is done of a cancelled run is taken over by the next."""
    folder = write_recipe(tmp_path / "small", rows=120)
    on = on_stage("--latency-median", "0.5", "--limit", "*=600", workers=1, **QUICK)
    on.services.start_conductor()
    run = start(on, folder)
    eventually(
        lambda: any(job.rows_done for job in children(on, run)), "rows are done", within_s=60
    )
    on.client.pause(run.id)
    (child,) = children(on, run)
    assert child.state == JobState.PAUSED
    on.client.resume(run.id)
    before = child.rows_done
    eventually(lambda: children(on, run)[0].rows_done > before + 3, "it goes on", within_s=30)
    on.client.cancel(run.id)
    (child,) = children(on, run)
    assert child.state == JobState.CANCELLED
    assert set(states(on, run).values()) == {"cancelled"}
    again = start(on, folder)
    assert again.id != run.id


def test_a_budget_holds_for_all_stages_together(on_stage: OnStage, tmp_path: Path) -> None:
    """The run stands still before it spends more, and goes on under a larger one."""
    folder = write_recipe(tmp_path / "small", rows=60)
    asked = '["mistral-small-latest", "{{ tuned.model }}@bare"]'  # whose price nobody knows
    edit(folder, "pipeline.toml", asked, '["mistral-small-latest"]')
    on = on_stage(workers=1)
    run, _ = Runs(on.client).start(told_of(folder), budget="0.0004")
    run = conducted(on, run)
    assert run.state == JobState.PAUSED
    assert "budget" in run.state_reason
    assert run.cost_nano <= 400_000
    run = on.client.resume(run.id, budget="20")
    run = conducted(on, run)
    assert run.state == JobState.SUCCEEDED, run.state_reason


@pytest.mark.parametrize("detached", [False, True])
def test_the_command_runs_plans_and_shows(
    on_stage: OnStage, tmp_path: Path, *, detached: bool
) -> None:
    """`maestrale run`: planned for nothing, run to its report, or left to a conductor."""
    folder = str(write_recipe(tmp_path / "small"))
    on = on_stage(workers=1)
    planned = maestrale(on, "run", folder, "--plan", "--json")
    assert planned.returncode == 0, planned.stderr
    told = {one["stage"]: one for one in json.loads(planned.stdout)["stages"]}
    assert told["pairs"]["cost_usd"] > 0
    assert told["exam"]["depends_on"] == ["tuned"]
    assert told["exam"]["rough"]
    no_price = "no price is known of ft:open-mistral-nemo:small-tuned"
    assert told["exam"]["takes"] == f"12 rows, about 24 calls; {no_price}"
    assert json.loads(planned.stdout)["cost"].endswith("(of 4 stages 2 not known)")
    assert on.client.jobs() == []
    more = ["--detach"] if detached else ["--report", str(tmp_path / "report")]
    ran = maestrale(on, "run", folder, "--json", "--set", "steps=12", *more)
    assert ran.returncode == 0, ran.stderr
    run = on.client.get(json.loads(ran.stdout)["run"]["id"])
    if detached:
        assert "nobody conducts it" in ran.stderr
        on.services.start_conductor()
        eventually(lambda: is_over(on, run), "the conductor ends it", within_s=60)
    else:
        assert (tmp_path / "report" / "report.html").is_file()
    shown = json.loads(maestrale(on, "show", run.id, "--json").stdout)
    assert shown["state"] == "succeeded"
    assert [stage["state"] for stage in shown["stages"]] == ["done"] * 4
    again = maestrale(on, "run", folder, "--set", "steps=12", "--plan", "--json")
    stages = json.loads(again.stdout)["stages"]
    assert all(one["reused_from"] == run.id for one in stages)


def test_a_sweep_is_ranked_by_a_suite_and_stages_run_beside_each_other(
    on_stage: OnStage, tmp_path: Path
) -> None:
    """All its runs are put to the suite in one job; documents are embedded meanwhile."""
    folder = write_recipe(tmp_path / "small")
    more = 'sweep = { lr = [1e-4, 5e-5] }\nrank_by = "suite.toml:accuracy"\n'
    more += 'ranking = { data = "exam.jsonl", prompt = "bare" }'
    edit(folder, "pipeline.toml", 'steps = "{{ vars.steps }}"', f"steps = 5\n{more}")
    vectors = '[[stages]]\nname = "vectors"\nkind = "embed"\ntext = "{{ row.text }}"\n'
    edit(
        folder, "pipeline.toml", '[[stages]]\nname = "data"', f'{vectors}[[stages]]\nname = "data"'
    )
    on = on_stage(workers=1)
    run = conducted(on, start(on, folder))
    assert run.state == JobState.SUCCEEDED, run.state_reason
    made = seen(on, run)
    assert made["vectors"].output["documents"] == 24
    tuned = made["tuned"]
    assert len(tuned.output["sweep"]) == 2
    assert tuned.stage.job_id == tuned.output["job"]
    assert 0 < tuned.cost_nano < run.cost_nano, "what ranked its runs is of the stage, too"
    assert sum(one.cost_nano for one in made.values()) == run.cost_nano
    assert sorted(job.kind for job in children(on, run)) == [
        "embed",
        "evaluate",
        "evaluate",
        "generate",
        "train",
    ]
    began = {name: one.stage.started_at or 0.0 for name, one in made.items()}
    ended = {name: one.stage.finished_at or 0.0 for name, one in made.items()}
    assert began["vectors"] < ended["pairs"]


def test_one_webhook_tells_the_end_of_a_run(on_stage: OnStage, tmp_path: Path) -> None:
    """An endpoint of the run hears that it ended, and nothing of the jobs below it."""
    folder = write_recipe(tmp_path / "small")
    on = on_stage(workers=1, **LOOPBACK)
    hooks = on.client.webhooks.prepare(["http://127.0.0.1:9/nobody-is-there"])
    run, _ = Runs(on.client).start(told_of(folder), webhooks=hooks)
    conducted(on, run)
    found = eventually(on.client.webhooks.deliveries, "it is sent", within_s=20)
    assert [(one["event_type"], one["subject_id"]) for one in found] == [("job.succeeded", run.id)]

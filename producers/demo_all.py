"""Every shipped pipeline end to end, one after the other, each with its report in a folder."""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.pipelines import load_pipeline
from models.pipelines.schema import RunSpec
from models.states import SETTLED, JobState
from models.store.stages_seen import StageSeen
from models.tables import Job
from producers.client import Maestrale
from producers.demo import FOLDER
from producers.pipelines import Conductor, Runs
from producers.pipelines.hand import run_folder

ALL_FOLDER = f"{FOLDER}/all"
"""A home of its own: run again, every stage is taken over from the run before."""
RECIPES = ("amira", "tak", "cleo", "bsard", "eurlex")


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over, or stands; `reports`: where its pages are."""

    name: str
    run: Job
    seconds: float
    stages: Sequence[StageSeen]
    reports: Path


def run_all(maestrale: Maestrale, *, limit: int | None = None) -> Iterator[Ended]:
    """Runs them in this thread. `limit`: so many rows of each input, for those in a hurry."""
    for name in RECIPES:
        began = time.monotonic()
        runs = Runs(maestrale)
        run, _is_new = runs.start(RunSpec(pipeline=load_pipeline(name), limit=limit))
        _conduct(maestrale, run.id)
        seconds = time.monotonic() - began
        stages = runs.stages(run.id)
        reports = _copied(maestrale, name, run.id, stages)
        yield Ended(name, maestrale.get(run.id), seconds, stages, reports)


def _conduct(maestrale: Maestrale, run_id: str) -> None:
    conductor = Conductor(maestrale, only=run_id)
    try:
        conductor.run(until=lambda: _is_over(maestrale.get(run_id)))
    finally:
        conductor.close()


def _is_over(run: Job) -> bool:
    return run.state in SETTLED or run.state == JobState.PAUSED


def _copied(maestrale: Maestrale, name: str, run_id: str, stages: Sequence[StageSeen]) -> Path:
    """The run's pages under the recipe's name, where people find them.

    A stage that was taken over has its page in the folder of the run that made it.
    """
    folder = maestrale.settings.home / "reports" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = run_folder(maestrale.settings, run_id)
    named = [Path(seen.output["report"]) for seen in stages if "report" in seen.output]
    for page in (*made.glob("*.html"), *named):
        if page.is_file():
            shutil.copyfile(page, folder / page.name)
    return folder

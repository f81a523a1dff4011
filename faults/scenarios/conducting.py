"""Conductors of pipelines that die between their files and their tables.

What they put into files has no transaction, whichever database is beside it: on one of them.
"""

import json
from collections import Counter
from pathlib import Path

from faults.scenarios.crash_points import DYING, die
from faults.scenarios.registry import POSTGRESQL, Begin, scenario
from faults.world import World
from models.errors import MaestraleError
from models.pipelines import load_pipeline
from models.pipelines.schema import RunSpec
from models.states import SETTLED, JobState
from models.store import registry, reports, trainings
from models.tables import Job
from producers.datasets.dataset import open_dataset
from producers.pipelines import Runs
from producers.services import CONDUCTING
from proving.pipelines_stage import write_recipe

QUICK = ("--latency-median", "0.1", "--limit", "*=6000", "--batch", "tuning_s=0.5")
ROWS, EXAM = 24, 6
MADE = 3
"""The stages' works until the dataset is made: the job's submission, its records, the dataset."""

ASIDE = ".before"
"""How the name of a dataset ends that makes way for its successor."""


@scenario(11, databases=(POSTGRESQL,))
def conductor_dies(begin: Begin) -> None:
    """A pipeline's conductors die with stages in hand, a dataset half put in place, a report."""
    claimed, done, swapping, kept, collected = DYING["conductor_dies"]
    with begin(*QUICK, workers=1, MAESTRALE_LEASE=2) as world:
        run = began(world)
        for point in (claimed, done, f"{done}:{MADE}", swapping):
            die(world, point, CONDUCTING)
        world.expect(*_back(world))
        for point in (kept, collected):
            die(world, point, CONDUCTING)
        world.on.services.start_conductor()
        conducted(world, run)


def _back(world: World) -> tuple[bool, str]:
    """Whether whoever looks for the dataset that was put aside finds it, whole."""
    settings = world.on.client.settings
    aside = list((settings.home / "datasets").glob(f".*{ASIDE}"))
    try:
        found = open_dataset(settings, aside[0].name.removesuffix(ASIDE)[1:])
    except MaestraleError as error:
        return False, str(error)
    return found.is_unchanged(), f"the dataset {found.name}, put aside, is found in its place"


def began(world: World) -> Job:
    """A run: rows become pairs, a dataset, a tuned model, an exam; nobody conducts it yet."""
    folder = write_recipe(world.on.home / "recipe", rows=ROWS, exam=EXAM)
    return Runs(world.on.client).start(RunSpec(pipeline=load_pipeline(str(folder))))[0]


def conducted(world: World, run: Job) -> None:
    """Waits for its end, and holds what is there against what was asked for: each thing once."""
    client = world.on.client
    world.until(lambda: client.get(run.id).state in SETTLED, "the run ends", 120)
    with client.store.read() as connection:
        jobs = trainings.children(connection, run.id)
        models = registry.newest(connection)
        has_report = reports.get(connection, run.id) is not None
    for job in jobs:
        _noted(world, job)
    ended = client.get(run.id)
    world.conducted(ended)
    kinds = Counter(str(job.kind) for job in jobs)
    world.expect(
        ended.state == JobState.SUCCEEDED and kinds == {"generate": 1, "train": 1, "evaluate": 1},
        f"the run {ended.state} {ended.state_reason}; its jobs: {dict(kinds)}",
    )
    world.expect(len(models) == 1, f"{len(models)} tuned model in the registry")
    twice = world.on.stats()["duplicates"]
    world.expect(not twice, f"{twice} calls paid twice")
    page = world.on.home / "runs" / run.id / "report.html"
    world.expect(has_report and page.is_file(), "its report is kept, and lies there as a page")
    world.expect(*_whole(world))


def _noted(world: World, job: Job) -> None:
    """Its rows and their ends, for the checker."""
    ids = {"generate": ROWS, "evaluate": EXAM}
    rows = [f"r{number}" for number in range(ids.get(job.kind, 0))]
    told = {"rows": rows or [job.name], "asks": bool(rows)}
    world.producer.write("submitted", job=job.id, **told)
    world.settled(job.id)


def _whole(world: World) -> tuple[bool, str]:
    """Whether the dataset is there once, with all its parts, and no older one put aside. A draft of
    the dead, which nothing reads, may lie beside it."""
    found = [path.name for path in (world.on.home / "datasets").iterdir()]
    names = [name for name in found if not name.startswith(".")]
    aside = [name for name in found if name.endswith(ASIDE)]
    folder = world.on.home / "datasets" / names[0]
    parts = json.loads((folder / "dataset.json").read_text())["parts"]
    missing = [part for part in parts if not (folder / f"{part}.jsonl").is_file()]
    words = f"datasets {names} of {len(parts)} parts, missing {missing}, put aside {aside}"
    return len(names) == 1 and not missing and not aside, words


def fresh(path: Path) -> Path:
    """A folder that is there and empty."""
    path.mkdir(parents=True)
    return path

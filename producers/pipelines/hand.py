"""A stage in hand: all that its doing takes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from models.errors import BadInputError, SetupError
from models.nano import NANO
from models.payloads import JobSpec
from models.pipelines.loading import place_of
from models.pipelines.schema import Pipeline, Prepared, RunSpec
from models.pipelines.schema import Stage as Asked
from models.recipes.fields import names_read
from models.settings import Settings
from models.store import stages
from models.tables import Job, Stage
from producers.client import Maestrale
from producers.readers import ReadResult

RUNS = "runs"
"""Folder below the home where runs put what their stages make."""
SWEEP = stages.SWEEP
"""Note of a stage whose runs are being ranked by a suite: the sweep's job."""
WARNINGS = "warnings"
"""Note and output of a stage that trains: what its plan warned of."""
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Hand:
    """A stage with its run, its pipeline and what its templates say by now."""

    maestrale: Maestrale
    run: Job
    told: RunSpec
    stage: Stage
    asked: Asked
    digest: str
    budget_nano: int | None = None
    """What it may spend; None: as much as it takes."""

    @property
    def prepared(self) -> Prepared:
        """The stage as the snapshot has it."""
        return self.told.pipeline.stage(self.stage.name)

    @property
    def pipeline(self) -> Pipeline:
        """The snapshot."""
        return self.told.pipeline

    @property
    def folder(self) -> Path:
        """Where the run's files lie; it is there."""
        return made_folder(self.maestrale.settings, self.run.id)

    @property
    def name(self) -> str:
        """What a dataset, a store or a model of this stage is called: the same work, the same
        name."""
        return f"{stem_of(self.pipeline, self.stage.name)}-{self.digest[:8]}"

    @property
    def notes(self) -> dict[str, Any]:
        """What was noted when its job was submitted."""
        return notes_of(self.stage)

    @property
    def budget_usd(self) -> str | None:
        """As the doors for jobs take it, to the last nano-USD."""
        nano = self.budget_nano
        return None if nano is None else f"{nano // NANO}.{nano % NANO:09d}"

    def key(self, part: str = "") -> str:
        """The idempotency key of what it submits: submitted twice, it is there once.

        `stages_seen` reads the stage in it, to tell what the stage cost.
        """
        tail = f".{part}" if part else ""
        return f"{self.run.id}/{self.stage.name}/{self.digest[:32]}/{self.stage.attempt}{tail}"

    def keep_rejects(self, found: ReadResult, part: str = "") -> None:
        """Lists the rows that are left out, in the run's folder. Raises `SetupError` where that
        cannot be written: before its job is submitted, which the stage would not know then."""
        found.write_rejects(self.folder / f"{self.stage.name}{part}.rejects.jsonl")

    def file(self, name: str) -> str:
        """A file of rows, by what the pipeline calls it."""
        return place_of(self.pipeline.folder, name)

    def limit(self, own: int | None) -> int | None:
        """How many rows it takes: as it says, or the run."""
        return own if own is not None else limit_of(self.told, self.prepared)

    def via(self, own: str) -> Literal["realtime", "batch", "auto"]:
        """How its calls are made: as it says, or the run, or at once."""
        said = own if "via" in self.prepared.asked else self.told.via or own
        ways: dict[str, Literal["realtime", "batch", "auto"]] = {"batch": "batch", "auto": "auto"}
        return ways.get(said, "realtime")


def stem_of(pipeline: Pipeline, stage: str) -> str:
    """How the names of what a stage makes begin."""
    return f"{pipeline.name[:30]}-{stage[:20]}"


def told_of(run: Job) -> RunSpec:
    """What a run was asked to do. `BadInputError` if the job is no run of a pipeline."""
    told = JobSpec.model_validate_json(run.spec).pipeline
    if not told:
        raise BadInputError(f"{run.id} is a {run.kind} job, which runs no pipeline")
    return RunSpec.model_validate(told)


def notes_of(stage: Stage) -> dict[str, Any]:
    """What was noted when a stage's job was submitted."""
    return dict(orjson.loads(stage.output))


def limit_of(told: RunSpec, prepared: Prepared) -> int | None:
    """The run's limit, for stages that read the run's input and have no limit of their own."""
    source = prepared.asked.get("input", "{{ input }}")
    reads_input = prepared.kind in ("generate", "embed") and "input" in names_read(source)
    return told.limit if reads_input and "limit" not in prepared.asked else None


def run_folder(settings: Settings, run_id: str) -> Path:
    """Where the files of a run lie."""
    return settings.home / RUNS / run_id


def made_folder(settings: Settings, run_id: str) -> Path:
    """The same, made if it is not there. Raises `SetupError` where it cannot be."""
    folder = run_folder(settings, run_id)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SetupError(
            f"the run's folder {folder} cannot be made ({error.strerror or error}): free some "
            "space, or see who may write there"
        ) from error
    return folder


def content_of(path: str | Path) -> str:
    """SHA-256 of a file's content, in hex."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()

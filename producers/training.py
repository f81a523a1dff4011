"""Training from a producer's side: a wish becomes checked specs with their plans.

`Training(maestrale).plan(Wish(...))`, then `submit`; sweeps by `plan_sweep` and `submit_sweep`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from models.budgets import parse_budget
from models.errors import BadInputError, NotFoundError
from models.nano import NANO
from models.payloads import training_of
from models.prices import load_prices
from models.store import registry, trainings
from models.tables import Job, TrainingPoint, TunedModel
from models.training import DatasetRef, TrainingSpec
from models.training.counts import Counts
from models.training.grid import child_name, combinations
from models.training.plan import (
    Length,
    Pace,
    Planned,
    Trainer,
    plan,
    seconds_per_step,
    steps_for,
    tokens_per_step,
)
from models.words import money
from producers import training_jobs
from producers.client import Maestrale
from producers.datasets import Dataset, open_dataset
from producers.datasets.before_training import check_dataset
from producers.datasets.by_base import Uncounted, as_trained, counts_of, parts_of, place_of
from producers.training_files import file_too_large, with_validation
from producers.training_jobs import Submission

FIELDS: Mapping[str, str] = {
    "lr": "learning_rate",
    "batch-size": "batch_size",
    "seq-len": "seq_len",
    "rank": "rank",
    "seed": "seed",
    "patience": "patience",
    "eval-every": "eval_every",
}
"""Options, some of them axes of a sweep too, and the field of a wish that each fills."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user asked to be trained; None: as it is best without further knowledge."""

    dataset: str
    base: str
    trainer: Trainer = "local"
    name: str | None = None
    length: Length = field(default_factory=Length)
    learning_rate: float = 1e-4
    batch_size: int = 8
    seq_len: int = 1024
    rank: int = 16
    seed: int = 0
    patience: int = 0
    eval_every: int = 0
    validation: Path | None = None
    wandb_project: str = ""
    expected: DatasetRef | None = None
    """In place of a dataset that is not made yet, for estimates; it has no folder."""

    def changed(self, choice: Mapping[str, Any]) -> "Wish":
        """With one choice of a sweep in place of its own."""
        changes = {FIELDS[name]: value for name, value in choice.items() if name in FIELDS}
        told = {name.replace("-", "_"): value for name, value in choice.items()}
        lengths = {name: value for name, value in told.items() if name in Length.__slots__}
        return replace(self, **changes, length=Length(**lengths) if lengths else self.length)


class Training:
    """What producers do with training runs; `maestrale` stays the owner of the database."""

    def __init__(self, maestrale: Maestrale) -> None:
        self._maestrale = maestrale
        self._counted: dict[tuple[str, str, int], Counts | Uncounted] = {}

    # -- before --------------------------------------------------------------------------------

    def plan(self, wish: Wish) -> Planned:
        """Checks everything; starts and pays nothing. Raises `BadInputError`, `NotFoundError`."""
        return self._planned(wish, self._dataset(wish), self._pace(wish))

    def plan_sweep(self, wish: Wish, axes: Mapping[str, Sequence[Any]]) -> list[Planned]:
        """One run for every choice of the grid, named NAME-01 and on."""
        dataset, pace = self._dataset(wish), self._pace(wish)
        name = wish.name or default_name(dataset.name, wish.base)
        runs = enumerate(combinations(axes), start=1)
        return [
            self._planned(
                replace(wish.changed(choice), name=child_name(name, number)), dataset, pace
            )
            for number, choice in runs
        ]

    def _dataset(self, wish: Wish) -> DatasetRef:
        if wish.expected is not None:
            return wish.expected
        opened = open_dataset(self._maestrale.settings, wish.dataset)
        _check_kind(wish, opened)
        check_dataset(opened, wish.dataset)
        found = opened.ref()
        if wish.validation is None:
            return found
        kind, home = opened.manifest.kind, self._maestrale.settings.home
        return with_validation(found, kind, wish.validation, home)

    def _planned(self, wish: Wish, dataset: DatasetRef, pace: Pace | None) -> Planned:
        spec = spec_of(wish, dataset)  # what is refused is so before anything is counted
        counts, uncounted = self._counts(wish, dataset)
        if counts is not None:
            spec = spec_of(wish, as_trained(dataset, counts))
        price = load_prices(self._maestrale.settings.prices_file).price(spec.base)
        usd = price.training if price is not None else None
        told = plan(spec, usd_per_million=usd, pace=pace)
        too_large = file_too_large(dataset) if wish.trainer == "mistral" else ""
        return Planned(spec, told, counts, uncounted, too_large)

    def _counts(self, wish: Wish, dataset: DatasetRef) -> tuple[Counts | None, str]:
        """By the base's own tokenizer, or why not; the provider's are the dataset's own."""
        if wish.trainer != "local" or not dataset.folder:
            return None, ""
        base, settings = place_of(wish.base), self._maestrale.settings
        key = (dataset.hash, base, wish.seq_len)
        if key not in self._counted:  # a sweep asks again for each of its runs
            parts = parts_of(dataset)
            self._counted[key] = counts_of(dataset, base, wish.seq_len, settings, parts)
        found = self._counted[key]
        return (None, found.why) if isinstance(found, Uncounted) else (found, "")

    def _pace(self, wish: Wish) -> Pace | None:
        """How fast the newest run of this base went here; a hosted one's is not ours to know."""
        if wish.trainer != "local":
            return None
        with self._maestrale.store.read() as connection:
            return _newest_pace(connection, place_of(wish.base))

    # -- submitting ----------------------------------------------------------------------------

    def submit(self, planned: Planned, how: Submission) -> Job:
        """Commits the job, then rings; the same dataset and choices again: `DuplicateJobError`."""
        job, _ = training_jobs.submit(self._maestrale.store, [planned], how, sweep="")
        self._maestrale.ring_for(job.id)
        return job

    def submit_sweep(self, runs: Sequence[Planned], how: Submission, *, name: str) -> Job:
        """Commits the parent and its runs together, and rings for each; answers the parent."""
        job, children = training_jobs.submit(self._maestrale.store, runs, how, sweep=name)
        for child in children:
            self._maestrale.ring_for(child)
        return job

    def check_budget(self, runs: Sequence[Planned], budget: str | None) -> int | None:
        """The budget in nano-USD. Raises `BadInputError` if the runs may take more."""
        if budget is None:
            return None
        prices = load_prices(self._maestrale.settings.prices_file)
        nano = parse_budget(budget, prices)
        costs = [run.plan.cost_usd for run in runs]
        if any(cost is None for cost in costs):
            raise BadInputError(
                f"a budget needs a price, and the table of {prices.as_of} has none for training "
                f"{runs[0].spec.base}: add `training` to it in a table named by MAESTRALE_PRICES"
            )
        whole = round(sum(cost or 0.0 for cost in costs) * NANO)
        if whole > nano:
            raise BadInputError(
                f"the training takes about {money(whole)}, more than its budget of {money(nano)}: "
                "take fewer steps, or give more"
            )
        return nano

    # -- looking -------------------------------------------------------------------------------

    def points(self, job_id: str) -> list[TrainingPoint]:
        """What the run told, in order of its steps."""
        with self._maestrale.store.read() as connection:
            return trainings.of_job(connection, job_id)

    def children(self, parent_id: str) -> list[Job]:
        """The runs of a sweep in their order; none: it is no sweep."""
        with self._maestrale.store.read() as connection:
            return trainings.children(connection, parent_id)

    def model_of(self, job_id: str) -> TunedModel | None:
        """What the job's training became, if it has."""
        with self._maestrale.store.read() as connection:
            return registry.of_job(connection, job_id)

    def model(self, name: str) -> TunedModel:
        """The model of this name. Raises `NotFoundError`."""
        with self._maestrale.store.read() as connection:
            found = registry.by_name(connection, name)
        if found is None:
            raise NotFoundError(f"there is no model {name!r}: `maestrale models list` lists them")
        return found

    def models(self, *, limit: int = 50) -> list[TunedModel]:
        """The registry, the newest models first."""
        with self._maestrale.store.read() as connection:
            return registry.newest(connection, limit=limit)


def _check_kind(wish: Wish, dataset: Dataset) -> None:
    if wish.trainer == "local" and dataset.manifest.kind == "labels":
        raise BadInputError(
            f"the dataset {dataset.name} has rows with labels, and the local trainer learns from "
            "conversations alone: make one with `maestrale dataset make NAME FROM --prompt "
            "TEMPLATE --answer TEMPLATE`, or train with --trainer mistral"
        )


def spec_of(wish: Wish, dataset: DatasetRef) -> TrainingSpec:
    """The wish with every choice made. Raises `BadInputError` naming what cannot be."""
    sizes = {"batch_size": wish.batch_size, "seq_len": wish.seq_len}
    try:
        return TrainingSpec(
            trainer=wish.trainer,
            base=place_of(wish.base),
            name=wish.name or default_name(dataset.name, wish.base),
            dataset=dataset,
            steps=steps_for(wish.length, wish.trainer, dataset, **sizes),
            learning_rate=wish.learning_rate,
            lora_rank=wish.rank,
            lora_alpha=2 * wish.rank,
            eval_every=wish.eval_every,
            patience=wish.patience,
            seed=wish.seed,
            wandb_project=wish.wandb_project,
            **sizes,
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadInputError(f"{name}: {first['msg']}") from error


def default_name(dataset: str, base: str) -> str:
    """`news-smollm2`: of the dataset's name and the last part of the base's."""
    last = re.split(r"[/\\]", base.rstrip("/\\"))[-1]
    plain = re.sub(r"[^a-z0-9._-]+", "-", f"{dataset}-{last}".lower()).strip("-._")
    return plain[:60] or "model"


def spec_of_job(job: Job) -> TrainingSpec | None:
    """What a job trains; None if it trains nothing, or another version's spec says what."""
    return training_of(job.spec)


def _newest_pace(connection: Connection, base: str) -> Pace | None:
    """Of the newest of our own runs of this base that told how fast it went."""
    for job_id, text in trainings.recent(connection):
        other = training_of(text)
        if other is not None and (other.trainer, other.base) == ("local", base):
            pace = _pace_of(job_id, other, trainings.of_job(connection, job_id))
            if pace is not None:
                return pace
    return None


def _pace_of(job_id: str, spec: TrainingSpec, seen: list[TrainingPoint]) -> Pace | None:
    seconds = seconds_per_step([(point.step, point.at) for point in seen])
    if seconds is None:
        return None
    step = tokens_per_step(
        spec.trainer, spec.dataset, batch_size=spec.batch_size, seq_len=spec.seq_len
    )
    return Pace(job_id, seconds, _tokens_read(seen) or step)


def _tokens_read(seen: list[TrainingPoint]) -> float | None:
    """Per step, as the run counted them itself; None if it told none."""
    told = [point.tokens / point.step for point in seen if point.tokens and point.step]
    return told[-1] if told else None

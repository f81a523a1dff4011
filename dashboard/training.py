"""What a training job's page derives: how far it is, how well it does, what came of it. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypedDict

import orjson

from dashboard import pace
from dashboard.charts import sweep, training
from dashboard.charts.job import Chart
from dashboard.charts.scales import scientific, short
from dashboard.job_facts import HASH_LENGTH
from models.payloads import training_of
from models.states import SETTLED, JobState
from models.store.views.jobpage import JobPage
from models.store.views.trainingpage import SweptRun, TrainingPage
from models.tables import TrainingPoint, TunedModel
from models.training import TrainingSpec
from models.training.plan import perplexity, seconds_per_step
from models.words import duration

NONE = "–"
"""What stands for a figure that is not known."""
NEWEST = 10
"""Points that the pace is told by."""
LARGE = 100
"""A loss from here up is told by three digits."""


class Rate(TypedDict):
    """A learning rate, and what moment it is of."""

    rate: str
    rate_when: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """A run of a sweep as a line of its table, worded."""

    id: str
    name: str
    state: str
    rate: str
    steps: str
    """`40 of 100`."""
    before: str
    after: str
    perplexity: str


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """Figures are worded; a dash stands for what is not known."""

    is_sweep: bool
    step: int
    steps: int | None
    """None: the spec cannot be read by this version."""
    percent: float
    loss: str
    valid_loss: str
    perplexity: str
    best: str
    """`best 2.31 at step 80`; empty before the first validation."""
    rate: str
    rate_when: str
    """What moment `rate` is of."""
    is_hosted: bool
    """Its provider trains it, and keeps its checkpoints."""
    is_over: bool
    """Nothing more will be told."""
    tokens: int | None
    """Trained on so far."""
    seconds_left: float | None
    charts: Sequence[Chart]
    checkpoints: Sequence[TrainingPoint]
    model: TunedModel | None
    lineage: Sequence[tuple[str, str]]
    """What was trained on what, label and value."""
    metrics: Sequence[tuple[str, str]]
    """Of the model it became."""
    runs: Sequence[Ranked]

    @property
    def best_run(self) -> Ranked | None:
        """Of a sweep, the run with the best validation loss; None: none was validated yet."""
        return next((run for run in self.runs if run.after != NONE), None)

    @property
    def counts_steps(self) -> bool:
        """Whether progress is told in steps: of one run whose spec can be read."""
        return self.steps is not None and not self.is_sweep


def facts_of(page: JobPage) -> TrainingFacts | None:
    """Everything the page derives; None: the job trains nothing."""
    seen = page.training
    if seen is None:
        return None
    spec = spec_of(page.job.spec)
    is_over = page.job.state in SETTLED
    point = seen.losses[-1] if seen.losses else None
    valid = seen.validations[-1].valid_loss if seen.validations else None
    return TrainingFacts(
        is_sweep=bool(seen.runs),
        step=seen.step,
        steps=spec.steps if spec else None,
        percent=pace.per_cent(seen.step, spec.steps) if spec else 0.0,
        loss=figure(point.loss if point else None),
        valid_loss=figure(valid),
        perplexity=likely(valid),
        best=f"best {figure(seen.best.valid_loss)} at step {seen.best.step:,}" if seen.best else "",
        **rate_of(spec, point, is_over=is_over),
        is_hosted=is_hosted(spec),
        is_over=is_over,
        tokens=point.tokens if point else None,
        seconds_left=seconds_left(page, spec),
        charts=charts_of(seen, spec, is_over=is_over),
        checkpoints=seen.checkpoints,
        model=seen.model,
        lineage=lineage(spec, is_sweep=bool(seen.runs)) if spec else [],
        metrics=metrics_of(seen.model) if seen.model else [],
        runs=[ranked(run) for run in seen.runs],
    )


@lru_cache(maxsize=256)  # a sweep has many, and a spec never changes
def spec_of(spec: str) -> TrainingSpec | None:
    """What a stored `JobSpec` trains; None: this version cannot read it."""
    return training_of(spec)


def is_hosted(spec: TrainingSpec | None) -> bool:
    """Whether a provider trains it."""
    return spec is not None and spec.trainer != "local"


def rate_of(spec: TrainingSpec | None, point: TrainingPoint | None, *, is_over: bool) -> Rate:
    """The learning rate as it was told last; else, of a hosted run, as it was asked for."""
    if point and point.learning_rate is not None:
        return {
            "rate": scientific(point.learning_rate),
            "rate_when": "at the end" if is_over else "now",
        }
    if spec is not None and is_hosted(spec):
        return {"rate": scientific(spec.learning_rate), "rate_when": "asked for"}
    return {"rate": NONE, "rate_when": "none was told" if is_over else "not told yet"}


def charts_of(seen: TrainingPage, spec: TrainingSpec | None, *, is_over: bool) -> Sequence[Chart]:
    """The curves of a run; of a sweep, those of its runs and their scores."""
    empty = "Nothing was told" if is_over else training.NOTHING
    if not seen.runs:
        has_rate = not is_hosted(spec)
        return training.of_run(seen.losses, seen.validations, empty=empty, has_rate=has_rate)
    specs = [(run, spec_of(run.spec)) for run in seen.runs]
    return sweep.of_sweep([(run, spec) for run, spec in specs if spec], empty=empty)


def seconds_left(page: JobPage, spec: TrainingSpec | None) -> float | None:
    """By the pace of the newest points, a pause between them not counted; None: unknown."""
    seen = page.training
    if seen is None or spec is None or page.job.state != JobState.RUNNING:
        return None
    per_step = seconds_per_step([(point.step, point.at) for point in seen.losses[-NEWEST:]])
    return None if per_step is None else max(0, spec.steps - seen.step) * per_step


def ranked(run: SweptRun) -> Ranked:
    """A run as a line of the table."""
    spec = spec_of(run.spec)
    return Ranked(
        id=run.id,
        name=run.name,
        state=run.state,
        rate=scientific(spec.learning_rate) if spec else NONE,
        steps=f"{run.step:,} of {spec.steps:,}" if spec else f"{run.step:,}",
        before=figure(run.loss_before),
        after=figure(run.loss_after),
        perplexity=likely(run.loss_after),
    )


def lineage(spec: TrainingSpec, *, is_sweep: bool) -> list[tuple[str, str]]:
    """Dataset, base, trainer, seed and parameters; of a sweep only what all its runs share."""
    data = spec.dataset
    told = [
        ("Dataset", data.name),
        ("Dataset hash", data.hash[:HASH_LENGTH]),
        ("Rows", f"{data.train_rows:,} to train, {data.validation_rows:,} to validate"),
        ("Base", spec.base),
        ("Trainer", "here" if spec.trainer == "local" else spec.trainer),
    ]
    if is_sweep:
        return told
    told += [("Seed", str(spec.seed)), ("Steps", f"{spec.steps:,}")]
    told += [("Learning rate", scientific(spec.learning_rate))]
    if spec.trainer == "local":
        told += [
            ("Batch", f"{spec.batch_size:,} rows of {spec.seq_len:,} tokens at most"),
            ("LoRA", f"rank {spec.lora_rank}, alpha {spec.lora_alpha}"),
        ]
    told += [("Weight decay", short(spec.weight_decay)), ("Warm-up", f"{spec.warmup_share:.0%}")]
    if spec.patience:
        told += [("Stops early", f"after {spec.patience} validations without a better loss")]
    return told


def metrics_of(model: TunedModel) -> list[tuple[str, str]]:
    """What is known of the model's training, in words."""
    found: Mapping[str, float | None] = orjson.loads(model.metrics)
    before, after = found.get("valid_loss_before"), found.get("valid_loss_after")
    told = [
        ("Validation loss", f"{figure(before)} before, {figure(after)} after"),
        ("Perplexity", f"{likely(before)} before, {likely(after)} after"),
    ]
    if (seconds := found.get("seconds")) is not None:
        told.append(("Trained for", duration(seconds)))
    if (step := found.get("best_step")) is not None:
        told.append(("Kept", f"the adapter of step {step:,.0f}"))
    return told


def figure(value: float | None) -> str:
    """A loss, close enough to rank by; a dash for none, and for what is no number."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{value:.3f}" if abs(value) < LARGE else short(value)


def likely(loss: float | None) -> str:
    """The perplexity of a loss, or a dash."""
    value = perplexity(loss)
    return short(value) if value is not None and math.isfinite(value) else NONE

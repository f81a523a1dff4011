"""`maestrale show` of a training: how far it is and what came of it; of a sweep, how many runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from rich.console import Group, RenderableType
from rich.text import Text

from models.nano import NANO
from models.states import WORKABLE, JobState
from models.store import families
from models.store.views.operations_seen import OperationSeen
from models.tables import Job, TunedModel
from models.training import TrainingSpec
from producers.cli.rendering import (
    facts,
    money_words,
    operation_words,
    showing,
    training_words,
    words,
)
from producers.cli.rendering.training_words import Shown, loss_words
from producers.cli.rendering.words import safe
from producers.client import Maestrale
from producers.training import Training

Rows = list[tuple[str, RenderableType]]
_LOSSES = (("loss", "loss"), ("validation", "valid_loss"))


@dataclass(frozen=True, slots=True)
class Found:
    """A training job with all that its page tells."""

    shown: Shown
    spec: TrainingSpec
    children: list[Job] = field(default_factory=list)
    model: TunedModel | None = None
    reason: str = ""
    """Of the row that failed."""
    operations: Sequence[OperationSeen] = ()
    above: str = "sweep"
    """What the job above it is: a `sweep`, or the `run` of a pipeline."""

    @property
    def job(self) -> Job:
        """The job itself."""
        return self.shown.job

    @property
    def runs(self) -> list[Job]:
        """Those of a sweep, or the job as its only one."""
        return self.children or [self.job]

    def counted(self, *states: JobState) -> int:
        """How many of the runs are in one of the states."""
        return sum(run.state in states for run in self.runs)


def find(
    maestrale: Maestrale, job: Job, spec: TrainingSpec, operations: Sequence[OperationSeen]
) -> Found:
    """Reads what else there is of the job."""
    training = Training(maestrale)
    failed = maestrale.failures(job.id, limit=1)
    return Found(
        shown=Shown(job, training.points(job.id)),
        spec=spec,
        children=training.children(job.id),
        model=training.model_of(job.id),
        reason=str(failed[0]["detail"] or failed[0]["code"]) if failed else "",
        operations=operations,
        above="run" if _is_of_pipeline(maestrale, job) else "sweep",
    )


def _is_of_pipeline(maestrale: Maestrale, job: Job) -> bool:
    with maestrale.store.read() as connection:
        return bool(job.parent_id) and families.is_run(connection, job.parent_id or "")


def page(found: Found, now: float) -> RenderableType:
    """Everything about it, and what to do next. `now`: seconds since the epoch."""
    about = _about(found, now)
    about += _of_sweep(found) if found.children else _of_run(found)
    about.append(("cost", _cost(found)))
    if found.job.budget_nano is not None:
        is_sweep = bool(found.children)
        whole = words.money(found.job.budget_nano)
        about.append(("budget", whole if is_sweep else money_words.budget(found.job)))
    parts: list[RenderableType] = [training_words.headline(found.job), showing.pairs(about)]
    if found.operations:
        block = operation_words.block(found.operations, now)
        parts += [Text(), showing.indented(block)]
    return Group(*parts, Text(), *_next_steps(found))


def _about(found: Found, now: float) -> Rows:
    job, spec = found.job, found.spec
    rows: Rows = [
        ("kind", f"{'sweep' if found.children else job.kind} {safe(job.name)}"),
        ("dataset", safe(job.input_name)),
        ("base", f"{safe(spec.base)} (trainer: {spec.trainer})"),
        ("priority", str(job.priority)),
        ("submitted", words.ago(now - job.created_at)),
    ]
    return rows + ([(found.above, job.parent_id)] if job.parent_id else [])


def _of_sweep(found: Found) -> Rows:
    done = found.counted(JobState.SUCCEEDED)
    failed = found.counted(JobState.FAILED)
    cancelled = found.counted(JobState.CANCELLED)
    left = len(found.runs) - done - failed - cancelled
    text = Text(f"{len(found.runs)}: {done} done, ")
    text.append(f"{failed} failed", style="red" if failed else "")
    text.append(f", {cancelled} cancelled" if cancelled else "")
    text.append(f", {left} open" if left else "")
    return [("runs", text)]


def _of_run(found: Found) -> Rows:
    rows: Rows = [("step", f"{found.shown.step:,} of {found.spec.steps:,}")]
    rows += [(name, _fall(*_losses(found, field))) for name, field in _LOSSES]
    if found.model is not None:
        rows.append(("model", Text(safe(found.model.name), style="bold")))
    return rows


def _losses(found: Found, name: str) -> tuple[float | None, float | None]:
    """Before and last; of the validation, what the registry has of the adapter that was kept."""
    told = [getattr(point, name) for point in found.shown.points]
    known = [value for value in told if value is not None]
    first, last = (known[0], known[-1]) if known else (None, None)
    if name == "valid_loss" and found.model is not None:
        metrics = orjson.loads(found.model.metrics)
        before, after = metrics.get("valid_loss_before"), metrics.get("valid_loss_after")
        return first if before is None else before, last if after is None else after
    return first, last


def _fall(before: float | None, last: float | None) -> str:
    if last is None:
        return "not told yet"
    is_one = before is None or before == last
    return loss_words(last) if is_one else f"{before:.3f} -> {loss_words(last)}"


def cost_nano(runs: Sequence[Job]) -> int | None:
    """Of all of them, in 1e-9 USD; None as soon as one of them is not known."""
    if any(run.calls_unpriced for run in runs):
        return None
    return sum(run.cost_nano for run in runs)


def _cost(found: Found) -> str:
    nano = cost_nano(found.runs)
    if found.spec.trainer == "local":
        return "nothing but your machine's time"
    if nano is None:
        return words.UNKNOWN_COST
    if any(run.calls_made for run in found.runs):
        return words.money(nano)
    planned = facts.estimate_of(found.job)
    usd = planned.cost_usd if planned is not None else None
    return f"none is told yet, planned: {words.estimated_cost(usd)}"


def _next_steps(found: Found) -> list[RenderableType]:
    job = found.job
    if found.children:
        return [showing.hint("Compare its runs:", f"maestrale sweep show {job.id}")]
    if found.model is not None:
        return [training_words.use(found.model)]
    steps: list[RenderableType] = []
    if found.reason and job.state == JobState.FAILED:
        steps.append(showing.warning(safe(found.reason, 1000)))
        steps.append(showing.hint("Try it again:", f"maestrale retry {job.id}"))
    if next_step := showing.what_to_do(job):
        steps.append(next_step)
    if job.state in WORKABLE:
        steps.append(showing.hint("Watch it:", f"maestrale watch {job.id}"))
    return steps


def page_facts(found: Found) -> dict[str, Any]:
    """The page as programs read it; null means unknown."""
    told = facts.job_facts(found.job)
    nano = cost_nano(found.runs)
    told["cost"]["usd"] = None if nano is None else nano / NANO
    told["cost"]["is_whole"] = nano is not None
    told["training"] = {
        "base": found.spec.base,
        "trainer": found.spec.trainer,
        "sweep": found.job.parent_id if found.above == "sweep" else None,
        "run": found.job.parent_id if found.above == "run" else None,
        "reason": found.reason or None,
        "model": found.model.name if found.model else None,
        "runs": [{"job": run.id, "name": run.name, "state": run.state} for run in found.children],
        **({} if found.children else _run_facts(found)),
    }
    return told


def _run_facts(found: Found) -> dict[str, Any]:
    pairs = {field: _losses(found, field) for _name, field in _LOSSES}
    losses = {field: {"first": first, "last": last} for field, (first, last) in pairs.items()}
    return {"step": found.shown.step, "steps": found.spec.steps, **losses}

"""Stages of kind `evaluate`: models put to a suite, and the report of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from models.pipelines.schema import Evaluate
from models.store import jobs
from models.suites import Suite, SuiteKind
from models.tables import Job
from producers.client import Maestrale
from producers.evaluating import Evaluating, Wish
from producers.pipelines import serving
from producers.pipelines.ahead import LATER, Ahead
from producers.pipelines.hand import Hand
from producers.pipelines.outcomes import Expected, Made, Outcome, Submitted, of_plan
from producers.planning import EvaluationPlan
from producers.routing import ViaWish


def begin(hand: Hand) -> Outcome:
    """Has our own models served, and submits the job, once."""
    asked = cast("Evaluate", hand.asked)
    serving.serve(hand, names_of(asked.models))
    with plan(hand) as planned:
        return submit(hand, planned, max_failed=asked.max_failed)


def plan(hand: Hand, *, store_model: str = "") -> EvaluationPlan:
    """Reads the rows and estimates; pays nothing. `store_model`: of a store yet to be made."""
    asked = cast("Evaluate", hand.asked)
    wish = Wish(
        suite=Suite.model_validate(hand.prepared.suite),
        named=hand.prepared.suite_file,
        models=tuple(asked.models),
        data=hand.file(asked.data) if asked.data else hand.prepared.suite_data,
        attempts=asked.attempts,
        judges=texts(asked.judge),
        store=asked.store,
        limit=asked.limit,
        on_duplicate=asked.on_duplicate,
        max_rejected_share=asked.max_rejected,
        via=way_of(hand, asked),
        store_model=store_model,
    )
    return Evaluating(hand.maestrale).plan(wish)


def way_of(hand: Hand, asked: Evaluate) -> ViaWish:
    """As the stage says; the run's own word is for calls that go to the provider."""
    if hand.prepared.suite["kind"] == SuiteKind.PERPLEXITY and "via" not in hand.prepared.asked:
        return "realtime"
    return serving.way_of(hand, asked.via, [*names_of(asked.models), *texts(asked.judge)])


def submit(
    hand: Hand,
    planned: EvaluationPlan,
    *,
    max_failed: float = 0.05,
    part: str = "",
    notes: Mapping[str, Any] | None = None,
) -> Outcome:
    """The job, once; `part`: tells it from other jobs of the stage."""
    # before anything is paid: a full disk loses no job
    hand.keep_rejects(planned.found, f"-{part}" if part else "")
    job = Evaluating(hand.maestrale).submit(
        planned,
        priority=hand.run.priority,
        idempotency_key=hand.key(part),
        again=True,
        max_failed_share=max_failed,
        budget=hand.budget_usd,
        partial=True,
        parent_id=hand.run.id,
    )
    return Submitted(job.id, notes or {})


def collect(hand: Hand, job: Job) -> Outcome:
    """Makes the report, and keeps it with the job."""
    from producers.evaluating import reports  # noqa: PLC0415 # charts are slow to import

    made = reports.make(hand.maestrale, job)
    path = hand.folder / f"{hand.stage.name}.html"
    path.write_text(made.page, "utf-8")
    figures = {
        model: {name: figure.value for name, figure in found.items()}
        for model, found in made.report.figures.items()
    }
    digest = hashlib.sha256(f"{hand.digest}/{job.id}".encode()).hexdigest()
    return Made({"job": job.id, "report": str(path), "figures": figures, "hash": digest})


def expect(hand: Hand, ahead: Ahead) -> Expected:
    """What it will take; figures are for later."""
    asked = cast("Evaluate", hand.asked)
    source = hand.file(asked.data) if asked.data else hand.prepared.suite_data
    with plan(hand, store_model=ahead.stores.get(asked.store or "", "")) as planned:
        told = of_plan(planned, ahead, source or "", asked.limit)
    return replace(told, output={"job": LATER, "report": LATER, "figures": {}, "hash": LATER})


def is_there(maestrale: Maestrale, output: Mapping[str, Any]) -> bool:
    """Whether its job and its report are."""
    with maestrale.store.read() as connection:
        job = jobs.get(connection, output["job"])
    return job is not None and Path(output["report"]).is_file()


def names_of(models: Sequence[str]) -> list[str]:
    """The models without their prompts."""
    return [name.rpartition("@")[0] or name for name in models]


def texts(told: str | Sequence[str] | None) -> tuple[str, ...]:
    """One, several, or none."""
    return () if not told else (told,) if isinstance(told, str) else tuple(told)

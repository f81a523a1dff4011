"""Stages of kind `generate`: a job by a recipe, then its records as a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from models.pipelines.schema import Generate
from models.recipes import Recipe
from models.tables import Job
from producers.client import Maestrale
from producers.pipelines.hand import Hand, content_of
from producers.pipelines.outcomes import Expected, Made, Outcome, Submitted, of_plan
from producers.planning import Plan


def plan(hand: Hand) -> Plan:
    """Reads the rows and estimates; pays nothing."""
    asked = cast("Generate", hand.asked)
    return hand.maestrale.plan(
        hand.file(asked.input),
        Recipe.model_validate(hand.prepared.recipe),
        model=asked.model,
        variables=dict(asked.set) or None,
        limit=hand.limit(asked.limit),
        on_duplicate=asked.on_duplicate,
        max_rejected_share=asked.max_rejected,
        via=hand.via(asked.via),
    )


def begin(hand: Hand) -> Outcome:
    """Submits the job, once."""
    asked = cast("Generate", hand.asked)
    with plan(hand) as planned:
        job = hand.maestrale.submit(
            planned,
            priority=hand.run.priority,
            idempotency_key=hand.key(),
            again=True,
            max_failed_share=asked.max_failed,
            budget=hand.budget_usd,
            partial=True,
            parent_id=hand.run.id,
        )
    return Submitted(job.id)


def collect(hand: Hand, job: Job) -> Outcome:
    """Writes the records, with their provenance beside them."""
    path = hand.folder / f"{hand.stage.name}.jsonl"
    written = hand.maestrale.export(job.id, path, "jsonl", overwrite=True)
    told = {"job": job.id, "records": str(written.path), "count": written.records}
    return Made({**told, "hash": content_of(written.path)})


def expect(hand: Hand) -> Expected:
    """What it will take."""
    with plan(hand) as planned:
        return of_plan(planned)


def is_there(_maestrale: Maestrale, output: Mapping[str, Any]) -> bool:
    """Whether the records are still what they were."""
    path = Path(output["records"])
    return path.is_file() and content_of(path) == output["hash"]

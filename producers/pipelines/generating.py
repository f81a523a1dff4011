"""Stages of kind `generate`: a job by a recipe, then its records as a file."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from models.pipelines.schema import Generate
from models.recipes import Compiled, Recipe, RowProblem
from models.tables import Job
from producers.client import Maestrale
from producers.datasets.shaping import is_short
from producers.pipelines import serving
from producers.pipelines.ahead import LATER, Ahead, spread
from producers.pipelines.hand import Hand, content_of
from producers.pipelines.outcomes import Expected, Made, Outcome, Submitted, of_plan
from producers.planning import Plan


def plan(hand: Hand) -> Plan:
    """Reads the rows and estimates; pays nothing."""
    asked = cast("Generate", hand.asked)
    recipe = Recipe.model_validate(hand.prepared.recipe)
    names = [asked.model] if asked.model else [step.model for step in recipe.steps]
    return hand.maestrale.plan(
        hand.file(asked.input),
        recipe,
        model=asked.model,
        variables=dict(asked.set) or None,
        limit=hand.limit(asked.limit),
        on_duplicate=asked.on_duplicate,
        max_rejected_share=asked.max_rejected,
        via=serving.way_of(hand, asked.via, names),
    )


def begin(hand: Hand) -> Outcome:
    """Has our own models served, and submits the job, once."""
    asked = cast("Generate", hand.asked)
    with plan(hand) as planned:
        hand.keep_rejects(planned.found)  # before anything is paid: a full disk loses no job
        serving.serve(hand, planned.models)
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


def expect(hand: Hand, ahead: Ahead) -> Expected:
    """What it will take; its records have made-up answers."""
    asked = cast("Generate", hand.asked)
    source = hand.file(asked.input)
    with plan(hand) as planned:
        told = of_plan(planned, ahead, source, hand.limit(asked.limit))
        records, rows = _made_up(planned)
    if not records:
        return told
    whole = ahead.whole(source, planned.found.accepted, hand.limit(asked.limit))
    count = whole * len(records) / rows
    path = ahead.put(hand.stage.name, records, count)
    output = {"job": path, "records": path, "count": round(count), "hash": LATER}
    return replace(told, output=output)


def _made_up(planned: Plan) -> tuple[list[dict[str, Any]], int]:
    """Records of some rows, which they carry along as `meta`, and how many rows these are."""
    compiled, records, rows = Compiled(planned.recipe), list[dict[str, Any]](), 0
    for row in spread(planned.found.rows(), planned.found.accepted):
        rows += 1
        kept = {name: value for name, value in row.data.items() if is_short(value)}
        with suppress(RowProblem):  # a made-up answer has not all that a record reads
            for number, record in enumerate(compiled.likely_records(row.data)):
                records.append({"id": f"{row.row_id}#{number}", **record, "meta": kept})
    return records, rows


def is_there(_maestrale: Maestrale, output: Mapping[str, Any]) -> bool:
    """Whether the records are still what they were."""
    path = Path(output["records"])
    return path.is_file() and content_of(path) == output["hash"]

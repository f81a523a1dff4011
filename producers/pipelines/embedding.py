"""Stages of kind `embed`: documents become a store that retrieval searches."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from models.errors import BadInputError
from models.pipelines.schema import Embed
from models.tables import Job
from producers.client import Maestrale
from producers.embedding import Embeddings, Wish, stores
from producers.pipelines.ahead import LATER, Ahead
from producers.pipelines.hand import Hand
from producers.pipelines.outcomes import Expected, Made, Outcome, Submitted, of_plan
from producers.planning import EmbeddingPlan


def plan(hand: Hand) -> EmbeddingPlan:
    """Reads the documents and estimates; pays nothing."""
    asked = cast("Embed", hand.asked)
    wish = Wish(
        source=hand.file(asked.input),
        text=asked.text,
        model=asked.model,
        store=hand.name,
        id_field=asked.id,
        limit=hand.limit(asked.limit),
        on_duplicate=asked.on_duplicate,
        max_rejected_share=asked.max_rejected,
    )
    return Embeddings(hand.maestrale).plan(wish)


def begin(hand: Hand) -> Outcome:
    """Submits the job, once."""
    with plan(hand) as planned:
        hand.keep_rejects(planned.found)  # before anything is paid: a full disk loses no job
        job = Embeddings(hand.maestrale).submit(
            planned,
            priority=hand.run.priority,
            idempotency_key=hand.key(),
            again=True,
            budget=hand.budget_usd,
            partial=True,
            parent_id=hand.run.id,
        )
    return Submitted(job.id)


def collect(hand: Hand, job: Job) -> Outcome:
    """Writes the store, and puts it under its name."""
    made = Embeddings(hand.maestrale).store(job)
    told = {"job": job.id, "store": made.name, "path": made.path, "documents": made.documents}
    return Made({**told, "hash": made.hash})


def expect(hand: Hand, ahead: Ahead) -> Expected:
    """What it will take; its store is known by name and model."""
    asked = cast("Embed", hand.asked)
    source, limit = hand.file(asked.input), hand.limit(asked.limit)
    with plan(hand) as planned:
        told = of_plan(planned, ahead, source, limit)
        whole = round(ahead.whole(source, planned.found.accepted, limit))
    ahead.stores[hand.name] = asked.model
    made = {"job": LATER, "store": hand.name, "path": hand.name, "documents": whole, "hash": LATER}
    return replace(told, output=made)


def is_there(maestrale: Maestrale, output: Mapping[str, Any]) -> bool:
    """Whether the store is still what it was."""
    try:
        found = stores.find(maestrale, output["store"])
    except BadInputError:
        return False
    return found.facts.hash == output["hash"] and Path(output["path"]).is_file()

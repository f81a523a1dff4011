"""Outcomes as rows of a table: what `maestrale export` writes of an evaluation."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.tables import Job
from producers.client import Maestrale

SHAPE: Mapping[str, Any] = {"what": "", "model": ""}
"""The record as far as formats are chosen by it: no conversation."""
PAID = "paid"


def flat(maestrale: Maestrale, job: Job) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(row id, its outcomes) in input order; each outcome says its row, and has what it took
    (calls, tokens, cost) beside the rest."""
    for row_id, records in maestrale.results(job.id):
        yield row_id, [_flat(row_id, record) for record in records]


def _flat(row_id: str, record: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in record.items() if name != PAID}
    return {"row": row_id, **told, **(record.get(PAID) or {})}

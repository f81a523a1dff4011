"""Outcomes as rows of a table: what `maestrale export` writes of an evaluation."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.tables import Job
from producers.client import Maestrale

SHAPE: Mapping[str, Any] = {"what": "", "model": ""}
"""The record as far as formats are chosen by it: no conversation."""
PAID = "paid"
COUNTED = frozenset({"answer", "verdict", "loss"})
"""What a row may become and be of no use by itself: grounds share their answer's problem."""


def flat(maestrale: Maestrale, job: Job) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(row id, its outcomes) in input order; each outcome says its row, and has what it took
    (calls, tokens, cost) beside the rest."""
    for row_id, records in maestrale.results(job.id):
        yield row_id, [_flat(row_id, record) for record in records]


def of_no_use(maestrale: Maestrale, job: Job) -> dict[str, tuple[int, int]]:
    """By what rows became (`answer`, `verdict`, `loss`): how many are of no use, of how many."""
    found: dict[str, tuple[int, int]] = {}
    for _row_id, records in maestrale.results(job.id):
        for record in records:
            what = str(record.get("what"))
            if what in COUNTED:
                useless, all_of_them = found.get(what, (0, 0))
                found[what] = useless + bool(record.get("problem")), all_of_them + 1
    return {what: counts for what, counts in found.items() if counts[0]}


def _flat(row_id: str, record: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in record.items() if name != PAID}
    return {"row": row_id, **told, **(record.get(PAID) or {})}

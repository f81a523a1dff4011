"""Reports of evaluations and pipelines, as they were last made, and what answers are there before.

Nothing here knows what a report says: it is JSON of the producers', and a page that stands alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, or_, select

from models.states import JobKind, JobState, RowState
from models.store import inserts
from models.store.engine import now_s
from models.tables import EvaluationReport, Job, Row, table_of

reports = table_of(EvaluationReport)
jobs = table_of(Job)
rows = table_of(Row)

PATIENCE_S = 15.0
"""For so long whoever watched the job may be making its report."""
RECENT_S = 7 * 86_400.0
"""Jobs that were submitted before are looked at no more, unless somebody asks."""
LOOKED_AT = 200
"""Rows whose answers are counted: a page is looked at again every few seconds."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A report without its page."""

    job_id: str
    made_at: float
    """By the database's clock."""
    report: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What one model did to the rows that were looked at."""

    model: str
    answers: int
    unusable: int


@dataclass(frozen=True, slots=True)
class EvaluationPage:
    """An evaluation's part of its job's page, from the same snapshot as the rest."""

    kept: Kept | None
    answered: Sequence[Answered] = ()
    """By model, while there is no report."""
    looked_at: int = 0
    """Done rows that `answered` counts, the first ones."""


def put(connection: Connection, job_id: str, report: str, page: str) -> None:
    """Keeps the report of a job; the one before it is gone."""
    values = {"made_at": now_s(), "report": report, "page": page}
    inserts.replace(connection, reports, {"job_id": job_id}, values)


def get(connection: Connection, job_id: str) -> Kept | None:
    """The report as it was last made, or None."""
    wanted = (reports.c.job_id, reports.c.made_at, reports.c.report)
    found = connection.execute(select(*wanted).where(reports.c.job_id == job_id)).first()
    return Kept(*found) if found else None


def page(connection: Connection, job_id: str) -> str | None:
    """The page of the report, or None."""
    found = connection.scalar(select(reports.c.page).where(reports.c.job_id == job_id))
    return None if found is None else str(found)


def lacking(connection: Connection, *, since_s: float = PATIENCE_S) -> list[str]:
    """Evaluations that are over for so long and have no report of their end, the newest first.

    Those of a pipeline are left out: its conductor makes them with the stage.
    """
    now = now_s()
    query = (
        select(jobs.c.id)
        .outerjoin(reports, reports.c.job_id == jobs.c.id)
        .where(
            jobs.c.state.in_((JobState.SUCCEEDED, JobState.FAILED)),
            jobs.c.created_at > now - RECENT_S,
            jobs.c.kind == JobKind.EVALUATE,
            jobs.c.parent_id.is_(None),
            jobs.c.rows_done > 0,
            jobs.c.finished_at < now - since_s,
            or_(reports.c.made_at.is_(None), reports.c.made_at < jobs.c.finished_at),
        )
        .order_by(jobs.c.finished_at.desc())
        .limit(20)
    )
    return list(connection.scalars(query))


def read(connection: Connection, job: Job) -> EvaluationPage | None:
    """What the page of the job shows of its report; None: it ends in none.

    A pipeline shows the report it was given, if it was.
    """
    kept = get(connection, job.id)
    if job.kind != JobKind.EVALUATE:
        return EvaluationPage(kept) if kept else None
    if kept is not None:
        return EvaluationPage(kept)
    return answered(connection, job.id)


def answered(connection: Connection, job_id: str) -> EvaluationPage:
    """How many answers are there by model, and how many of no use, in the first done rows."""
    query = (
        select(rows.c.records)
        .where(rows.c.job_id == job_id, rows.c.state == RowState.DONE)
        .order_by(rows.c.seq)
        .limit(LOOKED_AT)
    )
    found = list(connection.scalars(query))
    counts: dict[str, list[int]] = {}
    for records in found:
        for record in orjson.loads(records):
            _count(counts, record)
    told = [Answered(name, *numbers) for name, numbers in counts.items()]
    return EvaluationPage(None, told, len(found))


def _count(counts: dict[str, list[int]], record: dict[str, Any]) -> None:
    """Answers and losses by model, verdicts by judge."""
    name = record.get("model") or record.get("judge")
    if name and record.get("what") != "grounds":
        numbers = counts.setdefault(str(name), [0, 0])
        numbers[0] += 1
        numbers[1] += bool(record.get("problem"))

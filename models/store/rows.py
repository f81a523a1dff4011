"""Rows: insert in bulk, claim what is open, settle in groups, read back in order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, func, insert, select, update

from models.payloads import Failed, RowInHand, RowSettled, Succeeded
from models.states import FailureCode, RowState
from models.store import jobs as job_moves
from models.tables import Row, table_of

rows = table_of(Row)

INSERT_BATCH = 1000
PAGE = 500


def insert_all(connection: Connection, found: Iterable[Mapping[str, Any]]) -> int:
    """Inserts rows (`job_id, seq, row_id, shard_no, data`) in batches; answers how many."""
    total = 0
    batch: list[Mapping[str, Any]] = []
    for row in found:
        batch.append(row)
        if len(batch) == INSERT_BATCH:
            total += _insert(connection, batch)
            batch = []
    return total + _insert(connection, batch)


def _insert(connection: Connection, batch: Sequence[Mapping[str, Any]]) -> int:
    if batch:
        connection.execute(insert(rows), batch)
    return len(batch)


def open_of_shard(connection: Connection, job_id: str, no: int) -> list[RowInHand]:
    """The shard's open rows, in order."""
    query = select(rows.c.seq, rows.c.row_id, rows.c.data, rows.c.deaths, rows.c.attempt).where(
        rows.c.job_id == job_id, rows.c.shard_no == no, rows.c.state == RowState.OPEN
    )  # sorted here: to have them in order SQLite would read all rows of the job
    found = sorted(connection.execute(query), key=attrgetter("seq"))
    return [
        RowInHand(row.seq, row.row_id, orjson.loads(row.data), row.deaths, row.attempt)
        for row in found
    ]


def count_deaths(connection: Connection, job_id: str, no: int) -> None:
    """After a shard's owner died: the rows it had marked as in hand bear the suspicion."""
    connection.execute(
        update(rows)
        .where(
            rows.c.job_id == job_id,
            rows.c.shard_no == no,
            rows.c.in_hand,
            rows.c.state == RowState.OPEN,
        )
        .values(in_hand=False, deaths=rows.c.deaths + 1)
    )


def forgive(connection: Connection, job_id: str) -> None:
    """The job's work went on since its workers died: none of its rows is suspected any more."""
    connection.execute(
        update(rows).where(rows.c.job_id == job_id, rows.c.deaths > 0).values(deaths=0)
    )


def unmark(connection: Connection, job_id: str, no: int) -> None:
    """The shard was handed back in good order: nobody of it is suspected."""
    connection.execute(
        update(rows)
        .where(rows.c.job_id == job_id, rows.c.shard_no == no, rows.c.in_hand)
        .values(in_hand=False)
    )


def mark_in_hand(
    connection: Connection, job_id: str, seqs: Sequence[int], *, in_hand: bool
) -> None:
    """Notes which rows are about to run (or ran), for shards with a death behind them."""
    connection.execute(
        update(rows).where(rows.c.job_id == job_id, rows.c.seq.in_(seqs)).values(in_hand=in_hand)
    )


_SETTLE = (
    update(rows)
    .where(
        rows.c.job_id == bindparam("b_job"),
        rows.c.seq == bindparam("b_seq"),
        rows.c.state == RowState.OPEN,
    )
    .values(
        state=bindparam("b_state"),
        records=bindparam("b_records"),
        provenance=bindparam("b_provenance"),
        failure_code=bindparam("b_code"),
        failure_detail=bindparam("b_detail"),
        in_hand=False,
    )
)


def settle(connection: Connection, settled: Sequence[RowSettled]) -> None:
    """Writes outcomes whose tokens were checked, and moves the jobs' counters by what changed."""
    by_group = sorted(settled, key=_group)
    for (job_id, done), group in groupby(by_group, key=_group):
        members = list(group)
        changed = connection.execute(_SETTLE, [_parameters(row) for row in members]).rowcount
        if not changed:  # a commit whose answer was lost, and is repeated
            continue
        job_moves.count(
            connection,
            job_id,
            {
                "rows_done" if done else "rows_failed": changed,
                "calls_from_ledger": sum(row.from_ledger for row in members),
                "calls_retried": sum(row.retried for row in members),
            },
        )


def _group(row: RowSettled) -> tuple[str, bool]:
    return row.job_id, isinstance(row.outcome, Succeeded)


def _parameters(row: RowSettled) -> dict[str, Any]:
    empty = dict.fromkeys(("b_records", "b_provenance", "b_code", "b_detail"))
    values: dict[str, Any] = {**empty, "b_job": row.job_id, "b_seq": row.seq}
    match row.outcome:
        case Succeeded(records, provenance):
            values["b_state"] = RowState.DONE
            values["b_records"] = orjson.dumps(records).decode()
            values["b_provenance"] = orjson.dumps(provenance).decode()
        case Failed(code, detail):
            values["b_state"] = RowState.FAILED
            values["b_code"] = code
            values["b_detail"] = storable(detail)[:2000]
    return values


def storable(text: str) -> str:
    """`text` without what a database refuses: NUL (PostgreSQL) and lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def results(
    connection: Connection, job_id: str
) -> Iterator[tuple[str, list[dict[str, Any]], dict[str, Any]]]:
    """(row id, records, provenance) of the done rows in input order, a page at a time."""
    for found in _done(connection, job_id, "row_id", "records", "provenance"):
        yield found.row_id, orjson.loads(found.records), orjson.loads(found.provenance)


def with_records(
    connection: Connection, job_id: str
) -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    """(row id, data, records) of the done rows in input order, a page at a time."""
    for found in _done(connection, job_id, "row_id", "data", "records"):
        yield found.row_id, orjson.loads(found.data), orjson.loads(found.records)


def inputs(connection: Connection, job_id: str) -> Iterator[dict[str, Any]]:
    """What the done rows were given, in the order of `results`, a page at a time."""
    for found in _done(connection, job_id, "data"):
        yield orjson.loads(found.data)


def _done(connection: Connection, job_id: str, *columns: str) -> Iterator[Any]:
    """These columns of the done rows in input order, read a page at a time."""
    query = (
        select(rows.c.seq, *(rows.c[column] for column in columns))
        .where(rows.c.job_id == job_id, rows.c.state == RowState.DONE)
        .order_by(rows.c.seq)
        .limit(PAGE)
    )
    after = -1
    while True:
        page = connection.execute(query.where(rows.c.seq > after)).all()
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].seq


def failures(connection: Connection, job_id: str, *, limit: int = 100) -> list[dict[str, Any]]:
    """Failed rows in input order: seq, row_id, code, detail."""
    query = (
        select(rows.c.seq, rows.c.row_id, rows.c.failure_code, rows.c.failure_detail)
        .where(rows.c.job_id == job_id, rows.c.state == RowState.FAILED)
        .order_by(rows.c.seq)
        .limit(limit)
    )
    return [
        {
            "seq": found.seq,
            "row_id": found.row_id,
            "code": FailureCode(found.failure_code),
            "detail": found.failure_detail,
        }
        for found in connection.execute(query)
    ]


def failures_by_code(connection: Connection, job_id: str) -> dict[str, int]:
    """How many rows failed, by name."""
    query = (
        select(rows.c.failure_code, func.count())
        .where(rows.c.job_id == job_id, rows.c.state == RowState.FAILED)
        .group_by(rows.c.failure_code)
        .order_by(func.count().desc())
    )
    return {found[0]: found[1] for found in connection.execute(query)}


def counts(connection: Connection, job_id: str) -> dict[RowState, int]:
    """Rows by state, counted (not from the job's counters): the audit of I1."""
    query = select(rows.c.state, func.count()).where(rows.c.job_id == job_id).group_by(rows.c.state)
    return {RowState(state): count for state, count in connection.execute(query)}

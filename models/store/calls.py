"""The ledger's table: look paid calls up, store new ones once, note the doubtful ones."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, select

from models.payloads import CallRecord, DoubtRecord, Usage
from models.store import inserts, money
from models.store import jobs as job_moves
from models.store.engine import now_s
from models.tables import Call, Doubt, table_of

calls = table_of(Call)
doubts = table_of(Doubt)

REPLAY_BATCH = 500


def find(connection: Connection, keys: Sequence[str]) -> dict[str, CallRecord]:
    """Those of `keys` that are paid, with their answers."""
    query = select(calls).where(calls.c.key.in_(keys))
    return {found.key: _record(found) for found in connection.execute(query)}


def _record(found: Any) -> CallRecord:
    return CallRecord(
        key=found.key,
        endpoint=found.endpoint,
        model=found.model,
        answer=found.answer,
        usage=Usage(found.prompt_tokens, found.completion_tokens, found.cached_tokens),
        cost_nano=found.cost_nano,
        latency_ms=found.latency_ms,
        job_id=found.job_id,
    )


def in_doubt(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Those of `keys` with a perhaps-paid attempt on record."""
    return set(connection.scalars(select(doubts.c.key).where(doubts.c.key.in_(keys))))


def store(connection: Connection, records: Sequence[CallRecord]) -> int:
    """Stores each call once (a second result under a key is dropped) and adds up the jobs' costs.

    Every paid call counts in the job's money, also one whose result was already there.
    Answers how many were new.
    """
    if not records:
        return 0
    # in the order of their keys: two processes that store the same calls must not deadlock
    values = sorted(map(_call_values, records), key=itemgetter("key"))
    statement = inserts.once(connection, calls, ["key"]).values(created_at=now_s())
    new = connection.execute(statement, values)
    for job_id, group in groupby(sorted(records, key=_job), key=_job):
        job_moves.count(connection, job_id, _totals(list(group)))
    money.spend(connection, records)
    return new.rowcount


def replay(connection: Connection, records: Sequence[CallRecord]) -> int:
    """Stores what may be stored already (an orphaned spool, a group whose commit got no answer).

    A record that is there as it stands counts once; another answer under its key was paid too.
    """
    new = 0
    for at in range(0, len(records), REPLAY_BATCH):
        batch = records[at : at + REPLAY_BATCH]
        there = find(connection, [record.key for record in batch])
        new += store(connection, [r for r in batch if there.get(r.key) != r])
    return new


def doubt(connection: Connection, records: Sequence[DoubtRecord]) -> None:
    """Notes perhaps-paid calls, each once by its nonce."""
    for record in records:
        values = {name: getattr(record, name) for name in DoubtRecord.__slots__}
        statement = inserts.once(connection, doubts, ["nonce"])
        if connection.execute(statement.values(**values, created_at=now_s())).rowcount > 0:
            job_moves.count(connection, record.job_id, {"calls_doubtful": 1})


def _job(record: CallRecord) -> str:
    return record.job_id


def _totals(records: Sequence[CallRecord]) -> dict[str, int]:
    return {
        "calls_made": len(records),
        "calls_unpriced": sum(record.cost_nano is None for record in records),
        "prompt_tokens": sum(record.usage.prompt_tokens for record in records),
        "completion_tokens": sum(record.usage.completion_tokens for record in records),
        "cached_tokens": sum(record.usage.cached_tokens for record in records),
        "cost_nano": sum(record.cost_nano or 0 for record in records),
    }


def _call_values(record: CallRecord) -> dict[str, Any]:
    return {
        "key": record.key,
        "endpoint": record.endpoint,
        "model": record.model,
        "answer": record.answer,
        "prompt_tokens": record.usage.prompt_tokens,
        "completion_tokens": record.usage.completion_tokens,
        "cached_tokens": record.usage.cached_tokens,
        "cost_nano": record.cost_nano,
        "latency_ms": record.latency_ms,
        "job_id": record.job_id,
    }

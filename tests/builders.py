"""Builders: valid things until a test says otherwise, a clock that is told the time, waiting."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

from sqlalchemy import insert, update

from models.payloads import (
    CallRecord,
    DoubtRecord,
    Failed,
    JobSpec,
    RowSettled,
    Succeeded,
    Usage,
)
from models.states import FailureCode, JobKind, JobState, RemoteState, RowState
from models.store import jobs, rows, shards
from models.store.engine import Store
from models.tables import Job, LimiterSeen, RemoteOperation

_numbers = count(1)


class FakeClock:
    """Seconds that pass only when told; stands in for `time.monotonic` and `time.time`."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def eventually(predicate: Callable[[], Any], description: str, *, within_s: float = 30.0) -> Any:
    """The first true answer of `predicate`, polled at a process's border; else a failed test."""
    deadline = time.monotonic() + within_s
    while not (answer := predicate()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {description}"
        time.sleep(0.02)
    return answer


async def eventually_on_loop(
    predicate: Callable[[], Any], description: str, *, within_s: float = 30.0
) -> Any:
    """`eventually` for a test whose subject runs on the same event loop."""
    deadline = time.monotonic() + within_s
    while not (answer := predicate()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {description}"
        await asyncio.sleep(0.005)
    return answer


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """The answers of `calls`, made by one thread each that start together."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def a_key(text: object = None) -> str:
    """A call key: 64 hex characters, the same for the same text."""
    return hashlib.sha256(str(next(_numbers) if text is None else text).encode()).hexdigest()


def a_job(**changes: Any) -> Job:
    """A job that is in no database yet."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "id": f"job_{number:08d}",
        "kind": JobKind.GENERATE,
        "name": "test",
        "spec": JobSpec().model_dump_json(),
        "fingerprint": hashlib.sha256(str(number).encode()).hexdigest(),
        "created_at": 0.0,
    }
    return Job(**{**values, **changes})


def a_stored_job(
    store: Store, *, rows_count: int = 4, shard_size: int = 2, state: str = "queued", **changes: Any
) -> str:
    """The id of a job committed with its rows `r0`, `r1` ... and shards, put into `state`."""
    bounds = bounds_of(rows_count, shard_size)
    job = a_job(rows_total=rows_count, shards_total=len(bounds), **changes)
    with store.write() as connection:
        jobs.create(connection, job)
        rows.insert_all(connection, some_rows(job.id, rows_count, shard_size))
        shards.create(connection, job.id, bounds)
        if state != JobState.QUEUED:  # tests alone may bypass the moves
            statement = update(jobs.jobs).where(jobs.jobs.c.id == job.id)
            connection.execute(statement.values(state=JobState(state)))
    return job.id


def a_stored_operation(store: Store, job_id: str, **changes: Any) -> str:
    """The id of a batch of a job, committed as it is: tests alone may bypass the moves."""
    values: dict[str, Any] = {
        "id": f"op_{next(_numbers):08d}",
        "job_id": job_id,
        "kind": "batch",
        "endpoint": "chat",
        "model": "mistral-small-latest",
        "state": RemoteState.RUNNING,
        "next_check_at": 1.0,
        "created_at": 1.0,
    }
    operation = RemoteOperation(**{**values, **changes})
    with store.write() as connection:
        connection.execute(insert(RemoteOperation.__table__), [operation.model_dump()])  # type: ignore[attr-defined]
    return operation.id


def bounds_of(rows_count: int, shard_size: int) -> list[tuple[int, int]]:
    """First and last row of each shard."""
    firsts = range(0, rows_count, shard_size)
    return [(first, min(first + shard_size, rows_count) - 1) for first in firsts]


def some_rows(job_id: str, rows_count: int, shard_size: int) -> list[dict[str, Any]]:
    """Rows as `rows.insert_all` takes them."""
    return [
        {
            "job_id": job_id,
            "seq": seq,
            "row_id": f"r{seq}",
            "shard_no": seq // shard_size,
            "data": f'{{"id":"r{seq}"}}',
        }
        for seq in range(rows_count)
    ]


def a_call(key: str | None = None, **changes: Any) -> CallRecord:
    """A paid call of 10 + 5 tokens (4 cached) for 1000 nano-USD."""
    values: dict[str, Any] = {
        "key": key or a_key(),
        "endpoint": "chat",
        "model": "mistral-small-latest",
        "answer": '{"content":"an answer"}',
        "usage": Usage(10, 5, 4),
        "cost_nano": 1000,
        "latency_ms": 120,
        "job_id": "job_x",
    }
    return CallRecord(**{**values, **changes})


def a_doubt(key: str | None = None, **changes: Any) -> DoubtRecord:
    """A call that may have been paid."""
    values: dict[str, Any] = {
        "key": key or a_key(),
        "job_id": "job_x",
        "model": "mistral-small-latest",
        "reason": "crash",
        "cost_nano": 500,
        "nonce": f"{next(_numbers):016x}",
    }
    return DoubtRecord(**{**values, **changes})


def done(held: shards.Held, seq: int, **changes: Any) -> RowSettled:
    """A row that succeeded under the lease `held`."""
    outcome = Succeeded([{"text": f"record {seq}"}], {"seq": seq})
    return RowSettled(*held, seq, **{"outcome": outcome, **changes})


def failed(held: shards.Held, seq: int, code: FailureCode = FailureCode.REFUSED) -> RowSettled:
    """A row that failed under the lease `held`."""
    return RowSettled(*held, seq, Failed(code, f"row {seq} failed"))


def claimed(store: Store, job_id: str, no: int = 0, *, lease_s: float = 60.0) -> shards.Held:
    """A shard leased to `tester`; a negative lease has run out already."""
    with store.write() as connection:
        claim = shards.claim(connection, job_id, no, owner="tester", lease_s=lease_s)
    assert claim is not None
    return (claim.job_id, claim.no, claim.token)


def settled(store: Store, held: shards.Held, outcomes: Sequence[RowSettled]) -> bool:
    """Settles rows, then their shard; whether the shard could be settled."""
    with store.write() as connection:
        rows.settle(connection, outcomes)
        return shards.settle(connection, held)


def a_limiter(now: float, **changes: Any) -> LimiterSeen:
    """What a worker told at `now` of a model of which 20 calls a second are allowed."""
    usual: dict[str, Any] = {
        "worker": "w1",
        "model": "mistral-small-latest",
        "account": "0123456789ab",
        "requests_per_minute": 1200.0,
        "source": "told",
        "rate_per_s": 20.0,
        "seen_at": now,
    }
    return LimiterSeen(**usual | changes)


def the_job(store: Store, job_id: str) -> Job:
    """The job as it stands in the database."""
    with store.read() as connection:
        found = jobs.get(connection, job_id)
    assert found is not None
    return found


def assert_all_rows_accounted_for(store: Store, job_id: str) -> None:
    """I1: the job's counters are what counting its rows gives, and nothing is missing."""
    with store.read() as connection:
        counted = rows.counts(connection, job_id)
        job = jobs.get(connection, job_id)
    assert job is not None
    assert job.rows_done == counted.get(RowState.DONE, 0)
    assert job.rows_failed == counted.get(RowState.FAILED, 0)
    assert sum(counted.values()) == job.rows_total


def a_submission(**changes: Any) -> Any:
    """A wish for a job with a recipe of one step."""
    from models.payloads import Estimate, JobSpec, Options  # noqa: PLC0415 # only producers' tests pay
    from models.recipes import parse_recipe  # noqa: PLC0415 # for the imports
    from producers.submitting import Submission  # noqa: PLC0415

    step = {"name": "answer", "model": "mistral-small-latest", "prompt": "Read: {{ row.text }}"}
    record = {"answer": "{{ answer }}"}
    recipe = {"name": "test", "steps": [step], "output": {"record": record}}
    nothing: dict[str, Any] = dict.fromkeys(("cost_usd", "seconds"))
    counts = dict.fromkeys(("rows", "calls", "prompt_tokens", "completion_tokens"), 1)
    asked = changes.pop("recipe", None) or parse_recipe(recipe, "test.toml")
    options = changes.pop("options", Options())
    values: dict[str, Any] = {
        "kind": JobKind.GENERATE,
        "name": asked.name,
        "spec": JobSpec(recipe=asked.model_dump(mode="json"), options=options),
        "content_hash": asked.hash,
        "estimate": Estimate(**counts, **nothing),
    }
    return Submission(**{**values, **changes})

"""From planned runs to committed jobs: one job, or a sweep's parent with its runs, at once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection

from models.errors import BadInputError, DuplicateJobError
from models.payloads import Estimate, JobSpec
from models.states import JobKind
from models.store import jobs, joining, registry, rows, shards
from models.store.engine import Store, one_at_a_time
from models.tables import Job
from models.training import TrainingSpec
from models.training.plan import Plan, Planned
from producers.ids import new_id
from producers.submitting import create
from producers.webhooks import Hook

MOST_NAMES = 999


@dataclass(frozen=True, slots=True)
class Submission:
    """How the job is to be treated, whatever it trains."""

    priority: int = 5
    again: bool = False
    """Train although the same was trained before, under another name."""
    idempotency_key: str | None = None
    webhooks: tuple[Hook, ...] = ()
    budget_nano: int | None = None
    parent_id: str | None = None
    """The pipeline's run that it is a stage of."""


def submit(
    store: Store, runs: Sequence[Planned], how: Submission, *, sweep: str
) -> tuple[Job, list[str]]:
    """Commits it; answers the job (`sweep`, a name: the parent of the runs) and its children's ids.

    The idempotency key's own job is answered as it stands. Raises `DuplicateJobError` when the
    same was submitted before, `BadInputError` when the registry has a name already.
    """
    found = fingerprint([run.spec for run in runs])
    with store.write() as connection:
        one_at_a_time(connection, how.idempotency_key or found)
        if known := _known(connection, how, found):
            return known, []
        specs = _named(connection, [run.spec for run in runs], sweep, how)
        plans = [run.plan for run in runs]
        if not sweep:
            job = _job(
                specs[0],
                plans[0],
                how,
                found,
                key=how.idempotency_key,
                parent=how.parent_id,
            )
            _commit_run(connection, job, how)
            children = []
        else:
            job = _parent(specs, plans, how, found, sweep)
            create(connection, job, how.webhooks)
            share = replace(how, budget_nano=how.budget_nano and how.budget_nano // len(specs))
            children = [
                _job(spec, one, share, fingerprint([spec]), parent=job.id)
                for spec, one in zip(specs, plans, strict=True)
            ]
            for child in children:
                _commit_run(connection, child, how)
        joining.stay_below(connection, job.id, how.parent_id)
        created = jobs.get(connection, job.id)
    assert created is not None
    return created, [child.id for child in children]


def fingerprint(specs: Sequence[TrainingSpec]) -> str:
    """The same dataset (wherever it lies) and choices give the same 64 hex characters."""
    asked = [_told(spec) for spec in specs]
    return hashlib.sha256(orjson.dumps(["train", asked])).hexdigest()


def _told(spec: TrainingSpec) -> dict[str, Any]:
    told = spec.model_dump(exclude={"dataset"})
    return {**told, "dataset": spec.dataset.hash}


def _known(connection: Connection, how: Submission, found: str) -> Job | None:
    if how.idempotency_key:
        known = jobs.by_idempotency_key(connection, how.idempotency_key)
        if known is not None and known.fingerprint != found:
            raise DuplicateJobError(
                f"the idempotency key {how.idempotency_key!r} belongs to {known.id}, which was "
                "submitted with another dataset or other choices: use another key"
            )
        return known
    known = jobs.by_fingerprint(connection, found)
    if known is not None and not how.again:
        raise DuplicateJobError(
            f"this was submitted before: job {known.id} exists ({known.state}). See it with "
            f"`maestrale show {known.id}`, or train once more with --again (on this machine also "
            "with another --seed)"
        )
    return None


def _named(
    connection: Connection, specs: Sequence[TrainingSpec], sweep: str, how: Submission
) -> list[TrainingSpec]:
    """The specs, renamed by `--again` where the registry has a name already."""
    taken = [spec.name for spec in specs if registry.by_name(connection, spec.name)]
    if not taken:
        return list(specs)
    if not how.again:
        raise BadInputError(f"the registry has a model {taken[0]!r} already: choose another --name")
    for number in range(2, MOST_NAMES):
        renamed = [spec.model_copy(update={"name": _again(spec.name, number)}) for spec in specs]
        if not any(registry.by_name(connection, spec.name) for spec in renamed):
            return renamed
    raise BadInputError(f"the registry has too many models like {taken[0]!r}: choose --name")


def _again(name: str, number: int) -> str:
    return f"{name[:58]}.{number}"


def _commit_run(connection: Connection, job: Job, how: Submission) -> None:
    """The job with its one row, whose data is the spec, and its one shard."""
    create(connection, job, how.webhooks)
    row = {"job_id": job.id, "seq": 0, "row_id": job.name, "shard_no": 0}
    training = orjson.loads(job.spec)["training"]
    rows.insert_all(connection, [{**row, "data": orjson.dumps(training).decode()}])
    shards.create(connection, job.id, [(0, 0)])


def _parent(
    specs: Sequence[TrainingSpec], plans: Sequence[Plan], how: Submission, found: str, name: str
) -> Job:
    """A sweep: it has no rows of its own, and settles with the last of its runs."""
    first = specs[0].model_copy(update={"name": name})
    key, parent = how.idempotency_key, how.parent_id
    job = _job(first, plans[0], how, found, key=key, parent=parent)
    count = len(specs)
    job.rows_total = job.shards_total = count
    job.max_failed_share = (count - 1) / count  # one model is enough to have learnt something
    job.estimate = _estimate(plans)
    return job


def _job(
    spec: TrainingSpec,
    told: Plan,
    how: Submission,
    found: str,
    *,
    key: str | None = None,
    parent: str | None = None,
) -> Job:
    return Job(
        id=new_id("job"),
        kind=JobKind.TRAIN,
        name=spec.name,
        priority=how.priority,
        spec=JobSpec(training=spec).model_dump_json(),
        estimate=_estimate([told]),
        fingerprint=found,
        idempotency_key=key or None,
        parent_id=parent,
        input_name=spec.dataset.name,
        budget_nano=how.budget_nano,
        rows_total=1,
        shards_total=1,
        created_at=0.0,
    )


def _estimate(plans: Sequence[Plan]) -> str:
    costs = [told.cost_usd for told in plans]
    times = [told.seconds for told in plans]
    return Estimate(
        rows=len(plans),
        calls=0,
        prompt_tokens=sum(told.tokens or 0 for told in plans),
        completion_tokens=0,
        cost_usd=None if None in costs else sum(cost or 0.0 for cost in costs),
        seconds=None if None in times else sum(time or 0.0 for time in times),
    ).model_dump_json()

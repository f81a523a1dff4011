"""What `--json` prints: jobs, estimates and the rest as plain data. Pure."""

from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from models.nano import NANO
from models.payloads import Estimate, JobSpec, Options, models_asked
from models.states import JobKind
from models.tables import Job
from models.words import is_unknown_cost
from producers.readers import ReadResult


def job_facts(job: Job) -> dict[str, Any]:
    """A job as programs read it. `cost.usd` is null if no paid call has a known price."""
    options = options_of(job)
    priced = not is_unknown_cost(calls=job.calls_made, unpriced=job.calls_unpriced)
    return {
        "id": job.id,
        "kind": job.kind,
        "name": job.name,
        "state": job.state,
        "reason": job.state_reason,
        "input": job.input_name,
        "priority": job.priority,
        "via": options.via if options else None,
        "rows": {
            "total": job.rows_total,
            "done": job.rows_done,
            "failed": job.rows_failed,
            "rejected": job.rows_rejected,
        },
        "calls": {
            "paid": job.calls_made,
            "from_ledger": job.calls_from_ledger,
            "retried": job.calls_retried,
            "doubtful": job.calls_doubtful,
        },
        "tokens": {
            "prompt": job.prompt_tokens,
            "completion": job.completion_tokens,
            "cached": job.cached_tokens,
        },
        "cost": {
            "usd": job.cost_nano / NANO if priced else None,
            "is_whole": not job.calls_unpriced,
            "budget_usd": None if job.budget_nano is None else job.budget_nano / NANO,
        },
        "created_at": moment(job.created_at),
        "started_at": moment(job.started_at),
        "finished_at": moment(job.finished_at),
        "seconds": seconds_of(job),
    }


def estimate_facts(estimate: Estimate) -> dict[str, Any]:
    """An estimate as programs read it; null means unknown."""
    return estimate.model_dump()


def moment(at: float | None) -> str | None:
    """ISO 8601 in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def seconds_of(job: Job) -> float | None:
    """How long a finished job ran, from its first claimed shard to its last settled row."""
    if job.started_at is None or job.finished_at is None:
        return None
    return max(0.0, round(job.finished_at - job.started_at, 3))


def models_of(job: Job) -> list[str]:
    """The models that the job's recipe asks, in order of its steps."""
    return models_asked(job.spec)


def paced_by(job: Job) -> list[str]:
    """The models whose limit of requests its calls count against, one by one: none where texts
    travel together."""
    return [] if job.kind == JobKind.EMBED else models_of(job)


def options_of(job: Job) -> Options | None:
    """How the job's calls are made; None if its spec cannot be read by this version."""
    try:
        return JobSpec.model_validate_json(job.spec).options
    except ValidationError:
        return None


def estimate_of(job: Job) -> Estimate | None:
    """The estimate the job was submitted with."""
    return Estimate.model_validate_json(job.estimate) if job.estimate != "{}" else None


def input_facts(found: ReadResult) -> dict[str, Any]:
    """What became of the input's rows."""
    return {
        "name": found.name,
        "format": found.format,
        "accepted": found.accepted,
        "rejected": found.rejected,
        "rejected_by_code": dict(found.codes),
        "without_id": found.generated_ids,
        "sha256": found.fingerprint,
    }

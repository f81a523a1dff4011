"""What was run, in pairs of words, and the command that does it again."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from models.suites import Evaluation
from models.tables import Job
from models.words import cost
from producers.evaluating.figures.libraries import versions
from producers.evaluating.figures.resampling import DRAWS


@dataclass(frozen=True, slots=True)
class Facts:
    """What evaluation and job do not tell. All may be left out.

    `suite`, `data`, `store`: as they were named on the command line, for the command that repeats
    it; no `data`: the suite's own rows. `failures`: rows that failed, by `FailureCode`. `models`:
    words about a model (a registered one's base, dataset and job). `server`: who answered for the
    API, if on the machine of whoever asked.
    """

    suite: str = ""
    data: str = ""
    store: str = ""
    limit: int | None = None
    server: str = ""
    via: str = "realtime"
    failures: Mapping[str, int] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)


def told(evaluation: Evaluation, job: Job, more: Facts) -> list[tuple[str, str]]:
    """Everything that one needs to know of a figure to trust it, or to make it again."""
    suite = evaluation.suite
    facts = [
        ("Suite", suite.name),
        ("Suite's hash", suite.hash),
        ("Kind", suite.kind.value),
        ("Data", more.data or job.input_name),
        ("Fingerprint of data, suite and options", job.fingerprint),
        ("Rows", _rows(job)),
        *(("Model", _model(one.label, one.model, more)) for one in evaluation.contestants),
        *(("Judge", _model(judge, judge, more)) for judge in evaluation.judges),
        ("Attempts at each row", str(evaluation.attempts)),
        ("Seed", str(suite.seed)),
        ("Intervals", f"95%; bootstrap: {DRAWS:,} draws of whole rows"),
        ("Job", job.id),
        ("Calls", f"{job.calls_made:,} made, {job.calls_from_ledger:,} from the ledger"),
        ("Cost of the job", cost(job.cost_nano, calls=job.calls_made, unpriced=job.calls_unpriced)),
        *_times(job),
        *versions(),
    ]
    if evaluation.store:
        facts.insert(5, ("Embedded store", f"{evaluation.store} {evaluation.store_hash}".strip()))
    return facts


def where(more: Facts) -> list[str]:
    """A caution where it was not the provider who answered."""
    if not more.server:
        return []
    return [
        f"answers came from a server on this machine ({more.server}), not from the provider: if "
        "that was the simulator, they are made up, and the figures say nothing about the models"
    ]


def repeat(evaluation: Evaluation, more: Facts) -> str:
    """The command that repeats the evaluation: free where nothing changed."""
    words = ["maestrale", "evaluate", more.suite or evaluation.suite.name]
    if evaluation.contestants:
        words += ["--models", ",".join(one.label for one in evaluation.contestants)]
    if more.data:
        words += ["--data", more.data]
    words += ["--attempts", str(evaluation.attempts)]
    for judge in evaluation.judges:
        words += ["--judge", judge]
    if evaluation.store:
        words += ["--store", more.store or evaluation.store]
    if more.limit is not None:
        words += ["--limit", str(more.limit)]
    if more.via != "realtime":
        words += ["--via", more.via]
    return shlex.join(words)


def _rows(job: Job) -> str:
    said = f"{job.rows_done:,} done of {job.rows_total:,}, {job.rows_failed:,} failed"
    return f"{said}, {job.rows_rejected:,} rejected" if job.rows_rejected else said


def _model(label: str, model: str, more: Facts) -> str:
    words = more.models.get(label) or more.models.get(model)
    return f"{label}: {words}" if words else label


def _times(job: Job) -> list[tuple[str, str]]:
    known = (("Started", job.started_at), ("Finished", job.finished_at))
    return [
        (name, f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC")
        for name, at in known
        if at is not None
    ]

"""Commands that steer a job: retry, pause, resume, cancel."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from models.states import JobKind
from producers.cli.options import AsJson, JobId

if TYPE_CHECKING:
    from models.tables import Job
    from producers.client import Maestrale


def retry(job_id: JobId, as_json: AsJson = False) -> None:
    """Try the failed rows of a finished job again, and only those; of a run its lost stages."""
    from producers.cli.opening import client
    from producers.cli.rendering import facts, showing
    from producers.cli.rendering.words import counted
    from producers.cli.voice import Voice

    with client() as maestrale:
        _check_trainer(maestrale, maestrale.get(job_id))
        count = maestrale.retry(job_id)
        job = maestrale.get(job_id)
    what = "lost stage" if job.kind == JobKind.PIPELINE else "failed row"
    nothing = showing.hint(f"{job.id} has no {what}s: nothing to retry.")
    opened = showing.moved(job, f"{counted(count, what)} will be tried again")
    voice = Voice(as_json=as_json)
    voice.facts({**facts.job_facts(job), "rows_reopened": count}, opened if count else nothing)
    if count:
        voice.say(showing.hint("Watch it:", f"maestrale watch {job.id}"))


def pause(job_id: JobId, as_json: AsJson = False) -> None:
    """Let no new row of a job start; calls in flight finish."""
    _move(job_id, "pause", as_json=as_json)


def resume(
    job_id: JobId,
    budget: Annotated[
        str | None,
        typer.Option(metavar="5USD|5EUR", help="Its budget from now on.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let a paused job go on, with a larger budget if its own is spent."""
    from producers.cli.opening import client
    from producers.cli.rendering import facts, showing
    from producers.cli.runs.following import OTHER_ACCOUNT
    from producers.cli.voice import Voice
    from producers.services import Services

    with client() as maestrale:
        job = maestrale.get(job_id)
        if budget is not None and job.kind == JobKind.PIPELINE:
            from producers.pipelines import Runs

            Runs(maestrale).check_budget(job)
        _check_trainer(maestrale, job)
        job = maestrale.resume(job_id, budget=budget)
        strangers = not Services(maestrale.settings).serves_us
    voice = Voice(as_json=as_json)
    voice.facts(facts.job_facts(job), showing.moved(job, "it goes on"))
    voice.say(showing.hint("Watch it:", f"maestrale watch {job.id}"))
    if strangers:  # what was paused for its key will be paused for it again
        voice.say(showing.warning(OTHER_ACCOUNT))


def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Give a job up for good. What it paid for stays in the ledger."""
    _move(job_id, "cancel", as_json=as_json)


def _check_trainer(maestrale: "Maestrale", job: "Job") -> None:
    """A run is not opened again to wait without end."""
    if job.kind == JobKind.PIPELINE:
        from producers.pipelines import Runs

        Runs(maestrale).check_trainer(job)


def _meaning(job: "Job", move: Literal["pause", "cancel"]) -> str:
    from producers.training import spec_of_job

    spec = spec_of_job(job) if job.kind == JobKind.TRAIN else None
    if move == "cancel":
        is_local = spec is not None and spec.trainer == "local"
        return "it stops" if is_local else "what it paid for stays in the ledger"
    go_on = f"`maestrale resume {job.id}` lets it go on"
    if spec is None:
        return f"no new row starts; calls in flight finish; {go_on}"
    if spec.trainer == "local":
        return f"it ends its step and stops at a checkpoint; {go_on} from there"
    return f"what the provider has begun trains on over there; {go_on} here"


def _move(job_id: str, move: Literal["pause", "cancel"], *, as_json: bool) -> None:
    from producers.cli.opening import client
    from producers.cli.rendering import facts, showing
    from producers.cli.voice import Voice

    with client() as maestrale:
        job = getattr(maestrale, move)(job_id)
    Voice(as_json=as_json).facts(facts.job_facts(job), showing.moved(job, _meaning(job, move)))

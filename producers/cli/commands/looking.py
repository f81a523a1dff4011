"""Commands that look: jobs, show, watch, failures, export, recipes."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.bounds import MOST_COUNT
from models.states import SETTLED, JobKind, JobState
from producers.cli.options import AsJson, Form, JobId, Newest, Out, Overwrite

if TYPE_CHECKING:
    from rich.console import RenderableType

    from models.store.views.operations_seen import OperationSeen
    from models.tables import Job
    from producers.client import Maestrale

    Told = tuple[dict[str, Any], RenderableType]
    Codes = dict[str, int]
    """How many rows failed, by reason."""
    Operations = list[OperationSeen]


def jobs(
    limit: Newest = 20,
    state: Annotated[
        JobState | None, typer.Option(help="Only those in this state.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs."""
    from producers.cli.opening import client
    from producers.cli.rendering import facts, showing
    from producers.cli.voice import Voice
    from producers.sweeps import with_runs

    with client() as maestrale:
        found = with_runs(maestrale, maestrale.jobs(limit=limit, state=state))
        out = maestrale.operations_out([job.id for job in found])
        now = maestrale.store.now()
    empty = showing.hint("There are no jobs yet:", "maestrale generate FILE --recipe NAME")
    words = showing.jobs(found, now, out) if found else empty
    told = [{**facts.job_facts(job), "operations_out": out.get(job.id, 0)} for job in found]
    Voice(as_json=as_json).facts(told, words)


def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job: state, rows, calls, tokens, cost, remote work, failures by reason."""
    from producers.cli.opening import client
    from producers.cli.rendering.operation_words import operation_facts
    from producers.cli.voice import Voice

    with client() as maestrale:
        job = maestrale.get(job_id)
        seen = maestrale.failures_by_code(job.id), maestrale.operations(job.id)
        told, words = _PAGES.get(job.kind, _rows)(maestrale, job, *seen)
    codes, operations = seen
    remote = [operation_facts(operation) for operation in operations]
    Voice(as_json=as_json).facts({**told, "failures": codes, "operations": remote}, words)


def _rows(maestrale: "Maestrale", job: "Job", codes: "Codes", operations: "Operations") -> "Told":
    from producers.cli.rendering import facts, showing

    limit = showing.limited(facts.paced_by(job), maestrale.limits())
    now = maestrale.store.now()
    return facts.job_facts(job), showing.job_page(job, limit, codes, now, operations)


def _run(maestrale: "Maestrale", job: "Job", _codes: "Codes", _operations: "Operations") -> "Told":
    from producers.cli.rendering import stage_words
    from producers.cli.runs import pipelines
    from producers.pipelines import Runs
    from producers.pipelines.collecting import report_of

    seen, now = Runs(maestrale).stages(job.id), maestrale.store.now()
    page = report_of(maestrale.settings, job.id)
    return pipelines.run_facts(maestrale, job), stage_words.run_page(job, seen, now, page)


def _training(
    maestrale: "Maestrale", job: "Job", codes: "Codes", operations: "Operations"
) -> "Told":
    from producers.cli.rendering import training_pages
    from producers.training import spec_of_job

    spec = spec_of_job(job)
    if spec is None:
        return _rows(maestrale, job, codes, operations)
    found = training_pages.find(maestrale, job, spec, operations)
    return training_pages.page_facts(found), training_pages.page(found, maestrale.store.now())


def _evaluation(
    maestrale: "Maestrale", job: "Job", _codes: "Codes", _operations: "Operations"
) -> "Told":
    from producers.cli.runs import reporting

    return reporting.page(maestrale, job)


_PAGES: "Mapping[str, Callable[[Maestrale, Job, Codes, Operations], Told]]" = {
    JobKind.TRAIN: _training,
    JobKind.EVALUATE: _evaluation,
    JobKind.PIPELINE: _run,
}


def watch(job_id: JobId, as_json: AsJson = False) -> None:
    """Watch a job to its end. Exit code 3 if it fails, is cancelled or stands paused."""
    from producers.cli.opening import client
    from producers.cli.rendering import facts, showing
    from producers.cli.runs.ending import exit_code, report
    from producers.cli.runs.following import explaining_interrupts, follow
    from producers.cli.voice import Voice

    voice = Voice(as_json=as_json)
    with client() as maestrale:
        job = maestrale.get(job_id)
        if job.kind == JobKind.PIPELINE:
            from producers.cli.runs import pipelines

            job = pipelines.see(maestrale, job, voice)
            if as_json:
                voice.facts(pipelines.run_facts(maestrale, job))
            raise typer.Exit(exit_code(job))
        if job.kind == JobKind.TRAIN:
            from producers.cli.runs import training

            job, code = training.watch(maestrale, job, voice)
            if as_json:
                voice.facts(facts.job_facts(job))
            raise typer.Exit(code)
        with explaining_interrupts(job, voice):
            job, limit = follow(maestrale, job, voice)
        report(maestrale, job, limit, voice)
        told: dict[str, Any] = {}
        if job.kind == JobKind.EVALUATE and job.rows_done and job.state in SETTLED:
            from producers.cli.runs import reporting

            told = reporting.end_of_watch(maestrale, job, voice)
    if job.rows_done and job.kind == JobKind.EMBED:
        voice.say(showing.hint("Write its store:", f"maestrale export {job.id}"))
    elif job.rows_done and job.kind != JobKind.EVALUATE:
        voice.say(showing.hint("Write its records:", f"maestrale export {job.id} --out FILE"))
    if as_json:
        voice.facts({**facts.job_facts(job), **told})
    raise typer.Exit(exit_code(job))


def failures(
    job_id: JobId,
    limit: Annotated[
        int, typer.Option(min=1, max=MOST_COUNT, metavar="N", help="How many rows to list.")
    ] = 100,
    as_json: AsJson = False,
) -> None:
    """List the failed rows of a job with their reasons."""
    from producers.cli.opening import client
    from producers.cli.rendering import showing
    from producers.cli.voice import Voice

    with client() as maestrale:
        job = maestrale.get(job_id)
        found = maestrale.failures(job.id, limit=limit)
        words = showing.failures_page(job, found)
        if job.kind == JobKind.EVALUATE:
            from producers.cli.runs import reporting

            words = reporting.failures_page(maestrale, job, words)
    Voice(as_json=as_json).facts(found, words)


def export(
    job_id: JobId,
    out: Out = None,
    form: Form = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Write the records of a job's done rows, and where each comes from beside them."""
    from producers.cli.opening import client
    from producers.cli.runs.generating import target_of, write_records
    from producers.cli.voice import Voice

    voice = Voice(as_json=as_json)
    with client() as maestrale:
        job = maestrale.get(job_id)
        if job.kind == JobKind.EMBED:
            from producers.cli.runs import embedding

            written = embedding.export(maestrale, job, out, form, voice, overwrite=overwrite)
        elif job.kind == JobKind.EVALUATE:
            from producers.cli.runs import reporting

            written = reporting.export(maestrale, job, out, form, voice, overwrite=overwrite)
        else:
            target = target_of(job, out, form, overwrite=overwrite)
            written = write_records(maestrale, job, target, voice)
    if as_json:
        voice.facts(written)


def recipes(as_json: AsJson = False) -> None:
    """List the recipes that come with Maestrale."""
    from models.recipes import shipped_recipes
    from producers.cli.rendering import showing
    from producers.cli.voice import Voice

    found: dict[str, Any] = shipped_recipes()
    Voice(as_json=as_json).facts(found, showing.recipes(found))

"""`maestrale report`, and what other commands say of evaluations: shown, watched, exported."""

# ruff: noqa: PLC0415 # a command imports what it does when it runs: `--help` answers at once

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.states import SETTLED
from producers.cli.options import AsJson, Format, JobId, Overwrite

if TYPE_CHECKING:
    from rich.console import RenderableType

    from models.tables import Job
    from producers.cli.voice import Voice
    from producers.client import Maestrale
    from producers.evaluating.reports import Made

Folder = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="DIR", help="Write it here, too: HTML, Markdown, JSON and charts."
    ),
]


def report(
    job_id: JobId, out: Folder = None, overwrite: Overwrite = False, as_json: AsJson = False
) -> None:
    """Make the report of an evaluation again, from the rows that are done by now."""
    from producers.cli.opening import client
    from producers.cli.rendering import facts
    from producers.cli.voice import Voice
    from producers.evaluating import reports

    voice = Voice(as_json=as_json)
    with client() as maestrale:
        job = maestrale.get(job_id)
        if out is not None:
            reports.check_folder(out, job.name, overwrite=overwrite)
        with voice.busy("making the report"):
            made = reports.made_or_kept(maestrale, job)
        told = tell(made, out, voice, overwrite=overwrite)
    if as_json:
        voice.facts({"job": facts.job_facts(made.job), "report": told})


def tell(
    made: "Made", folder: Path | None, voice: "Voice", *, overwrite: bool = False
) -> dict[str, Any]:
    """Shows what a report says, writes it where the user wants it, and says where it is."""
    from producers.cli.rendering import evaluation_words, showing

    job = made.job
    voice.say("", evaluation_words.summary(made.report), "")
    told = evaluation_words.report_facts(made.report, str(made.document["made_at"]))
    if job.state not in SETTLED:
        voice.say(showing.hint(f"{job.id} is {job.state}: these are its figures so far."))
    if folder is None:
        voice.say(showing.hint("Write all of it:", f"maestrale report {job.id} --out DIR"))
        return told
    return {**told, "files": write(made, folder, voice, overwrite=overwrite)}


def write(made: "Made", folder: Path, voice: "Voice", *, overwrite: bool = False) -> list[str]:
    """Writes a report into the folder, says where it is and whose it replaces; its files."""
    from producers.cli.rendering import showing
    from producers.cli.rendering.words import safe
    from producers.evaluating import reports

    before = reports.job_there(folder)
    files = reports.write(made, folder, overwrite=overwrite)
    voice.say(showing.line("report", safe(files[0], 4000)))
    if before not in ("", made.job.id):
        voice.say(showing.hint(f"It replaces the report of {safe(before)}."))
    return [str(path) for path in files]


def end_of_watch(maestrale: "Maestrale", job: "Job", voice: "Voice") -> dict[str, Any]:
    """The report of an evaluation that somebody watched to its end, as facts too.

    The job is over, however it is with the report: what is missing for that is a warning.
    """
    from models.errors import BadInputError
    from producers.cli.rendering import showing
    from producers.cli.rendering.words import safe
    from producers.evaluating import reports

    try:
        with voice.busy("making the report"):
            made = reports.make(maestrale, job)
    except BadInputError as error:
        voice.say(showing.warning(safe(error, 600)))
        return {}
    return {"report": tell(made, None, voice)}


def page(maestrale: "Maestrale", job: "Job") -> "tuple[dict[str, Any], RenderableType]":
    """`maestrale show` of an evaluation: suite and models; the figures once there is a report."""
    from rich.console import Group
    from rich.text import Text

    from producers.cli.rendering import evaluation_words, facts, showing
    from producers.evaluating import Evaluating, reports

    evaluation = Evaluating(maestrale).evaluation(job)
    codes, operations = maestrale.failures_by_code(job.id), maestrale.operations(job.id)
    limit = showing.limited(facts.models_of(job), maestrale.limits())
    words = showing.job_page(job, limit, codes, maestrale.store.now(), operations)
    parts = [words, Text(), evaluation_words.asked(evaluation)]
    kept = reports.read_kept(maestrale, job)
    if kept is not None:
        parts += [Text(), evaluation_words.summary(kept.report), Text()]
    make = "Make its report again:" if kept is not None else "Make its report:"
    parts.append(showing.hint(make, f"maestrale report {job.id}"))
    told = evaluation_words.asked_facts(evaluation)
    if kept is not None:
        told["report"] = evaluation_words.report_facts(kept.report, kept.made_at)
    return {**facts.job_facts(job), "evaluation": told}, Group(*parts)


def failures_page(maestrale: "Maestrale", job: "Job", rows: "RenderableType") -> "RenderableType":
    """The failed `rows` of an evaluation, and how many answers of the others were of no use."""
    from rich.console import Group

    from producers.cli.rendering import showing
    from producers.cli.rendering.words import counted
    from producers.evaluating import outcomes

    found = outcomes.of_no_use(maestrale, job)
    told = [
        showing.warning(f"{useless:,} of {counted(number, what)} of done rows cannot be used.")
        for what, (useless, number) in found.items()
    ]
    how = showing.hint("Its report lists them by reason:", f"maestrale report {job.id}")
    return Group(rows, *told, *([how] if told else []))


def export(
    maestrale: "Maestrale",
    job: "Job",
    out: Path | None,
    form: Format | None,
    voice: "Voice",
    *,
    overwrite: bool,
) -> dict[str, Any]:
    """Writes the outcomes of an evaluation: an answer, verdict or loss a record."""
    from producers import exports
    from producers.cli import outputs
    from producers.cli.rendering import showing
    from producers.evaluating import outcomes

    chosen = outputs.choose_format(form, out, outcomes.SHAPE)
    path = out or outputs.default_name(job.input_name, f"{job.name}.outcomes", chosen)
    outputs.check_free(path, overwrite=overwrite)
    with voice.busy("writing outcomes"):
        written = exports.export(outcomes.flat(maestrale, job), path, chosen, overwrite=overwrite)
        side = exports.write_provenance(maestrale.provenance(job.id), path, overwrite=overwrite)
    voice.say(showing.written(written.path, written.records, side.path))
    return {
        "path": str(written.path),
        "format": chosen,
        "rows": written.rows,
        "records": written.records,
        "provenance": str(side.path),
    }
